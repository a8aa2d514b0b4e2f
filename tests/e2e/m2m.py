#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""
volet-cam with a stateful encoder, on the board: vicodec, the kernel's own virtual codec, which
makes FWHT. This program plays voletd and the session programs (as in cam.py); what a viewer got
through its session's memory is decoded back by vicodec's decoder, driven by v4l2-ctl, and whose
picture it is is read from the decoded pixels.
"""
import contextlib
import os
import pathlib
import re
import subprocess
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import cam                                                                      # noqa: E402
import sources                                                                  # noqa: E402
import streamer                                                                 # noqa: E402
import tap                                                                      # noqa: E402

cam.CAM = '/usr/libexec/volet-formats/volet-cam'
TESTS = '/usr/libexec/volet-tests'
LOG = pathlib.Path('/run/cam.log')
UDMABUF = pathlib.Path('/dev/udmabuf')
WHOLE = '\n[profile cam0/fwht]\ncodec = fwht\nencoder = hardware\nrate = 8\n'
HALF = '\n[profile cam0/half]\ncodec = fwht\nencoder = hardware\nsize = 960x540\nrate = 8\n'
KEY, GENERATED = 1, 2     # of a stamp


def load():
    """The board's camera and vicodec, whose nodes belong to the streamer's group."""
    cam.unload()
    subprocess.run(['rmmod', 'vicodec'], check=False, stderr=subprocess.DEVNULL)
    subprocess.run(['modprobe', 'vicodec'], check=True)
    time.sleep(0.5)
    subprocess.run(['/volet/start-board', '1'], check=True)


def node(kind):
    """vicodec's stateful encoder or decoder, by the name that its node has."""
    for name in pathlib.Path('/sys/class/video4linux').glob('video*'):
        if (name / 'name').read_text().strip() == f'stateful-{kind}':
            return f'/dev/{name.name}'
    raise AssertionError(f'no {kind}: {[n.read_text() for n in pathlib.Path("/sys/class/video4linux").glob("video*/name")]}')


def with_header(frame):
    """As v4l2-ctl --stream-from-hdr reads a frame."""
    return b'rdhV' + len(frame).to_bytes(4, 'big') + frame


def tags(coded, size):
    """What the decoder shows of coded frames (with headers): a tag's numbers for each frame."""
    width, height = map(int, size.split('x'))
    source, out = pathlib.Path('/run/coded'), pathlib.Path('/run/decoded')
    source.write_bytes(coded)
    out.unlink(missing_ok=True)
    done = subprocess.run(['v4l2-ctl', '-d', node('decoder'), '-x', f'pixelformat=FWHT,width={width},height={height}',
                           '-v', 'pixelformat=NV12', '--stream-mmap', '--stream-out-mmap', '--stream-from-hdr', source,
                           '--stream-to', out], capture_output=True, text=True, timeout=120, check=False)
    assert out.exists() and out.stat().st_size, f'nothing decoded: {done.stdout[-800:]} {done.stderr[-800:]}'
    with out.open('rb') as pictures:
        read = subprocess.run([f'{TESTS}/tagread', '--size', size, '--format', 'nv12', *TEST_TAG.get(size, [])],
                              stdin=pictures, capture_output=True, text=True, check=False)
    return [None if 'unreadable' in line or 'torn' in line else
            {k: int(float(v)) for k, v in re.findall(r'(\w+)=([\d.]+)', line)} for line in read.stdout.splitlines()]


TEST_TAG = {'1280x720': ['--test']}     # m2mcheck's pictures are a test camera's


def own(viewer):
    """The frames that it keeps, without the streamer's own pictures (a busy board may lose a second)."""
    return [frame for frame in viewer.kept if not frame[0] & GENERATED]


def watch(camera, viewers, frames, seconds=60):
    for viewer in viewers:
        viewer.keeps = True
        viewer.say(cam.START)
    camera.run(seconds, lambda: camera.failed or all(len(own(v)) >= frames for v in viewers))
    assert not camera.failed, camera.failed
    tap.in_time(all(len(own(v)) >= frames for v in viewers), f'{[len(own(v)) for v in viewers]} frames')


def shown(viewer, size):
    """Every frame that came is decoded, is of this camera, and is the picture its stamp says."""
    kept = viewer.kept
    assert kept[0][0] & KEY, 'it began with a difference'
    seen = tags(b''.join(with_header(frame) for _, _, frame in kept), size)
    assert len(seen) == len(kept), f'{len(seen)} pictures of {len(kept)} frames'
    assert None not in seen, f'unreadable: {seen}'
    for tag, (flags, captured, _) in zip(seen, kept):
        if flags & GENERATED:
            assert 'camera' not in tag, tag
        else:
            assert tag['camera'] == 0 and abs(tag['time_ns'] - captured) < 1000, (tag, captured)
    return seen


def log_since(mark):
    return LOG.read_text(errors='replace')[mark:] if LOG.exists() else ''


def mark():
    return LOG.stat().st_size if LOG.exists() else 0


def test_decoded():
    """Two viewers of one encode: own memory, key frame first, decoded back, each tag its stamp's"""
    before = mark()
    with cam.Camera(profiles=WHOLE, **{'slot-size-kib': '2048'}) as camera:
        camera.started()
        a = camera.grant(profile='fwht')
        watch(camera, [a], 3)
        b = camera.grant(profile='fwht')
        watch(camera, [b], 8)
        camera.run(1.2)
        took = camera.stats['encode_ns'] / 1e6
        # On a slow board a viewer may have no free slot: then an encode is for the other alone.
        encoded, given = camera.stats['encoded'], len(a.kept) + len(b.kept)
        tap.in_time(encoded < given, f'an encode for each viewer: {encoded} for {given} frames')
        assert camera.stats['memory'] == cam.UDMABUF and not camera.stats['errors'], camera.stats
        for viewer in a, b:
            viewer.say(cam.STOP)
        camera.run(2, lambda: not camera.stats['streaming'])
        counts = [(len(shown(v, '1920x1080')), sum(f & KEY for f, _, _ in v.kept)) for v in (a, b)]
        ages = sorted(age / 1e6 for _, _, age in a.frames)
    imported, copied = read_in_place(before)
    # It takes lines in sixteens: 1088 of them, and the camera's memory has 1080.
    assert not imported and copied > 10, (imported, copied)
    assert 'WEAKER' not in log_since(before), log_since(before)
    return [f'frames and key frames of them: {counts}; 1920x1080 FWHT in {took:.0f} ms, age median '
            f'{ages[len(ages) // 2]:.0f} ms']


def read_in_place(before):
    """Pictures that the encoder read where they were captured, and those that were copied for it."""
    found = re.findall(r'it has read (\d+) pictures where they were captured and (\d+) that were copied',
                       log_since(before))
    return tuple(map(int, found[-1]))


def decoded_small(viewer, size):
    """The last decoded picture, made small as sources.small() does."""
    tags(b''.join(with_header(frame) for _, _, frame in viewer.kept), size)
    width, height = map(int, size.split('x'))
    last = pathlib.Path('/run/decoded').read_bytes()[-width * height * 3 // 2:]
    return subprocess.run(['ffmpeg', '-v', 'error', '-f', 'rawvideo', '-pix_fmt', 'nv12', '-s', size, '-i', '-', '-vf',
                           f'setparams=range=full,crop=iw:ih/3:0:ih*2/3,scale={sources.SMALL}:{sources.SMALL}:flags=area',
                           '-f', 'rawvideo', '-pix_fmt', 'rgb24', '-'], input=last, capture_output=True, check=True).stdout


def test_in_place():
    """vivid at 1280x720: each picture is imported where it was captured, none copied, and is the one JPEG shows"""
    sources.vivid(1)
    fwht = '\n[profile cam0/fwht]\ncodec = fwht\nencoder = hardware\nrate = 4\n'
    jpeg = '\n[profile cam0/jpeg]\ncodec = jpeg\nrate = 4\n'
    before = mark()
    try:
        with cam.Camera(media='platform:vivid-000', capture='vivid-000-vid-cap', size='1280x720', formats='', sensor='',
                        controls='', profiles=fwht + jpeg) as camera:
            camera.started()
            viewers = [camera.grant(profile='fwht'), camera.grant(profile='jpeg')]
            watch(camera, viewers, 5)
            for viewer in viewers:
                viewer.say(cam.STOP)
            camera.run(1)
            shows = sources.small(viewers[1].jpeg)
            off = sources.difference(decoded_small(viewers[0], '1280x720'), shows)
    finally:
        subprocess.run(['rmmod', 'vivid'], check=False, stderr=subprocess.DEVNULL)
    imported, copied = read_in_place(before)
    # One was copied: the grey one that it was tried with. (No-signal pictures of a busy board are copied too.)
    assert imported >= 5 and copied <= 1 + camera.stats['generated'], (imported, copied, camera.stats)
    assert max(shows) - min(shows) > 100, 'no colour bars'
    assert off < 8, f'not the picture that JPEG shows: {off}'
    return [f'{imported} imported, {copied} copied; mean difference of 255 to the JPEG: {off:.1f}']


def test_sizes():
    """Two sizes beside each other and JPEG: a context each, all show their pictures"""
    jpeg = '\n[profile cam0/jpeg]\ncodec = jpeg\nencoder = auto\nrate = 8\n'
    before = mark()
    with cam.Camera(profiles=WHOLE + HALF + jpeg, **{'slot-size-kib': '2048'}) as camera:
        camera.started()
        viewers = [camera.grant(profile=name) for name in ('fwht', 'half', 'jpeg')]
        watch(camera, viewers, 4, 90)
        for viewer in viewers:
            viewer.say(cam.STOP)
        camera.run(1)
        shown(viewers[0], '1920x1080')
        shown(viewers[1], '960x540')
        assert viewers[2].tag()[0] == 0
    assert 'encoder = auto: software is used' in log_since(before)
    return [f'frames: {[len(v.kept) for v in viewers]}']


def test_again():
    """Nobody watches and somebody does, again and again: drained each time, a key frame first, nothing old"""
    with cam.Camera(profiles=HALF) as camera:
        camera.started()
        viewer, counts = camera.grant(profile='half'), []
        for _ in range(4):
            viewer.kept.clear()
            began = time.monotonic_ns()
            watch(camera, [viewer], 3)
            viewer.say(cam.STOP)
            camera.run(0.6)
            assert all(captured >= began for _, captured, _ in viewer.kept), 'a frame from before START'
            counts.append(len(shown(viewer, '960x540')))
    return [f'frames: {counts}']


def test_drain():
    """Driven directly: what was put in comes out of a drain, in order, stamped; sizes; two contexts"""
    done = subprocess.run([f'{TESTS}/m2mcheck', node('encoder')], capture_output=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr.decode()
    seen = tags(done.stdout, '1280x720')
    assert len(seen) == 10 and None not in seen, seen
    assert [tag['camera'] for tag in seen] == [7] * 10, seen
    assert [tag['seq'] for tag in seen] == list(range(seen[0]['seq'], seen[0]['seq'] + 10)), seen
    return done.stderr.decode().splitlines()


def attack(*args):
    """What was seen; None where there is no such descriptor."""
    done = subprocess.run([f'{TESTS}/m2m-opener', *map(str, args)], capture_output=True, text=True, timeout=60,
                          check=False)
    if 'no descriptor' in done.stderr:
        return None
    found = re.search(r'known (\d+) mapped (\d+) exported (\d+) live (\d+)', done.stdout)
    assert found, f'{done.stdout} {done.stderr}'
    return dict(zip(('known', 'mapped', 'exported', 'live'), map(int, found.groups())))


def test_steal_bites():
    """The descriptor of a program that encodes in MMAP buffers, stolen: its pictures are seen; a second open sees none"""
    encoder = node('encoder')
    with subprocess.Popen(['v4l2-ctl', '-d', encoder, '-x', 'pixelformat=NV12,width=640,height=360', '--stream-mmap',
                           '--stream-out-mmap', '--stream-out-pattern=0', '--stream-out-hor-speed=3',
                           '--stream-to=/dev/null'], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as user:
        try:
            # It may be late to open and to stream.
            stolen = streamer.until(lambda: (seen := attack('steal', user.pid, encoder)) and seen['live'] and seen, 40,
                                    'the fault bites')
            opened = attack('open', encoder)
        finally:
            user.kill()
    assert stolen['mapped'], stolen
    assert opened['known'] == 0, opened
    return [f'stolen descriptor: {stolen}', f'second open: {opened}']


def encoding(**keys):
    """volet-cam's own encoder, with a viewer, under attack."""
    with cam.Camera(profiles=HALF, **keys) as camera:
        camera.started()
        viewer = camera.grant(profile='half')
        watch(camera, [viewer], 3)
        # It goes on while it is looked at: nobody reads its channels, which hold some frames.
        process = subprocess.Popen([f'{TESTS}/m2m-opener', 'steal', str(camera.pid), node('encoder')],
                                   stdout=subprocess.PIPE, text=True)
        camera.run(15, lambda: process.poll() is not None)
        text = process.communicate()[0]
        opened = attack('open', node('encoder'))
    found = re.search(r'known (\d+) mapped (\d+) exported (\d+) live (\d+)', text)
    assert found, text
    return dict(zip(('known', 'mapped', 'exported', 'live'), map(int, found.groups()))), opened


def test_steal_held():
    """volet-cam's own encoder: a second open knows no buffer, and its very descriptor, stolen, maps and exports none"""
    stolen, opened = encoding()
    assert stolen['known'] >= 2, f'nothing was attacked: {stolen}'
    assert not stolen['mapped'] and not stolen['exported'] and not stolen['live'], stolen
    assert opened['known'] == 0, opened
    return [f'stolen descriptor: {stolen}', f'second open: {opened}']


def test_weak():
    """Without udmabuf: it works, the log says WEAKER, and the stolen descriptor shows why; a second open sees none"""
    before, mode = mark(), UDMABUF.stat().st_mode
    UDMABUF.chmod(0)
    try:
        stolen, opened = encoding()
    finally:
        UDMABUF.chmod(mode)
    assert 'coded frames: the driver\'s own buffers (MMAP), which is WEAKER' in log_since(before), log_since(before)
    assert stolen['mapped'] and stolen['live'], stolen
    assert opened['known'] == 0, opened
    return [f'stolen descriptor: {stolen}', f'second open: {opened}']


def test_missing():
    """No such encoder, or a size it hasn't: said, with what to write"""
    cases = [('\n[profile cam0/x]\ncodec = jpeg\nencoder = hardware\n', 'none of the .* is an encoder that makes JPEG'),
             ('\n[profile cam0/x]\ncodec = h264\nencoder = hardware\n', 'is an encoder that makes H264'),
             ('\n[profile cam0/x]\ncodec = fwht\nencoder = hardware\nsize = 320x240\n', 'write a `size` that it has')]
    notes = []
    for profile, text in cases:
        with cam.Camera(profiles=profile) as camera:
            camera.run(20, lambda camera=camera: camera.ready or camera.failed)
            assert camera.failed and re.search(text, camera.failed), camera.failed
            notes.append(camera.failed)
    return notes


TESTS_HERE = [test_decoded, test_in_place, test_sizes, test_again, test_drain, test_steal_bites, test_steal_held, test_weak,
              test_missing]


def main():
    load()
    failures = tap.run([t for t in TESTS_HERE if not sys.argv[1:] or t.__name__ in sys.argv[1:]])
    with contextlib.suppress(subprocess.CalledProcessError):
        cam.unload()
    subprocess.run(['rmmod', 'vicodec'], check=False, stderr=subprocess.DEVNULL)
    return 1 if failures else 0


if __name__ == '__main__':
    sys.exit(main())

#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""
volet-cam with what cameras give, on the board: the formats of vivid (the kernel's own virtual
camera) and the raw node of the board's camera. As in cam.py, this program plays voletd and
the session programs.
"""
import os
import subprocess
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import cam                                                                      # noqa: E402
import tap                                                                      # noqa: E402

SMALL = 32


def vivid(planes):
    """vivid with its capture node alone: 1 for the single-planar API, 2 for several planes."""
    subprocess.run(['rmmod', 'vivid'], check=False, stderr=subprocess.DEVNULL)
    subprocess.run(['modprobe', 'vivid', 'n_devs=1', 'node_types=0x1', f'multiplanar={planes}', 'num_inputs=1',
                    'input_types=0x0'], check=True, timeout=60)
    time.sleep(1)
    for node in [f'/dev/{n}' for n in os.listdir('/dev') if n.startswith(('video', 'media', 'udmabuf'))]:
        os.chown(node, 0, cam.GID)
        os.chmod(node, 0o660)
    # It would stamp a frame with the time at which its end is due, which may be yet to come.
    node = subprocess.run(['media-ctl', '-d', 'platform:vivid-000', '-e', 'vivid-000-vid-cap'], capture_output=True,
                          text=True, check=True).stdout.strip()
    subprocess.run(['v4l2-ctl', '-d', node, '-c', 'timestamp_source=1'], check=True)


def small(jpeg):
    """The picture's lower part (vivid writes text into the upper) as SMALLxSMALL RGB."""
    return subprocess.run(['ffmpeg', '-v', 'error', '-f', 'mjpeg', '-i', '-', '-vf',
                           f'crop=iw:ih/3:0:ih*2/3,scale={SMALL}:{SMALL}:flags=area', '-f', 'rawvideo',
                           '-pix_fmt', 'rgb24', '-'], input=jpeg, capture_output=True, check=True).stdout


def shown(fourcc):
    """A frame of vivid in this format as its viewer gets it, and the memory it was captured into."""
    with cam.Camera(media='platform:vivid-000', capture='vivid-000-vid-cap', format=fourcc, size='640x360', formats='',
                    sensor='', controls='') as camera:
        viewer = camera.started().grant()
        viewer.say(cam.START)
        camera.run(20, lambda: len(viewer.frames) > 3)
        assert len(viewer.frames) > 3, f'{fourcc}: {camera.fault}'
        camera.run(20, lambda: camera.stats['memory'])
        assert camera.stats['memory'] == cam.UDMABUF, f'{fourcc}: memory {camera.stats["memory"]}'
        return small(viewer.jpeg)


def difference(a, b):
    assert len(a) == len(b) == SMALL * SMALL * 3
    return sum(abs(x - y) for x, y in zip(a, b)) / len(a)


def same_in(planes, fourccs, limit):
    """Each format shows the same as the first, within `limit` of 255."""
    vivid(planes)
    reference, notes = shown(fourccs[0]), []
    assert max(reference) - min(reference) > 100, 'no colour bars'
    for fourcc in fourccs[1:]:
        off = difference(reference, shown(fourcc))
        notes.append(f'{fourcc} {off:.1f}')
        assert off < limit, f'not the picture of {fourccs[0]}: {notes}'
    return [f'mean difference of 255 to {fourccs[0]}: {", ".join(notes)}; memory: udmabuf']


def test_single():
    """vivid, single-planar API: NV12, NV21, YU12, YUYV, UYVY show the same picture"""
    return same_in(1, ['NV12', 'NV21', 'YU12', 'YUYV', 'UYVY'], 8)


def test_multi():
    """vivid, multi-planar API: formats in one, two and three pieces show the same picture"""
    return same_in(2, ['NV12', 'NM12', 'NM21', 'YM12', 'YUYV'], 8)


def test_bayer():
    """vivid, raw Bayer of 8, 10 and 16 bits, all four orders: the picture, unbalanced"""
    return same_in(1, ['NV12', 'RGGB', 'GRBG', 'GBRG', 'BA81', 'RG10', 'BG10', 'RG16'], 45)


def test_raw():
    """The raw node of the board's camera: the tag is read from the picture"""
    cam.load('vmalloc')
    with cam.Camera(capture='camsim0-raw', format='RG10', **{'slot-size-kib': '2048'}) as camera:
        viewer = camera.started().grant()
        viewer.say(cam.START)
        camera.run(30, lambda: len(viewer.frames) > 3)
        assert len(viewer.frames) > 3, camera.fault
        number, _, when = viewer.tag()
        assert number == 0 and abs(when - viewer.frames[-1][1]) < 1000
        camera.run(20, lambda: camera.stats['memory'])
    with open('/run/cam.log', encoding='utf-8', errors='replace') as log:
        assert 'the colours are not balanced' in log.read()
    return ['memory: ' + ('udmabuf' if camera.stats['memory'] == cam.UDMABUF else 'mmap')]


def main():
    tests = [test_single, test_multi, test_bayer, test_raw]
    failures = tap.run([t for t in tests if not sys.argv[1:] or t.__name__ in sys.argv[1:]])
    subprocess.run(['rmmod', 'vivid'], check=False, stderr=subprocess.DEVNULL)
    cam.unload()
    return 1 if failures else 0


if __name__ == '__main__':
    sys.exit(main())

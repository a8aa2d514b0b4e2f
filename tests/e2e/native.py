#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""
The whole streamer on this machine, without a kernel device: volet-spawn, voletd, volet-cam and
volet-rtsp as their own users, `test` cameras, ffmpeg as the viewer, tags read from displayed
pixels. Run as root inside `tests/vm/enter`, with build/native made.
"""
import collections
import contextlib
import hashlib
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import picture                                                                  # noqa: E402
import tap                                                                      # noqa: E402

BUILD = pathlib.Path(os.environ.get('VOLET_BUILD', '/src/build/native'))
TAGREAD = BUILD / 'tests/tools/tagread'
HOME = pathlib.Path('/tmp/native')
tap.LOGS.append(HOME / 'log')
PROGRAMS = HOME / 'programs'
# Test builds (meson.options): grants to the wrong camera, with sessions that don't look or do;
# a session's memory lent to the next.
FAULTY, CROSSED, LOOSE = HOME / 'faulty', HOME / 'crossed', HOME / 'loose'
FAULTS = pathlib.Path('/src/build/native-faulty')
FORMATS = BUILD.with_name('formats') / 'userspace/volet-cam/volet-cam'  # with -Dtest-formats=true
WITH_FORMATS = HOME / 'with-formats'
PASSWORDS = {'alice': 'a-word-of-alice', 'bob': 'a-word-of-bob'}
DAEMON_UID, CAM_GID, SIGN_UID = 60000, 60001, 60990
SESSION_UIDS = '61000-65095'
# Otherwise ffmpeg waits for many frames, at one a second, to find out the rate.
QUICK = ['-fflags', 'nobuffer', '-analyzeduration', '0', '-probesize', '32', '-fpsprobesize', '0']


def free_port():
    with socket.create_server(('127.0.0.1', 0)) as probe:
        return probe.getsockname()[1]


class Streamer:
    """
    One streamer with these camera sections ({name: {key: value}}); alice sees the first, bob all,
    or `viewers` ({name: (password, cameras)}) what they may. `programs`: of a test build. `extra`
    are more lines of [volet], `each` of each viewer, `groups` more groups.
    """

    def __init__(self, cameras, extra='', viewers=None, programs=None, address='127.0.0.1',
                 each='', groups='', ready=None):
        self.programs = programs or PROGRAMS
        self.port, names = free_port(), list(cameras)
        run = pathlib.Path('/run/volet')
        run.mkdir(exist_ok=True)
        os.chown(run, DAEMON_UID, DAEMON_UID)
        text = f'[volet]\nrtsp-address = {address}\nrtsp-port = {self.port}\nreport-s = 1\n{extra}'
        for name, keys in cameras.items():
            text += f'\n[camera {name}]\n' + ''.join(f'{k} = {v}\n' for k, v in keys.items())
        viewers = viewers or {'alice': (PASSWORDS['alice'], names[:1]), 'bob': (PASSWORDS['bob'], names)}
        for viewer, (password, its) in viewers.items():
            ha1 = hashlib.md5(f'{viewer}:volet:{password}'.encode()).hexdigest()
            text += f'\n[viewer {viewer}]\nha1 = {ha1}\ncameras = {";".join(its)}\n{each}'
        self.config = config = run / 'volet.conf'
        config.write_text(text + groups)
        os.chown(config, DAEMON_UID, DAEMON_UID)
        config.chmod(0o600)
        self.control = str(run / 'control.sock')
        self.log, self.figures = HOME / 'log', HOME / 'figures'
        self.log.unlink(missing_ok=True)
        self.figures.unlink(missing_ok=True)
        self.spawn, self.voletd = self.start_spawn(), None
        try:
            self.until(lambda: (run / 'spawn.sock').exists(), 'volet-spawn is up')
            self.voletd = self.start_voletd()
            self.wait_ready(names if ready is None else [])
        except tap.TooSlow:         # no `with` ends it, and the second try is of the same users and places
            self.__exit__()
            raise

    def wait_ready(self, names):
        self.until(lambda: self.text().count(': ready, ') == len(names), 'every camera is ready')

    def start_spawn(self):
        with self.log.open('a') as log:
            return subprocess.Popen(
                [self.programs / 'volet-spawn', '--socket', '/run/volet/spawn.sock', '--daemon-uid', str(DAEMON_UID),
                 '--session-uids', SESSION_UIDS, '--cam-uids', '60900-60963', '--cam-gid', str(CAM_GID),
                 '--sign-uid', str(SIGN_UID), '--programs', self.programs,
                 '--allow-swap'], stderr=log)      # of the machine that builds

    def start_voletd(self):
        with self.log.open('a') as log, self.figures.open('a') as figures:
            return subprocess.Popen(
                ['setpriv', f'--reuid={DAEMON_UID}', f'--regid={DAEMON_UID}', '--clear-groups', '--no-new-privs',
                 self.programs / 'voletd', '--config', '/run/volet/volet.conf', '--spawn', '/run/volet/spawn.sock',
                 '--control', '/run/volet/control.sock', '--local', '/run/volet/local.sock', '--allow-swap'],
                stderr=log, stdout=figures)

    def text(self):
        return self.log.read_text(errors='replace')

    def until(self, condition, what, timeout=20):
        end = time.monotonic() + timeout
        while not condition():
            if time.monotonic() > end:
                raise tap.TooSlow(f'{what}: not within {timeout} s; log:\n{self.text()[-3000:]}')
            time.sleep(0.05)

    def url(self, viewer, camera):
        return f'rtsp://{viewer}:{PASSWORDS[viewer]}@127.0.0.1:{self.port}/{camera}'

    def player(self, viewer, camera, frames, size):
        """ffmpeg and the tag reader behind it."""
        return subprocess.Popen(
            ['sh', '-c', f'timeout 40 ffmpeg -nostdin -v error -rtsp_transport tcp -i {self.url(viewer, camera)} '
             f'-frames:v {frames} -fps_mode passthrough -f rawvideo -pix_fmt gray - 2>{HOME}/ffmpeg-{camera} | '
             f'{TAGREAD} --test --size {size} 2>/dev/null'], stdout=subprocess.PIPE, text=True)

    def picture(self, viewer, camera, frames=1):
        """The last of so many displayed pictures as gray bytes."""
        done = subprocess.run(
            ['ffmpeg', '-nostdin', '-v', 'error', *QUICK, '-rtsp_transport', 'tcp', '-i', self.url(viewer, camera),
             '-frames:v', str(frames), '-fps_mode', 'passthrough', '-f', 'rawvideo', '-pix_fmt', 'gray', '-'],
            capture_output=True, check=True, timeout=40).stdout
        return done[-(len(done) // frames):]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for process in filter(None, (self.voletd, self.spawn)):
            with contextlib.suppress(ProcessLookupError):
                process.send_signal(signal.SIGTERM)
            process.wait(30)
        with contextlib.suppress(FileNotFoundError):
            os.unlink('/run/volet/spawn.sock')


def tags(pipe):
    """What was displayed: a dict of numbers a frame, None where no tag was readable."""
    return [None if 'unreadable' in line or 'torn' in line else
            {k: int(float(v)) for k, v in re.findall(r'(\w+)=([\d.]+)', line)}
            for line in pipe.communicate()[0].splitlines()]


def test_camera(size, rate, **keys):
    return {'media': 'test', 'size': size, 'rate': rate, **keys}


def only_own(shown, camera, at_least):
    assert None not in shown, f'unreadable: {shown}'
    assert {tag['camera'] for tag in shown} <= {camera}, f'cameras {shown}'
    assert all(a['seq'] < b['seq'] for a, b in zip(shown, shown[1:])), f'order {shown}'
    if len(shown) < at_least:
        raise tap.TooSlow(f'{len(shown)} frames displayed, {at_least} wanted')


def test_two_cameras():
    """Two test cameras, three viewers: each displays only its camera's frames, at its rate"""
    with Streamer({'cam0': test_camera('1280x720', 15), 'cam1': test_camera('640x480', 10)}) as streamer:
        pipes = [streamer.player('alice', 'cam0', 40, '1280x720'), streamer.player('bob', 'cam1', 25, '640x480'),
                 streamer.player('bob', 'cam0', 40, '1280x720')]
        shown = [tags(pipe) for pipe in pipes]
        for frames, camera, count in zip(shown, (0, 1, 0), (40, 25, 40)):
            only_own(frames, camera, count)
        streamer.until(lambda: 'memory own' in streamer.figures.read_text(), 'the memory kind is said')
        notes = []
        for frames, wanted in zip(shown, (15, 10, 15)):
            rate = (len(frames) - 1) / ((frames[-1]['time_ns'] - frames[0]['time_ns']) / 1e9)
            ages = sorted(f['age_ms'] for f in frames)
            notes.append(f'{rate:.1f} of {wanted} frames/s, age median {ages[len(ages) // 2]} ms')
            tap.in_time(rate > wanted * 0.7, f'{notes}')
        return [*notes, 'memory: own, no device']


def test_small():
    """Small and large sizes: the tag is readable from displayed pixels, and pictures differ by camera"""
    sizes = ['320x240', '200x160', '1928x1088']     # RTP/JPEG counts in eights
    with Streamer({f'cam{i + 7}': test_camera(size, 10) for i, size in enumerate(sizes)}) as streamer:
        for i, size in enumerate(sizes):
            only_own(tags(streamer.player('bob', f'cam{i + 7}', 8, size)), i + 7, 8)
    return [f'sizes {", ".join(sizes)}; memory: own, no device']


def test_no_camera():
    """A camera that isn't there: granted, and the picture says so, and for how long, once a second"""
    gone = {'media': 'platform:none', 'capture': 'x', 'size': '640x480'}
    with Streamer({'cam0': gone}) as streamer:
        began = time.monotonic()
        shown = streamer.picture('alice', 'cam0')
        first = time.monotonic() - began
        words = picture.read(shown, 640, 480)
        assert words[:2] == ['NO SIGNAL', 'CAMERA NOT CONNECTED'], words
        assert re.fullmatch(r'FOR \d+ S', words[2]) and words[3] == 'CAMERA CAM0', words
        began = time.monotonic()
        later = picture.read(streamer.picture('alice', 'cam0', 4), 640, 480)
        took = time.monotonic() - began
        assert took > 2.5, f'4 pictures in {took} s'
        tap.in_time(took < 8, f'4 pictures in {took} s')
        assert int(later[2].split()[1]) > int(words[2].split()[1]), (words, later)
        streamer.until(lambda: re.search(r'no signal, .*generated [1-9]', streamer.figures.read_text()), 'counted')
        assert 'no media device has bus-info' in streamer.text()
        return [f'first picture after {first:.1f} s: {words}', f'later: {later}']


def test_one_restarted():
    """A killed volet-cam: its sessions end, the others go on, and it is back with its opener's place taken"""
    cameras = {'cam0': test_camera('320x240', 10), 'cam1': test_camera('320x240', 10)}
    with Streamer(cameras) as streamer:
        pipe = streamer.player('bob', 'cam1', 30, '320x240')
        streamer.until(lambda: 'granted' in streamer.text(), 'bob is in')
        of_uid = collections.defaultdict(list)
        for comm in pathlib.Path('/proc').glob('[0-9]*/comm'):
            with contextlib.suppress(OSError):
                if comm.read_text().strip() == 'volet-cam':
                    of_uid[comm.parent.stat().st_uid].append(int(comm.parent.name))
        # What isn't dumpable belongs to root in /proc: tell them by their status.
        victim = next(pid for pids in of_uid.values() for pid in pids if
                      'Uid:\t60900' in pathlib.Path(f'/proc/{pid}/status').read_text())
        os.kill(victim, signal.SIGKILL)
        streamer.until(lambda: streamer.text().count('cam0: ready, ') == 2, 'cam0 is back', 5)
        only_own(tags(pipe), 1, 30)
        only_own(tags(streamer.player('alice', 'cam0', 3, '320x240')), 0, 3)


def test_own_h264():
    """A camera that gives H.264: passed on, sets in each key frame, nothing after a lost frame, who joins begins right"""
    camera = test_camera('1280x720', 15, format='H264', **{'slot-size-kib': '2048'})
    own = '\n[profile cam3/own]\ncodec = h264\n'
    with Streamer({'cam3': camera}, groups=own, programs=WITH_FORMATS) as streamer:
        first = streamer.player('alice', 'cam3', 60, '1280x720')
        streamer.until(lambda: 'granted' in streamer.text(), 'alice is in')
        time.sleep(1)
        second = streamer.player('bob', 'cam3', 40, '1280x720')
        shown = [tags(pipe) for pipe in (first, second)]
        for frames, count in zip(shown, (60, 40)):
            only_own(frames, 3, count)
        # Each 37th frame is lost: none of those that follow it is shown before the next key frame.
        seqs = [frame['seq'] for frame in shown[0]]
        gaps = [b - a for a, b in zip(seqs, seqs[1:]) if b - a > 1]
        assert gaps, f'no frame was lost: {seqs}'
        streamer.until(lambda: re.search(r'encoded 0\b', streamer.figures.read_text()), 'nothing was encoded here')
        return [f'frames between pictures at a loss: {gaps}']


def test_own_h264_refused():
    """A profile that an H.264 camera can't be made into: said, with what to write"""
    camera = test_camera('1280x720', 15, format='H264')
    small = '\n[profile cam3/small]\ncodec = h264\nsize = 640x360\n'
    with Streamer({'cam3': camera}, groups=small, programs=WITH_FORMATS, ready=0) as streamer:
        streamer.until(lambda: 'profile small: the camera\'s own H.264 frames are passed on as they are: write '
                       'codec = h264 and the camera\'s size, and no rate' in streamer.text(), 'it is said')


def prepare():
    """The programs where volet-spawn takes them from, and those of the test builds that were made."""
    shutil.rmtree(HOME, ignore_errors=True)
    for where, faulty in (PROGRAMS, ()), (FAULTY, ('voletd', 'volet-rtsp')), (CROSSED, ('voletd',)), \
            (LOOSE, ('volet-cam',)):
        where.mkdir(parents=True)
        for name in 'volet-spawn', 'voletd', 'volet-cam', 'volet-rtsp', 'volet-tls', 'volet-sign', 'volet-udp':
            build = FAULTS if name in faulty else BUILD
            if build.exists():
                shutil.copy(build / 'userspace' / name / name, where)
    shutil.copytree(PROGRAMS, WITH_FORMATS)
    if FORMATS.exists():
        shutil.copy(FORMATS, WITH_FORMATS)
    HOME.chmod(0o755)


def main():
    prepare()
    wanted = sys.argv[1:]
    tests = [test_two_cameras, test_small, test_no_camera, test_one_restarted, test_own_h264, test_own_h264_refused]
    return 1 if tap.run([t for t in tests if not wanted or t.__name__ in wanted]) else 0


if __name__ == '__main__':
    sys.exit(main())

#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""
volet-cam alone with the board's camera: this program plays voletd and the session programs.
It loads the drivers itself, first with scattered and then with contiguous capture memory.
"""
import contextlib
import mmap
import os
import pathlib
import re
import select
import socket
import struct
import subprocess
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import picture                                                                  # noqa: E402
import streamer                                                                 # noqa: E402
import tap                                                                      # noqa: E402

CAM = '/usr/libexec/volet/volet-cam'
TESTS = '/usr/libexec/volet-tests'
UID, GID = 60900, 60001
SENSOR_DRIVER = pathlib.Path('/sys/bus/i2c/drivers/gc2053')
BOARD_DRIVER = pathlib.Path('/sys/bus/platform/drivers/camsim')
POWER = pathlib.Path('/sys/bus/i2c/devices/0-0037/power/runtime_status')

# userspace/common/protocol.h
BUS_SIZE, FRAME_SIZE, STAMP_SIZE, PAYLOAD = 264, 232, 120, 128
GRANT, END, READY, STATS, SESSION, FAILED, SIGNAL = 1, 2, 64, 65, 66, 67, 68
LIVE, UNPLUGGED, BUSY, SETTINGS, STALLED, BROKEN = 1, 2, 3, 4, 5, 6
MEMORY, FRAME, FRAME_END, START, STOP, RELEASE = 1, 2, 3, 64, 65, 66
FOREIGN, STALE = 6, 5
UDMABUF, MMAP = 1, 2

SECTION = {
    'media': 'platform:camsim-0',
    'formats': '"gc2053 0-0037":0 [fmt:SRGGB10_1X10/1920x1080]; '
               '"camsim0-csi":0 [fmt:SRGGB10_1X10/1920x1080]; '
               '"camsim0-isp":0 [fmt:SRGGB10_1X10/1920x1080]',
    'capture': 'camsim0-nv12', 'format': 'NV12', 'size': '1920x1080',
    'sensor': 'gc2053 0-0037', 'controls': 'vertical_blanking=5670; exposure=1000; analogue_gain=64',
}


class Camera:
    """A volet-cam that runs as its own user, and voletd's end of its bus."""

    def __init__(self, profiles='', **changes):
        text = '[camera cam0]\n' + ''.join(f'{k} = {v}\n' for k, v in {**SECTION, **changes}.items()) + profiles
        section = os.memfd_create('camera')
        os.write(section, text.encode())
        self.bus, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.pid = os.fork()
        if not self.pid:
            os.dup2(theirs.fileno(), 100)
            os.dup2(section, 101)
            os.dup2(100, 3)
            os.dup2(101, 4)
            os.closerange(5, 200)
            os.dup2(os.open('/run/cam.log', os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), 2)
            os.closerange(5, 200)
            os.setgroups([])
            os.setgid(GID)
            os.setuid(UID)
            os.execve(CAM, ['volet-cam'], {})
        theirs.close()
        os.close(section)
        self.sessions, self.stats, self.accounts, self.failed, self.ready = [], None, {}, None, False
        self.signal, self.fault = None, ''

    def read_bus(self):
        """Take one message; False at the end of the bus."""
        data = self.bus.recv(BUS_SIZE)
        kind = struct.unpack_from('<I', data)[0] if data else 0
        if kind == READY:
            self.ready = True
        elif kind == STATS:
            names = 'captured encoded errors late last capture_ns encode_ns memory sessions streaming ' \
                'signal generated'
            self.stats = dict(zip(names.split(), struct.unpack_from('<7Q4IQ', data, 8)))
        elif kind == SESSION:
            fields = struct.unpack_from('<16s5QI', data, 8)
            self.accounts[fields[0]] = dict(zip('frames bytes lost first last ended'.split(), fields[1:]))
        elif kind == FAILED:
            self.failed = data[8:].split(b'\0')[0].decode()
        elif kind == SIGNAL:
            self.signal, self.fault = struct.unpack_from('<I', data, 8)[0], data[12:].split(b'\0')[0].decode()
        return bool(data)

    def run(self, seconds, until=lambda: False):
        """Serve bus and sessions for so long, or until that is so; False when the bus ended."""
        end = time.monotonic() + seconds
        while time.monotonic() < end and not until():
            live = [s for s in self.sessions if s.ended is None]
            for ready in select.select([self.bus, *live], [], [], 0.1)[0]:
                if ready is self.bus:
                    if not self.read_bus():
                        return False
                else:
                    ready.read()
        return True

    def started(self):
        self.run(20, lambda: self.ready or self.failed)
        assert self.ready, f'not ready: {self.failed}'
        return self

    def grant(self, camera='cam0', **kwargs):
        session = Viewer(self.bus, camera, **kwargs)
        self.sessions.append(session)
        self.run(20, lambda: session.memory or session.ended is not None)
        return session

    def close(self):
        self.bus.close()
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.bus.fileno() >= 0:
            self.close()


class Viewer:
    """A session program's end of its frames channel."""

    checks_tail = True

    def __init__(self, bus, camera, age_limit_ms=2000, profile='jpeg'):
        self.id, self.holds = os.urandom(16), False
        self.sock, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.memory, self.ended, self.frames = None, None, []
        self.jpeg = self.no_signal = None       # the newest frame, and the newest no-signal picture
        self.keeps, self.kept = False, []       # (flags, capture time, payload), where it keeps them
        self.generated = []                     # capture times of no-signal pictures, not in `frames`
        grant = struct.pack('<II16s32s32s32sQII', GRANT, 0, self.id, b'alice', camera.encode(),
                            profile.encode(), time.monotonic_ns(), age_limit_ms, 0)
        socket.send_fds(bus, [grant.ljust(BUS_SIZE, b'\0')], [theirs.fileno()])
        theirs.close()

    def fileno(self):
        return self.sock.fileno()

    def say(self, kind, slot=0, generation=0):
        self.sock.send(struct.pack('<IIQII', kind, 0, generation, slot, 0).ljust(FRAME_SIZE, b'\0'))

    def read(self):
        try:
            data, fds, _, _ = socket.recv_fds(self.sock, FRAME_SIZE, 1)
        except ConnectionResetError:            # it closed with messages unread; what it said is next
            return
        kind = struct.unpack_from('<I', data)[0] if data else FRAME_END
        if kind == MEMORY:
            self.slots, self.slot_size = struct.unpack_from('<II', data, 88)
            self.memory = mmap.mmap(fds[0], self.slots * self.slot_size, mmap.MAP_SHARED, mmap.PROT_READ)
            self.memfd = fds[0]
        elif kind == FRAME:
            now = time.monotonic_ns()
            session, _camera, _profile, generation, captured, sequence, slot, length, flags, _ = \
                struct.unpack_from('<16s32s32sQQQIIII', data, 8)
            at = slot * self.slot_size
            assert session == self.id and self.memory[at:at + STAMP_SIZE] == data[8:8 + STAMP_SIZE]
            assert not self.checks_tail or self.memory[at + PAYLOAD + length:at + self.slot_size] == bytes(
                self.slot_size - PAYLOAD - length), 'the tail is not zero'
            payload = self.memory[at + PAYLOAD:at + PAYLOAD + length]
            assert captured > max([0, *self.generated[-1:], *[f[1] for f in self.frames[-1:]]]), 'an older frame'
            if self.keeps:
                self.kept.append((flags, captured, payload))
            if flags & 2:                           # VOLET_STAMP_GENERATED
                self.generated.append(captured)
                self.no_signal = payload
            else:
                self.jpeg = payload
                self.frames.append((sequence, captured, now - captured))
            if not self.holds:
                with contextlib.suppress(BrokenPipeError):
                    self.say(RELEASE, slot, generation)
        else:
            self.ended = struct.unpack_from('<I', data, 8)[0] if data else -1

    def tag(self):
        """Camera, number and time that the newest frame itself says."""
        raw = subprocess.run(['ffmpeg', '-v', 'error', '-f', 'mjpeg', '-i', '-', '-f', 'rawvideo',
                              '-pix_fmt', 'gray', '-'], input=self.jpeg, capture_output=True, check=True)
        line = subprocess.run([f'{TESTS}/tagread'], input=raw.stdout, capture_output=True,
                              check=False).stdout.decode()
        found = re.search(r'camera=(\d+) seq=(\d+) time_ns=(\d+) .* copies=2', line)
        assert found, f'no tag: {line}'
        return tuple(map(int, found.groups()))


def unload():
    """Sensors first: a bound sensor and its receiver hold each other's module."""
    for driver, name in (SENSOR_DRIVER, '*-0037'), (BOARD_DRIVER, 'camsim-*'):
        for device in driver.glob(name):
            (driver / 'unbind').write_text(device.name)
    for module in 'gc2053', 'camsim':
        if pathlib.Path('/sys/module', module).exists():
            subprocess.run(['modprobe', '-r', '--wait=20000', module], check=True)


def load(allocator):
    unload()
    subprocess.run(['/volet/start-board', '1', allocator], check=True)


def node_of(entity):
    return subprocess.run(['media-ctl', '-d', 'platform:camsim-0', '-e', entity], capture_output=True,
                          text=True, check=True).stdout.strip()


def opener(seconds=2):
    """The second opener's exit status and last line."""
    done = subprocess.run([f'{TESTS}/second-opener', 'platform:camsim-0', 'camsim0-nv12', str(seconds)],
                          capture_output=True, text=True, check=False)
    return done.returncode, done.stdout.strip().splitlines()[-1:] + done.stderr.splitlines()


def watched():
    """What it says once it sees live frames: a program that was just started may be late to stream."""
    return streamer.until(lambda: (tried := opener())[0] == 0 and tried[1], 40, 'the second opener sees frames')


@contextlib.contextmanager
def mmap_user():
    """Another program that streams from the node, once it does, and what the second opener says of it."""
    with subprocess.Popen(['v4l2-ctl', '-d', node_of('camsim0-nv12'), '--stream-mmap', '--stream-to=/dev/null'],
                          stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as user:
        try:
            yield user, watched()
        finally:
            user.kill()


def bad_sections():
    """What a camera section gets wrong is said with what to write instead."""
    cases = [
        ({'media': 'platform:none'}, 'no media device has bus-info "platform:none": '),
        ({'capture': 'camsim0-nv21'}, 'capture: platform:camsim-0 has no entity "camsim0-nv21"; it has "'),
        ({'capture': 'camsim0-csi'}, '"camsim0-csi" captures no video'),
        ({'size': '2040x1080'}, '"camsim0-nv12": NV12 2040x1080 was asked for and the node makes it NV12 1920x1080'),
        ({'formats': '"gc2053 0-0037":0 [fmt:SGBRG8_1X8/1920x1080]'},
         'formats: "gc2053 0-0037":0: SGBRG8_1X8/1920x1080 was asked for and the device makes it SRGGB10_1X10'),
        ({'formats': '"gc2053 0-0037":0 [fmt:FOO/1x1]'}, 'formats: in "'),
        ({'links': '"camsim0-raw":0 -> "camsim0-csi":0 [1]'}, 'links: platform:camsim-0 has no link '),
        ({'controls': 'vertical_blanking=1'}, 'controls: vertical_blanking=1 is out of the range of "gc2053 0-0037": write '),
        ({'controls': 'zoom=1'}, 'controls: "gc2053 0-0037" has no control zoom; it has '),
        ({'controls': 'pixel_rate=5'}, 'controls: pixel_rate of "gc2053 0-0037" is read-only: remove it'),
    ]
    notes = []
    for changes, message in cases:
        with Camera(**changes) as cam:
            cam.started()
            assert cam.signal in (UNPLUGGED, SETTINGS) and cam.fault.startswith(message[:251]), \
                f'{changes}: {cam.fault}'
            notes.append(cam.fault)
    return notes


def formats_must_match():
    """A capture size that the pads before it don't have: said when it is to start."""
    with Camera(size='1280x720') as cam:
        viewer = cam.started().grant()
        viewer.say(START)
        cam.run(10, lambda: cam.signal == SETTINGS and viewer.generated)
        assert cam.fault == 'starting "camsim0-nv12": the formats of two linked pads differ, ' \
            'write them in `formats`: Broken pipe', cam.fault
        assert viewer.generated and not viewer.frames


def controls_are_set():
    """The sensor's controls are what the section says."""
    with Camera(controls='vertical_blanking=1000; exposure=777') as cam:
        cam.started()
        got = subprocess.run(['v4l2-ctl', '-d', node_of('gc2053 0-0037'), '-C', 'vertical_blanking,exposure'],
                             capture_output=True, text=True, check=True).stdout
        assert sorted(got.split('\n')) == ['', 'exposure: 777', 'vertical_blanking: 1000'], got


def power_follows():
    """The sensor has power while somebody watches and at no other time."""
    def power(wanted):
        cam.run(20, lambda: POWER.read_text().strip() == wanted)
        assert POWER.read_text().strip() == wanted, f'not {wanted}'
    with Camera() as cam:
        cam.started()
        power('suspended')
        viewer = cam.grant()
        cam.run(1)
        assert POWER.read_text().strip() == 'suspended', 'a grant alone gives it power'
        for _ in range(2):
            seen = len(viewer.frames)
            viewer.say(START)
            cam.run(10, lambda: len(viewer.frames) > seen + 2)
            assert len(viewer.frames) > seen + 2
            power('active')
            viewer.say(STOP)
            power('suspended')
        cam.run(20, lambda: not cam.stats['streaming'] and not cam.stats['memory'])
        assert not cam.stats['streaming'] and not cam.stats['memory'], cam.stats


def frames_are_its_own():
    """Two sessions: own memory, the camera's own picture, its time, one encode for both."""
    with Camera() as cam:
        cam.started()
        a, b, foreign = cam.grant(), cam.grant(), cam.grant('cam1')
        assert foreign.ended == FOREIGN and foreign.memory is None
        began = time.monotonic_ns()
        a.say(START)
        b.say(START)
        cam.run(30, lambda: len(a.frames) >= 20 and len(b.frames) >= 20)
        assert os.fstat(a.memfd).st_ino != os.fstat(b.memfd).st_ino
        assert all(captured >= began for _, captured, _ in a.frames + b.frames)
        span = (a.frames[-1][1] - a.frames[0][1]) / 1e9
        rate = (len(a.frames) - 1) / span
        ages = sorted(age / 1e6 for _, _, age in a.frames)
        cam.run(1.2)
        assert cam.stats['memory'] == UDMABUF and cam.stats['encoded'] <= cam.stats['captured']
        # On a slow board a viewer may have no free slot: then an encode is for the other alone.
        tap.in_time(cam.stats['encoded'] < len(a.frames) + len(b.frames), f'an encode for each viewer: {cam.stats}')
        for viewer in a, b:
            camera, _seq, when = viewer.tag()
            # vb2 has its stamps in microseconds here.
            assert camera == 0 and abs(when - viewer.frames[-1][1]) < 1000, (when, viewer.frames[-1])
        return [f'{rate:.1f} frames/s, age median {ages[len(ages) // 2]:.0f} ms, '
                f'encode {cam.stats["encode_ns"] / 1e6:.0f} ms, ' + memory_of(cam.pid)]


def memory_of(pid):
    rollup = pathlib.Path(f'/proc/{pid}/smaps_rollup').read_text()
    return ' '.join(f'{name} {re.search(name + r":\s+(\d+)", rollup)[1]} kB'
                    for name in ('Rss', 'Pss', 'Private_Dirty'))


def slow_loses_its_own():
    """A session that holds all its slots loses its own next frames and nobody else's."""
    with Camera() as cam:
        cam.started()
        slow, quick = cam.grant(), cam.grant()
        slow.holds = True
        slow.say(START)
        quick.say(START)
        cam.run(30, lambda: len(quick.frames) >= 15)
        cam.run(20, lambda: len(cam.accounts) == 2 and cam.accounts[slow.id]['lost'] >= 9 and
                cam.accounts[quick.id]['frames'] >= 15)
        assert len(slow.frames) == 4 and cam.accounts[slow.id]['lost'] >= 9, cam.accounts
        lost, oldest = cam.accounts[quick.id]['lost'], max(age for *_, age in quick.frames) / 1e9
        # Who is so late to take frames, or to be given one, holds all its slots as well.
        tap.in_time(not lost or oldest < 0.5, f'{lost} frames lost, the oldest taken after {oldest:.1f} s')
        assert not lost, cam.accounts
        slow.say(RELEASE, 0, 99)
        cam.run(20, lambda: slow.ended is not None and cam.accounts[slow.id]['ended'])
        assert slow.ended == STALE and cam.accounts[slow.id]['ended'] == STALE and quick.ended is None


def privileges():
    """No privilege, no new ones, seccomp, no descriptor but its own."""
    with Camera() as cam:
        cam.started()
        status = pathlib.Path(f'/proc/{cam.pid}/status').read_text()
        for line in (f'Uid:\t{UID}', 'CapEff:\t0000000000000000', 'NoNewPrivs:\t1', 'Seccomp:\t2', 'Threads:\t1'):
            assert line in status, line
        names = sorted(os.readlink(fd) for fd in pathlib.Path(f'/proc/{cam.pid}/fd').iterdir())
        assert sum(n.startswith('/dev/video') for n in names) == 1 and '/dev/udmabuf' in names
        assert not [n for n in names if n.startswith(('/dev/media', '/dev/v4l-subdev'))], names


def second_opener():
    """Who else opens the node watches an MMAP user, and sees nothing of volet-cam."""
    with mmap_user() as (_, bites):
        pass
    with Camera() as cam:
        viewer = cam.started().grant()
        viewer.say(START)
        cam.run(10, lambda: len(viewer.frames) > 2)
        holds = opener()
        seen = len(viewer.frames)
        cam.run(10, lambda: len(viewer.frames) > seen + 2)
        assert holds[0] == 1 and holds[1][0].startswith('mapped 0 of 4'), holds
        assert len(viewer.frames) > seen + 2
    return [f'an MMAP user: {bites}', f'volet-cam: {holds[1]}']


def picture_words(viewer):
    """The words of the newest no-signal picture."""
    raw = subprocess.run(['ffmpeg', '-v', 'error', '-f', 'mjpeg', '-i', '-', '-f', 'rawvideo', '-pix_fmt', 'gray', '-'],
                         input=viewer.no_signal, capture_output=True, check=True)
    return picture.read(raw.stdout, 1920, 1080)


def fault(cam, viewer, cause, begin, end, words):
    """
    Between `begin()` and `end()` the camera has no signal: the viewer gets a picture that says it,
    then one a second; afterwards frames again, and the first is not from before. Returns after how
    many seconds the picture came, how many it may take, and a note.
    """
    seen = len(viewer.frames)
    cam.run(20, lambda: len(viewer.frames) > seen + 4)
    times = [frame[1] for frame in viewer.frames[seen:]]
    assert len(times) > 4
    # Where frames come slowly, on a slow board, four of them have to be missing.
    limit = max(1, 5 * (times[-1] - times[0]) / (len(times) - 1) / 1e9)
    viewer.generated.clear()
    began = time.monotonic_ns()
    begin()
    cam.run(20, lambda: viewer.generated)
    first = (viewer.generated[0] - max(began, viewer.frames[-1][1])) / 1e9
    cam.run(20, lambda: len(viewer.generated) == 5)
    pauses = [b - a for a, b in zip(viewer.generated, viewer.generated[1:])]
    assert cam.signal == cause and viewer.ended is None and len(pauses) == 4, \
        (cam.signal, cam.fault, viewer.ended, viewer.generated)
    assert min(pauses) > 0.95e9, pauses
    tap.in_time(sorted(pauses)[1] < 1.3e9, f'pauses of {pauses} ns')
    said = picture_words(viewer)
    assert said[:2] == ['NO SIGNAL', words] and said[3] == 'CAMERA CAM0', said
    late = cam.grant()                          # a session that comes now gets the picture too
    late.say(START)
    cam.run(20, lambda: late.generated)
    assert late.generated and not late.frames
    why, seen, ended = cam.fault, len(viewer.frames), time.monotonic_ns()
    end()
    cam.run(20, lambda: len(viewer.frames) > seen)
    assert len(viewer.frames) > seen, f'no frame came back: {cam.fault}'
    _, captured, age = viewer.frames[seen]
    assert captured > viewer.generated[-1]
    tap.in_time(age < 2e9, f'a frame of {age / 1e9:.1f} s')
    assert abs(viewer.tag()[2] - viewer.frames[-1][1]) < 1000, 'the picture is not of its time'
    cam.run(20, lambda: cam.signal == LIVE and cam.stats['generated'] >= len(viewer.generated))
    assert cam.signal == LIVE and cam.stats['generated'] >= len(viewer.generated) and viewer.ended is None
    late.say(STOP)
    return first, limit, f'{words.lower()}: first picture {first:.2f} s after the last frame, frames again ' \
        f'{(captured - ended) / 1e9:.1f} s after the end, the first {age / 1e6:.0f} ms old ({why})'


def in_time(cam, viewer, *what):
    """The first picture within its limit; a machine that stood still meanwhile has two more tries."""
    tries = []
    while not tries or (tries[-1][0] >= tries[-1][1] and len(tries) < 3):
        tries.append(fault(cam, viewer, *what))
    first, limit, note = tries[-1]
    tap.in_time(first < limit, f'the first picture after {[f"{t[0]:.2f} (of {t[1]:.2f})" for t in tries]} s')
    return f'{note}; try {len(tries)}'


def writing(path, text):
    return lambda: path.write_text(text)


def binding(driver, name):
    """Bind, and do what udev does on other boards: the nodes are new ones."""
    def bind():
        (driver / 'bind').write_text(name)
        subprocess.run(['/volet/start-board', '1'], check=True, timeout=30)
    return bind


def no_signal():
    """Sensor or board gone, broken and short frames: said in a picture within 1 s, and over by itself"""
    debug = pathlib.Path('/sys/kernel/debug/camsim/0')
    with Camera() as cam:
        viewer = cam.started().grant()
        viewer.say(START)
        notes = [in_time(cam, viewer, *what) for what in (
            (BROKEN, writing(debug / 'fault_crc', '1'), writing(debug / 'fault_crc', '0'), 'ONLY BROKEN FRAMES COME'),
            (BROKEN, writing(debug / 'fault_short_lines', '100'), writing(debug / 'fault_short_lines', '0'),
             'ONLY BROKEN FRAMES COME'),
            (UNPLUGGED, writing(SENSOR_DRIVER / 'unbind', '0-0037'), binding(SENSOR_DRIVER, '0-0037'),
             'CAMERA NOT CONNECTED'),
            (UNPLUGGED, writing(BOARD_DRIVER / 'unbind', 'camsim-0'), binding(BOARD_DRIVER, 'camsim-0'),
             'CAMERA NOT CONNECTED'))]
        assert len(viewer.frames) > 12 and cam.failed is None
        return notes


def busy_node():
    """Another program on the node: said so, and when it ends the frames come."""
    with mmap_user() as (other, _), Camera() as cam:
        viewer = cam.started().grant()
        viewer.say(START)
        cam.run(20, lambda: viewer.generated)
        assert cam.signal == BUSY and 'stop it)' in cam.fault and viewer.generated, cam.fault
        assert picture_words(viewer)[1] == 'IN USE BY ANOTHER PROGRAM'
        other.kill()
        cam.run(20, lambda: viewer.frames)
        assert viewer.frames and viewer.tag()[0] == 0, cam.fault


def contiguous():
    """A receiver of contiguous memory: frames all the same, and the weaker kind is said."""
    load('dma-contig')
    pathlib.Path('/run/cam.log').unlink(missing_ok=True)
    with Camera() as cam:
        viewer = cam.started().grant()
        viewer.say(START)
        cam.run(20, lambda: len(viewer.frames) > 8)
        assert viewer.tag()[0] == 0
        cam.run(1.2)
        assert cam.stats['memory'] == MMAP
        assert 'which is WEAKER' in pathlib.Path('/run/cam.log').read_text()
        return [f'the second opener: {watched()}']


def main():
    load('vmalloc')
    failures = tap.run([bad_sections, formats_must_match, controls_are_set, power_follows, frames_are_its_own,
                        slow_loses_its_own, privileges, second_opener, busy_node, no_signal, contiguous])
    unload()
    return 1 if failures else 0


if __name__ == '__main__':
    sys.exit(main())

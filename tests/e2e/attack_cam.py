#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""
A compromised volet-cam, on this machine: started by the real volet-spawn with the real handles, in
the real sandbox and its limits, led line by line (tests/attack/evil.h). Each attempt works where
nothing prevents it and is refused here; what it says to voletd or gives to a session that is not its
own ends itself or that session, with the exact reason; another camera's viewers notice nothing.
"""
import contextlib
import os
import re
import shutil
import signal
import socket
import struct
import subprocess
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import crowd                                                                    # noqa: E402
import native                                                                   # noqa: E402
import tagged                                                                   # noqa: E402
import tap                                                                      # noqa: E402
from evil import Lead                                                           # noqa: E402

EVIL_CAM = native.BUILD / 'tests/attack/evil-cam'
EVIL, UNCHECKED = native.HOME / 'evil', native.HOME / 'evil-unchecked'
EVILS, HONEST, NUMBER = [f'evil{i}' for i in range(4)], 'cam7', 7
BUS, FRAMES = 0, 1
# userspace/common/protocol.h
GRANT, END, READY, STATS, SESSION, FAILED, SIGNAL = 1, 2, 64, 65, 66, 67, 68
MEMORY, FRAME_READY, FRAME_START = 1, 2, 64
SLOTS, SLOT_SIZE, PAYLOAD = 4, 65536, 128
STALE_SLOT = 5
MIB = 384       # more than such a camera may have
KILLED = 'killed'
# How each ends in the sandbox with its limits; all work outside.
ATTEMPTS = {
    **dict.fromkeys(('open', 'create', 'device', 'proc-mem'), 'EACCES'),
    **dict.fromkeys(('memory', 'shared-memory', 'stack-memory', 'mapped-memfds'), 'ENOMEM'),
    'memfds': 'EMFILE',
    **dict.fromkeys(('exec', 'tcp', 'udp', 'socketpair', 'ptrace', 'kill', 'vm-read', 'steal-fd', 'fork',
                     'large-memfd'), KILLED),
}
PID = ('proc-mem', 'ptrace', 'kill', 'vm-read', 'steal-fd')


def number_for(name, pid):
    return pid if name in PID else 20 if name == 'fork' else 64 if name == 'large-memfd' else MIB if 'mem' in name else 0


def prepare():
    native.prepare()
    for where, rtsp in (EVIL, native.PROGRAMS), (UNCHECKED, native.FAULTY):
        shutil.copytree(native.PROGRAMS, where)
        (where / 'volet-cam').rename(where / 'volet-cam-real')
        shutil.copy(EVIL_CAM, where / 'volet-cam')
        shutil.copy(rtsp / 'volet-rtsp', where)


class Camera(Lead):
    """An evil volet-cam, as voletd has just started it."""

    def __init__(self, name, listener):
        connection, _ = listener.accept()
        super().__init__(connection)
        self.name, self.sizes = name, [self.sizes[2], self.sizes[1]]

    def ready(self, name=None):
        return self.send(BUS, struct.pack('<II32sII', READY, 0, (name or self.name).encode(), 320, 240))

    def bus(self, kind, data=b''):
        return self.send(BUS, struct.pack('<II', kind, 0) + data)

    def poke(self, offset, data):
        for at in range(0, len(data), 2000):
            self.say(f'poke {offset + at} {data[at:at + 2000].hex()}')


class Service(native.Streamer):
    """Four evil cameras and an honest one; alice has the evil ones, bob the honest one."""

    def __init__(self, programs=EVIL):
        self.listeners = {name: socket.socket(socket.AF_UNIX) for name in EVILS}
        for name, listener in self.listeners.items():
            listener.bind(f'\0volet-{name}')
            listener.listen(4)
            listener.settimeout(30)
        sections = {name: native.test_camera('320x240', 5, slots=SLOTS, **{'slot-size-kib': SLOT_SIZE // 1024})
                    for name in (*EVILS, HONEST)}
        crowd.RIGHTS.write_text(f'bob {native.PASSWORDS["bob"]} {HONEST} {NUMBER}\n')
        # Age is not what is tested: bob's viewers may read nothing for 3 s, and a busy machine's for longer.
        super().__init__(sections, 'max-sessions = 64\nage-limit-ms = 15000\n',
                         {'alice': (native.PASSWORDS['alice'], EVILS), 'bob': (native.PASSWORDS['bob'], [HONEST])},
                         programs)

    def wait_ready(self, names):
        self.until(lambda: f'{HONEST}: ready, ' in self.text(), 'the honest camera is ready')

    def camera(self, name, ready=True, shut=True):
        """The evil program that serves this camera now."""
        camera = Camera(name, self.listeners[name])
        if shut:
            camera.shut()
        if ready:
            mark = len(self.text())
            assert camera.ready() == 'ok'
            self.until(lambda: f'{name}: ready, ' in self.text()[mark:], f'{name} is ready')
        return camera

    def why(self, name, mark):
        """What voletd says of the camera's failure since `mark`."""
        pattern = rf'voletd: {name}: (.*); it will be started again'
        self.until(lambda: re.search(pattern, self.text()[mark:]), f'{name} is given up')
        return re.search(pattern, self.text()[mark:])[1]

    def __exit__(self, *args):
        super().__exit__(*args)
        for listener in self.listeners.values():
            listener.close()


@contextlib.contextmanager
def bystander(it):
    """Bob's three viewers play meanwhile: never ended, never without pictures, all their own."""
    process = crowd.crowd(it.port, 3, 3600, life_ms=10 ** 9)
    it.until(lambda: it.text().count('granted: session') >= 3, 'bob plays')
    got = {}
    try:
        yield got
    finally:
        process.send_signal(signal.SIGINT)
        got.update(crowd.figures(process, 60))
    ended = re.findall(rf'.* of bob on {HONEST} ended: .*', it.text())
    assert not any(got[k] for k in (*crowd.NOT_ONE, 'ended', 'refused')), '\n'.join([str(got), *ended])
    assert got['frames'] > 3, got


def test_attempts_bite():
    """Outside the sandbox and its limits: every attempt works"""
    with subprocess.Popen(['sleep', '600']) as other:
        for name in ATTEMPTS:
            done = subprocess.run([EVIL_CAM, name, str(number_for(name, other.pid))], timeout=60,
                                  capture_output=True, text=True, check=False)
            assert done.returncode == 0, f'{name}: {done.stdout}{done.stderr}'
        other.kill()
    return [f'worked: {" ".join(ATTEMPTS)} (memory: {MIB} MiB)']


def test_attempts_held():
    """In the sandbox with the real handles: every attempt is refused, and the other camera goes on"""
    out, turn, cameras = [], 0, {}
    with Service() as it, bystander(it):
        victims = [crowd.processes('volet-cam-real')[0], crowd.processes('voletd')[0], crowd.processes('volet-rtsp')[0]]
        for name, expected in ATTEMPTS.items():
            for pid in victims if name in PID else victims[:1]:
                which = EVILS[turn % len(EVILS)]
                turn += 1
                camera = cameras.pop(which, None) or it.camera(which)
                camera.bus(STATS)
                mark = len(it.text())
                result, count = camera.attempt(name, number_for(name, pid))
                assert result == expected, f'{name}: {result} {count}'
                if result != KILLED:
                    cameras[which] = camera
                    continue
                assert it.why(which, mark) == 'volet-cam is gone'
                wanted = signal.SIGXFSZ if name == 'large-memfd' else signal.SIGSYS
                it.until(lambda: f'{which}: volet-cam ended by signal {int(wanted)}' in it.text()[mark:],   # pylint: disable=W0640
                         f'{name}: signal {wanted}')
            out.append(f'{name} {expected}')
        assert set(victims) <= {p for n in ('volet-cam-real', 'voletd', 'volet-rtsp') for p in crowd.processes(n)}
    return [', '.join(out)]


NOT_PROTOCOL = 'volet-cam sent what is not in the protocol'
# what, already ready?, bytes, descriptors, filled up to size?, voletd's word
WRONG = [
    ('short', True, struct.pack('<II', STATS, 0), 0, False, NOT_PROTOCOL),
    ('long', True, bytes(2000), 0, False, NOT_PROTOCOL),
    ('empty', True, b'', 0, False, NOT_PROTOCOL),
    ('unknown type', True, struct.pack('<I', 99), 0, True, NOT_PROTOCOL),
    ('voletd\'s GRANT', True, struct.pack('<I', GRANT), 0, True, NOT_PROTOCOL),
    ('voletd\'s END', True, struct.pack('<I', END), 0, True, NOT_PROTOCOL),
    ('a descriptor', True, struct.pack('<I', STATS), 1, True, NOT_PROTOCOL),
    ('READY again', True, struct.pack('<II32s', READY, 0, b'evil0'), 0, True, NOT_PROTOCOL),
    ('READY as another camera', False, struct.pack('<II32s', READY, 0, HONEST.encode()), 0, True,
     'volet-cam says it is another camera'),
    ('SESSION before READY', False, struct.pack('<I', SESSION), 0, True, NOT_PROTOCOL),
    ('SIGNAL out of range', True, struct.pack('<III', SIGNAL, 0, 99), 0, True, NOT_PROTOCOL),
    ('SIGNAL without a NUL', True, struct.pack('<III', SIGNAL, 0, 2) + b'a' * 252, 0, True, NOT_PROTOCOL),
    ('FAILED without a NUL', True, struct.pack('<II', FAILED, 0) + b'a' * 256, 0, True, NOT_PROTOCOL),
    ('FAILED', True, struct.pack('<II', FAILED, 0) + b'no more', 0, True, 'volet-cam can\'t go on'),
]


def test_bus():
    """Malformed, forbidden, reordered messages and a flood to voletd: each ends that camera alone"""
    with Service() as it, bystander(it):
        for turn, (what, ready, data, fds, pad, word) in enumerate(WRONG):
            which = EVILS[turn % len(EVILS)]
            camera = it.camera(which, ready, False)
            if fds:
                camera.say('memory 4096 0')
            mark = len(it.text())
            with contextlib.suppress(OSError):
                camera.send(BUS, data, fds, pad)
            assert it.why(which, mark) == word, what
            camera.close()
        which = EVILS[len(WRONG) % len(EVILS)]
        camera, mark = it.camera(which), len(it.text())
        camera.attempt('flood-bus', 30)     # until a second in which voletd could read as many
        assert it.why(which, mark) == 'volet-cam floods its channel'
    return [f'{len(WRONG)} kinds, and a flood']


def test_others_session():
    """Its word about a session ends one of its own; another camera's it neither ends nor counts for"""
    def says_ended(camera, session):
        return camera.bus(SESSION, session + struct.pack('<QQQQQII', 9, 9, 9, 9, 9, STALE_SLOT, 0))

    with Service() as it, bystander(it):
        camera = it.camera(EVILS[0])
        reason, _ = deliver(it, camera, {'instead': says_ended}, [])
        assert reason == 'stale slot', reason
        ids = re.findall(rf'granted: session (\w+) of bob on {HONEST}', it.text())
        for session in ids:
            says_ended(camera, bytes.fromhex(session))
        mark = len(it.text())
        assert camera.bus(SIGNAL, struct.pack('<I252s', 5, b'still here')) == 'ok'
        it.until(lambda: 'still here' in it.text()[mark:], 'voletd has read that')
        time.sleep(2)
        assert not re.search(f'{HONEST} ended', it.text())
    return [f'{len(ids)} sessions']


# ---- frames ----------------------------------------------------------------------------------------

def stamp(session, camera, profile, generation, captured, slot, length):
    return struct.pack('<16s32s32sQQQIIII', session, camera, profile, generation, captured, generation, slot, length, 1, 0)


class Delivery:
    """What one grant's session is given; the differences from what is right are in `lies`."""

    def __init__(self, camera, lies):
        self.camera, self.lies = camera, lies

    def take_grant(self):
        grant = self.camera.receive(BUS, 200)
        if not grant or grant[0] != GRANT:
            return False
        self.session, self.profile = grant[8:24], grant[88:120]
        return True

    def memory(self):
        lies = self.lies
        slots, size = lies.get('slots', SLOTS), SLOT_SIZE
        assert self.camera.say(f'memory {lies.get("bytes", SLOTS * SLOT_SIZE)} {lies.get("sealed", 1)}') == 'ok'
        named = lies.get('memory-camera', self.camera.name)
        self.camera.send(FRAMES, struct.pack('<II16s32s32sIIIIII', MEMORY, 0, lies.get('memory-session', self.session),
                                             named.encode(), self.profile, slots, size, 1, 320, 240, 0), 1)

    def frame(self, generation, picture):
        lies, now = self.lies, time.monotonic_ns()
        right = {'session': self.session, 'camera': self.camera.name.encode(), 'profile': self.profile,
                 'generation': generation, 'captured': now, 'slot': 0, 'length': len(picture)}
        said = {**right, **lies.get('both', {}), **lies.get('message', {})}
        there = {**right, **lies.get('both', {}), **lies.get('slot', {})}
        if 'late' in lies:
            said['captured'] = there['captured'] = now + lies['late']
        self.camera.poke(0, stamp(**there))
        self.camera.poke(PAYLOAD, picture)
        return self.camera.send(FRAMES, struct.pack('<II', FRAME_READY, 0) + stamp(**said))

    def serve(self, pictures):
        """Until the session says no more: frames in slot 0, each once it is released."""
        if 'instead' in self.lies:
            self.lies['instead'](self.camera, self.session)
            return
        self.memory()
        message = self.camera.receive(FRAMES, 30000)
        for generation, picture in enumerate(pictures, 1):
            if not message:
                return
            self.frame(generation, picture)
            message = self.camera.receive(FRAMES, 30000)


FOREIGN = {'camera': HONEST.encode()}
LIES = {
    'another camera\'s frame': ({'both': FOREIGN}, 'foreign frame'),
    'another camera\'s in the slot': ({'slot': FOREIGN}, 'foreign frame'),
    'another camera\'s in the message': ({'message': FOREIGN}, 'foreign frame'),
    'another session\'s frame': ({'both': {'session': b'x' * 16}}, 'foreign frame'),
    'another session\'s in the slot': ({'slot': {'session': b'x' * 16}}, 'foreign frame'),
    'another profile\'s': ({'both': {'profile': b'other'}}, 'foreign frame'),
    'another camera\'s memory': ({'memory-camera': HONEST}, 'foreign frame'),
    'another session\'s memory': ({'memory-session': b'x' * 16}, 'foreign frame'),
    'memory that it can change': ({'sealed': 0}, 'protocol error'),
    'memory that is too small': ({'bytes': SLOT_SIZE}, 'protocol error'),
    'another generation in the slot': ({'slot': {'generation': 9}}, 'stale slot'),
    'a slot that there isn\'t': ({'both': {'slot': 99}}, 'protocol error'),
    'more bytes than a slot has': ({'both': {'length': SLOT_SIZE}}, 'protocol error'),
    'captured an hour from now': ({'late': 3600 * 10 ** 9}, 'protocol error'),
    'captured before the grant': ({'late': -10 ** 10}, 'protocol error'),
}


def deliver(it, camera, lies, pictures, shown=0):
    """
    One viewer of alice's, who leaves when so many pictures were shown, or when its session has ended;
    how that ended, and what the viewer was shown.
    """
    rights = native.HOME / 'rights-alice'
    rights.write_text(f'alice {native.PASSWORDS["alice"]} {camera.name} 0\n')
    process = subprocess.Popen([crowd.CROWD, f'--rights={rights}', f'--port={it.port}', '--sessions=1',
                                f'--seconds={0 if shown else 60}', f'--frames={shown}', '--life-ms=1000000000'],
                               stdout=subprocess.PIPE, text=True)
    delivery = Delivery(camera, lies)

    def ended():
        return re.search(rf'session {delivery.session.hex()} of alice on {camera.name} ended: ([^;\n]*)', it.text())

    try:
        it.until(delivery.take_grant, 'a grant comes')
        delivery.serve(pictures)
        if not shown:
            # Before its viewer goes; else that is the end that is told.
            with contextlib.suppress(tap.TooSlow):
                it.until(ended, 'the session ends by itself')
            process.send_signal(signal.SIGINT)
        got = crowd.figures(process, 60)
    finally:
        process.kill()
    it.until(ended, 'the session ends')
    while camera.receive(BUS, 100):     # its END, and grants of a viewer that came again
        pass
    return ended()[1], got


def pictures_of(number, count=3):
    return [tagged.jpeg(number, i + 1, time.monotonic_ns() + 10 ** 12) for i in range(count)]


def test_frames_bite():
    """Another camera's frames given to a session that doesn't look: its viewer is shown them"""
    with Service(UNCHECKED) as it:
        _, got = deliver(it, it.camera(EVILS[0]), {'both': FOREIGN}, pictures_of(NUMBER), 1)
    assert got['frames'] and got['foreign'] == got['frames'], got
    return [f'{got["foreign"]:.0f} of {got["frames"]:.0f} displayed frames were the other home\'s']


def test_frames_held():
    """Frames and memory that are not the session's: it ends for it, and its viewer is shown nothing"""
    with Service() as it, bystander(it):
        camera, strangers = it.camera(EVILS[0]), pictures_of(NUMBER)
        reason, got = deliver(it, camera, {}, pictures_of(0), 2)
        assert got['frames'] >= 2 and not got['foreign'], f'the right ones are shown: {reason} {got}'
        for what, (lies, expected) in LIES.items():
            camera.bus(STATS)
            reason, got = deliver(it, camera, lies, strangers)
            assert reason == expected, f'{what}: {reason}; log:\n{it.text()[-1500:]}'
            assert got['frames'] == 0, f'{what}: {got}'
    return [f'{len(LIES)} kinds']


CASES = [test_attempts_bite, test_attempts_held, test_bus, test_others_session, test_frames_bite, test_frames_held]

if __name__ == '__main__':
    prepare()
    wanted = sys.argv[1:]
    sys.exit(1 if tap.run([t for t in CASES if not wanted or t.__name__ in wanted]) else 0)

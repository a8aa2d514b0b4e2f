#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""
Local consumers, on this machine with `test` cameras: the example of userspace/examples as the
user that the configuration names, and a program that does what it may not. Who is who is the
kernel's word. Run as root inside `tests/vm/enter`, with build/native made.
"""
import contextlib
import json
import mmap
import os
import re
import shutil
import signal
import socket
import struct
import subprocess
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import tap                                                                      # noqa: E402
from native import BUILD, PROGRAMS, TAGREAD, Streamer, prepare, test_camera     # noqa: E402

SOCKET = '/run/volet/local.sock'
ANALYSER, OTHER, STRANGER = 60500, 60501, 60502
CAMERAS = {'cam0': test_camera('640x480', 10), 'cam1': test_camera('320x240', 10)}
GROUPS = '''
[profile cam0/screen]
codec = xrgb
[profile cam1/screen]
codec = xrgb
[local analyser]
uid = 60500
cameras = cam0
sessions = 2
[local other]
uid = 60501
cameras = cam0;cam1
'''
# userspace/common/protocol.h
CTL_SIZE, FRAME_SIZE, PAYLOAD = 704, 232, 128
GET_NONCE, AUTH, SENT, LOCAL, GRANTED, DENIED, END = 1, 2, 3, 6, 65, 66, 67
NO_CAMERA = 3
MEMORY, READY, FRAME_END, START, RELEASE, NEED_KEY, BUFFERS = 1, 2, 3, 64, 66, 67, 68
OWNER = 12


class Consumer:
    """A connection as that user, who is asked for by the kernel when it connects."""

    def __init__(self, uid):
        self.control = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.control.settimeout(10)
        self.frames = self.memory = None
        os.seteuid(uid)
        try:
            self.control.connect(SOCKET)
        finally:
            os.seteuid(0)

    def say(self, kind, data=b'', pad=True, fds=()):
        message = struct.pack('<II', kind, 0) + data
        socket.send_fds(self.control, [message.ljust(CTL_SIZE, b'\0') if pad else message], fds)

    def ask(self, camera, profile):
        self.say(LOCAL, struct.pack('32s32s', camera.encode(), profile.encode()))
        data, fds, _, _ = socket.recv_fds(self.control, CTL_SIZE, 1)
        kind, why = struct.unpack_from('<I4xI', data) if data else (0, 0)
        if kind == GRANTED:
            self.frames = socket.socket(fileno=fds[0])
            self.frames.settimeout(10)
        return kind, why

    def say_frames(self, kind, data=b'', fds=()):
        socket.send_fds(self.frames, [(struct.pack('<II', kind, 0) + data).ljust(FRAME_SIZE, b'\0')], fds)

    def take(self):
        data, fds, _, _ = socket.recv_fds(self.frames, FRAME_SIZE, 1)
        if data and struct.unpack_from('<I', data)[0] == MEMORY:
            self.slots, self.slot_size = struct.unpack_from('<II', data, 88)
            self.memory = mmap.mmap(fds[0], self.slots * self.slot_size, mmap.MAP_SHARED, mmap.PROT_READ)
        return data

    def picture(self):
        """The payload of one frame, as it is in the memory."""
        self.say_frames(START)
        data = self.take()
        assert struct.unpack_from('<I', data)[0] == READY, data[:8]
        slot, length = struct.unpack_from('<II', data, 8 + 104)
        begin = slot * self.slot_size + PAYLOAD
        return self.memory[begin:begin + length]

    def ended(self):
        """Nothing more comes but, perhaps, what was on its way and END."""
        with contextlib.suppress(ConnectionError):
            while data := self.control.recv(CTL_SIZE):
                assert struct.unpack_from('<I', data)[0] in (END, DENIED), data[:8]
        return True

    def close(self):
        self.control.close()
        if self.frames:
            self.frames.close()


def example(uid, camera, profile, frames):
    """The example, as that user."""
    return subprocess.Popen(
        ['setpriv', f'--reuid={uid}', f'--regid={uid}', '--clear-groups', 'stdbuf', '-oL', PROGRAMS / 'consumer',
         SOCKET, camera, profile, str(frames)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def tag_of(pixels, size):
    """Whose picture it is: the green bytes are gray enough for black and white."""
    return subprocess.run([TAGREAD, '--test', '--format', 'gray', '--size', size], input=pixels[1::4],
                          capture_output=True, check=False).stdout.decode()


def test_example():
    """The example as a consumer: frames as they are and as JPEG, each camera's own, in order"""
    with Streamer(CAMERAS, groups=GROUPS) as streamer:
        runs = [example(ANALYSER, 'cam0', 'screen', 8), example(OTHER, 'cam1', 'screen', 8),
                example(OTHER, 'cam0', 'jpeg', 8)]
        notes = []
        for run, wanted in zip(runs, ('cam0/screen .* 640x480 codec=3 length=1228800',
                                      'cam1/screen .* 320x240 codec=3 length=307200',
                                      r'cam0/jpeg .* 640x480 codec=1 length=\d+ first=255')):
            out, err = run.communicate(timeout=40)
            lines = out.splitlines()
            assert run.returncode == 0 and len(lines) == 8, (out, err, streamer.text()[-2000:])
            assert all(re.match(wanted, line) for line in lines), lines
            numbers = [int(n) for n in re.findall(r'sequence=(\d+)', out)]
            assert numbers == sorted(set(numbers)), numbers
            notes.append(lines[-1])
        streamer.until(lambda: len(re.findall(r'session \w+ was given 8 frames|ended: ', streamer.text())) >= 3,
                       'what each was given is in the account')
    return notes


def status(streamer):
    done = subprocess.run([BUILD / 'userspace/voletctl/voletctl', '--control', streamer.control, '--json', 'status'],
                          capture_output=True, text=True, check=True, timeout=20)
    return json.loads(done.stdout)


def test_own_picture():
    """What is in a consumer's memory is its own camera's picture, by its tag; status names it as local"""
    with Streamer(CAMERAS, groups=GROUPS) as streamer:
        notes = []
        for camera, size in ('cam0', '640x480'), ('cam1', '320x240'):
            consumer = Consumer(OTHER)
            assert consumer.ask(camera, 'screen')[0] == GRANTED
            consumer.take()
            tag = tag_of(consumer.picture(), size)
            assert f'camera={camera[-1]} ' in tag, tag
            notes.append(tag.strip())
            mine = [s for s in status(streamer)['sessions'] if s['camera'] == camera]
            assert [(s['viewer'], s['transport-class'], s['transport']) for s in mine] == \
                [('other', 'local', 'local program')], mine
            consumer.close()
    return notes


def raw_by_rtsp(streamer):
    done = subprocess.run(['ffmpeg', '-nostdin', '-v', 'error', '-rtsp_transport', 'tcp', '-i',
                           streamer.url('bob', 'cam0/screen'), '-frames:v', '1', '-f', 'null', '-'],
                          capture_output=True, text=True, timeout=40, check=False)
    return done.returncode, done.stderr


def test_refused():
    """Not for a stranger's uid, not another's camera, no more than its sessions, and raw not over the network"""
    with Streamer(CAMERAS, groups=GROUPS) as streamer:
        stranger = Consumer(STRANGER)
        with contextlib.suppress(ConnectionError):
            stranger.say(LOCAL, struct.pack('32s32s', b'cam0', b'screen'))
        assert stranger.ended()
        assert f'local: refused uid {STRANGER}' in streamer.text()
        consumer = Consumer(ANALYSER)
        for camera, profile in ('cam1', 'screen'), ('cam9', ''), ('cam0', 'nothing'):
            assert consumer.ask(camera, profile) == (DENIED, NO_CAMERA), (camera, profile)
        assert consumer.ask('cam0', '')[0] == GRANTED      # the same connection, what it may have
        second = Consumer(ANALYSER)
        assert second.ask('cam0', 'screen')[0] == GRANTED
        third = Consumer(ANALYSER)
        assert third.ended()
        for one in consumer, second, third, stranger:
            one.close()
        status, text = raw_by_rtsp(streamer)
        assert status and '404' in text, text
        assert raw_by_rtsp(streamer)[0] and 'has no such camera or profile' in streamer.text()
        with Consumer(ANALYSER).control:
            pass


# What ends a local session, and whether it was granted by then: (words, granted, do)
WRONG = [
    ('GET_NONCE', False, lambda c: c.say(GET_NONCE)),
    ('AUTH', False, lambda c: c.say(AUTH)),
    ('SENT before the grant', False, lambda c: c.say(SENT)),
    ('a short message', False, lambda c: c.say(LOCAL, pad=False)),
    ('a descriptor', False, lambda c: c.say(LOCAL, fds=[0])),
    ('a camera without a NUL', False, lambda c: c.say(LOCAL, b'c' * 32)),
    ('LOCAL again', True, lambda c: c.say(LOCAL, struct.pack('32s32s', b'cam0', b'screen'))),
    ('AUTH after the grant', True, lambda c: c.say(AUTH)),
    ('buffers, which are a display\'s', True, lambda c: c.say_frames(BUFFERS, struct.pack('<I', 0))),
    ('buffers with a descriptor', True, lambda c: c.say_frames(BUFFERS, struct.pack('<I', 1), [0])),
    ('a descriptor with START', True, lambda c: c.say_frames(START, fds=[0])),
]


def test_malformed():
    """Whatever is malformed or not a consumer's ends its session, and another consumer's goes on"""
    with Streamer(CAMERAS, groups=GROUPS) as streamer:
        other = example(OTHER, 'cam1', 'screen', 40)
        for what, granted, do in WRONG:
            consumer = Consumer(ANALYSER)
            if granted:
                assert consumer.ask('cam0', 'screen')[0] == GRANTED, what
                consumer.take()
            before = streamer.text().count('protocol error')
            do(consumer)
            assert consumer.ended(), what
            streamer.until(lambda: streamer.text().count('protocol error') > before, what)  # pylint: disable=W0640
            consumer.close()
        out, err = other.communicate(timeout=40)
        assert other.returncode == 0 and len(out.splitlines()) == 40, err
    return [f'{len(WRONG)} kinds']


def test_end():
    """Taken from the configuration: its session ends, what it mapped is its own and gets no frame more"""
    with Streamer(CAMERAS, groups=GROUPS) as streamer:
        other, mine = example(OTHER, 'cam1', 'screen', 30), example(ANALYSER, 'cam0', 'screen', 10000)
        consumer = Consumer(ANALYSER)
        assert consumer.ask('cam0', 'screen')[0] == GRANTED
        consumer.take()
        before = consumer.picture()
        assert mine.stdout.readline()
        streamer.config.write_text(streamer.config.read_text().replace('[local analyser]', '[local renamed]'))
        streamer.voletd.send_signal(signal.SIGHUP)
        kind, _, reason = struct.unpack_from('<III', consumer.control.recv(CTL_SIZE))
        assert (kind, reason) == (END, OWNER), (kind, reason)
        assert consumer.ended()
        err = mine.communicate(timeout=10)[1]
        assert mine.returncode == 0 and 'ended' in err, f'the example ends in order: {mine.returncode}, {err}'
        frame_end = consumer.take()
        while frame_end and struct.unpack_from('<I', frame_end)[0] == READY:
            frame_end = consumer.take()
        assert struct.unpack_from('<I', frame_end)[0] == FRAME_END, frame_end[:8]
        # It keeps its mapping, and nobody writes there any more.
        held, out = consumer.memory[:], other.communicate(timeout=40)[0]
        assert len(out.splitlines()) == 30, 'the other consumer goes on'
        assert held == consumer.memory[:] and before in held
        consumer.close()


TESTS = [test_example, test_own_picture, test_refused, test_malformed, test_end]


def main():
    prepare()
    shutil.copy(BUILD / 'userspace/examples/consumer', PROGRAMS)
    wanted = sys.argv[1:]
    return 1 if tap.run([t for t in TESTS if not wanted or t.__name__ in wanted]) else 0


if __name__ == '__main__':
    sys.exit(main())

# SPDX-License-Identifier: MIT
"""Leads a compromised program on the board (tests/attack/evil.h): its handles, its lies."""
import contextlib
import errno
import hashlib
import os
import pathlib
import re
import shutil
import socket
import struct
import time

import rtsp
import streamer

TESTS = '/usr/libexec/volet-tests'
CONTROL, FRAMES = 0, 1
# userspace/common/protocol.h
GET_NONCE, AUTH, SENT, LEAVE, NONCE, GRANTED, DENIED, END = 1, 2, 3, 4, 64, 65, 66, 67
MEMORY, READY, FRAME_END, START, STOP, RELEASE = 1, 2, 3, 64, 65, 66


def programs(**replaced):
    """A directory of programs in which evil ones stand for volet's: session=, cam=."""
    where = pathlib.Path('/run/volet-evil')
    shutil.rmtree(where, ignore_errors=True)
    shutil.copytree(streamer.NORMAL, where)
    for name, program in replaced.items():
        target = where / {'session': 'volet-rtsp', 'cam': 'volet-cam'}[name]
        target.unlink()
        shutil.copy(f'{TESTS}/{program}', target)
    where.chmod(0o755)
    return str(where)


class Lead:
    """Lines to an evil program and its answers; ConnectionError when it is no more."""

    def __init__(self, connection):
        self.socket, self.data = connection, b''
        self.socket.settimeout(40)
        self.sizes = [int(n) for n in self.say('sizes').split()]

    def say(self, line):
        self.socket.sendall(line.encode() + b'\n')
        while b'\n' not in self.data:
            more = self.socket.recv(65536)
            if not more:
                raise ConnectionError('the program is gone')
            self.data += more
        answer, _, self.data = self.data.partition(b'\n')
        return answer.decode()

    def send(self, channel, data, fds=0, pad=True):
        """A message, filled up with zeroes to its right size unless `pad` says otherwise."""
        if pad:
            data = data.ljust(self.sizes[channel], b'\0')
        return self.say(f'send {channel} {fds} {data.hex()}')

    def receive(self, channel, ms=10000):
        """The next message as bytes; None when there was none or the channel has ended."""
        answer = self.say(f'recv {channel} {ms}')
        return None if answer in ('none', 'end') else bytes.fromhex(answer.split()[0])

    def shut(self):
        answer = self.say('shut')
        assert answer == 'ok', answer

    def attempt(self, name, number=0):
        """'worked', the name of an errno, or 'killed'; and what it counted."""
        try:
            word, value = self.say(f'try {name} {number}').split()
        except OSError:
            return 'killed', 0
        return (word, int(value)) if word == 'worked' else (errno.errorcode[int(value)], 0)

    def close(self):
        self.socket.close()


class Session(Lead):
    """An evil session program, through the real door."""

    def __init__(self, viewer='alice', camera='cam0', shut=True, granted=True):
        connection = socket.create_connection(('127.0.0.1', 8554), timeout=40)
        self.viewer, self.camera = viewer, camera
        self.peer = '127.0.0.1:%u' % connection.getsockname()[1]
        connection.sendall(b'EVIL\n')
        super().__init__(connection)
        if shut:
            self.shut()
        if granted:
            self.grant()

    def nonce(self):
        self.send(CONTROL, struct.pack('<I', GET_NONCE))
        answer = self.receive(CONTROL)
        assert answer and answer[0] == NONCE, f'{answer}; log:\n{streamer.log()[-2000:]}'
        return answer[8:].split(b'\0')[0].decode()

    def auth(self, nonce, viewer=None, camera=None):
        """An AUTH message that is right for this viewer's password."""
        viewer, camera = viewer or self.viewer, camera or self.camera
        uri = f'rtsp://board/{camera}'
        ha1 = rtsp.md5(f'{viewer}:volet:{streamer.PASSWORDS[viewer]}')
        response = hashlib.md5(f'{ha1}:{nonce}:{rtsp.md5(f"DESCRIBE:{uri}")}'.encode()).hexdigest()
        return struct.pack('<II32s32s32s40s33s15s512s', AUTH, 0, viewer.encode(), camera.encode(), b'',
                           nonce.encode(), response.encode(), b'DESCRIBE', uri.encode())

    def grant(self):
        self.send(CONTROL, self.auth(self.nonce()))
        answer = self.receive(CONTROL)
        assert answer and answer[0] == GRANTED, f'{answer}; log:\n{streamer.log()[-2000:]}'
        self.id = answer[8:24]
        memory = self.receive(FRAMES)
        assert memory and memory[0] == MEMORY, memory
        self.slots, self.slot_size = struct.unpack_from('<II', memory, 88)

    def start(self):
        return self.send(FRAMES, struct.pack('<I', START))

    def release(self, slot, generation):
        return self.send(FRAMES, struct.pack('<IIQI', RELEASE, 0, generation, slot))

    def frame(self, ms=10000):
        """The next frame's stamp: (generation, captured_ns, sequence, slot, length), or None."""
        end = time.monotonic() + ms / 1000
        while time.monotonic() < end:
            msg = self.receive(FRAMES, ms)
            if not msg or msg[0] == FRAME_END:
                return None
            if msg[0] == READY:
                return struct.unpack_from('<QQQII', msg, 88)
        return None

    def handles(self):
        """Duplicates of all it has: control, viewer, frames, memfd."""
        name = f'volet-attack-{time.monotonic_ns()}'
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind('\0' + name)
            listener.listen(1)
            listener.settimeout(10)
            answer = self.say(f'give {name}')
            assert answer == 'ok', answer
            connection, _ = listener.accept()
            with connection:
                fds = socket.recv_fds(connection, 1, 8)[1]
        assert len(fds) == 4, fds
        return fds

    def leave(self):
        """Go as an honest program does."""
        with contextlib.suppress(OSError):
            self.send(CONTROL, struct.pack('<III', LEAVE, 0, 1))
        self.close()

    def ended(self, timeout=15):
        """What voletd's log says of this connection's end."""
        pattern = rf'{re.escape(self.peer)}: (?:session \w+ of .* ended|ended before a grant): ([^;\n]*).*\n'
        streamer.until(lambda: re.search(pattern, streamer.log()), timeout, f'{self.peer} ends')
        return re.search(pattern, streamer.log())[1]

    def alive(self):
        return not re.search(rf'{re.escape(self.peer)}: .*ended', streamer.log())

    def killed_by(self):
        found = re.search(rf'{re.escape(self.peer)}: volet-rtsp ended by signal (\d+)', streamer.log())
        return int(found[1]) if found else None


def inode(fd):
    return os.fstat(fd).st_ino

#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""
Whose bytes: what an ended session that kept every handle sees, and what a longer frame leaves
behind a shorter one. A build without the protection (see meson.options) shows first what
it is for.
"""
import contextlib
import mmap
import os
import pathlib
import re
import signal
import socket
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import cam                                                                      # noqa: E402
import tap                                                                      # noqa: E402
from evil import Session, inode, programs                                       # noqa: E402
from streamer import (LOOSE, NORMAL, PATIENT, log, only_own, processes, seen, start, stop,        # noqa: E402
                      until)

# ---- an ended session that kept everything -------------------------------------------------------

class Keeper:
    """Holds what a session had, after its end, outside of whatever kills it."""

    def __init__(self):
        evil = Session(shut=False)
        evil.start()
        assert evil.frame(), 'no frame before the end'
        self.control, self.viewer, self.frames, self.memfd = evil.handles()
        self.inode = inode(self.memfd)
        self.map = mmap.mmap(self.memfd, 0, mmap.MAP_SHARED, mmap.PROT_READ)
        for pid in processes('volet-rtsp'):
            os.kill(pid, signal.SIGKILL)
        assert evil.ended() == 'session program exited'
        # Nothing is written for it once the camera has said what it was given.
        until(lambda: f'session {evil.id.hex()} was given' in log(), 20, 'the camera has ended it')
        self.before = bytes(self.map)

    def changed(self):
        return self.map[:] != self.before

    def heard(self, fd):
        """Bytes that come on one of its sockets, after what was under way at the end."""
        total = 0
        with socket.socket(fileno=os.dup(fd)) as sock, contextlib.suppress(OSError):
            while data := sock.recv(65536, socket.MSG_DONTWAIT):
                total += len(data)
        return total


def next_sessions():
    """Two more sessions of the camera; the inodes of their memory, and who sees what."""
    inodes, sessions = [], [Session() for _ in range(2)]
    for evil in sessions:
        evil.start()
        assert evil.frame()
    for pid in processes('volet-rtsp'):
        inodes += memory_inodes(pid)
    for evil in sessions:
        evil.leave()
    only_own(seen('bob', 'cam0', 3), 0, 3)
    return inodes


def memory_inodes(pid):
    return [int(n) for n in re.findall(r'\S+ \S+ \S+ \S+ (\d+) +/memfd:volet-session',
                                       pathlib.Path(f'/proc/{pid}/maps').read_text())]


def test_kept_bites():
    """Memory lent again: an ended session that kept its mapping watches the next one's frames"""
    start(LOOSE, programs(session='evil-session'), extra=PATIENT)
    keeper = Keeper()
    inodes = next_sessions()
    assert keeper.changed(), 'the fault did not bite'
    assert keeper.inode in inodes
    changes = sum(a != b for a, b in zip(keeper.map[::997], keeper.before[::997]))
    return [f'{changes} of {len(keeper.before[::997])} sampled bytes changed']


def test_kept_held():
    """An ended session that kept every descriptor and mapping sees no later byte of anyone's"""
    start(NORMAL, programs(session='evil-session'), extra=PATIENT)
    keeper = Keeper()
    for fd in keeper.control, keeper.viewer, keeper.frames:
        keeper.heard(fd)
    inodes = []
    for _ in range(20 if 'SOAK' in os.environ else 2):
        inodes += next_sessions()
        assert not keeper.changed(), 'its mapping changed'
        assert not any(keeper.heard(fd) for fd in (keeper.control, keeper.viewer, keeper.frames))
    assert len(inodes) >= 4 and keeper.inode not in inodes, (keeper.inode, inodes)
    for pid in processes('volet-cam'):
        assert keeper.inode not in memory_inodes(pid), 'the producer still has it'
    # Its socket is no way to the viewer any more, nor its channels to anyone.
    for fd in keeper.control, keeper.viewer, keeper.frames:
        with socket.socket(fileno=os.dup(fd)) as sock:
            try:
                sock.send(b'x' * 88)
                raise AssertionError('an ended session still has somebody to talk to')
            except OSError:
                pass
    return [f'{len(inodes)} later memories, none its own; 0 bytes on its 3 sockets']


# ---- residue ---------------------------------------------------------------------------------------

@contextlib.contextmanager
def camera(programs_dir):
    """volet-cam alone, of this directory."""
    stop()
    cam.CAM = f'{programs_dir}/volet-cam'
    with cam.Camera() as it:
        yield it.started()


def test_tail_bites():
    """Not cleared: after a shorter frame the end of the longer one before stays in the slot"""
    with camera(LOOSE) as it:
        viewer = it.grant()
        viewer.say(cam.START)
        try:
            it.run(60)
        except AssertionError as error:
            assert 'tail' in str(error)
            return [f'after {len(viewer.frames)} frames']
    raise AssertionError('the fault did not bite')


def test_tail_held():
    """Bytes after the payload are zero, in every frame"""
    with camera(NORMAL) as it:
        viewer = it.grant()
        viewer.say(cam.START)
        it.run(20)
        it.run(60, lambda: len(viewer.frames) >= 20)
        tap.in_time(len(viewer.frames) >= 20, f'{len(viewer.frames)} frames')
    return [f'{len(viewer.frames)} frames']


CASES = [test_kept_bites, test_kept_held, test_tail_bites, test_tail_held]

if __name__ == '__main__':
    wanted = sys.argv[1:]
    failures = tap.run([t for t in CASES if not wanted or t.__name__ in wanted])
    stop()
    sys.exit(1 if failures else 0)

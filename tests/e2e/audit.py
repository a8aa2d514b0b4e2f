# SPDX-License-Identifier: MIT
"""
Whose memory each session's is, over a whole test, by what /proc says: one session's memory is in
one camera and one session program, for ever. Run as root.
"""
import collections
import contextlib
import os
import pathlib
import re

# What may hold a session's memory, besides its camera.
SESSIONS = ['volet-rtsp', 'volet-kms', 'consumer']
PROGRAMS = ['volet-spawn', 'volet-log', 'voletd', 'volet-cam', 'volet-opener', 'volet-tls', 'volet-sign', *SESSIONS]

Process = collections.namedtuple('Process', 'pid started name')


def read_process(path):
    """None when it isn't one of the streamer's, or has ended."""
    with contextlib.suppress(OSError):
        text = (path / 'stat').read_text()
        name, fields = text[text.index('(') + 1:text.rindex(')')], text[text.rindex(')') + 2:].split()
        if name in PROGRAMS and fields[0] != 'Z':
            return Process(int(path.name), int(fields[19]), name)
    return None


def processes():
    """Every process of the streamer, with its start, so that a pid used again isn't taken for the same."""
    return {read_process(path) for path in pathlib.Path('/proc').glob('[0-9]*')} - {None}


def held(process, what):
    """Files of this kind (the start of their link in /proc) that it maps or has open: (kind, inode)."""
    inodes, where = set(), pathlib.Path(f'/proc/{process.pid}')
    with contextlib.suppress(OSError):
        inodes |= {int(n) for n in re.findall(rf'\S+ \S+ \S+ \S+ (\d+) +{what}', (where / 'maps').read_text())}
        for fd in (where / 'fd').iterdir():
            with contextlib.suppress(OSError):
                if os.readlink(fd).startswith(what):
                    inodes.add(fd.stat().st_ino)
    return {(what, inode) for inode in inodes}


class Audit:
    """Look as often as you like: AssertionError at the first memory that is where it may not be."""

    MEMORY, BUFFER = '/memfd:volet-session', '/dmabuf'

    def __init__(self):
        self.owner, self.looks = {}, 0
        self.screens = {}       # a display's own buffers, which it hands up to its camera ...
        self.filled = set()     # ... that has had these

    @staticmethod
    def one_session(process, files, owner):
        for file in files:
            first = owner.setdefault(file, process)
            assert first == process, f'memory of {first} in {process}'

    def look_at(self, process, cams):
        memory, buffers = held(process, self.MEMORY), held(process, self.BUFFER)
        # A child of volet-spawn's may have become its program meanwhile, or another pid's owner.
        process = read_process(pathlib.Path(f'/proc/{process.pid}'))
        if not process:
            return
        if process.name == 'volet-cam':
            for file in memory | buffers:
                assert cams.setdefault(file, process) == process, f'{file} is in two cameras'
        elif process.name in SESSIONS:
            assert len(memory) <= 1, f'{process} has the memory of {len(memory)} sessions'
            self.one_session(process, memory, self.owner)
            if process.name == 'volet-kms':
                self.one_session(process, buffers, self.screens)
            else:
                assert not buffers, f'{process} has DMA-bufs'
        else:
            assert not memory | buffers, f'{process} has session memory'

    def look(self):
        cams = {}
        for process in processes():
            self.look_at(process, cams)
        self.looks += len(cams)
        self.filled |= set(cams) & set(self.screens)

    def left(self):
        """Buffers of displays that have ended and that a camera still has."""
        alive = processes()
        gone = {file for file, process in self.screens.items() if process not in alive}
        return [process for process in alive if process.name == 'volet-cam' and gone & held(process, self.BUFFER)]

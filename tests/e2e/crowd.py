#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""
A crowd, on this machine: many viewers of many test cameras, who come, stall, vanish and are ended
at random, and every picture that is displayed to one of them read for whose it is. A build
with the faults in it (a grant for the wrong camera, no look at what is given) shows first that
such a crowd sees it. SOAK=1: 1,044 viewers of 64 cameras.
"""
import contextlib
import os
import pathlib
import random
import re
import signal
import subprocess
import sys
import threading
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import native                                                                   # noqa: E402
import tap                                                                      # noqa: E402

CROWD = native.BUILD / 'tests/attack/crowd'
VOLETCTL = native.BUILD / 'userspace/voletctl/voletctl'
SOAK = 'SOAK' in os.environ
SEED = int(os.environ.get('SEED', random.randrange(1 << 30)))
RIGHTS = native.HOME / 'rights'
# cameras, viewers, seconds, frames at least, a viewer's mean stay, the time in which all come
SMALL = (16, 150, 24, 0, 8000, 6000)
WHOLE = (64, 1044, 600, 500_000, 90000, 150000)
NOT_ONE = ('foreign', 'unreadable', 'torn', 'early', 'disorder', 'broken', 'silent', 'id_again')


def rights(cameras):
    """One viewer for each camera, and its right: [(viewer, password, camera, number)]."""
    return [(f'viewer{i}', f'a-word-of-{i}', f'cam{i}', i) for i in range(cameras)]


def streamer(cameras, sessions, programs=None, rate=2, address='127.0.0.1'):
    """As native.Streamer, with a viewer for each camera and room for all."""
    its = rights(cameras)
    RIGHTS.write_text(''.join(f'{" ".join(map(str, right))}\n' for right in its))
    sections = {right[2]: native.test_camera('320x240', rate, **{'slot-size-kib': 64, 'slots': 3}) for right in its}
    extra = (f'max-sessions = {max(sessions + 8, 16)}\nmax-unauthenticated = 128\n'
             'max-unauthenticated-per-source = 128\n')
    return native.Streamer(sections, extra, {v: (p, [c]) for v, p, c, _ in its}, programs, address)


def crowd(port, sessions, seconds, **options):
    """The crowd's process; figures() reads what it says in the end."""
    words = [f'--{k.replace("_", "-")}={v}' for k, v in options.items()]
    return subprocess.Popen([CROWD, f'--rights={RIGHTS}', f'--port={port}', f'--sessions={sessions}',
                             f'--seconds={seconds}', f'--seed={SEED}', *words],
                            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)


def figures(process, limit):
    out = process.communicate(timeout=limit)[0]
    assert process.returncode == 0, out
    return {k: float(v) for k, v in re.findall(r'(\w+)=([\d.]+)', out)}


def processes(name):
    """Of this streamer: the test has a process namespace of its own."""
    found = []
    for path in pathlib.Path('/proc').glob('[0-9]*/comm'):
        with contextlib.suppress(OSError):
            if path.read_text().strip() == name:
                found.append(int(path.parent.name))
    return found


class Havoc:
    """Every while, what no viewer does: the owner ends some, a session or a camera is killed."""

    def __init__(self, every, cameras):
        self.every, self.cameras, self.random = every, cameras, random.Random(SEED)
        self.counts = {'ended by the owner': 0, 'sessions killed': 0, 'cameras killed': 0}
        self.over = threading.Event()
        self.thread = threading.Thread(target=self.run)

    def once(self, kind):
        """One event; `kind` from 0 to 1 says which."""
        if kind < 0.45:
            which = self.random.choice(['viewer:viewer', 'camera:cam']) + str(self.random.randrange(self.cameras))
            done = subprocess.run([VOLETCTL, '--control', '/run/volet/control.sock', 'end', which],
                                  capture_output=True, check=False, timeout=60)
            self.counts['ended by the owner'] += done.returncode == 0
        else:
            name = 'volet-rtsp' if kind < 0.9 else 'volet-cam'
            pids = processes(name)
            if pids:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(self.random.choice(pids), signal.SIGKILL)
                    self.counts['sessions killed' if name == 'volet-rtsp' else 'cameras killed'] += 1

    def run(self):
        first = [0.0, 0.5, 0.95]        # each kind once, whatever the dice say
        while not self.over.wait(self.random.expovariate(1 / self.every)):
            self.once(first.pop() if first else self.random.random())

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        self.thread.join()


def told(got):
    return ', '.join(f'{k} {got[k]:.0f}' for k in ('sessions', 'frames', *NOT_ONE[:-1]))


def test_bites():
    """A wrong grant that no session looks at: the crowd is shown strangers' homes"""
    with streamer(4, 16, native.FAULTY) as it:
        got = figures(crowd(it.port, 16, 5, life_ms=3000), 90)
    assert got['foreign'] > 10, f'the fault did not bite: {got}'
    return [f'{got["foreign"]:.0f} of {got["frames"]:.0f} displayed frames were another camera\'s']


def test_looked_at():
    """The same wrong grants, and sessions that look: nobody is shown anything"""
    with streamer(4, 16, native.CROSSED) as it:
        got = figures(crowd(it.port, 16, 4, life_ms=3000), 90)
        reasons = set(re.findall(r' of \S+ on \S+ ended: ([^;\n]*)', it.text()))
    assert got['frames'] == 0 and got['attempts'] > 16, got
    assert 'foreign frame' in reasons and reasons <= {'foreign frame', 'client gone'}, reasons
    return [f'{got["attempts"]:.0f} connections, {got["frames"]:.0f} frames']


def test_crowd():
    """Viewers that come, stall, die and are ended at random: of all that is displayed, nothing is foreign"""
    cameras, viewers, seconds, frames, life, ramp = WHOLE if SOAK else SMALL
    if SOAK:
        frames = int(os.environ.get('FRAMES', 3_000_000))
    with streamer(cameras, viewers) as it:
        process = crowd(it.port, viewers, seconds, frames=frames, played=viewers, life_ms=life, ramp_ms=ramp)
        with Havoc(0.5, cameras) as havoc:
            got = figures(process, 4 * 3600 if SOAK else 300)
        until_none_left(it)
    # Now voletd has told of all of them.
    ids = re.findall(r'session (\w{32}) of \w+ on \w+ ended', it.text())
    assert not any(got[k] for k in NOT_ONE), got
    assert got['ssrc_again'] <= 1, got              # 32 random bits may meet
    assert len(ids) == len(set(ids)) >= got['sessions'], (len(ids), got)
    assert got['sessions'] >= viewers, got
    faults = sum(havoc.counts.values()) + sum(got[k] for k in ('closes', 'resets', 'deaf', 'stalls', 'ended'))
    assert faults > viewers / 2 and all(havoc.counts.values()), (havoc.counts, got)
    tap.in_time(got['rate_median'] >= 1, f'{got}')
    return [f'seed {SEED}; {cameras} cameras, {viewers} viewers at once, {got["seconds"]:.0f} s; {told(got)}',
            f'{got["rate_median"]:.2f} frames/s a session at the median, {got["rate_p10"]:.2f} at the tenth part; '
            f'first picture after {got["first_median_ms"]:.0f} ms, {got["first_p99_ms"]:.0f} at p99',
            f'{faults:.0f} fault events: ' + ', '.join(f'{k} {v}' for k, v in havoc.counts.items()) + ', ' +
            ', '.join(f'{k} {got[k]:.0f}' for k in ('closes', 'resets', 'deaf', 'stalls', 'ended')),
            f'foreign, at 95 %: below {3 / got["sessions"]:.1e} of sessions and {3 / faults:.1e} of fault events '
            f'(as a second figure, {3 / got["frames"]:.1e} of frames)']


def until_none_left(it, limit=30):
    it.until(lambda: not processes('volet-rtsp'), 'no session is left', limit)


CASES = [test_bites, test_looked_at, test_crowd]

if __name__ == '__main__':
    native.prepare()
    wanted = sys.argv[1:]
    sys.exit(1 if tap.run([t for t in CASES if not wanted or t.__name__ in wanted]) else 0)

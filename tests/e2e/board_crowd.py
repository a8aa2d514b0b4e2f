#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""
A reduced crowd (crowd.py) on the board: real capture, real DMA-bufs, two cameras, twelve viewers of
640x360 pictures. The builds with the faults show first that such a crowd sees them.
"""
import os
import pathlib
import random
import re
import subprocess
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import tap                                                                      # noqa: E402
from streamer import CROSS, NORMAL, PASSWORDS, UNCHECKED, log, start, stop      # noqa: E402

CROWD = '/usr/libexec/volet-tests/crowd'
VIEWERS, SECONDS = 12, 600 if 'SOAK' in os.environ else 20
SEED = int(os.environ.get('SEED', random.randrange(1 << 30)))
RIGHTS = pathlib.Path('/run/rights')
SMALL = ''.join(f'\n[profile cam{i}/small]\ncodec = jpeg\nsize = 640x360\nrate = 2\n' for i in (0, 1))
# Age is not what is tested: the board may be slow, and it goes on until enough was displayed.
ROOM = 'max-unauthenticated = 64\nmax-unauthenticated-per-source = 32\nage-limit-ms = 15000\n'
NOT_ONE = ('foreign', 'unreadable', 'torn', 'early', 'disorder', 'broken', 'id_again')


def crowd(programs, sessions, seconds, frames, played):
    start(programs, sessions, ROOM, SMALL)
    RIGHTS.write_text(f'alice {PASSWORDS["alice"]} cam0/small 0\nbob {PASSWORDS["bob"]} cam1/small 1\n')
    done = subprocess.run([CROWD, f'--rights={RIGHTS}', f'--sessions={VIEWERS}', f'--seconds={seconds}', '--scaled',
                           f'--frames={frames}', f'--played={played}',
                           '--size=640x360', '--life-ms=8000', '--ramp-ms=6000', '--opening=4', f'--seed={SEED}'],
                          capture_output=True, text=True, check=True, timeout=seconds + 400)
    return {k: float(v) for k, v in re.findall(r'(\w+)=([\d.]+)', done.stdout)}


def test_bites():
    """Wrong grants that no session looks at: the crowd is shown the other home"""
    got = crowd(CROSS, UNCHECKED, 5, 6, 2)
    assert got['foreign'] >= 6, f'the fault did not bite: {got}'
    return [f'{got["foreign"]:.0f} of {got["frames"]:.0f} displayed frames']


def test_crowd():
    """Twelve viewers who come, stall, vanish and come again: nothing displayed is foreign"""
    got = crowd(NORMAL, NORMAL, SECONDS, 60, VIEWERS)
    ids = re.findall(r'granted: session (\w{32}) of', log())
    assert not any(got[k] for k in NOT_ONE), got
    assert got['sessions'] >= VIEWERS and got['frames'] > 50, got
    assert len(ids) == len(set(ids)) >= got['sessions'], (len(ids), got)
    return [f'seed {SEED}; {got["sessions"]:.0f} sessions, {got["frames"]:.0f} frames displayed, {got["rate_median"]:.2f} a '
            f'second at the median, {got["no_signal"]:.0f} pictures of the streamer\'s own; '
            f'below {3 / got["sessions"]:.1e} of sessions foreign at 95 %']


CASES = [test_bites, test_crowd]

if __name__ == '__main__':
    wanted = sys.argv[1:]
    failures = tap.run([t for t in CASES if not wanted or t.__name__ in wanted])
    stop()
    sys.exit(1 if failures else 0)

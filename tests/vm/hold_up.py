#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""
hold_up.py SECONDS NAME...: stops a random process whose name begins so, for up to a second, again and
again. A test that assumes which of two processes comes first, or that one comes soon, fails beside it
and nowhere else until the machine is busy. On the machine that runs the tests, as root:

    make check ONLY="attack_cam" & tests/vm/hold_up.py 60 volet evil crowd

`qemu-system` stops whole boards.
"""
import contextlib
import os
import pathlib
import random
import signal
import sys
import time

MOST, PAUSE = 1.0, 0.3          # seconds: of a stop at most, between two on average


def processes(names):
    """Those there are, by name."""
    found = {}
    for path in pathlib.Path('/proc').glob('[0-9]*/comm'):
        with contextlib.suppress(OSError):
            name = path.read_text().strip()
            if name.startswith(names):
                found.setdefault(name, []).append(int(path.parent.name))
    return found


def main(seconds, names):
    end, stops = time.monotonic() + seconds, 0
    while time.monotonic() < end:
        found = processes(names)
        if found:
            # A name first: a program that runs once is stopped as often as one that runs a hundred times.
            pid = random.choice(found[random.choice(list(found))])
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGSTOP)
                try:
                    time.sleep(random.uniform(0, MOST))
                finally:
                    os.kill(pid, signal.SIGCONT)
                stops += 1
        time.sleep(random.expovariate(1 / PAUSE))
    print(f'{stops} stops')


if __name__ == '__main__':
    if len(sys.argv) < 3 or not sys.argv[1].isdigit():
        sys.exit('hold_up.py SECONDS NAME...: for how long, and how the names of the processes begin')
    main(int(sys.argv[1]), tuple(sys.argv[2:]))

# SPDX-License-Identifier: MIT
"""Tests that print TAP: a function is a test, its docstring the name, an exception a failure."""
import sys
import time
import traceback


class Skip(Exception):
    """The test can't run here; the text says why."""


def run(tests):
    """Run the functions in order. Returns the number of failures."""
    failures = 0
    print('TAP version 13')
    print(f'1..{len(tests)}', flush=True)
    for number, test in enumerate(tests, 1):
        started, name = time.monotonic(), test.__doc__.strip().splitlines()[0].rstrip('.')
        try:
            notes = test() or []
            print(f'ok {number} - {name}')
        except Skip as skip:
            notes = []
            print(f'ok {number} - {name} # SKIP {skip}')
        except Exception:                               # a failing test must not stop the others
            failures += 1
            notes = traceback.format_exc().splitlines()
            print(f'not ok {number} - {name}')
        for note in [*notes, f'{time.monotonic() - started:.1f} s']:
            print(f'# {note}')
        sys.stdout.flush()
    return failures

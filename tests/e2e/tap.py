# SPDX-License-Identifier: MIT
"""
Tests that print TAP: a function is a test, its docstring the name, an exception a failure. What
was only too slow, on a machine that others use too, gets a second try, and the note says so; what
is wrong (a foreign frame, a wrong answer) never does.
"""
import sys
import time
import traceback


# Files whose last lines are shown with a failure; who writes one adds it.
LOGS = []


class Skip(Exception):
    """The test can't run here; the text says why."""


class TooSlow(AssertionError):
    """Something did not come in time, and nothing wrong came instead."""


def in_time(right, what):
    """A claim on time alone: where it isn't so, `what` says what was measured."""
    if not right:
        raise TooSlow(what)


def tried(test):
    """Run a test, twice when the first time was too slow. Returns its notes."""
    try:
        return test() or []
    except TooSlow as slow:
        first = str(slow).splitlines()[0][:300]
        return [*(test() or []), f'second try; the first was too slow: {first}']


def ends_of_logs():
    """The last lines of each, to say what the streamer thought."""
    return [line for log in LOGS if log.exists()
            for line in [f'{log}:', *log.read_text(errors='replace').splitlines()[-25:]]]


def run(tests):
    """Run the functions in order. Returns the number of failures."""
    failures = 0
    print('TAP version 13')
    print(f'1..{len(tests)}', flush=True)
    for number, test in enumerate(tests, 1):
        started, name = time.monotonic(), test.__doc__.strip().splitlines()[0].rstrip('.')
        try:
            notes = tried(test)
            print(f'ok {number} - {name}')
        except Skip as skip:
            notes = []
            print(f'ok {number} - {name} # SKIP {skip}')
        except Exception:                               # a failing test must not stop the others
            failures += 1
            notes = traceback.format_exc().splitlines() + ends_of_logs()
            print(f'not ok {number} - {name}')
        for note in [*notes, f'{time.monotonic() - started:.1f} s']:
            print(f'# {note}')
        sys.stdout.flush()
    return failures

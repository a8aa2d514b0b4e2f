#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""
A compromised session program on the board: started by the real volet-spawn, granted for
real, in the real sandbox. Each attempt works where nothing prevents it, and is refused here,
while another viewer's program plays on; the reason in voletd's log is the exact one.
"""
import concurrent.futures
import contextlib
import fcntl
import os
import signal
import socket
import statistics
import struct
import subprocess
import sys
import threading
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import tap                                                                      # noqa: E402
from evil import (AUTH, CONTROL, END, FRAME_END, FRAMES, GET_NONCE, GRANTED, LEAVE, MEMORY,     # noqa: E402
                  READY, SENT, TESTS, Session, programs)
from streamer import (NORMAL, PATIENT, Watcher, end_players, only_own, processes, start, stop,     # noqa: E402
                      until)

KILLED = 'killed'
# How each attempt ends in the sandbox; all of them work outside, on things without protection.
ATTEMPTS = {
    'map-writable': 'EPERM', 'mprotect': 'EACCES', 'remove': 'EACCES', 'memory': 'ENOMEM',
    **{name: KILLED for name in (
        'write', 'seal', 'udmabuf', 'truncate', 'punch', 'open', 'proc-mem', 'exec', 'tcp', 'udp', 'bind',
        'connect', 'sendto', 'ptrace', 'kill', 'vm-read', 'fork', 'shared-memory', 'stack-memory')},
}
SEALED = ('map-writable', 'mprotect', 'seal', 'truncate', 'punch', 'remove')
SOAK = 'SOAK' in os.environ
MIB = 320       # more than a session may have, less than the board has


def number_for(name, victim):
    if name in ('proc-mem', 'ptrace', 'kill', 'vm-read'):
        return victim
    return {'bind': 9300, 'connect': 8554, 'sendto': 9301, 'fork': 40}.get(
        name, MIB if 'memory' in name else 0)


def start_evil():
    start(NORMAL, programs(session='evil-session'), extra=PATIENT)


@contextlib.contextmanager
def bystander(camera='cam1', frames=3000):
    """Bob plays meanwhile; in the end all that he was shown is his own camera's."""
    watcher = Watcher('bob', camera, frames, 300)
    shown = watcher.lines
    watcher.wait(3)
    try:
        yield shown
        count = len(shown)
        until(lambda: len(shown) > count + 3, 30, 'bob still sees something')
    finally:
        end_players('bob')
        seen = watcher.tags()
    only_own(seen, int(camera[-1]), 3)


def ends(evil, reason, what='ended'):
    recorded = evil.ended()
    assert recorded == reason, f'{what}: recorded is {recorded!r}, not {reason!r}'


def victim():
    """A session process of bob's."""
    return until(lambda: processes('volet-rtsp'), 10, 'bob\'s session')[0]


def test_attempts_bite():
    """Outside the sandbox, on memory without seals: every attempt works"""
    stop()
    notes = []
    with subprocess.Popen(['sleep', '600']) as other:
        for name in ATTEMPTS:
            number = number_for(name, other.pid)
            if name == 'connect':
                number = 9302
            with socket.create_server(('127.0.0.1', 9302)):
                done = subprocess.run([f'{TESTS}/evil-session', name, str(number)], timeout=60,
                                      capture_output=True, text=True, check=False)
            # exec leaves nothing behind that could say so
            assert done.returncode == 0, f'{name}: {done.stdout}{done.stderr}'
            notes.append(name)
        other.kill()
    return [f'worked: {" ".join(notes)}']


def test_seals_hold():
    """The real memory without the sandbox: its seals alone refuse every way to change it"""
    start_evil()
    out = []
    for name in SEALED:
        evil = Session(shut=False)
        result, _ = evil.attempt(name)
        assert result in ('EPERM', 'EACCES'), f'{name}: {result}'
        out.append(f'{name} {result}')
        evil.close()
    # As root, who may open the device: no second DMA-buf can be made of it.
    evil = Session(shut=False)
    memfd = evil.handles()[3]
    device = os.open('/dev/udmabuf', os.O_RDWR)
    try:
        fcntl.ioctl(device, 0x40187542, struct.pack('<IIQQ', memfd, 0, 0, 4096))
        raise AssertionError('a DMA-buf was made of the session\'s memory')
    except OSError as error:
        out.append(f'udmabuf as root {error.strerror}')
    evil.close()
    return [', '.join(out)]


def test_attempts_held():
    """In the sandbox with the real handles: every attempt is refused, and bob notices nothing"""
    start_evil()
    out = []
    with bystander():
        other = victim()
        for name, expected in ATTEMPTS.items():
            evil = Session()
            result, count = evil.attempt(name, number_for(name, other))
            assert result == expected, f'{name}: {result} {count}'
            if result == KILLED:
                ends(evil, 'session program exited')
                # The file size limit of 0 is there before the seal.
                wanted = signal.SIGXFSZ if name == 'write' else signal.SIGSYS
                # voletd may see the channel's end before it hears of the signal.
                assert evil.killed_by() in (wanted, None), f'{name}: signal {evil.killed_by()}'
            evil.close()
            out.append(f'{name} {result}')
        assert other in processes('volet-rtsp')
    return [', '.join(out)]


def take_stolen(listener, got):
    listener.settimeout(12)
    with contextlib.suppress(OSError):
        while True:
            connection, _ = listener.accept()
            connection.settimeout(2)
            with contextlib.suppress(OSError):
                got.append(connection.recv(64))


def fast_open(shut):
    """What reaches a stranger's port from a session that is being ended."""
    got = []
    with socket.create_server(('127.0.0.1', 9310)) as listener:
        reader = threading.Thread(target=take_stolen, args=(listener, got))
        reader.start()
        for _ in range(8):
            evil = Session(shut=shut)
            result = evil.attempt('fastopen', 9310)[0]
            assert result == KILLED, result
            evil.close()
        time.sleep(1)
        listener.shutdown(socket.SHUT_RDWR)
        reader.join()
    return evil, got


def test_fastopen():
    """A socket that voletd has cut can't be connected elsewhere in the moment before the kill"""
    start_evil()
    _, got = fast_open(False)
    assert got, 'the fault did not bite: nothing arrived'
    evil, held = fast_open(True)
    assert not held, f'{held}'
    ends(evil, 'client gone')
    return [f'without the sandbox {len(got)} connections of 8 went elsewhere, in it {len(held)}']


# ---- messages ---------------------------------------------------------------------------------

def u32(*values):
    return struct.pack(f'<{len(values)}I', *values)


# (what, before the grant?, channel, bytes, descriptors, filled up to size?, recorded reason)
WRONG = [
    ('SENT before a grant', True, CONTROL, u32(SENT, 0), 0, True, 'protocol error'),
    ('LEAVE for no reason', True, CONTROL, u32(LEAVE, 0, 0), 0, True, 'protocol error'),
    ('LEAVE for an unknown reason', True, CONTROL, u32(LEAVE, 0, 999), 0, True, 'protocol error'),
    ('AUTH without a NUL', True, CONTROL, u32(AUTH, 0) + b'a' * 600, 0, True, 'protocol error'),
    ('type 0', True, CONTROL, u32(0), 0, True, 'protocol error'),
    ('a descriptor', True, CONTROL, u32(GET_NONCE, 0), 1, True, 'protocol error'),
    ('short', False, CONTROL, u32(SENT, 0), 0, False, 'protocol error'),
    ('long', False, CONTROL, bytes(2000), 0, False, 'protocol error'),
    ('empty', False, CONTROL, b'', 0, False, 'protocol error'),
    ('unknown type', False, CONTROL, u32(99, 0), 0, True, 'protocol error'),
    ('voletd\'s GRANTED', False, CONTROL, u32(GRANTED, 0), 0, True, 'protocol error'),
    ('voletd\'s END', False, CONTROL, u32(END, 0), 0, True, 'protocol error'),
    ('a descriptor', False, CONTROL, u32(SENT, 0), 1, True, 'protocol error'),
    ('sixteen descriptors', False, CONTROL, u32(SENT, 0), 16, True, 'protocol error'),
    ('short', False, FRAMES, u32(64), 0, False, 'protocol error'),
    ('long', False, FRAMES, bytes(500), 0, False, 'protocol error'),
    ('empty', False, FRAMES, b'', 0, False, 'protocol error'),
    ('unknown type', False, FRAMES, u32(99, 0), 0, True, 'protocol error'),
    ('volet-cam\'s MEMORY', False, FRAMES, u32(MEMORY, 0), 0, True, 'protocol error'),
    ('volet-cam\'s READY', False, FRAMES, u32(READY, 0), 0, True, 'protocol error'),
    ('volet-cam\'s END', False, FRAMES, u32(FRAME_END, 0), 0, True, 'protocol error'),
    ('a descriptor', False, FRAMES, u32(64, 0), 1, True, 'protocol error'),
    ('release of slot 99', False, FRAMES, struct.pack('<IIQI', 66, 0, 1, 99), 0, True, 'protocol error'),
    ('release of nothing', False, FRAMES, struct.pack('<IIQI', 66, 0, 0, 0), 0, True, 'stale slot'),
    ('release before a frame', False, FRAMES, struct.pack('<IIQI', 66, 0, 1, 0), 0, True, 'stale slot'),
]


def test_messages():
    """Malformed, reordered and forbidden messages: each ends its session alone, with its reason"""
    start_evil()
    with bystander():
        # The same ways with right messages go well.
        evil = Session()
        assert evil.send(CONTROL, u32(SENT, 0)) == 'ok' and evil.start() == 'ok'
        generation, _, _, slot, _ = evil.frame()
        assert evil.release(slot, generation) == 'ok' and evil.frame() and evil.alive()
        evil.close()
        for what, before, channel, data, fds, pad, reason in WRONG:
            evil = Session(granted=not before)
            with contextlib.suppress(OSError):      # ended before it could say that it was sent
                assert evil.send(channel, data, fds, pad) == 'ok', what
            ends(evil, reason, f'{what} on channel {channel}')
            evil.close()
    return [f'{len(WRONG)} kinds']


def test_order():
    """Right messages at the wrong time, or about another viewer, camera or frame"""
    start_evil()
    with bystander():
        for viewer, camera in ('bob', 'cam0'), ('alice', 'cam1'):
            evil = Session()
            with contextlib.suppress(OSError):
                evil.send(CONTROL, evil.auth(evil.nonce(), viewer, camera))
            ends(evil, 'asked for another viewer or camera or profile')
        evil = Session(granted=False)
        with contextlib.suppress(OSError):
            for _ in range(20):
                evil.nonce()
        ends(evil, 'wrong credentials')
        for again in False, True:
            evil = Session()
            evil.start()
            generation, _, _, slot, _ = evil.frame()
            with contextlib.suppress(OSError):
                evil.release(slot, generation if again else generation + 1)
                evil.release(slot, generation)
            ends(evil, 'stale slot')
        evil = Session()
        with contextlib.suppress(OSError):
            evil.send(CONTROL, u32(LEAVE, 0, 1))
        ends(evil, 'client gone')


def test_hold():
    """Who holds all slots gets no more frames, and nobody else loses one"""
    start_evil()
    with bystander('cam0') as shown:
        evil = Session()
        evil.start()
        got = 0
        while got < evil.slots and evil.frame():
            got += 1
        tap.in_time(got == evil.slots, f'{got} frames in {evil.slots} slots')
        assert not evil.frame(3000), 'a frame more than it has slots'
        before = len(shown)
        until(lambda: len(shown) >= before + 4, 30, 'bob goes on')
        evil.close()
    return [f'{got} frames for the holder']


# ---- too much -----------------------------------------------------------------------------------

def rates(shown, evil_part, rounds=SOAK * 6 + 2, seconds=5):
    """Bob's frames a second, alone and during the attack, in turn; medians."""
    alone, under = [], []
    with concurrent.futures.ThreadPoolExecutor() as pool:
        for _ in range(rounds):
            for list_, part in (alone, lambda: None), (under, evil_part):
                before, began = len(shown), time.monotonic()
                running = pool.submit(part)
                time.sleep(seconds)
                list_.append((len(shown) - before) / (time.monotonic() - began))
                running.result()
    return statistics.median(alone), statistics.median(under), alone


def test_floods():
    """A session that floods a channel is ended for it, and bob's frames go on"""
    start_evil()
    notes = []
    with bystander('cam0') as shown:
        for name in 'flood-control', 'flood-frames':
            reasons = []

            def attack(name=name, reasons=reasons):
                evil = Session()
                with contextlib.suppress(OSError):
                    evil.attempt(name, 30)      # until a tick in which as many could be read
                reasons.append(evil.ended())
                evil.close()

            alone, under, all_alone = rates(shown, attack)
            assert set(reasons) == {'protocol error'}, reasons
            tap.in_time(under > 0.5 * alone, f'{name}: {under:.2f} frames/s, alone {alone:.2f}')
            notes.append(f'{name}: {alone:.2f} frames/s alone ({min(all_alone):.2f} to '
                         f'{max(all_alone):.2f}), {under:.2f} under it')
    return notes


def test_burn():
    """As many busy threads as a session can have: a bounded number, and bob's frames go on"""
    start_evil()
    counts = []
    with bystander('cam0') as shown:
        def attack():
            evil = Session()
            counts.append(evil.attempt('burn', 4)[1])
            evil.close()

        alone, under, all_alone = rates(shown, attack)
    assert max(counts) < 40, counts
    tap.in_time(under > 0, f'{under} frames/s, alone {alone}')
    free = subprocess.run([f'{TESTS}/evil-session', 'burn', '1'], capture_output=True, text=True,
                          timeout=60, check=False).stdout.strip()
    return [f'outside: {free}', f'{max(counts)} threads, {alone:.2f} frames/s alone ({min(all_alone):.2f} to '
            f'{max(all_alone):.2f}), {under:.2f} under it']


CASES = [test_attempts_bite, test_seals_hold, test_attempts_held, test_fastopen, test_messages,
          test_order, test_hold, test_floods, test_burn]

if __name__ == '__main__':
    wanted = sys.argv[1:]
    failures = tap.run([t for t in CASES if not wanted or t.__name__ in wanted])
    stop()
    sys.exit(1 if failures else 0)

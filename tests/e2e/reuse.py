#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""
Fast reuse, on this machine: ports taken over by another home's viewer right after an end, addresses
that two hosts swap while they watch, uids, session ids and SSRCs. A stand-in that remembers who
was let in by where they came from (keyed.py) shows strangers' homes to the same viewers first.
"""
import os
import pathlib
import re
import signal
import subprocess
import sys
import threading
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import crowd                                                                    # noqa: E402
import keyed                                                                    # noqa: E402
import native                                                                   # noqa: E402
import netns                                                                    # noqa: E402
import tap                                                                      # noqa: E402

SOAK = 'SOAK' in os.environ
CAMERAS, VIEWERS = 8, 24
SECONDS = 300 if SOAK else 12
PORTS = '21000+27'          # a few more than viewers: what one has left, another takes at once
UIDS = 130                  # so few that they have to be used again
SERVER, HOSTS = '10.9.0.1', ['10.9.0.11', '10.9.0.12']
MACS = ['02:00:00:00:00:11', '02:00:00:00:00:12']
SWAPS = 20 if SOAK else 1


def hurry(port, seconds):
    """Viewers who stay for less than a second, from few ports."""
    return crowd.figures(crowd.crowd(port, VIEWERS, seconds, ports=PORTS, life_ms=700, opening=VIEWERS), seconds + 60)


def test_ports_bite():
    """A stand-in that knows viewers by address and port: who takes a port over is shown another home"""
    crowd.RIGHTS.write_text(''.join(f'{" ".join(map(str, right))}\n' for right in crowd.rights(CAMERAS)))
    with keyed.Keyed('127.0.0.1', CAMERAS, 2) as it:
        got = hurry(it.port, 5)
    assert got['foreign'] > 10 and got['port_again'] > 5, f'the fault did not bite: {got}'
    return [f'{got["port_again"]:.0f} ports taken over within 1 s; {got["foreign"]:.0f} of {got["frames"]:.0f} frames foreign']


class UidWatch:
    """When each session uid was whose, as often as /proc can be read."""

    def __init__(self):
        self.owner, self.seen, self.shortest, self.again = {}, {}, None, 0
        self.over = threading.Event()
        self.thread = threading.Thread(target=self.run)

    def look(self):
        now = time.monotonic()
        for pid in crowd.processes('volet-rtsp'):
            try:
                uid = int(re.search(r'Uid:\t(\d+)', pathlib.Path(f'/proc/{pid}/status').read_text())[1])
            except OSError:
                continue
            if self.owner.get(uid, pid) != pid:
                self.again += 1
                gap = time.monotonic() - self.seen[uid]     # the look itself may have taken long
                self.shortest = min(gap, self.shortest or gap)
            self.owner[uid], self.seen[uid] = pid, now

    def run(self):
        while not self.over.wait(0.2):
            self.look()

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        self.thread.join()


def test_ports_held():
    """The same viewers of Volet: nothing foreign, and no id, SSRC or uid is met again too soon"""
    native.SESSION_UIDS = f'61000-{61000 + UIDS - 1}'
    with crowd.streamer(CAMERAS, VIEWERS, rate=8) as it, UidWatch() as uids:
        got = hurry(it.port, SECONDS)
        crowd.until_none_left(it)
        ids = re.findall(r'granted: session (\w{32}) of', it.text())
    assert not any(got[k] for k in crowd.NOT_ONE), got
    assert got['port_again'] > 5 and got['sessions'] > VIEWERS, got
    assert len(ids) == len(set(ids)) >= got['sessions'], len(ids)
    assert got['ssrc_again'] <= 1, got              # 32 random bits may meet
    # It is looked at each 0.2 s or so: what was seen last may have ended a little later.
    assert (uids.again or not SOAK) and (not uids.again or uids.shortest >= 9), (uids.again, uids.shortest)
    return [f'seed {crowd.SEED}; {got["port_again"]:.0f} ports taken over within 1 s; {crowd.told(got)}',
            f'{len(ids)} session ids, no two the same; {got["ssrc_again"]:.0f} SSRCs met again; {uids.again} of {UIDS} uids '
            'were used again' + (f', the soonest after {uids.shortest:.1f} s' if uids.again else '')]


def swapping(hosts, port):
    """Two crowds, one in each host and of one home each, whose hosts swap addresses as they watch."""
    processes = []
    for number, host in enumerate(hosts):
        host.address(HOSTS[number], MACS[number])
        rights = native.HOME / f'rights-{number}'
        rights.write_text(f'{" ".join(map(str, crowd.rights(2)[number]))}\n')
        processes.append(subprocess.Popen(
            [*host.enter(), crowd.CROWD, f'--rights={rights}', f'--address={SERVER}', f'--port={port}', '--sessions=3',
             '--seconds=3600', '--life-ms=1000000000', '--silent-ms=1500', f'--seed={crowd.SEED}'],
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True))
    for swap in range(SWAPS):
        time.sleep(4)
        for number, host in enumerate(hosts):
            host.address(None, '02:00:00:00:00:99')     # nobody has it for a moment
        for number, host in enumerate(hosts):
            other = (number + swap + 1) % 2
            host.address(HOSTS[other], MACS[other])
    time.sleep(5)
    for process in processes:
        process.send_signal(signal.SIGINT)
    return [crowd.figures(process, 60) for process in processes]


def test_addresses():
    """Two hosts that swap addresses mid-stream: a stand-in that knows addresses shows each the other's, Volet never"""
    hosts = netns.network(SERVER, 2)
    try:
        with keyed.Keyed(SERVER, 2, 1) as it:
            loose = swapping(hosts, it.port)
        assert all(got['foreign'] > 3 for got in loose), f'the fault did not bite: {loose}'
        with crowd.streamer(2, 8, rate=8, address=SERVER) as it:
            held = swapping(hosts, it.port)
            ended = set(re.findall(r' ended: ([^;\n]*)', it.text()))
    finally:
        for host in hosts:
            host.end()
    for got in held:
        assert not any(got[k] for k in crowd.NOT_ONE if k != 'silent'), got
        assert got['sessions'] >= 6 and got['frames'] > 20, got
    return [f'stand-in: {", ".join(f"{g["foreign"]:.0f} of {g["frames"]:.0f} frames foreign" for g in loose)}',
            f'Volet: {", ".join(f"{g["foreign"]:.0f} of {g["frames"]:.0f}, {g["sessions"]:.0f} sessions" for g in held)}; '
            f'{SWAPS} swaps; ends: {", ".join(sorted(ended))}']


CASES = [test_ports_bite, test_ports_held, test_addresses]      # the last leaves this network

if __name__ == '__main__':
    native.prepare()
    wanted = sys.argv[1:]
    sys.exit(1 if tap.run([t for t in CASES if not wanted or t.__name__ in wanted]) else 0)

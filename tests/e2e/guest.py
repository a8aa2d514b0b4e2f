#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""
The streamer under attack, on the board: everything that needs no client outside it. Each
protection is first shown missing (the fault bites), then holding. What was seen is read
from displayed pixels: clients are ffmpeg, and the pixel tag of each decoded frame is read.
"""
import contextlib
import os
import pathlib
import re
import signal
import socket
import struct
import subprocess
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import cam                                                                      # noqa: E402
import rtsp                                                                     # noqa: E402
import tap                                                                      # noqa: E402
from streamer import (CROSS, NORMAL, PASSWORDS, PATIENT, UNCHECKED, Watcher, end_players, figures, log,  # noqa: E402
                      only_own, player, processes, rest, seen, start, stop, tags, uid_of, until)


# ---- who sees what -----------------------------------------------------------------------

def test_two_viewers():
    """Two viewers of two cameras at once: each displays only their own"""
    start(extra=PATIENT)
    pipes = [player('alice', 'cam0', 12), player('bob', 'cam1', 12)]
    for camera, pipe in enumerate(pipes):
        only_own(tags(pipe), camera, 12)


def test_crossing_bites():
    """Two cameras crossed, session check off: a foreign frame is displayed"""
    start(CROSS, UNCHECKED, extra=PATIENT)
    shown = [tag['camera'] for tag in seen('alice', 'cam0', 3) if tag]
    tap.in_time(shown, f'nothing was displayed; log:\n{log()[-3000:]}')
    assert 1 in shown, f'the fault did not bite: {shown}; log:\n{log()[-3000:]}'


def test_crossing_held():
    """Two cameras crossed, session check on: no frame leaves, and the reason is recorded"""
    start(CROSS, NORMAL, extra=PATIENT)
    shown = seen('alice', 'cam0', 3, 20)
    assert not shown, f'displayed: {shown}'
    until(lambda: 'foreign frame' in log(), 20, 'the reason is in the log')


def test_delay():
    """Frames displayed on the board are young"""
    start()
    # A player keeps what it has received for as long as it likes: with a small receive buffer
    # it can't fall far behind, and what is measured is the streamer's age.
    buffers = pathlib.Path('/proc/sys/net/ipv4/tcp_rmem')
    usual = buffers.read_text()
    buffers.write_text('4096 65536 131072')
    try:
        shown = seen('alice', 'cam0', 25, 90)
    finally:
        buffers.write_text(usual)
    only_own(shown, 0, 25)
    ages = sorted(tag['age_ms'] for tag in shown[5:])
    tap.in_time(ages[-1] < 2500, f'ages {ages}')
    return [f'capture to displayed pixel, one clock: median {ages[len(ages) // 2]} ms, '
            f'worst {ages[-1]} ms of {len(ages)} frames', *figures().splitlines()[-2:], *memory()]


def memory():
    """Private and proportional memory of a session process, while it plays."""
    watcher = Watcher('alice', 'cam0', 3000)
    watcher.wait(10)
    # The one of the player before may still be ending.
    until(lambda: len(processes('volet-rtsp')) == 1, 15, 'one session process')
    pid, = processes('volet-rtsp')
    text = pathlib.Path(f'/proc/{pid}/smaps_rollup').read_text()
    size = {k: int(v) for k, v in re.findall(r'(\w+):\s+(\d+) kB', text)}
    threads = len(os.listdir(f'/proc/{pid}/task'))
    end_players('alice')
    watcher.tags()
    return [f'session process: private {size["Private_Clean"] + size["Private_Dirty"]} kB, '
            f'proportional {size["Pss"]} kB, {threads} threads']


# ---- the door -----------------------------------------------------------------------------

def test_credentials():
    """Wrong password, unknown viewer and no credential: refused alike, and the connection ends"""
    start()
    answers = []
    for viewer, password in ('alice', 'wrong'), ('nobody', 'wrong'), ('', ''):
        client = rtsp.Client('cam0', viewer, password)
        status, headers, body = client.request('DESCRIBE')
        answers.append((status, sorted(headers), body))
        assert status == 401, f'{viewer}: {status}'
        client.close()
    assert answers[0] == answers[1], f'a wrong password can be told from an unknown viewer: {answers}'
    client = rtsp.Client('cam0', 'alice', 'wrong')
    tries = 0
    try:
        for tries in range(1, 10):
            client.nonce = None
            assert client.request('DESCRIBE')[0] == 401
    except ConnectionError:
        pass
    assert tries <= 4, f'{tries} wrong passwords on one connection'
    until(lambda: 'wrong credentials' in log(), 5, 'the reason is in the log')
    assert PASSWORDS['alice'] not in log() and 'nonce' not in log()


def test_cameras():
    """An unknown camera and another viewer's camera: the same 404"""
    start()
    answers = []
    for camera in 'nosuch', 'cam1':
        client = rtsp.Client(camera, 'alice', PASSWORDS['alice'])
        status, headers, body = client.request('DESCRIBE')
        answers.append((status, sorted(headers), body))
        assert status == 404, f'{camera}: {status}'
        client.close()
    assert answers[0] == answers[1], f'they can be told apart: {answers}'


def test_rebound():
    """A granted connection that asks for another camera ends"""
    start()
    client = rtsp.Client('cam0', 'bob', PASSWORDS['bob'])
    assert client.setup()[0] == 200, log()
    try:
        status = client.request('DESCRIBE', client.url.replace('cam0', 'cam1'))[0]
        assert status != 200, f'{status}'
    except ConnectionError:
        pass
    until(lambda: 'another viewer or camera' in log(), 5, 'the reason is in the log')
    client.close()


def test_garbage():
    """Garbage on the port ends its own connection and disturbs nobody"""
    start()
    pipe = player('alice', 'cam0', 10)
    until(lambda: 'granted' in log(), 60, 'alice is in')
    for data in os.urandom(4096), b'GET / HTTP/1.1\r\n\r\n', b'\0' * 100000, b'A' * 2000000, b'$\0\xff\xff':
        noise = rtsp.Client('cam0')
        try:
            noise.socket.sendall(data)
            noise.socket.shutdown(socket.SHUT_WR)
            while noise.socket.recv(65536):
                pass
        except OSError:
            pass
        noise.close()
    only_own(tags(pipe), 0, 10)
    until(lambda: not processes('volet-rtsp'), 15, 'the session processes are gone')


def hold(sources):
    """Connections that say nothing, from these addresses; those that are refused are left out."""
    held = []
    for source in sources:
        with contextlib.suppress(OSError):
            held.append(rtsp.Client('cam0', source=source))
    return held


def test_slots_one_source():
    """One source that opens fifty connections holds a few, and the owner gets in at once"""
    start()
    held = hold(['127.0.0.9'] * 50)
    until(lambda: processes('volet-rtsp'), 10, 'a session process')
    time.sleep(2)
    count = len(processes('volet-rtsp'))
    assert count <= 4, f'{count} session processes for one source'
    only_own(seen('alice', 'cam0', 3), 0, 3)
    for client in held:
        client.close()


def test_slots_all():
    """Every unauthenticated slot held from many sources: refused first, then the owner gets in"""
    start(extra='max-unauthenticated = 6\nauthentication-timeout-s = 8\n')
    held = hold([f'127.0.1.{i}' for i in range(1, 40)])
    began, refused, client = time.monotonic(), 0, None
    while True:
        try:
            client = rtsp.Client('cam0', 'alice', PASSWORDS['alice'], timeout=20)
            if client.setup()[0] == 200:
                break
        except OSError:         # on the way in, or at the first request
            refused += 1
        if client:
            client.close()
        assert time.monotonic() - began < 45, f'the owner was kept out; log:\n{log()[-3000:]}'
        time.sleep(0.3)
    client.close()
    assert refused > 0, 'the slots were not all held: the attack did not bite'
    assert 'not authenticated in time' in log()
    for other in held:
        other.close()
    return [f'refused {refused} times, in after {time.monotonic() - began:.1f} s']


def test_vanish():
    """A client that vanishes mid-frame: its process goes, the sensor powers down"""
    start(extra=PATIENT)
    client = rtsp.Client('cam0', 'alice', PASSWORDS['alice'])
    client.play()
    client.read(30000)
    assert processes('volet-rtsp')
    client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 0))
    client.close()
    until(lambda: not processes('volet-rtsp'), 10, 'the session process is gone')
    status = pathlib.Path('/sys/bus/i2c/devices/0-0037/power/runtime_status')
    until(lambda: status.read_text().strip() == 'suspended', 20, 'the sensor is powered down')


# ---- memory and sockets --------------------------------------------------------------------

def test_opener_bites():
    """A second opener of the node sees the frames of a program that uses MMAP buffers"""
    stop()
    with cam.mmap_user() as (_, seen_by_other):
        return seen_by_other


def test_opener_held():
    """A second opener of the node sees nothing of volet-cam's frames"""
    start(extra=PATIENT)
    watcher = Watcher('alice', 'cam0', 3000)
    watcher.wait(3)             # the node has its buffers
    status, text = cam.opener()
    end_players('alice')
    watcher.tags()
    assert status == 1, text
    return text


def send_until_full(victim):
    """In a child: write to the socket until it is killed."""
    pid = os.fork()
    if pid:
        return pid
    while True:
        victim.send(bytes(65536))


def test_kill_bites():
    """A killed process, its socket simply closed: the kernel still delivers what was queued"""
    listener = socket.create_server(('127.0.0.1', 9100))
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    client.connect(('127.0.0.1', 9100))
    victim, _ = listener.accept()
    pid = send_until_full(victim)
    victim.close()
    time.sleep(2)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    count = rest(client)
    assert count > 65536, f'the fault did not bite: {count} bytes'
    return [f'{count} bytes after the kill']


def test_kill_held():
    """A killed session with a full socket: less than 64 kB more reach the viewer"""
    start(extra=PATIENT)
    client = rtsp.Client('cam0', 'alice', PASSWORDS['alice'], receive_buffer=4096)
    client.play()
    time.sleep(4)
    for pid in processes('volet-rtsp'):
        os.kill(pid, signal.SIGKILL)
    until(lambda: 'session program exited' in log(), 5, 'voletd noticed')
    count = len(client.data) + rest(client.socket)
    assert count < 65536, f'{count} bytes after the kill'
    return [f'{count} bytes after the kill']


def test_stalled():
    """A viewer that stops reading is cut at the age limit, and the others go on"""
    start()
    client = rtsp.Client('cam0', 'bob', PASSWORDS['bob'], receive_buffer=4096)
    client.play()
    pipe = player('alice', 'cam0', 20)
    until(lambda: 'unsent bytes too old' in log(), 20, 'the stalled viewer is cut')
    only_own(tags(pipe), 0, 20)
    client.close()


def test_sandbox():
    """A session process has its own uid, no capability, no other descriptor, and the filter on"""
    start()
    pipe = player('alice', 'cam0', 12)
    until(lambda: 'granted' in log(), 60, 'alice is in')
    pid = until(lambda: processes('volet-rtsp'), 5, 'a session process')[0]
    status = dict(re.findall(r'(\w+):\s+(.*)', pathlib.Path(f'/proc/{pid}/status').read_text()))
    names = [os.readlink(f'/proc/{pid}/fd/{fd}') for fd in os.listdir(f'/proc/{pid}/fd')]
    pipe.terminate()
    pipe.communicate()
    uids = set(status['Uid'].split())
    assert len(uids) == 1 and 61000 <= int(uids.pop()) <= 61999, status['Uid']
    assert status['NoNewPrivs'] == '1' and status['Seccomp'] == '2', status
    assert all(int(status[c], 16) == 0 for c in ('CapPrm', 'CapEff', 'CapBnd', 'CapInh', 'CapAmb')), status
    odd = [n for n in names if not re.match(r'/dev/null|socket:|anon_inode:\[event|/run/volet/log|'
                                            r'/memfd:volet|pipe:', n)]
    assert not odd, f'descriptors {names}'
    return [f'descriptors: {sorted(names)}']


def test_camera_restart():
    """A killed volet-cam: its sessions end, the other camera's go on, and it is back"""
    start(extra=PATIENT)
    pipe = player('bob', 'cam1', 20)
    until(lambda: log().count('granted') >= 1, 60, 'bob is in')
    before = processes('volet-cam')
    assert len(before) == 2
    victim = next(p for p in before if uid_of(p) == 60900)     # the first camera's uid
    os.kill(victim, signal.SIGKILL)
    until(lambda: len(set(processes('volet-cam')) - set(before)) == 1, 5, 'cam0 is started again')
    only_own(tags(pipe), 1, 20)
    only_own(seen('alice', 'cam0', 3), 0, 3)


def test_contiguous():
    """A receiver that needs contiguous memory: MMAP is used, said to be weaker, and is"""
    stop()
    subprocess.run(['pkill', '-x', 'ffmpeg'], check=False)
    time.sleep(1)
    subprocess.run(['/volet/stop-board'], check=True, timeout=30)
    subprocess.run(['/volet/start-board', '2', 'dma-contig'], check=True, timeout=60)
    start(extra=PATIENT)
    watcher = Watcher('alice', 'cam0', 3000)
    watcher.wait(3)
    text = cam.watched()
    end_players('alice')
    only_own(watcher.tags(), 0, 3)
    assert 'WEAKER' in log(), log()[-3000:]
    return text


TESTS = [test_two_viewers, test_crossing_bites, test_crossing_held, test_delay,
         test_credentials, test_cameras, test_rebound, test_garbage, test_slots_one_source,
         test_slots_all, test_vanish, test_opener_bites, test_opener_held, test_kill_bites,
         test_kill_held, test_stalled, test_sandbox, test_camera_restart, test_contiguous]

if __name__ == '__main__':
    wanted = sys.argv[1:]
    failures = tap.run([t for t in TESTS if not wanted or t.__name__ in wanted])
    stop()
    sys.exit(1 if failures else 0)

#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""
Late is never: frames that are held back in a camera's process, in a session's, in the socket or
by a viewer that reads slowly, and what a description long before PLAY leaves behind. Each is
done first with an age limit that is as good as none (15 s, the most that can be configured),
then with a short one. Age is what the picture's own tag says against the same clock at the
moment its last byte was read; what a player does later is its own. On this machine, with
`test` cameras; run as root inside `tests/vm/enter`, with build/native and gst-server made.
"""
import contextlib
import functools
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
import rtpjpeg                                                                  # noqa: E402
import rtsp                                                                     # noqa: E402
import tap                                                                      # noqa: E402

SOAK = 'SOAK' in os.environ
HOLD = 10 if SOAK else 3            # seconds; under 15, the longest limit
# A session ends 5 s after its newest frame, whatever the limit: where a camera's frame is to come late it is
# held for less.
HOLD_CAMERA = min(HOLD, 4)
LIMIT, NONE = 1000, 15000           # ms
SLACK = 1.5                         # s: voletd looks twice a second, and a busy machine
NS = 1000000000


def cameras():
    """cam0 to be stopped in its encoder, where it nearly always is; the others are played slowly."""
    busy = native.test_camera('1920x1080', 120, **{'jpeg-quality': 10})
    return {'cam0': busy, **{f'cam{i}': native.test_camera('640x480', 10) for i in range(1, 5)}}


def streamer(limit):
    it = native.Streamer(cameras(), f'age-limit-ms = {limit}\n')
    it.limit = limit
    return it


def client_of(it, camera, **kwargs):
    return rtsp.Client(camera, 'bob', native.PASSWORDS['bob'], ('127.0.0.1', it.port), **kwargs)


def playing(it, camera, receive_buffer=None, **kwargs):
    client = client_of(it, camera, receive_buffer=receive_buffer)
    client.play()
    return rtpjpeg.Reader(client, **kwargs)


def wait_frames(it, reader, count):
    it.until(lambda: len(reader.frames.whole) >= count or reader.ended, f'{count} frames')
    if reader.ended and not reader.error:
        # Who can't read for a second, on a busy machine, is cut as well as who doesn't.
        end = rf':{reader.client.socket.getsockname()[1]}: session .* ended: '
        it.until(lambda: re.search(end, it.text()), 'why the connection ended')
        tap.in_time(not re.search(f'{end}unsent bytes too old', it.text()), f'{count} frames: the reader was cut')
    assert not reader.ended, f'the connection ended: {reader.error}; log:\n{it.text()[-2000:]}'


def tagged(frames, camera):
    rtpjpeg.read_tags(frames, native.TAGREAD, '1920x1080' if camera == 'cam0' else '640x480')
    assert all(f.tag and f.tag['camera'] == int(camera[-1]) for f in frames), [f.tag for f in frames]
    return frames


def age(frame):
    return (frame.ended_ns - frame.tag['time_ns']) / NS


def old(frames, before, after):
    """Frames captured before the one time whose last byte was read after the other."""
    return [f for f in frames if f.tag['time_ns'] < before and f.ended_ns > after]


def pid_of(name, uid_from, uid_to):
    """The processes of a program under these uids, the oldest first."""
    found = []
    for comm in pathlib.Path('/proc').glob('[0-9]*/comm'):
        with contextlib.suppress(OSError):
            status = comm.with_name('status').read_text()
            uid = int(status.split('Uid:')[1].split()[0])
            if comm.read_text().strip() == name and uid_from <= uid <= uid_to:
                found.append(int(comm.parent.name))
    return sorted(found)


def computes(pid):
    """Of a stopped process: it is in no system call, so that what it is doing is a frame."""
    while pathlib.Path(f'/proc/{pid}/stat').read_text().rsplit(') ', 1)[1][0] != 'T':
        time.sleep(0.001)
    return pathlib.Path(f'/proc/{pid}/syscall').read_text().startswith('-1 ')


def stop_in_frame(pid):
    """Stop volet-cam while it draws or encodes, however often it has to be tried."""
    for _ in range(2000):
        os.kill(pid, signal.SIGSTOP)
        if computes(pid):
            return True
        os.kill(pid, signal.SIGCONT)
        time.sleep(random.uniform(0.001, 0.01))
    return False


@contextlib.contextmanager
def stopped(pid, stop=lambda pid: os.kill(pid, signal.SIGSTOP), seconds=HOLD):
    """A process that does nothing for so long; yields the times of stop and end, while it is still stopped."""
    stop(pid)
    began = time.monotonic_ns()
    try:
        time.sleep(seconds)
        yield began, time.monotonic_ns()
    finally:
        os.kill(pid, signal.SIGCONT)


# ---- where a frame can be held back ---------------------------------------------------------------

def hold_camera(it):
    """volet-cam is stopped while it draws or encodes; again where that was in between after all."""
    late, tries = [], 0
    while not late and tries < (5 if it.limit == NONE else 1):
        reader = playing(it, 'cam0')
        wait_frames(it, reader, 5)
        pid = pid_of('volet-cam', 60900, 60900)[0]
        with stopped(pid, stop_in_frame, HOLD_CAMERA if it.limit == NONE else HOLD) as (began, ended):
            inside = computes(pid)
            count = len(reader.frames.whole)
        it.until(lambda: len(reader.frames.whole) > count + 3 or reader.ended, 'it goes on')    # pylint: disable=W0640
        # What came just before and after is enough, and decoding a thousand is not needed.
        frames = tagged([f for f in reader.stop() if abs(f.ended_ns - began) < NS or f.ended_ns > ended], 'cam0')
        late = old(frames, began, ended)
        tries += 1
    return {'late': late, 'in': inside, 'worst': max(map(age, frames))}


def hold_session(it):
    """volet-rtsp is stopped while its slots fill."""
    reader = playing(it, 'cam1')
    wait_frames(it, reader, 3)
    with stopped(pid_of('volet-rtsp', 61000, 61999)[-1]) as (began, ended):
        count = len(reader.frames.whole)
    it.until(lambda: len(reader.frames.whole) > count + 8 or reader.ended, 'it goes on')
    frames = tagged(reader.stop(), 'cam1')
    return {'late': old(frames, began + NS, ended), 'worst': max(map(age, frames)), 'frames': len(frames)}


def hold_socket(it):
    """The viewer reads nothing for HOLD seconds, and then all that is there."""
    reader = playing(it, 'cam2', 4096)
    wait_frames(it, reader, 3)
    reader.hold.set()
    time.sleep(HOLD)
    ended = time.monotonic_ns()
    reader.hold.clear()
    count = len(reader.frames.whole)
    it.until(lambda: len(reader.frames.whole) > count + 4 or reader.ended, 'it goes on')
    cut = reader.ended
    frames = tagged(reader.stop(), 'cam2')
    return {'late': old(frames, ended - int((LIMIT / 1000 + SLACK) * NS), ended), 'cut': cut,
            'worst': max(map(age, frames))}


def read_slowly(it):
    """A viewer with a line of 64 kbit/s in front of 10 frames a second."""
    reader = playing(it, 'cam3', 4096, piece=800, pause=0.1)
    end = time.monotonic() + HOLD + 4
    while time.monotonic() < end and not reader.ended:
        time.sleep(0.1)
    cut = reader.ended
    frames = tagged(reader.stop(), 'cam3')
    return {'cut': cut, 'worst': max([0, *map(age, frames)]), 'frames': len(frames), 'bytes': reader.bytes}


def describe(it):
    """The description is asked for HOLD seconds before PLAY, while somebody else watches the camera."""
    other = playing(it, 'cam4')
    client = client_of(it, 'cam4')
    assert client.setup()[0] == 200
    time.sleep(HOLD)
    return {**play_later(client, 'cam4'), 'others': len(other.stop())}


def describe_usual(_):
    """The same with gst-rtsp-server as it comes."""
    server = subprocess.Popen([native.BUILD / 'tests/attack/gst-server'], stdout=subprocess.PIPE, text=True)
    try:
        client = rtsp.Client('cam1', address=('127.0.0.1', int(server.stdout.readline())), timeout=30)
        assert client.setup()[0] == 200
        time.sleep(HOLD)
        return play_later(client, 'cam1')
    finally:
        server.kill()
        server.wait()


def play_later(client, camera):
    played = time.monotonic_ns()
    assert client.request('PLAY', extra='Range: npt=0.000-\r\n')[0] == 200
    reader = rtpjpeg.Reader(client)
    end = time.monotonic() + 20
    while len(reader.frames.whole) < 3 and time.monotonic() < end:
        time.sleep(0.05)
    frames = tagged(reader.stop(), camera)
    tap.in_time(len(frames) >= 3, f'{len(frames)} frames after PLAY')
    return {'late': [f for f in frames if f.tag['time_ns'] < played], 'worst': max(map(age, frames)),
            'first': (frames[0].tag['time_ns'] - played) / NS}


@functools.cache
def results(limit):
    """All of them at once, each on a camera of its own: {name: what it saw}."""
    out, threads = {}, []

    def run(name, function):
        try:
            out[name] = function(it)
        except Exception as error:                  # pylint: disable=W0718
            out[name] = error
    with streamer(limit) as it:
        # First, so that its session's process is the only one to be stopped.
        run('session', hold_session)
        for name, function in {'camera': hold_camera, 'socket': hold_socket, 'slow': read_slowly,
                               **({'usual': describe_usual} if limit == NONE else {'describe': describe})}.items():
            threads.append(threading.Thread(target=run, args=(name, function), daemon=True))
            threads[-1].start()
        for thread in threads:
            thread.join()
        out['log'] = it.text()
    return out


def result(limit, name):
    found = results(limit)[name]
    if isinstance(found, tap.TooSlow):
        results.cache_clear()           # for the second try
    if isinstance(found, Exception):
        raise found
    return found


# ---- the claims -------------------------------------------------------------------------------------

def test_camera():
    """A frame that volet-cam holds back in its encoder comes late without a limit, and never with one"""
    without, held = result(NONE, 'camera'), result(LIMIT, 'camera')
    assert without['late'], f'the fault did not bite: {without}'
    assert held['in'], 'no frame was in the encoder'
    assert not held['late'], f'{len(held["late"])} old frames came, the oldest of {held["worst"]:.1f} s'
    return [f'held {HOLD_CAMERA} s without a limit: {without["worst"]:.1f} s; {HOLD} s with {LIMIT} ms: '
            f'{held["worst"]:.2f} s at worst']


def test_session():
    """Frames that wait in a session's memory while volet-rtsp does nothing: as above"""
    without, held = result(NONE, 'session'), result(LIMIT, 'session')
    assert without['late'], f'the fault did not bite: worst {without["worst"]:.1f} s'
    assert not held['late'], f'{len(held["late"])} old frames came, the oldest of {held["worst"]:.1f} s'
    return [f'held {HOLD} s: without a limit {len(without["late"])} old frames, with {LIMIT} ms none; '
            f'the worst of {held["frames"]} frames {held["worst"]:.2f} s']


def test_socket():
    """Frames in the socket of a viewer that reads nothing for a while: the connection is cut instead"""
    without, held = result(NONE, 'socket'), result(LIMIT, 'socket')
    assert without['late'] and not without['cut'], f'the fault did not bite: worst {without["worst"]:.1f} s'
    assert held['cut'], 'the connection was not cut'
    assert not held['late'], f'{len(held["late"])} old frames came, the oldest of {held["worst"]:.1f} s'
    return [f'held {HOLD} s: without a limit {len(without["late"])} old frames, the worst {without["worst"]:.1f} s; '
            f'with {LIMIT} ms none']


def test_slow():
    """A viewer at 64 kbit/s with a full queue: late without a limit, cut with one"""
    without, held = result(NONE, 'slow'), result(LIMIT, 'slow')
    assert without['worst'] > LIMIT / 1000 + SLACK, f'the fault did not bite: worst {without["worst"]:.1f} s'
    assert held['cut'], 'the connection was not cut'
    assert held['worst'] < LIMIT / 1000 + SLACK, f'a frame of {held["worst"]:.1f} s came'
    assert 'unsent bytes too old' in results(LIMIT)['log']
    return [f'without a limit a frame of {without["worst"]:.1f} s; with {LIMIT} ms {held["frames"]} frames of at most '
            f'{held["worst"]:.2f} s, then cut after {held["bytes"]} bytes']


def test_describe_bites():
    """gst-rtsp-server as it comes: PLAY long after DESCRIBE begins with the frame of then"""
    seen = result(NONE, 'usual')
    assert seen['late'] and seen['first'] < -0.8 * HOLD, f'the fault did not bite: {seen}'
    return [f'{len(seen["late"])} of the first frames from before PLAY, the first from {-seen["first"]:.1f} s before']


def test_describe_held():
    """A description long before PLAY: every frame was captured after PLAY"""
    seen = result(LIMIT, 'describe')
    assert seen['others'] > 10, 'the camera was not captured from meanwhile'
    assert not seen['late'], f'frames from before PLAY: first {seen["first"]:.1f} s'
    return [f'the first frame was captured {seen["first"] * 1000:.0f} ms after PLAY; '
            f'{seen["others"]} frames went to another viewer meanwhile']


def main():
    native.prepare()
    tests = [test_camera, test_session, test_socket, test_slow, test_describe_bites, test_describe_held]
    return 1 if tap.run([t for t in tests if not sys.argv[1:] or t.__name__ in sys.argv[1:]]) else 0


if __name__ == '__main__':
    sys.exit(main())

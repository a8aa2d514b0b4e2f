#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""
Slow viewers: one that reads nothing, one at 64 kbit/s, one that reads a byte a second. What
they get is whole frames or none, what is kept for them is bounded, and another viewer's rate
and delay stay as they are alone, measured in turns within one run. Relays that drop or wait
where a viewer is slow, and a volet-rtsp that queues without end, show what each is worth. On
this machine, with `test` cameras; run as root inside `tests/vm/enter`, with build/native and
volet-rtsp-late made.
"""
import contextlib
import os
import pathlib
import re
import shutil
import socket
import statistics
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
SIZE, NS = '640x480', 1000000000
WINDOW = 6 if SOAK else 1.5         # seconds of one measurement
ROUNDS = (10, 30) if SOAK else (3, 8)      # at least, and at most until the medians are known well enough
RATE = 10                                   # frames a second
# What the others may lose: 5 % of the rate, and of a frame's time.
SLOWER, LATER = 0.05, 0.05 * 1000 / RATE    # of 1, ms
# name: bytes at once, pause after them in s
PACES = {'reads nothing': (0, 0), '64 kbit/s': (800, 0.1), 'a byte a second': (1, 1)}


def client_of(it, camera='cam0', receive_buffer=4096):
    return rtsp.Client(camera, 'bob', native.PASSWORDS['bob'], ('127.0.0.1', it.port), receive_buffer=receive_buffer)


def slow_reader(client, pace):
    """Or one that isn't, where the pace is None."""
    if not pace:
        return rtpjpeg.Reader(client)
    piece, pause = PACES[pace]
    reader = rtpjpeg.Reader(client, piece or 1, pause)
    if not piece:
        reader.hold.set()
    return reader


class Slow(threading.Thread):
    """A slow viewer that comes again each time it is cut."""

    def __init__(self, it, pace):
        super().__init__(daemon=True)
        self.it, self.pace = it, pace
        self.stopping, self.plays = threading.Event(), threading.Event()
        self.whole, self.error, self.cuts = [], None, 0
        self.start()

    def run(self):
        while not self.stopping.is_set():
            try:
                client = client_of(self.it)
                client.play()
                reader = slow_reader(client, self.pace)
                self.plays.set()
                while not self.stopping.is_set() and not self.gone(client, reader):
                    self.stopping.wait(0.1)
                self.cuts += not self.stopping.is_set()
                self.whole += reader.stop()
            except ConnectionError:
                pass
            except AssertionError as error:
                self.error = error
                return

    @staticmethod
    def gone(client, reader):
        """Who doesn't read doesn't notice: look at the state, 1 being established."""
        return reader.ended or client.socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0] != 1

    def stop(self):
        self.stopping.set()
        self.join()
        if self.error:
            raise self.error
        return self.whole


class Watch:
    """A player all the time; every displayed frame's time and age."""

    def __init__(self, it):
        self.frames = []
        self.pipe = subprocess.Popen(
            ['sh', '-c', f'ffmpeg -nostdin -v error {" ".join(native.QUICK)} -flags low_delay -rtsp_transport tcp '
             f'-i {it.url("alice", "cam0")} -fps_mode passthrough -f rawvideo -pix_fmt gray - 2>{native.HOME}/ffmpeg | '
             f'{native.TAGREAD} --test --size {SIZE} 2>/dev/null'], stdout=subprocess.PIPE, text=True)
        self.reader = threading.Thread(target=self.read)
        self.reader.start()
        it.until(lambda: len(self.frames) > 10, 'the player shows frames')

    def read(self):
        for line in self.pipe.stdout:
            found = re.search(r'time_ns=(\d+) .* age_ms=([\d.]+)', line)
            assert found, line
            self.frames.append((int(found[1]), float(found[2])))

    def window(self):
        """(frames a second, median delay in ms) of what was captured in the next WINDOW seconds."""
        began = time.monotonic_ns()
        time.sleep(WINDOW)
        ended = time.monotonic_ns()
        time.sleep(0.3)
        times, ages = zip(*[f for f in self.frames if began < f[0] < ended] or [(0, 0)])
        tap.in_time(len(times) > 2, f'{len(times)} frames in {WINDOW} s')
        return (len(times) - 1) / ((times[-1] - times[0]) / NS), statistics.median(ages)

    def stop(self):
        for comm in pathlib.Path('/proc').glob('[0-9]*/comm'):
            with contextlib.suppress(OSError):
                if comm.read_text().strip() == 'ffmpeg':
                    os.kill(int(comm.parent.name), 15)
        self.reader.join()
        self.pipe.wait()


def of_programs(name):
    found = []
    for comm in pathlib.Path('/proc').glob('[0-9]*/comm'):
        with contextlib.suppress(OSError):
            if comm.read_text().strip() == name:
                found.append(int(comm.parent.name))
    return found


def anonymous_kib(pid):
    return int(re.search(r'RssAnon:\s+(\d+)', pathlib.Path(f'/proc/{pid}/status').read_text())[1])


def queued(port):
    """Bytes in the kernel for the viewers of this port, the most for one."""
    rows = [line.split() for line in pathlib.Path('/proc/net/tcp').read_text().splitlines()[1:]]
    return max([int(row[4].split(':')[0], 16) for row in rows if row[1].endswith(f':{port:04X}')] or [0])


# ---- the others ----------------------------------------------------------------------------------------

def beside(it, watch, paces):
    """One window with these viewers there; what they got, and how often they were cut."""
    others = [Slow(it, pace) for pace in paces]
    try:
        for viewer in others:
            tap.in_time(viewer.plays.wait(20), f'the viewer who reads {viewer.pace or "all"} did not play')
        measured = watch.window()
    finally:
        whole = [f for viewer in others for f in viewer.stop()]
    it.until(lambda: len(of_programs('volet-rtsp')) == 1, 'the other viewers are gone')
    return measured, whole, sum(viewer.cuts for viewer in others)


class Median:
    """A median, and how far from it the true one may be (95 %, as the notches of a box plot)."""

    def __init__(self, values):
        low, self.value, high = statistics.quantiles(values, n=4)
        self.spread = 1.57 * (high - low) / len(values) ** 0.5

    def over(self, limit):
        """Surely more than that."""
        return self.value - self.spread > limit


class Comparison:
    """What the watching viewer loses beside three slow ones, against `before()`, window by window."""

    def __init__(self, it, watch, before):
        self.it, self.watch, self.before = it, watch, before
        self.slower, self.later, self.base, self.whole, self.cuts = [], [], [], [], 0

    def beside(self):
        measured, whole, cuts = beside(self.it, self.watch, list(PACES))
        self.whole, self.cuts = self.whole + whole, self.cuts + cuts
        return measured

    def one(self):
        """A window of each, in turns first and second."""
        if len(self.base) % 2:
            base = self.before()
            rate, delay = self.beside()
        else:
            rate, delay = self.beside()
            base = self.before()
        self.base.append(base)
        self.slower.append(1 - rate / base[0])
        self.later.append(delay - base[1])

    def known(self):
        return Median(self.slower).spread <= SLOWER and Median(self.later).spread <= LATER / 2

    def run(self):
        while len(self.base) < ROUNDS[0] or (len(self.base) < ROUNDS[1] and not self.known()):
            self.one()
        return not (Median(self.slower).over(SLOWER) or Median(self.later).over(LATER))

    def told(self, what):
        slower, later = Median(self.slower), Median(self.later)
        return (f'{len(self.base)} windows of {WINDOW} s beside three slow viewers and {len(self.base)} {what}: rate x '
                f'{1 - slower.value:.3f} (+-{slower.spread:.3f}), delay {later.value:+.2f} ms (+-{later.spread:.2f}), of '
                f'{statistics.median(b[1] for b in self.base):.1f} ms to the displayed pixel')


def test_others_bites():
    """A relay that writes to its viewers in turn: one who reads nothing stops the others"""
    with native.Streamer({'cam0': native.test_camera(SIZE, RATE)}) as it:
        with relay(it, waits=True, paces=['reads nothing', None]) as (_, quick):
            it.until(lambda: quick.frames.whole, 'the first frame')
            count, still = 0, 0
            end = time.monotonic() + 20
            while still < 15 and time.monotonic() < end:
                time.sleep(0.1)
                still = still + 1 if len(quick.frames.whole) == count else 0
                count = len(quick.frames.whole)
    assert still == 15, f'the fault did not bite: {count} frames'
    return [f'{count} frames, then none for 1.5 s']


def test_others_held():
    """Beside three slow viewers another one's rate and delay are what they are alone, to 5 %"""
    with native.Streamer({'cam0': native.test_camera(SIZE, RATE)}) as it:
        watch = Watch(it)
        try:
            alone = Comparison(it, watch, watch.window)
            ok, notes = alone.run(), [alone.told('alone')]
            whole = alone.whole
            if not ok:
                # A machine that has more to do than it can: are slow ones worse than others?
                quick = Comparison(it, watch, lambda: beside(it, watch, [None] * len(PACES))[0])
                ok, whole = quick.run(), whole + quick.whole
                notes.append(quick.told('beside three quick ones'))
        finally:
            watch.stop()
        rtpjpeg.read_tags(whole, native.TAGREAD, SIZE)
    notes.append(f'the slow ones were cut {alone.cuts} times and got {len(whole)} whole frames')
    assert all(f.tag and f.tag['camera'] == 0 for f in whole)
    tap.in_time(ok, f'{notes}')
    return notes


# ---- whole frames --------------------------------------------------------------------------------------

class Link:
    """A relay's viewer, as rtpjpeg.Reader wants it."""

    def __init__(self, sock):
        self.socket, self.data = sock, b''

    def close(self):
        self.socket.close()


def pair():
    """A connection with little in between: (the relay's end, the viewer's)."""
    with socket.create_server(('127.0.0.1', 0)) as listener:
        theirs = socket.socket()
        theirs.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        theirs.connect(listener.getsockname())
        ours, _ = listener.accept()
    ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 16384)
    return ours, theirs


def forward(client, ends, waits, stopping):
    """Every packet to each; a viewer that is behind waits for the rest or misses packets."""
    rests = [b''] * len(ends)
    with contextlib.suppress(OSError):
        while not stopping.is_set():
            channel, packet = client.packet()
            whole = b'$' + bytes([channel]) + len(packet).to_bytes(2, 'big') + packet
            for i, end in enumerate(ends):
                data = rests[i] or whole
                while data:
                    with contextlib.suppress(BlockingIOError):
                        data = data[end.send(data, socket.MSG_DONTWAIT):]
                        continue
                    if not waits or stopping.is_set():
                        break
                    time.sleep(0.01)
                rests[i] = b'' if data == whole else data


@contextlib.contextmanager
def relay(it, waits, paces):
    """A stand-in between Volet and viewers of these paces (None: quick); yields their readers."""
    client = client_of(it, receive_buffer=None)
    client.play()
    links, readers, stopping = [pair() for _ in paces], [], threading.Event()
    thread = threading.Thread(target=forward, args=(client, [link[0] for link in links], waits, stopping))
    thread.start()
    try:
        for (_, theirs), pace in zip(links, paces):
            readers.append(slow_reader(Link(theirs), pace))
        yield readers
    finally:
        stopping.set()
        thread.join()
        for ours, _ in links:
            ours.close()
        client.close()
        for reader in readers:
            reader.stopping.set()
            reader.join()


def test_whole_bites():
    """A relay that drops packets where a viewer is slow: frames with holes"""
    with native.Streamer({'cam0': native.test_camera(SIZE, RATE)}) as it:
        with relay(it, waits=False, paces=['64 kbit/s']) as (slow,):
            end = time.monotonic() + 20
            while not slow.error and time.monotonic() < end:
                time.sleep(0.1)
    assert slow.error, f'the fault did not bite: {len(slow.frames.whole)} whole frames'
    return [f'after {len(slow.frames.whole)} whole frames: {slow.error}']


def unlimited():
    """A camera with much to send, and nobody cut for 15 s."""
    return native.Streamer({'cam0': native.test_camera(SIZE, 30, **{'jpeg-quality': 95})}, 'age-limit-ms = 15000\n')


def test_whole_held():
    """A viewer at a fraction of the rate: whole frames, and others are left out"""
    with unlimited() as it:
        client = client_of(it)
        client.play()
        reader = rtpjpeg.Reader(client, 8000, 0.05)
        end = time.monotonic() + 14         # the age limit
        while len(reader.frames.whole) < (30 if SOAK else 12) and time.monotonic() < end:
            time.sleep(0.1)
        assert not reader.ended, it.text()[-2000:]
        frames = reader.stop()
        rtpjpeg.read_tags(frames, native.TAGREAD, SIZE)
    numbers = [f.tag['seq'] for f in frames]
    missing = numbers[-1] - numbers[0] + 1 - len(numbers)
    assert len(frames) > 3 and missing > 3, f'{len(frames)} frames, {missing} left out'
    assert all(a < b for a, b in zip(numbers, numbers[1:])), numbers
    return [f'{len(frames)} frames, all whole, and {missing} left out']


# ---- memory ---------------------------------------------------------------------------------------------

def sessions_of(program):
    """The session program from now on. The old one may run yet, so it is a new file."""
    (native.PROGRAMS / 'volet-rtsp').unlink()
    shutil.copy(native.BUILD / program, native.PROGRAMS / 'volet-rtsp')


def growth(it, enough, at_least):
    """
    What a viewer that reads nothing costs, until its process has grown by `enough` KiB, but for
    at least so many seconds and less than the age limit: (seconds, KiB of volet-rtsp, of
    volet-cam, in the socket).
    """
    client = client_of(it)
    client.play()
    pid = of_programs('volet-rtsp')[0]
    time.sleep(2)
    before, camera = anonymous_kib(pid), anonymous_kib(of_programs('volet-cam')[0])
    began = time.monotonic()
    while (anonymous_kib(pid) < before + enough or time.monotonic() < began + at_least) and \
            time.monotonic() < began + 11:
        time.sleep(0.2)
    after, camera = anonymous_kib(pid), anonymous_kib(of_programs('volet-cam')[0]) - camera
    in_socket = queued(it.port) // 1024
    client.close()
    return time.monotonic() - began, after - before, camera, in_socket


def test_memory():
    """What is kept for a viewer that reads nothing: without end in a build that queues, else bounded"""
    sessions_of('tests/attack/volet-rtsp-late')
    with unlimited() as it:
        bad_s, bad, _, _ = growth(it, 1500, 1)
    sessions_of('userspace/volet-rtsp/volet-rtsp')
    with unlimited() as it:
        seconds, good, camera, in_socket = growth(it, 0, 11 if SOAK else 9.5)     # over 10 s from PLAY on
    assert bad > 1024, f'the fault did not bite: {bad} KiB'
    assert good < 256 and camera < 256, f'volet-rtsp grew by {good} KiB, volet-cam by {camera} KiB'
    assert in_socket <= 256, f'{in_socket} KiB in the socket'
    return [f'{bad} KiB more in {bad_s:.1f} s where all is queued; {good} KiB here in {seconds:.1f} s, {camera} KiB in '
            f'volet-cam, {in_socket} KiB in the socket']


def main():
    native.prepare()
    tests = [test_others_bites, test_others_held, test_whole_bites, test_whole_held, test_memory]
    return 1 if tap.run([t for t in tests if not sys.argv[1:] or t.__name__ in sys.argv[1:]]) else 0


if __name__ == '__main__':
    sys.exit(main())

#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""
Local displays, on the board: two virtual screens, each for a camera. What a screen shows is what
QEMU says it shows (a screen dump, asked for on the console), and whose picture that is is read
from its pixel tag.
"""
import contextlib
import ctypes
import errno
import fcntl
import itertools
import json
import mmap
import os
import pathlib
import random
import signal
import socket
import statistics
import struct
import subprocess
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import cam                                                                      # noqa: E402
import tap                                                                      # noqa: E402
from audit import Audit                                                          # noqa: E402
from streamer import (CROSS, NORMAL, PATIENT, UNCHECKED, log, processes, read_tags, start, stop,  # noqa: E402
                      uid_of, until)

HALL, YARD = ('display0', 1920, 1080), ('display1', 1280, 720)      # as tests/vm/check.py makes them
CARDS = ['/dev/dri/card0', '/dev/dri/card1']
DISPLAY_GID = 60002
SCREEN = '\n[profile {0}/screen]\ncodec = xrgb\nrate = 2\nsize = {1}\n'
DISPLAY = '\n[display {0}]\ndevice = {1}\ncamera = {2}\nprofile = screen\n'
ONE = SCREEN.format('cam0', '1920x1080') + DISPLAY.format('hall', CARDS[0], 'cam0')
BOTH = ONE + SCREEN.format('cam1', '960x540') + DISPLAY.format('yard', CARDS[1], 'cam1')
NUMBERS = itertools.count()


# ---- what a screen shows --------------------------------------------------------------------

@contextlib.contextmanager
def screens():
    """
    Both cards, with the rights that udev gives elsewhere; the streamer is stopped at the end. The driver stays:
    taken away before the device has answered that buffers are freed, mainline's warns that they are still there.
    """
    subprocess.run(['modprobe', 'virtio-gpu'], check=True)
    until(lambda: all(os.path.exists(card) for card in CARDS), 20, 'both cards are there')
    slots = [os.path.realpath(f'/sys/class/drm/{os.path.basename(card)}/device') for card in CARDS]
    assert slots == sorted(slots), f'card0 is not the first screen: {slots}'
    for card in CARDS:
        os.chown(card, 0, DISPLAY_GID)
        os.chmod(card, 0o660)
    try:
        yield
    finally:
        stop()


def dump(screen):
    """Width, height and the green bytes of what that screen shows now."""
    name = f'{os.getpid()}-{next(NUMBERS)}'
    path = pathlib.Path(f'/host/dumps/{name}')
    for _ in range(10):
        with open('/dev/console', 'w', encoding='ascii') as console:
            console.write(f'\nvolet-dump: {name} {screen[0]}\n')
        end = time.monotonic() + 5
        while time.monotonic() < end and not path.exists():
            time.sleep(0.05)
        if path.exists():
            break
    head, _, gray = path.read_bytes().partition(b'\n')
    path.unlink()
    width, height = map(int, head.split())
    return width, height, gray


def middle(width, height, gray, of_width, of_height):
    """The part of that size in the middle, and how much of the rest isn't black."""
    x, y = (width - of_width) // 2, (height - of_height) // 2
    lines = [gray[i * width + x:i * width + x + of_width] for i in range(y, y + of_height)]
    part = b''.join(lines)
    return part, (len(gray) - gray.count(0)) - (len(part) - part.count(0))


def tag_of(gray, width, height):
    """The tag as a dict, or None."""
    out = subprocess.run(['/usr/libexec/volet-tests/tagread', '--format', 'gray', '--size', f'{width}x{height}'],
                         input=gray, capture_output=True, check=False).stdout.decode()
    tags = read_tags(out.splitlines())
    return tags[0] if tags else None


def shown(screen, size=None):
    """Whose picture that screen shows, or None where there is no tag."""
    width, height, gray = dump(screen)
    if (width, height) != screen[1:]:
        return None
    if size:
        gray, around = middle(width, height, gray, *size)
        assert not around, f'{around} bytes beside the picture are not black'
        width, height = size
    return tag_of(gray, width, height)


def is_dark(screen):
    """Nothing of a camera: no tag, and next to nothing that isn't black (a console has a cursor)."""
    width, height, gray = dump(screen)
    return not tag_of(gray, width, height) and gray.count(0) > 0.95 * len(gray)


def shows(screen, camera, size=None, timeout=60):
    tag = until(lambda: shown(screen, size), timeout, f'{screen[0]} shows something')
    assert tag['camera'] == camera, f'{screen[0]} shows {tag}'
    return tag


def of_user(name, uid):
    """Processes of this name and user; who ends meanwhile is not among them."""
    found = []
    for pid in processes(name):
        with contextlib.suppress(OSError):
            if uid_of(pid) == uid:
                found.append(pid)
    return found


def kms_of(index):
    return of_user('volet-kms', 60960 + index)


# ---- the device, as a program of anybody's would use it ----------------------------------------

class Card:
    """A few of DRM's ioctls."""
    CREATE_DUMB, PRIME_OUT, PRIME_IN = 0xc02064b2, 0xc00c642d, 0xc00c642e

    def __init__(self, path=CARDS[0]):
        self.fd = os.open(path, os.O_RDWR)

    def dumb(self, width, height):
        data = bytearray(struct.pack('<IIIIIIQ', height, width, 32, 0, 0, 0, 0))
        fcntl.ioctl(self.fd, self.CREATE_DUMB, data)
        _, _, _, _, handle, pitch, size = struct.unpack('<IIIIIIQ', data)
        return handle, pitch, size

    def export(self, handle, flags=os.O_RDWR):
        data = bytearray(struct.pack('<IIi', handle, flags | os.O_CLOEXEC, -1))
        fcntl.ioctl(self.fd, self.PRIME_OUT, data)
        return struct.unpack('<IIi', data)[2]

    def take(self, dmabuf):
        data = bytearray(struct.pack('<IIi', 0, 0, dmabuf))
        fcntl.ioctl(self.fd, self.PRIME_IN, data)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        os.close(self.fd)


def udmabuf(size):
    libc = ctypes.CDLL(None, use_errno=True)
    memfd = libc.memfd_create(b'test', 2)
    os.truncate(memfd, size)
    fcntl.fcntl(memfd, 1033, 2)         # F_ADD_SEALS, F_SEAL_SHRINK
    device = os.open('/dev/udmabuf', os.O_RDWR)
    # Of a bytearray it returns the ioctl's own value.
    return fcntl.ioctl(device, 0x40187542, bytearray(struct.pack('<IIQQ', memfd, 1, 0, size)))


def test_foreign_memory():
    """Why buffers go up: this display refuses memory that isn't its own; its own can be filled by others"""
    stop()
    with Card() as card:
        try:
            card.take(udmabuf(1 << 20))
            raise AssertionError('the display imports a udmabuf')
        except OSError as error:
            assert error.errno == errno.ENODEV, error
        handle, _, size = card.dumb(1920, 1080)
        with mmap.mmap(card.export(handle), size) as memory:
            memory[:4] = b'mine'
    return ['import of a udmabuf: ENODEV; a dumb buffer, exported: mapped and written']


# ---- volet-cam, handed all kinds of things -----------------------------------------------------

class Display:
    """A display's end of the frames channel of a volet-cam."""

    def __init__(self, camera):
        self.camera, self.id, self.ended, self.codec, self.ready = camera, os.urandom(16), None, None, None
        self.sock, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        grant = struct.pack('<II16s32s32s32sQII', cam.GRANT, 0, self.id, b'hall', b'cam0', b'screen',
                            time.monotonic_ns(), 15000, 1)
        socket.send_fds(camera.bus, [grant.ljust(cam.BUS_SIZE, b'\0')], [theirs.fileno()])
        theirs.close()
        camera.sessions.append(self)

    def fileno(self):
        return self.sock.fileno()

    def hand_up(self, fds, n=None, width=1920, height=1080, pitch=7680, offset=0, size=0):
        data = struct.pack('<IIIIIIQQ', 68, 0, len(fds) if n is None else n, width, height, pitch, offset, size)
        socket.send_fds(self.sock, [data.ljust(cam.FRAME_SIZE, b'\0')], fds)
        self.camera.run(5, lambda: self.codec or self.ended is not None)
        return self.ended

    def start(self):
        self.sock.send(struct.pack('<II', cam.START, 0).ljust(cam.FRAME_SIZE, b'\0'))
        self.camera.run(30, lambda: self.ready or self.ended is not None)

    def read(self):
        try:
            data, fds, _, _ = socket.recv_fds(self.sock, cam.FRAME_SIZE, 1)
        except ConnectionResetError:
            return
        kind = struct.unpack_from('<I', data)[0] if data else cam.FRAME_END
        if kind == cam.MEMORY:
            self.codec = struct.unpack_from('<I', data, 96)[0]
            self.size = os.fstat(fds[0]).st_size
        elif kind == cam.FRAME:
            self.ready = struct.unpack_from('<I', data, 8 + 104)[0]
        elif self.ended is None:
            self.ended = struct.unpack_from('<I', data, 8)[0] if data else 0


def write_to_shrunk(fd, size):
    """How a process ends that writes to a file that was shrunk after it was mapped."""
    with mmap.mmap(fd, size) as memory:
        os.truncate(fd, 0)
        pid = os.fork()
        if not pid:
            memory[:1] = b'x'
            os._exit(0)
        ended = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    os.truncate(fd, size)
    return ended


def test_handed_up():
    """volet-cam fills DMA-bufs that are right, copies where it can't map them, and ends who hands up else"""
    stop()
    screen = {'[profile cam0/screen]\ncodec': 'xrgb'}
    protocol, memory, handed = 4, 3, 4
    with Card() as card, cam.Camera(**screen) as camera:
        camera.started()
        handles, pitches, sizes = zip(*[card.dumb(1920, 1080) for _ in range(3)])
        good, size = [card.export(handle) for handle in handles], sizes[0]
        assert set(pitches) == {7680}, pitches
        # What isn't a DMA-buf could shrink under the writer's hands.
        files = [os.memfd_create('picture') for _ in range(3)]
        for fd in files:
            os.truncate(fd, size)
        bite = write_to_shrunk(files[0], size)
        assert bite == -signal.SIGBUS, f'a file that shrinks ends who writes to it: {bite}'
        wrong = {
            'memfds': (files, {}), 'a pipe': (list(os.pipe()), {}), 'one alone': (good[:1], {}),
            'fewer than it says': (good, {'n': 2}), 'more than it says': (good[:2], {'n': 3}),
            'another size of picture': (good, {'width': 640, 'height': 480}),
            'a size that is not theirs': (good, {'size': size - 4096}),
            'lines too short': (good, {'pitch': 7676}), 'an odd pitch': (good, {'pitch': 7681}),
            'an offset past the end': (good, {'offset': size - 4}),
            'an offset that overflows': (good, {'offset': 2 ** 64 - 4}), 'huge lines': (good, {'pitch': 2 ** 32 - 4}),
        }
        for what, (fds, changes) in wrong.items():
            ended = Display(camera).hand_up(fds, **{'size': size, **changes})
            assert ended == protocol, f'{what}: {ended}'
        early = Display(camera)
        early.start()
        assert early.ended == protocol, 'START before its buffers'
        # Exported without the right to write: it says so, and gives memory for the session to copy from.
        display = Display(camera)
        only_read = [card.export(card.dumb(1920, 1080)[0], 0) for _ in range(3)]
        assert display.hand_up(only_read, size=size) is None
        assert display.codec == memory and display.size > 3 * 1920 * 1080 * 4, display.codec
        assert 'its buffers are not filled, it copies: Permission denied' in pathlib.Path('/run/cam.log').read_text()
        display = Display(camera)
        assert display.hand_up(good, size=size) is None and display.codec == handed
        display.start()
        assert display.ready is not None, display.ended
        with mmap.mmap(good[display.ready], size) as picture:
            tag = tag_of(picture[1:1920 * 1080 * 4:4], 1920, 1080)
        assert tag and tag['camera'] == 0, tag
        assert display.size == 3 * mmap.PAGESIZE, 'its memory holds stamps alone'
        display.hand_up(good, size=size)
        camera.run(5, lambda: display.ended is not None)
        assert display.ended == protocol, 'buffers again'
        assert camera.failed is None
    return [f'{len(wrong)} wrong kinds; filled: {tag}']




# ---- the whole ---------------------------------------------------------------------------------

def test_own_picture():
    """Two cameras, two screens: each shows its own camera's picture, as it is or made smaller, in its own buffers"""
    start(extra=PATIENT, groups=BOTH)
    seen = []
    for _ in range(2):
        hall, yard = shows(HALL, 0), shows(YARD, 1, (960, 540))
        seen.append(f'hall {hall}, yard {yard}')
    until(lambda: shows(HALL, 0)['seq'] > hall['seq'] and shows(YARD, 1, (960, 540))['seq'] > yard['seq'], 30,
          'both go on')
    # A busy board may lose a session to its deadline; it comes back the same way.
    assert log().count('its own buffers are filled') >= 2 and 'it copies' not in log(), log()[-2000:]
    assert {uid_of(pid) for pid in processes('volet-kms')} == {60960, 60961}
    done = subprocess.run(['voletctl', '--json', 'status'], capture_output=True, text=True, timeout=20, check=True)
    sessions = {s['viewer']: s for s in json.loads(done.stdout)['sessions']}
    assert {(n, s['camera'], s['transport']) for n, s in sessions.items()} == \
        {('hall', 'cam0', 'local display'), ('yard', 'cam1', 'local display')}, sessions
    seen += [line for line in log().splitlines() if 'granted: Virtual' in line]
    return seen


def test_end():
    """voletctl end: that screen is dark at once and stays so, the other goes on; a reload starts it again"""
    if len(processes('volet-kms')) != 2:
        start(extra=PATIENT, groups=BOTH)
    before = shows(HALL, 0), shows(YARD, 1, (960, 540))
    began = time.monotonic()
    subprocess.run(['voletctl', 'end', 'hall'], check=True, capture_output=True, timeout=20)
    said = time.monotonic()
    until(lambda: not kms_of(0), 20, 'its volet-kms ends')
    gone = time.monotonic()
    assert is_dark(HALL), 'it isn\'t dark'
    until(lambda: shows(YARD, 1, (960, 540))['seq'] > before[1]['seq'] + 2, 40, 'the other goes on')
    assert not kms_of(0) and is_dark(HALL) and 'it stays dark until' in log()
    os.kill(processes('voletd')[0], signal.SIGHUP)
    assert shows(HALL, 0)['seq'] > before[0]['seq']
    return [f'volet-kms was gone, and its screen dark, {gone - began:.2f} s after voletctl was called, which '
            f'itself took {said - began:.2f} s']


def test_kill():
    """kill -9 of volet-kms: nothing of the camera is on its screen; it is started again"""
    if len(processes('volet-kms')) != 2:
        start(extra=PATIENT, groups=BOTH)
    shows(HALL, 0)
    voletd, = processes('voletd')
    os.kill(voletd, signal.SIGSTOP)         # it would start another at once
    try:
        os.kill(kms_of(0)[0], signal.SIGKILL)
        until(lambda: not kms_of(0), 20, 'it has ended')
        assert is_dark(HALL), 'it isn\'t dark'
    finally:
        os.kill(voletd, signal.SIGCONT)
    shows(HALL, 0)


def cameras_of(index):
    return of_user('volet-cam', 60900 + index)


def one_kill(dice, audit):
    """
    Somebody is killed in the midst of it. What is on that screen once its session is over is of a new
    one, or nothing: seconds until there is a picture of after the kill.
    """
    index = dice.randrange(2)
    screen, size = ((HALL, None), (YARD, (960, 540)))[index]
    kms, victim = kms_of(index), dice.choice([kms_of, cameras_of])(index)
    assert kms and victim, log()[-2000:]
    time.sleep(dice.random())
    audit.look()
    os.kill(victim[0], signal.SIGKILL)
    killed = time.monotonic_ns()
    until(lambda: not set(kms) & set(kms_of(index)), 20, 'its session is over')
    audit.look()
    tag = shown(screen, size)
    assert not tag or (tag['camera'] == index and tag['time_ns'] > killed), f'{screen[0]} shows {tag}, killed {killed}'
    until(lambda: not audit.left(), 20, 'no camera has a buffer of a display that is gone')
    tag = until(lambda: (seen := shown(screen, size)) and seen['time_ns'] > killed and seen, 60, 'a new picture')
    assert tag['camera'] == index, f'{screen[0]} shows {tag}'
    audit.look()
    return (time.monotonic_ns() - killed) / 1e9


def test_kill_random():
    """kill -9 of volet-kms and volet-cam at random: no picture and no memory of one session in another, and back"""
    if len(processes('volet-kms')) != 2:
        start(extra=PATIENT, groups=BOTH)
    seed = int(os.environ.get('SEED', random.randrange(1 << 30)))
    dice, audit = random.Random(seed), Audit()
    shows(HALL, 0)
    shows(YARD, 1, (960, 540))
    took = [one_kill(dice, audit) for _ in range(60 if 'SOAK' in os.environ else 2)]
    assert len(audit.screens) >= 3 * (len(took) + 1) and audit.filled, f'{len(audit.screens)}, {len(audit.filled)} buffers'
    return [f'seed {seed}: {len(took)} kills, a new picture after p50 {statistics.median(took):.1f} s, worst {max(took):.1f}; '
            f'{len(audit.owner)} session memories and {len(audit.screens)} displays\' buffers, each in one session and '
            f'one camera ({len(audit.filled)} of these were seen there)']


def stale():
    """
    A camera that stops, and 3.4 s later everything else: what was on the screen then, however long it takes
    to look at it. Its age in ms, 0 when the screen was dark, None when the session had ended by itself.
    """
    ended = 'the camera gave no frame for'
    shows(HALL, 0)
    count, stopped = log().count(ended), cameras_of(0)
    for pid in stopped:
        os.kill(pid, signal.SIGSTOP)
    try:
        time.sleep(3.4)
        others = processes('voletd') + kms_of(0)
        now = time.monotonic_ns()
        for pid in others:
            os.kill(pid, signal.SIGSTOP)
        stopped += others
        if len(others) < 2 or log().count(ended) > count:
            return None
        width, height, gray = dump(HALL)
        tag = tag_of(gray, width, height)
        assert tag or gray.count(0) == len(gray), 'neither a tag nor black'
        return (now - tag['time_ns']) / 1e6 if tag else 0
    finally:
        for pid in stopped:
            os.kill(pid, signal.SIGCONT)


def test_late():
    """A camera that stops: the last picture stays only in a build that doesn't look; Volet's screen is black"""
    extra = 'age-limit-ms = 2500\nauthentication-timeout-s = 60\n'
    start(NORMAL, UNCHECKED, extra=extra, groups=ONE)
    old = next((age for age in (stale() for _ in range(4)) if age is not None), None)
    assert old and old > 3000, f'the fault did not bite: {old}'
    start(extra=extra, groups=ONE)
    ages = []
    while len(ages) < 4 and ages[-1:] != [0]:
        ages.append(stale())
    assert ages[-1] == 0, f'the screen wasn\'t black: {ages}\n{log()[-2000:]}'
    # volet-kms itself stuck: only voletd can end what it shows.
    shows(HALL, 0)
    kms, = kms_of(0)
    os.kill(kms, signal.SIGSTOP)
    until(lambda: 'volet-kms has said nothing for 5 s' in log() and kms not in kms_of(0), 30, 'voletd ends it')
    return [f'without the age limit of 2500 ms a picture of {old:.0f} ms was shown; with it the screen was black']


def test_copy():
    """copy = 1: its buffers stay its own, and it says that it copies"""
    start(extra=PATIENT, groups=ONE + 'copy = 1\n')
    tag = shows(HALL, 0)
    until(lambda: 'it copies each picture' in log(), 5, 'it says so')
    assert 'its buffers are not filled, it copies: the display has none to hand up' in log()
    return [str(tag)]


def test_crossing():
    """A grant for another camera: shown by a program that doesn't look, and refused by volet-kms"""
    groups = ONE + SCREEN.format('cam1', '1920x1080')
    start(CROSS, UNCHECKED, extra=PATIENT, groups=groups)
    tag = shows(HALL, 1)
    start(CROSS, NORMAL, extra=PATIENT, groups=groups)
    until(lambda: 'frame memory of another session, camera or profile' in log(), 60, 'it is refused')
    for _ in range(3):
        assert is_dark(HALL), 'something is on the screen'
    return [f'without the comparison the other camera was shown: {tag}']


CASES = [test_foreign_memory, test_handed_up, test_own_picture, test_end, test_kill, test_kill_random, test_late,
         test_copy, test_crossing]

if __name__ == '__main__':
    wanted = sys.argv[1:]
    with screens():
        failures = tap.run([t for t in CASES if not wanted or t.__name__ in wanted])
    sys.exit(1 if failures else 0)

#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""
Broken frames, on the board: cut short, cut off, damaged, and what is in a buffer besides what
came. The receiver is made to leave a buffer as it was where nothing came (fault_residue), as
most do, or puts a canary into every buffer first. A build that takes whatever it gets shows
canaries, and the picture of the viewer before; Volet's own shows nothing but whole frames, and
counts the others exactly. What was seen is read from decoded pixels.
"""
import json
import os
import pathlib
import re
import subprocess
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import audit                                                                    # noqa: E402
import rtpjpeg                                                                  # noqa: E402
import rtsp                                                                     # noqa: E402
import tap                                                                      # noqa: E402
from streamer import (LOOSE, NORMAL, PASSWORDS, PATIENT, log, start, stop, until)       # noqa: E402

SOAK = 'SOAK' in os.environ
DEBUG = pathlib.Path('/sys/kernel/debug/camsim/0')
TAGREAD = '/usr/libexec/volet-tests/tagread'
WIDTH, HEIGHT = 1920, 1080
CANARY = 0xa5
KEPT, CANARIES = 1, 2       # fault_residue
# name: (file, value). Of the last, only the end is missing, and both tags are there.
FAULTS = {'cut in half': ('short_lines', 540), 'two lines': ('short_lines', 2),
          'without its last lines': ('short_lines', 1078), 'damaged': ('crc', 'Y')}


def put(fault, value):
    (DEBUG / f'fault_{fault}').write_text(str(value))


def clear():
    put('short_lines', 0)
    put('crc', 'N')


def sensed():
    return int((DEBUG / 'sensed').read_text())


def received_bad():
    """What the receiver has counted as broken."""
    return sum(int(line.split()[1]) for line in (DEBUG / 'errors').read_text().splitlines())


def without_buffer():
    return int(re.search(r'without-buffer (\d+)', (DEBUG / 'figures').read_text())[1])


def counted(name):
    said = subprocess.run(['voletctl', '--json', 'status'], capture_output=True, check=True, timeout=20).stdout
    cameras = json.loads(said)['cameras']
    return next(c for c in cameras if c['name'] == 'cam0')[name]


def viewer():
    client = rtsp.Client('cam0', 'alice', PASSWORDS['alice'], timeout=30)
    client.play()
    return rtpjpeg.Reader(client)


def wait_frames(reader, more):
    count = len(reader.frames.whole)
    until(lambda: len(reader.frames.whole) >= count + more or reader.ended, 60, f'{more} more frames')
    assert not reader.ended, log()[-2000:]


def steady(attempt, good=lambda result: True):
    """
    What `attempt()` gives, where the board was fast enough for it: a session ends when 5 s go
    without a picture, and a busy machine may lose those. Once more, twice at most.
    """
    for last in False, False, True:
        try:
            result = attempt()
            if last or good(result):
                return result
        except AssertionError:
            clear()
            if last:
                raise
            until(idle_now, 60, 'the sensor is off')
    return None


def shown(frames):
    """Decode: the frames' tags, and for each the share of canary in the lowest eighth."""
    pixels = rtpjpeg.read_tags(frames, TAGREAD, f'{WIDTH}x{HEIGHT}', test=False)
    shares = []
    for i in range(len(frames)):
        low = pixels[(i + 1) * WIDTH * HEIGHT - WIDTH * HEIGHT // 8:(i + 1) * WIDTH * HEIGHT:211]
        shares.append(sum(abs(p - CANARY) <= 3 for p in low) / len(low))
    return [f.tag for f in frames], shares


def whole(tag):
    return tag is not None and tag.get('copies', 2) == 2


def idle_now():
    """Nobody watches and the sensor is off."""
    return pathlib.Path('/sys/bus/i2c/devices/0-0037/power/runtime_status').read_text().strip() == 'suspended'


def idle():
    until(idle_now, 30, 'the sensor is off')


# ---- broken frames --------------------------------------------------------------------------------------

def damage(kind):
    """
    A viewer, for whom every frame is of this kind for a while: what was displayed, and of that
    what was broken, what the receiver counted, what volet-cam counted. It is shorter than what
    makes volet-cam open its device anew and no frame was without a buffer, or `quiet` is false.
    """
    errors = counted('errors')
    reader = viewer()
    try:
        wait_frames(reader, 2)
        (DEBUG / 'errors').write_text('0')
        missed = without_buffer()
        put(*FAULTS[kind])
        first, began = sensed() + 1, time.monotonic()
        until(lambda: sensed() >= first + 4, 10, 'broken frames')
        last = sensed()
        clear()
        quiet = time.monotonic() - began < 2.5
        # The frame under way was of either kind: wait until it is over.
        until(lambda: sensed() >= last + 2, 10, 'whole frames')
        wait_frames(reader, 2)
        # Before the stop, which may cut one more.
        bad, missed = received_bad(), without_buffer() - missed
    finally:
        clear()
        frames = reader.stop()
    idle()
    # Its last figures come within a second or two.
    until(lambda: counted('errors') - errors >= bad - missed or not quiet, 15, 'the count')
    time.sleep(1.2)
    tags, shares = shown(frames)
    return {'tags': tags, 'shares': shares, 'received': bad, 'counted': counted('errors') - errors,
            'quiet': quiet and not missed, 'through': [t for t in tags if t and first <= t['seq'] <= last]}


def test_damaged_bites():
    """A build that takes what it gets: canaries are displayed, and frames that the receiver knew were damaged"""
    start(LOOSE, extra=PATIENT)
    put('residue', CANARIES)
    half, damaged = (steady(lambda: seen_of(kind)) for kind in ('cut in half', 'damaged'))     # pylint: disable=W0640
    assert max(half['shares']) > 0.9, f'no canary was displayed: {half}'
    assert damaged['through'], f'no damaged frame was displayed: {damaged}'
    return [f'cut in half: of {len(half["tags"])} displayed frames {sum(not whole(t) for t in half["tags"])} are not '
            f'whole, {sum(s > 0.9 for s in half["shares"])} end in the canary; damaged: {len(damaged["through"])} of '
            f'{len(damaged["tags"])} displayed frames were known to be']


def seen_of(kind):
    """As damage(), of a build that takes them: until some have come all the way."""
    reader = viewer()
    try:
        wait_frames(reader, 2)
        put(*FAULTS[kind])
        first = sensed() + 1
        # On a slow board some were on their way already.
        wait_frames(reader, 6)
        last = sensed()
    finally:
        clear()
        frames = reader.stop()
    tags, shares = shown(frames)
    return {'tags': tags, 'shares': shares, 'through': [t for t in tags if t and first <= t['seq'] <= last]}


def test_damaged_held():
    """Short, cut off and damaged frames: none is displayed, and each is counted once"""
    start(NORMAL, extra=PATIENT)
    put('residue', CANARIES)
    notes, displayed = [], 0
    for kind in FAULTS if SOAK else list(FAULTS)[2:]:
        result = steady(lambda: damage(kind), lambda result: result['quiet'])                 # pylint: disable=W0640
        assert all(whole(t) for t in result['tags']), result
        assert max(result['shares']) < 0.5, f'{kind}: a canary was displayed'
        assert not result['through'], f'{kind}: {result}'
        # Else the receiver has counted frames that nobody had a buffer for, or that a new start cut.
        assert result['counted'] == result['received'] if result['quiet'] else \
            0 < result['counted'] <= result['received'], f'{kind}: {result}'
        notes.append(f'{kind}: {result["received"]} received, {result["counted"]} counted')
        displayed += sum(bool(t) for t in result['tags'])
    return [*notes, f'{displayed} whole frames displayed']


# ---- what a viewer before has left ----------------------------------------------------------------------

def next_viewer():
    """One viewer, then STREAMOFF, then another one, for whom frames are cut in half at first."""
    put('residue', KEPT)
    reader = viewer()
    wait_frames(reader, 2)
    reader.stop()
    idle()
    last = sensed()
    put('short_lines', 540)
    try:
        reader = viewer()
        until(lambda: sensed() > last + 4, 30, 'frames')
        bad = sensed()
    finally:
        clear()
    wait_frames(reader, 3)
    frames = reader.stop()
    return last, bad, frames


def older(frames, last):
    """Displayed frames with the tag of a frame up to number `last` at either end."""
    pixels = rtpjpeg.read_tags(frames, TAGREAD, f'{WIDTH}x{HEIGHT}', test=False)
    said = subprocess.run([TAGREAD], input=pixels, capture_output=True, check=False).stdout.decode()
    return [line for line in said.splitlines()
            if any(int(n) <= last for n in re.findall(r'\d+', ''.join(re.findall(r'seq=([\d,]+)', line))))]


def test_next_bites():
    """Capture memory lent again and short frames taken: the next viewer is shown the one before's picture"""
    start(LOOSE, extra=PATIENT)
    last, _, frames = steady(next_viewer)
    found = older(frames, last)
    assert found, 'the fault did not bite'
    return [f'of {len(frames)} displayed frames {len(found)} end in one of the viewer before: {found[0]}']


def test_next_held():
    """Watched, then watched again while frames are cut in half at first: whole new frames alone"""
    start(NORMAL, extra=PATIENT)
    last, bad, frames = steady(next_viewer)
    tags, _ = shown(frames)
    assert all(whole(t) and (not t or t['seq'] > bad) for t in tags), (tags, bad)
    assert not older(frames, last)
    return [f'{len(frames)} frames after broken ones: whole and new']


# ---- stopped in the middle of a frame --------------------------------------------------------------------

def tag_numbers(luma):
    """The frame numbers at the top and at the bottom of a picture."""
    said = subprocess.run([TAGREAD], input=luma, capture_output=True, check=False).stdout.decode()
    return [int(n) for n in re.search(r'seq=([\d,]+)', said)[1].split(',')] if 'seq=' in said else said


def stopped_halfway():
    """What a program finds that looks into its memory after a stop: frame numbers of top and bottom."""
    reader = subprocess.Popen(['chrt', '-f', '10', '/usr/libexec/volet-tests/stopped-reader', 'platform:camsim-0',
                               'camsim0-nv12'], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    said = reader.stderr.readline()
    # The model writes a frame when it begins: this is what of it has come by the stop.
    put('short_lines', 540)
    try:
        luma, rest = reader.communicate(b'\n', timeout=60)
    finally:
        clear()
    assert said == b'whole\n' and reader.returncode == 0, f'{reader.returncode}: {said + rest}'
    return tag_numbers(luma)


def test_stopped_bites():
    """A program that trusts its memory after a stop: the kernel gave it no frame, and half of two are there"""
    start(NORMAL, extra=PATIENT)
    reader = viewer()           # who sets the board up
    wait_frames(reader, 1)
    reader.stop()
    idle()
    stop()
    put('residue', KEPT)
    numbers = stopped_halfway()
    assert len(numbers) == 2 and numbers[0] > numbers[1], f'the fault did not bite: {numbers}'
    return [f'frame {numbers[0]} at the top, frame {numbers[1]} at the bottom']


def capture_memory():
    """What any volet-cam captures into."""
    return {file for process in audit.processes() if process.name == 'volet-cam'
            for file in audit.held(process, '/memfd:volet-capture')}


def stop_halfway(kept):
    """A viewer who leaves when a frame has just begun: the tags of what was displayed, and the memory used."""
    put('residue', KEPT if kept else CANARIES)
    number = sensed()
    reader = viewer()
    wait_frames(reader, 1 + kept)
    memory = capture_memory()
    begun = sensed()
    until(lambda: sensed() > begun, 30, 'a frame begins')
    tags, shares = shown(reader.stop())
    assert all(whole(t) and (not t or t['seq'] > number) for t in tags), tags
    assert max(shares) < 0.5, 'a canary was displayed'
    idle()
    assert memory and not capture_memory(), 'what was captured into outlives the stop'
    return len(tags), memory


def test_stopped_held():
    """Stopped in the middle of a frame, again and again: whole new frames alone, and no memory twice"""
    start(NORMAL, extra=PATIENT)
    seen, count = set(), 0
    for i in range(40 if SOAK else 2):
        displayed, memory = steady(lambda: stop_halfway(i % 2))                    # pylint: disable=W0640
        assert not seen & memory, 'memory that a stream ended in is captured into again'
        seen, count = seen | memory, count + displayed
    return [f'{count} frames, whole and new; {len(seen)} capture buffers, each of one stream']


CASES = [test_damaged_bites, test_damaged_held, test_next_bites, test_next_held, test_stopped_bites, test_stopped_held]

if __name__ == '__main__':
    wanted = sys.argv[1:]
    failures = tap.run([t for t in CASES if not wanted or t.__name__ in wanted])
    clear()
    put('residue', 0)
    stop()
    sys.exit(1 if failures else 0)

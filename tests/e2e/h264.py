#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""
Profiles and H.264 on the board: who asks for which profile sees that one of their own camera, a
session begins with a key frame captured after its PLAY, and nobody's joining disturbs another.
"""
import os
import re
import sys
import threading
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import rtsp                                                                     # noqa: E402
import streamer                                                                 # noqa: E402
import tap                                                                      # noqa: E402

SIZE = '640x360'
PROFILES = ''.join(f'''
[profile cam{i}/jpeg]
codec = jpeg

[profile cam{i}/video]
codec = h264
size = {SIZE}
bitrate-kbit = 1500

[profile cam{i}/whole]
codec = h264
rate = 2
bitrate-kbit = 2000

[profile cam{i}/slow]
codec = jpeg
size = {SIZE}
rate = 1
''' for i in range(2))


def start():
    # How old a frame may get is not what is tested.
    streamer.start(extra=streamer.PATIENT, groups=PROFILES)


def client(viewer, path, **kwargs):
    return rtsp.Client(path, viewer, streamer.PASSWORDS[viewer], **kwargs)


def units(viewer_client, seconds, last=None):
    """
    The H.264 units that come in so long, or until one of the kind `last`: (time, its frame's RTP stamp,
    kind, last of its frame, bytes).
    """
    out, end = [], time.monotonic() + seconds
    while time.monotonic() < end and (not out or last is None or out[-1][2] != last):
        channel, packet = viewer_client.packet()
        if channel != 0:
            continue
        kind, first = packet[12] & 31, True
        if kind == 28:                                          # FU-A: the unit's kind is in its header
            kind, first = packet[13] & 31, packet[13] & 0x80
        out.append((time.monotonic(), int.from_bytes(packet[4:8], 'big'), kind if first else 0, packet[1] >> 7, len(packet)))
    return out


def test_two_codecs():
    """Two viewers, one of JPEG and one of H.264, of two cameras: each displays only their own"""
    start()
    pipes = [streamer.player('alice', 'cam0', 10), streamer.player('bob', 'cam1/video', 10, size=SIZE)]
    for camera, pipe in enumerate(pipes):
        streamer.only_own(streamer.tags(pipe), camera, 10)


def test_two_profiles():
    """Two profiles of one camera at once, and one encode of each however many watch"""
    start()
    pipes = [streamer.player('alice', 'cam0/video', 10, size=SIZE), streamer.player('bob', 'cam0/jpeg', 10),
             streamer.player('bob', 'cam0/video', 10, size=SIZE)]
    for pipe in pipes:
        streamer.only_own(streamer.tags(pipe), 0, 10)
    counts = [tuple(map(int, found)) for found in
              re.findall(r'cam0\b.*?captured (\d+).*?encoded (\d+)', streamer.figures())]
    assert counts, streamer.figures()
    assert all(encoded <= 2 * captured for captured, encoded in counts), counts
    return streamer.figures().splitlines()[-2:]


def test_rate():
    """A profile of one frame a second gives that many, made smaller, with the tag still in it"""
    start()
    began = time.monotonic()
    shown = streamer.seen('alice', 'cam0/slow', 5, size=SIZE)
    streamer.only_own(shown, 0, 5)
    times = [tag['time_ns'] / 1e9 for tag in shown]
    gaps = [b - a for a, b in zip(times, times[1:])]
    # One that a busy board took late is followed by one in less than a second; never are there more in all.
    assert all(t - times[0] >= i - 0.15 for i, t in enumerate(times)), gaps
    tap.in_time(max(gaps) <= 2.5, f'gaps of {gaps} s')
    return [f'gaps {[f"{gap:.2f}" for gap in gaps]} s, {time.monotonic() - began:.1f} s in all']


def test_unknown():
    """An unknown profile, an unknown camera and another's camera and profile: the same 404"""
    start()
    answers = []
    for path in 'cam0/nosuch', 'nosuch/video', 'cam1/video', 'cam0/' + 'x' * 40, 'cam0/a%20b':
        viewer = client('alice', path)
        status, headers, body = viewer.request('DESCRIBE')
        answers.append((status, sorted(headers), body))
        assert status == 404, f'{path}: {status}'
        viewer.close()
    assert all(answer == answers[0] for answer in answers), f'they can be told apart: {answers}'


def test_rebound():
    """A granted connection that asks for another profile of its camera ends"""
    start()
    viewer = client('bob', 'cam0/video')
    assert viewer.setup()[0] == 200, streamer.log()
    try:
        status = viewer.request('DESCRIBE', viewer.url.replace('/video', '/jpeg'))[0]
        assert status != 200, f'{status}'
    except ConnectionError:
        pass
    streamer.until(lambda: 'or profile' in streamer.log(), 5, 'the reason is in the log')
    viewer.close()


def test_key_first():
    """SDP says what it is, and a session begins with parameter sets and a key frame"""
    start()
    other = client('alice', 'cam0/video')
    text = other.request('DESCRIBE', extra='Accept: application/sdp\r\n')[2].decode()
    assert 'H264/90000' in text and 'packetization-mode=1' in text, text
    assert 'profile-level-id=42c0' in text, text
    assert 'sprop-parameter-sets=' in text, text
    other.close()
    notes, other = [], client('alice', 'cam0/video')
    other.play()
    # Read until the streamer ends: a viewer who reads nothing is cut, and then each join starts the sensor.
    threading.Thread(target=streamer.rest, args=(other.socket,), daemon=True).start()
    for attempt in range(4):
        viewer = client('bob', 'cam0/video', timeout=20)
        assert viewer.setup()[0] == 200, streamer.log()[-2000:]
        began = time.monotonic()
        assert viewer.request('PLAY')[0] == 200
        seen = units(viewer, 20, last=1)
        kinds = [kind for _, _, kind, _, _ in seen if kind]
        tap.in_time(1 in kinds, f'no difference came: {kinds}')
        # The parameter sets may come twice: the payloader's and the encoder's, which are the same.
        assert kinds[:2] == [7, 8] and next(k for k in kinds if k not in (7, 8)) == 5, \
            f'it began with {kinds[:6]}'
        joined = next(when for when, _, kind, _, _ in seen if kind == 5)
        notes.append(f'join {attempt}: key frame {1000 * (joined - began):.0f} ms after PLAY')
        viewer.close()
    return notes


def play_and_pause(stop, count):
    """As often as it can: PLAY and PAUSE on one connection."""
    viewer = client('bob', 'cam0/video', timeout=20)
    viewer.setup()
    while not stop.is_set():
        viewer.request('PLAY')
        viewer.request('PAUSE')
        count[0] += 1
    viewer.close()


def watch(viewer, seconds):
    """Frames a second and kbit/s of a viewer in so long, how many key frames were among them, and of how many seconds."""
    began = time.monotonic()
    seen = units(viewer, seconds)
    span = time.monotonic() - began
    return (sum(last for _, _, _, last, _ in seen) / span, sum(n for *_, n in seen) * 8 / 1000 / span,
            sum(kind == 5 for _, _, kind, _, _ in seen), (seen[-1][1] - seen[0][1]) % 2 ** 32 / 90000)


def test_greedy():
    """One who asks for key frames as often as it can: at most one a second is made for it"""
    start()
    viewer, stop, count = client('alice', 'cam0/video', timeout=20), threading.Event(), [0]
    viewer.play()
    watch(viewer, 3)
    calm = watch(viewer, 6)
    thread = threading.Thread(target=play_and_pause, args=(stop, count))
    thread.start()
    time.sleep(1)
    pressed = watch(viewer, 8)
    stop.set()
    thread.join()
    viewer.close()
    keys, seconds = pressed[2:]             # by the frames' own times: they may come late, and then at once
    assert keys <= 1.1 + seconds, f'{keys} key frames in {seconds:.1f} s'
    notes = [f'{name}: {rate:.2f} frames/s, {kbit:.0f} kbit/s, {keys} key frames'
             for name, (rate, kbit, keys, _) in (('calm', calm), ('pressed', pressed))]
    return [*notes, f'{count[0]} times PLAY and PAUSE']


def test_whole():
    """H.264 at the camera's own size, as many as two emulated processors can do beside another board"""
    start()
    shown = streamer.seen('alice', 'cam0/whole', 12)
    streamer.only_own(shown, 0, 12)
    seconds = (shown[-1]['time_ns'] - shown[2]['time_ns']) / 1e9
    return [f'1920x1080: {(len(shown) - 3) / seconds:.2f} frames/s displayed on the emulated board',
            *streamer.figures().splitlines()[-2:]]


TESTS = [test_two_codecs, test_two_profiles, test_rate, test_unknown, test_rebound, test_key_first,
         test_greedy, test_whole]

if __name__ == '__main__':
    wanted = sys.argv[1:]
    failures = tap.run([t for t in TESTS if not wanted or t.__name__ in wanted])
    streamer.stop()
    sys.exit(1 if failures else 0)

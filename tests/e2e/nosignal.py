#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""
A camera that goes away while a player watches, on the board: the player's one session lives
on, it displays a picture that says so, and then live frames again, none of them old. Run on a
board with two cameras and scenes that play.
"""
import os
import pathlib
import re
import subprocess
import sys
import threading
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import picture                                                                  # noqa: E402
import streamer                                                                 # noqa: E402
import tap                                                                      # noqa: E402

SENSOR = pathlib.Path('/sys/bus/i2c/drivers/gc2053')
BOARD = pathlib.Path('/sys/bus/platform/drivers/camsim')


class Watcher:
    """A player whose displayed frames are noted as they come: (when, tag or None)."""

    def __init__(self, frames=400, limit=90):
        self.shown = []
        self.pipe = streamer.player('alice', 'cam0', frames, limit)
        self.thread = threading.Thread(target=self.read, daemon=True)
        self.thread.start()

    def read(self):
        for line in self.pipe.stdout:
            tag = {k: int(float(v)) for k, v in re.findall(r'(\w+)=([\d.]+)', line)}
            self.shown.append((time.monotonic_ns(), None if 'no-signal' in line else tag))

    def wait(self, what, since, timeout, want):
        """The first frame displayed after `since` that `want(tag)` likes."""
        return streamer.until(lambda: next((f for f in self.shown if f[0] > since and want(f[1])), None), timeout, what)

    def close(self):
        streamer.end_players('alice')
        self.thread.join(10)


def words():
    """What another viewer, who comes now, is shown."""
    url = f'rtsp://bob:{streamer.PASSWORDS["bob"]}@127.0.0.1:8554/cam0'
    gray = subprocess.run(['ffmpeg', '-nostdin', '-v', 'error', '-fflags', 'nobuffer', '-analyzeduration', '0', '-probesize',
                           '32', '-fpsprobesize', '0', '-rtsp_transport', 'tcp', '-i', url, '-frames:v', '1',
                           '-f', 'rawvideo', '-pix_fmt', 'gray', '-'], capture_output=True, check=True, timeout=40).stdout
    return picture.read(gray, 1920, 1080)


def away(driver, name):
    """Unbind and bind while a player watches. It may take the kernel a while: count from its end."""
    streamer.start(extra=streamer.PATIENT)
    watcher = Watcher()
    watcher.wait('live frames', 0, 40, lambda tag: tag)
    time.sleep(2)
    gone = time.monotonic_ns()
    (driver / 'unbind').write_text(name)
    took = time.monotonic_ns() - gone
    first, _ = watcher.wait('a picture without a tag', gone, 15, lambda tag: not tag)
    said = words()
    assert said[:2] == ['NO SIGNAL', 'CAMERA NOT CONNECTED'] and re.fullmatch(r'FOR \d+ S', said[2]), said
    back = time.monotonic_ns()
    (driver / 'bind').write_text(name)
    subprocess.run(['/volet/start-board', '2'], check=True, timeout=60)
    when, _ = watcher.wait('live frames again', back, 30, lambda tag: tag)
    streamer.until(lambda: sum(at >= when and bool(tag) for at, tag in watcher.shown) > 3, 30, 'more live frames')
    watcher.close()
    later = [tag for at, tag in watcher.shown if at >= when and tag]
    assert {tag['camera'] for tag in later} == {0}, later
    assert min(tag['time_ns'] for tag in later) > back, 'a frame from before'
    assert all(a['time_ns'] < b['time_ns'] for a, b in zip(later, later[1:])), later
    assert streamer.log().count('granted: session') == 2, 'a session more than alice\'s one and bob\'s'
    generated = max(int(n) for n in re.findall(r'cam0: .*generated (\d+)', streamer.figures()) or ['0'])
    assert generated >= 2, streamer.figures()
    return [f'unbinding took {took / 1e9:.1f} s', f'displayed {(first - gone) / 1e9:.1f} s after the end of the camera: {said}',
            f'live {(when - back) / 1e9:.1f} s after it was bound, oldest frame displayed '
            f'{max(tag["age_ms"] for tag in later)} ms, {generated} pictures generated']


def test_sensor():
    """The sensor goes and comes back: one session, a picture that says so, no old frame"""
    return away(SENSOR, '0-0037')


def test_board():
    """Receiver and nodes go and come back as new ones: one session, no old frame"""
    return away(BOARD, 'camsim-0')


if __name__ == '__main__':
    wanted = sys.argv[1:]
    failures = tap.run([t for t in (test_sensor, test_board) if not wanted or t.__name__ in wanted])
    streamer.stop()
    sys.exit(1 if failures else 0)

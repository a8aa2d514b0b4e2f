#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""
Auto exposure on the board: the light of the scene changes by a factor of 40, and what a viewer is
shown is measured from decoded pixels. As in cam.py, this program plays voletd and the session.
When a frame was seen, and of which scene, is read from its own pixel tag.

How soon it is right is counted in frames, each of a fifteenth of a second: the loop runs on a
machine that others use too, and loses frames there.
"""
import fcntl
import math
import os
import pathlib
import re
import struct
import subprocess
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import cam                                                                      # noqa: E402
import tap                                                                      # noqa: E402

WIDTH, HEIGHT = 640, 360                # as shown
SCENE = 32                              # as played
TARGET, NEAR = 0.18, 0.16               # linear light; log of the ratio
BRIGHT, DARK, NIGHT = 0.4, 0.01, 0.002
LINE_RATE, BLANKING = 33750, 1170
SECOND = LINE_RATE // (1080 + BLANKING)     # in frames: 15
LAMP = LINE_RATE / 100                  # lines of a flicker at 50 Hz
S_FMT = 0xc0d05605
DEBUG = pathlib.Path('/sys/kernel/debug/camsim/0')
LOG = pathlib.Path('/run/cam.log')


class Scene:
    """What the camera looks at: stripes of a quarter of the light to twice the light."""

    def __init__(self):
        self.fd = os.open(cam.node_of('camsim0-scene'), os.O_RDWR)
        size = SCENE * SCENE * 3 // 2
        # struct v4l2_format of an output queue: its type, then a struct v4l2_pix_format
        form = struct.pack('<II8I', 2, 0, SCENE, SCENE, int.from_bytes(b'NV12', 'little'), 1, SCENE, size, 0, 0)
        fcntl.ioctl(self.fd, S_FMT, form.ljust(208, b'\0'))

    def show(self, light):
        codes = []
        for factor in 0.25, 0.5, 1, 2:
            value = light * factor
            srgb = 12.92 * value if value <= 0.0031308 else 1.055 * value ** (1 / 2.4) - 0.055
            codes.append(round(16 + 219 * min(srgb, 1)))
        line = b''.join(bytes([code]) * (SCENE // len(codes)) for code in codes)
        os.write(self.fd, line * SCENE + b'\x80' * (SCENE * SCENE // 2))

    def close(self):
        os.close(self.fd)


class Viewer(cam.Viewer):
    """Keeps what it is shown."""

    checks_tail = False

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.pictures = []

    def read(self):
        seen = len(self.frames)
        super().read()
        if len(self.frames) > seen:
            self.pictures.append(self.jpeg)


LINEAR = [v / 255 / 12.92 if v <= 10 else ((v / 255 + 0.055) / 1.055) ** 2.4 for v in range(256)]


def mean_of(gray):
    """Linear light, without the border that has the tags."""
    rows = range(HEIGHT // 16 + 2, HEIGHT - HEIGHT // 16 - 2, 9)
    points = [LINEAR[gray[y * WIDTH + x]] for y in rows for x in range(WIDTH // 16, WIDTH - WIDTH // 16, 10)]
    return sum(points) / len(points)


def displayed(viewer):
    """Of each picture that was shown: the tag's time, the scene's number, and the mean light."""
    raw = subprocess.run(['ffmpeg', '-v', 'error', '-f', 'mjpeg', '-i', '-', '-fps_mode', 'passthrough', '-f',
                          'rawvideo', '-pix_fmt', 'gray', '-'], input=b''.join(viewer.pictures), capture_output=True,
                         check=True).stdout
    lines = subprocess.run([f'{cam.TESTS}/tagread', '--size', f'{WIDTH}x{HEIGHT}'], input=raw, capture_output=True,
                           check=False).stdout.decode().splitlines()
    size = WIDTH * HEIGHT
    assert len(raw) == size * len(viewer.pictures) == size * len(lines), (len(raw), len(viewer.pictures), len(lines))
    found = [re.search(r'time_ns=(\d+) scene=(\d+) ', line) for line in lines]
    assert all(found), [line for line, tag in zip(lines, found) if not tag]
    return [(int(tag[1]), int(tag[2]), mean_of(raw[i * size:(i + 1) * size])) for i, tag in enumerate(found)]


def off(mean):
    return abs(math.log(max(mean, 1e-6) / TARGET))


class Run:
    """A camera with these settings, a scene before it, and a viewer who keeps what is shown."""

    def __init__(self, **changes):
        LOG.unlink(missing_ok=True)
        self.camera = cam.Camera(**{
            'controls': f'vertical_blanking={BLANKING}', 'exposure': 'auto', **changes,
            'jpeg-quality': f'80\n[profile cam0/jpeg]\nsize = {WIDTH}x{HEIGHT}'})
        self.scene = Scene()

    def __enter__(self):
        self.camera.started()
        self.viewer = Viewer(self.camera.bus, 'cam0')
        self.camera.sessions.append(self.viewer)
        self.camera.run(20, lambda: self.viewer.memory)
        return self

    def __exit__(self, *_):
        self.camera.close()
        self.scene.close()

    def show(self, light, frames):
        """This light, until so many frames were displayed since."""
        self.scene.show(light)
        if not self.viewer.frames:
            self.viewer.say(cam.START)
        self.more(frames)

    def more(self, frames):
        """So many frames more."""
        seen = len(self.viewer.pictures)
        self.camera.run(60, lambda: len(self.viewer.pictures) >= seen + frames)
        assert len(self.viewer.pictures) >= seen + frames, f'{len(self.viewer.pictures)} frames: {self.camera.fault}'

    def frames(self):
        """All that was displayed since this was last asked; a list for each scene."""
        out, number = [], None
        for when, scene, mean in displayed(self.viewer):
            if scene != number:
                out.append([])
                number = scene
            out[-1].append((when, mean))
        self.viewer.pictures.clear()
        return out

    def settle(self, light):
        """This light, until the picture is right and stays so; its frames. Who sets the sensor may be late."""
        self.show(light, 35)
        frames, end = self.frames()[-1], time.monotonic() + 30
        while not stays_right(frames) and time.monotonic() < end:
            self.more(10)
            frames += self.frames()[-1]
        return frames


def controls():
    text = subprocess.run(['v4l2-ctl', '-d', cam.node_of('gc2053 0-0037'), '-C',
                           'exposure,analogue_gain,vertical_blanking'], capture_output=True, text=True, check=True).stdout
    return {name: int(value) for name, value in re.findall(r'(\w+): (\d+)', text)}


def count_wrong(frames):
    """Of a scene's frames, how many until all are near the target."""
    return max((i + 1 for i, (_, mean) in enumerate(frames) if off(mean) > NEAR), default=0)


def stays_right(frames):
    return count_wrong(frames) + 4 < len(frames)


def settled(frames):
    """As count_wrong(), and the seconds of the sensor's time."""
    tap.in_time(stays_right(frames), f'never right: {[round(mean, 3) for _, mean in frames]}')
    count = count_wrong(frames)
    return count, (frames[count][0] - frames[0][0]) / 1e9


def whole_flickers(lines):
    return abs(lines / LAMP - round(lines / LAMP)) * LAMP <= 1 and lines >= LAMP - 1


def test_fixed():
    """A fixed exposure: the step in the light leaves the picture far too dark, or far too bright"""
    with Run(exposure='fixed', controls=f'vertical_blanking={BLANKING}; exposure=1000; analogue_gain=64') as run:
        run.show(DARK, 15)
        run.show(BRIGHT, 15)
        dark, bright = [[mean for _, mean in frames] for frames in run.frames()[-2:]]
    assert max(dark) < TARGET / 5 and min(bright) > TARGET * 1.7, (dark, bright)
    return [f'mean light of the target: {dark[-1] / TARGET:.2f} and {bright[-1] / TARGET:.2f}']


def test_steps():
    """Auto exposure: right again within 1 s, in frames, of a step by 40, either way, and it stays; lamps don't show"""
    took, notes = [], []
    with Run() as run:
        run.show(BRIGHT, 30)
        run.frames()
        for light in [DARK, BRIGHT] * 2:
            frames = run.settle(light)
            count, seconds = settled(frames)
            took.append(count)
            now = controls()
            assert whole_flickers(now['exposure']), now
            assert now['vertical_blanking'] == BLANKING, now
            notes.append(f'{"dark" if light == DARK else "bright"}: {count} frames, {seconds:.2f} s, then mean '
                         f'{frames[-1][1]:.3f}, {len(frames)} frames, exposure {now["exposure"]}, '
                         f'gain {now["analogue_gain"] / 64:.1f}')
        names = [os.readlink(fd) for fd in pathlib.Path(f'/proc/{run.camera.pid}/fd').iterdir()]
        assert not [n for n in names if 'v4l-subdev' in n], names
    tap.in_time(max(took) <= SECOND, f'{notes}')
    # The next camera process begins with what this one found.
    with Run() as run:
        run.show(BRIGHT, 4)
        first = run.frames()[-1][0]
    assert off(first[1]) < 2 * NEAR, first
    return [*notes, f'started again: the first frame has a mean of {first[1]:.3f}']


def test_night():
    """Slower frames in the dark where that is allowed, and as fast as before in the light"""
    with Run(**{'slowest-rate': '5'}) as run:
        dark, slow = run.settle(NIGHT), controls()
        bright, fast = run.settle(BRIGHT), controls()
    gaps = [(b[0] - a[0]) / 1e9 for frames in (dark, bright) for a, b in zip(frames[-4:], frames[-3:])]
    assert slow['vertical_blanking'] > 3 * BLANKING and whole_flickers(slow['exposure']), slow
    assert slow['vertical_blanking'] + 1080 <= LINE_RATE / 5 + 1, slow
    assert fast['vertical_blanking'] == BLANKING, fast
    settled(dark)
    settled(bright)
    return [f'night: {gaps[0]:.2f} s a frame, mean {dark[-1][1]:.3f}; light: {gaps[-1]:.2f} s, {bright[-1][1]:.3f}']


def test_trouble():
    """A setting that the sensor doesn't answer: said once, tried again, and the camera goes on"""
    with Run() as run:
        run.show(BRIGHT, 25)
        run.frames()
        (DEBUG / 'fault_nack').write_text('1')
        frames, log = run.settle(DARK), LOG.read_text()
        assert run.camera.signal == cam.LIVE and 'no signal: setting' not in log, log
    assert log.count('trying again') == 1 and 'the sensor can be set again' in log, log
    return [f'right after {settled(frames)[1]:.2f} s', *log.splitlines()]


def test_refused():
    """An entity without the controls: an error with exposure = auto, a line in the log without"""
    with cam.Camera(sensor='camsim0-csi', controls='', exposure='auto') as camera:
        camera.started()
        assert camera.signal == cam.SETTINGS and camera.fault == \
            'exposure = auto for "camsim0-csi": it has no exposure to set', camera.fault
    LOG.unlink(missing_ok=True)
    with cam.Camera(sensor='camsim0-csi', controls='') as camera:
        camera.started()
        assert camera.signal is None, camera.fault
    log = LOG.read_text()
    for what in 'exposure', 'white balance':
        assert log.count(f'no auto {what} for "camsim0-csi": it has no ') == 1, log
    return log.splitlines()


def main():
    tests = [test_fixed, test_steps, test_night, test_trouble, test_refused]
    cam.load('vmalloc')
    time.sleep(0.5)
    failures = tap.run([t for t in tests if not sys.argv[1:] or t.__name__ in sys.argv[1:]])
    cam.unload()
    return 1 if failures else 0


if __name__ == '__main__':
    sys.exit(main())

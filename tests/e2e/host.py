#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""
The board seen from outside: real clients on this machine play the stream through the forwarded
port. One camera, two clients at once; rate by distinct frames, order, picture and colours.
"""
import pathlib
import re
import statistics
import subprocess
import sys
import time

sys.path[:0] = ['/src/tests/vm', '/src/tests/e2e']
import run                                                                      # noqa: E402
import tap                                                                      # noqa: E402
import volet_vm as vm                                                           # noqa: E402

PORT = 18554
PASSWORD = 'a-word-of-the-test'
URL = f'rtsp://owner:{PASSWORD}@127.0.0.1:{PORT}/cam0'
TAGREAD = vm.BUILD / 'native/tests/tools/tagread'
SECONDS = 15
SMALL = (96, 54)                    # pictures are compared at this size
board = None


def play(seconds):
    """A client that decodes for so many seconds; its output is a tag line a frame."""
    return subprocess.Popen(
        ['sh', '-c', f'ffmpeg -nostdin -v error -rtsp_transport tcp -i {URL} -t {seconds} '
         f'-fps_mode passthrough -f rawvideo -pix_fmt gray - | {TAGREAD} --format gray'],
        stdout=subprocess.PIPE, text=True)


def numbers(text):
    return [{k: int(float(v)) for k, v in re.findall(r'(\w+)=([\d.]+)', line)}
            for line in text.splitlines() if 'unreadable' not in line and 'no-signal' not in line]


def test_rate():
    """Two clients at once: each gets at least 5 distinct 1080p frames a second, in order, of its camera"""
    clients = [play(SECONDS), play(SECONDS)]
    texts = [client.communicate(timeout=90)[0] for client in clients]
    notes, rates = [], []
    for text in texts:
        frames = numbers(text)
        assert 'unreadable' not in text and 'torn' not in text, 'an unreadable frame'
        tap.in_time(len(frames) > 1, f'{len(frames)} frames')
        assert {f['camera'] for f in frames} == {0}
        assert all(a['seq'] < b['seq'] for a, b in zip(frames, frames[1:])), 'order, or a frame twice'
        times = [f['time_ns'] for f in frames]
        rate = (len(frames) - 1) / ((times[-1] - times[0]) / 1e9)
        gaps = [b - a for a, b in zip(times, times[1:])]
        notes.append(f'{len(frames)} distinct frames, {rate:.1f} frames/s, median gap '
                     f'{statistics.median(gaps) / 1e6:.0f} ms')
        rates.append(rate)
    tap.in_time(min(rates) >= 5, f'{notes}')
    return [*notes, *[line for line in board.lines if re.match(r'(volet: )?cam0: memory', line)][-2:]]


def picture(source, filters):
    """One frame as small Y, U and V planes."""
    out = subprocess.run(['ffmpeg', '-nostdin', '-v', 'error', *source, '-frames:v', '1', '-vf',
                          f'{filters}scale={SMALL[0]}:{SMALL[1]}:flags=area,format=yuvj444p', '-f', 'rawvideo', '-'],
                         capture_output=True, check=True, timeout=60).stdout
    size = SMALL[0] * SMALL[1]
    assert len(out) == 3 * size
    return [out[i * size:(i + 1) * size] for i in range(3)]


def distance(a, b):
    """Mean difference of two pictures, the rows of the two pixel tags left out: (luma, chroma)."""
    rows = range(4 * SMALL[0], (SMALL[1] - 4) * SMALL[0])
    diff = [statistics.fmean(abs(x[i] - y[i]) for i in rows) for x, y in zip(a, b)]
    return diff[0], max(diff[1], diff[2])


def tag_of_frame(path):
    """Play one frame into this file; its tag. The streamer's own picture, of a busy board, is none."""
    for _ in range(5):
        subprocess.run(['ffmpeg', '-nostdin', '-v', 'error', '-y', '-rtsp_transport', 'tcp', '-i', URL, '-frames:v', '1',
                        '-f', 'rawvideo', '-pix_fmt', 'yuvj420p', path], check=True, timeout=60)
        said = subprocess.run([TAGREAD, '--format', 'gray'], input=path.read_bytes()[:1920 * 1080],
                              capture_output=True, check=False).stdout.decode()
        if 'no-signal' not in said:
            return numbers(said)[0]
    raise tap.TooSlow('five pictures of the streamer\'s own')


def test_picture():
    """The picture is the scene's: upright, unmirrored, in its colours"""
    share = pathlib.Path('/tmp/frame.yuv')
    tag = tag_of_frame(share)
    subprocess.run(['unsquashfs', '-q', '-n', '-f', '-d', '/tmp/scenes', vm.scenes(), 'scene0.yuv'],
                   check=True, stdout=subprocess.DEVNULL)
    frames = pathlib.Path('/tmp/scenes/scene0.yuv').stat().st_size // (768 * 576 * 3 // 2)
    index = (tag['scene'] - 1) % frames
    got = picture(['-f', 'rawvideo', '-pix_fmt', 'yuvj420p', '-video_size', '1920x1080', '-i', share], '')
    wants = {}
    for name, filters in {'scene': '', 'mirrored': 'hflip,', 'upside down': 'vflip,',
                          'chroma swapped': 'shuffleplanes=0:2:1,'}.items():
        wants[name] = distance(got, picture(
            ['-f', 'rawvideo', '-pix_fmt', 'yuv420p', '-video_size', vm.SCENE_SIZE, '-ss', f'{index / 10:.3f}',
             '-framerate', '10', '-i', '/tmp/scenes/scene0.yuv'], filters))
    notes = [f'{name}: luma {d[0]:.1f}, chroma {d[1]:.1f}' for name, d in wants.items()]
    assert wants['scene'][0] < 12 and wants['scene'][1] < 6, notes
    assert wants['scene'][0] * 2 < min(wants['mirrored'][0], wants['upside down'][0]), notes
    assert wants['scene'][1] * 2 < wants['chroma swapped'][1], notes
    return [f'scene frame {index}', *notes]


def test_gstreamer():
    """GStreamer plays it"""
    done = subprocess.run(['gst-launch-1.0', 'rtspsrc', f'location={URL}', 'protocols=tcp', '!', 'rtpjpegdepay',
                           '!', 'jpegdec', '!', 'video/x-raw,width=1920,height=1080', '!', 'fakesink', 'num-buffers=10'],
                          capture_output=True, text=True, timeout=60, check=False)
    # Not its status: its CLOSE may cancel its own PAUSE, which is an error to it (1.26).
    assert 'Got EOS from element' in done.stdout, done.stdout + done.stderr


def main():
    global board                                                    # pylint: disable=W0603
    share = pathlib.Path('/tmp/stream')
    share.mkdir()
    (share / 'volet.conf').write_text(run.configuration(1, run.ha1_of('owner', PASSWORD), run.FPS[1]))
    (share / 'job').write_text(run.JOB.format(cameras=1))
    (share / 'job').chmod(0o755)
    with vm.Board(pathlib.Path(sys.argv[1]), share, 1, [(PORT, 8554)]) as board:
        board.wait_line('volet: streamer is up', 90)
        run.first_frame(URL, 0, 60)
        time.sleep(1)
        return tap.run([test_rate, test_picture, test_gstreamer])


if __name__ == '__main__':
    vm.main(lambda: 1 if main() else 0)

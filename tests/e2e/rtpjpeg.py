# SPDX-License-Identifier: MIT
"""
What a viewer really received: JPEG frames out of interleaved RTP (RFC 2435), each with the time
at which its last byte was read, by readers that take their time. A frame with a gap in it is
an error; only the last one of a connection may be cut off.
"""
import re
import subprocess
import threading
import time


class Frame:
    """One whole frame: when its last byte was read, by CLOCK_MONOTONIC, and the picture."""

    def __init__(self, ended_ns, jpeg):
        self.ended_ns, self.jpeg, self.tag = ended_ns, jpeg, None


def sections(head, tables):
    """The start of a JPEG file that RFC 2435 leaves out; Huffman tables are the usual ones."""
    kind, width, height = head[4], head[6] * 8, head[7] * 8
    out = b'\xff\xd8'
    for i in range(2):
        out += b'\xff\xdb\x00\x43' + bytes([i]) + tables[64 * i:64 * i + 64]
    out += (b'\xff\xc0\x00\x11\x08' + height.to_bytes(2, 'big') + width.to_bytes(2, 'big') + b'\x03' +
            b'\x01' + bytes([0x22 if kind & 1 else 0x21]) + b'\x00\x02\x11\x01\x03\x11\x01')
    return out + b'\xff\xda\x00\x0c\x03\x01\x00\x02\x11\x03\x11\x00\x3f\x00'


class Frames:
    """RTP packets in, whole frames out. AssertionError when a frame has a hole."""

    def __init__(self):
        self.whole, self.data, self.head, self.sequence, self.stamp = [], None, None, None, None

    def add(self, packet):
        assert packet[0] >> 6 == 2 and not packet[0] & 0x3f, f'RTP header {packet[:12].hex()}'
        marker, sequence, stamp = packet[1] & 0x80, int.from_bytes(packet[2:4], 'big'), packet[4:8]
        head, rest = packet[12:20], packet[20:]
        offset = int.from_bytes(head[1:4], 'big')
        if offset == 0:
            assert self.data is None, 'a frame begins before the one before has ended'
            assert head[5] >= 128, f'Q {head[5]}: tables are not in the packet'
            size = int.from_bytes(rest[2:4], 'big')
            assert size == 128, f'tables of {size} bytes'
            self.head, self.data = sections(head, rest[4:4 + size]), b''
            rest = rest[4 + size:]
        else:
            assert self.data is not None, 'the beginning of a frame is missing'
            assert sequence == (self.sequence + 1) % 65536 and stamp == self.stamp, 'a hole in a frame'
        assert offset == len(self.data), f'offset {offset} after {len(self.data)} bytes of the frame'
        self.data, self.sequence, self.stamp = self.data + rest, sequence, stamp
        if marker:
            self.whole.append(Frame(time.monotonic_ns(), self.head + self.data + b'\xff\xd9'))
            self.data = None


class Reader(threading.Thread):
    """
    Reads a playing rtsp.Client in pieces, with a pause after each, until the connection ends or
    `stop()`. While `hold` is set it reads nothing.
    """

    def __init__(self, client, piece=65536, pause=0.0):
        super().__init__(daemon=True)
        self.client, self.piece, self.pause = client, piece, pause
        self.frames, self.error, self.ended = Frames(), None, False
        self.stopping, self.hold, self.bytes = threading.Event(), threading.Event(), 0
        client.socket.settimeout(0.2)
        self.start()

    def packets(self):
        data = self.client.data
        while len(data) >= 4:
            assert data[:1] == b'$', f'not an interleaved packet: {data[:20]!r}'
            size = 4 + int.from_bytes(data[2:4], 'big')
            if len(data) < size:
                break
            if data[1] == 0:
                self.frames.add(data[4:size])
            data = data[size:]
        self.client.data = data

    def run(self):
        try:
            while not self.stopping.is_set():
                if self.hold.is_set():
                    time.sleep(0.02)
                    continue
                try:
                    more = self.client.socket.recv(self.piece)
                except TimeoutError:
                    continue
                if not more:
                    break
                self.bytes += len(more)
                self.client.data += more
                self.packets()
                self.stopping.wait(self.pause)
        except ConnectionError:
            pass
        except AssertionError as error:
            self.error = error
        self.ended = True

    def stop(self):
        """What it received: whole frames with their tags' numbers (see `read_tags`)."""
        self.stopping.set()
        self.join()
        self.client.close()
        if self.error:
            raise self.error
        return self.frames.whole


def read_tags(frames, tagread, size, test=True):
    """
    Decode every frame and read its pixel tag: frame.tag is a dict of numbers, None if it is
    torn or unreadable, and empty for the streamer's own picture. Returns the pixels, gray.
    """
    if not frames:
        return b''
    raw = subprocess.run(['ffmpeg', '-v', 'error', '-xerror', '-err_detect', 'explode', '-threads', '1', '-f', 'mjpeg',
                          '-i', '-', '-fps_mode', 'passthrough', '-f', 'rawvideo', '-pix_fmt', 'gray', '-'],
                         input=b''.join(f.jpeg for f in frames), capture_output=True, check=False)
    assert raw.returncode == 0 and not raw.stderr, f'a frame does not decode: {raw.stderr.decode()[-500:]}'
    said = subprocess.run([tagread, *(['--test'] if test else []), '--size', size], input=raw.stdout,
                          capture_output=True, check=False).stdout.decode()
    lines = said.splitlines()
    assert len(lines) == len(frames), f'{len(frames)} frames, {len(lines)} pictures'
    for frame, line in zip(frames, lines):
        frame.tag = {} if 'no-signal' in line else None if 'unreadable' in line or 'torn' in line else \
            {k: int(float(v)) for k, v in re.findall(r'(\w+)=([\d.]+)', line)}
    return raw.stdout

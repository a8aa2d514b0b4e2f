# SPDX-License-Identifier: MIT
"""
A stand-in for the streamers that Volet differs from: who was let in is remembered by where they
came from, an address or an address and a port, until it times out. It speaks as much RTSP as
tests/attack/crowd does, and shows the pictures of whoever that was.
"""
import contextlib
import re
import socketserver
import struct
import threading
import time

import tagged

RATE, SESSION_S = 8, 60


def packets(jpeg, ssrc, first, stamp):
    """RFC 2435: one picture as RTP packets, its tables in the first."""
    tables = b''.join(part[5:] for part in re.findall(rb'\xff\xdb\x00\x43[\x00\x01].{64}', jpeg, re.S))
    frame = jpeg.index(b'\xff\xc0')
    height, width = struct.unpack_from('>HH', jpeg, frame + 5)
    scan = jpeg.index(b'\xff\xda')
    data = jpeg[scan + 2 + struct.unpack_from('>H', jpeg, scan + 2)[0]:-2]
    out, at = [], 0
    while at < len(data):
        piece = data[at:at + 1200]
        head = struct.pack('>BBHII', 0x80, 26 | (0x80 if at + len(piece) == len(data) else 0), first + len(out) & 0xffff,
                           stamp, ssrc)
        head += struct.pack('>BBBBBBBB', 0, at >> 16, at >> 8 & 255, at & 255, 1, 255, width // 8, height // 8)
        if at == 0:
            head += struct.pack('>BBH', 0, 0, len(tables)) + tables
        out.append(head + piece)
        at += len(piece)
    return out


class Handler(socketserver.StreamRequestHandler):
    """One connection."""

    def answer(self, sequence, status, extra='', body=''):
        self.wfile.write(f'RTSP/1.0 {status} x\r\nCSeq: {sequence}\r\n{extra}Content-Length: {len(body)}\r\n\r\n'
                         f'{body}'.encode())

    def read_request(self):
        lines = []
        while line := self.rfile.readline().decode(errors='replace').strip():
            lines.append(line)
        return lines

    def handle(self):
        with contextlib.suppress(OSError, ValueError):
            while lines := self.read_request():
                if not self.serve(lines[0].split()[0], '\n'.join(lines)):
                    return

    def serve(self, method, text):
        sequence = re.search(r'CSeq: (\d+)', text)[1]
        who = re.search(r'username="viewer(\d+)"', text)
        key = self.client_address[:self.server.parts]
        if method == 'DESCRIBE':
            known = self.server.known.get(key)
            if known and time.monotonic() - known[1] < SESSION_S:
                self.answer(sequence, 200, '', 'v=0\r\n')           # let in before: no need to ask
            elif who:
                self.server.known[key] = (int(who[1]), time.monotonic())
                self.answer(sequence, 200, '', 'v=0\r\n')
            else:
                self.answer(sequence, 401, 'WWW-Authenticate: Digest realm="volet", nonce="1234"\r\n')
        elif method == 'SETUP':
            self.answer(sequence, 200, f'Session: {time.monotonic_ns()}\r\n')
        elif method == 'PLAY':
            self.answer(sequence, 200)
            self.play(self.server.pictures[self.server.known[key][0]])
        return method != 'TEARDOWN'

    def play(self, jpeg):
        first = 0
        while True:
            parts = packets(jpeg, id(self) & 0xffffffff, first, first)
            self.wfile.write(b''.join(struct.pack('>cBH', b'$', 0, len(part)) + part for part in parts))
            first += len(parts)
            time.sleep(1 / RATE)


class Keyed(socketserver.ThreadingTCPServer):
    """`parts` of (address, port) are what a session is remembered by: 1 or 2."""
    allow_reuse_address = daemon_threads = True
    request_queue_size = 64

    def __init__(self, address, cameras, parts):
        super().__init__((address, 0), Handler)
        self.parts, self.known, self.port = parts, {}, self.server_address[1]
        self.pictures = [tagged.jpeg(i, 1, time.monotonic_ns() + 10 ** 12) for i in range(cameras)]
        self.thread = threading.Thread(target=self.serve_forever, daemon=True)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.shutdown()
        self.server_close()

# SPDX-License-Identifier: MIT
"""Viewers over UDP for tests, their tools, and looks at the streamer that serves them (see native.py)."""
import contextlib
import json
import os
import pathlib
import re
import socket
import struct
import subprocess
import threading
import time

import native
import rtsp

RECEIVER_REPORT = struct.pack('>BBHI', 0x80, 201, 1, 0x1234)


class Client(rtsp.Client):
    """RTP over UDP: two sockets of its own, `server` the ports that the answer names."""

    def __init__(self, streamer, camera='cam0', viewer='alice', server='127.0.0.1', own='127.0.0.1', **kwargs):
        super().__init__(camera, viewer, native.PASSWORDS[viewer], address=(server, streamer.port), **kwargs)
        self.rtp, self.rtcp, self.port = udp_pair(own)
        self.track = None

    def setup(self, transport=None):
        if not self.track:
            answer = self.request('DESCRIBE', extra='Accept: application/sdp\r\n')
            assert answer[0] == 200, answer
            control = re.findall(r'a=control:(\S+)', answer[2].decode())[-1]
            self.track = control if control.startswith('rtsp') else f'{self.url}/{control}'
        transport = transport or f'RTP/AVP;unicast;client_port={self.port}-{self.port + 1}'
        answer = self.request('SETUP', self.track, f'Transport: {transport}\r\n')
        self.session = answer[1].get('Session', '').split(';')[0] or None
        ports = re.search(r'server_port=(\d+)-(\d+)', answer[1].get('Transport', ''))
        self.server = tuple(int(p) for p in ports.groups()) if ports else None
        return answer

    def close(self):
        super().close()
        self.rtp.close()
        self.rtcp.close()


def udp_pair(address='127.0.0.1'):
    """An even port and the next."""
    while True:
        rtp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        rtp.bind((address, 0))
        port = rtp.getsockname()[1]
        rtcp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        with contextlib.suppress(OSError):
            if port % 2 == 0:
                rtcp.bind((address, port + 1))
                for one in rtp, rtcp:
                    one.settimeout(10)
                return rtp, rtcp, port
        rtp.close()
        rtcp.close()


def player(streamer, viewer, camera, frames, size, transport, host='127.0.0.1', within=()):
    """ffmpeg and the tag reader behind it."""
    return subprocess.Popen(
        [*within, 'sh', '-c', f'timeout 40 ffmpeg -nostdin -v error -rtsp_transport {transport} '
         f'-i {streamer.url(viewer, camera).replace("127.0.0.1", host)} -frames:v {frames} -fps_mode passthrough -f rawvideo -pix_fmt gray - '
         f'2>{native.HOME}/ffmpeg-{transport}-{camera.replace("/", "-")} | {native.TAGREAD} --test --size {size} 2>/dev/null'],
        stdout=subprocess.PIPE, text=True)


def gstreamer(streamer, viewer, camera, frames, size, protocols):
    """GStreamer's rtspsrc, and the tag reader."""
    url = f'rtsp://127.0.0.1:{streamer.port}/{camera}'
    return subprocess.Popen(
        ['sh', '-c', f'timeout 40 gst-launch-1.0 -q rtspsrc location={url} user-id={viewer} '
         f'user-pw={native.PASSWORDS[viewer]} protocols={protocols} latency=100 ! rtpjpegdepay ! '
         f'identity eos-after={frames + 1} ! jpegdec ! videoconvert ! video/x-raw,format=GRAY8 ! fdsink '
         f'2>{native.HOME}/gst-{protocols} | {native.TAGREAD} --test --size {size} 2>/dev/null'],
        stdout=subprocess.PIPE, text=True)


def processes(name):
    found = []
    for comm in pathlib.Path('/proc').glob('[0-9]*/comm'):
        with contextlib.suppress(OSError):
            if comm.read_text().strip() == name:
                found.append(int(comm.parent.name))
    return found


def status(streamer):
    done = subprocess.run([native.BUILD / 'userspace/voletctl/voletctl', '--control', streamer.control, '--json',
                           'status'], capture_output=True, text=True, check=True, timeout=20)
    return json.loads(done.stdout)


def end(streamer, what):
    subprocess.run([native.BUILD / 'userspace/voletctl/voletctl', '--control', streamer.control, 'end', what],
                   check=True, timeout=20, stdout=subprocess.DEVNULL)


def sockets_of(pid, tables):
    """Descriptors of a process in these tables of /proc/net."""
    inodes = {line.split()[9] for name in tables
              for line in pathlib.Path(f'/proc/net/{name}').read_text().splitlines()[1:]}
    links = [os.readlink(f'/proc/{pid}/fd/{fd}') for fd in os.listdir(f'/proc/{pid}/fd')]
    return sum(bool(inodes & set(re.findall(r'socket:\[(\d+)\]', link))) for link in links)


def datagrams(sock, seconds):
    """All that comes in this time, or until nothing came for it."""
    got, until = [], time.monotonic() + seconds
    while (left := until - time.monotonic()) > 0:
        sock.settimeout(left)
        with contextlib.suppress(TimeoutError):
            got.append(sock.recv(65536))
    return got


def drain(sock):
    """All that is there already: what comes from now on is new."""
    sock.setblocking(False)
    with contextlib.suppress(BlockingIOError):
        while sock.recv(65536):
            pass


def is_refused(sock, seconds=5):
    """Is what this connected socket sends answered with `port unreachable`, within these seconds?"""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        try:
            sock.send(RECEIVER_REPORT)
        except ConnectionRefusedError:
            return True
        time.sleep(0.1)
    return False


def first(client, count=1):
    """The next RTP packets, however long the machine takes; the last one."""
    client.rtp.settimeout(20)
    for _ in range(count):
        packet = client.rtp.recv(65536)
    return packet


def gone(client):
    """The connection's end: within 10 s, or TimeoutError."""
    client.socket.settimeout(10)
    with contextlib.suppress(ConnectionError):
        while client.socket.recv(65536):
            pass
    return True


class KeepAlive:
    """
    Clients that last longer than the session's timeout: over UDP one that is silent (and whose reports
    another sends), one that sends reports, one that asks OPTIONS, one GET_PARAMETER; over TCP one that reads.
    """

    SECONDS = 72

    def __init__(self, streamer):
        self.began, self.running = time.monotonic(), True
        self.clients = {name: Client(streamer) for name in ('silent', 'reports', 'OPTIONS', 'GET_PARAMETER')}
        for client in self.clients.values():
            client.play()
        self.tcp = rtsp.Client('cam0', 'bob', native.PASSWORDS['bob'], address=('127.0.0.1', streamer.port))
        self.tcp.play()
        self.foreign = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(2)]
        self.foreign[1].bind(('127.0.0.7', self.clients['silent'].port + 1))
        self.ended = {}
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()
        threading.Thread(target=self.read, daemon=True).start()

    def turn(self, second):
        """What each does in this second; and whether they are still there."""
        for one in self.foreign:
            one.sendto(RECEIVER_REPORT, ('127.0.0.1', self.clients['silent'].server[1]))
        # What is no report doesn't count either, although it comes from the viewer.
        self.clients['silent'].rtcp.sendto(b'\x80\xc9', ('127.0.0.1', self.clients['silent'].server[1]))
        self.clients['silent'].rtp.sendto(b'hole', ('127.0.0.1', self.clients['silent'].server[0]))
        self.clients['reports'].rtcp.sendto(RECEIVER_REPORT, ('127.0.0.1', self.clients['reports'].server[1]))
        for name, client in self.clients.items():
            drain(client.rtp)
            if name in self.ended:
                continue
            try:
                if name in ('OPTIONS', 'GET_PARAMETER') and second % 20 == 0:
                    client.socket.settimeout(15)
                    assert client.request(name)[0] == 200
                client.socket.setblocking(False)
                if not client.socket.recv(65536):
                    self.ended[name] = time.monotonic() - self.began
            except BlockingIOError:
                pass
            except (ConnectionError, AssertionError):
                self.ended[name] = time.monotonic() - self.began

    def read(self):
        """The one over TCP: its reading is all that tells of it."""
        with contextlib.suppress(OSError):
            while self.tcp.socket.recv(65536):
                pass
        self.ended['tcp'] = time.monotonic() - self.began

    def run(self):
        second = 0
        while self.running:
            self.turn(second)
            second += 1
            time.sleep(1)

    def stop(self):
        self.running = False
        self.thread.join(30)

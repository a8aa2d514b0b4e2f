# SPDX-License-Identifier: MIT
"""A small RTSP client over one TCP connection, for what no player does: stalls, lies, vanishes."""
import hashlib
import re
import socket


def md5(text):
    return hashlib.md5(text.encode()).hexdigest()


class Client:
    """
    One connection. `source` is the local address to come from, `receive_buffer` the kernel's
    receive buffer in bytes. Requests return (status, headers, body).
    """

    def __init__(self, camera, viewer='', password='', address=('127.0.0.1', 8554), source=None,
                 receive_buffer=None, timeout=15):
        self.url = f'rtsp://{address[0]}:{address[1]}/{camera}'
        self.viewer, self.password = viewer, password
        self.sequence, self.session, self.nonce, self.response, self.data = 0, None, None, None, b''
        self.socket = socket.socket()
        if receive_buffer:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        if source:
            self.socket.bind((source, 0))
        self.socket.settimeout(timeout)
        self.socket.connect(address)

    def close(self):
        self.socket.close()

    def read(self, size):
        """Exactly `size` bytes; ConnectionError when the peer ends before."""
        while len(self.data) < size:
            more = self.socket.recv(65536)
            if not more:
                raise ConnectionError('the peer closed the connection')
            self.data += more
        out, self.data = self.data[:size], self.data[size:]
        return out

    def packet(self):
        """The next interleaved packet: (channel, bytes)."""
        head = self.read(4)
        if head[:1] != b'$':
            raise ValueError(f'not an interleaved packet: {head!r}')
        return head[1], self.read(int.from_bytes(head[2:], 'big'))

    def answer(self):
        """The next answer; interleaved packets before it are dropped."""
        while True:
            if self.data[:1] == b'$':
                self.packet()
                continue
            end = self.data.find(b'\r\n\r\n')
            if end >= 0:
                break
            more = self.socket.recv(65536)
            if not more:
                raise ConnectionError('the peer closed the connection')
            self.data += more
        head, self.data = self.data[:end].decode(), self.data[end + 4:]
        lines = head.split('\r\n')
        headers = dict(line.split(': ', 1) for line in lines[1:] if ': ' in line)
        body = self.read(int(headers.get('Content-Length', 0)))
        return int(lines[0].split()[1]), headers, body

    def send(self, method, url=None, extra=''):
        url = url or self.url
        self.sequence += 1
        text = f'{method} {url} RTSP/1.0\r\nCSeq: {self.sequence}\r\n'
        if self.session:
            text += f'Session: {self.session}\r\n'
        if self.nonce:
            ha1 = md5(f'{self.viewer}:volet:{self.password}')
            self.response = response = md5(f'{ha1}:{self.nonce}:{md5(f"{method}:{url}")}')
            text += (f'Authorization: Digest username="{self.viewer}", realm="volet", '
                     f'nonce="{self.nonce}", uri="{url}", response="{response}"\r\n')
        self.socket.sendall((text + extra + '\r\n').encode())

    def request(self, method, url=None, extra=''):
        """Send and read the answer; a 401 is answered once with the credential."""
        self.send(method, url, extra)
        answer = self.answer()
        fresh = re.search(r'nonce="([^"]+)"', answer[1].get('WWW-Authenticate', ''))
        if answer[0] == 401 and fresh and self.viewer and fresh[1] != self.nonce:
            self.nonce = fresh[1]
            self.send(method, url, extra)
            answer = self.answer()
        return answer

    def setup(self):
        """DESCRIBE and SETUP; the answer of the first that is not 200, else of SETUP."""
        answer = self.request('DESCRIBE', extra='Accept: application/sdp\r\n')
        if answer[0] != 200:
            return answer
        control = re.findall(r'a=control:(\S+)', answer[2].decode())[-1]
        track = control if control.startswith('rtsp://') else f'{self.url}/{control}'
        answer = self.request('SETUP', track,
                              'Transport: RTP/AVP/TCP;unicast;interleaved=0-1\r\n')
        self.session = answer[1].get('Session', '').split(';')[0] or None
        return answer

    def play(self):
        """DESCRIBE, SETUP and PLAY; AssertionError when one of them is refused."""
        answer = self.setup()
        assert answer[0] == 200, f'SETUP: {answer}'
        answer = self.request('PLAY', extra='Range: npt=0.000-\r\n')
        assert answer[0] == 200, f'PLAY: {answer}'

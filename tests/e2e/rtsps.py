#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""
RTSPS on the board: pictures through TLS, nothing through the TLS port without it, the private
key in one process, and the same limits and the same end of a session as without TLS.
"""
import contextlib
import os
import pathlib
import re
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import streamer                                                                  # noqa: E402
import rtpjpeg                                                                  # noqa: E402
import rtsp                                                                     # noqa: E402
import tap                                                                      # noqa: E402

PORT = 8322
FILES = pathlib.Path('/run/tls')        # what the streamer is configured with
SIGN_UID = 60950
EXTRA = f'rtsps-port = {PORT}\ncertificate = {FILES}/cert.pem\nprivate-key = {FILES}/key.pem\n'
OPTIONS = b'OPTIONS rtsp://127.0.0.1/cam0 RTSP/1.0\r\nCSeq: 1\r\n\r\n'


def put(certificate='tls', key='tls'):
    """The named certificate and key of the host become those that the streamer is to use."""
    FILES.mkdir(exist_ok=True)
    for kind, name, owner, mode in ('cert', certificate, 0, 0o444), ('key', key, SIGN_UID, 0o400):
        path = FILES / f'{kind}.pem'
        path.unlink(missing_ok=True)
        shutil.copy(f'/host/{name}-{kind}.pem', path)
        os.chown(path, owner, 0)
        path.chmod(mode)


def start(extra=''):
    put()
    streamer.start(extra=EXTRA + extra)
    streamer.until(lambda: 'volet-sign is ready' in streamer.log(), 20, 'the signer is ready')


def context(name='tls'):
    """A client's that trusts one certificate, and checks the address in it."""
    return ssl.create_default_context(cafile=f'/host/{name}-cert.pem')


class Client(rtsp.Client):
    """The same client through TLS."""

    def __init__(self, camera, viewer='', password='', trust='tls', **kwargs):
        super().__init__(camera, viewer, password, address=('127.0.0.1', PORT), **kwargs)
        self.url = self.url.replace('rtsp:', 'rtsps:')
        self.socket = context(trust).wrap_socket(self.socket, server_hostname='127.0.0.1')


def player(viewer, camera, frames, limit=60):
    """As streamer.player(), through TLS."""
    url = f'rtsps://{viewer}:{streamer.PASSWORDS[viewer]}@127.0.0.1:{PORT}/{camera}'
    return subprocess.Popen(
        ['sh', '-c', f'timeout {limit} ffmpeg -nostdin -v error -fflags nobuffer -flags low_delay '
         f'-rtsp_transport tcp -i {url} -frames:v {frames} -fps_mode passthrough '
         f'-f rawvideo -pix_fmt gray - 2>/run/ffmpeg-tls-{viewer} | '
         'stdbuf -oL /usr/libexec/volet-tests/tagread --format gray 2>/dev/null'],
        stdout=subprocess.PIPE, text=True)


def test_two_viewers():
    """Two viewers of two cameras through TLS: each displays only their own"""
    start(extra=streamer.PATIENT)
    pipes = [player('alice', 'cam0', 10), player('bob', 'cam1', 10)]
    for camera, pipe in enumerate(pipes):
        streamer.only_own(streamer.tags(pipe), camera, 10)
    assert re.search(r'TLSv1\.[23], \w', streamer.log()), streamer.log()[-2000:]


def send_plain(port):
    """What comes back for a plain request."""
    with socket.create_connection(('127.0.0.1', port), timeout=20) as plain:
        plain.sendall(OPTIONS)
        answer = b''
        with contextlib.suppress(ConnectionError, TimeoutError):
            while b'\r\n\r\n' not in answer:
                more = plain.recv(4096)
                if not more:
                    break
                answer += more
        return answer


def test_plain():
    """Plain RTSP is answered on the port without TLS; on the other there is an alert, or nothing"""
    start()
    answer = send_plain(8554)
    assert answer.startswith(b'RTSP/1.0 200'), f'the test asks nothing: {answer!r}'
    streamer.until(lambda: not streamer.processes('volet-rtsp'), 10, 'that session is over')
    answer = send_plain(PORT)
    assert answer == b'' or (len(answer) == 7 and answer[0] == 21), f'{answer!r}'
    streamer.until(lambda: 'no TLS handshake' in streamer.log(), 10, 'the reason is in the log')
    # Each line comes its own way.
    streamer.until(lambda: 'what came is not TLS' in streamer.log(), 10, 'what it was, too')
    assert not streamer.processes('volet-rtsp'), 'a session program was started'


def tcp_sockets(pid):
    """Descriptors of a process that are TCP sockets."""
    inodes = {line.split()[9] for name in ('tcp', 'tcp6')
              for line in pathlib.Path(f'/proc/net/{name}').read_text().splitlines()[1:]}
    found = []
    for fd in os.listdir(f'/proc/{pid}/fd'):
        link = re.match(r'socket:\[(\d+)\]', os.readlink(f'/proc/{pid}/fd/{fd}'))
        if link and link[1] in inodes:
            found.append(fd)
    return found


def test_processes():
    """Behind TLS the session program has no network socket; volet-tls has one, a uid, the filter"""
    start(extra=streamer.PATIENT)
    plain = rtsp.Client('cam0', 'alice', streamer.PASSWORDS['alice'])
    plain.play()
    assert len(tcp_sockets(streamer.processes('volet-rtsp')[0])) == 1, 'the look finds nothing'
    plain.close()
    streamer.until(lambda: not streamer.processes('volet-rtsp'), 10, 'that session is over')
    client = Client('cam0', 'alice', streamer.PASSWORDS['alice'])
    client.play()
    client.read(20000)
    (session,), (tls,), (sign,) = (streamer.processes(n) for n in ('volet-rtsp', 'volet-tls', 'volet-sign'))
    assert not tcp_sockets(session) and not tcp_sockets(sign) and len(tcp_sockets(tls)) == 1
    assert len({streamer.uid_of(p) for p in (session, tls, sign)}) == 3
    assert streamer.uid_of(sign) == SIGN_UID and 61000 <= streamer.uid_of(tls) <= 61999
    for pid in tls, sign:
        status = dict(re.findall(r'(\w+):\s+(.*)', pathlib.Path(f'/proc/{pid}/status').read_text()))
        assert status['NoNewPrivs'] == '1' and status['Seccomp'] == '2', status
        assert all(int(status[c], 16) == 0 for c in ('CapPrm', 'CapEff', 'CapBnd', 'CapInh', 'CapAmb'))
    out = []
    for name, pid in ('volet-tls', tls), ('volet-rtsp', session), ('volet-sign', sign):
        text = pathlib.Path(f'/proc/{pid}/smaps_rollup').read_text()
        size = {k: int(v) for k, v in re.findall(r'(\w+):\s+(\d+) kB', text)}
        out.append(f'{name}: private {size["Private_Clean"] + size["Private_Dirty"]} kB, '
                   f'proportional {size["Pss"]} kB')
    client.close()
    return out


def secret():
    """The private number in the key's file."""
    der = ssl.PEM_cert_to_DER_cert((FILES / 'key.pem').read_text().replace('PRIVATE KEY', 'CERTIFICATE'))
    at = der.index(b'\x02\x01\x01\x04\x20')
    return der[at + 5:at + 37]


def holds(pid, number):
    """How often the number is in a process's memory, in either byte order."""
    found = 0
    with open(f'/proc/{pid}/mem', 'rb', buffering=0) as memory:
        for line in pathlib.Path(f'/proc/{pid}/maps').read_text().splitlines():
            first, last = (int(n, 16) for n in line.split()[0].split('-'))
            if 'r' not in line.split()[1] or last - first > 64 << 20:
                continue
            with contextlib.suppress(OSError, ValueError):
                memory.seek(first)
                data = memory.read(last - first)
                found += data.count(number) + data.count(number[::-1])
    return found


def test_key_bites():
    """A TLS server that loads the key itself has it in its memory, where a scan finds it"""
    put()
    with subprocess.Popen([sys.executable, '-c', 'import ssl, time; c = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER); '
                           f'c.load_cert_chain("{FILES}/cert.pem", "{FILES}/key.pem"); '
                           'print("loaded", flush=True); time.sleep(100)'], stdout=subprocess.PIPE) as server:
        server.stdout.readline()
        count = holds(server.pid, secret())
        server.kill()
    assert count > 0, 'the scan does not find the key where it is'


def test_key_held():
    """With a session open, the key is in volet-sign's memory and in no other program's"""
    start(extra=streamer.PATIENT)
    client = Client('cam0', 'alice', streamer.PASSWORDS['alice'])
    client.play()
    client.read(20000)
    found = {}
    for name in 'volet-sign', 'volet-tls', 'volet-rtsp', 'voletd', 'volet-cam', 'volet-spawn':
        pids = streamer.processes(name)
        assert pids, f'no {name} runs'
        found[name] = sum(holds(pid, secret()) for pid in pids)
    client.close()
    assert found.pop('volet-sign') > 0, 'not even there: the scan does not work'
    assert not any(found.values()), found
    assert subprocess.run(['setpriv', '--reuid', '60000', '--regid', '60000', '--clear-groups', 'cat',
                           FILES / 'key.pem'], capture_output=True, check=False).returncode, \
        "voletd's uid can read the key's file"


def test_flood():
    """Handshakes that are never finished are bounded and end, and the owner gets in meanwhile"""
    start(extra='authentication-timeout-s = 15\n')     # the owner has no more than that either
    streamer.until(lambda: not streamer.processes('volet-rtsp'), 20, 'who asked whether it is up has gone')
    held = []
    for _ in range(40):
        with contextlib.suppress(OSError):
            one = socket.create_connection(('127.0.0.1', PORT), 5, source_address=('127.0.0.9', 0))
            one.sendall(b'\x16\x03\x01')
            held.append(one)
    streamer.until(lambda: streamer.processes('volet-tls'), 10, 'a handshake begins')
    time.sleep(2)
    count = len(streamer.processes('volet-tls'))
    assert count <= 4, f'{count} TLS processes for one source'
    assert not streamer.processes('volet-rtsp'), 'a session program without a handshake'
    client = Client('cam0', 'alice', streamer.PASSWORDS['alice'])
    assert client.setup()[0] == 200, streamer.log()[-2000:]
    streamer.until(lambda: 'not authenticated in time' in streamer.log(), 30, 'they are ended')
    streamer.until(lambda: len(streamer.processes('volet-tls')) == 1, 10, 'only the owner is left')
    client.close()
    for one in held:
        one.close()


def test_pair():
    """A certificate of another key is refused at start, and the log says what to do"""
    streamer.stop()
    put(key='other')
    streamer.LOG.unlink(missing_ok=True)
    text = pathlib.Path('/host/e2e.conf').read_text().replace('[volet]\n', f'[volet]\n{EXTRA}', 1)
    pathlib.Path('/run/e2e.conf').write_text(text)
    subprocess.run(['/volet/start-streamer', '/run/e2e.conf'], check=True, timeout=30,
                   stdout=subprocess.DEVNULL)
    streamer.until(lambda: 'is not of the key in private-key' in streamer.log(), 20, 'the log says so')
    streamer.until(lambda: not streamer.processes('voletd'), 10, 'voletd has ended')


def presented():
    """The certificate that a new connection is shown; None when there is no TLS."""
    return ssl.get_server_certificate(('127.0.0.1', PORT), timeout=20).split()


def test_rotate():
    """A new certificate is taken at SIGHUP while a session goes on; a wrong one is not taken"""
    start(extra=streamer.PATIENT)
    (daemon,) = streamer.processes('voletd')
    client = Client('cam0', 'alice', streamer.PASSWORDS['alice'])
    client.play()
    reader = rtpjpeg.Reader(client)
    before = presented()
    put(certificate='other', key='tls')
    os.kill(daemon, signal.SIGHUP)
    streamer.until(lambda: 'the certificate and key in use stay' in streamer.log(), 20, 'the wrong pair is refused')
    assert presented() == before
    put(certificate='other', key='other')
    os.kill(daemon, signal.SIGHUP)
    streamer.until(lambda: streamer.log().count('volet-sign is ready') == 2, 20, 'the new one is there')
    assert presented() == pathlib.Path('/host/other-cert.pem').read_text().split()
    streamer.until(lambda: len(streamer.processes('volet-sign')) == 1, 5, 'the old signer is gone')
    count = reader.bytes
    streamer.until(lambda: reader.bytes > count + 200000 or reader.ended, 30, 'the session goes on')
    assert not reader.ended, f'{reader.error}; log:\n{streamer.log()[-2000:]}'
    reader.stop()
    fresh = Client('cam0', 'alice', streamer.PASSWORDS['alice'], trust='other')
    assert fresh.setup()[0] == 200
    fresh.close()


def test_stalled():
    """Through TLS too a viewer that stops reading is cut at the age limit, and others go on"""
    start(extra='age-limit-ms = 6000\n')        # the others' board may be slow
    client = Client('cam0', 'bob', streamer.PASSWORDS['bob'], receive_buffer=4096)
    client.play()
    pipe = player('alice', 'cam0', 15)
    streamer.until(lambda: 'unsent bytes too old' in streamer.log(), 30, 'the stalled viewer is cut')
    streamer.only_own(streamer.tags(pipe), 0, 15)
    client.close()


def test_kill():
    """A killed session with everything full: less than 64 kB more reach the viewer"""
    start(extra=streamer.PATIENT)
    client = Client('cam0', 'alice', streamer.PASSWORDS['alice'], receive_buffer=4096)
    client.play()
    time.sleep(5)
    for pid in streamer.processes('volet-rtsp'):
        os.kill(pid, signal.SIGKILL)
    streamer.until(lambda: 'session program exited' in streamer.log(), 5, 'voletd noticed')
    count = streamer.rest(socket.socket(fileno=client.socket.detach()))
    assert count < 65536, f'{count} bytes after the kill'
    streamer.until(lambda: not streamer.processes('volet-tls'), 5, 'volet-tls is gone too')
    return [f'{count} bytes after the kill']


def test_handshake_time():
    """How long a viewer waits for TLS"""
    start()
    times = []
    for _ in range(6):
        began = time.monotonic()
        with context().wrap_socket(socket.create_connection(('127.0.0.1', PORT)),
                                   server_hostname='127.0.0.1') as tls:
            times.append(time.monotonic() - began)
            version = f'{tls.version()} {tls.cipher()[0]}'
        streamer.until(lambda: not streamer.processes('volet-tls'), 10, 'it is over')
    times.sort()
    return [f'{version}: connection to handshake done, process start included: '
            f'median {times[3] * 1000:.0f} ms, worst {times[-1] * 1000:.0f} ms']


TESTS = [test_two_viewers, test_plain, test_processes, test_key_bites, test_key_held, test_flood,
         test_pair, test_rotate, test_stalled, test_kill, test_handshake_time]

if __name__ == '__main__':
    wanted = sys.argv[1:]
    failures = tap.run([t for t in TESTS if not wanted or t.__name__ in wanted])
    streamer.stop()
    sys.exit(1 if failures else 0)

#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""
RTP over UDP, the weaker class, on this machine: who may have it, where its datagrams can go and
come from, what stops it; and the request sequences of well-known programs, over TCP and UDP.
Run as root inside `tests/vm/enter`, with build/native made (see native.py).
"""
import os
import pathlib
import re
import signal
import ssl
import struct
import subprocess
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import native                                                                   # noqa: E402
import tap                                                                      # noqa: E402
from udp_viewer import (Client, KeepAlive, datagrams, drain, end, first, gone, gstreamer, is_refused,  # noqa: E402
                        player, processes, sockets_of, status)

PORTS = (50000, 50199)          # each pair rests for 30 s after its use
UDP = f'udp = yes\nudp-ports = {PORTS[0]}-{PORTS[1]}\n'
CAMERAS = {'cam0': native.test_camera('640x480', 10), 'cam1': native.test_camera('320x240', 10)}
PROFILES = '\n[profile cam1/jpeg]\ncodec = jpeg\n[profile cam1/video]\ncodec = h264\nbitrate-kbit = 2000\n'
CERTIFICATES = native.HOME / 'tls'
RTSPS_PORT = 8322


# ---- who may ------------------------------------------------------------------------------------

def test_opt_out():
    """Not switched on, for all or for one viewer: 461, no such program is started, TCP plays"""
    with native.Streamer(CAMERAS) as streamer:
        client = Client(streamer)
        assert client.setup()[0] == 461
        # One of several offers will do.
        answer = client.request('SETUP', client.track, f'Transport: RTP/AVP;unicast;client_port={client.port}-'
                                f'{client.port + 1},RTP/AVP/TCP;unicast;interleaved=0-1\r\n')
        assert answer[0] == 200 and 'TCP' in answer[1]['Transport'], answer
        client.close()
        assert not processes('volet-udp')
        native.only_own(native.tags(player(streamer, 'alice', 'cam0', 5, '640x480', 'tcp')), 0, 5)
    with native.Streamer(CAMERAS, UDP, each='udp = no\n') as streamer:
        client = Client(streamer)
        assert client.setup()[0] == 461
        client.close()


def test_rtsps():
    """Through TLS no RTP over UDP, switched on or not: 461, and not a datagram"""
    CERTIFICATES.mkdir(exist_ok=True)
    cert, key = CERTIFICATES / 'cert.pem', CERTIFICATES / 'key.pem'
    subprocess.run(['openssl', 'req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes',
                    '-days', '3', '-subj', '/CN=camera', '-keyout', key, '-out', cert], check=True,
                   capture_output=True)
    os.chown(key, native.SIGN_UID, 0)
    key.chmod(0o400)
    extra = UDP + f'rtsps-port = {RTSPS_PORT}\ncertificate = {cert}\nprivate-key = {key}\n'
    with native.Streamer(CAMERAS, extra) as streamer:
        streamer.until(lambda: 'volet-sign is ready' in streamer.text(), 'the signer is ready')
        plain = Client(streamer)
        assert plain.setup()[0] == 200, 'without TLS it is not to be had either: this shows nothing'
        plain.close()
        streamer.until(lambda: not status(streamer)['sessions'], 'that session is over')
        streamer.port = RTSPS_PORT
        client = Client(streamer)
        client.socket = tls_context().wrap_socket(client.socket)
        client.url = client.url.replace('rtsp:', 'rtsps:')
        assert client.setup()[0] == 461
        assert 'the connection is encrypted' in streamer.text()
        answer = client.request('SETUP', client.track, 'Transport: RTP/AVP/TCP;unicast;interleaved=0-1\r\n')
        client.session = answer[1]['Session'].split(';')[0]
        assert client.request('PLAY')[0] == 200
        (session,) = status(streamer)['sessions']
        assert session['transport-class'] == 'tls' and 'TLS' in session['transport'], session
        assert not datagrams(client.rtp, 1)
        client.close()


def tls_context():
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


# ---- what plays ---------------------------------------------------------------------------------

class Shared:
    """The streamer that the tests from here on share, with the clients that must last a minute."""

    streamer = keep = None

    @classmethod
    def get(cls):
        if not cls.streamer:
            cls.streamer = native.Streamer(CAMERAS, UDP, groups=PROFILES)
            cls.keep = KeepAlive(cls.streamer)
        return cls.streamer

    @classmethod
    def stop(cls):
        if cls.streamer:
            cls.keep.stop()
            cls.streamer.__exit__()


def until_gone(streamer):
    """Until the programs are those of the sessions: one that is ending has no sockets, or is gone at the next look."""
    def is_so():
        classes = [s['transport-class'] for s in status(streamer)['sessions']]
        return len(processes('volet-rtsp')) == len(classes) and len(processes('volet-udp')) == classes.count('udp')
    streamer.until(is_so, 'the programs of earlier sessions are gone')


def test_plays():
    """ffmpeg and GStreamer over UDP, JPEG and H.264, ffmpeg over TCP beside: each displays its own camera alone"""
    streamer = Shared.get()
    pipes = [('ffmpeg, UDP', player(streamer, 'alice', 'cam0', 30, '640x480', 'udp'), 0, 30),
             ('GStreamer, UDP', gstreamer(streamer, 'bob', 'cam1', 25, '320x240', 'udp'), 1, 20),
             ('ffmpeg, UDP, H.264', player(streamer, 'bob', 'cam1/video', 15, '320x240', 'udp'), 1, 15),
             ('ffmpeg, TCP', player(streamer, 'bob', 'cam0', 30, '640x480', 'tcp'), 0, 30)]
    notes = []
    for name, pipe, camera, count in pipes:
        shown = native.tags(pipe)
        native.only_own(shown, camera, count)
        ages = sorted(f['age_ms'] for f in shown)
        notes.append(f'{name}: {len(shown)} frames, age median {ages[len(ages) // 2]} ms')
    return notes


def test_status():
    """Status names each session's class; the session program has no UDP socket, volet-udp two, pinned"""
    streamer = Shared.get()
    client, other = Client(streamer), Client(streamer, 'cam1', 'bob')
    client.play()
    other.play()
    until_gone(streamer)
    mine = [s for s in status(streamer)['sessions'] if s['source'].endswith(f':{client.socket.getsockname()[1]}')]
    assert [s['transport-class'] for s in mine] == ['udp'] and 'WEAKER' in mine[0]['transport'], mine
    classes = {s['transport-class'] for s in status(streamer)['sessions']}
    assert classes == {'tcp', 'udp'}, classes
    relays, programs = processes('volet-udp'), processes('volet-rtsp')
    assert len(relays) >= 2
    uids = set()
    for pid in relays + programs:
        text = dict(re.findall(r'(\w+):\s+(.*)', pathlib.Path(f'/proc/{pid}/status').read_text()))
        assert text['NoNewPrivs'] == '1' and text['Seccomp'] == '2' and int(text['CapPrm'], 16) == 0
        uids.add(text['Uid'])
        assert sockets_of(pid, ['udp', 'udp6']) == (2 if pid in relays else 0), pid
        assert sockets_of(pid, ['tcp', 'tcp6']) == (0 if pid in relays else 1), pid
    assert len(uids) == len(relays + programs), 'a uid of two programs'
    # Local and remote end of both, as the kernel has them.
    table = pathlib.Path('/proc/net/udp').read_text()
    for server, port in zip(client.server, (client.port, client.port + 1)):
        assert f'0100007F:{server:04X} 0100007F:{port:04X} 01' in table, table
    one, another = (struct.unpack('>I', first(c)[8:12])[0] for c in (client, other))
    assert one != another, 'two sessions have one SSRC'
    sizes = [len(first(c)) for c in (client, other) for _ in range(40)]
    assert max(sizes) <= 1400, max(sizes)
    relay = pathlib.Path(f'/proc/{relays[0]}/smaps_rollup').read_text()
    size = dict(re.findall(r'(\w+): +(\d+) kB', relay))
    client.close()
    other.close()
    return [f'largest datagram {max(sizes)} bytes of {len(sizes)}, SSRCs {one:08x} and {another:08x}',
            f'volet-udp: private {int(size["Private_Clean"]) + int(size["Private_Dirty"])} kB, '
            f'proportional {size["Pss"]} kB']


def test_offers():
    """Multicast, other addresses, odd or privileged ports, SRTP: 461; the answer names both pairs"""
    streamer = Shared.get()
    client = Client(streamer)
    port = client.port
    for bad in ('RTP/AVP;multicast', f'RTP/AVP;multicast;client_port={port}-{port + 1}',
                f'RTP/AVP;unicast;destination=127.0.0.9;client_port={port}-{port + 1}',
                f'RTP/AVP;unicast;client_port={port + 1}-{port + 2}', 'RTP/AVP;unicast;client_port=22-23',
                f'RTP/AVP;unicast;client_port={port}-{port}', f'RTP/AVP;unicast;client_port={port}-{port + 3}',
                'RTP/AVP;unicast;client_port=65536-65537', 'RTP/AVP;unicast',
                f'RTP/SAVP;unicast;client_port={port}-{port + 1}', f'RAW/RAW/UDP;unicast;client_port={port}-{port + 1}',
                f'RTP/AVP;unicast;client_port={port}-{port + 1};mode=record'):
        answer = client.setup(bad)
        assert answer[0] == 461, (bad, answer)
    until_gone(streamer)
    assert not [c for c in processes('volet-udp') if sockets_of(c, ['udp']) != 2]
    answer = client.setup()
    assert answer[0] == 200, answer
    assert re.fullmatch(rf'RTP/AVP;unicast;client_port={port}-{port + 1};server_port=(\d+)-(\d+);ssrc=[0-9A-F]{{8}}.*',
                        answer[1]['Transport']), answer
    assert PORTS[0] <= client.server[0] < client.server[1] == client.server[0] + 1 <= PORTS[1], client.server
    # One connection, one stream, one way.
    assert client.request('SETUP', client.track, 'Transport: RTP/AVP/TCP;unicast;interleaved=0-1\r\n')[0] == 461
    assert client.request('SETUP', client.track, 'Transport: RTP/AVP;unicast;client_port=40000-40001\r\n')[0] == 461
    assert client.request('PLAY')[0] == 200
    first(client)
    client.rtcp.settimeout(30)
    assert client.rtcp.recv(65536)[1] == 200, 'no sender report'
    # RTP is not in the connection.
    client.send('OPTIONS')
    assert client.socket.recv(1) == b'R'
    client.close()


# ---- where datagrams come from and go to --------------------------------------------------------

def test_end():
    """The owner's end stops the datagrams: what comes after voletctl returned is next to nothing"""
    streamer = Shared.get()
    after = []
    for _ in range(5):
        client = Client(streamer)
        client.play()
        first(client)
        (mine,) = [s for s in status(streamer)['sessions']
                   if s['source'].endswith(f':{client.socket.getsockname()[1]}')]
        end(streamer, f'session:{mine["id"]}')
        drain(client.rtp)
        after.append(sum(len(d) for d in datagrams(client.rtp, 0.5)))
        assert gone(client)
        client.close()
    assert max(after) <= 65536, after
    return [f'bytes after voletctl end had returned: {after}']


def test_hang_up():
    """The connection is the session: when it closes, datagrams stop and the ports are nobody's"""
    streamer = Shared.get()
    known = set(processes('volet-udp'))
    client = Client(streamer)
    client.play()
    first(client)
    (relay,) = set(processes('volet-udp')) - known
    client.socket.close()
    streamer.until(lambda: relay not in processes('volet-udp'), 'its relay ends')
    drain(client.rtp)
    assert not datagrams(client.rtp, 0.7)
    client.rtcp.connect(('127.0.0.1', client.server[1]))
    assert is_refused(client.rtcp), 'somebody has the port'
    client.close()


def test_vanished():
    """A viewer who closes its port and keeps the connection: the session ends, and the reason is clear"""
    streamer = Shared.get()
    client = Client(streamer)
    client.play()
    first(client)
    client.rtp.close()
    streamer.until(lambda: "ended: nobody at the viewer's UDP port" in streamer.text(), 'it ends', 30)
    assert gone(client)
    client.close()


def test_reuse():
    """Port pairs rest after use: when none has rested there is none, and TCP goes on"""
    with native.Streamer(CAMERAS, 'udp = yes\nudp-ports = 50000-50003\n') as streamer:
        seen = []
        for _ in range(2):
            client = Client(streamer)
            client.play()
            first(client)
            seen.append(client.server)
            client.close()
            streamer.until(lambda: not processes('volet-udp'), 'it is over')
        assert sorted(seen) == [(50000, 50001), (50002, 50003)], seen
        client = Client(streamer)
        assert client.setup()[0] == 461
        assert 'no free pair in udp-ports' in streamer.text()
        answer = client.request('SETUP', client.track, 'Transport: RTP/AVP/TCP;unicast;interleaved=0-1\r\n')
        assert answer[0] == 200, answer
        client.close()


def test_ipv6():
    """Over IPv6, and over IPv4 to a socket of both: the same"""
    if not pathlib.Path('/proc/net/if_inet6').exists():
        raise tap.Skip('this machine has no IPv6')
    with native.Streamer(CAMERAS, UDP, address='::') as streamer:
        client = Client(streamer)
        client.play()
        first(client, 5)
        client.close()
        pipe = player(streamer, 'alice', 'cam0', 10, '640x480', 'udp', host='[::1]')
        native.only_own(native.tags(pipe), 0, 10)
        assert '[::1]:' in streamer.text() and '[::ffff:127.0.0.1]:' in streamer.text()


def test_killed():
    """A relay or a session program that dies takes the session with it, and no other"""
    streamer = Shared.get()
    stays = Client(streamer, 'cam1', 'bob')
    stays.play()
    for name in 'volet-udp', 'volet-rtsp':
        known = set(processes('volet-udp') + processes('volet-rtsp'))
        client = Client(streamer)
        client.play()
        first(client)
        (pid,), (relay,) = (set(processes(n)) - known for n in (name, 'volet-udp'))
        os.kill(pid, signal.SIGKILL)
        assert gone(client)
        streamer.until(lambda: relay not in processes('volet-udp'), 'its relay ends')   # pylint: disable=W0640
        drain(client.rtp)
        assert not datagrams(client.rtp, 0.5)
        client.close()
    drain(stays.rtp)
    first(stays, 10)
    stays.close()


def test_stuck_relay():
    """A relay that is stopped holds nothing up: others play, and what it sends later is not old"""
    streamer = Shared.get()
    known = set(processes('volet-udp'))
    client = Client(streamer)
    client.play()
    began = first(client)
    (pid,) = set(processes('volet-udp')) - known
    os.kill(pid, signal.SIGSTOP)
    time.sleep(4)                       # twice the age limit
    drain(client.rtp)
    os.kill(pid, signal.SIGCONT)
    later = [first(client) for _ in range(60)]
    # RTP times are capture times, at 90 kHz: of packets of before the stop none is left.
    ages = [(struct.unpack('>I', d[4:8])[0] - struct.unpack('>I', began[4:8])[0]) % 2 ** 32 / 90000 for d in later]
    assert min(ages) > 1.9, f'sent at 4.2 s after the first: of {min(ages):.2f} s'
    client.close()
    return [f'{len(later)} packets, the oldest of {4.2 - min(ages):.2f} s before']


# ---- keep-alive ---------------------------------------------------------------------------------

def test_keep_alive():
    """Over UDP who is silent is ended after 65 s, foreign reports or not; reports and requests keep"""
    streamer = Shared.get()
    keep = Shared.keep
    streamer.until(lambda: time.monotonic() - keep.began > keep.SECONDS or 'silent' in keep.ended, 'the time is over', 100)
    time.sleep(max(0, keep.SECONDS - (time.monotonic() - keep.began)))
    assert set(keep.ended) == {'silent'}, keep.ended
    assert keep.ended['silent'] > 60, keep.ended
    assert 'nothing heard for 65 s' in streamer.text()
    return [f'the silent one after {keep.ended["silent"]:.0f} s; the others are there after '
            f'{time.monotonic() - keep.began:.0f} s']


# ---- request sequences of others' programs ------------------------------------------------------

class Go2rtc(Client):
    """
    As go2rtc 1.9.14 asks (its pkg/rtsp/client.go, conn.go, producer.go, pkg/tcp/auth.go, internal/rtsp/rtsp.go):
    no OPTIONS first; DESCRIBE with ONVIF's Require, and on a refusal a new connection without; the answer's
    Content-Base is the URL from then on; PLAY's answer isn't waited for; OPTIONS each 25 s, or, where the
    answer to SETUP gives a timeout, 5 s before it.
    """

    AGENT = 'User-Agent: go2rtc/1.9.14\r\n'

    def describe(self, backchannel):
        extra = 'Accept: application/sdp\r\n' + self.AGENT
        if backchannel:
            extra += 'Require: www.onvif.org/ver20/backchannel\r\n'
        answer = self.request('DESCRIBE', extra=extra)
        self.url = answer[1].get('Content-Base', self.url)
        return answer

    def ask_setup(self, sdp, transport):
        control = re.findall(r'a=control:(\S+)', sdp.decode())[-1]
        track = control if '://' in control else self.url + ('' if self.url.endswith('/') else '/') + control
        answer = self.request('SETUP', track, f'Transport: {transport}\r\n')
        assert answer[0] == 200, answer
        self.session = answer[1]['Session'].split(';')[0]
        return answer[1]['Transport']


def go2rtc(streamer, transport):
    first = Go2rtc(streamer)
    assert first.describe(True)[0] == 551
    first.close()
    client = Go2rtc(streamer)
    answer = client.describe(False)
    assert answer[0] == 200, answer
    agreed = client.ask_setup(answer[2], transport.format(client.port, client.port + 1))
    client.send('PLAY')
    return client, agreed


def test_go2rtc_tcp():
    """go2rtc's requests, over TCP: frames, OPTIONS amid them, TEARDOWN"""
    client, agreed = go2rtc(Shared.get(), 'RTP/AVP/TCP;unicast;interleaved=0-1')
    assert re.search(r'interleaved=(\d+)-', agreed)[1] == '0', agreed
    assert client.answer()[0] == 200
    for _ in range(3):
        frames = 0
        while frames < 5:
            channel, packet = client.packet()
            frames += channel == 0 and packet[1] >> 7
        client.send('OPTIONS')
        assert client.answer()[0] == 200
    client.send('TEARDOWN')
    assert gone(client)
    client.close()


def test_go2rtc_udp():
    """go2rtc's requests, over UDP: a way opened through the router first, frames, OPTIONS, TEARDOWN"""
    client, agreed = go2rtc(Shared.get(), 'RTP/AVP;unicast;client_port={}-{}')
    ports = [int(p) for p in re.search(r'server_port=(\d+)-(\d+);', agreed).groups()]
    client.rtp.sendto(b'\x80\0\0\0', ('127.0.0.1', ports[0]))
    client.rtcp.sendto(b'\x80\xc8\0\x01', ('127.0.0.1', ports[1]))
    assert client.answer()[0] == 200
    for _ in range(3):
        frames = 0
        while frames < 5:
            frames += client.rtp.recv(10240)[1] >> 7
        client.send('OPTIONS')
        assert client.answer()[0] == 200
    client.send('TEARDOWN')
    assert gone(client)
    client.close()


# Frigate's input arguments (its frigate/ffmpeg_presets.py, of 2026-07): ffmpeg does the rest. Where go2rtc
# stands in between, as its documentation recommends, what asks here is go2rtc.
FRIGATE = {
    'preset-rtsp-generic': '-avoid_negative_ts make_zero -fflags +genpts+discardcorrupt -rtsp_transport tcp '
                           '-timeout 10000000 -use_wallclock_as_timestamps 1',
    'preset-rtsp-restream': '-rtsp_transport tcp -timeout 10000000',
    'preset-rtsp-udp': '-avoid_negative_ts make_zero -fflags +genpts+discardcorrupt -rtsp_transport udp '
                       '-timeout 10000000 -use_wallclock_as_timestamps 1',
}


def test_frigate():
    """ffmpeg as Frigate calls it, over TCP and UDP: only the camera's frames"""
    streamer = Shared.get()
    pipes = {name: subprocess.Popen(
        ['sh', '-c', f'timeout 40 ffmpeg -nostdin -v error -user_agent "FFmpeg Frigate/0.17" {arguments} '
         f'-i {streamer.url("alice", "cam0")} -frames:v 20 -fps_mode passthrough -f rawvideo -pix_fmt gray - '
         f'2>{native.HOME}/{name} | {native.TAGREAD} --test --size 640x480 2>/dev/null'],
        stdout=subprocess.PIPE, text=True) for name, arguments in FRIGATE.items()}
    for pipe in pipes.values():
        native.only_own(native.tags(pipe), 0, 20)
    return list(pipes)


TESTS = [test_opt_out, test_rtsps, test_reuse, test_ipv6, test_plays, test_status, test_offers, test_end, test_hang_up,
         test_vanished, test_killed, test_stuck_relay, test_go2rtc_tcp, test_go2rtc_udp, test_frigate,
         test_keep_alive]


if __name__ == '__main__':
    native.prepare()
    wanted = sys.argv[1:]
    failures = tap.run([t for t in TESTS if not wanted or t.__name__ in wanted])
    Shared.stop()
    sys.exit(1 if failures else 0)

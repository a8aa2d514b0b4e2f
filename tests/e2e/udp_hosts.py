#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""
RTP over UDP between hosts: the streamer in one network namespace, its viewers in others, with
cables between that lose datagrams. Addresses are none of loopback's, IPv4 and IPv6. Run as root
inside `tests/vm/enter`, with build/native made (see native.py).
"""
import os
import pathlib
import socket
import statistics
import struct
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import loss                                                                     # noqa: E402
import native                                                                   # noqa: E402
import netns                                                                    # noqa: E402
import rtpjpeg                                                                  # noqa: E402
import tap                                                                      # noqa: E402
from udp_viewer import RECEIVER_REPORT, Client, datagrams, first, is_refused, player  # noqa: E402

SERVER, SERVER6 = '10.9.1.1', 'fd00:9::1'
HOSTS, HOSTS6 = ['10.9.1.11', '10.9.1.12'], ['fd00:9::11', 'fd00:9::12']
MACS = ['02:00:00:00:01:11', '02:00:00:00:01:12']
CAMERAS = {'cam0': native.test_camera('640x480', 25), 'cam1': native.test_camera('320x240', 10)}
UDP = 'udp = yes\nudp-ports = 50000-50199\n'
ONE_IN = 12                     # datagrams are lost: 8 %
ENOUGH = 5000 if 'SOAK' in os.environ else 300          # datagrams


class Net:
    """The hosts, and the streamer that all tests share."""

    hosts, streamer, early, ipv6 = [], None, None, pathlib.Path('/proc/net/if_inet6').exists()

    @classmethod
    def get(cls):
        if not cls.streamer:
            cls.hosts = netns.network(SERVER, len(HOSTS))
            for number, host in enumerate(cls.hosts):
                host.address(HOSTS[number], MACS[number])
                if cls.ipv6:
                    host.do(netns.add_ipv6, host.interface, HOSTS6[number])
            if cls.ipv6:
                netns.add_ipv6('br0', SERVER6)
            cls.streamer = native.Streamer(CAMERAS, UDP, address='::' if cls.ipv6 else SERVER)
            # Plays from the beginning on: a sender report takes its seconds.
            cls.early = client_at(0)
        return cls.streamer, cls.hosts

    @classmethod
    def stop(cls):
        if cls.streamer:
            cls.streamer.__exit__()
        for host in cls.hosts:
            host.end()


def client_at(number, camera='cam0', viewer='alice'):
    """Playing, from that host."""
    streamer, hosts = Net.get()
    with hosts[number].inside():
        client = Client(streamer, camera, viewer, SERVER, HOSTS[number])
    client.play()
    return client


def test_plays():
    """Two hosts over UDP, one of them over IPv6: each displays its own camera's frames alone"""
    streamer, hosts = Net.get()
    pipes = [(player(streamer, 'alice', 'cam0', 15, '640x480', 'udp', SERVER, hosts[0].enter()), 0)]
    if Net.ipv6:
        pipes.append((player(streamer, 'bob', 'cam1', 15, '320x240', 'udp', f'[{SERVER6}]', hosts[1].enter()), 1))
    notes = []
    for pipe, camera in pipes:
        shown = native.tags(pipe)
        native.only_own(shown, camera, 15)
        notes.append(f'{len(shown)} frames, age median {statistics.median(f["age_ms"] for f in shown)} ms')
    said = streamer.text()
    assert f'{HOSTS[0]}]:' in said or f'{HOSTS[0]}:' in said, said
    assert not Net.ipv6 or f'[{HOSTS6[1]}]:' in said, said
    return [*notes, 'IPv4 and IPv6' if Net.ipv6 else 'this machine has no IPv6']


def test_reports():
    """Reports go to the viewer's host and come from there; another host is nobody, and gets nothing"""
    _, hosts = Net.get()
    client = Net.early
    client.rtcp.settimeout(30)
    report, source = client.rtcp.recvfrom(65536)
    assert report[1] == 200 and source == (SERVER, client.server[1]), (report[:8], source)
    with hosts[1].inside():
        stranger = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        same = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    # The viewer's own ports, on the other host.
    same.bind((HOSTS[1], client.port))
    stranger.bind((HOSTS[1], client.port + 1))
    for sock in client.rtcp, stranger:
        sock.connect((SERVER, client.server[1]))
        sock.send(RECEIVER_REPORT)
    assert is_refused(stranger), 'another host\'s report was taken'
    assert not is_refused(client.rtcp, 0.5), 'the viewer\'s own report was not taken'
    assert not datagrams(same, 0.5)
    first(client, 20)
    for sock in stranger, same:
        sock.close()
    client.close()
    return [f'a sender report of {len(report)} bytes from {source[0]}']


class Lossy:
    """RTP/JPEG as it comes: what is missing, whole frames, and those with holes."""

    def __init__(self):
        self.frames, self.torn, self.packets, self.missing, self.next = rtpjpeg.Frames(), set(), 0, 0, None

    def add(self, packet):
        number = struct.unpack('>H', packet[2:4])[0]
        if self.next is not None:
            self.missing += (number - self.next) % 65536
        self.packets, self.next = self.packets + 1, (number + 1) % 65536
        try:
            self.frames.add(packet)
        except AssertionError:
            self.torn.add(packet[4:8])
            self.frames.data = None
            # It may be the beginning of the next one.
            if packet[13:16] == bytes(3):
                self.frames.add(packet)


def test_loss():
    """One datagram in 12 lost at random: frames with holes, and those that are whole are new, in order, its own"""
    streamer, hosts = Net.get()
    clean, lossy = Lossy(), Lossy()
    client = client_at(0)
    client.rtp.settimeout(20)
    for kind, enough in (clean, 50), (lossy, ENOUGH):
        if kind is lossy:
            hosts[0].do(loss.lose, ONE_IN)
        while kind.packets + kind.missing < enough:
            kind.add(client.rtp.recv(65536))
    # The session has not noticed: loss is the network's, and nobody waits for what is lost.
    assert client.request('OPTIONS')[0] == 200
    client.close()
    whole = lossy.frames.whole
    rtpjpeg.read_tags(whole, native.TAGREAD, '640x480')
    ages = [(f.ended_ns - f.tag['time_ns']) / 1e6 for f in whole]
    rate = lossy.missing / (lossy.packets + lossy.missing)
    note = (f'{lossy.missing} of {lossy.packets + lossy.missing} datagrams lost ({100 * rate:.1f} %): {len(lossy.torn)} frames '
            f'with holes, {len(whole)} whole ones, {statistics.median(ages):.0f} ms old')
    assert rate > 0.01 and lossy.torn, f'the network lost too little: {note}'
    assert len(whole) > 3 and all(f.tag and f.tag['camera'] == 0 for f in whole), note
    numbers = [f.tag['seq'] for f in whole]
    assert numbers == sorted(set(numbers)), numbers
    tap.in_time(rate < 0.25, f'more than the network is lost by who reads too late: {note}')
    shown = native.tags(player(streamer, 'alice', 'cam0', 8, '640x480', 'udp', SERVER, hosts[0].enter()))
    native.only_own(shown, 0, 8)
    return [note, f'before: {clean.missing} of {clean.packets + clean.missing}, {len(clean.torn)} frames with holes',
            f'ffmpeg displayed {len(shown)} frames, numbers {shown[0]["seq"]} to {shown[-1]["seq"]}']


TESTS = [test_plays, test_reports, test_loss]      # the last leaves host 0 without a good network

if __name__ == '__main__':
    native.prepare()
    wanted = sys.argv[1:]
    failures = tap.run([t for t in TESTS if not wanted or t.__name__ in wanted])
    Net.stop()
    sys.exit(1 if failures else 0)

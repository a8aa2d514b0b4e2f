#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""
The owner's side of the streamer, on the board: voletctl, a configuration that is read again,
the metrics, while ffmpeg watches. What was seen is read from displayed pixels.
"""
import json
import os
import pathlib
import re
import signal
import socket
import subprocess
import sys
import threading
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import rtsp                                                                     # noqa: E402
import tap                                                                      # noqa: E402
from streamer import (PASSWORDS, PATIENT, end_players, log, only_own, player, processes, seen, start, stop, tags,
                   until)                                                       # noqa: E402

CONFIGURATION = pathlib.Path('/etc/volet/volet.conf')
ENDS = 24


def voletctl(*words, status=0):
    done = subprocess.run(['voletctl', *words], capture_output=True, text=True, timeout=20, check=False)
    assert done.returncode == status, f'{words}: {done.returncode}\n{done.stdout}{done.stderr}\n{log()[-2000:]}'
    return done.stdout + done.stderr


def sessions():
    return json.loads(voletctl('--json', 'status'))['sessions']


class Reader(threading.Thread):
    """A viewer that reads, and notes when the last bytes came and whether a reset ended them."""

    def __init__(self, viewer, camera):
        super().__init__(daemon=True)
        self.client = rtsp.Client(camera, viewer, PASSWORDS[viewer], timeout=60)
        self.port = self.client.socket.getsockname()[1]
        self.last, self.bytes, self.reset = 0.0, 0, False
        self.client.play()
        self.client.socket.settimeout(30)
        self.start()

    def run(self):
        try:
            while True:
                data = self.client.socket.recv(65536)
                if not data:
                    break
                self.last = time.monotonic()
                self.bytes += len(data)
        except ConnectionError:
            self.reset = True
        self.client.close()

    def goes_on(self):
        """Frames still come, which takes a second or two on this board."""
        count = self.bytes
        until(lambda: self.bytes > count + 100000, 30, 'the other one goes on')

    def session(self):
        """As voletd has it, or None."""
        found = [s for s in sessions() if s['source'].endswith(f':{self.port}')]
        return found[0] if found else None


def watched(status):
    """The status, once both sides have told of frames; else None."""
    told = any(s.get('frames', 0) > 3 for s in status['sessions'])
    return status if told and all(c['captured'] and c['encoded'] for c in status['cameras'][:1]) else None


def test_status():
    """voletctl status says what is: cameras, memory, sessions, in words and as JSON"""
    start(extra=PATIENT)
    pipe = player('alice', 'cam0', 3000)
    # The camera tells its figures and the session its own each second, not at the same moment.
    status = until(lambda: watched(json.loads(voletctl('--json', 'status'))), 20, 'alice watches')
    table = voletctl('status')
    end_players('alice')
    tags(pipe)
    cameras = {c['name']: c for c in status['cameras']}
    session, = status['sessions']
    assert cameras['cam0']['state'] == 'streaming' and cameras['cam1']['state'] == 'idle', cameras
    assert cameras['cam0']['memory'].startswith('own memory (udmabuf)'), cameras['cam0']
    assert cameras['cam0']['captured'] and cameras['cam0']['width'] == 1920, cameras['cam0']
    assert (session['viewer'], session['camera']) == ('alice', 'cam0') and session['bytes'], session
    assert 0 < session['age-ms'] < 15000 and session['source'].startswith('127.0.0.1:'), session
    assert status['daemon']['max-sessions'] == 16 and status['daemon']['sessions'] == 1
    assert session['id'][:12] in table and 'udmabuf' in table, table
    return table.splitlines()


def test_end():
    """voletctl end: by session, viewer and camera; the others go on; nothing matching is said"""
    start(extra=PATIENT)
    bob = Reader('bob', 'cam1')
    for what in lambda s: s['id'][:8], lambda s: 'alice', lambda s: 'cam0':
        reader = Reader('alice', 'cam0')
        mine = until(reader.session, 10, 'alice watches')
        text = voletctl('end', what(mine))
        assert f'ended session {mine["id"]} of alice on cam0' in text, text
        assert [s['viewer'] for s in sessions()] == ['bob'], sessions()
        reader.join(10)
        assert reader.reset, 'the connection ended without a reset'
    assert 'no session matches' in voletctl('end', 'alice', status=1)
    assert log().count('ended by the owner') >= 3, log()[-2000:]
    bob.goes_on()
    voletctl('end', 'camera:cam1')
    bob.join(10)
    until(lambda: not processes('volet-rtsp'), 10, 'no session process is left')


def percentile(values, percent):
    values = sorted(values)
    return values[min(len(values) - 1, len(values) * percent // 100)]


def test_end_latency():
    """From voletctl end to the last byte at the viewer"""
    start(extra=PATIENT)
    lasts, calls, bytes_after = [], [], 0
    while len(lasts) < ENDS:
        readers = [Reader('alice', 'cam0'), Reader('bob', 'cam1')]
        until(lambda: all(r.bytes > 100000 or not r.is_alive() for r in readers), 30,
              'they watch')                                                # pylint: disable=W0640
        for reader in readers:
            session = reader.session()
            if not session:         # a board that is too slow has cut it
                continue
            began = time.monotonic()
            done = subprocess.run(['voletctl', 'end', session['id']], stdout=subprocess.DEVNULL,
                                  stderr=subprocess.DEVNULL, timeout=20, check=False)
            if done.returncode:     # it has ended by itself meanwhile
                continue
            calls.append((time.monotonic() - began) * 1000)
            count = reader.bytes
            reader.join(10)
            assert reader.reset, 'the connection went on'
            bytes_after += reader.bytes - count
            lasts.append(max(0.0, reader.last - began) * 1000)
    return [f'{len(lasts)} ends, 2 sessions, from the start of voletctl to the last byte: '
            f'p50 {percentile(lasts, 50):.1f} ms, p99 {percentile(lasts, 99):.1f} ms, worst {max(lasts):.1f} ms',
            f'voletctl itself, start to exit: p50 {percentile(calls, 50):.0f} ms, p99 {percentile(calls, 99):.0f} ms',
            f'bytes that came after it had returned: {bytes_after}']


# ---- reload -------------------------------------------------------------------------------

def reload(change):
    """Write a changed configuration as an editor does, by renaming, and ask for it."""
    count = len(re.findall('configuration read again|the configuration stays', log()))
    text = change(CONFIGURATION.read_text())
    new = CONFIGURATION.with_suffix('.new')
    new.write_text(text)
    os.chown(new, 60000, 60000)
    new.chmod(0o600)
    new.rename(CONFIGURATION)
    for pid in processes('voletd'):
        os.kill(pid, signal.SIGHUP)
    until(lambda: len(re.findall('configuration read again|the configuration stays', log())) > count,
          5, 'voletd read it')


def test_reload():
    """SIGHUP: a bad file changes nothing; a right taken away ends that session alone"""
    start(extra=PATIENT)
    bob, reader = Reader('bob', 'cam1'), Reader('alice', 'cam0')
    assert len(sessions()) == 2
    reload(lambda text: text.replace('[volet]', '[volett]'))
    assert 'volett' in log() and len(sessions()) == 2, log()[-2000:]
    reload(lambda text: text.replace('[volett]', '[volet]\nmax-sessions = 5'))
    assert len(sessions()) == 2
    reload(lambda text: text.replace('rtsp-port = 8554', 'rtsp-port = 8555'))
    assert 'restart voletd to listen on' in log() and len(sessions()) == 2
    reload(lambda text: text.replace('[viewer alice]', '[viewer carol]'))
    assert [s['viewer'] for s in sessions()] == ['bob'], sessions()
    assert 'the viewer was removed' in log()
    reader.join(10)
    assert rtsp.Client('cam0', 'alice', PASSWORDS['alice']).setup()[0] == 401
    bob.goes_on()


def test_reload_camera():
    """SIGHUP: a changed camera starts again alone, with its new settings"""
    start(extra=PATIENT)
    bob, reader = Reader('bob', 'cam1'), Reader('alice', 'cam0')
    assert len(sessions()) == 2
    reload(lambda text: text.replace('exposure=1000', 'exposure=900', 1))
    until(lambda: [s['viewer'] for s in sessions()] == ['bob'], 5, 'alice\'s session ended')
    reader.join(10)
    bob.goes_on()
    voletctl('end', 'bob')
    until(lambda: log().count('cam0: ready') == 2, 20, 'cam0 is back')
    only_own(seen('alice', 'cam0', 3), 0, 3)


# ---- the metrics --------------------------------------------------------------------------

def metrics():
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(10)
        client.connect('/run/volet/metrics.sock')
        client.sendall(b'GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n')
        return b''.join(iter(lambda: client.recv(65536), b'')).decode()


def captured(text):
    return int(re.search(r'^volet_camera_captured_frames_total{camera="cam0"} (\d+)$', text, re.M)[1])


def test_metrics():
    """The metrics, while a session is granted, denied and ended, name no viewer"""
    start(extra=PATIENT)
    reader = Reader('alice', 'cam0')
    rtsp.Client('cam0', 'bob', 'wrong').setup()
    until(lambda: reader.bytes > 100000, 20, 'alice watches')
    until(lambda: captured(metrics()) > 0, 5, 'the camera has told its figures, as it does each second')
    voletctl('end', 'alice')
    text = metrics()
    value = dict(re.findall(r'^(volet_\S+) (\d+)$', text.replace('ended by the owner', 'owner'), re.M))
    assert text.startswith('HTTP/1.0 200 OK'), text
    assert value['volet_sessions_granted_total'] == '1' and value['volet_sessions'] == '0', text
    assert value['volet_sessions_ended_total{reason="owner"}'] == '1', text
    assert int(value['volet_denials_total{reason="credentials"}']) >= 1, text
    assert captured(text) > 0, text
    assert 'alice' not in text and '127.0.0.1' not in text


# ---- who may, and what voletd gave up --------------------------------------------------------

def test_not_everyone():
    """Another user can't use the control bus, and voletd's threads are all without new rights"""
    start()
    done = subprocess.run(['setpriv', '--reuid', '65534', '--regid', '65534', '--clear-groups', 'voletctl',
                           'status'], capture_output=True, text=True, timeout=20, check=False)
    assert done.returncode == 1 and 'may this user use it' in done.stderr, done
    done = subprocess.run(['setpriv', '--reuid', '60000', '--regid', '60000', '--clear-groups', 'voletctl',
                           'status'], capture_output=True, text=True, timeout=20, check=False)
    assert done.returncode == 0, done
    pid, = processes('voletd')
    threads = list(pathlib.Path(f'/proc/{pid}/task').iterdir())
    for thread in threads:
        assert re.search(r'NoNewPrivs:\s+1', (thread / 'status').read_text())
    return [f'{len(threads)} threads: ' +
            ', '.join(sorted((t / 'comm').read_text().strip() for t in threads))]


TESTS = [test_status, test_end, test_end_latency, test_reload, test_reload_camera, test_metrics,
         test_not_everyone]

if __name__ == '__main__':
    wanted = sys.argv[1:]
    failures = tap.run([t for t in TESTS if not wanted or t.__name__ in wanted])
    stop()
    sys.exit(1 if failures else 0)

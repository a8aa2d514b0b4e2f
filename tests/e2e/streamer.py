# SPDX-License-Identifier: MIT
"""
The streamer on the board and its viewers, for the tests there: started and stopped, its
processes and its log, and what a client displayed, read from the pixel tag of each frame.
"""
import contextlib
import os
import pathlib
import re
import signal
import subprocess
import threading
import time

import rtsp
import tap

PASSWORDS = {'alice': 'a-word-of-alice', 'bob': 'a-word-of-bob'}
LOG = pathlib.Path('/run/volet/log')
tap.LOGS.append(LOG)
# Where limits of time are not what is tested: the board may be slow.
PATIENT = 'age-limit-ms = 15000\nauthentication-timeout-s = 60\n'
NORMAL, CROSS, UNCHECKED, LOOSE = ('/usr/libexec/volet' + end
                                   for end in ('', '-cross', '-unchecked', '-loose'))


# ---- the streamer and its viewers ------------------------------------------------------

def processes(name):
    """Ids of the processes that run a program of this name."""
    found = []
    for path in pathlib.Path('/proc').glob('[0-9]*/comm'):
        try:
            if path.read_text().strip() == name:
                found.append(int(path.parent.name))
        except OSError:
            pass
    return found


def uid_of(pid):
    return int(re.search(r'Uid:\s+(\d+)', pathlib.Path(f'/proc/{pid}/status').read_text())[1])


def until(condition, timeout, what):
    """Wait until `condition()` is true and return its value; TooSlow with `what` after `timeout` s."""
    end = time.monotonic() + timeout
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise tap.TooSlow(f'{what}: not within {timeout} s; log:\n{log()[-3000:]}')
        time.sleep(0.1)


def log():
    return LOG.read_text(errors='replace') if LOG.exists() else ''


def stop():
    for name in 'voletd', 'volet-spawn':
        for pid in processes(name):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGTERM)
        until(lambda: not processes(name), 10, f'{name} ends when asked to')    # pylint: disable=W0640
    until(lambda: not processes('volet-cam') and not processes('volet-rtsp'), 5, 'no process left')


def start(programs=NORMAL, sessions=NORMAL, extra='', groups='', within=()):
    """
    A fresh streamer; the programs may be test builds, `extra` is more of [volet], `groups` more
    after it, `within` a command that its start is run by.
    """
    stop()
    LOG.unlink(missing_ok=True)
    text = pathlib.Path('/host/e2e.conf').read_text().replace('[volet]\n', f'[volet]\n{extra}', 1)
    pathlib.Path('/run/e2e.conf').write_text(text + groups)
    with open('/run/volet-figures', 'w') as out:
        subprocess.run([*within, '/volet/start-streamer', '/run/e2e.conf', programs, sessions],
                       check=True, stdout=out, timeout=30)
    until(lambda: answers_options(), 60, 'the RTSP port answers')
    # Who asks before is told that the camera is down.
    until(lambda: all(f'cam{i}: ready, ' in log() for i in (0, 1)), 40, 'both cameras are ready')


def answers_options():
    try:
        client = rtsp.Client('cam0', timeout=20)
        try:
            return client.request('OPTIONS')[0] == 200
        finally:
            client.close()
    except OSError:
        return False


def player(viewer, camera, frames, limit=90, size='1920x1080'):
    """ffmpeg and the tag reader behind it, as one running pipe."""
    url = f'rtsp://{viewer}:{PASSWORDS[viewer]}@127.0.0.1:8554/{camera}'
    return subprocess.Popen(
        ['sh', '-c', f'timeout {limit} ffmpeg -nostdin -v error -fflags nobuffer -flags low_delay '
         f'-rtsp_transport tcp -i {url} -frames:v {frames} -fps_mode passthrough '
         f'-f rawvideo -pix_fmt gray - 2>/run/ffmpeg-{viewer} | '
         f'stdbuf -oL /usr/libexec/volet-tests/tagread --format gray --size {size} 2>/dev/null'],
        stdout=subprocess.PIPE, text=True)


def end_players(viewer):
    """This viewer's ffmpegs are told to end: the shells before them would leave them behind."""
    for pid in processes('ffmpeg'):
        with contextlib.suppress(OSError):
            if f'rtsp://{viewer}:'.encode() in pathlib.Path(f'/proc/{pid}/cmdline').read_bytes():
                os.kill(pid, signal.SIGTERM)


class Watcher:
    """A player whose frames are read while it runs."""

    def __init__(self, *args, **kwargs):
        self.pipe, self.lines = player(*args, **kwargs), []
        self.reader = threading.Thread(target=lambda: self.lines.extend(self.pipe.stdout))
        self.reader.start()

    def wait(self, frames, timeout=60):
        until(lambda: len(self.lines) >= frames, timeout, f'{frames} frames are displayed')

    def tags(self):
        """All that it displayed, once it has ended."""
        self.reader.join()
        self.pipe.wait()
        return read_tags(self.lines)


def tags(pipe):
    """
    What the player displayed of cameras: a dict of numbers a frame, or None where no tag was
    readable. The streamer's own pictures (a busy board may lose a second) are of no camera.
    """
    return read_tags(pipe.communicate()[0].splitlines())


def read_tags(lines):
    out = []
    for line in lines:
        if 'no-signal' in line:
            continue
        out.append(None if 'unreadable' in line else
                   {k: int(float(v)) for k, v in re.findall(r'(\w+)=([\d.]+)', line)})
    return out


def seen(viewer, camera, frames, limit=90, size='1920x1080'):
    return tags(player(viewer, camera, frames, limit, size=size))


def only_own(shown, camera, at_least):
    assert None not in shown, f'unreadable: {shown}'
    assert {tag['camera'] for tag in shown} <= {camera}, f'cameras {shown}'
    assert all(a['seq'] < b['seq'] for a, b in zip(shown, shown[1:])), f'order {shown}'
    if len(shown) < at_least:
        raise tap.TooSlow(f'{len(shown)} frames displayed, {at_least} wanted; log:\n{log()[-3000:]}')


def figures():
    return pathlib.Path('/run/volet-figures').read_text()


def rest(client):
    """Bytes that still arrive on a connection until it ends."""
    count = 0
    client.settimeout(10)
    try:
        while True:
            data = client.recv(65536)
            if not data:
                return count
            count += len(data)
    except ConnectionError:
        return count

#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""
What a crash or a lack of memory writes elsewhere, on the board: every program is crashed under
load while the kernel gives core dumps to a program that keeps them, and its memory is pushed
out while there is swap. A build without the protection, and one that was told to accept swap,
show frames, keys and credentials; of Volet itself there is no core, nothing in the swap device,
and it doesn't start where it could be swapped. Then the logs are searched.
"""
import contextlib
import os
import pathlib
import re
import signal
import ssl
import subprocess
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import kms                                                                      # noqa: E402
import rtpjpeg                                                                  # noqa: E402
import rtsp                                                                     # noqa: E402
import rtsps                                                                    # noqa: E402
import tap                                                                      # noqa: E402
import streamer                                                                 # noqa: E402
from streamer import LOOSE, NORMAL, PASSWORDS, PATIENT, log, processes, until   # noqa: E402

PATTERN = pathlib.Path('/proc/sys/kernel/core_pattern')
CORES, TAKER = pathlib.Path('/run/cores'), pathlib.Path('/run/take-core')
EXTRA = rtsps.EXTRA + PATIENT
CGROUP = pathlib.Path('/sys/fs/cgroup/volet')
DEVICE = '/dev/ram0'
DEVICE_KIB = 96 * 1024
# Its pictures are copied: what a display's own buffers hold is in no core.
DISPLAY = kms.SCREEN.format('cam0', '640x360') + kms.DISPLAY.format('hall', kms.CARDS[0], 'cam0') + 'copy = 1\n'
PROGRAMS = ('volet-tls', 'volet-rtsp', 'volet-cam', 'volet-sign', 'voletd', 'volet-spawn')


# ---- what is looked for ----------------------------------------------------------------------------

def slices(reader, step=50000):
    """Pieces of the last pictures that a viewer has, of a length that no chance repeats."""
    pictures = [f.jpeg for f in reader.frames.whole[-5:]] + [reader.frames.data or b'']
    return [p[at:at + 40] for p in pictures for at in range(2000, len(p) - 2000, step)]


def screen_slices():
    """Pieces of the pictures in a display's session memory, once there are some."""
    for pid in processes('volet-kms'):
        with contextlib.suppress(OSError):
            maps = pathlib.Path(f'/proc/{pid}/maps').read_text()
            for begin, end in re.findall(r'^(\w+)-(\w+) .*memfd:volet-session', maps, re.M):
                with open(f'/proc/{pid}/mem', 'rb') as memory:
                    memory.seek(int(begin, 16))
                    data = memory.read(int(end, 16) - int(begin, 16))
                return [p for p in (data[at:at + 40] for at in range(2000, len(data), 50000)) if len(set(p)) > 8]
    return None


def key_bytes():
    """The private key's number, in both orders that memory may have it."""
    der = ssl.PEM_cert_to_DER_cert((rtsps.FILES / 'key.pem').read_text().replace('PRIVATE KEY', 'CERTIFICATE'))
    at = der.index(b'\x04\x20') + 2                     # the first octet string of 32 bytes
    return [der[at:at + 32], der[at:at + 32][::-1]]


def credentials():
    """What stands in the configuration for each password."""
    text = pathlib.Path('/run/e2e.conf').read_text()
    return [ha1.encode() for ha1 in re.findall(r'ha1 = (\w+)', text)]


def found(data, secrets):
    return sum(secret in data for secret in secrets)


class Load:
    """Two viewers of cam0, one through TLS, and what they have received."""

    def __init__(self):
        self.plain = rtsp.Client('cam0', 'alice', PASSWORDS['alice'], timeout=30)
        self.plain.play()
        self.reader = rtpjpeg.Reader(self.plain)
        self.tls = rtsps.Client('cam0', 'bob', PASSWORDS['bob'], timeout=30)
        self.tls.play()
        self.tls_reader = rtpjpeg.Reader(self.tls)
        self.more(self.tls_reader, 3)

    def more(self, reader, count):
        wanted = len(reader.frames.whole) + count
        until(lambda: len(reader.frames.whole) >= wanted or reader.ended, 30, 'frames come')
        assert not reader.ended, log()[-2000:]

    def words(self):
        """What the clients said that nobody else may know."""
        return [w.encode() for c in (self.plain, self.tls) for w in (c.nonce, c.response) if w]

    def close(self):
        for reader in self.reader, self.tls_reader:
            reader.stopping.set()
            reader.join()
            reader.client.close()


# ---- crashes -----------------------------------------------------------------------------------------

@contextlib.contextmanager
def cores_kept():
    """Core dumps go to a program, which no limit of size stops."""
    CORES.mkdir(exist_ok=True)
    for core in CORES.iterdir():
        core.unlink()
    TAKER.write_text(f'#!/bin/sh\nexec cat >{CORES}/$1.$2\n')
    TAKER.chmod(0o755)
    before = PATTERN.read_text()
    PATTERN.write_text(f'|{TAKER} %e %p')
    try:
        yield
    finally:
        PATTERN.write_text(before)


def holder():
    """The camera's process that has sessions."""
    return next(p for p in processes('volet-cam') if 'volet-session' in pathlib.Path(f'/proc/{p}/maps').read_text())


def crash(name, number, pid=None):
    """A process of this name; the core that it left, or None."""
    pid = pid or processes(name)[0]
    os.kill(pid, number)
    until(lambda: pid not in processes(name), 20, f'{name} is gone')
    # The kernel waits for the taker to read all before the process is gone; not for its last write.
    path, size = CORES / f'{name}.{pid}', -1
    while path.exists() and path.stat().st_size != size:
        size = path.stat().st_size
        time.sleep(0.3)
    return path.read_bytes() if path.exists() else None


def start(programs, within=(), groups=''):
    rtsps.put()
    streamer.start(programs, programs, extra=EXTRA, groups=groups, within=within)
    until(lambda: 'volet-sign is ready' in log(), 20, 'the signer is ready')


def crash_all(number):
    """Each program under load: {name: (core or None, what is secret in it)}."""
    out = {}
    pieces = until(screen_slices, 60, 'a display has pictures')
    out['volet-kms'] = crash('volet-kms', number), pieces
    # It comes back, and the board has enough to do.
    until(lambda: subprocess.run(['voletctl', 'end', 'hall'], capture_output=True, check=False).returncode == 0, 60,
          'the display is ended')
    load = Load()
    core = crash('volet-tls', number)
    out['volet-tls'] = core, slices(load.tls_reader, 4096)
    until(lambda: len(processes('volet-rtsp')) == 1, 20, 'the session behind it is gone')
    load.more(load.reader, 1)
    core = crash('volet-rtsp', number)
    out['volet-rtsp'] = core, slices(load.reader)
    load.close()
    load = Load()
    core = crash('volet-cam', number, holder())
    time.sleep(0.5)
    out['volet-cam'] = core, slices(load.reader) + slices(load.tls_reader)
    load.close()
    out['volet-sign'] = crash('volet-sign', number), key_bytes()
    out['voletd'] = crash('voletd', number), credentials()
    return out, load.words()


def test_crash_bites():
    """Without the protection: a crash leaves a core with frames, the private key, or credentials in it"""
    with kms.screens(), cores_kept():
        start(LOOSE, groups=DISPLAY)
        out, _ = crash_all(signal.SIGSEGV)
    notes = []
    for name, (core, secrets) in out.items():
        assert core, f'{name} left no core'
        count = found(core, secrets)
        assert count, f'{name}: nothing found in a core of {len(core)} bytes'
        notes.append(f'{name}: {count} of {len(secrets)} in {len(core) >> 10} KiB')
    for core in CORES.iterdir():
        core.unlink()
    return notes


def test_crash_held():
    """Every program crashed under load: no core, and no secret in any log"""
    words = []
    for number in [signal.SIGSEGV, signal.SIGABRT][:2 if 'SOAK' in os.environ else 1]:
        with kms.screens(), cores_kept():
            start(NORMAL, groups=DISPLAY)
            out, said = crash_all(number)
            words += said
            spawner = processes('volet-spawn')
            if spawner:
                crash('volet-spawn', number, spawner[0])
            left = list(CORES.iterdir())
        assert not left and not any(core for core, _ in out.values()), f'{left}'
        words += [s for _, secrets in out.values() for s in secrets]
        words += log_words()
        texts = {'log': log().encode(), 'figures': pathlib.Path('/run/volet-figures').read_bytes(),
                 'kernel': subprocess.run(['dmesg'], capture_output=True, check=True).stdout}
        for name, text in texts.items():
            assert not found(text, words), f'{name}: {[w for w in words if w in text]}'
    # The look finds what is there.
    assert found(pathlib.Path('/run/e2e.conf').read_bytes(), words)
    return [f'no core of {", ".join(out)} or volet-spawn; {len(words)} secrets in none of the logs '
            f'({", ".join(f"{name} {len(text) >> 10} KiB" for name, text in texts.items())})']


def log_words():
    """Passwords, and the key as text."""
    body = (rtsps.FILES / 'key.pem').read_text().split('-----')[2].split()
    return [*[p.encode() for p in PASSWORDS.values()], *[line.encode() for line in body],
            *[k.hex().encode() for k in key_bytes()]]


# ---- swap --------------------------------------------------------------------------------------------

@contextlib.contextmanager
def swap():
    """A swap device in memory that can be read afterwards."""
    subprocess.run(['modprobe', 'brd', 'rd_nr=1', f'rd_size={DEVICE_KIB}'], check=True)
    with open(DEVICE, 'wb') as device:
        device.write(bytes(DEVICE_KIB * 1024))
    subprocess.run(['mkswap', DEVICE], check=True, capture_output=True)
    subprocess.run(['swapon', DEVICE], check=True)
    try:
        yield
    finally:
        subprocess.run(['swapoff', DEVICE], check=True)
        subprocess.run(['rmmod', 'brd'], check=True)


@contextlib.contextmanager
def cgroup(limit):
    """Of the streamer's own, with this memory.swap.max; yields the command to start in it."""
    pathlib.Path('/sys/fs/cgroup/cgroup.subtree_control').write_text('+memory')
    CGROUP.mkdir(exist_ok=True)
    (CGROUP / 'memory.swap.max').write_text(limit)
    try:
        yield ['sh', '-c', f'echo $$ >{CGROUP}/cgroup.procs; exec "$@"', 'sh']
    finally:
        streamer.stop()
        until(lambda: not (CGROUP / 'cgroup.procs').read_text(), 10, 'the cgroup is empty')
        CGROUP.rmdir()


def push_out(load):
    """
    All that the kernel can take of the streamer's memory, while it does nothing: (bytes that went
    into swap, what is on the device, what must not be).
    """
    pids = [pid for name in PROGRAMS for pid in processes(name)]
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):   # one that was just ending
            os.kill(pid, signal.SIGSTOP)
    time.sleep(0.5)
    secrets = [*slices(load.reader), *slices(load.tls_reader), *credentials(), *key_bytes()]
    for _ in range(6):
        with contextlib.suppress(OSError):          # EAGAIN: it was less
            (CGROUP / 'memory.reclaim').write_text('64M swappiness=200')
    out = int((CGROUP / 'memory.swap.current').read_text())
    with open(DEVICE, 'rb') as device:
        data = device.read().rstrip(b'\0')
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)
    return out, data, secrets


def pushed(limit, options=''):
    """(bytes that went into swap, secrets found there, secrets) of a streamer under load."""
    with cgroup(limit) as within:
        os.environ['VOLET_OPTIONS'] = options
        start(NORMAL, within)
        load = Load()
        load.more(load.reader, 2)
        out, data, secrets = push_out(load)
        load.close()
        os.environ['VOLET_OPTIONS'] = ''
    return out, {secret for secret in secrets if secret in data}, secrets


def test_swap_bites():
    """Told to accept swap: frames or credentials are in the swap device, and not the locked key"""
    with swap():
        out, inside, secrets = pushed('max', '--allow-swap')
    assert inside, f'the fault did not bite: {out >> 10} KiB swapped out'
    assert not inside & set(key_bytes()), 'the private key was swapped out'
    assert 'voletd: WEAKER: --allow-swap' in log() and 'volet-spawn: WEAKER: --allow-swap' in log()
    return [f'{out >> 10} KiB swapped out, {len(inside)} of {len(secrets)} secrets in there']


def refusals():
    """How voletd and volet-spawn end that are started by hand: their last lines."""
    spawn = [f'{NORMAL}/volet-spawn', '--socket', '/run/volet/spawn.sock', '--daemon-uid', '60000', '--session-uids',
             '61000-61999', '--cam-uids', '60900-60931', '--cam-gid', '60001', '--programs', NORMAL]
    daemon = ['setpriv', '--reuid', '60000', '--regid', '60000', '--clear-groups', '--inh-caps=-all',
              f'{NORMAL}/voletd', '--config', '/etc/volet/volet.conf']
    ends = [subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
            for command in (spawn, daemon)]
    return [(end.returncode, end.stderr) for end in ends]


def test_swap_held():
    """Swap forbidden to its cgroup: nothing of it gets there. Not forbidden: it does not start"""
    with swap():
        out, inside, secrets = pushed('0')
        assert not inside and out == 0, f'{out} bytes swapped out, {len(inside)} secrets found'
        for status, text in refusals():
            assert status == 1 and 'MemorySwapMax=0' in text, f'{status}: {text}'
    # Swap that comes on later: what runs goes on, and nothing more is started.
    start(NORMAL)
    client = rtsp.Client('cam0', 'alice', PASSWORDS['alice'], timeout=30)
    client.play()
    reader = rtpjpeg.Reader(client)         # making the swap device takes a while, and who reads nothing is cut
    with swap():
        with contextlib.suppress(OSError):
            rtsp.Client('cam0', 'bob', PASSWORDS['bob'], timeout=10).setup()
        until(lambda: 'volet-rtsp: refused to run: this machine has swap' in log(), 10, 'the reason is in the log')
        count = reader.bytes
        until(lambda: reader.bytes > count + 300000, 30, 'what runs goes on')
    reader.stop()
    return [f'0 of {len(secrets)} secrets and 0 bytes in the swap device; volet-spawn and voletd refuse to start']


CASES = [test_crash_bites, test_crash_held, test_swap_bites, test_swap_held]

if __name__ == '__main__':
    wanted = sys.argv[1:]
    failures = tap.run([t for t in CASES if not wanted or t.__name__ in wanted])
    streamer.stop()
    sys.exit(1 if failures else 0)

#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""
The packages on a machine with systemd running: installed by dpkg, started, watched over, reloaded,
killed, upgraded and removed as on a user's machine. Viewers are on this side, through its network. The
tests go on from each other, in this order. Run in the build root, as root, with build/native and
build/deb made, in one of two ways:
  through under-systemd          this machine's architecture, in a container, with test cameras
  with a directory of the cache  arm64, on the virtual board (machine.py), with build/deb-arm64: modules built
                                 there by DKMS, the cameras' nodes under udev's rules, swap
"""
import contextlib
import json
import pathlib
import re
import shutil
import socket
import subprocess
import sys
import time

SRC = pathlib.Path(__file__).resolve().parents[2]
sys.path += [str(SRC / 'tests/e2e'), str(SRC / 'tests/vm')]
import container                                                                # noqa: E402
import machine                                                                  # noqa: E402
import run as board_run                                                         # noqa: E402
import tap                                                                      # noqa: E402
import volet_vm as vm                                                           # noqa: E402

BOARD = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else None
ARCH, SHARE = ('arm64', pathlib.Path('/tmp/share')) if BOARD else ('amd64', SRC / 'build/machine')
TAGREAD = SRC / 'build/native/tests/tools/tagread'
PASSWORDS = {'alice': 'the-word-of-alice', 'bob': 'the-word-of-bob'}
PACKAGES = 'volet-daemon volet-sessions volet-tools'
UNITS = 'voletd.service volet-spawn.service'
SMALL = '320x240'
board = None


def free_ports(count):
    probes = [socket.create_server(('127.0.0.1', 0)) for _ in range(count)]
    ports = [probe.getsockname()[1] for probe in probes]
    for probe in probes:
        probe.close()
    return ports


RTSP, RTSPS = free_ports(2) if BOARD else (8554, 8322)
CAMERAS = ('cam0', 'cam1') if BOARD else ('test-2', 'test-3')


def ha1(viewer):
    return board_run.ha1_of(viewer, PASSWORDS[viewer])


def configuration(bob='test-1', extra=''):
    """Two cameras, on the board with the sensor's driver, two test cameras, and two viewers."""
    viewers = {'alice': (ha1('alice'), [*CAMERAS, 'test-0'])}
    if bob:
        viewers['bob'] = (ha1('bob'), [bob])
    tests = ''.join(f'\n[camera test-{i}]\nmedia = test\nsize = {SMALL}\nrate = 5\n' for i in range(2 if BOARD else 4))
    # The board is emulated, and busy: a late picture is not what is tested here.
    return board_run.configuration(2 if BOARD else 0, None, 3, 60, viewers, f'age-limit-ms = 10000\n{extra}') + tests


def configure(text):
    (SHARE / 'volet.conf').write_text(text)
    board.must('install -m 0640 -g volet /host/volet.conf /etc/volet/volet.conf')


def url(viewer, camera, port=RTSP):
    scheme = 'rtsps' if port == RTSPS else 'rtsp'
    return f'{scheme}://{viewer}:{PASSWORDS[viewer]}@127.0.0.1:{port}/{camera}'


def shown(viewer, camera, port=RTSP):
    """The pixel tag of one frame as a viewer out here is shown it, or ffmpeg's complaint."""
    done = subprocess.run(['ffmpeg', '-v', 'error', '-rtsp_transport', 'tcp', '-timeout', '60000000', '-i',
                           url(viewer, camera, port), '-frames:v', '1', '-f', 'rawvideo', '-pix_fmt', 'gray', '-'],
                          capture_output=True, check=False, timeout=180)
    if not done.stdout:
        return done.stderr.decode(errors='replace')
    how = ['--test', '--size', SMALL] if camera.startswith('test') else []
    return subprocess.run([TAGREAD, *how, '--format', 'gray'], input=done.stdout, capture_output=True,
                          check=False).stdout.decode()


def assert_shown(viewer, camera, port=RTSP, limit=120):
    """A frame with the camera's own tag; a camera that has just been started may need a moment."""
    end = time.monotonic() + limit
    while True:
        what = shown(viewer, camera, port)
        if f'camera={camera[-1]} ' in what:
            return what.splitlines()[0]
        assert time.monotonic() < end, f'{camera} shows: {what}\n{journal()}'
        time.sleep(1)


@contextlib.contextmanager
def watching(viewer, camera):
    """A viewer who stays, until voletd says so; ended here in the end."""
    player = subprocess.Popen(['ffmpeg', '-v', 'error', '-rtsp_transport', 'tcp', '-timeout', '60000000', '-i',
                               url(viewer, camera), '-f', 'null', '-'], stdin=subprocess.DEVNULL,
                              stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        until(lambda: any(s['viewer'] == viewer and s['camera'] == camera and s['frames'] for s in sessions().values()),
              f'{viewer} is shown {camera}')
        yield player
    finally:
        player.kill()
        player.wait()


def status():
    return json.loads(board.must('voletctl --json status'))


def sessions():
    return {session['id']: session for session in status()['sessions']}


def until(condition, what, limit=60):
    end = time.monotonic() + limit
    while not condition():
        assert time.monotonic() < end, f'not in {limit} s: {what}\n{journal()}'
        time.sleep(0.5)


def journal(unit='volet*'):
    return board.must(f"journalctl --sync; journalctl --no-pager --boot --lines 40 --output short-monotonic --unit '{unit}'")


def show(unit, *properties):
    """Properties of a unit as systemd has them, in the order asked for; one as it is."""
    text = board.must(f'systemctl show {unit} ' + ' '.join(f'-p {p}' for p in properties))
    values = dict(line.split('=', 1) for line in text.splitlines() if '=' in line)
    found = [values[p] for p in properties]
    return found[0] if len(found) == 1 else found


def main_pid(unit='voletd'):
    return int(show(unit, 'MainPID'))


def processes():
    """Everything in the two units' cgroups: {pid: name}."""
    text = board.must('for unit in voletd volet-spawn; do\n'
                      'for pid in $(cat /sys/fs/cgroup/system.slice/$unit.service/cgroup.procs 2>/dev/null); do\n'
                      'echo $pid $(cat /proc/$pid/comm 2>/dev/null); done; done')
    return {int(line.split()[0]): line.split()[-1] for line in text.splitlines()}


def alive(pids):
    return [pid for pid in pids if board.run(f'kill -0 {pid}')[0] == 0]


@contextlib.contextmanager
def drop_in(unit, text, restart=True):
    """What a unit is with a few lines changed, for as long as the test looks at it."""
    where = f'/run/systemd/system/{unit}.d'
    (SHARE / 'drop-in.conf').write_text(text)
    board.must(f'mkdir -p {where} && cp /host/drop-in.conf {where}/test.conf && systemctl daemon-reload')
    try:
        yield
    finally:
        board.must(f'rm -r {where} && systemctl daemon-reload')
        if restart:
            board.must(f'systemctl reset-failed {UNITS}; systemctl restart {UNITS}')


# ---- before, and installing ---------------------------------------------------------------------


def test_machine():
    """systemd is the first process of a configured Debian, and no unit of it has failed"""
    board.until('systemctl is-system-running --wait', 300)
    version = board.must('systemctl --version').splitlines()[0]
    assert board.must('cat /proc/1/comm').strip() == 'systemd'
    assert board.must('dpkg --print-architecture').strip() == ARCH
    assert not board.must('dpkg --audit')
    return [version, ARCH]


def test_dkms():
    """dpkg -i of the modules' packages builds both with DKMS on the board, and the cameras appear"""
    started = time.monotonic()
    board.must('dpkg -i /host/gc2053-dkms_*.deb /host/volet-camsim-dkms_*.deb', 1500)
    took = time.monotonic() - started
    said = board.must('dkms status')
    for name in ('gc2053', 'volet-camsim'):
        assert re.search(rf'^{name}/[\d.]+, .*aarch64: installed$', said, re.M), said
    # As at a boot with the modules there: by what the device tree says is compatible.
    board.must('udevadm trigger --action=add --subsystem-match=platform --subsystem-match=i2c && udevadm settle')
    for camera in range(2):
        board.until(f'test -c "$(media-ctl -d platform:camsim-{camera} -e camsim{camera}-nv12)"')
        board.must(f'v4l2-ctl -d "$(media-ctl -d platform:camsim-{camera} -e camsim{camera}-csi)" -c pixel_tag=1')
    return [*said.splitlines(), f'{took:.0f} s']


NODES = 'ls /dev/video* /dev/media* /dev/v4l-subdev* /dev/udmabuf'
OPEN = 'for node in $(%s); do setpriv --reuid=someone --regid=someone --init-groups sh -c ": <$node" && echo $node; done; true'


def openable():
    """The nodes that an ordinary user, of the group `video`, opens."""
    return {line for line in board.must(OPEN % NODES).splitlines() if line.startswith('/dev/') and ' ' not in line}


def test_installed():
    """dpkg -i installs the others; the units are enabled and, without a configuration, neither started nor failed"""
    test_installed.before = BOARD and openable()
    board.must(f'dpkg -i /host/volet-*_{ARCH}.deb', 600)
    for unit in (*UNITS.split(), 'voletd.socket'):
        assert board.must(f'systemctl is-enabled {unit}').strip() == 'enabled', unit
    assert board.run('systemctl is-enabled voletd-rtsps.socket')[1].strip() == 'disabled'
    board.must('systemctl start voletd.service')
    assert show('voletd', 'ActiveState', 'ConditionResult') == ['inactive', 'no'], journal()
    assert not board.must('systemctl list-units --failed --no-legend'), journal()


def test_nodes():
    """Cameras' nodes and /dev/udmabuf: a user of the group `video` opened cameras, and opens none after the rules"""
    assert any('video' in node for node in test_installed.before), test_installed.before
    board.must('udevadm trigger && udevadm settle', 300)
    after = openable()
    assert not after, after
    owners = board.must(f"stat -c '%U %G %a' $({NODES}) | sort -u").strip()
    assert owners == 'root volet-cam 660', owners
    return [f'before: {len(test_installed.before)} nodes, after: {len(after)}']


# ---- started, and what it is shut in ------------------------------------------------------------


def test_ready():
    """`systemctl start` waits for READY=1: with it the unit is active, without it it never is"""
    configure(configuration())
    board.must('systemctl start voletd.socket && systemctl start voletd')
    assert show('voletd', 'ActiveState', 'SubState', 'Type') == ['active', 'running', 'notify']
    assert ' ready for 4 cameras' in journal('voletd.service'), journal()
    command = re.sub(r'\\\n\s*', '', board.must('systemctl cat voletd')).partition('ExecStart=')[2].splitlines()[0]
    deaf = f'[Service]\nTimeoutStartSec=10\nRestart=no\nExecStart=\nExecStart=/usr/bin/env -u NOTIFY_SOCKET {command}\n'
    with drop_in('voletd.service', deaf):
        status_of, said = board.run('systemctl restart voletd')
        assert status_of, said
        assert show('voletd', 'Result') == 'timeout', journal()
        assert 'ready for 4 cameras' in journal('voletd.service'), journal()
    assert show('voletd', 'ActiveState') == 'active'


def test_pictures():
    """A viewer on the network is shown the pixels of each camera, and of none that they may not see"""
    said = [assert_shown('alice', camera) for camera in (*CAMERAS, 'test-0')]
    assert 'camera=' not in shown('bob', CAMERAS[0]) and assert_shown('bob', 'test-1'), 'bob has a right to test-1 alone'
    return [*said, *sorted({camera['memory'] for camera in status()['cameras'] if camera['name'] in CAMERAS})]


def test_shut_in():
    """Every process is in its unit, under its own uid, in seccomp, without new privileges, core dumps or the network"""
    with watching('alice', CAMERAS[0]), watching('bob', 'test-1'):
        here = processes()
        names = sorted(here.values())
        assert names.count('volet-cam') >= 4 and names.count('volet-rtsp') == 2 and 'voletd' in names, names
        uids = {}
        init_net = board.must('readlink /proc/1/ns/net').strip()
        for pid, name in here.items():
            state = board.must(f'cat /proc/{pid}/status /proc/{pid}/limits; readlink /proc/{pid}/ns/net')
            value = dict(re.findall(r'^(\w+):\s+(.*)$', state, re.M))
            uids[pid] = value['Uid'].split()[1]
            assert value['Seccomp'] == '2' and value['NoNewPrivs'] == '1', f'{name}\n{state}'
            assert re.search(r'Max core file size +0 +0', state), f'{name}\n{state}'
            assert init_net not in state, f'{name} is in the network of the board'
            allowed = 0xe1 if name == 'volet-spawn' else 0      # kill, setgid, setuid, setpcap, chown at the most
            assert not int(value['CapEff'], 16) & ~allowed, f'{name}\n{state}'
            if name != 'volet-spawn':
                assert not int(value['CapBnd'], 16) and uids[pid] != '0', f'{name}\n{state}'
        apart = [uids[pid] for pid, name in here.items() if name in ('volet-rtsp', 'voletd')]
        assert len(set(apart)) == len(apart), uids
    for unit in UNITS.split() if BOARD else ():     # a container need not have that controller
        swap = board.must(f'cat /sys/fs/cgroup/system.slice/{unit}/memory.swap.max').strip()
        assert swap == '0', f'{unit}: {swap}'
    return [' '.join(names)]


def test_exposure():
    """systemd-analyze security of the units as they are installed and run: voletd 1.5, volet-spawn 2.6 at the most"""
    assert board.run('systemd-analyze security --no-pager --threshold=26 qemu-guest-agent')[0], 'any unit would pass'
    said = []
    for unit, most in (('voletd.service', 15), ('volet-spawn.service', 26)):
        text = board.must(f'systemd-analyze security --no-pager --threshold={most} {unit}')
        said.append(re.search(r'Overall exposure level.*', text)[0])
    board.must('systemd-analyze verify --man=no /usr/lib/systemd/system/volet*')
    return said


def test_swap():
    """With swap in use the units run, for they may have none; a unit that may have some refuses to start"""
    board.must('dd if=/dev/zero of=/swap bs=1M count=64 status=none && chmod 600 /swap && mkswap -q /swap && swapon /swap')
    try:
        with drop_in('voletd.service', '[Service]\nMemorySwapMax=infinity\nRestart=no\n', restart=False):
            assert board.run('systemctl restart voletd')[0], 'it started with swap'
            assert 'swap' in journal('voletd.service'), journal()
        board.must(f'systemctl reset-failed; systemctl restart {UNITS}')
        assert_shown('alice', 'test-0')
    finally:
        board.must('swapoff /swap && rm /swap')


# ---- the port -----------------------------------------------------------------------------------


def test_activation():
    """The port is systemd's: a connection starts voletd, one during a restart waits; with the socket stopped, none"""
    board.must('systemctl stop voletd.service')
    assert show('voletd', 'ActiveState') == 'inactive' and show('voletd.socket', 'SubState') == 'listening'
    said = [assert_shown('alice', 'test-0')]
    assert show('voletd', 'ActiveState') == 'active'
    with watching('alice', 'test-0'):
        board.must('systemctl restart voletd')
        said.append(assert_shown('alice', CAMERAS[0]))
    board.must('systemctl stop voletd.socket voletd.service')
    assert 'camera=' not in shown('alice', 'test-0')
    assert show('voletd', 'ActiveState') == 'inactive'
    board.must('systemctl start voletd.socket voletd.service')
    assert_shown('alice', 'test-0')
    return said


def test_rtsps():
    """RTSPS through voletd-rtsps.socket; without that unit voletd says which, and plain RTSP can be switched off"""
    board.must('cp /host/tls-cert.pem /etc/volet/cert.pem\n'
               'install -m 0400 -o volet-sign /host/tls-key.pem /etc/volet/key.pem')
    tls = 'certificate = /etc/volet/cert.pem\nprivate-key = /etc/volet/key.pem\nrtsps-port = 8322\n'
    configure(configuration(extra=tls))
    assert board.run('systemctl restart voletd')[0], 'a port in a network of its own is nobody\'s'
    assert 'voletd-rtsps.socket' in journal('voletd.service'), journal()
    board.must('systemctl reset-failed voletd; systemctl stop voletd; systemctl enable voletd-rtsps.socket; systemctl restart voletd-rtsps.socket')
    board.must('systemctl start voletd')
    said = [assert_shown('alice', 'test-0', RTSPS)]
    asked = subprocess.run(['openssl', 's_client', '-connect', f'127.0.0.1:{RTSPS}', '-verify_return_error', '-CAfile',
                            SHARE / 'tls-cert.pem', '-verify_ip', '127.0.0.1'], input=b'', capture_output=True,
                           timeout=60, check=False)
    assert b'Verify return code: 0' in asked.stdout, asked
    assert_shown('alice', 'test-0')
    # No plain RTSP: the unit's default must not bring back what the configuration takes away.
    configure(configuration(extra=tls).replace('rtsp-port = 8554', 'rtsp-port = 0'))
    assert board.run('systemctl restart voletd')[0], 'it serves plain RTSP'
    assert 'systemctl mask --now voletd.socket' in journal('voletd.service'), journal()
    board.must('systemctl mask --now voletd.socket; systemctl reset-failed voletd; systemctl restart voletd')
    assert_shown('alice', 'test-0', RTSPS)
    assert 'camera=' not in shown('alice', 'test-0')
    board.must('systemctl disable --now voletd-rtsps.socket; systemctl unmask voletd.socket')
    configure(configuration())
    board.must('systemctl stop voletd; systemctl restart voletd.socket; systemctl restart voletd')
    assert_shown('alice', 'test-0')
    return said


# ---- reloaded, watched, killed ------------------------------------------------------------------


def test_reload():
    """`systemctl reload` ends the session of a viewer who was removed, and no other; a bad file changes nothing"""
    with watching('alice', 'test-0'), watching('bob', 'test-1') as gone:
        before, pid = sessions(), main_pid()
        ours, = [i for i, s in before.items() if s['viewer'] == 'alice']
        board.must('echo nonsense >/etc/volet/volet.conf; systemctl reload voletd')
        until(lambda: 'volet.conf' in journal('voletd.service'), 'the log names the file')
        assert set(sessions()) == set(before)
        configure(configuration(bob=None))
        board.must('systemctl reload voletd')
        until(lambda: list(sessions()) == [ours], 'bob is gone, alice is not')
        until(lambda: gone.poll() is not None, 'bob\'s player is told')
        frames = sessions()[ours]['frames']
        until(lambda: sessions()[ours]['frames'] > frames + 2, 'alice goes on')
        assert main_pid() == pid and show('voletd', 'ActiveState', 'NRestarts') == ['active', '0']
    configure(configuration())
    board.must('systemctl reload voletd')
    assert_shown('bob', 'test-1')


def after_death(old, pid, what):
    until(lambda: show('voletd', 'ActiveState', 'SubState') == ['active', 'running'] and main_pid() != pid, what)
    until(lambda: not set(alive(old)), f'what was there before: {old}, of which are left {alive(old)}')
    return assert_shown('alice', 'test-0')


def test_killed():
    """SIGKILL of voletd: started again, nothing of the old left in the cgroups; the same for volet-spawn"""
    with watching('alice', 'test-0'), watching('bob', 'test-1'):
        pid, spawn = main_pid(), main_pid('volet-spawn')
        old = [pid for pid in processes() if pid != spawn]
        assert len(old) >= 7, processes()
        board.must(f'kill -KILL {pid}')
        said = [after_death(old, pid, 'voletd is back')]
        assert main_pid('volet-spawn') == spawn
    with watching('alice', 'test-0'):
        pid, old = main_pid(), list(processes())
        board.must(f'kill -KILL {spawn}')
        until(lambda: main_pid('volet-spawn') not in (0, spawn), 'volet-spawn is back')
        said.append(after_death(old, pid, 'voletd is back'))
    return said


def test_watchdog():
    """A stopped voletd is killed by the watchdog and started again; without WatchdogSec it stays as it is"""
    with drop_in('voletd.service', '[Service]\nWatchdogSec=0\n'):
        board.must('systemctl restart voletd')
        pid = main_pid()
        board.must(f'kill -STOP {pid}')
        time.sleep(15)
        assert main_pid() == pid and show('voletd', 'ActiveState') == 'active'
        assert board.must(f'cut -d" " -f3 /proc/{pid}/stat').strip() == 'T'
        board.must(f'kill -CONT {pid}')
    pid, started = main_pid(), time.monotonic()
    old = [p for p in processes() if p != main_pid('volet-spawn')]
    board.must(f'kill -STOP {pid}')
    said = after_death(old, pid, 'voletd is back')
    assert 'atchdog' in journal('voletd.service'), journal()
    return [said, f'a picture again after {time.monotonic() - started:.0f} s, WatchdogSec=10 in it']


def test_voletctl():
    """voletctl is for root alone; with the drop-in of the documentation also for a group, whose other users can't"""
    user = 'setpriv --reuid=someone --regid=someone {} voletctl status'
    board.must('id someone || useradd --uid 1000 someone; groupadd --system --gid 900 volet-admin')
    assert board.run(user.format('--groups=900'))[0], 'it is everybody\'s'
    text = (SRC / 'packaging/systemd/voletd-admin.conf').read_text().replace('GID', '900')
    with drop_in('voletd.service', text):
        board.must('systemctl restart voletd')
        assert 'test-0' in board.must(user.format('--groups=900'))
        assert board.run(user.format('--clear-groups'))[0], 'it is everybody\'s'
        assert 'test-0' in board.must('voletctl status')
        assert_shown('alice', 'test-0')
        said = board.must('systemd-analyze security --no-pager --threshold=15 voletd.service')
        return [re.search(r'Overall exposure level.*', said)[0]]


def test_journal():
    """No credential is in the journal, where one that is logged would be found"""
    secrets = [*PASSWORDS.values(), *(ha1(v) for v in PASSWORDS), 'PRIVATE KEY']
    board.must('logger "{}"; journalctl --sync'.format(' '.join(secrets)))
    for secret in secrets:
        # A record is a line; those of the agent that runs the tests' commands have the commands.
        found = board.must(f"journalctl --no-pager -o json | grep -v '\"_COMM\":\"qemu-ga\"' | grep -c -F -e '{secret}'").strip()
        assert found == '1', f'{found} records have {secret}'


# ---- a new version, and the end -----------------------------------------------------------------


def newer(package, where):
    """The same package as the next version's."""
    tree = pathlib.Path('/tmp/newer')
    shutil.rmtree(tree, ignore_errors=True)
    old, = SHARE.glob(f'{package}_*_{ARCH}.deb')
    vm.run(['dpkg-deb', '-R', old, tree])
    control = tree / 'DEBIAN/control'
    version = re.search(r'^Version: (.*)$', control.read_text(), re.M)[1]
    control.write_text(control.read_text().replace(version, f'{version}.1'))
    vm.run(['dpkg-deb', '-Znone', '-b', tree, where])
    return f'{version}.1'


def test_upgrade():
    """dpkg -i of a newer version keeps the configuration, starts the new programs and shows pictures again"""
    where = SHARE / 'newer'
    where.mkdir()
    version = [newer(package, where) for package in PACKAGES.split()][0]
    state = 'sha256sum /etc/volet/volet.conf; stat -c "%U %G %a" /etc/volet /etc/volet/volet.conf'
    before, pids = board.must(state), [main_pid(), main_pid('volet-spawn')]
    old = list(processes())
    with watching('alice', 'test-0'):
        said = board.must('dpkg -i /host/newer/*.deb', 600)
    assert f'({version})' in said, said
    assert board.must(state) == before
    until(lambda: all(show(unit, 'ActiveState') == 'active' for unit in (*UNITS.split(), 'voletd.socket')), said)
    assert not set(pids) & {main_pid(), main_pid('volet-spawn')} and not alive(old), said
    assert not board.must('systemctl list-units --failed --no-legend'), said
    assert board.run('systemctl is-enabled voletd-rtsps.socket')[1].strip() == 'disabled'
    return [assert_shown('alice', CAMERAS[1])]


def test_removed():
    """Removing stops everything and gives the nodes back; purging leaves no user, file, socket or directory"""
    old = list(processes())
    board.must(f'dpkg --remove {PACKAGES}', 300)
    assert not alive(old), alive(old)
    listening = board.run("grep ':216A 00000000:0000 0A' /proc/net/tcp")[1]
    assert not listening, listening
    assert board.must('cat /etc/volet/volet.conf') == configuration(), 'the configuration went'
    groups = BOARD and set(board.must('udevadm settle; stat -c %G /dev/video*').split())
    assert groups in (None, {'video'}), groups
    board.must('rm -r /etc/volet/*')
    board.must(f'dpkg --purge {PACKAGES}' + (' gc2053-dkms volet-camsim-dkms' if BOARD else ''), 300)
    board.must('groupdel volet-admin')
    left = board.must("find / -xdev -path /proc -prune -o -path /var/log -prune -o -path /host -prune -o "
                      "\\( -iname '*volet*' -o -iname '*gc2053*' -o -iname '*camsim*' \\) -print").splitlines()
    left += board.must("find /run /dev /tmp /var/tmp -iname '*volet*'").splitlines()
    left += board.must("systemctl list-unit-files --no-legend 'volet*'; systemctl list-units --all --no-legend 'volet*'"
                       ).splitlines()
    left += [line for line in board.must('getent passwd; getent group').splitlines() if line.startswith('volet')]
    assert not [line for line in left if line], left
    assert not board.must('dpkg --audit') and not board.must('systemctl list-units --failed --no-legend')


TESTS = [test_machine, test_dkms, test_installed, test_nodes, test_ready, test_pictures, test_shut_in, test_exposure,
         test_swap, test_activation, test_rtsps, test_reload, test_killed, test_watchdog, test_voletctl, test_journal,
         test_upgrade, test_removed]
OF_THE_BOARD = [test_dkms, test_nodes, test_swap]


def share():
    SHARE.mkdir(exist_ok=True)
    native = [] if BOARD else (SRC / 'build/deb').glob('*_amd64.deb')
    for path in [*native, *(SRC / 'build/deb-arm64').glob('*_arm64.deb'), *(SRC / 'build/deb').glob('*-dkms_*_all.deb')]:
        if 'dbgsym' not in path.name:
            shutil.copy(path, SHARE)
    vm.run(['openssl', 'req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '30',
            '-subj', '/CN=camera', '-addext', 'subjectAltName=IP:127.0.0.1', '-keyout', SHARE / 'tls-key.pem',
            '-out', SHARE / 'tls-cert.pem'])


def main():
    global board                                    # one machine for all tests
    share()
    if not BOARD:
        board = container.Container()
        return 1 if tap.run([test for test in TESTS if test not in OF_THE_BOARD]) else 0
    machine.configured(BOARD)
    with machine.Machine(BOARD, SHARE, 2, [(RTSP, 8554), (RTSPS, 8322)]) as board:
        board.connect()
        failures = tap.run(TESTS)
        shutil.copy(board.console, SRC / 'build/systemd-console.log')
    return 1 if failures else 0


if __name__ == '__main__':
    sys.exit(main())

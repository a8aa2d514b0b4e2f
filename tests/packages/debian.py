#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""
The Debian packages of build/deb, in the fresh machine that product-root made (/cache/product): what
they hold, what installing them did, that the streamer runs there as its units would start it, and
that removing them leaves nothing. Run in the build root, as root, with build/native made. There is
no systemd running in a chroot: units are read, verified and found enabled, not started.
"""
import contextlib
import hashlib
import os
import pathlib
import re
import subprocess
import sys
import time

SRC = pathlib.Path(__file__).resolve().parents[2]
sys.path.append(str(SRC / 'tests/e2e'))
import tap                                                                      # noqa: E402

DEB = SRC / 'build/deb'
PRODUCT = pathlib.Path('/cache/product')
TAGREAD = SRC / 'build/native/tests/tools/tagread'
PACKAGES = ['volet-daemon', 'volet-sessions', 'volet-tools', 'volet-doc', 'gc2053-dkms', 'volet-camsim-dkms']
UNITS = ['voletd.service', 'voletd.socket', 'volet-spawn.service']
PASSWORD = 'a-word-of-the-owner'
PLUGIN = PRODUCT / 'usr/lib/x86_64-linux-gnu/gstreamer-1.0/libgstrtp.so'


def run(command, **kwargs):
    return subprocess.run([str(c) for c in command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          text=True, errors='replace', check=False, **kwargs)


def must(command, **kwargs):
    done = run(command, **kwargs)
    assert not done.returncode, f'{" ".join(map(str, command))}: {done.returncode}\n{done.stdout[-3000:]}'
    return done.stdout


def inside(*command):
    return ['chroot', PRODUCT, *command]


def packages():
    """The packages without their debugging symbols: {name: path}."""
    found = {p.name.split('_')[0]: p for p in DEB.glob('*.deb') if 'dbgsym' not in p.name}
    assert set(found) == set(PACKAGES), f'{sorted(found)}, and {sorted(PACKAGES)} are expected'
    return found


def test_lintian():
    """lintian finds no error and no warning, and finds a file that is put in a wrong place"""
    changes, = DEB.glob('*.changes')
    said = must(['lintian', '--allow-root', '--fail-on', 'error,warning', changes])
    bad = pathlib.Path('/tmp/bad')
    must(['dpkg-deb', '-R', packages()['volet-tools'], bad])
    (bad / 'usr/local/bin').mkdir(parents=True)
    (bad / 'usr/local/bin/x').write_text('x')
    must(['dpkg-deb', '-b', bad, '/tmp/bad.deb'])
    found = run(['lintian', '--allow-root', '--fail-on', 'error,warning', '/tmp/bad.deb'])
    assert found.returncode and 'usr/local' in found.stdout, found.stdout
    return said.splitlines()


def test_camsim_apart():
    """The virtual board is in its own package, and no other one asks for it"""
    for name, path in packages().items():
        files = must(['dpkg-deb', '-c', path])
        fields = must(['dpkg-deb', '-f', path, 'Depends', 'Recommends', 'Suggests', 'Pre-Depends'])
        sources = [line for line in files.splitlines() if 'camsim' in line and '/usr/share/doc/' not in line]
        if name == 'volet-camsim-dkms':
            assert sources, files
        else:
            assert not sources and 'camsim' not in fields, f'{name}: {sources} {fields}'


def test_all_is_shipped():
    """What meson installs is in one package each, and nothing else is"""
    mine = {}
    for name in ('volet-daemon', 'volet-sessions', 'volet-tools'):
        for line in must(['dpkg-deb', '-c', packages()[name]]).splitlines():
            path = line.split()[5].lstrip('.')
            if not path.endswith('/') and '/share/' not in path:
                assert path not in mine, f'{path} is in {name} and in {mine[path]}'
                mine[path] = name
    plan = must(['meson', 'introspect', '--installed', SRC / 'build/native'])
    installed = set(re.findall(r'": "(/[^"]+)"', plan))
    assert installed and installed <= set(mine), f'not in a package: {installed - set(mine)}'
    system = {path for path in mine if path.startswith('/usr/lib/')}
    assert set(mine) - system == installed, f'not of meson: {set(mine) - system - installed}'


def test_installed():
    """Everything is installed and configured; DKMS built both modules for the kernel of the headers"""
    states = must(inside('dpkg-query', '-W', '-f', '${Package} ${Status}\\n', *PACKAGES))
    assert states.count('install ok installed') == len(PACKAGES), states
    dkms = must(inside('dkms', 'status'))
    for name in ('gc2053', 'volet-camsim'):
        assert re.search(rf'^{name}/[\d.]+, .*: installed$', dkms, re.M), dkms
    built = {p.name.split('.ko')[0]: p for p in PRODUCT.glob('usr/lib/modules/*/updates/dkms/*.ko*')}
    assert set(built) == {'gc2053', 'camsim'}, built
    aliases = must(inside('modinfo', '-F', 'alias', '/' + str(built['gc2053'].relative_to(PRODUCT))))
    assert 'galaxycore,gc2053' in aliases, aliases
    return dkms.splitlines()


def test_enabled():
    """The units are enabled and systemd reads them; rules, users and directory are there"""
    for unit in UNITS:
        assert must(inside('systemctl', 'is-enabled', unit)).strip() == 'enabled', unit
    said = must(inside('systemd-analyze', 'verify', '--man=no', *[f'/usr/lib/systemd/system/{u}' for u in UNITS]))
    assert 'volet' not in said, said
    must(inside('udevadm', 'verify', '--no-style', '/usr/lib/udev/rules.d/70-volet.rules'))
    users = must(inside('getent', 'passwd', 'volet', 'volet-sign')) + must(inside('getent', 'group', 'volet-cam'))
    for number in ('69800', '69801', '69802'):
        assert number in users, users
    etc = (PRODUCT / 'etc/volet').stat()
    assert (etc.st_mode & 0o7777, etc.st_uid) == (0o751, 0) and etc.st_gid == 69800, oct(etc.st_mode)


def command_of(unit):
    """What the unit starts; where a program wants no swap, it is told that this is no unit with MemorySwapMax=0."""
    text = (PRODUCT / f'usr/lib/systemd/system/{unit}').read_text().replace('\\\n', ' ')
    command = re.search(r'^ExecStart=(.*)$', text, re.M)[1].split()
    return command + (['--allow-swap'] if '--allow-swap' in run(inside(command[0], '--help')).stdout else [])


@contextlib.contextmanager
def streamer():
    """volet-spawn and voletd as the units start them, with the package's example and an owner."""
    example = (PRODUCT / 'usr/share/doc/volet-daemon/examples/volet.conf').read_text()
    ha1 = hashlib.md5(f'owner:volet:{PASSWORD}'.encode()).hexdigest()
    config = PRODUCT / 'etc/volet/volet.conf'
    config.write_text(re.sub(r'^#\[viewer.*', f'[viewer owner]\nha1 = {ha1}\ncameras = test-0\n', example,
                             flags=re.M | re.S).replace('0.0.0.0', '127.0.0.1'))
    os.chown(config, 0, 69800)
    config.chmod(0o640)
    for name, uid in (('volet', 69800), ('volet-spawn', 0)):
        where = PRODUCT / 'run' / name
        where.mkdir(exist_ok=True)
        where.chmod(0o755)
        os.chown(where, uid, uid)
    log = pathlib.Path('/tmp/product.log')
    with log.open('w') as out:
        spawn = subprocess.Popen([str(c) for c in inside(*command_of('volet-spawn.service'))], stdout=out, stderr=out)
        until(lambda: (PRODUCT / 'run/volet-spawn/spawn.sock').exists(), log)
        daemon = subprocess.Popen([str(c) for c in inside(
            'setpriv', '--reuid=69800', '--regid=69800', '--clear-groups', '--no-new-privs',
            *command_of('voletd.service'))], stdout=out, stderr=out)
    try:
        until(lambda: 'test-0: ready, ' in log.read_text(), log)
        yield log
    finally:
        for process in (daemon, spawn):
            process.terminate()
            process.wait(10)


def until(condition, log, timeout=60):
    end = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < end, log.read_text()
        time.sleep(0.1)


def play():
    """One frame as a viewer of this machine's network gets it, as the tag reader reads it."""
    done = subprocess.run(['ffmpeg', '-v', 'error', '-rtsp_transport', 'tcp', '-timeout', '20000000', '-i',
                           f'rtsp://owner:{PASSWORD}@127.0.0.1:8554/test-0', '-frames:v', '1', '-f', 'rawvideo',
                           '-pix_fmt', 'gray', '-'], capture_output=True, check=False, timeout=120)
    if not done.stdout:
        return ''
    return subprocess.run([TAGREAD, '--test', '--format', 'gray', '--size', '1280x720'], input=done.stdout,
                          capture_output=True, check=False).stdout.decode()


def test_runs():
    """The streamer runs there and a viewer sees the camera's own pixels; without a plugin that a package brings, nothing"""
    with streamer() as log:
        status = must(inside('voletctl', 'status'))
        assert 'test-0' in status, status
        shown = play()
        assert 'camera=0' in shown, f'{shown}\n{log.read_text()}'
    hidden = PLUGIN.with_suffix('.hidden')
    PLUGIN.rename(hidden)
    try:
        with streamer() as log:
            assert not play() and 'libgstrtp' in log.read_text(), log.read_text()
    finally:
        hidden.rename(PLUGIN)
    return shown.splitlines()[:1]


def test_removed():
    """Removing keeps a configuration; purging, with it gone, leaves no file, no link, no module"""
    config = PRODUCT / 'etc/volet/volet.conf'
    must(inside('dpkg', '--remove', *PACKAGES))
    assert config.exists(), 'the configuration was removed with the package'
    config.unlink()
    must(inside('dpkg', '--purge', *PACKAGES))
    now = must(inside('find', '/', '-xdev', '(', '-path', '/proc', '-o', '-path', '/sys', '-o', '-path', '/tmp',
                      '-o', '-path', '/dev', '-o', '-path', '/run', ')', '-prune', '-o', '-print')).splitlines()
    left = [path for path in now if re.search('volet|gc2053|camsim', path)]
    assert not left, left
    assert not re.search('^volet', must(inside('getent', 'passwd')) + must(inside('getent', 'group')), re.M)


if __name__ == '__main__':
    assert (PRODUCT / 'usr').is_dir(), 'tests/packages/product-root has not run'
    for args in (['-t', 'proc', 'proc', PRODUCT / 'proc'], ['--rbind', '/dev', PRODUCT / 'dev'],
                 ['--rbind', '/sys', PRODUCT / 'sys'], ['-t', 'tmpfs', 'tmpfs', PRODUCT / 'run']):
        must(['mount', *args])
    sys.exit(tap.run([test_lintian, test_camsim_apart, test_all_is_shipped, test_installed, test_enabled, test_runs,
                      test_removed]))

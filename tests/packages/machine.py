# SPDX-License-Identifier: MIT
"""
The virtual board as a machine of Debian's own: systemd is its first process, its disk (see board-roots)
has packages that dpkg installed, and nothing of this tree but what is installed there. Each run
begins with the same disk; what a run writes is thrown away. QEMU's guest agent gives it commands.
"""
import base64
import json
import os
import pathlib
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time

SRC = pathlib.Path(__file__).resolve().parents[2]
sys.path.append(str(SRC / 'tests/vm'))
import volet_vm as vm                                                           # noqa: E402
from commands import Commands                                                   # noqa: E402

# Where a kernel's module directory says what is in which file and needs which.
MODULES = ['virtio_blk', 'crc32c_generic', 'ext4', '9pnet_virtio', '9p']
INIT = '''#!/bin/busybox sh
/bin/busybox --install -s /bin
export PATH=/bin
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
for m in /modules/*; do insmod "$m"; done
until [ -b /dev/vda ]; do sleep 0.1; done
mount -t ext4 /dev/vda /root || { echo "volet: cannot mount the disk"; poweroff -f; }
mount --move /dev /root/dev
umount /sys
init=/sbin/init
for word in $(cat /proc/cmdline); do case $word in init=*) init=${word#init=} ;; esac; done
umount /proc
exec switch_root /root "$init"
'''
LINES_WORTH_A_LOOK = 60


class Failed(Exception):
    """The board did not do what it was told; the text says what and shows its console."""


def initramfs(board):
    """What mounts the disk: busybox and the modules for it, of the kernel that is on the disk."""
    tree = pathlib.Path('/tmp/machine-initramfs')
    shutil.rmtree(tree, ignore_errors=True)
    for name in 'bin', 'proc', 'sys', 'dev', 'root', 'modules':
        (tree / name).mkdir(parents=True)
    shutil.copy(vm.GUEST / 'usr/bin/busybox', tree / 'bin/busybox')
    modules, = (board / 'lib/modules').iterdir()
    vm.run(['depmod', '-b', board, modules.name])
    needs = {}
    for line in (modules / 'modules.dep').read_text().splitlines():
        path, _, others = line.partition(':')
        needs[re.sub(r'\.ko.*', '', os.path.basename(path)).replace('-', '_')] = others.split()[::-1] + [path]
    order = list(dict.fromkeys(path for name in MODULES for path in needs.get(name, [])))
    for number, path in enumerate(order):
        plain = tree / 'modules' / f'{number:02}-{os.path.basename(path).removesuffix(".xz")}'
        vm.run(['sh', '-c', f'xz -dc {modules / path} >{plain}'])
    (tree / 'init').write_text(INIT)
    (tree / 'init').chmod(0o755)
    vm.run(['sh', '-c', f'cd {tree} && find . | cpio -o -H newc --quiet | gzip -1 >{board}/initramfs.gz'])


class Machine(Commands):
    """
    A running board with `cameras` cameras. `share` is at /host on it. `forward` is [(port of
    127.0.0.1, the board's port)]. With `configure` it runs configure-board on the disk itself instead.
    """

    def __init__(self, board, share, cameras=2, forward=(), configure=False, append=''):
        kernel, = (board / 'boot').glob('vmlinuz-*')
        self.own = pathlib.Path(tempfile.mkdtemp(prefix='machine-'))
        self.socket, self.console = self.own / 'agent.sock', self.own / 'console.log'
        net = 'user,id=n0,restrict=on' + ''.join(
            f',hostfwd=tcp:127.0.0.1:{here}-:{there}' for here, there in forward)
        disk = f'if=none,id=disk,format=raw,cache=unsafe,file={board}/disk.ext4'
        append += ' init=/configure-board' if configure else ' systemd.mask=apt-daily.timer ' \
            'systemd.mask=apt-daily-upgrade.timer systemd.mask=dpkg-db-backup.timer'
        command = [*vm.QEMU, '-machine', 'virt', '-m', str(vm.Kernel().memory),
                   '-dtb', vm.device_tree(cameras, self.own, vm.Kernel()), '-kernel', kernel,
                   '-initrd', board / 'initramfs.gz', '-append', f'console=ttyAMA0 quiet panic=-1 cma=64M rw {append}',
                   '-serial', f'file:{self.console}', '-netdev', net,
                   '-device', 'virtio-net-pci,netdev=n0,romfile=', '-device', 'virtio-rng-pci',
                   '-drive', disk + ('' if configure else ',snapshot=on'), '-device', 'virtio-blk-pci,drive=disk',
                   '-fsdev', f'local,id=f0,path={share},security_model=none',
                   '-device', 'virtio-9p-pci,fsdev=f0,mount_tag=host',
                   '-device', 'virtio-serial-pci', '-chardev', f'socket,id=agent,path={self.socket},server=on,wait=off',
                   '-device', 'virtserialport,chardev=agent,name=org.qemu.guest_agent.0']
        written = pathlib.Path('/tmp/written')          # QEMU takes /var/tmp for /tmp itself
        written.mkdir(exist_ok=True)
        self.qemu = subprocess.Popen([str(c) for c in command], stdin=subprocess.DEVNULL,
                                     env=os.environ | {'TMPDIR': str(written)})
        self.wire = None

    def log(self):
        return self.console.read_text(errors='replace') if self.console.exists() else ''

    def fail(self, what):
        raise Failed(f'{what}\n' + '\n'.join(self.log().splitlines()[-LINES_WORTH_A_LOOK:]))

    def wait(self, limit):
        """Until the board has switched itself off."""
        try:
            self.qemu.wait(limit)
        except subprocess.TimeoutExpired:
            self.fail(f'the board is still on after {limit} s')

    def ask(self, name, **arguments):
        """One command of the agent's (see QEMU's qemu-ga reference)."""
        question = {'execute': name} | ({'arguments': arguments} if arguments else {})
        self.wire.write(json.dumps(question).encode() + b'\n')
        self.wire.flush()
        answer = json.loads(self.wire.readline() or '{}')
        if 'return' not in answer:
            self.fail(f'{name}: {answer.get("error", "the agent has gone")}')
        return answer['return']

    def connect(self, limit=900):
        """Until the agent answers, which systemd starts when the board is nearly up."""
        end = time.monotonic() + limit
        while time.monotonic() < end and self.qemu.poll() is None:
            link = socket.socket(socket.AF_UNIX)
            link.settimeout(5)
            try:
                link.connect(str(self.socket))
                self.wire = link.makefile('rwb')
                self.ask('guest-ping')
                link.settimeout(60)
                return
            except (OSError, ValueError):
                link.close()
                time.sleep(1)
        self.fail(f'the board\'s agent did not answer in {limit} s')

    def run(self, script, limit=120):
        """A shell script on the board: (its status, what it printed)."""
        pid = self.ask('guest-exec', path='/bin/sh', arg=['-c', f'exec 2>&1\n{script}'], **{'capture-output': True})['pid']
        end, pause = time.monotonic() + limit, 0.05
        while True:
            state = self.ask('guest-exec-status', pid=pid)
            if state['exited']:
                text = base64.b64decode(state.get('out-data', '')).decode(errors='replace')
                return state.get('exitcode', -state.get('signal', 0)), text
            if time.monotonic() > end:
                self.fail(f'this ran longer than {limit} s: {script}')
            time.sleep(pause)
            pause = min(pause * 1.5, 1)

    def stop(self):
        if self.qemu.poll() is None:
            self.qemu.kill()
        self.qemu.wait()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()


def configured(board):
    """Configure the disk of board-roots, once; some minutes."""
    if (board / 'configured').exists():
        return
    vm.say('configuring the arm64 machine on the board (once, some minutes)')
    initramfs(board)
    with Machine(board, '/tmp', configure=True) as machine:
        machine.wait(3000)
        if 'configure-board: done' not in machine.log():
            machine.fail(f'the packages could not be configured: remove {board} and try again')
        shutil.copy(machine.console, board / 'configure.log')
    shutil.rmtree(board / 'lib')
    (board / 'configured').touch()

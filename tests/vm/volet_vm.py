# SPDX-License-Identifier: MIT
"""
The virtual camera board: what it boots, how it is built, and one object that is a running
board. Runs inside the build root (see `enter`), where the tree is /src, the arm64 root
/guest and the cache /cache.

What the guest boots from is read-only: `base` (the arm64 root without headers and
documentation) and `project` (what was built from this tree) are squashfs images under a
tmpfs overlay. `share` is one directory of the host, mounted at /host in the guest: the job
to run comes in there, and results go out.
"""
import contextlib
import hashlib
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import traceback

SRC = pathlib.Path('/src')
GUEST = pathlib.Path('/guest')
CACHE = pathlib.Path('/cache')
BUILD = SRC / 'build'
KERNEL = (GUEST / '.volet-kernel').read_text().strip()      # 6.12.117+deb13-arm64
HEADERS = f'/usr/src/linux-headers-{KERNEL}'
STARTED = time.monotonic()
MAKING = threading.RLock()                                  # boards may be booted side by side

# Not needed to run anything; leaves 450 of 1,500 MB.
BASE_LEAVES_OUT = '''boot usr/include usr/src usr/lib/gcc usr/lib/debug usr/lib/firmware
 usr/share/doc usr/share/man usr/share/info usr/share/locale usr/share/icons usr/share/fonts
 usr/share/gir-1.0 usr/share/mime usr/share/perl usr/share/zoneinfo usr/share/i18n
 usr/share/bash-completion usr/lib/aarch64-linux-gnu/perl usr/lib/aarch64-linux-gnu/dri
 var/cache var/lib'''.split()
INITRAMFS_MODULES = ['virtio_blk', 'squashfs', 'overlay', '9p', '9pnet_virtio', 'virtio_net']

# Two stretches of one street scene, so that two cameras can be told apart at a glance.
CLIP = '/usr/share/doc/opencv-doc/examples/data/vtest.avi'
SCENES = [['-ss', '0', '-t', '12', '-i', CLIP, '-vf', 'format=yuv420p'],
          ['-ss', '40', '-t', '12', '-i', CLIP, '-vf', 'hflip,hue=h=60,format=yuv420p']]
SCENE_SIZE = '768x576'


class Failed(Exception):
    """Something a person must act on; the text says what."""


class Kernel:
    """What a board boots: Debian's own, or with `path` the directory that tests/debug/make-kernel made."""

    def __init__(self, path=None):
        self.path = path
        self.release = (path / 'release').read_text().strip() if path else KERNEL
        self.modules = (path or GUEST / 'usr') / 'lib/modules' / self.release
        self.memory = 2560 if path else 1536    # a checking kernel has a shadow of its memory

    def image(self):
        """The plain image: QEMU unpacks a compressed one slowly, and not every compression."""
        return self.path / 'Image' if self.path else cached(
            f'vmlinuz-{KERNEL}', lambda part: shutil.copy(GUEST / f'boot/vmlinuz-{KERNEL}', part))


def say(text):
    print(f'[{time.monotonic() - STARTED:6.1f} s] {text}', flush=True)


def run(command, log=None, **kwargs):
    """Run a build step quietly; on failure show the end of what it printed."""
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          errors='replace', check=False, **kwargs)
    if log:
        log.write_text(done.stdout)
    if done.returncode:
        tail = '\n'.join(done.stdout.splitlines()[-40:])
        raise Failed(f'this step failed ({done.returncode}): {" ".join(map(str, command))}\n{tail}')
    return done.stdout


def key(*parts):
    return hashlib.sha256('\0'.join(map(str, parts)).encode()).hexdigest()[:12]


def cached(name, make):
    """The path of a cached file or directory; `make(path)` makes it when it is not there."""
    path = CACHE / name
    with MAKING:
        if not path.exists():
            part = path.with_name(path.name + '.part')
            if part.is_dir():
                shutil.rmtree(part)
            make(part)
            part.rename(path)
    return path


# ---- what is made once ----------------------------------------------------------------

def base_image():
    def make(part):
        say('making the board\'s base image (once, about 30 s)')
        run(['mksquashfs', GUEST, part, '-comp', 'lz4', '-noappend', '-no-progress', '-quiet',
             '-wildcards', '-e', *BASE_LEAVES_OUT])
    return cached(f'base-{key(KERNEL, guest_key(), BASE_LEAVES_OUT)}.squashfs', make)


def guest_key():
    return (GUEST / '.volet-key').read_text().strip()


def module_path(kernel, name):
    """A stock module and what it depends on, in the order to load them."""
    deps = {}
    for line in (kernel.modules / 'modules.dep').read_text().splitlines():
        path, _, needs = line.partition(':')
        deps[re.sub(r'\.ko.*', '', os.path.basename(path)).replace('-', '_')] = \
            needs.split()[::-1] + [path]
    return deps.get(name.replace('-', '_'), [])      # none: it is built in


def initramfs(kernel):
    def make(part):
        tree = pathlib.Path('/tmp/initramfs')
        shutil.rmtree(tree, ignore_errors=True)
        (tree / 'bin').mkdir(parents=True)
        for name in ['proc', 'sys', 'dev', 'base', 'project', 'rw', 'root', 'modules']:
            (tree / name).mkdir()
        shutil.copy(GUEST / 'usr/bin/busybox', tree / 'bin/busybox')
        order = list(dict.fromkeys(p for m in INITRAMFS_MODULES for p in module_path(kernel, m)))
        for i, path in enumerate(order):
            plain = tree / 'modules' / f'{i:02}-{os.path.basename(path).removesuffix(".xz")}'
            data = kernel.modules / path
            with plain.open('wb') as out:
                subprocess.run(['xz', '-dc', data] if path.endswith('.xz') else ['cat', data],
                               stdout=out, check=True)
        shutil.copy(SRC / 'tests/vm/guest/initramfs-init', tree / 'init')
        (tree / 'init').chmod(0o755)
        run(['sh', '-c', f'cd {tree} && find . | cpio -o -H newc --quiet | gzip -1 >{part}'])
    text = (SRC / 'tests/vm/guest/initramfs-init').read_text()
    return cached(f'initramfs-{key(kernel.release, INITRAMFS_MODULES, text)}.gz', make)


def scenes():
    """Raw frames, so that the emulated processor need not decode video (38 ms a frame there)."""
    def make(part):
        say('preparing the scenes (once, from the vtest clip of Debian\'s opencv-doc)')
        part.mkdir(parents=True)
        for i, args in enumerate(SCENES):
            run(['ffmpeg', '-v', 'error', *args, '-f', 'rawvideo', part / f'scene{i}.yuv'])
        run(['mksquashfs', part, f'{part}/scenes.squashfs', '-noappend', '-no-progress', '-quiet',
             '-noI', '-noD', '-noF', '-noX'])
        for raw in part.glob('*.yuv'):
            raw.unlink()
    return cached(f'scenes-{key(SCENES)}', make) / 'scenes.squashfs'


# ---- what is built from the tree --------------------------------------------------------

def build_modules():
    tree = BUILD / 'modules'
    tree.mkdir(parents=True, exist_ok=True)
    run(['cp', '-au', SRC / 'driver', SRC / 'Kbuild', tree])
    run(['make', '-C', HEADERS, f'M={tree}', 'ARCH=arm64', 'CROSS_COMPILE=aarch64-linux-gnu-',
         'W=1', 'KCFLAGS=-Werror', 'modules'], log=BUILD / 'modules.log')
    return sorted(tree.rglob('*.ko'))


def build_vicodec():
    """
    The kernel's virtual codec, which Debian doesn't build: from the build root's own copy of the
    kernel source, for the board's kernel, once for each of those versions. Nothing of it is in this tree.
    """
    source = pathlib.Path('/usr/src/linux-source-6.12.tar.xz')
    where = 'linux-source-6.12/drivers/media/test-drivers/vicodec'

    def make(part):
        say('building vicodec, the kernel\'s virtual codec (once)')
        part.mkdir(parents=True)
        run(['tar', '-C', part, '--strip-components=5', '-xJf', source, where])
        run(['make', '-C', HEADERS, f'M={part}', 'ARCH=arm64', 'CROSS_COMPILE=aarch64-linux-gnu-',
             'CONFIG_VIDEO_VICODEC=m', 'modules'], log=BUILD / 'vicodec.log')
    return cached(f'vicodec-{key(KERNEL, source.stat().st_size)}', make) / 'vicodec.ko'


def build_imx219():
    """
    Mainline's driver of another sensor, and the register helpers it wants, which Debian's kernel for
    arm64 has neither of: as build_vicodec(). The board runs it so that camsim isn't tried by this
    project's driver alone.
    """
    source = pathlib.Path('/usr/src/linux-source-6.12.tar.xz')
    files = ['drivers/media/i2c/imx219.c', 'drivers/media/v4l2-core/v4l2-cci.c']

    def make(part):
        say('building imx219, a driver of the kernel (once)')
        part.mkdir(parents=True)
        run(['tar', '-C', part, '--strip-components=4', '-xJf', source,
             *[f'linux-source-6.12/{name}' for name in files]])
        (part / 'Kbuild').write_text('obj-m += imx219.o v4l2-cci.o\n')
        run(['make', '-C', HEADERS, f'M={part}', 'ARCH=arm64', 'CROSS_COMPILE=aarch64-linux-gnu-',
             'KCFLAGS=-DCONFIG_V4L2_CCI_I2C_MODULE', 'modules'], log=BUILD / 'imx219.log')
    where = cached(f'imx219-{key(KERNEL, source.stat().st_size)}', make)
    return [where / 'imx219.ko', where / 'v4l2-cci.ko']


def meson(name, *options, targets=()):
    """
    Build the tree in build/NAME and return that directory; only what changed is rebuilt, and
    of some test builds only `targets` are built.
    """
    out = BUILD / name
    if not (out / 'build.ninja').exists():
        run(['meson', 'setup', out, SRC, '--prefix=/usr', '--sysconfdir=/etc',
             '--localstatedir=/var', *options])
    run(['ninja', '-C', out, *targets], log=BUILD / f'{name}.log')
    return out


def build_arm64(name='arm64', *options, targets=()):
    return meson(name, '--cross-file', SRC / 'tests/vm/arm64.cross', *options, targets=targets)


# Of test builds the programs alone are built, not the tests again.
PROGRAMS = sorted(path.parent.name for path in SRC.glob('userspace/volet*/meson.build'))
FAULTS = 'cross', 'unchecked', 'loose'


def build_faulty():
    """Natively, of the programs alone that have one: the faults of meson.options."""
    meson('native-faulty', f'-Dfault={",".join(FAULTS)}',
          targets=[f'userspace/{name}/{name}' for name in ('voletd', 'volet-cam', 'volet-rtsp')])


def build_faults():
    """For the board, one build for each fault."""
    return [build_arm64(fault, f'-Dfault={fault}', targets=[f'userspace/{name}/{name}' for name in PROGRAMS])
            for fault in FAULTS]


CAM = 'userspace/volet-cam/volet-cam'


def build_formats(build=meson, name='formats'):
    """volet-cam with codec = fwht and test cameras that deliver H.264: for tests alone."""
    return build(name, '-Dtest-formats=true', targets=[CAM]) / CAM


def build_selftests():
    out = BUILD / 'selftests'
    out.mkdir(parents=True, exist_ok=True)
    run(['make', '-C', SRC / 'tests/selftests', 'KSRC=/usr/src/linux',
         'CROSS_COMPILE=aarch64-linux-gnu-', 'SYSROOT=/guest', f'KDIR={HEADERS}', 'ARCH=arm64',
         f'OUTPUT={out}'],
        log=BUILD / 'selftests.log')
    return out


def depmod(kernel, tree, modules):
    """Dependencies and aliases of the stock modules and ours together, as after an install."""
    lib = pathlib.Path('/tmp/depmod')
    shutil.rmtree(lib, ignore_errors=True)
    dest = lib / f'lib/modules/{kernel.release}'
    shutil.copytree(kernel.modules, dest, symlinks=True, ignore=shutil.ignore_patterns('build', 'source'))
    (dest / 'updates').mkdir()
    for ko in modules:
        shutil.copy(ko, dest / 'updates')
    run(['depmod', '-b', lib, kernel.release])
    out = tree / f'usr/lib/modules/{kernel.release}'
    # Debian's are in the base image already.
    stock = dest.glob('kernel/**/*.ko') if kernel.path else ()
    for path in [*dest.glob('modules.*'), *(dest / 'updates').glob('*.ko'), *stock]:
        (out / path.relative_to(dest)).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, out / path.relative_to(dest))
    shutil.rmtree(lib)


def project_image(modules, programs, extra=(), faulty=(), name='project', kernel=None):
    """
    What was built, as the second image, build/NAME.squashfs. `programs` is a meson build directory,
    which is installed, or None; of those in `faulty` the programs go to /usr/libexec/volet-NAME.
    `extra` are (path in the guest, file or directory) pairs. Without `kernel` it is for Debian's.
    """
    tree = pathlib.Path('/tmp/project')
    shutil.rmtree(tree, ignore_errors=True)
    tree.mkdir()
    depmod(kernel or Kernel(), tree, modules)
    if programs:
        run(['meson', 'install', '-C', programs, '--no-rebuild', '--quiet', '--destdir', tree])
    for out in faulty:
        where = tree / f'usr/libexec/volet-{out.name}'
        where.mkdir()
        for name in PROGRAMS:
            shutil.copy(out / 'userspace' / name / name, where)
    shutil.copytree(SRC / 'tests/vm/guest', tree / 'volet')
    for where, what in extra:
        dest = tree / where.lstrip('/')
        dest.parent.mkdir(parents=True, exist_ok=True)
        (shutil.copytree if pathlib.Path(what).is_dir() else shutil.copy)(what, dest)
    image = BUILD / f'{name}.squashfs'
    part = image.with_suffix('.part')           # a board that runs keeps the image it booted
    run(['mksquashfs', tree, part, '-comp', 'lz4', '-noappend', '-no-progress', '-quiet',
         '-all-root'])
    part.rename(image)
    shutil.rmtree(tree)
    return image


def device_tree(cameras, dt, kernel, overlays=()):
    """QEMU's own tree of the `virt` machine with the project's overlays merged in, made in the directory `dt`."""
    # The dump is padded to 1 MiB, which the kernel doesn't boot with: dtc packs it.
    run([*QEMU, '-m', str(kernel.memory), '-machine', f'virt,dumpdtb={dt}/dump.dtb'])
    run(['dtc', '-q', '-I', 'dtb', '-O', 'dtb', '-o', dt / 'virt.dtb', dt / 'dump.dtb'])
    names = ['virt-camsim'] + [f'virt-camsim{i}' for i in range(2, cameras + 1)] + list(overlays)
    blobs = []
    for name in names:
        pre, blob = dt / f'{name}.dts', dt / f'{name}.dtbo'
        run(['cpp', '-nostdinc', '-undef', '-x', 'assembler-with-cpp', '-P',
             '-I', re.sub('-arm64$', '-common', HEADERS) + '/include',
             SRC / f'dts/{name}.dtso', pre])
        run(['dtc', '-@', '-I', 'dts', '-O', 'dtb', '-o', blob, pre])
        blobs.append(blob)
    merged = dt / f'virt-{cameras}.dtb'
    run(['fdtoverlay', '-i', dt / 'virt.dtb', '-o', merged, *blobs])
    return merged


# ---- a running board ---------------------------------------------------------------------

QEMU = ['qemu-system-aarch64', '-cpu', 'cortex-a53', '-smp', '2', '-accel', 'tcg,thread=multi',
        '-display', 'none', '-nodefaults', '-no-reboot']


class Board:
    """
    A board that runs /host/job (a script in the directory `share`) and then powers off.
    `on_line` gets each line of its console. `forward` is [(host port, guest port)], bound to
    127.0.0.1 on the host; the guest itself can reach nothing. `displays` are sizes of virtual
    displays; what they show is in DIRECTORY/dumps once the guest has asked for it (see `dump`).
    `append` is more of the kernel's command line, `overlays` more of dts/ than the cameras; without
    `kernel` it is Debian's.
    """

    def __init__(self, project, share, cameras=1, forward=(), on_line=None, interactive=False,
                 displays=(), append='', overlays=(), kernel=None):
        kernel = kernel or Kernel()
        net = 'user,id=n0,restrict=on' + ''.join(
            f',hostfwd=tcp:127.0.0.1:{host}-:{guest}' for host, guest in forward)
        self.on_line = on_line
        self.lines = []
        self.changed = threading.Condition()
        self.interactive = interactive
        self.own = pathlib.Path(tempfile.mkdtemp(prefix='board-'))
        command = [*QEMU, '-machine', 'virt', '-m', str(kernel.memory),
                   '-dtb', device_tree(cameras, self.own, kernel, overlays),
                   '-kernel', kernel.image(), '-initrd', initramfs(kernel),
                   '-append', f'console=ttyAMA0 quiet panic=-1 cma=128M {append}',
                   '-serial', 'mon:stdio' if interactive else 'stdio', '-netdev', net,
                   '-device', 'virtio-net-pci,netdev=n0,romfile=', '-device', 'virtio-rng-pci',
                   '-fsdev', f'local,id=f0,path={share},security_model=none',
                   '-device', 'virtio-9p-pci,fsdev=f0,mount_tag=host']
        for image in [base_image(), project, scenes()]:
            command += ['-drive', f'if=none,format=raw,readonly=on,id=d{len(command)},file={image}',
                        '-device', f'virtio-blk-pci,drive=d{len(command)}']
        self.share, self.monitor = pathlib.Path(share), self.own / 'monitor.sock'
        for i, (width, height) in enumerate(displays):
            command += ['-device', f'virtio-gpu-pci,id=display{i},xres={width},yres={height}']
        if displays:
            command += ['-qmp', f'unix:{self.monitor},server=on,wait=off']
        pipe = None if interactive else subprocess.PIPE
        self.qemu = subprocess.Popen([str(c) for c in command], stdin=None if interactive else
                                     subprocess.DEVNULL, stdout=pipe,
                                     stderr=None if interactive else subprocess.STDOUT)
        self.reader = threading.Thread(target=self.read, daemon=True)
        if not interactive:
            self.reader.start()

    def read(self):
        for raw in self.qemu.stdout:
            line = raw.decode(errors='replace').rstrip('\r\n')
            with self.changed:
                self.lines.append(line)
                self.changed.notify_all()
            asked = re.match(r'volet-dump: ([\w.-]+) (\w+)$', line)
            if asked:
                self.dump(*asked.groups())
            if self.on_line:
                self.on_line(line)
        with self.changed:
            self.changed.notify_all()

    def dump(self, name, device):
        """
        What a display shows now, in dumps/NAME of the shared directory: "WIDTH HEIGHT", a line's end, and
        the green byte of each pixel, which is what the board is quick enough to look at.
        """
        (self.share / 'dumps').mkdir(exist_ok=True)
        ppm, part = self.own / 'dump.ppm', self.share / 'dumps' / f'{name}.part'
        with socket.socket(socket.AF_UNIX) as monitor, contextlib.suppress(OSError):
            monitor.connect(str(self.monitor))
            answers = monitor.makefile()
            for ask in ({'execute': 'qmp_capabilities'},
                        {'execute': 'screendump', 'arguments': {'filename': str(ppm), 'device': device}}):
                monitor.sendall(json.dumps(ask).encode() + b'\n')
                while not re.search('"(return|error)"', answers.readline() or '"error"'):
                    pass
            data = ppm.read_bytes()
            kind, width, height, depth = data.split(maxsplit=4)[:4]
            if (kind, depth) == (b'P6', b'255'):
                pixels = data[-int(width) * int(height) * 3:]
                part.write_bytes(b'%b %b\n' % (width, height) + pixels[1::3])
                part.rename(part.with_suffix(''))

    def wait_line(self, pattern, timeout):
        """Wait for a console line that matches; Failed when the board stops or time is up."""
        end, seen = time.monotonic() + timeout, 0
        with self.changed:
            while True:
                for line in self.lines[seen:]:
                    found = re.search(pattern, line)
                    if found:
                        return found
                seen = len(self.lines)
                if self.qemu.poll() is not None and not self.reader.is_alive():
                    raise Failed(f'the board stopped before `{pattern}`:\n' +
                                 '\n'.join(self.lines[-30:]))
                left = end - time.monotonic()
                if left <= 0:
                    raise Failed(f'no `{pattern}` from the board in {timeout} s:\n' +
                                 '\n'.join(self.lines[-30:]))
                self.changed.wait(min(left, 1))

    def wait(self, timeout):
        try:
            self.qemu.wait(timeout)
        except subprocess.TimeoutExpired:
            self.stop()
            raise Failed(f'the board\'s job did not end in {timeout} s:\n' +
                         '\n'.join(self.lines[-30:])) from None
        self.reader.join(5)

    def stop(self):
        if self.qemu.poll() is None:
            self.qemu.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.qemu.wait(5)
            if self.qemu.poll() is None:
                self.qemu.kill()
                self.qemu.wait()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()


def main(function):
    """
    Run a program of this folder: Ctrl-C and `kill` end it quietly, Failed ends it with its text. What
    threads of it still do ends with it, and what they started with the namespaces (see `enter`).
    """
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        status = function()
    except SystemExit as left:
        status = left.code
    except KeyboardInterrupt:
        print('stopped')
        status = 130
    except Failed as failure:
        print(f'volet: {failure}', file=sys.stderr)
        status = 1
    except Exception:                           # a fault of these programs: where it is
        traceback.print_exc()
        status = 1
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)

# SPDX-License-Identifier: MIT
"""
`make size`: what an image carries: the modules, the programs (both for arm64, stripped), and every
library that these need, followed through the arm64 root's libraries as the loader would.
GStreamer's plugins are those that volet-rtsp loads by name.
"""
import pathlib
import re
import shutil

import run
import volet_vm as vm

LIBS = vm.GUEST / 'usr/lib/aarch64-linux-gnu'
PLUGINS = LIBS / 'gstreamer-1.0'
READELF, STRIP = 'aarch64-linux-gnu-readelf', 'aarch64-linux-gnu-strip'
# The same on every image, with or without Volet.
SYSTEM = ['ld-linux-aarch64.so.1', 'libc.so.6', 'libm.so.6', 'libgcc_s.so.1', 'libdl.so.2', 'libpthread.so.0']


def needed(path):
    return re.findall(r'\(NEEDED\).*\[(.*)\]', vm.run([READELF, '-d', path]))


def closure(paths, without=None):
    """Every library that these files need: {name: file}; as if `without` were not linked."""
    found, todo = {}, [name for path in paths for name in needed(path)]
    while todo:
        name = todo.pop()
        if name in found or (without and name.startswith(without)):
            continue
        found[name] = (LIBS / name).resolve()
        if not found[name].exists():
            raise vm.Failed(f'{name} is not in {LIBS}')
        todo += needed(found[name])
    return found


def plugins():
    text = (vm.SRC / 'userspace/volet-rtsp/media.c').read_text()
    names = re.findall(r'PLUGIN\("(\w+)"\)', text)
    if not names:
        raise vm.Failed('volet-rtsp/media.c names no plugin where it did')
    return [PLUGINS / f'libgst{name}.so' for name in names]


def stripped(path, *options):
    copy = pathlib.Path('/tmp/size') / path.name
    copy.parent.mkdir(exist_ok=True)
    shutil.copy(path, copy)
    vm.run([STRIP, *options, copy])
    return copy


def kib(paths):
    return sum(pathlib.Path(p).stat().st_size for p in paths) // 1024


def line(what, size, note=''):
    print(f'{what:34} {size:6} KiB  {note}'.rstrip())


def programs_of(out):
    """What is installed: the daemon's programs, sessions' and tools."""
    where = pathlib.Path('/tmp/size-install')
    shutil.rmtree(where, ignore_errors=True)
    vm.run(['meson', 'install', '-C', out, '--no-rebuild', '--quiet', '--destdir', where])
    return sorted(where.glob('usr/libexec/volet/*')) + sorted(where.glob('usr/bin/*'))


def main():
    vm.BUILD.mkdir(exist_ok=True)
    modules, out = run.build()
    drivers = [stripped(m, '-g') for m in modules if m.name == 'gc2053.ko']
    programs = [stripped(p) for p in programs_of(out)]
    loaded = plugins()

    print('\nthe sensor\'s module')
    line('gc2053.ko', kib(drivers))
    print('\nprograms, and what each needs of libraries beyond libc')
    everything = {}
    for program in programs:
        its = closure([program, *(loaded if program.name == 'volet-rtsp' else [])])
        everything |= its
        own = {name: path for name, path in its.items() if name not in SYSTEM}
        line(program.name, kib([program]), f'+ {kib(own.values())} KiB in {len(own)} libraries')
    line('all programs', kib(programs))
    print('\nGStreamer\'s plugins, and no other: a build of it for an image needs these')
    for plugin in loaded:
        line(plugin.name, kib([plugin]))
    print('\nlibraries (as Debian builds them), each counted once')
    for name, path in sorted(everything.items(), key=lambda item: -item[1].stat().st_size):
        if name not in SYSTEM:
            line(name, kib([path]))
    own = [path for name, path in everything.items() if name not in SYSTEM]
    print()
    line('all libraries beyond libc', kib(own))
    line('libc and the compiler\'s', kib(path for name, path in everything.items() if name in SYSTEM))
    line('what Volet adds to an image', kib([*drivers, *programs, *loaded, *own]))
    jpeg = closure([*programs, *loaded], 'libopenh264')
    line('the same with JPEG alone', kib([*drivers, *programs, *loaded, *[
        path for name, path in jpeg.items() if name not in SYSTEM]]))
    return 0


if __name__ == '__main__':
    vm.main(main)

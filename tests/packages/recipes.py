#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""
Buildroot's and Yocto's recipes without Buildroot and Yocto: what their infrastructure makes of a
recipe is written out here (each function says from where), and run on a copy of the tree. With
the argument `fast` only what takes seconds. Run in the build root.
"""
import fnmatch
import os
import pathlib
import re
import shutil
import subprocess
import sys

SRC = pathlib.Path(__file__).resolve().parents[2]
sys.path += [str(SRC / 'tests/e2e'), str(SRC / 'tests/static')]
import tap                                                                      # noqa: E402
from kernel_source import kernel_parts                                          # noqa: E402

WORK = pathlib.Path('/tmp/recipes')
KERNEL = pathlib.Path('/guest/.volet-kernel').read_text().strip()
HEADERS = pathlib.Path(f'/usr/src/linux-headers-{KERNEL}')
COMMON = pathlib.Path(str(HEADERS).replace('-arm64', '-common'))
CROSS = 'aarch64-linux-gnu-'
BUILDROOT = SRC / 'packaging/buildroot'
YOCTO = SRC / 'packaging/yocto/meta-volet'
# As Buildroot's meson-package and kernel-module would leave the recipe's variables alone.
STUB = '''BR2_EXTERNAL_VOLET_PATH := {path}
kernel-module = $(info kernel-module)
generic-package = $(info generic-package)
meson-package = $(info meson-package)
{options}
include {path}/external.mk
$(foreach v,$(filter VOLET_% GC2053_%,$(.VARIABLES)),$(info $v=$(strip $($v))))
all: ;
'''


def run(command, **kwargs):
    done = subprocess.run([str(c) for c in command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          text=True, errors='replace', check=False, **kwargs)
    assert not done.returncode, f'{" ".join(map(str, command))}\n{done.stdout[-3000:]}'
    return done.stdout


def fresh(name):
    path = WORK / name
    shutil.rmtree(path, ignore_errors=True)
    path.mkdir(parents=True)
    return path


def clean_tree(where, *excluded):
    """A copy of the tree without what git ignores."""
    ignored = [line.rstrip('/') for line in (SRC / '.gitignore').read_text().split('\n')
               if line and not line.startswith('#')]
    patterns = ['.git', *ignored, *excluded]
    shutil.copytree(SRC, where, dirs_exist_ok=True, symlinks=True, ignore=lambda _, names: [
        n for n in names if any(fnmatch.fnmatch(n, p) for p in patterns)])
    return where


def buildroot(*options):
    """The variables of the external tree's recipes, by make itself."""
    WORK.mkdir(parents=True, exist_ok=True)
    stub = WORK / 'stub.mk'
    stub.write_text(STUB.format(path=BUILDROOT, options='\n'.join(f'{o} = y' for o in options)))
    out = run(['make', '-s', '-f', stub])
    return dict(re.findall(r'^(\w+)=(.*)$', out, re.M)), out


def yocto(name):
    """A recipe's plain assignments, and its functions' texts."""
    path, = YOCTO.glob(f'recipes-*/{name}/{name}_*.bb')
    text = re.sub(r'\\\n\s*', ' ', path.read_text())
    values = dict(re.findall(r'^([A-Z]\S*?)(?::prepend)?\s*[?:]*=\s*"(.*)"$', text, re.M))
    functions = dict(re.findall(r'^([\w:]+)\(\) \{\n(.*?)^\}', text, re.M | re.S))
    return path, values, functions


def unpacked(name):
    """Its SRC_URI as Yocto unpacks it: nothing else of the tree is there."""
    path, values, functions = yocto(name)
    root = path.parent / values['FILESEXTRAPATHS'].replace('${THISDIR}/', '').rstrip(':')
    assert root.resolve() == SRC, f'{path}: FILESEXTRAPATHS leads to {root.resolve()}'
    source = fresh(f'yocto-{name}')
    for uri in values['SRC_URI'].split():
        part = uri.removeprefix('file://')
        target = source / part
        target.parent.mkdir(parents=True, exist_ok=True)
        (shutil.copytree if (root / part).is_dir() else shutil.copy)(root / part, target)
    file, rest = values['LIC_FILES_CHKSUM'].removeprefix('file://').split(';', 1)
    first = (source / file).read_bytes().split(b'\n')[0] + b'\n'
    md5 = run(['md5sum', '-'], input=first.decode()).split()[0]
    assert rest == f'beginline=1;endline=1;md5={md5}', f'{path}: LIC_FILES_CHKSUM is md5={md5}'
    return source, values, functions


def modules_in(where):
    return sorted(p.name.split('.ko')[0] for p in where.rglob('*.ko*'))


def test_versions():
    """One version in meson, the packages, the recipes"""
    version = re.search(r"version : '(.*)'", (SRC / 'meson.build').read_text())[1]
    found = {'changelog': re.match(r'volet \((.*)\)', (SRC / 'packaging/debian/changelog').read_text())[1]}
    variables, _ = buildroot()
    found |= {name: variables[name] for name in ('VOLET_VERSION', 'GC2053_VERSION')}
    found |= {p.name: p.stem.split('_')[1] for p in YOCTO.glob('recipes-*/*/*.bb')}
    assert set(found.values()) == {version}, f'meson has {version}; {found}'


def test_dependencies():
    """What meson asks for is what the packages and the recipes bring"""
    asked = set()
    for path in [SRC / 'meson.build', *SRC.glob('userspace/**/meson.build')]:
        asked |= set(re.findall(r"dependency\('([^']+)'", path.read_text()))
    # pkg-config's name: Debian's, Buildroot's and Yocto's
    known = {'gio-unix-2.0': ('libglib2.0-dev', 'libglib2', 'glib-2.0'),
             'libcap': ('libcap-dev', 'libcap', 'libcap'),
             'libseccomp': ('libseccomp-dev', 'libseccomp', 'libseccomp'),
             'libcrypto': ('libssl-dev', 'openssl', 'openssl'), 'libssl': ('libssl-dev', 'openssl', 'openssl'),
             'libturbojpeg': ('libturbojpeg0-dev', 'jpeg-turbo', 'libjpeg-turbo'),
             'libv4lconvert': ('libv4l-dev', 'libv4l', 'v4l-utils'),
             'openh264': ('libopenh264-dev', 'libopenh264', 'openh264'),
             'gstreamer-1.0': ('libgstreamer1.0-dev', 'gstreamer1', 'gstreamer1.0'),
             'gstreamer-app-1.0': ('libgstreamer-plugins-base1.0-dev', 'gst1-plugins-base',
                                   'gstreamer1.0-plugins-base'),
             'gstreamer-rtsp-1.0': ('libgstreamer-plugins-base1.0-dev', 'gst1-plugins-base',
                                    'gstreamer1.0-plugins-base'),
             'gstreamer-rtsp-server-1.0': ('libgstrtspserver-1.0-dev', 'gst1-rtsp-server',
                                           'gstreamer1.0-rtsp-server'),
             'libdrm': ('libdrm-dev', 'libdrm', 'libdrm')}
    unknown = asked - set(known)
    assert not unknown, f'packages of these are not known here: {unknown}'
    control = (SRC / 'packaging/debian/control').read_text().partition('Build-Depends:')[2].partition('\nStand')[0]
    variables, _ = buildroot('BR2_PACKAGE_VOLET_OPENH264')
    _, recipe, _ = yocto('volet')
    brought = (re.findall(r'[\w.+-]+', control), variables['VOLET_DEPENDENCIES'].split(),
               recipe['DEPENDS'].split() + recipe['PACKAGECONFIG[openh264]'].split(',')[2:])
    for where, its, column in zip(('debian/control', 'volet.mk', 'volet.bb'), brought, range(3)):
        missing = {known[a][column] for a in asked} - set(its)
        assert not missing, f'{where} does not bring {missing}'


def test_h264_is_a_choice():
    """OpenH264 is off in both recipes, and on when it is chosen"""
    off, on = buildroot()[0], buildroot('BR2_PACKAGE_VOLET_OPENH264')[0]
    assert '-Dopenh264=disabled' in off['VOLET_CONF_OPTS'] and 'openh264' not in off['VOLET_DEPENDENCIES'], off
    assert '-Dopenh264=enabled' in on['VOLET_CONF_OPTS'] and 'libopenh264' in on['VOLET_DEPENDENCIES'], on
    config = (BUILDROOT / 'package/volet/Config.in').read_text()
    option = re.search(r'config BR2_PACKAGE_VOLET_OPENH264\n(.*?)\n\nendif', config, re.S)[1]
    assert 'default' not in option, option
    _, recipe, _ = yocto('volet')
    assert 'openh264' not in recipe['PACKAGECONFIG'], recipe['PACKAGECONFIG']


def buildroot_module(excluded):
    """
    package/pkg-kernel-module.mk and linux/linux.mk of Buildroot 2026.08: copy by rsync with the
    recipe's exclusions, `make modules`, `make modules_install`. LINUX_DIR is Debian's headers.
    """
    source, target = fresh('buildroot-gc2053'), fresh('buildroot-target')
    clean_tree_of = SRC / 'driver'
    shutil.copytree(clean_tree_of, source, dirs_exist_ok=True,
                    ignore=lambda _, names: [n for n in names if n in excluded])
    for goal in ('modules', 'modules_install'):
        run(['make', '-C', HEADERS, 'HOSTCC=gcc -O2', 'ARCH=arm64', 'KCFLAGS=', f'INSTALL_MOD_PATH={target}',
             f'CROSS_COMPILE={CROSS}', 'WERROR=0', 'REGENERATE_PARSERS=1', 'DEPMOD=true', f'PWD={source}/.',
             f'M={source}/.', goal])
    return modules_in(target)


def test_buildroot_module():
    """Buildroot's lines build and install the sensor's driver, and without the recipe's exclusion also the virtual board"""
    variables, out = buildroot()
    assert out.split().count('kernel-module') == 1 and 'generic-package' in out and 'meson-package' in out, out
    assert variables['GC2053_SITE'] == f'{BUILDROOT}/../../driver', variables['GC2053_SITE']
    excluded = re.findall(r'--exclude (\S+)', variables['GC2053_OVERRIDE_SRCDIR_RSYNC_EXCLUSIONS'])
    assert excluded == ['camsim'], excluded
    assert buildroot_module(excluded) == ['gc2053']
    if 'fast' not in sys.argv:
        assert buildroot_module([]) == ['camsim', 'gc2053']


def plain_modules(*options):
    tree, image = clean_tree(fresh('plain')), fresh('plain-image')
    for goal in ('modules', 'modules_install'):
        run(['make', goal, f'KDIR={HEADERS}', 'ARCH=arm64', f'CROSS_COMPILE={CROSS}',
             f'INSTALL_MOD_PATH={image}', 'DEPMOD=true', *options], cwd=tree)
    return modules_in(image)


def test_plain_modules():
    """`make modules_install` puts the sensor's driver into an image, and the virtual board only when it is asked for"""
    assert plain_modules() == ['gc2053']
    if 'fast' not in sys.argv:
        assert plain_modules('CAMSIM=y') == ['camsim', 'gc2053']


def test_yocto_module():
    """Yocto's lines build and install the sensor's driver alone"""
    # meta/classes-recipe/module.bbclass, module-base.bbclass and kernel-arch.bbclass of OE-core (blacksail)
    source, values, functions = unpacked('gc2053')
    run(['sh', '-euc', functions['do_configure:prepend'].replace('${S}', str(source))])
    image = fresh('yocto-image')
    env = {**os.environ, 'ARCH': 'arm64', 'OS': 'linux', 'CROSS_COMPILE': CROSS, 'KBUILD_OUTPUT': str(HEADERS),
           'KERNEL_VERSION': KERNEL, 'LOCALVERSION': ''}
    tools = [f'CC={CROSS}gcc -fuse-ld=bfd', f'LD={CROSS}ld.bfd', f'OBJCOPY={CROSS}objcopy', f'STRIP={CROSS}strip']
    always = ['make', '-j', '2', f'KERNEL_SRC={COMMON}']
    run(['make', 'clean'], cwd=source, env=env)
    run([*always, f'KERNEL_PATH={COMMON}', f'KERNEL_VERSION={KERNEL}', *tools[:2], f'AR={CROSS}ar', *tools[2:],
         f'O={HEADERS}', 'KBUILD_EXTRA_SYMBOLS=', *values['MAKE_TARGETS'].split()], cwd=source, env=env)
    run([*always, 'DEPMOD=echo', f'MODLIB={image}/usr/lib/modules/{KERNEL}', f'INSTALL_FW_PATH={image}/usr/lib/firmware',
         *tools, f'O={HEADERS}', 'KBUILD_EXTRA_SYMBOLS=', 'modules_install'], cwd=source, env=env)
    assert modules_in(image) == ['gc2053'], modules_in(image)
    assert (source / 'Module.symvers').exists(), 'the class looks for Module.symvers in ${B}'


def meson_build(source, name, *options):
    """What both infrastructures run: meson with a cross file, ninja, install into a directory."""
    out, image = fresh(f'{name}-build'), fresh(f'{name}-image')
    run(['meson', 'setup', '--prefix=/usr', '--libdir=lib', '--libexecdir=/usr/libexec', '--wrap-mode=nodownload',
         f'--cross-file={SRC}/tests/vm/arm64.cross', *options, source, out])
    run(['ninja', '-C', out])
    run(['meson', 'install', '-C', out, '--no-rebuild'], env={**os.environ, 'DESTDIR': str(image)})
    found = {str(p.relative_to(image)) for p in image.rglob('*') if p.is_file()}
    for wanted in ('usr/libexec/volet/voletd', 'usr/libexec/volet/volet-rtsp', 'usr/bin/voletctl',
                   'usr/lib/systemd/system/voletd.service', 'usr/lib/udev/rules.d/70-volet.rules'):
        assert wanted in found, f'{wanted} is not among {found}'
    assert not [f for f in found if 'test' in f or 'evil' in f], found
    cam = run([f'{CROSS}readelf', '-d', image / 'usr/libexec/volet/volet-cam'])
    assert 'openh264' not in cam, cam
    return found


def test_buildroot_meson():
    """Buildroot's meson lines build and install the streamer, without OpenH264"""
    variables, _ = buildroot('BR2_INIT_SYSTEMD')
    tree = clean_tree(fresh('buildroot-volet'))
    files = meson_build(tree, 'buildroot', '--buildtype=release', '-Db_pie=false', '-Dstrip=false',
                        *variables['VOLET_CONF_OPTS'].split())
    return [f'{len(files)} files']


def test_yocto_meson():
    """Yocto's meson lines build and install the streamer from its SRC_URI alone, without OpenH264"""
    source, values, _ = unpacked('volet')
    chosen = [values['PACKAGECONFIG[systemd]'].split(',')[0], values['PACKAGECONFIG[openh264]'].split(',')[1]]
    files = meson_build(source, 'yocto', '--buildtype=plain', *values['EXTRA_OEMESON'].split(), *chosen)
    return [f'{len(files)} files']


def test_rkisp1_patch():
    """The patch for rkisp1 applies to Debian's kernel source and compiles"""
    tree = fresh('rkisp1')
    name = 'drivers/media/platform/rockchip/rkisp1'
    shutil.copytree(kernel_parts() / name, tree / name)
    run(['patch', '-p1', '--fuzz=0', '-d', tree, '-i', SRC / 'packaging/kernel/rkisp1-link-frequency.patch'])
    run(['make', '-C', HEADERS, f'M={tree / name}', 'ARCH=arm64', f'CROSS_COMPILE={CROSS}',
         'CONFIG_VIDEO_ROCKCHIP_ISP1=m', 'KCFLAGS=-Werror', 'modules'])
    used = run([f'{CROSS}nm', tree / name / 'rockchip-isp1.ko'])
    assert 'U v4l2_get_link_freq' in used, used


FAST = [test_versions, test_dependencies, test_h264_is_a_choice, test_plain_modules, test_buildroot_module,
        test_yocto_module]
LONG = [test_buildroot_meson, test_yocto_meson, test_rkisp1_patch]

if __name__ == '__main__':
    sys.exit(tap.run(FAST if 'fast' in sys.argv else FAST + LONG))

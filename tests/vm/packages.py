# SPDX-License-Identifier: MIT
"""`make check-packages`: the Debian packages in a fresh machine, and the recipes of image builders at length."""
import sys

import check
import volet_vm as vm


def main():
    tally = check.Tally()
    vm.BUILD.mkdir(exist_ok=True)
    vm.say('building natively, for the tag reader')
    vm.meson('native')
    vm.say('Debian packages: contents, installed, run, removed')
    tally.program('debian', [sys.executable, '-B', '/src/tests/packages/debian.py'])
    vm.say('Debian packages of arm64 on the virtual board, under systemd')
    tally.program('systemd', [sys.executable, '-B', '/src/tests/packages/systemd.py', *sys.argv[1:]], timeout=7200)
    vm.say('Buildroot, Yocto, the kernel patch')
    tally.program('recipes', [sys.executable, '-B', '/src/tests/packages/recipes.py'])
    return tally.last_line()


if __name__ == '__main__':
    vm.main(main)

# SPDX-License-Identifier: MIT
"""
`make check-packages`: the Debian packages in a fresh machine, and the recipes of image builders at length;
with the argument "systemd" those packages under a running systemd (tests/packages/systemd.py), with a
directory of the cache after it on the virtual board.
"""
import sys

import check
import volet_vm as vm


def main():
    tally = check.Tally()
    vm.BUILD.mkdir(exist_ok=True)
    vm.say('building natively, for the tag reader')
    vm.meson('native')
    if sys.argv[1:2] == ['systemd']:
        vm.say('Debian packages under systemd: started, watched, reloaded, killed, upgraded, removed')
        tally.program('systemd', [sys.executable, '-B', '/src/tests/packages/systemd.py', *sys.argv[2:]], 7200)
    else:
        vm.say('Debian packages: contents, installed, run, removed')
        tally.program('debian', [sys.executable, '-B', '/src/tests/packages/debian.py'])
        vm.say('Buildroot, Yocto, the kernel patch')
        tally.program('recipes', [sys.executable, '-B', '/src/tests/packages/recipes.py'])
    return tally.last_line()


if __name__ == '__main__':
    vm.main(main)

# SPDX-License-Identifier: MIT
"""
`make soak`: the attacks of `make check` at their full length, on this machine and on the board.
"""
import sys

import os

import check
import run
import volet_vm as vm

JOB = '''#!/bin/sh
mkdir -p /host/results
/volet/start-board 2 || exit 1
/volet/play-scenes 2
export SOAK=1
for attack in attack_session attack_frames board_crowd; do
	echo "volet: $attack"
	timeout 7200 python3 /volet/e2e/$attack.py >/host/results/$attack 2>&1
	echo $? >/host/results/$attack.status
done
dmesg >/host/results/dmesg.log
'''


def main():
    tally = check.Tally()
    vm.BUILD.mkdir(exist_ok=True)
    vm.meson('native')
    check.attacks(tally, {}, dict(os.environ, SOAK='1'))
    modules, programs = run.build()
    faulty = [vm.build_arm64(fault, f'-Dfault={fault}') for fault in ('cross', 'unchecked', 'loose')]
    extra = [('/volet/e2e', '/src/tests/e2e'),
             *[(f'/usr/libexec/volet-tests/{p.name}', p) for p in check.board_tests(programs)]]
    project = vm.project_image(modules, [programs, *faulty], extra)
    vm.say('the board, two cameras: attacks, at length')
    check.guest_part(tally, project, JOB, 6 * 3600)
    print(f'{tally.passed} passed, {tally.failed} failed, {tally.skipped} skipped', flush=True)
    return 1 if tally.failed or not tally.passed else 0


if __name__ == '__main__':
    vm.main(main)

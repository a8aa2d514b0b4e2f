# SPDX-License-Identifier: MIT
"""
`make soak`: the attacks of `make check` at their full length: more rounds of each, longer holds; on this
machine and on the board.
"""
import os
import sys

import check
import run
import volet_vm as vm

JOB = '''#!/bin/sh
mkdir -p /host/results
/volet/start-board 2 || exit 1
/volet/play-scenes 2
export SOAK=1
for attack in attack_session attack_frames attack_residue attack_secrets board_crowd; do
	echo "volet: $attack"
	timeout 7200 python3 /volet/e2e/$attack.py >/host/results/$attack 2>&1
	echo $? >/host/results/$attack.status
done
dmesg >/host/results/dmesg.log
'''


def main():
    tally = check.Tally()
    vm.BUILD.mkdir(exist_ok=True)
    check.build_native()
    check.attacks(tally, {}, dict(os.environ, SOAK='1'))
    for part in 'freshness', 'slow':
        vm.say(f'the streamer on this machine, at length: {part}')
        tally.program(part, [sys.executable, '-B', f'/src/tests/e2e/{part}.py'], env=dict(os.environ, SOAK='1'))
    modules, programs = run.build()
    extra = [('/volet/e2e', '/src/tests/e2e'),
             *[(f'/usr/libexec/volet-tests/{p.name}', p) for p in check.board_tests(programs)]]
    project = vm.project_image(modules, programs, extra, vm.build_faults())
    vm.say('the board, two cameras: attacks, at length')
    check.guest_part(tally, 'the board', project, JOB, 6 * 3600)
    return tally.last_line()


if __name__ == '__main__':
    vm.main(main)

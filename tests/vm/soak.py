# SPDX-License-Identifier: MIT
"""
`make soak`: the attacks of `make check` at their full length: more rounds of each, longer holds; on this
machine and on the board. The crowd comes first and alone, it takes all of two processors; the rest of
this machine's and the board run side by side.
"""
import concurrent.futures
import os
import sys

import check
import run
import volet_vm as vm

JOB = check.JOB + check.STREET + '''export SOAK=1 LIMIT=7200
for attack in attack_session attack_frames attack_residue attack_secrets board_crowd; do
	tap $attack python3 /volet/e2e/$attack.py
done
''' + check.LOG
ENVIRONMENT = dict(os.environ, SOAK='1')


def here(tally):
    check.attacks(tally, {part: [] for part in check.ATTACKS if part != 'crowd'}, ENVIRONMENT)
    for part in 'freshness', 'slow':
        vm.say(f'the streamer on this machine, at length: {part}')
        tally.program(part, [sys.executable, '-B', f'/src/tests/e2e/{part}.py'], 3600, env=ENVIRONMENT)


def board(tally, project):
    vm.say('the board, two cameras and two displays: attacks, at length')
    check.guest_part(tally, 'the board', project, JOB, 6 * 3600, displays=check.DISPLAYS)


def main():
    tally = check.Tally()
    vm.BUILD.mkdir(exist_ok=True)
    check.build_native()
    modules, programs = run.build()
    extra = [('/volet/e2e', '/src/tests/e2e'),
             *[(f'/usr/libexec/volet-tests/{p.name}', p) for p in check.board_tests(programs)]]
    project = vm.project_image(modules, programs, extra, vm.build_faults())
    check.attacks(tally, {'crowd': []}, ENVIRONMENT)
    pool = concurrent.futures.ThreadPoolExecutor()
    check.finish([pool.submit(here, tally), pool.submit(board, tally, project)])
    return tally.last_line()


if __name__ == '__main__':
    vm.main(main)

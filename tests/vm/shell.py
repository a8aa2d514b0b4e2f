# SPDX-License-Identifier: MIT
"""`make vm`: a shell on the board, with its drivers loaded and the tests in /volet."""
import argparse
import pathlib

import run
import volet_vm as vm

JOB = '''#!/bin/sh
/volet/start-board {cameras}
echo 'This is the board. /volet/play-scenes N plays footage, `exit` ends it, Ctrl-A X kills it.'
exec bash -i
'''


def main():
    args = argparse.ArgumentParser(prog='make vm')
    args.add_argument('--cameras', type=int, default=1, choices=sorted(run.FPS), help='CAMERAS=')
    args = args.parse_args()
    vm.BUILD.mkdir(exist_ok=True)
    modules, programs = run.build()
    project = vm.project_image(modules, programs,
                               [('/volet/selftests', vm.build_selftests())])
    share = pathlib.Path('/tmp/share')
    share.mkdir()
    (share / 'interactive').touch()
    (share / 'job').write_text(JOB.format(cameras=args.cameras))
    (share / 'job').chmod(0o755)
    with vm.Board(project, share, args.cameras, interactive=True) as board:
        board.qemu.wait()
    return 0


if __name__ == '__main__':
    vm.main(main)

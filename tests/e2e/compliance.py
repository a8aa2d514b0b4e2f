#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""
v4l2-compliance on the board: the whole graph through its media device, and each video node on
its own with streaming and with memory of another node (MMAP and DMABUF). The number of tests
is pinned, because the program leaves out in silence what it can't reach; so is each warning. A
machine that is too slow loses frames, which camsim says in their numbers and the program warns of:
that warning alone isn't counted.

The reports are left in /host.
"""
import os
import pathlib
import re
import subprocess
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import tap                                                                      # noqa: E402

VERSION = '1.30'
LOST = 'got sequence number'


def media(camera):
    for path in pathlib.Path('/dev').glob('media*'):
        said = subprocess.run(['media-ctl', '-d', path, '-p'], capture_output=True, text=True, check=False).stdout
        if f'platform:camsim-{camera}' in said:
            return path
    raise AssertionError(f'no media device of camera {camera}')


def node(camera, name):
    return subprocess.run(['media-ctl', '-d', f'platform:camsim-{camera}', '-e', name], capture_output=True,
                          text=True, check=True).stdout.strip()


def options(camera, what):
    """The program's options for the whole graph of a camera, or for one of its nodes."""
    if what == 'graph':
        return ['-m', media(camera)]
    other = ['-e', node(1 - camera, f'camsim{1 - camera}-raw')]
    return ['-d', node(camera, f'camsim{camera}-{what}'), '-s3', *other]


def check(what, tests, warnings, camera=0):
    """v4l2-compliance does so many tests, none fails, and these are all of its warnings."""
    command = ['v4l2-compliance', '-P', *options(camera, what)]
    done = subprocess.run([str(c) for c in command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          errors='replace', timeout=300, check=False)
    with open(f'/host/compliance-{camera}-{what}.log', 'w', encoding='utf-8') as log:
        log.write(done.stdout)
    lines = done.stdout.splitlines()
    assert VERSION in lines[0], lines[0]
    warned = [re.sub(r'.*\.cpp\(\d+\): ', '', line).strip() for line in lines if re.search(r'^\s*warn: ', line)]
    unexpected = [line for line in warned if LOST not in line]
    assert sorted(unexpected) == sorted(warnings), unexpected
    total = re.findall(r'^(?:Grand )?Total for .*?: (\d+), Succeeded: (\d+), Failed: (\d+), Warnings: (\d+)$',
                       done.stdout, re.M)
    assert total, lines[-5:]
    count, succeeded, failed, _ = map(int, total[-1])
    assert (count, succeeded, failed) == (tests, tests, 0), '\n'.join(lines)
    assert done.returncode == 0, done.returncode
    return [lines[-1], f'{len(warned) - len(unexpected)} warnings of lost frames']


def test_graph():
    """the whole graph, through its media device"""
    # A sensor of one mode has rectangles to read and none to set, in both states.
    selection = 'VIDIOC_SUBDEV_G_SELECTION is supported for target 0 but not VIDIOC_SUBDEV_S_SELECTION'
    return check('graph', 336, [selection, selection])


def test_imx219():
    """the graph of the third camera, whose sensor is mainline's imx219"""
    subprocess.run(['/volet/start-imx219'], check=True, timeout=60)
    selection = 'VIDIOC_SUBDEV_G_SELECTION is supported for target 0 but not VIDIOC_SUBDEV_S_SELECTION'
    return check('graph', 336, [selection, selection], camera=2)


def test_raw():
    """the raw node streams, into its own memory and another node's"""
    return check('raw', 60, [])


def test_nv12():
    """the NV12 node streams, into its own memory and another node's"""
    return check('nv12', 60, [])


def test_scene():
    """the scene's node streams, out of its own memory and another node's"""
    return check('scene', 60, [])


def main():
    subprocess.run(['/volet/start-board', '2'], check=True, timeout=60)
    tests = [test_graph, test_imx219, test_raw, test_nv12, test_scene]
    names = sys.argv[1:]
    failures = tap.run([test for test in tests if not names or test.__name__ in names])
    subprocess.run(['/volet/stop-board'], check=True, timeout=60)
    return 1 if failures else 0


if __name__ == '__main__':
    sys.exit(main())

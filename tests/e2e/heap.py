#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""
volet-cam with a receiver that takes contiguous memory alone, on a kernel with a DMA-heap of such:
it captures into memory of its own all the same. First what happens where it may not open the heap.
The debug board runs this; Debian's kernel has no DMA-heaps.
"""
import os
import pathlib
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import cam                                                                      # noqa: E402
import tap                                                                      # noqa: E402

HEAP_MEMORY = 4         # userspace/common/protocol.h
DEVICE = pathlib.Path('/dev/dma_heap/reserved')
LOG = pathlib.Path('/run/cam.log')
SIZE = 1920 * 1080 * 3 // 2
# Seconds that are waited for what comes; a kernel that checks everything makes a frame in seconds.
PATIENCE = 300


def frame(camera, viewer, more):
    """So many more frames of the sensor, the newest of which is then the newest picture."""
    wanted = len(viewer.frames) + more
    camera.run(PATIENCE, lambda: len(viewer.frames) >= wanted)
    assert len(viewer.frames) >= wanted, f'{len(viewer.frames)} frames, {len(viewer.generated)} pictures of no signal'
    return viewer.tag()


def streams():
    """Frames of the scene; gives memory, the log, and what a second opener of the node sees."""
    LOG.unlink(missing_ok=True)
    with cam.Camera() as camera:
        viewer = camera.started().grant()
        viewer.say(cam.START)
        tags = [frame(camera, viewer, 8), frame(camera, viewer, 2)]
        opened = cam.opener()
        names = open_files(camera.pid)
        camera.run(PATIENCE, lambda: camera.stats and camera.stats['memory'])
        assert {tag[0] for tag in tags} == {0}, tags
        assert tags[1][1] > tags[0][1], f'the scene stands still: {tags}'
        return camera.stats['memory'], LOG.read_text(), opened, names


def open_files(pid):
    names = []
    for fd in os.listdir(f'/proc/{pid}/fd'):
        try:
            names.append(os.readlink(f'/proc/{pid}/fd/{fd}'))
        except FileNotFoundError:
            pass
    return names


def heap_is_closed():
    """Without the heap: the node's own buffers, said to be WEAKER, and the second opener watches"""
    DEVICE.chmod(0)
    try:
        memory, log, opened, _ = streams()
    finally:
        DEVICE.chmod(0o660)
    assert memory == cam.MMAP and 'WEAKER' in log and 'no DMA-heap' in log, (memory, log)
    assert opened[0] == 0, opened
    return [f'the second opener: {opened[1]}']


def heap_is_used():
    """With it: own contiguous memory, the right pixels, and the second opener maps nothing"""
    memory, log, opened, names = streams()
    assert memory == HEAP_MEMORY and 'WEAKER' not in log, (memory, log)
    assert opened[0] == 1 and opened[1][0].startswith('mapped 0 of 4'), opened
    heaps = [name for name in names if name.startswith('/dev/dma_heap')]
    assert heaps == [str(DEVICE)], f'open heaps: {heaps}'
    return [f'the second opener: {opened[1]}']


def system_heap_is_left_alone():
    """The heap of scattered pages is not opened, though it may be"""
    other = pathlib.Path('/dev/dma_heap/system')
    if not other.exists():
        raise tap.Skip('no system heap')
    other.chmod(0o666)
    DEVICE.chmod(0)
    try:
        memory, _, _, names = streams()
    finally:
        DEVICE.chmod(0o660)
        other.chmod(0o600)
    assert memory == cam.MMAP and not [name for name in names if 'dma_heap' in name], (memory, names)


def taken_from_the_heap():
    """The sizes of its buffers. (CmaFree doesn't tell: page cache that is there moves out of their way.)"""
    lines = pathlib.Path('/sys/kernel/debug/dma_buf/bufinfo').read_text(encoding='ascii').splitlines()
    fields = [line.split('\t') for line in lines]
    return [int(f[0]) for f in fields if len(f) > 5 and f[4] == DEVICE.name]


def it_is_given_back():
    """A stream's end gives its memory back to the heap"""
    assert not taken_from_the_heap(), 'the streams before have left nothing'
    with cam.Camera() as camera:
        viewer = camera.started().grant()
        viewer.say(cam.START)
        frame(camera, viewer, 3)
        during = taken_from_the_heap()
        viewer.say(cam.STOP)
        camera.run(PATIENCE, lambda: camera.stats and not camera.stats['streaming'] and not taken_from_the_heap())
        after = taken_from_the_heap()
    assert len(during) >= 4 and min(during) >= SIZE, f'{during} bytes were taken'
    assert not after, f'{after} bytes were not given back'
    return [f'{len(during)} buffers of {during[0]} bytes taken, and all given back']


def main():
    cam.load('dma-contig')
    failures = tap.run([heap_is_closed, heap_is_used, system_heap_is_left_alone, it_is_given_back])
    cam.unload()
    return 1 if failures else 0


if __name__ == '__main__':
    sys.exit(main())

# SPDX-License-Identifier: MIT
"""
`make check-debug`: the board with a kernel that looks after its memory, its locks and what may
sleep, and that makes allocations fail on request. The kernel is built from the build root's copy of
its source, once for each version and each debug.config, and kept in the cache. First a board shows
that each of those detectors finds a driver's bug; then one runs what is named below, and any complaint
of its kernel is a failure. Ends as `make check` does.
"""
import hashlib
import os
import pathlib
import re
import shutil
import subprocess
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / 'vm'))
import check                                                                    # noqa: E402
import run                                                                      # noqa: E402
import seeded                                                                   # noqa: E402
import volet_vm as vm                                                           # noqa: E402

OUT = vm.BUILD / 'debug'
# About as many as it compiles, for whoever waits.
FILES = 1500
COVERAGE = 90
CYCLES = os.environ.get('CYCLES', '1000')
SECONDS = os.environ.get('SECONDS', '120')
KERNEL_OPTIONS = 'kasan_multi_shot kmemleak=on log_buf_len=16M'

PREPARE = check.JOB + """. /volet/debug/watch
export SETTLE_MS=5000
[ "$0" = /tmp/job ] || { cp /host/job /tmp/job; exec /tmp/job; }
/volet/start-board 2 || exit 1
echo clear >$kmemleak
"""
PARTS = {
    # What the kernel said is taken before it has something to say.
    'detectors': "dmesg >/host/results/dmesg.log\nLIMIT=1100 tap detectors /volet/debug/find_mutants\n",
    'selftests': """/volet/stop-board && /volet/start-board 2 vmalloc faults=1 || exit 1
for test in $(grep -Ev 'mutants|imx219' /volet/selftests/kselftest-list.txt | tr : /); do
	watched "selftest-$(echo $test | tr / -)" /volet/selftests/$test
done
watched selftest-gc2053-sleep /volet/selftests/gc2053/sleep
/volet/stop-board && /volet/start-board 2 || exit 1
leaks selftest-leaks
""",
    'buffers': """watched buffers-vmalloc /volet/selftests/debug/buffers
/volet/stop-board && /volet/start-board 2 dma-contig || exit 1
watched buffers-dma-contig /volet/selftests/debug/buffers
/volet/stop-board && /volet/start-board 2 || exit 1
leaks buffers-leaks
""",
    'order': """watched order /volet/selftests/debug/order
leaks order-leaks
""",
    'ioctls': """export SECONDS=%s
watched ioctls /volet/selftests/debug/ioctls
leaks ioctls-leaks
""" % SECONDS,
    'cycles': """export CYCLES=%s
LIMIT=1800 watched cycles /volet/selftests/debug/cycles
leaks cycles-leaks
""" % CYCLES,
    'heap': """/volet/stop-board
watched heap python3 /volet/e2e/heap.py
/volet/start-board 2 || exit 1
leaks heap-leaks
""",
    # The longest: what is taken down waits up to a second for the last reference, some hundred times.
    'fail': """LIMIT=4800 watched fail-nth /volet/selftests/debug/fail_nth
leaks fail-nth-leaks
""",
    # Mainline's driver frees its state too early when it goes, and lockdep is off after a report of
    # KASAN's (`detectors` has both): so this is last, and that sensor stays where it is.
    'imx219': """/volet/start-imx219
for test in $(grep '^imx219:' /volet/selftests/kselftest-list.txt | tr : /); do
	watched "selftest-$(echo $test | tr / -)" /volet/selftests/$test
done
leaks imx219-leaks
""",
}
FINISH = """mkdir /host/results/gcov
for data in $(cd /sys/kernel/debug/gcov && find . -name '*.gcda'); do
	cat /sys/kernel/debug/gcov/$data >/host/results/gcov/${data##*/}
done
dmesg | explained >/host/results/dmesg.log
"""


# ---- the kernel -----------------------------------------------------------------------------

def kernel():
    """Of the cache, or made; says how large it is and how long it took."""
    source = subprocess.run(['dpkg-query', '-W', 'linux-source-6.12', 'gcc-aarch64-linux-gnu'],
                            capture_output=True, check=True).stdout
    parts = [source] + [(HERE / name).read_bytes() for name in ('make-kernel', 'debug.config')]
    path = vm.CACHE / f'debug-{hashlib.sha256(b"".join(parts)).hexdigest()[:12]}'
    if not (path / 'seconds').exists():
        shutil.rmtree(path, ignore_errors=True)
        path.mkdir()
        seconds = make_kernel(path)
        (path / 'seconds').write_text(str(seconds))
    size = int(subprocess.run(['du', '-sm', path], capture_output=True, check=True).stdout.split()[0])
    seconds = int((path / 'seconds').read_text())
    vm.say(f'the debug kernel: {(path / "release").read_text().strip()}, Image of '
           f'{(path / "Image").stat().st_size >> 20} MB, {size} MB in the cache, built in {seconds // 60} min '
           f'{seconds % 60} s')
    return vm.Kernel(path)


def make_kernel(path):
    vm.say('building the debug kernel (once; 10 to 25 minutes on two processors)')
    start = said = time.monotonic()
    done, lines = 0, []
    with subprocess.Popen([HERE / 'make-kernel', path], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          text=True, errors='replace') as make:
        for line in make.stdout:
            lines = [*lines[-40:], line]
            done += bool(re.match(r'  (CC|AS|LD)\b', line))
            if time.monotonic() - said > 30:
                said = time.monotonic()
                vm.say(f'the debug kernel: {done} files of about {FILES}')
    if make.returncode:
        raise vm.Failed('the debug kernel was not built:\n' + ''.join(lines))
    return round(time.monotonic() - start)


# ---- what is built for it -------------------------------------------------------------------

def build_modules(kernel, name, *options):
    tree = OUT / name
    vm.run(['make', '-C', kernel.path / 'source', f'O={kernel.path}/build', f'M={tree}', 'ARCH=arm64',
            'CROSS_COMPILE=aarch64-linux-gnu-', *options, 'modules'],
           log=OUT / f'{name}.log')
    return sorted(tree.rglob('*.ko'))


def build_drivers(kernel):
    """Ours, counting which lines are run. What did not change is not built again."""
    tree = OUT / 'modules'
    for path in [vm.SRC / 'Kbuild', *(vm.SRC / 'driver').rglob('Kbuild'), *(vm.SRC / 'driver').rglob('*.[ch]')]:
        copy = tree / path.relative_to(vm.SRC)
        if path.name.endswith('.mod.c') or (copy.exists() and copy.read_bytes() == path.read_bytes()):
            continue
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, copy)
    return build_modules(kernel, 'modules', 'GCOV_PROFILE=y', 'KCFLAGS=-Werror')


def build_guest(kernel, with_mutants):
    """What the board's job uses: its scripts, and the drivers with bugs."""
    tree, folder = OUT / 'mutants', OUT / 'guest'
    for path in tree, folder:
        shutil.rmtree(path, ignore_errors=True)
        path.mkdir(parents=True)
    for script in (HERE / 'guest').glob('*'):
        shutil.copy(script, folder)
    if with_mutants:
        seeded.write(vm.SRC / 'driver', tree)
        for ko in build_modules(kernel, 'mutants'):
            shutil.copy(ko, folder)
        (folder / 'list').write_text(seeded.table())
    return folder


def build_selftests(kernel):
    """
    With the module that one of them needs, but not the mutants of `make check`. The kernel's harness
    gives a test 30 seconds; this kernel takes several times as long for everything.
    """
    out, harness = OUT / 'selftests', OUT / 'ksrc/tools/testing/selftests'
    for path in out, harness:
        path.mkdir(parents=True, exist_ok=True)
    for name in 'kselftest.h', 'kselftest_harness.h':
        text = pathlib.Path('/usr/src/linux/tools/testing/selftests', name).read_text()
        (harness / name).write_text(re.sub(r'(define TEST_TIMEOUT_DEFAULT) 30\b', r'\1 180', text))
    vm.run(['make', '-C', vm.SRC / 'tests/selftests', f'KSRC={OUT}/ksrc', 'SYSROOT=/guest', 'ARCH=arm64',
            'CROSS_COMPILE=aarch64-linux-gnu-', f'KDIR={kernel.path}/build', f'OUTPUT={out}',
            'COLLECTIONS=camsim gc2053 imx219 debug'], log=OUT / 'selftests.log')
    return out


# ---- what it says ---------------------------------------------------------------------------

def coverage(tally, results):
    """How much of the driver ran, by the kernel's own count; where it did not is in build/debug."""
    part, name = OUT / 'gcov', 'gc2053.c'
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir()
    data = results / 'gcov/gc2053.gcda'
    if not data.exists():
        tally.fail('coverage: the kernel kept no count of the lines of gc2053.c')
        return
    shutil.copy(data, part)
    shutil.copy(OUT / 'modules/driver/gc2053.gcno', part)
    said = vm.run(['aarch64-linux-gnu-gcov', 'gc2053.gcda'], cwd=part)
    found = re.search(rf"File '[^']*/{name}'\nLines executed:([\d.]+)% of (\d+)", said)
    lines = (part / f'{name}.gcov').read_text().splitlines()
    for line in lines:
        if line.startswith('    #####:'):
            print('    not run: ' + line[10:])
    if found and float(found[1]) >= COVERAGE:
        tally.passed += 1
        print(f'ok - coverage: {found[1]} % of the {found[2]} lines of {name} ran')
    else:
        tally.fail(f'coverage: at least {COVERAGE} % of the lines of {name} run', said)


def board(tally, kernel, project, job, limit):
    """As check.guest_part(); its results are in build/debug/results for later."""
    shutil.rmtree(OUT / 'results', ignore_errors=True)
    check.guest_part(tally, 'debug board', project, job, limit, KERNEL_OPTIONS, overlays=[check.THIRD_CAMERA],
                     kernel=kernel, keep=OUT / 'results')
    return OUT / 'results'


def main():
    tally, wanted = check.Tally(), sys.argv[1:] or [*PARTS]
    for part in wanted:
        if part not in PARTS:
            raise vm.Failed(f'ONLY: there is no part "{part}"; there are: {" ".join(PARTS)}')
    OUT.mkdir(parents=True, exist_ok=True)
    debug = kernel()
    start = time.monotonic()
    vm.say('building for it: drivers, drivers with bugs, selftests, programs')
    drivers = build_drivers(debug)
    extra = [('/volet/selftests', build_selftests(debug)), ('/volet/debug', build_guest(debug, 'detectors' in wanted)),
             ('/volet/e2e', '/src/tests/e2e')]
    programs = vm.build_arm64()
    extra += [(f'/usr/libexec/volet-tests/{p.name}', p) for p in check.board_tests(programs)]
    project = vm.project_image(drivers, programs, extra, name='debug-project', kernel=debug)
    if 'detectors' in wanted:
        vm.say('a board whose drivers have bugs: each has to be found')
        board(tally, debug, project, PREPARE + PARTS['detectors'], 1200)
    rest = [part for part in PARTS if part in wanted and part != 'detectors']
    if rest:
        vm.say(f'the board, two cameras: {" ".join(rest)}')
        results = board(tally, debug, project, PREPARE + ''.join(PARTS[part] for part in rest) + FINISH, 9000)
        if len(rest) == len(PARTS) - 1:
            coverage(tally, results)
    vm.say(f'done, in {(time.monotonic() - start) / 60:.1f} minutes without the kernel')
    return tally.last_line()


if __name__ == '__main__':
    vm.main(main)

# SPDX-License-Identifier: MIT
"""
`make check`: every test. Each part prints TAP; this program counts the results, shows what failed,
and ends with the one line 'N passed, N failed, N skipped'. A part that stops before its plan is done
counts as failed; the whole output of each part is in build/check.

The tests wait more than they compute, so three lanes run side by side: the parts on this machine,
one after the other in the order in which a fault is cheapest to see, and two boards.
"""
import concurrent.futures
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import threading

import run
import volet_vm as vm

VIEWERS = {'alice': 'a-word-of-alice', 'bob': 'a-word-of-bob'}      # as tests/e2e/streamer.py has them


class Tally:
    """Results so far. Its functions may be called from every lane."""

    def __init__(self):
        self.passed = self.skipped = 0
        self.failures = []                      # each one's name and what was said around it
        self.lock = threading.RLock()           # the results of one part stay together
        self.outputs = vm.BUILD / 'check'
        shutil.rmtree(self.outputs, ignore_errors=True)
        self.outputs.mkdir(parents=True)

    def fail(self, name, text=''):
        with self.lock:
            lines = [f'    {line}' for line in text.splitlines()[-60:]]
            self.failures.append([f'not ok - {name}', *lines[:20]])
            print(f'not ok - {name}', *lines, sep='\n', flush=True)

    def tap(self, part, text, status=0):
        """Count the top-level results of one TAP stream."""
        (self.outputs / re.sub(r'[^\w.-]+', '-', part)).write_text(text)
        with self.lock:
            self.count(part, text, status)

    def count(self, part, text, status):
        plan, seen, notes, failed = None, 0, [], None
        for line in text.splitlines():
            found = re.match(r'(not ok|ok)\b(?: (\d+))?(?: -)? ?(.*)', line)
            planned = re.match(r'1\.\.(\d+)', line)
            if planned:
                plan = int(planned[1])
            elif line.startswith('Bail out!'):
                self.fail(f'{part}: {line}', '\n'.join(notes))
            elif found:
                seen += 1
                name = f'{part}: {found[3]}'
                failed = None
                if found[1] == 'not ok':
                    self.fail(name, '\n'.join(notes[-60:]))
                    failed = self.failures[-1]
                elif re.search(r'# ?SKIP', found[3], re.I):
                    self.skipped += 1
                    print(f'skip - {name}')
                else:
                    self.passed += 1
                    print(f'ok - {name}')
                notes = []
            else:
                notes.append(line)
                if failed and len(failed) < 60:     # some say why afterwards
                    failed.append(f'    {line}')
                if line.startswith('# ') and not re.search(r'^# (\d+\.\d s|Start of|End of|PASSED|FAILED|RUN|Totals|Starting| +RUN| +OK|.*\.\.\.$)', line):
                    print(f'    {line[2:]}')
        if plan is None or plan != seen:
            self.fail(f'{part}: {seen} results where {plan} were planned', text[-3000:])
        elif status and not re.search(r'^not ok', text, re.M):
            self.fail(f'{part}: exit status {status} with every result ok', text[-3000:])
        sys.stdout.flush()

    def program(self, part, command, timeout=900, **kwargs):
        """Run a TAP program here and count its results."""
        try:
            done = subprocess.run([str(c) for c in command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                  text=True, errors='replace', timeout=timeout, check=False, **kwargs)
            self.tap(part, done.stdout, done.returncode)
        except subprocess.TimeoutExpired as late:
            self.fail(f'{part}: did not end in {timeout} s', (late.stdout or b'').decode(errors='replace'))

    def last_line(self):
        """What failed, once more, and the line that ends it. Returns the exit status."""
        if self.failures:
            print('What failed:')
        for lines in self.failures:
            print(*lines, sep='\n')
        failed = len(self.failures)
        print(f'{self.passed} passed, {failed} failed, {self.skipped} skipped', flush=True)
        return 1 if failed or not self.passed else 0


def native_units(tally, out):
    """The unit tests with the address and undefined-behaviour sanitizers, on this machine."""
    tests = json.loads(subprocess.run(['meson', 'introspect', '--tests', out], capture_output=True,
                                      check=True).stdout)
    env = dict(os.environ, ASAN_OPTIONS='detect_leaks=1:abort_on_error=0', UBSAN_OPTIONS='halt_on_error=1')
    for test in tests:
        tally.program(f'unit (native): {test["name"]}', [*test['cmd']],
                      env={**env, **test['env']}, cwd=out)


JOB = """#!/bin/sh
# Each program's TAP goes to /host/results/NAME, its status to NAME.status.
mkdir -p /host/results
tap() {
	name=$1; shift
	echo "volet: $name" | tee /dev/kmsg
	timeout ${LIMIT:-900} "$@" >/host/results/$name 2>&1
	echo $? >/host/results/$name.status
}
asleep() {	# as tap, while /host is away
	name=$1; shift
	echo "volet: $name" | tee /dev/kmsg
	/volet/asleep timeout 600 "$@" >/tmp/$name 2>&1
	echo $? >/host/results/$name.status
	cp /tmp/$name /host/results
}
"""
UNITS = """tests=/usr/libexec/volet-tests
for test in $tests/test-*; do
	case $test in
	# Natively only: real players (the end-to-end tests have them), requests in many orders, a hundred
	# sessions at once, arithmetic, encoders that are made up.
	*/test-players | */test-rtsps | */test-describe | */test-end | */test-exposure | */test-m2m) ;;
	*/test-spawn) tap unit-test-spawn $test --tap /usr/libexec/volet/volet-spawn $tests/spawn-stub ;;
	*) tap "unit-$(basename $test)" $test --tap ;;
	esac
done
"""
SELFTESTS = """/volet/start-board 2 vmalloc faults=1 || exit 1
for test in $(tr : / </volet/selftests/kselftest-list.txt); do
	case $test in imx219/*) [ -d /sys/module/imx219 ] || /volet/start-imx219 || exit 1 ;; esac
	tap "selftest-$(echo $test | tr / -)" /volet/selftests/$test
done
/volet/stop-board
"""
# A kernel that fills freed memory with a pattern, fences it in and looks after both: what of the
# drivers outlives what. It goes to sleep as well. What it said is taken before the drivers that
# use freed memory, which it may not survive.
MEMORY_KERNEL = 'slub_debug=FZPU'
MEMORY = """[ "$0" = /tmp/job ] || { cp /host/job /tmp/job; exec /tmp/job; }
/volet/start-board 1 || exit 1
export ROUNDS=12
tap memory-unbind /volet/selftests/gc2053/unbind -t open_files_outlive_it
unset ROUNDS
tap memory-controls /volet/selftests/gc2053/unbind -t controls_on_their_way
tap memory-probe /volet/selftests/gc2053/probe
tap memory-lifetime /volet/selftests/camsim/lifetime
asleep memory-sleep /volet/selftests/gc2053/sleep
asleep memory-sleep-mutants /volet/selftests/gc2053-mutants/find_mutants asleep
for slab in /sys/kernel/slab/kmalloc-*/validate; do echo 1 >$slab; done
dmesg >/host/results/dmesg.log
tap memory-mutants /volet/selftests/gc2053-mutants/find_freed
"""
# Programs of tests/e2e: those that set the board up as they need it, then those that want two
# cameras that see the street.
ALONE = ['compliance', 'cam', 'sources', 'exposure', 'm2m']
STREET = """/volet/start-board 2 || exit 1
/volet/play-scenes 2
"""
STREAMER = ['kms', 'operate', 'h264', 'nosignal', 'attack_session', 'attack_frames', 'attack_residue', 'attack_secrets',
            'board_crowd', 'guest', 'rtsps']
# Two boards share them so that they take as long.
FIRST = ['board-units', 'selftests', *ALONE, 'guest', 'rtsps']
SECOND = [part for part in STREAMER if part not in FIRST]
LOG = 'dmesg >/host/results/dmesg.log\n'
DISPLAYS = [(1920, 1080), (1280, 720)]      # as tests/e2e/kms.py knows them
THIRD_CAMERA = 'virt-camsim-imx219'         # /volet/start-imx219 loads its driver
AFTERWARDS = {'nosignal': '/volet/play-scenes 1	# its player ended with the camera\n'}
# The streamer on this machine, with test cameras: its function, then attacks on it.
NATIVE = ['native', 'local', 'udp', 'udp_hosts', 'freshness', 'slow']
ATTACKS = ['crowd', 'attack_cam', 'reuse', 'kill9']
PARTS = ['static', 'kunit', 'units', *NATIVE, *ATTACKS, 'stream', 'memory', 'board-units', 'selftests',
         *ALONE, *STREAMER]


def program_of(part, only):
    names = ' '.join(only.get(part, []))
    return f'tap {part.replace("_", "-")} python3 /volet/e2e/{part}.py {names}\n' + AFTERWARDS.get(part, '')


def board_job(parts, only):
    """What a board of these parts runs: all, or those of `only` ({part: names of its tests, or none})."""
    parts = [part for part in parts if wanted(only, part)]
    programs = {part: program_of(part, only) for part in parts if part in ALONE + STREAMER}
    return JOB + (UNITS if 'board-units' in parts else '') + (SELFTESTS if 'selftests' in parts else '') + \
        ''.join(text for part, text in programs.items() if part in ALONE) + \
        (STREET if any(part in STREAMER for part in parts) else '') + \
        ''.join(text for part, text in programs.items() if part in STREAMER) + LOG


def wanted(only, *parts):
    return not only or any(part in only for part in parts)


def certificates(share):
    """Two keys for the board's RTSPS, and each one's certificate."""
    for name in 'tls', 'other':
        subprocess.run(['openssl', 'req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256',
                        '-nodes', '-days', '30', '-subj', '/CN=camera', '-addext',
                        'subjectAltName=IP:127.0.0.1', '-keyout', share / f'{name}-key.pem',
                        '-out', share / f'{name}-cert.pem'], check=True, capture_output=True)


def guest_part(tally, name, project, job, limit=3600, append='', displays=(), overlays=(), kernel=None, keep=None):
    """
    One board with two cameras that runs `job`, which leaves TAP in /host/results; `name` is the
    board's, `keep` where those results go.
    """
    share = pathlib.Path(tempfile.mkdtemp(prefix='check-'))
    share.chmod(0o755)
    viewers = {'alice': (run.ha1_of('alice', VIEWERS['alice']), ['cam0']),
               'bob': (run.ha1_of('bob', VIEWERS['bob']), ['cam0', 'cam1'])}
    (share / 'e2e.conf').write_text(run.configuration(2, None, 5, 2, viewers))
    certificates(share)
    (share / 'job').write_text(job)
    (share / 'job').chmod(0o755)

    def relay(line):
        if line.startswith('volet: '):
            vm.say(line.removeprefix('volet: '))

    try:
        with vm.Board(project, share, 2, on_line=relay, displays=displays, append=append,
                      overlays=overlays, kernel=kernel) as board:
            board.wait(limit)
    except vm.Failed as failure:
        tally.fail(name, str(failure))
    results = share / 'results'
    parts = sorted(results.glob('*.status')) if results.exists() else []
    if not parts:
        tally.fail(f'{name}: no results', '\n'.join(board.lines[-40:]))
    for status in parts:
        text = status.with_suffix('').read_text(errors='replace')
        tally.tap(f'board: {status.stem}', text, int(status.read_text()))
    started = {p.name for p in results.glob('*')} - {p.name for p in parts} - {p.stem for p in parts}
    for part in sorted(started - {'dmesg.log', 'gcov'}):
        tally.fail(f'{name}: {part} did not end', (results / part).read_text(errors='replace'))
    kernel_log(tally, name, results / 'dmesg.log')
    for report in share.glob('compliance-0-graph.log'):
        shutil.copy(report, vm.BUILD / 'compliance.log')
    if keep and results.exists():
        shutil.copytree(results, keep)


def kernel_log(tally, name, path):
    """
    A WARN, BUG or unbalanced vb2 counter anywhere in the kernel's log is a failure. Mainline's vivid, held up
    between computing how long to sleep and sleeping, asks for less than nothing: that trace is none of ours.
    """
    text = path.read_text(errors='replace') if path.exists() else ''
    text = re.sub(r'.*\bschedule_timeout: wrong timeout value .*\n(?:.*\n){1,9}?.* vivid_thread_vid_cap\+.*\n', '', text)
    lines, part = text.splitlines(), []
    bad = [n for n, line in enumerate(lines)
           if re.search(r'WARNING:|BUG:|Oops|Call trace|unbalanced|refcount_t', line)]
    if bad:
        part = [line for line in lines[:bad[0]] if '] volet: ' in line][-1:]
    if not text:
        tally.fail(f'{name}: no kernel log')
    elif bad:
        tally.fail(f'{name}: the kernel log is clean', '\n'.join([*part, *lines[bad[0]:bad[0] + 40]]))
    else:
        tally.tap(name, '1..1\nok 1 - the kernel log is clean\n')


def parse(words):
    """`ONLY='PART[:TEST,...] ...'` as {part: [tests]}; empty for everything."""
    only = {}
    for word in words:
        part, _, names = word.partition(':')
        if part not in PARTS:
            raise vm.Failed(f'ONLY: there is no part "{part}"; there are: {" ".join(PARTS)}')
        if names and part not in ALONE + STREAMER + ATTACKS + NATIVE:
            raise vm.Failed(f'ONLY: tests of "{part}" can\'t be chosen; write the part alone')
        only[part] = names.split(',') if names else []
    return only


def build_native():
    """With the stand-ins that freshness.py and slow.py compare with."""
    vm.run(['ninja', '-C', vm.meson('native'), 'tests/attack/gst-server', 'tests/attack/volet-rtsp-late'])


def kernel_side(tally, only):
    """What needs no camera: the drivers' text, and the sensor driver in a kernel of its own."""
    if wanted(only, 'static'):
        vm.say('static checks of the kernel side')
        tally.program('static', ['/src/tests/static/kernel-style'])
        tally.program('service units', ['/src/tests/static/service-units'])
        tally.program('roots', ['/src/tests/static/root-versions'])
        tally.program('device trees', ['/src/tests/static/device-trees'])
        tally.program('kernel configuration', ['/src/tests/static/kernel-config'])
        tally.program('kernel log', [sys.executable, '-B', '/src/tests/static/kernel-log'])
        tally.program('recipes', [sys.executable, '-B', '/src/tests/packages/recipes.py', 'fast'])
        tally.program('mutants', [sys.executable, '-B', '/src/tests/mutants/generate.py', 'test'])
    if wanted(only, 'kunit'):
        vm.say('the driver in a kernel of its own (UML): KUnit, and as patches for the kernel')
        tally.program('kunit', ['/src/tests/kunit/run'], timeout=3600)
        tally.program('series', ['/src/tests/kunit/series'])
    if wanted(only, 'units'):
        vm.say('building natively with sanitizers, and the unit tests')
        native_units(tally, vm.meson('sanitized', '-Db_sanitize=address,undefined', '-Db_lundef=false'))


def attacks(tally, only, env=None):
    """Those on this machine, with the test build that shows that they bite."""
    vm.build_faulty()
    for part in ATTACKS:
        if wanted(only, part):
            vm.say(f'attacks on this machine: {part}')
            tally.program(part, [sys.executable, '-B', f'/src/tests/e2e/{part}.py', *only.get(part, [])],
                          6 * 3600 if env else 900, env=env)


def streamer_here(tally, only):
    """The streamer on this machine."""
    if wanted(only, 'native'):
        vm.build_formats()
    for part in NATIVE:
        if wanted(only, part):
            vm.say(f'the streamer on this machine, with test cameras: {part}')
            tally.program(part, [sys.executable, '-B', f'/src/tests/e2e/{part}.py', *only.get(part, [])])
    if wanted(only, *ATTACKS):
        attacks(tally, only)


def build_for_board():
    vm.say('building for the board: modules, programs, three test builds, selftests')
    modules, programs = run.build()
    extra = [('/volet/selftests', vm.build_selftests()), ('/volet/e2e', '/src/tests/e2e'),
             ('/usr/libexec/volet-formats/volet-cam', vm.build_formats(vm.build_arm64, 'arm64-formats')),
             *[(f'/usr/libexec/volet-tests/{p.name}', p) for p in board_tests(programs)]]
    return vm.project_image([*modules, vm.build_vicodec(), *vm.build_imx219()], programs, extra,
                            vm.build_faults())


def first_board(tally, only, project):
    if wanted(only, *FIRST):
        vm.say('the first board: units, kselftests, capture, the streamer\'s function')
        guest_part(tally, 'first board', project, board_job(FIRST, only), overlays=[THIRD_CAMERA])


def second_board(tally, only, project):
    if wanted(only, *SECOND):
        vm.say('the second board: two displays, operation, attacks')
        guest_part(tally, 'second board', project, board_job(SECOND, only), displays=DISPLAYS)
    if wanted(only, 'memory'):
        vm.say('a board whose kernel checks its memory: files that outlive drivers')
        guest_part(tally, 'memory board', project, JOB + MEMORY, 900, MEMORY_KERNEL)


def finish(lanes):
    """Wait for them; the first that could not go on ends everything with its Failed."""
    done, _ = concurrent.futures.wait(lanes, return_when=concurrent.futures.FIRST_EXCEPTION)
    for lane in done:
        lane.result()


def here(tally, only):
    kernel_side(tally, only)
    streamer_here(tally, only)


def main():
    tally, only = Tally(), parse(sys.argv[1:])
    pool, project = concurrent.futures.ThreadPoolExecutor(), None
    if wanted(only, *NATIVE, 'stream', *ATTACKS):
        vm.say('building natively')
        build_native()
    if wanted(only, 'stream', 'memory', 'board-units', 'selftests', *ALONE, *STREAMER):
        project = build_for_board()
    if wanted(only, 'stream'):                  # its rate is the claim: nothing else runs
        vm.say('the board, played to clients outside it')
        tally.program('stream', [sys.executable, '-B', '/src/tests/e2e/host.py', project])
    finish([pool.submit(here, tally, only), pool.submit(first_board, tally, only, project),
            pool.submit(second_board, tally, only, project)])
    vm.say('done')
    return tally.last_line()


def board_tests(programs):
    """Test programs of the arm64 build that go onto the board."""
    found = [p for d in ('unit', 'tools', 'attack') for p in (programs / 'tests' / d).glob('*')
             if p.is_file() and os.access(p, os.X_OK)]
    return [p for p in found if not p.suffix]


if __name__ == '__main__':
    vm.main(main)

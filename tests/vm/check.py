# SPDX-License-Identifier: MIT
"""
`make check`: every test, in the order in which a fault is cheapest to see. Each part prints
TAP; this program counts the results, shows what failed, and ends with the one line
'N passed, N failed, N skipped'. A part that stops before its plan is done counts as failed.
"""
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

import run
import volet_vm as vm

VIEWERS = {'alice': 'a-word-of-alice', 'bob': 'a-word-of-bob'}      # as tests/e2e/streamer.py has them


class Tally:
    """Results so far, and where each failing part's full output is."""

    def __init__(self):
        self.passed = self.failed = self.skipped = 0

    def fail(self, name, text=''):
        self.failed += 1
        print(f'not ok - {name}')
        for line in text.splitlines()[-60:]:
            print(f'    {line}')
        sys.stdout.flush()

    def tap(self, part, text, status=0):
        """Count the top-level results of one TAP stream."""
        plan, seen, notes = None, 0, []
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
                if found[1] == 'not ok':
                    self.fail(name, '\n'.join(notes[-60:]))
                elif re.search(r'# ?SKIP', found[3], re.I):
                    self.skipped += 1
                    print(f'skip - {name}')
                else:
                    self.passed += 1
                    print(f'ok - {name}')
                notes = []
            else:
                notes.append(line)
                if line.startswith('# ') and not re.search(r'^# (\d+\.\d s|Start of|End of|PASSED|FAILED|RUN|Totals|Starting| +RUN| +OK|.*\.\.\.$)', line):
                    print(f'    {line[2:]}')
        if plan is None or plan != seen:
            self.fail(f'{part}: {seen} results where {plan} were planned', text[-3000:])
        elif status and not re.search(r'^not ok', text, re.M):
            self.fail(f'{part}: exit status {status} with every result ok', text[-3000:])
        sys.stdout.flush()

    def program(self, part, command, timeout=900, **kwargs):
        """Run a TAP program here and count its results."""
        done = subprocess.run([str(c) for c in command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              text=True, errors='replace', timeout=timeout, check=False, **kwargs)
        self.tap(part, done.stdout, done.returncode)


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
	echo "volet: $name"
	timeout ${LIMIT:-900} "$@" >/host/results/$name 2>&1
	echo $? >/host/results/$name.status
}
"""
UNITS = """tests=/usr/libexec/volet-tests
for test in $tests/test-*; do
	case $test in
	# Natively only: real players (the end-to-end tests have them), a hundred sessions at once, arithmetic,
	# encoders that are made up.
	*/test-players | */test-rtsps | */test-end | */test-exposure | */test-m2m) ;;
	*/test-spawn) tap unit-test-spawn $test --tap /usr/libexec/volet/volet-spawn $tests/spawn-stub ;;
	*) tap "unit-$(basename $test)" $test --tap ;;
	esac
done
"""
SELFTESTS = """/volet/start-board 2 vmalloc faults=1 || exit 1
for test in $(tr : / </volet/selftests/kselftest-list.txt); do
	case $test in imx219/*) [ -d /sys/module/imx219 ] || /volet/start-imx219 ;; esac
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
asleep() {	# as tap, while /host is away
	name=$1; shift
	echo "volet: $name"
	/volet/asleep timeout 600 "$@" >/tmp/$name 2>&1
	echo $? >/host/results/$name.status
	cp /tmp/$name /host/results
}
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
DISPLAYS = [(1920, 1080), (1280, 720)]      # as tests/e2e/kms.py knows them
AFTERWARDS = {'nosignal': '/volet/play-scenes 1	# its player ended with the camera\n'}
# The streamer on this machine, with test cameras: its function, then attacks on it.
NATIVE = ['native', 'local', 'udp', 'freshness', 'slow']
ATTACKS = ['crowd', 'attack_cam', 'reuse', 'kill9']
PARTS = ['static', 'kunit', 'units', *NATIVE, *ATTACKS, 'stream', 'memory', 'board-units', 'selftests',
         *ALONE, *STREAMER]


def program_of(part, only):
    names = ' '.join(only.get(part, []))
    return f'tap {part.replace("_", "-")} python3 /volet/e2e/{part}.py {names}\n' + AFTERWARDS.get(part, '')


def board_job(only):
    """What the board runs: all, or the parts of `only` ({part: names of its tests, or none})."""
    def wanted(part):
        return not only or part in only
    job = JOB + (UNITS if wanted('board-units') else '') + (SELFTESTS if wanted('selftests') else '')
    job += ''.join(program_of(part, only) for part in ALONE if wanted(part))
    programs = ''.join(program_of(part, only) for part in STREAMER if wanted(part))
    return job + (STREET + programs if programs else '') + 'dmesg >/host/results/dmesg.log\n'


def certificates(share):
    """Two keys for the board's RTSPS, and each one's certificate."""
    for name in 'tls', 'other':
        subprocess.run(['openssl', 'req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256',
                        '-nodes', '-days', '30', '-subj', '/CN=camera', '-addext',
                        'subjectAltName=IP:127.0.0.1', '-keyout', share / f'{name}-key.pem',
                        '-out', share / f'{name}-cert.pem'], check=True, capture_output=True)


def guest_part(tally, project, job, limit=3600, append='', displays=(), kernel=None, keep=None):
    """
    One board with two cameras that runs `job`, which leaves TAP in /host/results; `keep` is where
    those results go. A third camera, which has another sensor, is there only while its driver is loaded.
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
                      kernel=kernel, overlays=['virt-camsim-imx219']) as board:
            board.wait(limit)
    except vm.Failed as failure:
        tally.fail('the board\'s tests', str(failure))
    results = share / 'results'
    parts = sorted(results.glob('*.status')) if results.exists() else []
    if not parts:
        tally.fail('the board gave no results', '\n'.join(board.lines[-40:]))
    for status in parts:
        text = status.with_suffix('').read_text(errors='replace')
        tally.tap(f'board: {status.stem}', text, int(status.read_text()))
    started = {p.name for p in results.glob('*')} - {p.name for p in parts} - {p.stem for p in parts}
    for name in sorted(started - {'dmesg.log', 'gcov'}):
        tally.fail(f'board: {name} did not end', (results / name).read_text(errors='replace'))
    kernel_log(tally, results / 'dmesg.log')
    for report in share.glob('compliance-0-graph.log'):
        shutil.copy(report, vm.BUILD / 'compliance.log')
    if keep and results.exists():
        shutil.copytree(results, keep)


def kernel_log(tally, path):
    """A WARN, BUG or unbalanced vb2 counter anywhere in the kernel's log is a failure."""
    text = path.read_text(errors='replace') if path.exists() else ''
    bad = [line for line in text.splitlines()
           if re.search(r'WARNING:|BUG:|Oops|Call trace|unbalanced|refcount_t', line)]
    if not text:
        tally.fail('board: no kernel log')
    elif bad:
        tally.fail('board: the kernel log is clean', '\n'.join(bad))
    else:
        tally.passed += 1
        print('ok - board: the kernel log is clean')


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


def native_parts(tally, wanted):
    if wanted('static'):
        vm.say('static checks of the kernel side')
        tally.program('static', ['/src/tests/static/kernel-style'])
        tally.program('service units', ['/src/tests/static/service-units'])
        tally.program('device trees', ['/src/tests/static/device-trees'])
        tally.program('kernel configuration', ['/src/tests/static/kernel-config'])
        tally.program('recipes', [sys.executable, '-B', '/src/tests/packages/recipes.py', 'fast'])
    if wanted('kunit'):
        vm.say('the driver in a kernel of its own (UML): KUnit, and as patches for the kernel')
        tally.program('kunit', ['/src/tests/kunit/run'], timeout=3600)
        tally.program('series', ['/src/tests/kunit/series'])
    if wanted('units'):
        vm.say('building natively with sanitizers, and the unit tests')
        native_units(tally, vm.meson('sanitized', '-Db_sanitize=address,undefined', '-Db_lundef=false'))


def attacks(tally, only, env=None):
    """Those on this machine, with the test build that shows that they bite."""
    vm.build_faulty()
    for part in ATTACKS:
        if not only or part in only:
            vm.say(f'attacks on this machine: {part}')
            tally.program(part, [sys.executable, '-B', f'/src/tests/e2e/{part}.py', *only.get(part, [])],
                          6 * 3600 if env else 900, env=env)


def board_parts(tally, only):
    vm.say('building for the board: modules, programs, three test builds, selftests')
    modules, programs = run.build()
    extra = [('/volet/selftests', vm.build_selftests()), ('/volet/e2e', '/src/tests/e2e'),
             ('/usr/libexec/volet-formats/volet-cam', vm.build_formats(vm.build_arm64, 'arm64-formats')),
             *[(f'/usr/libexec/volet-tests/{p.name}', p) for p in board_tests(programs)]]
    project = vm.project_image([*modules, vm.build_vicodec(), *vm.build_imx219()], programs, extra,
                               vm.build_faults())
    if not only or 'stream' in only:
        vm.say('the board, played to clients outside it')
        tally.program('stream', [sys.executable, '-B', '/src/tests/e2e/host.py', project])
    if not only or 'memory' in only:
        vm.say('a board whose kernel checks its memory: files that outlive drivers')
        guest_part(tally, project, JOB + MEMORY, 900, MEMORY_KERNEL)
    if not only or set(only) - {'stream', 'memory'}:
        vm.say('the board, two cameras: units, kselftests, attacks')
        guest_part(tally, project, board_job(only), displays=DISPLAYS)


def main():
    tally = Tally()
    only = parse(sys.argv[1:])
    vm.BUILD.mkdir(exist_ok=True)
    native_parts(tally, lambda part: not only or part in only)
    if not only or {*NATIVE, 'stream', *ATTACKS} & set(only):
        build_native()
    if not only or 'native' in only:
        vm.build_formats()
    for part in NATIVE:
        if not only or part in only:
            vm.say(f'the streamer on this machine, with test cameras: {part}')
            tally.program(part, [sys.executable, '-B', f'/src/tests/e2e/{part}.py', *only.get(part, [])])
    if not only or set(ATTACKS) & set(only):
        attacks(tally, only)
    if not only or set(only) - {'static', 'kunit', 'units', *NATIVE, *ATTACKS}:
        board_parts(tally, only)
    vm.say('done')
    print(f'{tally.passed} passed, {tally.failed} failed, {tally.skipped} skipped', flush=True)
    return 1 if tally.failed or not tally.passed else 0


def board_tests(programs):
    """Test programs of the arm64 build that go onto the board."""
    found = [p for d in ('unit', 'tools', 'attack') for p in (programs / 'tests' / d).glob('*')
             if p.is_file() and os.access(p, os.X_OK)]
    return [p for p in found if not p.suffix]


if __name__ == '__main__':
    vm.main(main)

# SPDX-License-Identifier: MIT
"""
`make mutants`: are the tests of the GC2053 driver any good? Each mechanical bug that
tests/mutants/generate.py makes is tried: first by the KUnit tests in UML, which takes a second,
then by the kselftests on a board that stays up, until one of them fails. At last come the bugs that
people make, each by the one test that has to find it. Prints caught/total by kind, and the
survivors; each of those has to be explained in tests/mutants/survivors.txt, and each explanation
has to be of one that is still there.

A mutant that doesn't compile counts apart, and so does one that compiles to the code of the right
driver. Results are kept in the cache, by the text of the driver and of the tests.
"""
import argparse
import collections
import concurrent.futures
import hashlib
import importlib.machinery
import json
import pathlib
import queue
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time

import volet_vm as vm

sys.path.insert(0, str(vm.SRC / 'tests/mutants'))
import generate                                     # noqa: E402

kunit = importlib.machinery.SourceFileLoader('kunit', str(vm.SRC / 'tests/kunit/run')).load_module()
WORK = vm.BUILD / 'mutants'
SURVIVORS = vm.SRC / 'tests/mutants/survivors.txt'
SAME, UNBUILT, SURVIVED = 'the same code', 'does not compile', 'survived'
# Freed memory has a pattern there, is fenced in and looked after: use after free is caught.
BOARD_OPTIONS = 'slub_debug=FZPU oops=panic'


def texts():
    return {file: (generate.DRIVER / file).read_text() for file in generate.FILES}


def fingerprint(*patterns, extra=''):
    """Of what decides a result besides the driver."""
    digest = hashlib.sha256(extra.encode())
    for pattern in patterns:
        for path in sorted(vm.SRC.glob(pattern)):
            if path.is_file() and not path.name.endswith(('.o', '.ko', '.mod', '.mod.c')):
                digest.update(path.read_bytes())
    return digest.hexdigest()


class Results:
    """What is known of a stage from earlier runs: {digest of driver and tests: verdict}."""

    def __init__(self, stage, stamp):
        self.path, self.stage, self.stamp = vm.CACHE / 'mutants.jsonl', stage, stamp
        self.lock = threading.Lock()
        self.known = {}
        if self.path.exists():
            for line in self.path.read_text().splitlines():
                entry = json.loads(line)
                self.known[entry['key']] = entry['verdict']

    def key(self, sources):
        return hashlib.sha256('\0'.join([self.stage, self.stamp, *sources.values()]).encode()).hexdigest()[:24]

    def get(self, sources):
        return self.known.get(self.key(sources))

    def put(self, sources, verdict):
        with self.lock, open(self.path, 'a', encoding='utf-8') as file:
            file.write(json.dumps({'key': self.key(sources), 'verdict': verdict}) + '\n')


class Compiler:
    """
    Builds the module of `name` again and again with the commands that Kbuild used for it in `tree`,
    without debugging information, and without modpost: a mutant needs no symbol that the driver
    doesn't.
    """

    def __init__(self, tree, name, top):
        self.tree, self.name, self.top = tree, name, top
        self.compile = self.command(f'.{name}.o.cmd')
        self.link = self.command(f'.{name}.ko.cmd')
        self.right = self.code(self.object(tree / 'right', {}))

    def command(self, file):
        line = (self.tree / file).read_text().split('\n')[0].partition(':=')[2].strip()
        return re.sub(r' -g(?= )| -Werror(?= )', '', line)

    def object(self, work, sources):
        """The object file of a driver, in `work`; None when it doesn't compile."""
        shutil.rmtree(work, ignore_errors=True)
        work.mkdir(parents=True)
        for source in self.tree.glob('*.[ch]'):
            if not source.name.endswith('.mod.c'):
                shutil.copy(source, work)
        for file, text in sources.items():
            (work / file).write_text(text)
        out = work / f'{self.name}.o'
        # No path of its own in it, so that the same code is the same file.
        command = self.compile.replace(f'{self.tree}/', f'{work}/') + f' -ffile-prefix-map={work}/='
        done = subprocess.run(command, shell=True, cwd=self.top, capture_output=True, check=False)
        return out if done.returncode == 0 else None

    @staticmethod
    def code(path):
        return hashlib.sha256(path.read_bytes()).hexdigest()

    def same(self, path):
        return self.code(path) == self.right

    def module(self, work):
        command = self.link.replace(f'{self.tree}/{self.name}.', f'{work}/{self.name}.').replace(
            f'{work}/{self.name}.mod.o', f'{self.tree}/{self.name}.mod.o')
        vm.run(command, shell=True, cwd=self.top)
        return work / f'{self.name}.ko'


# ---- by KUnit, in UML -------------------------------------------------------------------

class Uml:
    def __init__(self):
        self.path = kunit.kernel()
        kunit.WORK = WORK / 'uml'
        module = kunit.module(self.path)
        self.compiler = Compiler(kunit.WORK, 'gc2053_kunit', self.path / 'build')
        self.results = Results('kunit', fingerprint('tests/kunit/*', 'tests/selftests/camsim/vendor-lists.h',
                                                    extra=self.path.name))
        start = time.monotonic()
        self.right = self.passed(kunit.boot(self.path, module))
        self.limit = 30 + 10 * (time.monotonic() - start)
        if self.wrong(kunit.boot(self.path, module)):
            raise vm.Failed('the KUnit tests fail with the right driver: make check ONLY=kunit')

    @staticmethod
    def passed(lines):
        return {found[1] for line in lines if (found := re.match(r' *ok \d+ (.*)', line))}

    def wrong(self, lines):
        """What isn't as with the right driver; empty when all is."""
        bad = next((line for line in lines if re.search(kunit.BAD, line)), '')
        failed = [found[1] for line in lines if (found := re.match(r' *not ok \d+ (\w+)', line))]
        if failed:
            return failed[0]
        return bad or ('' if self.passed(lines) == self.right else 'the tests did not end')

    def judge(self, sources):
        work = WORK / f'uml-{threading.get_ident()}'
        path = self.compiler.object(work, sources)
        if not path:
            return UNBUILT
        if self.compiler.same(path):
            return SAME
        try:
            found = self.wrong(kunit.boot(self.path, self.compiler.module(work), work, self.limit))
        except subprocess.TimeoutExpired:
            found = 'the kernel hangs'
        return f'KUnit: {found}' if found else SURVIVED


# ---- by kselftests, on the board ----------------------------------------------------------

def selftests():
    """Each test of the programs that load no other module than the driver."""
    found, programs = [], vm.SRC / 'tests/selftests'
    for path in [*sorted((programs / 'gc2053').glob('*.c')), programs / 'camsim/lifetime.c']:
        program = f'{path.parent.name}/{path.stem}'
        for name in re.findall(r'(?m)^TEST_F(?:_TIMEOUT)?\(\w+, (\w+)', path.read_text()):
            asleep = 'asleep ' if path.stem == 'sleep' else ''
            found.append(f'{asleep}{program} -t {name}')
    return found


class Bench:
    """A board that tries one driver after the other, and is booted anew when it has to be."""

    def __init__(self, project, lock):
        self.project, self.lock = project, lock
        self.board = self.share = None
        self.number = 0

    def boot(self):
        self.stop()
        self.share = pathlib.Path(tempfile.mkdtemp(prefix='mutants-'))
        self.share.chmod(0o755)
        job = self.share / 'job'
        job.write_text('#!/bin/sh\n/volet/start-board 1 || exit 1\nexec /volet/try-drivers\n')
        job.chmod(0o755)
        with self.lock:
            self.board = vm.Board(self.project, self.share, 1, append=BOARD_OPTIONS)

    def stop(self):
        if self.board:
            self.board.stop()
            shutil.rmtree(self.share, ignore_errors=True)
            self.board = None

    def alive(self):
        return self.board and self.board.qemu.poll() is None

    def try_driver(self, module, tests):
        """(verdict, what the board said) of the tests [(limit in s, test)] with a module."""
        if not self.alive():
            self.boot()
        self.number += 1
        place = self.share / str(self.number)
        place.mkdir()
        shutil.copy(module, place / 'gc2053.ko')
        (place / 'tests').write_text(''.join(f'{limit:.0f} {test}\n' for limit, test in tests))
        (self.share / 'next.part').write_text(f'{self.number}\n')
        (self.share / 'next.part').rename(self.share / 'next')
        end = time.monotonic() + 120 + sum(limit for limit, _ in tests)
        while not (place / 'said').exists():
            time.sleep(0.05)
            if not self.alive():
                said = '\n'.join(self.board.lines[-40:])
                self.stop()
                return 'failed the kernel dies', said
            if time.monotonic() > end:
                self.stop()
                return 'failed the board hangs', ''
        said = (place / 'said').read_text(errors='replace')
        shutil.rmtree(place)
        # A board that has slept does not sleep well again.
        if re.search(r'(?m)^# [\d. ]+ asleep ', said):
            self.stop()
        return said.split('\n')[0], said


class Selftests:
    def __init__(self, jobs):
        modules = vm.build_modules()
        tree = WORK / 'board'
        shutil.rmtree(tree, ignore_errors=True)
        shutil.copytree(vm.BUILD / 'modules', tree)
        vm.run(['make', '-C', vm.HEADERS, f'M={tree}', 'ARCH=arm64', 'CROSS_COMPILE=aarch64-linux-gnu-',
                'modules'], log=WORK / 'board.log')
        self.compiler = Compiler(tree / 'driver', 'gc2053', vm.HEADERS)
        self.image = vm.project_image(modules, None, [('/volet/selftests', vm.build_selftests())],
                                      name='mutants')
        self.results = Results('board', fingerprint(
            'tests/selftests/*.[ch]', 'tests/selftests/gc2053/*', 'tests/selftests/camsim/*', 'driver/camsim/*.[ch]',
            'tests/vm/guest/*', 'dts/virt-camsim*', extra=f'{vm.KERNEL}\n{BOARD_OPTIONS}'))
        self.benches = queue.Queue()
        lock = threading.Lock()
        for _ in range(jobs):
            self.benches.put(Bench(self.image, lock))
        self.tests, self.module = [], None

    def measure(self):
        """The tests with the right driver, which they have to pass: the quickest come first."""
        bench = self.benches.get()
        work = WORK / 'right'
        self.compiler.object(work, texts())
        self.module = self.compiler.module(work)
        verdict, said = bench.try_driver(self.module, [(600, test) for test in selftests()])
        self.benches.put(bench)
        if verdict != 'passed':
            raise vm.Failed(f'the right driver {verdict}:\n{said}')
        took = {test: float(end) - float(start)
                for end, start, test in re.findall(r'(?m)^# ([\d.]+) ([\d.]+) (.*)$', said)}
        order = sorted(took, key=lambda test: (test.startswith('asleep'), took[test]))
        for test in order:
            vm.say(f'{took[test]:6.1f} s  {test}')
        # On a machine that is busier than now, too
        self.tests = [(30 + 5 * took[test], test) for test in order]

    def is_sound(self, bench, verdict):
        """Whether the right driver passes, on the same board, the test that a mutant has just failed."""
        tests = [(limit, test) for limit, test in self.tests if test in verdict]
        return not bench.alive() or bench.try_driver(self.module, tests)[0] == 'passed'

    def judge(self, sources):
        work = WORK / f'arm64-{threading.get_ident()}'
        path = self.compiler.object(work, sources)
        if not path:
            return UNBUILT
        if self.compiler.same(path):
            return SAME
        bench = self.benches.get()
        try:
            verdict, said = bench.try_driver(self.compiler.module(work), self.tests)
            if verdict != 'passed' and not self.is_sound(bench, verdict):
                vm.say('the right driver fails as well: a new board, and once more')
                bench.stop()
                verdict, said = bench.try_driver(self.compiler.module(work), self.tests)
        finally:
            self.benches.put(bench)
        if verdict == 'passed':
            return SURVIVED
        why = re.search(r':Expected .*', said)
        return f'{verdict.removeprefix("failed ")}{": " + why[0].strip(": ") if why else ""}'

    def seeded(self):
        """(found, all) of the bugs that people make, by the board's own program for them."""
        sources = {**texts(), 'list': (vm.SRC / 'tests/selftests/gc2053-mutants/mutants').read_text()}
        said = self.results.get(sources)
        if not said:
            share = pathlib.Path(tempfile.mkdtemp(prefix='seeded-'))
            share.chmod(0o755)
            (share / 'job').write_text('#!/bin/sh\n/volet/start-board 1 || exit 1\n'
                                       '/volet/selftests/gc2053-mutants/find_mutants >/host/said\n')
            (share / 'job').chmod(0o755)
            with vm.Board(self.image, share, 1) as board:
                board.wait(3600)
            said = (share / 'said').read_text()
        found, missed = (re.findall(rf'(?m)^{word} \d+ - (.*)$', said) for word in ('ok', 'not ok'))
        planned = int(re.search(r'(?m)^1\.\.(\d+)$', said)[1])
        for line in missed:
            vm.say(f'seeded: {line}')
        if planned != len(found) + len(missed):
            raise vm.Failed(f'of the {planned} seeded bugs the board tried some only:\n{said[-3000:]}')
        if not missed:
            self.results.put(sources, said)
        return len(found), planned

    def stop(self):
        while not self.benches.empty():
            self.benches.get().stop()


# ---- all of them ----------------------------------------------------------------------------

def stage(name, judge, results, todo, jobs):
    """{mutant: verdict} for each of `todo` {mutant: sources}, known or new."""
    verdicts, done = {}, 0

    def one(mutant):
        known = results.get(todo[mutant])
        if not known:
            known = judge(todo[mutant])
            results.put(todo[mutant], known)
        return mutant, known

    with concurrent.futures.ThreadPoolExecutor(jobs) as pool:
        futures = [pool.submit(one, mutant) for mutant in todo]
        try:
            for future in concurrent.futures.as_completed(futures):
                mutant, verdict = future.result()
                verdicts[mutant] = verdict
                done += 1
                vm.say(f'{name} {done}/{len(todo)}: {mutant.name[:110]} -- {verdict[:110]}')
        except BaseException:
            for future in futures:
                future.cancel()
            raise
    return verdicts


def explanations():
    """{name of a mutant: why it survives}: a name, and below it, indented, the reason."""
    found, name = {}, None
    for line in SURVIVORS.read_text().splitlines() if SURVIVORS.exists() else []:
        if not line.strip() or line.startswith('#'):
            continue
        if line[0].isspace():
            found[name] = f'{found[name]} {line.strip()}'.strip()
        else:
            name = line.strip()
            found[name] = ''
    return found


def report(verdicts, everything, seeded):
    """The table, the survivors, and whether all of them are explained."""
    kinds = collections.OrderedDict()
    for mutant, verdict in verdicts.items():
        row = kinds.setdefault(mutant.kind, collections.Counter())
        row['total'] += 1
        row[verdict if verdict in (SAME, UNBUILT, SURVIVED) else 'KUnit' if verdict.startswith('KUnit: ')
            else 'kselftest'] += 1
    why = explanations()
    survivors = [m for m, verdict in verdicts.items() if verdict == SURVIVED]
    print('\nsurvivors:')
    for mutant in survivors:
        print(f'  {mutant.file}: {mutant.name}\n      {why.get(mutant.name, "NOT EXPLAINED")}')
    names = {m.name for m in survivors}
    stale = [name for name in why if name not in names] if everything else []
    for name in stale:
        print(f'  explained, but caught, or not made any more: {name}')
    heads = ('KUnit', 'kselftest', 'survived', 'same code', 'not built', 'total')
    print(f'\n{"caught by":24}{"".join(f"{head:>11}" for head in heads)}')
    total = collections.Counter()
    for kind, row in [*kinds.items(), ('all', total)]:
        total.update(row if row is not total else {})
        print(f'{kind:24}' + ''.join(f'{row[key]:11}' for key in ('KUnit', 'kselftest', SURVIVED, SAME, UNBUILT, 'total')))
    unexplained = [m for m in survivors if not why.get(m.name)]
    print(f'\ncaught {total["KUnit"] + total["kselftest"]} of {total["total"] - total[SAME] - total[UNBUILT]}; '
          f'{len(survivors)} survivors, {len(unexplained)} of them not explained; '
          f'{len(stale)} explanations of nothing', flush=True)
    if seeded:
        print(f'of the bugs that people make, each by the test named with it: {seeded[0]} of {seeded[1]}', flush=True)
    return not unexplained and not stale and (not seeded or seeded[0] == seeded[1])


def main():
    args = argparse.ArgumentParser(prog='make mutants')
    args.add_argument('-j', '--jobs', type=int, default=1, help='JOBS=: boards, or kernels, at a time')
    args.add_argument('--only', default='', help='ONLY=: a regular expression for names of mutants')
    args.add_argument('--uml-only', action='store_true', help='KUnit alone')
    args = args.parse_args()
    WORK.mkdir(parents=True, exist_ok=True)
    right = texts()
    todo = {m: {**right, m.file: m.apply(right[m.file])} for m in generate.mutants()
            if re.search(args.only, f'{m.file}: {m.name}')}
    vm.say(f'{len(todo)} mutants')
    uml = Uml()
    verdicts = stage('KUnit', uml.judge, uml.results, todo, args.jobs)
    seeded = None
    everything = not args.only and not args.uml_only
    if not args.uml_only:
        left = {m: todo[m] for m, verdict in verdicts.items() if verdict in (SURVIVED, SAME)}
        board = Selftests(args.jobs)
        try:
            board.measure()
            for mutant, verdict in stage('board', board.judge, board.results, left, args.jobs).items():
                verdicts[mutant] = verdict
            if everything:
                vm.say('the bugs that people make')
                seeded = board.seeded()
        finally:
            board.stop()
    vm.say('done')
    return 0 if report(verdicts, everything, seeded) else 1


if __name__ == '__main__':
    vm.main(main)

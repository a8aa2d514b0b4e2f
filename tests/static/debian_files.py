# SPDX-License-Identifier: MIT
"""
Files of Debian packages that the build root hasn't: fetched once for each version, unpacked into
the cache, and never installed. Needs Debian's package servers.
"""
import hashlib
import pathlib
import re
import shutil
import subprocess
import tempfile

MIRROR = 'http://deb.debian.org/debian'
SUITES = 'trixie', 'trixie-updates', 'trixie-backports'


class Apt:
    """apt with lists of its own, for both of the board's and this machine's architectures."""

    def __init__(self):
        self.top = pathlib.Path(tempfile.mkdtemp(prefix='apt-'))
        for name in 'lists/partial', 'cache/archives/partial', 'debs':
            (self.top / name).mkdir(parents=True)
        (self.top / 'sources.list').write_text(''.join(f'deb {MIRROR} {suite} main\n' for suite in SUITES))
        # No state: what the build root has installed doesn't matter.
        (self.top / 'status').touch()
        self.options = [f'-o={key}={value}' for key, value in {
            'Dir::State::lists': self.top / 'lists', 'Dir::State::status': self.top / 'status',
            'Dir::Cache': self.top / 'cache', 'Dir::Etc::sourcelist': self.top / 'sources.list',
            'Dir::Etc::sourceparts': '-', 'APT::Architecture': 'amd64', 'APT::Architectures::': 'arm64',
            'APT::Sandbox::User': 'root', 'Acquire::Languages': 'none', 'Acquire::Retries': '3'}.items()]
        self.run('apt-get', 'update', '-qq')

    def run(self, program, *command, cwd=None):
        done = subprocess.run([program, *self.options, *command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              text=True, check=False, cwd=cwd)
        if done.returncode:
            raise OSError(f'{program} {" ".join(command)}:\n{done.stdout}')
        return done.stdout

    def newest(self, package):
        """The newest version of a package in any of the suites."""
        found = re.findall(r'\| +(\S+) \|', self.run('apt-cache', 'madison', package))
        if not found:
            raise OSError(f'{MIRROR} has no package {package} in {", ".join(SUITES)}')
        return found[0]

    def depends(self, package, version):
        shown = self.run('apt-cache', 'show', f'{package}={version}')
        return re.findall(r'[\w.+-]+', re.sub(r'\([^)]*\)', '', re.search(r'(?m)^Depends: (.*)$', shown)[1]))

    def files(self, name, packages):
        """The directory that has the files of [(package, version)], unpacked once."""
        stamp = hashlib.sha256(repr(packages).encode()).hexdigest()[:12]
        where = pathlib.Path(f'/cache/{name}-{stamp}')
        if not where.exists():
            part = where.with_name(f'{where.name}.part')
            shutil.rmtree(part, ignore_errors=True)
            part.mkdir()
            self.run('apt-get', 'download', *[f'{package}={version}' for package, version in packages],
                     cwd=self.top / 'debs')
            for deb in (self.top / 'debs').glob('*.deb'):
                subprocess.run(['dpkg', '-x', deb, part], check=True)
                deb.unlink()
            part.rename(where)
        return where

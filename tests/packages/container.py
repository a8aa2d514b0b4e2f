# SPDX-License-Identifier: MIT
"""The machine of product-root with systemd as its first process, in namespaces on this one: see under-systemd."""
import os
import subprocess

from commands import Commands

INSIDE = ['nsenter', '--mount', '--pid', '--cgroup', '--uts', '--ipc', '--root', '--wd', '--target']


class Container(Commands):
    """`pid` is its first process here; files for it go to `share`, which is at /host there."""

    def __init__(self):
        self.pid = os.environ['VOLET_MACHINE']

    def run(self, script, limit=120):
        """A shell script there: (its status, what it printed)."""
        done = subprocess.run([*INSIDE, self.pid, 'sh', '-c', f'exec 2>&1\n{script}'], stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, text=True, errors='replace', timeout=limit, check=False)
        return done.returncode, done.stdout

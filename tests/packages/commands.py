# SPDX-License-Identifier: MIT
"""What a test says to a machine, whatever it is: see machine.py and container.py."""
import time


class Commands:
    """`run(script, limit)` of the machine, a shell script there: (its status, what it printed), in other words."""

    def must(self, script, limit=120):
        """The same, which has to succeed: what it printed."""
        status, text = self.run(script, limit)
        assert status == 0, f'on the machine: {script}\nstatus {status}\n{text[-4000:]}'
        return text

    def until(self, script, limit=60):
        """Until the script succeeds; what it printed then."""
        end = time.monotonic() + limit
        while True:
            status, text = self.run(script)
            if status == 0:
                return text
            assert time.monotonic() < end, f'not in {limit} s, on the machine: {script}\nstatus {status}\n{text[-4000:]}'
            time.sleep(0.5)

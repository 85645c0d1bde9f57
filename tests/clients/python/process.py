"""A process that a test starts: what it prints is kept, and it is ended by its own id."""

import re
import signal
import subprocess
import threading

from deadline import until

STOP_PATIENCE = 30.0


class Process:
    def __init__(self, command, environment=None, **options):
        """Without `stderr` among the options what goes there is kept too."""
        self.log = ""
        self._name = str(command[0])
        options = {"stderr": subprocess.STDOUT, **options}
        self._process = subprocess.Popen(
            command, env=environment, stdout=subprocess.PIPE, text=True, errors="replace", **options
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    @property
    def pid(self):
        return self._process.pid

    def printed(self, pattern, patience):
        """What the process prints by this pattern, once it has; a process that ends before fails."""
        def found():
            return re.search(pattern, self.log, re.MULTILINE | re.DOTALL)

        try:
            until(lambda: found() or self._process.poll() is not None, f"{self._name} prints {pattern}", patience)
            assert found(), f"{self._name} ended before it printed {pattern}"
        except AssertionError as failure:
            self.kill()
            raise AssertionError(f"{failure}\n{self.log}") from failure
        return found()

    def terminate(self):
        self.signal(signal.SIGTERM)

    def signal(self, number):
        self._process.send_signal(number)

    def kill(self):
        self._process.kill()
        self._process.wait()

    def has_gone(self):
        """Whether the process has ended, for a test that waits longer than `has_ended` does."""
        return self._process.poll() is not None

    def has_ended(self):
        """Expects the process to end by itself, and returns its exit code."""
        try:
            code = self._process.wait(STOP_PATIENCE)
        except subprocess.TimeoutExpired as overdue:
            self.kill()
            raise AssertionError(f"{self._name} does not stop\n{self.log}") from overdue
        self._reader.join(STOP_PATIENCE)
        return code

    def _read(self):
        for line in self._process.stdout:
            self.log += line

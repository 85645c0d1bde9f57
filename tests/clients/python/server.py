"""Starts the server that was built as an operator would: settings in the environment, addresses read from what it
prints, stopped by SIGTERM."""

import os
import pathlib
import re
import signal
import subprocess
import threading
from urllib.parse import urlsplit

from deadline import until

APP = {"id": "424242", "key": "app-key", "secret": "app-secret"}

REPOSITORY = pathlib.Path(__file__).resolve().parents[3]
START_PATIENCE = 10.0
STOP_PATIENCE = 15.0
ADDRESS = re.compile(r"^(public|admin)\s+(http://\S+)", re.MULTILINE)


def _binary():
    target = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", REPOSITORY / "target"))
    binary = pathlib.Path(os.environ.get("GAUNG_BIN", target / "release" / "gaung"))
    assert binary.exists(), f'no server at {binary}: run "cargo build --release" or set GAUNG_BIN'
    return binary


class Gaung:
    """A server on free ports with the test app and these settings."""

    def __init__(self, **settings):
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": os.environ["HOME"],
            "GAUNG_PORT": "0",
            "GAUNG_ADMIN_PORT": "0",
            "GAUNG_DRAIN_SECONDS": "1",
            "GAUNG_APP_ID": APP["id"],
            "GAUNG_APP_KEY": APP["key"],
            "GAUNG_APP_SECRET": APP["secret"],
            **settings,
        }
        self.log = ""
        self._process = subprocess.Popen(
            [_binary()], env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace"
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        try:
            until(lambda: len(self._addresses()) == 2 or self._process.poll() is not None, "addresses", START_PATIENCE)
            assert self._process.poll() is None, "the server ended at its start"
        except AssertionError as failure:
            self._process.kill()
            raise AssertionError(f"{failure}\n{self.log}") from failure
        public = urlsplit(self._addresses()["public"])
        self.host, self.port = public.hostname, public.port

    def terminate(self):
        self._process.send_signal(signal.SIGTERM)

    def has_stopped(self):
        """Expects the server to go in order."""
        try:
            code = self._process.wait(STOP_PATIENCE)
        except subprocess.TimeoutExpired as overdue:
            self._process.kill()
            raise AssertionError(f"the server does not stop\n{self.log}") from overdue
        self._reader.join(STOP_PATIENCE)
        assert code == 0, self.log
        assert "panicked" not in self.log, self.log

    def stop(self):
        self.terminate()
        self.has_stopped()

    def _addresses(self):
        return dict(ADDRESS.findall(self.log))

    def _read(self):
        for line in self._process.stdout:
            self.log += line

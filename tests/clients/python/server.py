"""Starts the server that was built as an operator would: settings in the environment, addresses read from what it
prints, stopped by SIGTERM."""

import os
import pathlib
from urllib.parse import urlsplit

from process import Process

APP = {"id": "424242", "key": "app-key", "secret": "app-secret"}

REPOSITORY = pathlib.Path(__file__).resolve().parents[3]
START_PATIENCE = 30.0
ADDRESSES = r"^public\s+(?P<public>https?://\S+)$.*^admin\s+(?P<admin>http://\S+)$"


def binary():
    target = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", REPOSITORY / "target"))
    path = pathlib.Path(os.environ.get("GAUNG_BIN", target / "release" / "gaung"))
    assert path.exists(), f'no server at {path}: run "cargo build --release" or set GAUNG_BIN'
    return path


class Gaung(Process):
    """A server on free ports with the test app and these settings; `options` are those of its process."""

    def __init__(self, options=None, **settings):
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
        super().__init__([binary()], environment, **(options or {}))
        addresses = self.printed(ADDRESSES, START_PATIENCE)
        self.admin = addresses["admin"]
        public = urlsplit(addresses["public"])
        self.host, self.port = public.hostname, public.port

    def has_stopped(self):
        assert self.has_ended() == 0, self.log
        assert "panicked" not in self.log, self.log

    def stop(self):
        self.terminate()
        self.has_stopped()

import contextlib
import json
import pathlib
import sys

import pytest

# The server, its processes, raw sockets and the waiting are those of the client tests.
sys.path.append(str(pathlib.Path(__file__).resolve().parents[1] / "clients" / "python"))

from certificates import issue  # noqa: E402
from process import Process  # noqa: E402
from server import APP, Gaung  # noqa: E402

NATS_PATIENCE = 20.0


@pytest.fixture
def serve():
    """Starts servers; those that still run in the end are killed."""
    with contextlib.ExitStack() as stack:
        def start(options=None, **settings):
            server = Gaung(options, **settings)
            stack.callback(server.kill)
            return server

        yield start


@pytest.fixture
def file(tmp_path):
    """An apps file."""
    path = tmp_path / "apps.json"
    path.write_text(json.dumps([APP]))
    return path


@pytest.fixture
def pair(tmp_path):
    """The files of a certificate and its key."""
    return issue(tmp_path / "cert.pem", tmp_path / "key.pem")


class Nats:
    """A nats-server that keeps its port when it is started again."""

    def __init__(self):
        self._start("-1")

    def restart(self, meanwhile):
        self.kill()
        meanwhile()
        self._start(self.address.rsplit(":", 1)[1])

    def kill(self):
        self._process.kill()

    def _start(self, port):
        self._process = Process(["nats-server", "-a", "127.0.0.1", "-p", port])
        ready = self._process.printed(r"client connections on (127.0.0.1:[0-9]+).*Server is ready", NATS_PATIENCE)
        self.address = ready[1]


@pytest.fixture
def nats():
    server = Nats()
    yield server
    server.kill()

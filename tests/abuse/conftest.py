import pathlib
import sys

import pytest

# The server, its processes, raw sockets and the waiting are those of the client tests, certificates those of the image's.
for folder in ("clients/python", "image"):
    sys.path.append(str(pathlib.Path(__file__).resolve().parents[1] / folder))

import cluster  # noqa: E402
from bystanders import Bystanders  # noqa: E402
from server import Gaung  # noqa: E402


@pytest.fixture
def node(request):
    """A server that is alone; the file's `SETTINGS` are its settings."""
    server = Gaung(**getattr(request.module, "SETTINGS", {}))
    yield server
    server.stop()


@pytest.fixture
def pair(request):
    """Two servers with nats-server between them; the file's `SETTINGS` are their settings."""
    with cluster.pair(**getattr(request.module, "SETTINGS", {})) as pair:
        yield pair


@pytest.fixture
def bystanders():
    """Makes honest clients of a node, measured in a process of their own."""
    started = []

    def make(node):
        started.append(Bystanders(node))
        return started[-1]

    yield make
    for bystander in started:
        bystander.end()

import contextlib
import pathlib
import sys

import pytest

# The server, its processes, raw sockets and the waiting are those of the client tests.
sys.path.append(str(pathlib.Path(__file__).resolve().parents[1] / "clients" / "python"))

from server import Gaung  # noqa: E402


@pytest.fixture
def serve():
    """Starts servers; those that still run in the end are killed."""
    with contextlib.ExitStack() as stack:
        def start(options=None, **settings):
            server = Gaung(options, **settings)
            stack.callback(server.kill)
            return server

        yield start

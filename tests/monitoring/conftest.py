import pathlib
import sys

import pytest

# The server, its processes and the waiting are those of the client tests.
sys.path.append(str(pathlib.Path(__file__).resolve().parents[1] / "clients" / "python"))

import fleet  # noqa: E402


@pytest.fixture(scope="session")
def nodes():
    """Three servers: a pair with nats-server between them, and one alone that has limits."""
    with fleet.started() as nodes:
        yield nodes

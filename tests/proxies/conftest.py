import contextlib
import pathlib
import sys

import pytest

TESTS = pathlib.Path(__file__).resolve().parents[1]

# The server, its processes, raw sockets and the waiting are those of the client tests; a cluster is that of the attacks.
sys.path += [str(TESTS / "clients" / "python"), str(TESTS / "abuse")]

import cluster  # noqa: E402
from examples import settings_of  # noqa: E402
from proxy import PROXIES  # noqa: E402


@pytest.fixture(params=PROXIES, ids=lambda kind: kind.__name__.lower())
def kind(request):
    """Each of the proxies in turn."""
    return request.param


@pytest.fixture
def start(kind, tmp_path):
    """Starts two nodes with the settings that the proxy's example tells, and the proxy before them."""
    with contextlib.ExitStack() as stack:

        def make(changes=None, **settings):
            nodes = stack.enter_context(cluster.pair(**settings_of(kind.EXAMPLE), **settings))
            proxy = kind(tmp_path, [nodes.one, nodes.other], changes)
            stack.callback(proxy.kill)
            return proxy, nodes

        yield make

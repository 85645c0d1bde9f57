"""Two nodes with a nats-server between them."""

import contextlib
import dataclasses
import urllib.error
import urllib.request

from deadline import until
from process import Process
from server import Gaung

PATIENCE = 20.0


@dataclasses.dataclass
class Pair:
    one: Gaung
    other: Gaung
    nats: Process


@contextlib.contextmanager
def pair(**settings):
    with contextlib.ExitStack() as stack:
        nats = Process(["nats-server", "-a", "127.0.0.1", "-p", "-1"])
        stack.callback(nats.kill)
        address = nats.printed(r"client connections on (127.0.0.1:[0-9]+).*Server is ready", PATIENCE)[1]
        nodes = []
        for _ in range(2):
            nodes.append(Gaung(GAUNG_NATS_URL=f"nats://{address}", GAUNG_CLUSTER_NODES="2", **settings))
            stack.callback(nodes[-1].kill)
        for node in nodes:
            until(lambda: is_ready(node), "the node is ready", PATIENCE)
        yield Pair(*nodes, nats)


def is_ready(node):
    try:
        with urllib.request.urlopen(f"{node.admin}/readyz", timeout=PATIENCE) as answer:
            return answer.status == 200
    except urllib.error.HTTPError:
        return False

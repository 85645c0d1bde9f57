"""What a node tells of itself."""

import re
import urllib.request

from deadline import PATIENCE


def connections(node):
    """Its open sockets."""
    return _of_app(node, "gaung_connections")


def deliveries(node):
    """The events that it has handed to sockets since its start."""
    return _of_app(node, "gaung_deliveries_total")


def _of_app(node, name):
    with urllib.request.urlopen(f"{node.admin}/metrics", timeout=PATIENCE) as answer:
        text = answer.read().decode()
    return int(re.search(rf"^{name}\{{.*\}} (\d+)$", text, re.MULTILINE)[1])

"""Connections that say nothing."""

import re
import urllib.request

import memory
from deadline import PATIENCE, until
from raw import connect

FIRST = 100
"""Their threads and tables are there when these have come."""

CONNECTIONS = 800


def connections(node):
    with urllib.request.urlopen(f"{node.admin}/metrics", timeout=PATIENCE) as answer:
        return int(re.search(r"^gaung_http_connections (\d+)$", answer.read().decode(), re.MULTILINE)[1])


def silent(node, count):
    """So many more connections, all of them accepted."""
    before = connections(node)
    opened = [connect(node) for _ in range(count)]
    until(lambda: connections(node) >= before + count, f"{count} connections are accepted")
    return opened


def test_a_connection_that_says_nothing_takes_two_kib_at_most(node):
    held = silent(node, FIRST)
    before = memory.mib(node)
    held += silent(node, CONNECTIONS)
    each = (memory.mib(node) - before) * 1024 / CONNECTIONS
    print(f"{len(held)} connections, {each:.2f} KiB each")
    assert each < 2

"""Strangers who make the node log as fast as they can, before a collector that has stopped reading."""

import os

import pytest

import attack
import memory
from raw import connect
from server import Gaung

SECONDS = attack.lasting(4)

MALFORMED = b"GET /up HTTP/1.1\r\nHost\r\n\r\n"


@pytest.fixture
def unread():
    """A node that logs whatever it does into a pipe that nobody reads."""
    reader, writer = os.pipe()
    server = Gaung({"stderr": writer}, GAUNG_LOG="trace")
    os.close(writer)
    yield server
    server.stop()
    os.close(reader)


def malformed_requests(end, node):
    while True:
        connection = connect(node)
        attack.flood(connection, end, [MALFORMED])
        connection.close()


def test_a_log_that_nobody_reads_keeps_nobody_waiting(unread, bystanders):
    honest = bystanders(unread)
    calm = honest.calm(SECONDS / 2)
    with attack.by(1, malformed_requests, SECONDS, unread):
        attacked = honest.during(SECONDS)
    print(f"calm: {calm}; attacked: {attacked}; the node's peak: {memory.peak_mib(unread):.0f} MiB")
    assert memory.peak_mib(unread) < 60
    assert attacked.hardly_longer_than(calm)

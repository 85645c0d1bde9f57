"""The same bursts over the server's own TLS."""

import ssl
import time

import pytest

import events
import memory
from authority import Authority
from raw import RawSocket
from readers import Readers
from server import Gaung

READERS = 60
CHANNEL = "news"

BURST_SECONDS = 1.6
"""What is posted at once takes a reader so long; more of it in that time is too much for one, whatever carries it."""


@pytest.fixture
def node(tmp_path):
    authority = Authority(tmp_path)
    certificate, key = authority.certificate("localhost")
    server = Gaung(GAUNG_TLS_CERT=str(certificate), GAUNG_TLS_KEY=str(key), GAUNG_ROOM_THREADS="1")
    server.tls = ssl.create_default_context(cafile=authority.file)
    yield server
    server.stop()


def subscriber(node):
    socket = RawSocket(node).greeted()
    socket.send_event("pusher:subscribe", {"channel": CHANNEL})
    assert socket.message()["event"] == "pusher_internal:subscription_succeeded"
    return socket


def test_a_burst_of_a_back_end_closes_nobody_who_reads_a_megabyte_a_second(node):
    readers = Readers([subscriber(node) for _ in range(READERS)], 1_000_000)
    for _ in range(5):
        events.burst(node, CHANNEL, events=10, size=10_000, posts=15)
        time.sleep(BURST_SECONDS)
    kept = readers.still_there()
    print(f"{kept} of {READERS} readers are left; the node's peak: {memory.peak_mib(node):.0f} MiB")
    assert kept == READERS

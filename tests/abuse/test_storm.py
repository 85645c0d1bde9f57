"""Thousands of sockets that come at once, and go, again and again: as after every deployment of a proxy before a node."""

import base64
import os
import resource
import select
import socket
import time

import pytest

import memory
from bystanders import SOCKETS as BYSTANDERS
from deadline import until
from metrics import connections
from server import APP

SOCKETS = int(os.environ.get("GAUNG_ABUSE_SOCKETS", "6000"))
STORMS = 3

UNDER_WAY = min(8_000, resource.getrlimit(resource.RLIMIT_NOFILE)[1] // 16)
"""Sockets that shake hands at one time: half of those for which a node keeps descriptors. Of more it would refuse some."""

AFTERWARDS = 40
"""MiB."""

PEAK = AFTERWARDS + SOCKETS / 300
"""MiB: 60 for 6,000 sockets while all of them shake hands, 90 for 15,000."""

GREETING = b"pusher:connection_established"


@pytest.fixture(autouse=True)
def descriptors():
    """All that there may be."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_a_storm_starves_nobody_who_is_there_and_its_memory_comes_back(node, bystanders):
    honest = bystanders(node)
    calm = honest.calm(2)
    began = time.monotonic()
    attacked = honest.throughout(storms, node)
    lasted = (time.monotonic() - began) / STORMS
    peak, now = memory.peak_mib(node), memory.falls_to(node, AFTERWARDS, 10)
    print(f"{SOCKETS} sockets, {STORMS} times: {peak:.0f} MiB at most, {now:.0f} MiB afterwards")
    print(f"calm: {calm}; attacked: {attacked}; a storm lasted {lasted:.1f} s")
    assert peak < PEAK
    # All that come are honest, and thousands of handshakes are work: who is there has a turn between them.
    assert attacked.p99 < lasted / 4


def storms(node):
    for number in range(STORMS):
        storm(node, f"127.0.0.{number + 2}")
        until(lambda: connections(node) <= BYSTANDERS, "the storm's sockets have gone", 30)


def storm(node, source):
    """All connect, as many at once as may shake hands, and leave when the last was greeted. Each storm has an address of its
    own, and so all its ports."""
    sockets, poll, greeted = {}, select.epoll(), 0
    while greeted < SOCKETS:
        while len(sockets) < min(SOCKETS, greeted + UNDER_WAY):
            client = connecting(node, source)
            sockets[client.fileno()] = client
            poll.register(client, select.EPOLLOUT)
        events = poll.poll(10)
        assert events, f"only {greeted} of {SOCKETS} sockets were greeted"
        for descriptor, event in events:
            client = sockets[descriptor]
            if event & select.EPOLLOUT:
                client.send(upgrade(node))
                poll.modify(client, select.EPOLLIN)
                continue
            heard = client.recv(4_096)
            if GREETING in heard:
                greeted += 1
            if GREETING in heard or not heard:
                poll.unregister(client)
            if not heard:
                # Refused, because too many shake hands: it comes again.
                sockets.pop(descriptor).close()
    for client in sockets.values():
        client.close()


def connecting(node, source):
    client = socket.socket()
    client.bind((source, 0))
    client.setblocking(False)
    client.connect_ex((node.host, node.port))
    return client


def upgrade(node):
    key = base64.b64encode(os.urandom(16)).decode()
    return (
        f"GET /app/{APP['key']}?protocol=7 HTTP/1.1\r\nHost: {node.host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n\r\n"
    ).encode()

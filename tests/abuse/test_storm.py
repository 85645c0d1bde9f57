"""Thousands of sockets that come at once, and go, again and again: as after every deployment of a proxy before a node."""

import base64
import os
import resource
import select
import socket

import memory
from server import APP

SOCKETS = 6_000
STORMS = 3

PEAK = 60
"""MiB: less than 8 KiB for each socket while all of them shake hands."""

AFTERWARDS = 40
"""MiB."""

GREETING = b"pusher:connection_established"


def test_the_memory_of_a_storm_comes_back(node):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, SOCKETS + 1_000), hard))
    for _ in range(STORMS):
        storm(node)
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    peak, now = memory.peak_mib(node), memory.falls_to(node, AFTERWARDS, 10)
    print(f"{SOCKETS} sockets, {STORMS} times: {peak:.0f} MiB at most, {now:.0f} MiB afterwards")
    assert peak < PEAK


def storm(node):
    """All connect at once, and leave when the last was greeted."""
    sockets, poll = {}, select.epoll()
    for _ in range(SOCKETS):
        client = socket.socket()
        client.setblocking(False)
        client.connect_ex((node.host, node.port))
        sockets[client.fileno()] = client
        poll.register(client, select.EPOLLOUT)
    greeted = 0
    while greeted < SOCKETS:
        events = poll.poll(10)
        assert events, f"only {greeted} of {SOCKETS} sockets were greeted"
        for descriptor, event in events:
            client = sockets[descriptor]
            if event & select.EPOLLOUT:
                client.send(upgrade(node))
                poll.modify(client, select.EPOLLIN)
            elif GREETING in client.recv(4_096):
                greeted += 1
                poll.unregister(client)
    for client in sockets.values():
        client.close()


def upgrade(node):
    key = base64.b64encode(os.urandom(16)).decode()
    return (
        f"GET /app/{APP['key']}?protocol=7 HTTP/1.1\r\nHost: {node.host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n\r\n"
    ).encode()

"""All clients of two nodes that come back at once, as after a cut of the network before them: with turns, and without, in
one run. Those who are in ping meanwhile."""

import dataclasses
import heapq
import json
import os
import resource
import select
import socket
import time

import pytest

import cluster
import raw
from server import APP
from test_storm import descriptors, upgrade  # noqa: F401

SOCKETS = int(os.environ.get("GAUNG_ABUSE_SOCKETS", "6000"))
CHANNELS = 100

COMES_BACK = 1.0
"""Seconds that pusher-js waits after 4100."""

PATIENCE = 60.0
"""Seconds in which nobody is let in."""

GREETING, SUBSCRIBED, REFUSED = b"pusher:connection_established", b"subscription_succeeded", b'"code":4100'


@pytest.mark.parametrize("rate", ["2000", "0"], ids=["with turns", "without"])
def test_all_who_come_back_at_once_are_let_in(bystanders, rate):
    with cluster.pair(GAUNG_MAX_CONNECTION_RATE=rate, GAUNG_APP_MAX_CONNECTIONS="0") as pair:
        nodes = [pair.one, pair.other]
        honest = bystanders(pair.one)
        calm = honest.calm(2)
        storm = Storm(nodes)
        attacked = honest.throughout(storm.run)
        print(f"{SOCKETS} sockets, {'a rate of ' + rate if rate != '0' else 'no rate'}: {storm}")
        print(f"calm: {calm}; meanwhile: {attacked}; p99 {attacked.p99 / calm.p99:.1f} times as long")
        assert storm.subscribed == SOCKETS
        assert storm.refusals == 0 or rate != "0"


@dataclasses.dataclass
class Client:
    node: object
    source: str
    connection: socket.socket = None
    heard: bytes = b""
    is_subscribed: bool = False


class Storm:
    """Connects, subscribes, and comes back after a refusal, as pusher-js does."""

    def __init__(self, nodes):
        self.clients = [Client(nodes[number % 2], f"127.0.1.{number % 16 + 1}") for number in range(SOCKETS)]
        self.poll = select.epoll()
        self.by_descriptor = {}
        self.waiting = []
        self.subscribed = self.refusals = self.lost = 0
        self.times = []

    def run(self):
        self.began = time.monotonic()
        for number, client in enumerate(self.clients):
            self.connect(number)
        heard_last = self.began
        while self.subscribed < SOCKETS:
            self.come_back()
            events = self.poll.poll(0.05)
            for descriptor, event in events:
                self.step(self.by_descriptor[descriptor], event)
            heard_last = time.monotonic() if events else heard_last
            assert time.monotonic() < heard_last + PATIENCE, f"only {self.subscribed} of {SOCKETS} were let in"
        for client in self.clients:
            client.connection.close()

    def come_back(self):
        while self.waiting and self.waiting[0][0] <= time.monotonic():
            self.connect(heapq.heappop(self.waiting)[1])

    def connect(self, number):
        client = self.clients[number]
        client.connection, client.heard = socket.socket(), b""
        client.connection.bind((client.source, 0))
        client.connection.setblocking(False)
        client.connection.connect_ex((client.node.host, client.node.port))
        self.by_descriptor[client.connection.fileno()] = number
        self.poll.register(client.connection, select.EPOLLOUT)

    def step(self, number, event):
        client = self.clients[number]
        if event & (select.EPOLLERR | select.EPOLLHUP):
            self.lost += 1
            return self.again(number)
        if event & select.EPOLLOUT:
            client.connection.send(upgrade(client.node))
            return self.poll.modify(client.connection, select.EPOLLIN)
        chunk = client.connection.recv(4_096)
        client.heard += chunk
        if REFUSED in client.heard:
            self.refusals += 1
            return self.again(number)
        if not chunk:
            self.lost += 1
            return self.again(number)
        if SUBSCRIBED in client.heard:
            self.subscribed += 1
            self.times.append(time.monotonic() - self.began)
            self.poll.unregister(client.connection)
        elif GREETING in client.heard and not client.is_subscribed:
            client.is_subscribed = True
            join = {"event": "pusher:subscribe", "data": {"channel": f"products.{number % CHANNELS}"}}
            client.connection.send(raw.frame(raw.TEXT, json.dumps(join).encode()))
        return None

    def again(self, number):
        client = self.clients[number]
        self.poll.unregister(client.connection)
        del self.by_descriptor[client.connection.fileno()]
        client.connection.close()
        client.is_subscribed = False
        heapq.heappush(self.waiting, (time.monotonic() + COMES_BACK, number))

    def __str__(self):
        half, last = self.times[len(self.times) // 2], self.times[-1]
        return (f"half of them are in after {half:.1f} s, all after {last:.1f} s; {self.refusals} were told to come back, "
                f"{self.lost} lost their connection")

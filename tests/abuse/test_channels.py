"""Sockets with the public key that subscribe to ever-new channels."""

import contextlib
import itertools
import json
import select
import time

import pytest

import attack
import cluster
import events
import memory
from raw import TEXT, RawSocket, frame

SECONDS = attack.lasting(6)
SOCKETS = 100

BATCHES = 100
"""Of a hundred channels each. They come again when the node has long forgotten them: the attacker sends and does little
else."""

PEAK = 100
"""MiB that neither a node nor nats-server may ever hold."""

AFTERWARDS = 40
"""MiB that they hold again within a minute."""


def _pairs():
    for first in itertools.count(0, 100):
        messages = b""
        for number in range(first, first + 100):
            for event in ("pusher:subscribe", "pusher:unsubscribe"):
                text = json.dumps({"event": event, "data": {"channel": f"never-seen-{number}"}})
                messages += frame(TEXT, text.encode())
        yield messages


def ever_new_channels(end, node):
    socket = RawSocket(node).greeted()
    attack.flood(socket.socket(), end, _pairs())


def ever_new_channels_on_many_sockets(end, node, count=SOCKETS):
    """Floods, and reads what is answered: who does not is closed after a while."""
    made = list(itertools.islice(_pairs(), BATCHES))
    sockets = [RawSocket(node).greeted().socket() for _ in range(count)]
    for open_socket in sockets:
        open_socket.setblocking(False)
    pairs, rests = itertools.cycle(made), dict.fromkeys(sockets, b"")
    while time.monotonic() < end:
        readable, writable, _ = select.select(sockets, sockets, [], 0.1)
        for open_socket in readable:
            open_socket.recv(1 << 20)
        for open_socket in writable:
            rests[open_socket] = rests[open_socket] or next(pairs)
            with contextlib.suppress(BlockingIOError):
                rests[open_socket] = rests[open_socket][open_socket.send(rests[open_socket]):]


@pytest.mark.parametrize("flood", [ever_new_channels, ever_new_channels_on_many_sockets])
def test_ever_new_channels_cost_nobody_else_anything(flood, node, bystanders):
    costs_nobody_anything({"one": node}, bystanders, flood)


def test_a_socket_that_may_send_what_it_likes_costs_nobody_else_anything(bystanders):
    with cluster.pair(GAUNG_APP_MESSAGES_PER_SECOND="0") as pair:
        costs_nobody_anything(vars(pair), bystanders, ever_new_channels_on_many_sockets, 1)


def costs_nobody_anything(processes, bystanders, flood, *arguments):
    honest = bystanders(processes["one"])
    calm = honest.calm(SECONDS / 2)
    with attack.by(1, flood, SECONDS, processes["one"], *arguments):
        attacked = honest.during(SECONDS)
    print(f"calm: {calm}; attacked: {attacked}")
    assert attacked.hardly_longer_than(calm)
    comes_back(processes)


@pytest.mark.parametrize("flood", [ever_new_channels, ever_new_channels_on_many_sockets])
def test_ever_new_channels_on_one_node_hold_up_neither_node_nor_events_between_them(flood, pair, bystanders):
    honest, ways = bystanders(pair.one), Ways(pair)
    calm, calm_on_the_way = honest.calm(SECONDS / 2), ways.calm(SECONDS / 2)
    with attack.by(1, flood, SECONDS, pair.one):
        attacked = honest.throughout(ways.during, SECONDS)
    print(f"calm: {calm}; attacked: {attacked}")
    assert attacked.hardly_longer_than(calm)
    for name, attacked in ways.delays.items():
        print(f"events {name}: calm: {calm_on_the_way[name]}; attacked: {attacked}")
        # The back end, both nodes and nats-server.
        assert attacked.hardly_longer_than(calm_on_the_way[name], processes=4)
    comes_back(vars(pair))


class Ways:
    """Events from each of two nodes to the other, and whether both are ready meanwhile."""

    def __init__(self, pair):
        self._nodes = [pair.one, pair.other]
        self._ways = {
            "from the other node": events.Delayed(pair.one, "there", published_at=pair.other),
            "to the other node": events.Delayed(pair.other, "back", published_at=pair.one),
        }
        self.delays = {}

    def calm(self, seconds):
        with attack.by(1, attack.idle_work, seconds):
            self.during(seconds)
        return self.delays

    def during(self, seconds):
        """Takes turns: half of the time for each way."""
        self.delays = {name: way.during(seconds / 2, self._are_ready) for name, way in self._ways.items()}

    def _are_ready(self):
        assert all(map(cluster.is_ready, self._nodes)), "a node is not ready"


def comes_back(processes):
    """That memory was bounded, and is given back."""
    peaks = {name: memory.peak_mib(process) for name, process in processes.items()}
    left = {name: memory.falls_to(process, AFTERWARDS, 60) for name, process in processes.items()}
    print(f"peaks in MiB: {peaks}; afterwards: {left}")
    assert max(peaks.values()) < PEAK

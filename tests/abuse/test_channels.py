"""One socket with the public key that subscribes to ever-new channels."""

import contextlib
import itertools
import json
import time

import pytest

import attack
import cluster
import memory
from raw import TEXT, RawSocket, frame

SECONDS = 6
SOCKETS = 20


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


@pytest.mark.parametrize("place", ["node", "pair"])
def test_ever_new_channels_cost_nobody_else_anything(place, request, bystanders):
    stage = request.getfixturevalue(place)
    node = stage if place == "node" else stage.one
    honest = bystanders(node)
    calm = honest.calm(SECONDS / 2)
    with attack.by(1, ever_new_channels, SECONDS, node):
        attacked = honest.during(SECONDS)
    print(f"calm: {calm}; attacked: {attacked}; the node's peak: {memory.peak_mib(node):.0f} MiB")
    assert memory.peak_mib(node) < 100
    assert attacked.hardly_longer_than(calm)


def ever_new_channels_on_many_sockets(end, node):
    sockets = [RawSocket(node).greeted().socket() for _ in range(SOCKETS)]
    for open_socket in sockets:
        open_socket.setblocking(False)
    pairs, rests = _pairs(), dict.fromkeys(sockets, b"")
    while time.monotonic() < end:
        for open_socket in sockets:
            rests[open_socket] = rests[open_socket] or next(pairs)
            with contextlib.suppress(BlockingIOError):
                rests[open_socket] = rests[open_socket][open_socket.send(rests[open_socket]):]


def test_ever_new_channels_of_many_sockets_fill_neither_node_nor_nats_server(pair):
    with attack.by(1, ever_new_channels_on_many_sockets, SECONDS, pair.one):
        pass
    peaks = {name: memory.peak_mib(process) for name, process in vars(pair).items()}
    print(f"peaks in MiB: {peaks}")
    assert max(peaks.values()) < 100
    assert cluster.is_ready(pair.one) and cluster.is_ready(pair.other)

"""Sockets with the public key that keep a thread busy with frames that are no messages."""

import select

import pytest

import attack
import memory
from raw import CONTINUATION, PING, PONG, TEXT, RawSocket, frame

SECONDS = attack.lasting(5)
SOCKETS = 10
"""Of each of two attackers."""

FLOODS = {
    "empty continuation frames": (frame(TEXT, b"", flags=0), frame(CONTINUATION, b"", flags=0)),
    "pings": (b"", frame(PING, b"")),
    "pongs": (b"", frame(PONG, b"")),
}


def frames(end, node, first, again):
    """Sends the same frame on all sockets, as fast as each takes it, reading nothing."""
    sockets = [RawSocket(node).greeted().socket() for _ in range(SOCKETS)]
    rests = dict.fromkeys(sockets, first)
    for socket in sockets:
        socket.setblocking(False)
    while attack.goes_on(end) and rests:
        for socket in select.select([], list(rests), [], 0.1)[1]:
            rest = rests[socket] or again * 10_000
            try:
                rests[socket] = rest[socket.send(rest):]
            except OSError:
                # Closed, for not reading its pongs: the others go on.
                del rests[socket]


@pytest.mark.parametrize("flood", FLOODS.values(), ids=FLOODS.keys())
def test_small_frames_cost_nobody_else_anything(flood, node, bystanders):
    honest = bystanders(node)
    calm = honest.calm(SECONDS / 2, attackers=2)
    with attack.by(2, frames, SECONDS, node, *flood):
        attacked = honest.during(SECONDS)
    print(f"calm: {calm}; attacked: {attacked}; the node's peak: {memory.peak_mib(node):.0f} MiB")
    assert memory.peak_mib(node) < 100
    assert attacked.hardly_longer_than(calm)

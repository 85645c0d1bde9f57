"""A quarter of a megabyte of signed requests each second, each of which leaves its event with a hundred cache channels."""

import json
import time
import urllib.request

import pytest

import attack
import memory
from raw import exchange, signed_post, status

SECONDS = attack.lasting(6)
REQUESTS = int(25 * SECONDS)
CHANNELS = 100
PAUSE = 0.05
DATA = "x" * 9_500

MOST = {"node": 1.25 * (20 + 32 + 64), "pair": 1.5 * (20 + 32 + 64 + 32)}
"""MiB: a node without work, the cache, and what waits for rooms; in a cluster the ring, and what is on its way to NATS. A
quarter of it is for the allocator, and in a cluster another for what has come from NATS and was not heard yet."""


def _bodies():
    for number in range(REQUESTS):
        channels = [f"cache-{number}-{channel}" for channel in range(CHANNELS)]
        yield json.dumps({"name": "e", "data": DATA, "channels": channels}).encode()


def cached_events(end, node):
    for body in _bodies():
        while (answer := status(exchange(node, signed_post(body)))) == 503 and attack.goes_on(end):
            time.sleep(PAUSE)
        assert answer == 200


def _metric(node, name):
    with urllib.request.urlopen(f"{node.admin}/metrics") as answer:
        lines = answer.read().decode().splitlines()
    return next(float(line.split()[1]) for line in lines if line.startswith(f"{name} "))


@pytest.mark.parametrize("place", ["node", "pair"])
def test_cached_events_are_held_within_their_bound_on_every_node(place, request, bystanders):
    stage = request.getfixturevalue(place)
    nodes = [stage] if place == "node" else [stage.one, stage.other]
    honest = bystanders(nodes[-1])
    calm = honest.calm(SECONDS / 2)
    with attack.by(1, cached_events, SECONDS, nodes[0]):
        attacked = honest.during(SECONDS)
    peaks = [memory.peak_mib(node) for node in nodes]
    print(f"calm: {calm}; attacked: {attacked}; peaks: {[round(peak) for peak in peaks]} MiB")
    for node in nodes:
        assert _metric(node, "gaung_cache_bytes") <= 32 * 1024 * 1024
        assert _metric(node, "gaung_cache_evictions_total") > REQUESTS * CHANNELS / 4
    assert max(peaks) < MOST[place]
    assert attacked.hardly_longer_than(calm)

"""Hours of ordinary life in short: sockets come, talk and leave on two nodes of a cluster. What the nodes hold does not
grow with it, and at the end nothing is left."""

import concurrent.futures
import itertools
import json
import multiprocessing
import os
import random
import re
import statistics
import time
import urllib.request

import cluster
import memory
import swarm
from deadline import until
from endpoint import endpoint
from raw import exchange, signed_post, status

SECONDS = float(os.environ.get("GAUNG_SOAK_SECONDS", "60"))
SOCKETS = int(os.environ.get("GAUNG_SOAK_SOCKETS", "600"))
SEED = os.environ.get("SEED", str(random.randrange(1_000_000)))

# After a fifth of the time, two minutes of ten, everybody has come and has left at least once.
SETTLED = 0.2
WINDOW = 0.1
GROWTH = 1.05
# What an allocator keeps for itself, which is more than a twentieth of a node that holds next to nothing; in a short life
# also what is remembered for minutes: keys of posts for two, for webhooks who has gone for ten.
NOISE_MIB = 1 if SECONDS >= 600 else 3
EVENTS_PER_SECOND = 20

GAUGES = [
    "gaung_connections",
    "gaung_rooms",
    "gaung_subscriptions",
    "gaung_members",
    "gaung_cache_bytes",
    "gaung_webhook_queue",
    "gaung_webhook_oldest_age_seconds",
    "gaung_cluster_queued_events",
]
WEBHOOKS = ["channel_occupied", "member_added", "member_removed", "client_event", "cache_miss"]
AT_REST = 60.0


def test_a_cluster_holds_no_more_after_a_long_life_than_after_a_short_one():
    print(f"SEED={SEED}, {SOCKETS} sockets for {SECONDS:.0f} s")
    # What nodes remember fills up in the first fifth of the time, as it does in minutes of hours.
    remembered = str(int(SECONDS * SETTLED / 2))
    with endpoint() as (url, webhooks), cluster.pair(
        GAUNG_APP_CLIENT_EVENTS="true",
        GAUNG_MAX_CONNECTIONS_PER_IP="0",
        GAUNG_TENANT_ACCESS="open",
        GAUNG_APP_WEBHOOKS=json.dumps([{"url": url, "batching": True}]),
        GAUNG_CLUSTER_RING_SECONDS=remembered,
        GAUNG_APP_CACHE_TTL_SECONDS=remembered,
    ) as pair:
        nodes = [pair.one, pair.other]
        descriptors = [_gauges(node)["process_open_fds"] for node in nodes]
        with concurrent.futures.ProcessPoolExecutor(1, multiprocessing.get_context("fork")) as processes:
            addresses = [swarm.Address(node.host, node.port) for node in nodes]
            life = processes.submit(swarm.run, addresses, SOCKETS, SECONDS, SEED)
            early, late = _watch(nodes, life)
            print(f"{life.result()} sockets lived; MiB after a fifth of the time {early}, at the end {late}")
        print(f"webhook events: {dict(webhooks)}")
        assert all(webhooks[name] for name in WEBHOOKS)
        assert all(after <= before * GROWTH + NOISE_MIB for before, after in zip(early, late))
        for node, before in zip(nodes, descriptors):
            until(lambda: not _left(node), f"nothing is left on the node: {_left(node)}", AT_REST)
            until(lambda: _gauges(node)["process_open_fds"] <= before + 2, "the descriptors are given back", AT_REST)


def _watch(nodes, life):
    """Publishes, and looks what each node holds: the median over two windows of time."""
    began, held = time.monotonic(), []
    for number in itertools.count():
        if life.done():
            break
        at = (time.monotonic() - began) / SECONDS
        held.append((at, [memory.mib(node) for node in nodes]))
        _publish(nodes, number)
        time.sleep(1 / EVENTS_PER_SECOND)
    early = [mib for at, mib in held if SETTLED <= at < SETTLED + WINDOW]
    late = [mib for at, mib in held if 1 - WINDOW <= at < 1]
    return [[round(statistics.median(of_one), 1) for of_one in zip(*window)] for window in (early, late)]


def _publish(nodes, number):
    """What a back end does: events for a channel, for one that keeps its last, for a user; each third has a key and is
    posted twice, the second time to the other node."""
    tenant = random.randrange(swarm.TENANTS)
    channels = [f"products.{tenant}", f"cache-prices.{tenant}", f"#server-to-user-{swarm.user_of(tenant, random)}"]
    event = {"name": "product.updated", "channel": channels[number % 3], "data": json.dumps({"text": "x" * 200})}
    repeats = number % 9 < 3
    if repeats:
        event["idempotency_key"] = f"{SEED}-{number}"
    body = json.dumps(event).encode()
    for node in nodes if repeats else [random.choice(nodes)]:
        assert status(exchange(node, signed_post(body))) == 200


def _left(node):
    return {name: value for name, value in _gauges(node).items() if name in GAUGES and value}


def _gauges(node):
    with urllib.request.urlopen(f"{node.admin}/metrics", timeout=10) as answer:
        text = answer.read().decode()
    sums = {}
    for name, value in re.findall(r"^([a-z_]+)(?:\{.*\})? (\S+)$", text, re.MULTILINE):
        sums[name] = sums.get(name, 0) + float(value)
    return sums

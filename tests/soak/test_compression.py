"""What compression saves on the wire and costs the node: product events to 1,000 sockets of one channel, of which all can
read compressed events or none, in turns on one node; and what an idle socket holds."""

import json
import os
import time

import memory
from audience import Audience, cpu_seconds
from back_end import back_end_of
from metrics import deliveries
from server import Gaung

SOCKETS = int(os.environ.get("GAUNG_COMPRESSION_SOCKETS", "1000"))
ROUNDS = 5
SIZES = {500: 40, 2_048: 40, 10_000: 20}
"""Bytes of an event's data, and how many of them are published in a round."""

OFFER = "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n"
PATIENCE = 30.0


def test_compressed_events_are_smaller_and_hardly_dearer():
    gaung = Gaung(GAUNG_APP_EVENTS_PER_SECOND="0", GAUNG_APP_MAX_EVENT_BYTES="20000", GAUNG_MAX_CONNECTION_RATE="0")
    try:
        idle = memory.mib(gaung)
        plain = Audience(gaung, SOCKETS, lambda _: "plain")
        after_plain = memory.mib(gaung)
        compressed = Audience(gaung, SOCKETS, lambda _: "compressed", OFFER)
        kib = 1_024 / SOCKETS
        print(f"an idle socket holds {(after_plain - idle) * kib:.1f} KiB, "
              f"one that can read compressed events {(memory.mib(gaung) - after_plain) * kib:.1f} KiB")
        for size, count in SIZES.items():
            measure(gaung, {"plain": plain, "compressed": compressed}, size, count)
    finally:
        gaung.stop()


def measure(gaung, audiences, size, count):
    costs, bytes_of = {channel: [] for channel in audiences}, {}
    for _ in range(ROUNDS):
        for channel, audience in audiences.items():
            bytes_of[channel], cost = hears(gaung, channel, audience, size, count)
            costs[channel].append(cost)
    plain, compressed = (sorted(of)[ROUNDS // 2] / (SOCKETS * count) * 1e6 for of in costs.values())
    saved = 1 - bytes_of["compressed"] / bytes_of["plain"]
    print(f"{size} bytes: {bytes_of['plain'] / count:.0f} bytes on the wire, compressed {bytes_of['compressed'] / count:.0f} "
          f"({saved:.0%} saved); CPU per delivery {plain:.2f} µs, compressed {compressed:.2f} µs ({compressed / plain:.2f} times)")
    assert saved > 0.3


def hears(gaung, channel, audience, size, count):
    """Bytes that one socket got of so many events, and the CPU seconds that the node took."""
    server, before, had = back_end_of(gaung), cpu_seconds(gaung), dict(audience.bytes)
    wanted, end = deliveries(gaung) + SOCKETS * count, time.monotonic() + PATIENCE
    for number in range(count):
        server.trigger(channel, "product.updated", products(size, number))
        audience.read(0)
    while deliveries(gaung) < wanted:
        assert time.monotonic() < end, "the events are not all sent"
        audience.read(0.05)
    while audience.read(0.2):
        pass
    got = {audience.bytes[descriptor] - before_it for descriptor, before_it in had.items()}
    assert len(got) == 1, got
    return got.pop(), cpu_seconds(gaung) - before


def products(size, number):
    """A catalogue's rows as JSON, the data of one event."""
    rows, text = [], ""
    while len(text) < size:
        row = len(rows) + number
        rows.append({"id": 1_000 + row, "sku": f"LMP-{row * 7_919 % 100_000:05}", "name": f"Lamp {row % 13} of oak",
                     "price": f"{row * 37 % 900 / 10 + 5:.2f}", "stock": row * 11 % 60, "updated_at": "2026-12-01T02:00:00Z"})
        text = json.dumps(rows)
    return text[:size]

"""What compression saves on the wire and costs the node: product events to 1,000 sockets of one channel, of which all can
read compressed events or none, in turns on one node; and what an idle socket holds."""

import json
import os
import pathlib
import select
import time

import memory
import raw
from back_end import back_end_of
from metrics import deliveries
from server import APP, Gaung

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
        plain = Audience(gaung, "plain", "")
        after_plain = memory.mib(gaung)
        compressed = Audience(gaung, "compressed", OFFER)
        kib = 1_024 / SOCKETS
        print(f"an idle socket holds {(after_plain - idle) * kib:.1f} KiB, "
              f"one that can read compressed events {(memory.mib(gaung) - after_plain) * kib:.1f} KiB")
        for size, count in SIZES.items():
            measure(gaung, plain, compressed, size, count)
    finally:
        gaung.stop()


def measure(gaung, plain, compressed, size, count):
    costs, bytes_of = {plain: [], compressed: []}, {}
    for _ in range(ROUNDS):
        for audience in (plain, compressed):
            bytes_of[audience], cost = audience.hears(gaung, size, count)
            costs[audience].append(cost)
    per_delivery = {audience: sorted(of)[ROUNDS // 2] / (SOCKETS * count) * 1e6 for audience, of in costs.items()}
    saved = 1 - bytes_of[compressed] / bytes_of[plain]
    print(f"{size} bytes: {bytes_of[plain] / count:.0f} bytes on the wire, compressed {bytes_of[compressed] / count:.0f} "
          f"({saved:.0%} saved); CPU per delivery {per_delivery[plain]:.2f} µs, compressed {per_delivery[compressed]:.2f} µs "
          f"({per_delivery[compressed] / per_delivery[plain]:.2f} times)")
    assert saved > 0.3


class Audience:
    """The sockets of one channel, which read and look at nothing."""

    def __init__(self, gaung, channel, headers):
        self.channel, self.poll = channel, select.epoll()
        self.sockets = {}
        for _ in range(SOCKETS):
            client = raw.RawSocket(gaung, headers=headers).greeted()
            client.send_event("pusher:subscribe", {"channel": channel})
            assert client.message()["event"] == "pusher_internal:subscription_succeeded"
            socket = client.socket()
            socket.setblocking(False)
            self.sockets[socket.fileno()] = client
            self.poll.register(socket, select.EPOLLIN)

    def hears(self, gaung, size, count):
        """Bytes that one socket got of so many events, and the CPU seconds that the node took."""
        server, before = back_end_of(gaung), cpu_seconds(gaung)
        got = dict.fromkeys(self.sockets, 0)
        wanted = deliveries(gaung) + SOCKETS * count
        for number in range(count):
            server.trigger(self.channel, "product.updated", products(size, number))
            self.read(got, 0)
        end = time.monotonic() + PATIENCE
        while deliveries(gaung) < wanted:
            assert time.monotonic() < end, "the events are not all sent"
            self.read(got, 0.05)
        while self.read(got, 0.2):
            pass
        sizes = set(got.values())
        assert len(sizes) == 1, sizes
        return sizes.pop(), cpu_seconds(gaung) - before

    def read(self, got, seconds):
        events = self.poll.poll(seconds)
        for descriptor, _ in events:
            got[descriptor] += len(self.sockets[descriptor].socket().recv(1 << 20))
        return bool(events)


def products(size, number):
    """A catalogue's rows as JSON, the data of one event."""
    rows, text = [], ""
    while len(text) < size:
        row = len(rows) + number
        rows.append({"id": 1_000 + row, "sku": f"LMP-{row * 7_919 % 100_000:05}", "name": f"Lamp {row % 13} of oak",
                     "price": f"{row * 37 % 900 / 10 + 5:.2f}", "stock": row * 11 % 60, "updated_at": "2026-12-01T02:00:00Z"})
        text = json.dumps(rows)
    return text[:size]


def cpu_seconds(process):
    ticks = pathlib.Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()[11:13]
    return sum(map(int, ticks)) / os.sysconf("SC_CLK_TCK")

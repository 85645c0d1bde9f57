"""How many sockets a node bears: CPU and memory of one that has so many, ten to a channel, at some rates of deliveries. The
figures of the chart's README are those of GAUNG_SIZING_SOCKETS=5000 GAUNG_SIZING_SECONDS=15."""

import os
import time

import memory
from audience import Audience, cpu_seconds
from back_end import back_end_of
from server import Gaung

SOCKETS = int(os.environ.get("GAUNG_SIZING_SOCKETS", "500"))
SECONDS = float(os.environ.get("GAUNG_SIZING_SECONDS", "2"))
PER_CHANNEL = 10
DELIVERIES = [0, SOCKETS // 10, SOCKETS * 2 // 5, SOCKETS]
"""A second, to all sockets together."""


def test_a_node_says_what_its_sockets_cost():
    gaung = Gaung(GAUNG_MAX_CONNECTION_RATE="0", GAUNG_PING_SECONDS=str(max(1, int(SECONDS / 3))))
    try:
        empty = memory.mib(gaung)
        audience = Audience(gaung, SOCKETS, lambda number: f"products.{number // PER_CHANNEL}")
        print(f"{SOCKETS} sockets: {empty:.0f} MiB before them")
        for rate in DELIVERIES:
            sent, cpu = load(gaung, audience, rate)
            print(f"{sent / SECONDS:.0f} deliveries a second, of {rate} that were wanted: {1_000 * cpu / SECONDS:.0f}m CPU, "
                  f"{memory.mib(gaung):.0f} MiB")
            assert (sent > 0) == (rate > 0)
    finally:
        gaung.stop()


def load(gaung, audience, rate):
    """Posts events for so long; how many were delivered, and the CPU seconds that this took."""
    server, data, before, began = back_end_of(gaung), "x" * 200, cpu_seconds(gaung), time.monotonic()
    posted = 0
    while (passed := time.monotonic() - began) < SECONDS:
        if posted * PER_CHANNEL < rate * passed:
            server.trigger(f"products.{posted % (SOCKETS // PER_CHANNEL)}", "product.updated", data)
            posted += 1
            audience.read(0)
        else:
            audience.read(0.01)
    return posted * PER_CHANNEL, cpu_seconds(gaung) - before

"""A client that says with every connection that it is somebody else, behind nothing that is trusted to say so."""

import re
import time

import attack
import memory
from metrics import connections
from raw import RawSocket

LIMIT = 20
SECONDS = attack.lasting(4)
ATTACKER = "127.0.0.2"
# The honest clients come through a trusted proxy, each with an address of its own; the attacker does not.
SETTINGS = {"GAUNG_MAX_CONNECTIONS_PER_IP": str(LIMIT), "GAUNG_TRUSTED_PROXIES": "127.0.0.1"}


def ever_new_addresses(end, node):
    held = []
    for number in range(1_000_000):
        if time.monotonic() >= end:
            return
        address = f"6.{number >> 16}.{number >> 8 & 255}.{number & 255}"
        socket = RawSocket(node, headers=f"X-Forwarded-For: {address}\r\n", source=ATTACKER)
        if len(held) < LIMIT:
            held.append(socket)
        else:
            socket.drop()


def test_invented_addresses_are_one_client_and_one_line_of_the_log(node, bystanders):
    honest = bystanders(node)
    calm, before = honest.calm(SECONDS / 2), connections(node)
    with attack.by(1, ever_new_addresses, SECONDS, node):
        attacked = honest.during(SECONDS * 3 / 4)
        assert connections(node) <= before + LIMIT
    print(f"calm: {calm}; attacked: {attacked}; the node's peak: {memory.peak_mib(node):.0f} MiB")
    assert len(re.findall(f"address={ATTACKER} ", node.log)) == 1
    assert memory.peak_mib(node) < 100
    assert attacked.hardly_longer_than(calm)

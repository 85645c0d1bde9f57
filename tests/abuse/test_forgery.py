"""Somebody who reaches NATS, and says there what a node would say, under ever-new names."""

import contextlib
import itertools
import json
import re
import socket
import struct
import time
import urllib.request

import attack
import memory
from deadline import until
from server import Gaung

SECONDS = attack.lasting(8)
PATIENCE = 6.0
NAMES_AT_ONCE = 100
PAUSE = 0.02


def forged_first_frames(end, address):
    subject, genuine = _overheard(address)
    connection = _connected(address)
    for first in itertools.count(0, NAMES_AT_ONCE):
        if time.monotonic() >= end:
            return
        connection.sendall(b"".join(_published(subject, _renamed(genuine, first + n)) for n in range(NAMES_AT_ONCE)))
        time.sleep(PAUSE)


def _connected(address):
    host, port = address.split(":")
    connection = socket.create_connection((host, int(port)), PATIENCE)
    connection.sendall(b'CONNECT {"verbose":false}\r\n')
    return connection


def _overheard(address):
    """The next beat of a node, and its subject."""
    connection, heard = _connected(address), b""
    with contextlib.closing(connection):
        connection.sendall(b"SUB gaung.v1.> 1\r\n")
        while True:
            heard += connection.recv(65_536)
            message = re.search(rb"MSG (\S+\.state) 1 (\d+)\r\n", heard)
            if message and len(heard) >= message.end() + int(message[2]):
                return message[1], heard[message.end():message.end() + int(message[2])]


def _renamed(frame, name):
    """A node's name is the eight bytes behind the first four."""
    return frame[:4] + struct.pack(">Q", name) + frame[12:]


def _published(subject, frame):
    return b"PUB %s %d\r\n%s\r\n" % (subject, len(frame), frame)


def _live_peers(node):
    with urllib.request.urlopen(f"{node.admin}/peers", timeout=PATIENCE) as answer:
        return sum(peer["stage"] == "live" for peer in json.load(answer))


def test_names_that_are_no_nodes_cost_nobody_anything_and_keep_no_node_out(pair, bystanders):
    address = pair.nats.printed(r"client connections on (127.0.0.1:[0-9]+).*Server is ready", PATIENCE)[1]
    honest = bystanders(pair.one)
    calm = honest.calm(SECONDS / 4)
    with attack.by(1, forged_first_frames, SECONDS, address):
        attacked = honest.during(SECONDS / 2)
        newcomer = Gaung(GAUNG_NATS_URL=f"nats://{address}", GAUNG_CLUSTER_NODES="3")
        try:
            until(lambda: _live_peers(pair.one) == 3, "the node that comes during the attack is seen", PATIENCE)
        finally:
            newcomer.kill()
    print(f"calm: {calm}; attacked: {attacked}; the node's peak: {memory.peak_mib(pair.one):.0f} MiB")
    assert memory.peak_mib(pair.one) < 100
    assert attacked.hardly_longer_than(calm)

"""Connections that are no sockets, of a stranger who knows the public key at most."""

import re
import select
import socket
import time

import attack
import memory
from deadline import until
from raw import connect
from server import APP

SECONDS = attack.lasting(4)

# Small, so that a test sees what is cut off.
SETTINGS = {"GAUNG_ANSWER_SECONDS": "1", "GAUNG_HANDSHAKE_SECONDS": "1"}

UP = b"GET /up HTTP/1.1\r\nHost: gaung\r\n\r\n"
MEBIBYTE = 1 << 20

MANY = 1_000
"""Connections of one attacker."""

FEW_LINES = 20
"""More lines than a handful of kinds have in a few seconds, and far fewer than there are requests."""


def test_bodies_that_nobody_signed_are_not_held(node, bystanders):
    honest = bystanders(node)
    calm = honest.calm(SECONDS / 2)
    before = memory.mib(node)
    with attack.by(1, half_sent_bodies, SECONDS, node, 500):
        attacked = honest.during(SECONDS)
    peak = memory.peak_mib(node)
    print(f"calm: {calm}; attacked: {attacked}; {before:.0f} MiB before, the node's peak: {peak:.0f} MiB")
    assert peak < before + 100
    assert attacked.hardly_longer_than(calm)


def test_answers_that_are_not_read_cost_nobody_anything_for_long(node, bystanders):
    honest = bystanders(node)
    calm = honest.calm(SECONDS / 2)
    with attack.by(1, pipelines, SECONDS, node, 110):
        attacked = honest.during(SECONDS)
    peak = memory.peak_mib(node)
    print(f"calm: {calm}; attacked: {attacked}; the node's peak: {peak:.0f} MiB")
    assert peak < 100
    assert attacked.hardly_longer_than(calm)
    at_rest = seconds_of_work(node)
    honest.during(1)
    assert seconds_of_work(node) - at_rest < 0.5, "the node works on although nobody asks for anything"


def test_half_a_head_does_not_stay_whatever_came_before_and_costs_nobody_anything(node, bystanders):
    honest = bystanders(node)
    calm = honest.calm(SECONDS / 2)
    waiting = [half_a_head(node, number) for number in range(100)]
    with attack.by(1, half_heads, SECONDS, node):
        attacked = honest.during(SECONDS)
    until(lambda: all(has_ended(connection) for connection in waiting), "all are closed", 10)
    peak = memory.peak_mib(node)
    print(f"calm: {calm}; attacked: {attacked}; the node's peak: {peak:.0f} MiB")
    assert peak < 100
    assert attacked.hardly_longer_than(calm)


def test_the_log_does_not_grow_at_a_strangers_pace(node, bystanders):
    honest = bystanders(node)
    calm = honest.calm(SECONDS / 2)
    before = len(node.log.splitlines())
    with attack.by(1, nonsense, SECONDS, node):
        attacked = honest.during(SECONDS)
    until(lambda: "without the header Host" in node.log, "the nonsense is logged", 10)
    lines = node.log.splitlines()[before:]
    assert len(lines) < FEW_LINES, lines[:FEW_LINES]
    assert re.search(r"without the header Host.*127\.0\.0\.1", node.log)
    assert attacked.hardly_longer_than(calm)


def half_heads(end, node):
    """As many connections as there may be, each with half a second head."""
    waiting = []
    while attack.goes_on(end):
        waiting.append(half_a_head(node, len(waiting)))
        if len(waiting) == MANY:
            for connection in waiting:
                connection.close()
            waiting.clear()


def half_a_head(node, number):
    """A connection that was answered once, and has sent some bytes of its next head."""
    connection = connect(node)
    connection.sendall(UP)
    assert connection.recv(4_096).startswith(b"HTTP/1.1 200 ")
    connection.sendall(UP[: 1 + number % (len(UP) - 1)])
    return connection


def half_sent_bodies(end, node, count):
    """Connections that keep back the last byte of what they announce."""
    head = f"POST /apps/{APP['id']}/events?auth_key={APP['key']} HTTP/1.1\r\nHost: x\r\nContent-Length: {MEBIBYTE}\r\n\r\n"
    send_and_wait(end, node, [head.encode() + bytes(MEBIBYTE - 1)] * count)


def pipelines(end, node, count):
    send_and_wait(end, node, [UP * (MEBIBYTE // len(UP))] * count)


def send_and_wait(end, node, requests):
    """Sends each on a connection of its own, as far as the server takes it, and reads nothing."""
    rest = {}
    for request in requests:
        connection = small(node)
        connection.setblocking(False)
        rest[connection] = request
    while time.monotonic() < end:
        _, writable, _ = select.select([], [connection for connection in rest if rest[connection]], [], 0.1)
        for connection in writable:
            try:
                rest[connection] = rest[connection][connection.send(rest[connection][:65_536]):]
            except BlockingIOError:
                continue
            except OSError:
                rest[connection] = b""


def small(node):
    """A connection for which the kernel keeps little that was not read."""
    connection = socket.socket()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
    connection.connect((node.host, node.port))
    return connection


def nonsense(end, node):
    while time.monotonic() < end:
        with connect(node) as connection:
            connection.sendall(b"GET / HTTP/1.1\r\n\r\n")
            connection.recv(4_096)


def has_ended(connection):
    """Whether the server has closed it, after whatever it said."""
    connection.setblocking(False)
    try:
        while connection.recv(4_096):
            pass
        return True
    except BlockingIOError:
        return False
    except OSError:
        return True


def seconds_of_work(process):
    """What the process has had of the cores until now."""
    with open(f"/proc/{process.pid}/stat") as stat:
        fields = stat.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / 100

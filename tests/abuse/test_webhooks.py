"""Client events without a rate, for webhooks that nobody takes: two endpoints, one deaf and one that is not there."""

import contextlib
import hashlib
import hmac
import json
import socket

import pytest

import attack
import memory
from raw import TEXT, RawSocket, frame
from server import APP, Gaung

SECONDS = attack.lasting(6)
CHANNEL = "private-flood"


@pytest.fixture
def node():
    with contextlib.ExitStack() as stack:
        deaf = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        absent = socket.create_server(("127.0.0.1", 0))
        ports = [deaf.getsockname()[1], absent.getsockname()[1]]
        absent.close()
        headers = {"X-Custom": "x" * 200}
        endpoints = [{"url": f"http://127.0.0.1:{port}/hook", "headers": headers} for port in ports]
        server = Gaung(
            GAUNG_APP_CLIENT_EVENTS="true",
            GAUNG_APP_CLIENT_EVENTS_PER_SECOND="0",
            GAUNG_APP_MESSAGES_PER_SECOND="0",
            GAUNG_APP_WEBHOOKS=json.dumps(endpoints),
        )
        stack.callback(server.kill)
        yield server


def _subscribed(node):
    socket = RawSocket(node)
    socket_id = json.loads(socket.message()["data"])["socket_id"]
    signature = hmac.new(APP["secret"].encode(), f"{socket_id}:{CHANNEL}".encode(), hashlib.sha256).hexdigest()
    socket.send_event("pusher:subscribe", {"channel": CHANNEL, "auth": f"{APP['key']}:{signature}"})
    assert socket.message()["event"] == "pusher_internal:subscription_succeeded"
    return socket


def client_events(end, node):
    event = json.dumps({"event": "client-x", "channel": CHANNEL, "data": {"x": 1}})
    batch = frame(TEXT, event.encode()) * 100
    attack.flood(_subscribed(node).socket(), end, iter(lambda: batch, None))


def test_client_events_without_a_rate_fill_no_memory_with_webhooks(node, bystanders):
    honest = bystanders(node)
    calm = honest.calm(SECONDS / 2)
    with attack.by(1, client_events, SECONDS, node):
        attacked = honest.during(SECONDS)
    print(f"calm: {calm}; attacked: {attacked}; the node's peak: {memory.peak_mib(node):.0f} MiB")
    # Two endpoints hold 16 MiB each; the node alone has some 15.
    assert memory.peak_mib(node) < 100
    assert attacked.hardly_longer_than(calm)

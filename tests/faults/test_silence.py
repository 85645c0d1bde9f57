"""A thread that stands still: who asks for what only it knows is told so, and not that there is nothing."""

import contextlib
import hashlib
import hmac
import http.client
import json
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

import probe
import threads
from deadline import until
from raw import RawSocket
from server import APP

PATIENCE = 20
"""Seconds: the server itself waits 5 s for each of its threads."""

QUESTIONS = [
    ("GET", "channels", {}, None),
    ("GET", "channels/orders", {"info": "subscription_count"}, None),
    ("GET", "channels/cache-orders", {"info": "cache"}, None),
    ("GET", "channels/presence-orders/users", {}, None),
    ("POST", "events", {}, {"name": "never", "channel": "orders", "data": "{}", "info": "subscription_count"}),
    ("POST", "batch_events", {}, {"batch": [{"name": "never", "channel": "orders", "data": "{}",
                                             "info": "subscription_count"}]}),
]


def ask(server, question):
    """Status, text and `Retry-After` of the answer to a signed request."""
    method, what, parameters, body = question
    path, body = f"/apps/{APP['id']}/{what}", json.dumps(body) if body else ""
    parameters = {**parameters, "auth_key": APP["key"], "auth_timestamp": int(time.time()), "auth_version": "1.0"}
    if body:
        parameters["body_md5"] = hashlib.md5(body.encode()).hexdigest()
    query = "&".join(f"{name}={value}" for name, value in sorted(parameters.items()))
    signature = hmac.new(APP["secret"].encode(), f"{method}\n{path}\n{query}".encode(), "sha256").hexdigest()
    with contextlib.closing(http.client.HTTPConnection(server.host, server.port, timeout=PATIENCE)) as connection:
        connection.request(method, f"{path}?{query}&auth_signature={signature}", body)
        answer = connection.getresponse()
        return answer.status, answer.read().decode(), answer.headers["Retry-After"]


def ask_all(server):
    with ThreadPoolExecutor(len(QUESTIONS)) as pool:
        return list(pool.map(lambda question: ask(server, question), QUESTIONS))


def room_thread(server):
    """The one without which the node says that its rooms do not answer."""
    for thread in threads.named(server, "actix-rt"):
        with threads.held(thread):
            with contextlib.suppress(TimeoutError):
                _, text = probe.ask(f"{server.admin}/readyz")
                if json.loads(text)["checks"]["rooms"] != "ok":
                    return thread
    raise AssertionError("no thread has the rooms")


def bus_thread(server):
    return threads.named(server, "gaung-bus")[0]


@pytest.mark.parametrize("find", [room_thread, bus_thread])
def test_who_asks_a_thread_that_stands_still_gets_503_and_nothing_is_published(serve, nats, find):
    settings = {"GAUNG_NATS_URL": f"nats://{nats.address}"} if find == bus_thread else {}
    server = serve(GAUNG_ROOM_THREADS="1", GAUNG_HTTP_THREADS="1", **settings)
    until(lambda: probe.readiness(server)[0], "the server is ready", PATIENCE)
    socket = RawSocket(server).greeted()
    socket.send_event("pusher:subscribe", {"channel": "orders"})
    assert socket.message()["event"] == "pusher_internal:subscription_succeeded"
    assert [status for status, _, _ in ask_all(server)[:4]] == [200] * 4
    for _ in range(2):
        assert socket.message()["event"] == "never"
    thread = find(server)
    with threads.held(thread):
        for question, (status, text, retry_after) in zip(QUESTIONS, ask_all(server)):
            assert (status, retry_after) == (503, "1"), f"{question}: {text}"
            assert "do not answer" in text
    until(lambda: [status for status, _, _ in ask_all(server)[:4]] == [200] * 4, "it goes on", PATIENCE)
    # What was asked last was published, and nothing that was refused.
    for _ in range(2):
        assert socket.message()["event"] == "never"
    socket.still_works()
    server.stop()

"""A thread that panics or ends takes the process with it, and the log says which: no half of a server stays."""

import json

import pytest

import probe
import threads
from deadline import until

FAULT = 70

NAMES = {"actix-rt": 3, "actix-server": 2}
"""What threads of rooms, webhooks and requests, and what those that accept connections are called, and how many there are
at least."""

WATCHED_AFTER = 3
"""Seconds after which the server has seen all its threads twice."""


@pytest.fixture
def servers(serve):
    """Starts a server for each thread of this name."""

    def start(name):
        first = serve()
        count = until(lambda: len(threads.named(first, name)) >= NAMES[name] and len(threads.named(first, name)),
                      "all threads run")
        return [first, *(serve() for _ in range(count - 1))]

    return start


@pytest.mark.parametrize("name", NAMES)
def test_a_panic_in_any_thread_ends_the_process_and_the_log_says_where(servers, name):
    for number, server in enumerate(servers(name)):
        threads.panic(nth(server, name, number))
        assert server.has_ended() == FAULT, server.log
        assert "a thread panicked" in server.log
        assert ".rs:" in server.log


@pytest.mark.parametrize("name", NAMES)
def test_a_thread_that_ends_ends_the_process_and_the_log_says_which(servers, name):
    for number, server in enumerate(servers(name)):
        until(lambda: uptime(server) >= WATCHED_AFTER, "the server knows its threads", WATCHED_AFTER * 3)
        threads.kill(nth(server, name, number))
        assert server.has_ended() == FAULT, server.log
        assert f"thread {name}" in server.log


def nth(server, name, number):
    return until(lambda: threads.named(server, name)[number:], "the thread runs")[0]


def uptime(server):
    return json.loads(probe.readiness(server)[1])["uptime_seconds"]

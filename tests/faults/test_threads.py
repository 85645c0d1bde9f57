"""A thread that panics or ends takes the process with it, and the log says which: no half of a server stays."""

import json

import pytest

import probe
import threads
from apps import settings
from deadline import until
from raw import RawSocket

FAULT = 70

NAMES = {"actix-rt": 3, "actix-server": 2}
"""What threads of rooms, webhooks and requests, and what those that accept connections are called, and how many there are
at least."""

WAITING_FOR_EVENTS = ["gaung-bus", "gaung"]
"""The threads of a node of a cluster that are there once and run tasks: the one that talks to NATS, and the main one."""

WAITING_FOR_WORK = ["gaung-bus", "log", "apps-file", "certificate"]
"""The threads that do one thing each."""

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


@pytest.fixture
def node(serve, nats, file, pair):
    """A server with all the threads that there are: one of a cluster, with an apps file and a certificate."""
    cert, key = pair
    return serve(GAUNG_NATS_URL=f"nats://{nats.address}", GAUNG_TLS_CERT=str(cert), GAUNG_TLS_KEY=str(key),
                 **settings(file))


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


@pytest.mark.parametrize("name", WAITING_FOR_EVENTS)
def test_a_panic_in_a_thread_of_a_node_of_a_cluster_ends_the_process_and_the_log_says_where(node, name):
    threads.panic(nth(node, name, 0))
    assert node.has_ended() == FAULT, node.log
    assert "a thread panicked" in node.log
    assert ".rs:" in node.log


@pytest.mark.parametrize("name", WAITING_FOR_WORK)
def test_a_thread_with_one_task_that_ends_ends_the_process_and_the_log_says_which(node, name):
    until(lambda: uptime(node) >= WATCHED_AFTER, "the server knows its threads", WATCHED_AFTER * 3)
    threads.kill(nth(node, name, 0))
    assert node.has_ended() == FAULT, node.log
    # Nobody is left to write that the log's own thread has ended.
    assert name == "log" or f"thread {name} has ended" in node.log


def test_nothing_depends_on_the_thread_that_watches_the_others(serve):
    server = serve()
    watch = nth(server, "thread-watch", 0)
    threads.kill(watch)
    until(lambda: watch not in threads.named(server, ""), "the thread has ended")
    socket = RawSocket(server).greeted()
    assert probe.readiness(server)[0] and probe.takes_events(server)
    socket.still_works()
    socket.drop()
    server.stop()


def nth(server, name, number):
    return until(lambda: threads.named(server, name)[number:], "the thread runs")[0]


def uptime(server):
    return json.loads(probe.ask(f"{server.admin}/readyz")[1])["uptime_seconds"]

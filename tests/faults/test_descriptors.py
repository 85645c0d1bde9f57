"""A server that has few file descriptors: it takes sockets as long as some are left for requests and its operator."""

import contextlib
import os
import resource
import socket
import subprocess

import pytest

import probe
from deadline import until
from raw import RawSocket
from server import binary

LIMIT = 256
STORM = 400
"""Connections: more than there are descriptors."""


@pytest.fixture
def server(serve):
    """With few descriptors, and clients that have enough."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 4_096), hard))
    return serve({"preexec_fn": lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (LIMIT, LIMIT))},
                 GAUNG_HTTP_THREADS="1", GAUNG_ROOM_THREADS="1")


@pytest.fixture
def open_sockets():
    """What a test opens, closed in the end."""
    with contextlib.ExitStack() as stack:
        def add(connection):
            stack.callback(connection.drop if isinstance(connection, RawSocket) else connection.close)
            return connection

        yield add


def test_a_node_full_of_sockets_answers_its_operator_and_back_ends_and_says_that_it_is_full(server, open_sockets):
    sockets = int(probe.metric(server, "gaung_max_connections"))
    assert 32 <= sockets < LIMIT - 100
    greeted = [open_sockets(RawSocket(server)).greeted() for _ in range(sockets)]
    refused = [open_sockets(RawSocket(server)) for _ in range(5)]
    assert [socket.close_code() for socket in refused] == [4100] * 5
    probe.throughout(lambda: works_though_it_is_full(server))
    for socket in greeted:
        socket.still_works()
        socket.drop()
    until(lambda: probe.readiness(server)[0], "there is room again")
    server.stop()


def test_a_node_with_more_idle_connections_than_it_has_descriptors_answers_its_operator(server, open_sockets):
    greeted = open_sockets(RawSocket(server)).greeted()
    storm = [open_sockets(socket.create_connection((server.host, server.port))) for _ in range(STORM)]
    for path in ("livez", "readyz", "metrics"):
        assert probe.ask(f"{server.admin}/{path}")[0] == 200
    assert probe.metric(server, "process_open_fds") < LIMIT - 64
    probe.throughout(lambda: probe.is_alive(server) and probe.metric(server, "process_open_fds") < LIMIT - 64)
    greeted.still_works()
    for connection in storm:
        connection.close()
    until(lambda: takes_events_again(server), "the API answers again")
    assert "Error accepting" not in server.log
    server.stop()


def test_a_server_with_too_few_descriptors_says_how_many_it_needs():
    environment = {"PATH": os.environ["PATH"], "GAUNG_PORT": "0", "GAUNG_ADMIN_PORT": "0", "GAUNG_HTTP_THREADS": "1",
                   "GAUNG_ROOM_THREADS": "1"}
    few = lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (100, 100))  # noqa: E731
    done = subprocess.run([binary()], env=environment, capture_output=True, text=True, timeout=30, preexec_fn=few)
    assert done.returncode == 1
    assert "may open 100 file descriptors, and needs some 212 with so many threads" in done.stderr


def works_though_it_is_full(server):
    assert probe.is_alive(server)
    ready, text = probe.readiness(server)
    assert not ready and f"{LIMIT} file descriptors" in text
    assert probe.metric(server, "gaung_ready") == 0
    return probe.takes_events(server)


def takes_events_again(server):
    with contextlib.suppress(OSError):
        return probe.takes_events(server)

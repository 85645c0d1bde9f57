"""A log that cannot be written stops nothing: not the start, not the service, not the end."""

import contextlib
import json
import os
import signal
import threading

import pytest

import probe
from apps import OTHER, knows, replace, settings
from deadline import until
from raw import RawSocket, exchange, signed_post, status
from server import APP

FLOOD = {"GAUNG_LOG": "trace"}

TRACED_EVENT = json.dumps({"name": "e", "data": "{}", "channels": [f"{n:0150}" for n in range(100)]}).encode()
TRACE = "traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01\r\n"
"""An event whose channels the log names, all 15 KB of them."""


@contextlib.contextmanager
def full_device():
    with open("/dev/full", "w") as full:
        yield full


@contextlib.contextmanager
def gone_reader():
    """A pipe whose reader goes when the servers have started."""
    reader, writer = os.pipe()
    yield writer
    os.close(writer)
    os.close(reader)


def test_a_server_whose_log_is_on_a_full_device_starts_serves_and_drains(serve):
    with full_device() as full:
        server = serve({"stderr": full}, **FLOOD)
    serves(server)
    until(lambda: probe.metric(server, "gaung_log_lines_dropped_total") > 0, "the lines are counted as dropped")
    drains(server)


def test_a_server_whose_logs_reader_is_gone_serves_and_drains(serve):
    with gone_reader() as writer:
        server = serve({"stderr": writer})
    serves(server)
    # The log says that it was asked, to nobody.
    server.signal(signal.SIGHUP)
    until(lambda: probe.metric(server, "gaung_log_lines_dropped_total") > 0, "the lines are counted as dropped")
    serves(server)
    drains(server)


def test_a_server_whose_log_nobody_reads_serves_and_drains(serve):
    reader, writer = os.pipe()
    server = serve({"stderr": writer}, **FLOOD)
    os.close(writer)

    until(lambda: has_dropped(server), "more is logged than may wait", 60)
    serves(server)
    drains(server)
    os.close(reader)


def test_a_log_that_can_be_written_again_says_how_many_lines_were_dropped(serve):
    reader, writer = os.pipe()
    server = serve({"stderr": writer}, **FLOOD)
    os.close(writer)
    until(lambda: has_dropped(server), "more is logged than may wait", 60)
    log = b""

    def read():
        nonlocal log
        while piece := os.read(reader, 65_536):
            log += piece

    reading = threading.Thread(target=read)
    reading.start()
    until(lambda: b"log lines were dropped" in log, "the log says that lines were dropped", 30)
    drains(server)
    reading.join()
    os.close(reader)


def has_dropped(server):
    """Makes the server log much at once, and tells whether it dropped any of it."""
    for _ in range(20):
        assert status(exchange(server, signed_post(TRACED_EVENT, headers=TRACE))) == 200
    return probe.metric(server, "gaung_log_lines_dropped_total") > 0


def serves(server):
    def everybody():
        assert probe.is_alive(server)
        assert probe.readiness(server)[0]
        assert probe.takes_events(server)
        socket = RawSocket(server).greeted()
        socket.still_works()
        socket.drop()
        return True

    probe.throughout(everybody)


def drains(server):
    """In order: the sockets hear of it."""
    socket = RawSocket(server).greeted()
    server.terminate()
    assert socket.close_code() == 4200
    socket.drop()
    assert server.has_ended() == 0


@pytest.mark.parametrize("log", [full_device, gone_reader])
def test_nodes_whose_logs_cannot_be_written_find_one_another_again_after_an_outage_of_nats(log, serve, nats):
    with log() as stderr:
        nodes = [serve({"stderr": stderr}, GAUNG_NATS_URL=f"nats://{nats.address}") for _ in range(2)]
    one, other = nodes
    until_all(nodes, lambda node: probe.readiness(node)[0], "the nodes are in step")

    def outage():
        until_all(nodes, is_cut_off, "the nodes notice")
        probe.throughout(lambda: all(map(probe.is_alive, nodes)))

    nats.restart(outage)
    until_all(nodes, lambda node: not is_cut_off(node), "the nodes are connected again")
    assert all(probe.metric(node, "gaung_log_lines_dropped_total") > 0 for node in nodes)
    socket = RawSocket(other).greeted()
    socket.send_event("pusher:subscribe", {"channel": "probe"})
    assert socket.message()["event"] == "pusher_internal:subscription_succeeded"
    assert probe.takes_events(one)
    assert socket.message()["event"] == "probe"
    socket.drop()
    drains(one)
    drains(other)


@pytest.mark.parametrize("log", [full_device, gone_reader])
def test_a_server_whose_log_cannot_be_written_follows_its_apps_file_and_hears_sighup(log, serve, file):
    with log() as stderr:
        server = serve({"stderr": stderr}, **settings(file))
    replace(file, [APP, OTHER])
    until(lambda: knows(server, OTHER), "the file is read again")
    # That nothing has changed is another line for nobody.
    before = probe.metric(server, "gaung_log_lines_dropped_total")
    server.signal(signal.SIGHUP)
    until(lambda: probe.metric(server, "gaung_log_lines_dropped_total") > before, "the signal is heard")
    replace(file, [APP])
    server.signal(signal.SIGHUP)
    until(lambda: not knows(server, OTHER), "the file is read once more")
    serves(server)
    drains(server)


def until_all(nodes, condition, what):
    for node in nodes:
        until(lambda: condition(node), what, 30)


def is_cut_off(node):
    return probe.metric(node, "gaung_cluster_connected") == 0

"""The HTTP transports of pusher-js behind each proxy: with the file of the documentation as it is, and with proxies that
are set up worse."""

import contextlib
import http.client
import itertools
import json
import re
import time

import pytest

from deadline import until
from examples import FOLDER
from metrics import connections
from page import PATIENCE, are_on, on_both, pages
from proxy import Caddy, Haproxy, Nginx, Traefik
from raw import RawSocket, signed_post, status
from server import APP
from traffic import ask

EVENTS, BATCH = 300, 10
LONG = "x" * 2_000
"""So long that a stream is full, and goes on in the next answer, twice among that many events."""


COLLECTING = {
    Nginx: {
        "proxy_buffering off;\n        # Som": "proxy_buffering on;\n        proxy_ignore_headers X-Accel-Buffering;\n# Som",
    },
    Haproxy: {"balance hash": "http-response wait-for-body time 60s\n    balance hash"},
    Caddy: {"lb_policy header": "response_buffers 1MiB\n\t\t\tlb_policy header"},
    Traefik: {
        "      service: xhr\n": "      service: xhr\n      middlewares: [collects]\n",
        "  middlewares:\n    #": "  middlewares:\n    collects:\n      buffering:\n        memResponseBodyBytes: 1048576\n    #",
    },
}
"""How each proxy is told to pass on an answer when it has all of it."""


@pytest.fixture
def page():
    with pages() as make:
        yield make


@pytest.mark.parametrize("transport", ["xhr_streaming", "xhr_polling"])
def test_a_session_stays_with_its_node_and_hears_everything(start, page, transport):
    proxy, nodes = start()
    made = on_both(page, proxy, nodes, transport)
    publish(proxy, LONG)
    for client in made:
        hears_all(client)
        assert (client.times_connecting(), client.transport()) == (1, transport), client.log


def test_an_event_of_a_stream_is_not_held_for_the_next(start, page):
    """Each is published when the one before was heard: with 200 ms for each, as HAProxy has it, it would take 30 s."""
    proxy, nodes = start()
    client = page(proxy, "xhr_streaming").subscribed()
    end = time.monotonic() + PATIENCE
    for number in range(150):
        answer = ask(proxy, signed_post(b'{"name":"e","channel":"news","data":"{}"}', host=proxy.host))
        assert status(answer) == 200, answer
        client.heard.times(number + 1, "e", "news", end - time.monotonic())


def test_streams_need_no_hash_since_nodes_pass_on_what_is_sent(start, kind, page):
    proxy, nodes = start(kind.ROUND_ROBIN)
    channels = ["news", *(f"channel-{number}" for number in range(9))]
    client = page(proxy, "xhr_streaming", ",".join(channels)).subscribed(len(channels))
    publish(proxy, "short")
    hears_all(client)
    assert client.times_connecting() == 1, client.log


def test_a_node_that_is_stopped_costs_its_pages_a_new_session(start, page):
    proxy, nodes = start()
    made = on_both(page, proxy, nodes, "xhr_streaming,xhr_polling") + on_both(page, proxy, nodes, "xhr_polling")
    nodes.one.terminate()
    until(nodes.one.has_gone, "the node ends", PATIENCE + 10)
    are_on(nodes.other, len(made))
    for client in made:
        client.subscribed(client.times_connecting())
    publish(proxy, "short")
    for client in made:
        hears_all(client)


@pytest.mark.parametrize("prefix", ["", "/realtime"])
@pytest.mark.parametrize("way", ["/app/{key}", "/pusher/app/{key}", "/pusher/app/{key}/a-page-with-a-name-of-its-own"])
def test_every_request_below_the_path_of_a_session_comes_to_its_node(start, way, prefix):
    proxy, nodes = start(GAUNG_PATH_PREFIX=prefix)
    for number in range(20):
        session = f"{prefix}{way.format(key=APP['key'])}/{number}/session{number}"
        heard = posted(proxy, f"{session}/xhr?protocol=7&n=1")
        assert heard.startswith("o{}\n"), heard
        # Two, so that a proxy which takes the nodes in turn is found out.
        for n, channel in ((2, "news"), (3, "more")):
            assert posted(proxy, f"{session}/xhr_send?n={n}", subscription(channel)) == ""
        requests = itertools.count(4)
        while heard.count("subscription_succeeded") < 2:
            heard += posted(proxy, f"{session}/xhr?n={next(requests)}")
            assert "\nc[" not in heard, "a receive came to another node"


def test_the_question_of_a_browser_passes(start):
    proxy, nodes = start()
    for act in ("xhr_streaming", "xhr", "xhr_send"):
        answer = ask(
            proxy,
            f"OPTIONS /pusher/app/{APP['key']}/1/abcdefgh/{act}?n=1 HTTP/1.1\r\nHost: {proxy.host}\r\n"
            "Connection: close\r\n"
            "Origin: https://shop.example\r\nAccess-Control-Request-Method: POST\r\n"
            "Access-Control-Request-Headers: content-type\r\n\r\n".encode(),
        )
        assert status(answer) == 204, answer
        head = answer.decode().lower()
        assert "access-control-allow-origin: https://shop.example\r\n" in head
        assert "access-control-allow-headers: content-type\r\n" in head


def test_a_proxy_that_collects_answers_leaves_polling(start, kind, page):
    proxy, nodes = start(COLLECTING[kind])
    either = page(proxy, "xhr_streaming,xhr_polling").subscribed()
    polling = page(proxy, "xhr_polling").subscribed()
    # nginx does not hold everything: here it passes on the last events with what comes next, after 25 s at most.
    assert either.transport() == ("xhr_streaming" if kind is Nginx else "xhr_polling"), either.log
    publish(proxy, LONG)
    hears_all(polling)
    hears_all(either, patience=40)


@pytest.mark.parametrize("kind", [Nginx], ids=["nginx"])
def test_the_map_of_the_chart_s_page_keeps_sessions_and_spreads_the_rest(start, page):
    """An Ingress has one group of nodes for everything."""
    by_map = "    hash $gaung_path consistent;"
    proxy, nodes = start(
        {
            "map $http_upgrade": f"{map_for_ingresses()}map $http_upgrade",
            "    least_conn;": by_map,
            "    hash $gaung_session consistent;": by_map,
        }
    )
    sockets = [RawSocket(proxy).greeted() for _ in range(16)]
    assert all(connections(node) for node in (nodes.one, nodes.other))
    for socket in sockets:
        socket.drop()
    for node in (nodes.one, nodes.other):
        are_on(node, 0)
    made = on_both(page, proxy, nodes, "xhr_polling")
    publish(proxy, LONG)
    for client in made:
        hears_all(client)
        assert client.times_connecting() == 1, client.log


@pytest.mark.parametrize("kind", [Nginx], ids=["nginx"])
def test_a_quiet_stream_outlives_a_time_limit_of_28_seconds(start, page, tmp_path):
    proxy, nodes = start(limit_of(28))
    worse = Nginx(tmp_path / "worse", [nodes.one, nodes.other], limit_of(15))
    try:
        client = page(proxy, "xhr_streaming").subscribed()
        # They show that there is a limit, and that its time has passed.
        for _ in range(2):
            assert is_cut_off(worse)
    finally:
        worse.kill()
    publish(proxy, "short")
    hears_all(client)
    assert client.times_connecting() == 1, client.log


def map_for_ingresses():
    page = (FOLDER.parents[1] / "helm" / "gaung" / "README.md").read_text()
    return re.search(r"^```nginx\n(map .*?)^```$", page, re.MULTILINE | re.DOTALL)[1]


def limit_of(seconds):
    every = "# Something comes every 25 s.\n        proxy_read_timeout"
    return {f"{every} 60s;": f"{every} {seconds}s;"}


def is_cut_off(proxy):
    """Reads a stream until there is no more of it; returns whether it broke off."""
    connection = http.client.HTTPConnection(proxy.host, proxy.port, timeout=PATIENCE)
    with contextlib.closing(connection):
        connection.request("POST", f"/app/{APP['key']}/1/abcdefgh/xhr_streaming")
        try:
            return connection.getresponse().read() is None
        except http.client.IncompleteRead as broken:
            return b"connection_established" in broken.partial


def subscription(channel):
    return json.dumps([json.dumps({"event": "pusher:subscribe", "data": {"channel": channel}})])


def publish(proxy, text):
    for first in range(0, EVENTS, BATCH):
        numbers = range(first, first + BATCH)
        batch = [{"name": "e", "channel": "news", "data": json.dumps([number, text])} for number in numbers]
        body = json.dumps({"batch": batch}).encode()
        answer = ask(proxy, signed_post(body, "batch_events", host=proxy.host))
        assert status(answer) == 200, answer


def hears_all(client, patience=PATIENCE):
    numbers = [event["data"][0] for event in client.heard.times(EVENTS, "e", "news", patience)]
    assert sorted(numbers) == list(range(EVENTS))


def posted(proxy, path, body=""):
    """The body of the answer to a request."""
    with contextlib.closing(http.client.HTTPConnection(proxy.host, proxy.port, timeout=PATIENCE)) as connection:
        connection.request("POST", path, body, {"Content-Type": "application/json"})
        answer = connection.getresponse()
        assert answer.status in (200, 204), answer.status
        return answer.read().decode()

"""Two nodes behind each proxy: a node that goes or dies is noticed by nobody but its own sockets, and those come back."""

from deadline import until
from process import STOP_PATIENCE
from raw import RawSocket
from traffic import Traffic

LONGER = 1.0
"""Seconds that the slowest client may take longer while a node goes than before it, or than who has nothing to do with that
node: a machine that stands still does so for both."""


def test_a_node_that_is_stopped_costs_no_client_and_no_post(start):
    proxy, nodes = start()
    held = [RawSocket(proxy).greeted() for _ in range(12)]
    with Traffic(proxy) as traffic, Traffic(nodes.other) as beside:
        enough(traffic)
        calm = traffic.slowest()
        nodes.one.terminate()
        # Lag, window and what the end may take.
        until(nodes.one.has_gone, "the node ends", STOP_PATIENCE + 10)
        enough(traffic)
        slowest, unconcerned = traffic.slowest(), beside.slowest()
    print(f"{traffic.done}; the slowest took {calm * 1_000:.0f} ms before the node went, {slowest * 1_000:.0f} after")
    print(f"it took {unconcerned * 1_000:.0f} ms without the proxy and that node")
    assert traffic.failures == beside.failures == [], proxy.log
    assert slowest < max(calm, unconcerned) + LONGER
    sent_away = [client for client in held if client.has_heard()]
    assert 0 < len(sent_away) < len(held), "the proxy had not spread the sockets over both nodes"
    for client in sent_away:
        assert client.close_code() == 4200
        held.remove(client)
        client.drop()
    held += [RawSocket(proxy).greeted() for _ in sent_away]
    for client in held:
        client.still_works()
        client.drop()


def test_a_node_that_dies_is_passed_over(start):
    proxy, nodes = start()
    nodes.one.kill()
    for _ in range(20):
        RawSocket(proxy).greeted().drop()


def test_an_address_that_a_client_invents_is_not_believed(start):
    proxy, nodes = start(GAUNG_MAX_CONNECTIONS_PER_IP="1")
    limits, clients = 0, []
    for number in range(4):
        clients.append(RawSocket(proxy, headers=f"X-Forwarded-For: 6.6.6.{number}\r\n", source="127.0.0.2"))
        message = clients[-1].message()
        if message["event"] == "pusher:error":
            assert "GAUNG_MAX_CONNECTIONS_PER_IP" in message["data"]["message"]
            limits += 1
    assert 2 <= limits <= 3, "each node takes one socket of the client, wherever it says to be"
    lines = [line for node in (nodes.one, nodes.other) for line in node.log.splitlines() if "address=127.0.0.2" in line]
    assert 1 <= len(lines) <= 2, "each node tells once in a minute of an address that is full"
    for client in clients:
        client.drop()


def enough(traffic):
    """Waits until some more sockets were opened and events posted."""
    before = dict(traffic.done)
    until(lambda: all(traffic.done[name] >= before[name] + 10 for name in before), "traffic flows", STOP_PATIENCE)

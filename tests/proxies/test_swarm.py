"""Traefik with the files of the Swarm stack, where one node stands for the address that Swarm gives all of them."""

import pytest

from deadline import until
from examples import replaced
from ports import free_port
from process import Process
from proxy import START_PATIENCE, installed
from raw import RawSocket, signed_post, status
from server import Gaung
from traffic import BODY, ask


class Site:
    def __init__(self, port):
        self.host, self.port = "127.0.0.1", port


@pytest.fixture
def site(tmp_path):
    node, site = Gaung(GAUNG_TRUSTED_PROXIES="127.0.0.0/8", GAUNG_MAX_CONNECTIONS_PER_IP="1"), Site(free_port())
    routes, config = tmp_path / "routes.yaml", tmp_path / "traefik.yaml"
    routes.write_text(replaced("swarm/routes.yaml", {"http://gaung:6001": f"http://127.0.0.1:{node.port}"}))
    places = {":8080": f"127.0.0.1:{site.port}", "/etc/traefik/routes.yaml": str(routes)}
    config.write_text(replaced("swarm/traefik.yaml", places))
    traefik = Process([installed("traefik"), f"--configfile={config}"])
    try:
        until(lambda: is_ready(site), f"Traefik hands requests on\n{traefik.log}", START_PATIENCE)
        yield site
    finally:
        traefik.kill()
        node.kill()


def is_ready(site):
    try:
        return status(ask(site, b"GET /ready HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")) == 200
    except (ConnectionRefusedError, IndexError):
        return False


def test_sockets_and_posts_pass_and_the_node_knows_the_client_s_address(site):
    first = RawSocket(site, source="127.0.0.2").greeted()
    first.still_works()
    assert status(ask(site, signed_post(BODY))) == 200
    again = RawSocket(site, source="127.0.0.2")
    assert "GAUNG_MAX_CONNECTIONS_PER_IP" in again.message()["data"]["message"]
    other = RawSocket(site, source="127.0.0.3").greeted()
    for client in (first, again, other):
        client.drop()

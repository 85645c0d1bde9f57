"""Names and authorities: the image has no library that would look them up, only the binary and a few files."""

import json
import socket
import ssl
import threading

import pytest

from authority import Authority
from back_end import back_end_of
from container import ON_HOST, Server
from deadline import Heard, until
from listener import Listener
from names import ADDRESS, NameServer
from process import Process
from receiver import Receiver

NATS, HOOKS, LISTED = "nats.image.test", "hooks.image.test", "listed.image.test"
RESOLVER = (*ON_HOST, f"--dns={ADDRESS[0]}", "--dns-search=.", f"--add-host={LISTED}:127.0.0.1")
IN_STEP_PATIENCE = 20.0
LOOPBACK = {"GAUNG_HOST": "127.0.0.1", "GAUNG_ADMIN_HOST": "127.0.0.1", "GAUNG_PORT": "0", "GAUNG_ADMIN_PORT": "0"}
BUNDLE = "/etc/ssl/certs/ca-certificates.crt"


class Nats(Process):
    """A nats-server on a port of its own choice."""

    def __init__(self, *options):
        super().__init__(["nats-server", "--addr", "127.0.0.1", "--port", "-1", *options])
        self.port = self.printed(r"Listening for client connections on 127.0.0.1:(\d+)", IN_STEP_PATIENCE)[1]


@pytest.fixture(scope="module")
def names():
    server = NameServer(**{NATS: "127.0.0.1", HOOKS: "127.0.0.1"})
    yield server
    server.close()


@pytest.fixture(scope="module")
def nats():
    nats = Nats()
    yield nats
    nats.kill()


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def secure_nats(authority):
    certificate, key = authority.certificate(NATS)
    nats = Nats("--tls", "--tlscert", str(certificate), "--tlskey", str(key))
    yield nats
    nats.kill()


def node(image, url, *options):
    return Server(image, (*RESOLVER, *options), **LOOPBACK, GAUNG_NATS_URL=url)


def is_in_step(server):
    return until(server.healthy, "the node is in step with its cluster", IN_STEP_PATIENCE)


def test_nats_is_found_by_dns(image, names, nats):
    with node(image, f"nats://{NATS}:{nats.port}") as server:
        is_in_step(server)
    assert NATS in names.asked


def test_nats_is_found_by_the_hosts_file(image, names, nats):
    with node(image, f"nats://{LISTED}:{nats.port}") as server:
        is_in_step(server)
    assert LISTED not in names.asked


def test_a_name_that_does_not_exist_is_reported(image, names, nats):
    with node(image, f"nats://missing.image.test:{nats.port}") as server:
        server.printed("no connection to the NATS server.*DNS error", IN_STEP_PATIENCE)
        assert not server.healthy()


def test_an_endpoint_of_webhooks_is_found_by_dns(image, names):
    receiver = Receiver()
    url = receiver.url.replace("127.0.0.1", HOOKS)
    with Server(image, RESOLVER, **LOOPBACK, GAUNG_APP_WEBHOOKS=json.dumps([{"url": url}])) as server:
        receiver.back_end = back_end_of(server)
        listener = Listener(server, {"orders": []}).has_entered()
        receiver.heard.event("channel_occupied", "orders")
        listener.close()
    receiver.close()
    assert HOOKS in names.asked
    assert receiver.refused == []


def test_nats_is_trusted_by_the_authorities_of_the_image(image, names, authority, secure_nats):
    with node(image, f"tls://{NATS}:{secure_nats.port}", f"--volume={authority.file}:{BUNDLE}:ro") as server:
        is_in_step(server)


def test_nats_of_an_unknown_authority_is_refused(image, names, secure_nats):
    with node(image, f"tls://{NATS}:{secure_nats.port}") as server:
        server.printed("no connection to the NATS server.*UnknownIssuer", IN_STEP_PATIENCE)
        assert not server.healthy()


def test_an_endpoint_of_an_unknown_authority_gets_no_webhook(image, names, authority):
    with Guarded(*authority.certificate(HOOKS)) as endpoint:
        webhooks = json.dumps([{"url": f"https://{HOOKS}:{endpoint.port}/"}])
        with Server(image, RESOLVER, **LOOPBACK, GAUNG_APP_WEBHOOKS=webhooks) as server:
            listener = Listener(server, {"orders": []}).has_entered()
            refusal = endpoint.heard.event("refused")["data"]
            listener.close()
    assert "UNKNOWN_CA" in refusal
    assert endpoint.heard.all("admitted") == []


class Guarded:
    """An endpoint with a certificate, which hears how its callers take it."""

    def __init__(self, certificate, key):
        self.heard = Heard()
        self._context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        self._context.load_cert_chain(certificate, key)
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port = self._socket.getsockname()[1]

    def __enter__(self):
        threading.Thread(target=self._serve, daemon=True).start()
        return self

    def __exit__(self, *_):
        self._socket.close()

    def _serve(self):
        while True:
            try:
                caller, _ = self._socket.accept()
            except OSError:
                return
            try:
                # The caller's verdict on the certificate arrives with the first read.
                self._context.wrap_socket(caller, server_side=True).read(1)
                self.heard.note("admitted")
            except ssl.SSLError as refusal:
                self.heard.note("refused", refusal.reason)

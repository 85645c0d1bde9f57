"""One connection of HTTP/2 that begins many requests, and keeps back the last byte of each body."""

import contextlib
import ssl

import pytest
from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import ConnectionTerminated, StreamEnded, StreamReset
from h2.exceptions import ProtocolError

import attack
import memory
from authority import Authority
from raw import connect
from server import APP, Gaung

SECONDS = attack.lasting(4)
STREAMS = 400
MEBIBYTE = 1 << 20


@pytest.fixture
def node(tmp_path):
    authority = Authority(tmp_path)
    certificate, key = authority.certificate("localhost")
    server = Gaung(GAUNG_TLS_CERT=str(certificate), GAUNG_TLS_KEY=str(key))
    server.tls = ssl.create_default_context(cafile=authority.file)
    yield server
    server.stop()


def test_bodies_that_nobody_signed_are_not_held_for_one_connection_of_many_streams(node, bystanders):
    honest = bystanders(node)
    calm = honest.calm(SECONDS / 2)
    before = memory.mib(node)
    with attack.by(1, half_sent_bodies, SECONDS, node):
        attacked = honest.during(SECONDS)
    peak = memory.peak_mib(node)
    print(f"calm: {calm}; attacked: {attacked}; {before:.0f} MiB before, the node's peak: {peak:.0f} MiB")
    assert peak < before + 100
    assert attacked.hardly_longer_than(calm)


def half_sent_bodies(end, node):
    """Takes another connection when one was ended."""
    node.tls.set_alpn_protocols(["h2"])
    while attack.goes_on(end):
        with contextlib.suppress(OSError, ProtocolError), contextlib.closing(connect(node)) as connection:
            connection.settimeout(0.05)
            send_bodies(end, connection, H2Connection(H2Configuration(client_side=True)))


def send_bodies(end, connection, http):
    """Begins all requests before it has heard how many there may be, sends of their bodies what flow control allows, and
    begins another for each that was answered or refused."""
    http.initiate_connection()
    rests = {begin(http): MEBIBYTE - 1 for _ in range(STREAMS)}
    while attack.goes_on(end):
        for stream, rest in rests.items():
            piece = min(rest, http.local_flow_control_window(stream), http.max_outbound_frame_size)
            if piece > 0:
                http.send_data(stream, bytes(piece))
                rests[stream] -= piece
        connection.sendall(http.data_to_send())
        for stream in ended(http, heard(connection)):
            if rests.pop(stream, None) is not None and len(rests) < http.remote_settings.max_concurrent_streams:
                rests[begin(http)] = MEBIBYTE - 1


def begin(http):
    stream = http.get_next_available_stream_id()
    http.send_headers(stream, [
        (":method", "POST"), (":scheme", "https"), (":authority", "localhost"),
        (":path", f"/apps/{APP['id']}/events?auth_key={APP['key']}"), ("content-length", str(MEBIBYTE)),
    ])
    return stream


def ended(http, data):
    """The streams that what was heard ends."""
    for event in http.receive_data(data):
        if isinstance(event, ConnectionTerminated):
            raise ConnectionAbortedError
        if isinstance(event, StreamEnded):
            http.reset_stream(event.stream_id)
        if isinstance(event, StreamEnded | StreamReset):
            yield event.stream_id


def heard(connection):
    try:
        data = connection.recv(65_536)
    except TimeoutError:
        return b""
    if not data:
        raise ConnectionAbortedError
    return data

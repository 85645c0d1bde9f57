"""Requests that nobody should send: they are refused or cut off, and nobody else notices."""

import pytest

from bombs import BOMBS
from raw import RawSocket, connect, exchange, signed_post, status

pytestmark = pytest.mark.usefixtures("bystander")

SETTINGS = {"GAUNG_HANDSHAKE_SECONDS": "1"}

MAX_BODY = 1_048_576

EVENTS_HEAD = b"POST /apps/424242/events HTTP/1.1\r\nHost: x\r\n"


@pytest.mark.parametrize("bomb", BOMBS.values(), ids=BOMBS.keys())
def test_a_bomb_of_json_in_the_api_is_answered(gaung, bomb):
    assert status(exchange(gaung, signed_post(bomb.encode()))) == 400
    as_data = f'{{"name":"said","channel":"bombed","data":{bomb}}}'.encode()
    assert status(exchange(gaung, signed_post(as_data))) in (200, 400, 413)


NO_REQUESTS = {
    "blank lines": b"\r\n\r\n",
    "a method alone": b"GET\r\n\r\n",
    "a TLS greeting": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    "another HTTP": b"GET / HTTP/9.9\r\n\r\n",
    "a thousand headers": b"GET / HTTP/1.1\r\nHost: x\r\n" + b"X: y\r\n" * 1_000 + b"\r\n",
    "a long path": b"GET /" + b"a" * 200_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
    "a long header": b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"a" * 200_000 + b"\r\n\r\n",
    "a negative length": EVENTS_HEAD + b"Content-Length: -1\r\n\r\n",
    "a length beyond numbers": EVENTS_HEAD + b"Content-Length: 99999999999999999999\r\n\r\n",
    "a chunk without length": EVENTS_HEAD + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n",
    "a chunk of any length": EVENTS_HEAD + b"Transfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\n",
}


@pytest.mark.parametrize("request_bytes", NO_REQUESTS.values(), ids=NO_REQUESTS.keys())
def test_requests_that_are_none_are_refused_or_dropped(gaung, request_bytes):
    answer = exchange(gaung, request_bytes)
    assert answer == b"" or 400 <= status(answer) < 600


@pytest.mark.parametrize(
    "broken",
    [
        "Sec-WebSocket-Key: short",
        "Sec-WebSocket-Version: 99",
        "Upgrade: carrier-pigeon",
        "Connection: close",
    ],
)
def test_a_broken_handshake_is_refused_with_a_status(gaung, broken):
    name = broken.split(":")[0]
    headers = {
        "Upgrade": "Upgrade: websocket",
        "Connection": "Connection: Upgrade",
        "Sec-WebSocket-Version": "Sec-WebSocket-Version: 13",
        "Sec-WebSocket-Key": "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
    }
    lines = "\r\n".join(["GET /app/app-key HTTP/1.1", "Host: x", *{**headers, name: broken}.values()])
    assert 400 <= status(exchange(gaung, f"{lines}\r\n\r\n".encode())) < 500


def test_a_request_that_never_ends_is_cut(gaung):
    with connect(gaung) as connection:
        connection.sendall(b"GET /app/app-key HTTP/1.1\r\nHost: x\r\n")
        answer = b"".join(iter(lambda: connection.recv(65_536), b""))
    assert answer == b"" or status(answer) == 408


def test_a_body_over_the_limit_is_refused_with_the_limit_and_the_setting(gaung):
    answer = exchange(gaung, signed_post(b" " * (MAX_BODY + 1)))
    assert status(answer) == 413
    assert b"GAUNG_MAX_BODY_BYTES" in answer
    assert str(MAX_BODY).encode() in answer


def test_many_sockets_that_say_nothing_are_no_burden(gaung, back_end):
    silent = [RawSocket(gaung) for _ in range(500)]
    back_end.trigger("presence-bystander", "said", {})
    for raw in silent:
        raw.drop()

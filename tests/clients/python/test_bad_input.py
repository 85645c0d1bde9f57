"""Input that nobody should send. The process lives, the session is treated as protocol.md §1.14 says, and a bystander
notices nothing: every test ends with an event that the bystander hears."""

import json
import random
import struct

import pytest

from deadline import until
from raw import BINARY, CLOSE, CONTINUATION, FINAL, PING, PONG, TEXT, RawSocket, connect, exchange, frame, signed_post, status

SETTINGS = {"GAUNG_APP_CLIENT_EVENTS": "true", "GAUNG_HANDSHAKE_SECONDS": "1"}

MAX_FRAME = 65_536
MAX_BODY = 1_048_576


@pytest.fixture(autouse=True)
def bystander(listen, back_end):
    """Another session, which goes on hearing its channel whatever a test does."""
    listener = listen({"presence-bystander": ["before", "after"]}, {"user_id": "1", "user_info": {}}).has_entered()
    back_end.trigger("presence-bystander", "before", {})
    listener.heard.event("before")
    yield listener
    back_end.trigger("presence-bystander", "after", {})
    listener.heard.event("after")
    assert listener.state == "connected"
    assert listener.heard.all("pusher_internal:member_added") == []


@pytest.fixture
def client(gaung):
    raw = RawSocket(gaung).greeted()
    yield raw
    raw.drop()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "not json",
        "{",
        '{"event":"pusher:ping"',
        "[]",
        "null",
        "7",
        '"pusher:ping"',
        '[{"event":"pusher:ping","data":{}}]',
        "{}",
        '{"data":{}}',
        '{"event":null}',
        '{"event":7,"data":{}}',
        '{"event":{"event":"pusher:ping"}}',
        '{"event":"pusher:no-such-event","data":{}}',
        '{"event":"pusher:subscribe"}',
        '{"event":"pusher:subscribe","data":null}',
        '{"event":"pusher:subscribe","data":"not json"}',
        '{"event":"pusher:subscribe","data":{}}',
        '{"event":"pusher:subscribe","data":{"channel":7}}',
        '{"event":"pusher:subscribe","data":{"channel":null}}',
        '{"event":"pusher:subscribe","data":{"channel":["a"]}}',
        '{"event":"client-typing"}',
        '{"event":"client-typing","data":{}}',
        '{"event":"client-typing","data":{},"channel":7}',
    ],
)
def test_a_message_that_makes_no_sense_is_answered_by_an_error_without_code(client, text):
    client.send_text(text)
    error = client.message()
    assert error["event"] == "pusher:error"
    assert error["data"]["code"] is None
    assert isinstance(error["data"]["message"], str)
    client.still_works()


@pytest.mark.parametrize(
    "data",
    [
        {"channel": ""},
        {"channel": " "},
        {"channel": "a\nb"},
        {"channel": "a:b"},
        {"channel": "a" * 201},
        {"channel": "a" * 60_000},
        {"channel": "\u0000"},
        {"channel": "##"},
        {"channel": "private-a"},
        {"channel": "private-a", "auth": ""},
        {"channel": "private-a", "auth": ":"},
        {"channel": "private-a", "auth": "app-key"},
        {"channel": "private-a", "auth": "app-key:"},
        {"channel": "private-a", "auth": "app-key:" + "0" * 64},
        {"channel": "private-a", "auth": "app-key:" + "é" * 64},
        {"channel": "private-a", "auth": "other-key:" + "0" * 64},
        {"channel": "private-a", "auth": "x" * 60_000},
        {"channel": "presence-a", "auth": "app-key:" + "0" * 64},
        {"channel": "presence-a", "auth": "app-key:" + "0" * 64, "channel_data": "{"},
        {"channel": "presence-a", "auth": "app-key:" + "0" * 64, "channel_data": "{}"},
        {"channel": "#server-to-user-1"},
    ],
)
def test_a_subscription_that_cannot_be_is_refused_and_the_session_stays(client, data):
    client.send_event("pusher:subscribe", data)
    answers = [client.message(), client.message()]
    assert sorted(answer["event"] for answer in answers) == ["pusher:error", "pusher:subscription_error"]
    client.still_works()


@pytest.mark.parametrize(
    "text",
    [
        '{"event":"pusher:connection_established","data":{}}',
        '{"event":"pusher:pong","data":7}',
        '{"event":"pusher:unsubscribe","data":{"channel":"never-subscribed"}}',
    ],
)
def test_what_needs_no_answer_gets_none(client, text):
    client.send_text(text)
    client.still_works()


@pytest.mark.parametrize("data", ['""', "null", "7", "[]", '"{}"', '{"deep":{"er":[]}}'])
def test_a_ping_is_answered_whatever_its_data(client, data):
    client.send_text(f'{{"event":"pusher:ping","data":{data}}}')
    assert client.message() == {"event": "pusher:pong", "data": "{}"}


def test_a_ping_without_data_is_answered(client):
    client.send_text('{"event":"pusher:ping"}')
    assert client.message() == {"event": "pusher:pong", "data": "{}"}


def test_messages_may_come_before_the_greeting_is_read(gaung):
    client = RawSocket(gaung)
    client.send_event("pusher:subscribe", {"channel": "early"})
    client.send_event("pusher:ping", "")
    events = [client.message()["event"] for _ in range(3)]
    assert events[0] == "pusher:connection_established"
    assert sorted(events[1:]) == ["pusher:pong", "pusher_internal:subscription_succeeded"]
    client.drop()


def test_a_subscription_may_be_encoded_twice(client):
    client.send_event("pusher:subscribe", json.dumps({"channel": "twice"}))
    assert client.message()["event"] == "pusher_internal:subscription_succeeded"


def test_a_binary_frame_of_json_is_read_and_any_other_is_ignored(client):
    client.send(frame(BINARY, b"\x00\xff\xfe"))
    client.send(frame(BINARY, b""))
    client.send(frame(BINARY, b'{"event":"pusher:ping","data":{}}'))
    assert client.message() == {"event": "pusher:pong", "data": "{}"}
    client.still_works()


def test_fragments_with_control_frames_between_them_are_one_message(client):
    client.send(frame(TEXT, b'{"event":"pusher:', flags=0))
    client.send(frame(PING, b"between"))
    client.send(frame(CONTINUATION, b"ping", flags=0))
    client.send(frame(CONTINUATION, b'","data":{}}'))
    assert client.frame() == (PONG, b"between")
    assert client.message() == {"event": "pusher:pong", "data": "{}"}


@pytest.mark.parametrize("text", [b"\xff", b"\xc3", b"\xed\xa0\x80", b'{"event":"\xf8\x88\x80\x80\x80"}', b"\xf4\x90\x80\x80"])
def test_invalid_utf_8_closes_with_1007(client, text):
    client.send(frame(TEXT, text))
    assert client.close_code() == 1007
    client.has_ended()


def test_a_character_may_be_split_between_fragments_but_not_end_there(gaung):
    split = RawSocket(gaung).greeted()
    split.send(frame(TEXT, b'{"event":"pusher:ping","data":"\xc3', flags=0) + frame(CONTINUATION, b'\xa9"}'))
    assert split.message()["event"] == "pusher:pong"
    split.drop()
    broken = RawSocket(gaung).greeted()
    broken.send(frame(TEXT, b"\xc3", flags=0) + frame(CONTINUATION, b""))
    assert broken.close_code() == 1007
    broken.drop()


def test_a_message_of_the_largest_size_is_read_and_one_more_byte_closes_with_1009(gaung):
    def ping(size):
        head, tail = '{"event":"pusher:ping","data":"', '"}'
        return (head + "x" * (size - len(head) - len(tail)) + tail).encode()

    largest = RawSocket(gaung).greeted()
    largest.send(frame(TEXT, ping(MAX_FRAME)))
    assert largest.message()["event"] == "pusher:pong"
    largest.send(frame(TEXT, ping(MAX_FRAME + 1)))
    assert largest.close_code() == 1009
    largest.drop()


def test_fragments_that_grow_over_the_limit_close_with_1009(client):
    client.send(frame(TEXT, b"x" * 30_000, flags=0))
    client.send(frame(CONTINUATION, b"x" * 30_000, flags=0))
    client.send(frame(CONTINUATION, b"x" * 30_000, flags=0))
    assert client.close_code() == 1009


@pytest.mark.parametrize("length", [MAX_FRAME + 1, 2**31, 2**32, 2**62, 2**63 - 1])
def test_a_huge_length_is_refused_before_its_bytes_come(client, length):
    client.send(frame(TEXT, b"x", length=length))
    assert client.close_code() == 1009
    client.has_ended()


PROTOCOL_VIOLATIONS = {
    "a length with the highest bit": frame(TEXT, b"x", length=2**63 + 5),
    "no mask": b"\x81\x02{}",
    "reserved bits": frame(TEXT, b"{}", flags=FINAL | 0x40),
    "a reserved opcode": frame(0x3, b"{}"),
    "a reserved control opcode": frame(0xB, b""),
    "a ping in fragments": frame(PING, b"", flags=0),
    "a long ping": frame(PING, b"x" * 126),
    "a long close": frame(CLOSE, struct.pack(">H", 1000) + b"x" * 124),
    "a continuation of nothing": frame(CONTINUATION, b"{}"),
    "a message within a message": frame(TEXT, b"{", flags=0) + frame(TEXT, b"}"),
    "half a close code": frame(CLOSE, b"\x03"),
    "a forbidden close code": frame(CLOSE, struct.pack(">H", 1005)),
}


@pytest.mark.parametrize("violation", PROTOCOL_VIOLATIONS.values(), ids=PROTOCOL_VIOLATIONS.keys())
def test_frames_that_break_the_protocol_close_with_1002(client, violation):
    client.send(violation)
    assert client.close_code() == 1002
    client.has_ended()


@pytest.mark.parametrize("code", [1000, 1001, 3000, 4999])
def test_a_close_is_answered_with_its_code(client, code):
    client.send(frame(CLOSE, struct.pack(">H", code) + b"bye"))
    assert client.close_code() == code
    client.has_ended()


def test_a_close_without_code_is_answered(client):
    client.send(frame(CLOSE, b""))
    assert client.close_code() in (None, 1000)
    client.has_ended()


def test_connections_that_break_off_anywhere_leave_nothing_behind(gaung, back_end):
    whole = frame(TEXT, json.dumps({"event": "pusher:subscribe", "data": {"channel": "broken-off"}}).encode())
    for end in range(len(whole) + 1):
        client = RawSocket(gaung).greeted()
        client.send(whole[:end])
        client.drop()
    until(lambda: not back_end.channel_info("broken-off")["occupied"], "the channel is vacated")


def test_random_bytes_end_the_session_at_most(gaung):
    dice = random.Random(20_240_613)
    for _ in range(200):
        client = RawSocket(gaung).greeted()
        try:
            client.send(dice.randbytes(dice.randrange(1, 2_000)))
        except (BrokenPipeError, ConnectionResetError):
            pass
        client.drop()


def test_random_messages_do_not_end_the_session(client):
    dice = random.Random(20_240_614)
    alphabet = '{}[]",:\\ pusherclientsubscribe-0019eE.+truefalsenull\u0000é🙂'
    for _ in range(500):
        client.send_text("".join(dice.choices(alphabet, k=dice.randrange(0, 200))))
    client.send_event("pusher:ping", {})
    errors = 0
    while (message := client.message())["event"] != "pusher:pong":
        assert message["event"] == "pusher:error"
        errors += 1
    assert errors == 500


BOMBS = {
    "nested lists": "[" * 30_000 + "]" * 30_000,
    "unclosed lists": "[" * 60_000,
    "nested objects": '{"a":' * 10_000 + "1" + "}" * 10_000,
    "a large number": "9" * 60_000,
    "a large exponent": "1e" + "9" * 1_000,
    "many members": "{" + ",".join(f'"{n}":1' for n in range(6_000)) + "}",
    "one member many times": "{" + ",".join(['"a":1'] * 8_000) + "}",
    "a lonely surrogate": '"\\ud800"',
    "many escapes": '"' + "\\u0000" * 10_000 + '"',
}


@pytest.mark.parametrize("bomb", BOMBS.values(), ids=BOMBS.keys())
def test_a_bomb_of_json_harms_nobody(client, bomb):
    client.send_text(bomb)
    client.send_text(f'{{"event":"pusher:subscribe","data":{bomb}}}')
    client.send_text(f'{{"event":"client-x","channel":"private-x","data":{bomb}}}')
    client.send_event("pusher:ping", {})
    while (message := client.message())["event"] != "pusher:pong":
        assert message["event"] == "pusher:error"


@pytest.mark.parametrize("bomb", BOMBS.values(), ids=BOMBS.keys())
def test_a_bomb_of_json_in_the_api_is_answered(gaung, bomb):
    assert status(exchange(gaung, signed_post(bomb.encode()))) == 400
    as_data = f'{{"name":"said","channel":"bombed","data":{bomb}}}'.encode()
    assert status(exchange(gaung, signed_post(as_data))) in (200, 400, 413)


def test_ten_thousand_subscriptions_stop_at_the_limit(client, back_end):
    refused = 0
    for start in range(0, 10_000, 100):
        client.send(b"".join(subscribe(f"many-{number}") for number in range(start, start + 100)))
        client.send_event("pusher:ping", {})
        while (message := client.message())["event"] != "pusher:pong":
            if message["event"] == "pusher:subscription_error":
                assert "max_subscriptions" in message["data"]
                refused += 1
    assert refused == 9_000
    assert len(back_end.channels_info("many-")["channels"]) == 1_000
    client.drop()
    until(lambda: back_end.channels_info("many-")["channels"] == {}, "the channels are vacated")


def subscribe(channel):
    return frame(TEXT, json.dumps({"event": "pusher:subscribe", "data": {"channel": channel}}).encode())


def test_a_flood_of_subscribe_and_unsubscribe_ends_unsubscribed(client, back_end):
    leave = frame(TEXT, b'{"event":"pusher:unsubscribe","data":{"channel":"flooded"}}')
    client.send((subscribe("flooded") + leave) * 1_000)
    client.send_event("pusher:ping", {})
    while client.message()["event"] != "pusher:pong":
        pass
    until(lambda: not back_end.channel_info("flooded")["occupied"], "the channel is vacated")


@pytest.mark.parametrize(
    "request_bytes",
    [
        b"\r\n\r\n",
        b"GET\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\n" + b"X: y\r\n" * 1_000 + b"\r\n",
        b"GET /" + b"a" * 200_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"a" * 200_000 + b"\r\n\r\n",
        b"POST /apps/424242/events HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
        b"POST /apps/424242/events HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999999999999\r\n\r\n",
        b"POST /apps/424242/events HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"POST /apps/424242/events HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\n",
    ],
)
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


def test_a_thousand_sockets_that_say_nothing_are_no_burden(gaung, back_end):
    silent = [RawSocket(gaung) for _ in range(1_000)]
    back_end.trigger("presence-bystander", "said", {})
    for raw in silent:
        raw.drop()

"""Frames that nobody should send (RFC 6455): the session ends as it must, and nobody else notices."""

import json
import random
import struct

import pytest

from deadline import until
from raw import BINARY, CLOSE, CONTINUATION, FINAL, PING, PONG, TEXT, RawSocket, frame

pytestmark = pytest.mark.usefixtures("bystander")

MAX_FRAME = 65_536


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


@pytest.mark.parametrize(
    "text", [b"\xff", b"\xc3", b"\xed\xa0\x80", b'{"event":"\xf8\x88\x80\x80\x80"}', b"\xf4\x90\x80\x80"]
)
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


@pytest.mark.parametrize("length", [MAX_FRAME + 1, 2**31, 2**32, 2**62, 2**63 - 1, 2**63, 2**64 - 1])
def test_a_huge_length_is_refused_before_its_bytes_come(client, length):
    client.send(frame(TEXT, b"x", length=length))
    assert client.close_code() == 1009
    client.has_ended()


PROTOCOL_VIOLATIONS = {
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

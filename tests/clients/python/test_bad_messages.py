"""Messages that nobody should send (protocol.md §1.14): the session stays, and nobody else notices."""

import json
import random

import pytest

from bombs import BOMBS
from deadline import until
from raw import TEXT, RawSocket, frame

pytestmark = pytest.mark.usefixtures("bystander")

SETTINGS = {"GAUNG_APP_CLIENT_EVENTS": "true", "GAUNG_APP_MESSAGES_PER_SECOND": "0"}


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


@pytest.mark.parametrize("bomb", BOMBS.values(), ids=BOMBS.keys())
def test_a_bomb_of_json_harms_nobody(client, bomb):
    client.send_text(bomb)
    client.send_text(f'{{"event":"pusher:subscribe","data":{bomb}}}')
    client.send_text(f'{{"event":"client-x","channel":"private-x","data":{bomb}}}')
    client.send_event("pusher:ping", {})
    while (message := client.message())["event"] != "pusher:pong":
        assert message["event"] == "pusher:error"


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

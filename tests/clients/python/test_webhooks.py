"""Webhooks, verified with the `pusher` package as its documentation says."""

import json

import pytest

from back_end import back_end_of
from listener import Listener
from receiver import Receiver
from server import Gaung

DELAYED = 10.0
"""Departures are held back for 3 s; the rest is time to spare."""

ADA = {"user_id": "42", "user_info": {}}


@pytest.fixture(scope="module")
def receiver():
    receiver = Receiver()
    gaung = Gaung(
        GAUNG_APP_CLIENT_EVENTS="true",
        GAUNG_APP_SUBSCRIPTION_COUNTS="true",
        GAUNG_APP_WEBHOOKS=json.dumps([{"url": receiver.url}]),
    )
    receiver.gaung, receiver.back_end = gaung, back_end_of(gaung)
    yield receiver
    gaung.stop()
    receiver.close()
    assert receiver.refused == []


def enter(receiver, channel, events=(), user=None):
    return Listener(receiver.gaung, {channel: events}, user).has_entered()


def test_a_channel_is_occupied_and_vacated(receiver):
    listener = enter(receiver, "orders")
    occupied = receiver.heard.event("channel_occupied", "orders")["data"]
    assert occupied == {"name": "channel_occupied", "channel": "orders"}
    count = receiver.heard.event("subscription_count", "orders")["data"]
    assert count == {"name": "subscription_count", "channel": "orders", "subscription_count": 1}
    listener.close()
    vacated = receiver.heard.event("channel_vacated", "orders", DELAYED)["data"]
    assert vacated == {"name": "channel_vacated", "channel": "orders"}


def test_a_member_comes_and_goes(receiver):
    listener = enter(receiver, "presence-room", user=ADA)
    added = receiver.heard.event("member_added", "presence-room")["data"]
    assert added == {"name": "member_added", "channel": "presence-room", "user_id": "42"}
    listener.close()
    removed = receiver.heard.event("member_removed", "presence-room", DELAYED)["data"]
    assert removed == {"name": "member_removed", "channel": "presence-room", "user_id": "42"}


def test_a_client_event_carries_its_data_as_text(receiver):
    listener = enter(receiver, "presence-chat", user=ADA)
    listener.channel("presence-chat").trigger("client-typing", {"who": "Ada"})
    told = receiver.heard.event("client_event", "presence-chat")["data"]
    assert json.loads(told["data"]) == {"who": "Ada"}
    assert {name: told[name] for name in ("event", "socket_id", "user_id")} == {
        "event": "client-typing",
        "socket_id": listener.socket_id,
        "user_id": "42",
    }
    listener.close()


def test_an_empty_cache_channel_is_reported(receiver):
    listener = enter(receiver, "cache-empty")
    missed = receiver.heard.event("cache_miss", "cache-empty")["data"]
    assert missed == {"name": "cache_miss", "channel": "cache-empty"}
    listener.close()


def test_every_event_has_an_id_of_its_own(receiver):
    listener = enter(receiver, "identified")
    receiver.heard.event("channel_occupied", "identified")
    listener.close()
    assert all(isinstance(id, str) and id for id in receiver.ids)
    assert len(set(receiver.ids)) == len(receiver.ids)

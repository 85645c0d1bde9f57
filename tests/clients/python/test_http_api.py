"""Every call of the `pusher` package of PyPI, which sends `body_md5` with its questions too."""

import json

import pusher.errors
import pytest

from back_end import back_end_of
from deadline import until

ADA = {"user_id": "42", "user_info": {"name": "Ada"}}
BOB = {"user_id": "43", "user_info": {"name": "Bob"}}


def test_an_event_on_one_channel(listen, back_end):
    listener = listen({"one": ["said"]}).has_entered()
    assert back_end.trigger("one", "said", {"note": "é / ü"}) == {}
    assert json.loads(listener.heard.event("said")["data"]) == {"note": "é / ü"}


def test_an_event_on_many_channels_without_its_sender(listen, back_end):
    sender, other = (listen({"many": ["said", "marker"], "more": ["said"]}).has_entered() for _ in range(2))
    assert back_end.trigger(["many", "more"], "said", "text", sender.socket_id) == {}
    assert other.heard.event("said", "many")["data"] == "text"
    other.heard.event("said", "more")
    back_end.trigger("many", "marker", {})
    sender.heard.event("marker")
    assert sender.heard.all("said", "many") == []


def test_a_batch(listen, back_end):
    listener = listen({"batch-1": ["said"], "private-batch-2": ["said"]}).has_entered()
    batch = [{"channel": name, "name": "said", "data": {"to": name}} for name in ("batch-1", "private-batch-2")]
    assert back_end.trigger_batch(batch) == {}
    for name in ("batch-1", "private-batch-2"):
        assert json.loads(listener.heard.event("said", name)["data"]) == {"to": name}


def test_a_batch_that_asks(listen, back_end):
    listen({"batch-info": []}).has_entered()
    batch = [
        {"channel": "batch-info", "name": "said", "data": "{}", "info": "subscription_count"},
        {"channel": "batch-info", "name": "said", "data": "{}"},
    ]
    assert back_end.trigger_batch(batch) == {"batch": [{"subscription_count": 1}, {}]}


def test_channels_with_and_without_attributes(listen, back_end):
    listen({"presence-list": [], "list": []}, ADA).has_entered()
    listen({"presence-list": []}, BOB).has_entered()
    channels = back_end.channels_info()["channels"]
    assert channels["presence-list"] == {}
    assert channels["list"] == {}
    asked = back_end.channels_info("presence-li", ["user_count", "subscription_count"])
    assert asked == {"channels": {"presence-list": {"user_count": 2, "subscription_count": 2}}}
    assert back_end.channels_info("nothing-has-this-prefix") == {"channels": {}}


def test_user_counts_of_other_channels_are_refused(back_end):
    with pytest.raises(pusher.errors.PusherBadRequest):
        back_end.channels_info("private-", ["user_count"])


def test_one_channel(listen, back_end):
    listen({"presence-one": []}, ADA).has_entered()
    assert back_end.channel_info("presence-one") == {"occupied": True}
    asked = back_end.channel_info("presence-one", ["user_count", "subscription_count"])
    assert asked == {"occupied": True, "user_count": 1, "subscription_count": 1}
    assert back_end.channel_info("nobody") == {"occupied": False}


def test_users_of_a_channel(listen, back_end):
    for user in (ADA, ADA, BOB):
        listen({"presence-users": []}, user).has_entered()
    users = back_end.users_info("presence-users")["users"]
    assert sorted(user["id"] for user in users) == ["42", "43"]
    assert back_end.users_info("presence-nobody") == {"users": []}
    with pytest.raises(pusher.errors.PusherBadRequest):
        back_end.users_info("orders")


def test_an_event_to_a_user_whom_nobody_knows(back_end):
    assert back_end.send_to_user("nobody", "invoice.paid", {}) == {}


def test_a_termination_goes_to_a_path_without_the_app(back_end):
    assert back_end.terminate_user_connections("nobody") == {}


def test_a_wrong_secret_is_refused(gaung):
    stranger = back_end_of(gaung, secret="guess")
    with pytest.raises(pusher.errors.PusherBadAuth):
        stranger.trigger("orders", "said", {})
    with pytest.raises(pusher.errors.PusherBadAuth):
        stranger.channels_info()
    with pytest.raises(pusher.errors.PusherBadAuth):
        stranger.terminate_user_connections("42")


def test_an_unknown_app_is_refused(gaung):
    with pytest.raises(pusher.errors.PusherBadStatus, match="404"):
        back_end_of(gaung, app_id="7").trigger("orders", "said", {})


def test_too_much_data_is_refused_with_the_limit(back_end):
    with pytest.raises(pusher.errors.PusherBadStatus, match="413.*content of this event"):
        back_end.trigger("orders", "said", "x" * 10_241)


def test_a_channel_is_no_longer_listed_when_its_subscriber_is_gone(listen, back_end):
    listener = listen({"gone": []}).has_entered()
    listener.close()
    until(lambda: "gone" not in back_end.channels_info()["channels"], "the channel is vacated")

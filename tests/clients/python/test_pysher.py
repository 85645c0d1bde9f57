"""pysher against the server: it speaks protocol 6, pings before it is greeted and reads every `data` as text."""

import base64
import json
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from urllib.parse import parse_qs

import nacl.secret
import pytest

from back_end import MASTER_KEY, back_end_of
from deadline import until
from pusher.crypto import generate_shared_secret
from pusher.crypto import parse_master_key
from server import Gaung

SETTINGS = {"GAUNG_APP_CLIENT_EVENTS": "true", "GAUNG_APP_SUBSCRIPTION_COUNTS": "true"}

ADA = {"user_id": "42", "user_info": {"name": "Ada"}}
BOB = {"user_id": "43", "user_info": {"name": "Bob"}}
PAYLOAD = {"id": 7, "note": 'é / ü \\ "'}
COMEBACK = 20.0


def presence(entry):
    return json.loads(entry["data"])["presence"]


def sign_in(listener, back_end, user):
    """Signs in and listens to the user's own events, on pysher's thread."""
    signed = back_end.authenticate_user(listener.socket_id, user)
    listener.when("pusher:signin_success", lambda _: listener.enter(f"#server-to-user-{user['id']}", ["invoice.paid"]))
    listener.pusher.connection.send_event("pusher:signin", signed)
    listener.heard.event("pusher_internal:subscription_succeeded", f"#server-to-user-{user['id']}")


def test_a_client_connects_and_its_early_ping_is_answered(listen):
    listener = listen().has_entered()
    listener.heard.event("pusher:pong")
    greeting = json.loads(listener.heard.event("pusher:connection_established")["data"])
    assert greeting["socket_id"] == listener.socket_id
    assert greeting["activity_timeout"] == 30


@pytest.mark.parametrize(
    "channel",
    [
        "orders",
        "private-orders",
        "presence-orders",
        "cache-orders",
        "private-cache-orders",
        "presence-cache-orders",
    ],
)
def test_a_subscriber_hears_what_is_triggered(listen, back_end, channel):
    listener = listen({channel: ["order.shipped"]}, ADA).has_entered()
    back_end.trigger(channel, "order.shipped", PAYLOAD)
    assert json.loads(listener.heard.event("order.shipped", channel)["data"]) == PAYLOAD


def test_an_encrypted_event_passes_through_and_can_be_opened(listen, back_end):
    channel = "private-encrypted-orders"
    listener = listen({channel: ["order.shipped"]}).has_entered()
    back_end.trigger(channel, "order.shipped", PAYLOAD)
    sealed = json.loads(listener.heard.event("order.shipped", channel)["data"])
    secret = generate_shared_secret(channel.encode(), parse_master_key(None, MASTER_KEY))
    opened = nacl.secret.SecretBox(secret).decrypt(
        base64.b64decode(sealed["ciphertext"]), base64.b64decode(sealed["nonce"])
    )
    assert json.loads(opened) == PAYLOAD


def test_every_subscription_is_confirmed_with_data_as_text(listen):
    names = ["plain", "private-plain", "private-encrypted-plain", "cache-plain"]
    listener = listen({name: [] for name in names}).has_entered()
    for name in names:
        assert listener.heard.event("pusher_internal:subscription_succeeded", name)["data"] == "{}"


def test_an_empty_cache_channel_says_so_with_data_as_text(listen):
    listener = listen({"cache-empty": []}).has_entered()
    assert listener.heard.event("pusher:cache_miss", "cache-empty")["data"] == "{}"


def test_a_filled_cache_channel_gives_its_last_event(listen, back_end):
    for number in (1, 2):
        back_end.trigger("private-cache-filled", "headline", {"n": number})
    listener = listen({"private-cache-filled": ["headline"]}).has_entered()
    assert json.loads(listener.heard.event("headline")["data"]) == {"n": 2}


def test_a_second_user_finds_both_and_the_first_is_told(listen):
    first = listen({"presence-room": []}, ADA).has_entered()
    second = listen({"presence-room": []}, BOB).has_entered()
    assert json.loads(first.heard.event("pusher_internal:member_added")["data"]) == BOB
    there = presence(second.heard.event("pusher_internal:subscription_succeeded"))
    assert there["count"] == 2
    assert sorted(there["ids"]) == ["42", "43"]
    assert there["hash"] == {"42": {"name": "Ada"}, "43": {"name": "Bob"}}


def test_a_second_tab_is_not_announced_and_its_end_is_not_a_departure(listen, back_end):
    bob = listen({"presence-tabs": ["marker"]}, BOB).has_entered()
    tabs = [listen({"presence-tabs": []}, ADA).has_entered() for _ in range(2)]
    assert presence(tabs[1].heard.event("pusher_internal:subscription_succeeded"))["count"] == 2
    tabs[0].pusher.unsubscribe("presence-tabs")
    until(
        lambda: back_end.channel_info("presence-tabs", ["subscription_count"])["subscription_count"] == 2, "a tab left"
    )
    back_end.trigger("presence-tabs", "marker", {})
    bob.heard.event("marker")
    assert len(bob.heard.all("pusher_internal:member_added")) == 1
    assert bob.heard.all("pusher_internal:member_removed") == []
    tabs[1].close()
    assert json.loads(bob.heard.event("pusher_internal:member_removed")["data"]) == {"user_id": "42"}


def test_a_user_id_that_is_a_number_is_told_as_text(listen):
    bob = listen({"presence-numbers": []}, BOB).has_entered()
    ada = listen({"presence-numbers": []}, {"user_id": 42, "user_info": {}}).has_entered()
    assert json.loads(bob.heard.event("pusher_internal:member_added")["data"])["user_id"] == "42"
    assert sorted(presence(ada.heard.event("pusher_internal:subscription_succeeded"))["ids"]) == ["42", "43"]


@pytest.mark.parametrize("channel", ["private-chat", "presence-chat", "private-cache-chat", "presence-cache-chat"])
def test_a_client_event_reaches_the_others_as_text_and_not_its_sender(listen, back_end, channel):
    ada = listen({channel: ["client-typing", "marker"]}, ADA).has_entered()
    bob = listen({channel: ["client-typing"]}, BOB).has_entered()
    ada.channel(channel).trigger("client-typing", {"who": "Ada"})
    assert json.loads(bob.heard.event("client-typing")["data"]) == {"who": "Ada"}
    back_end.trigger(channel, "marker", {})
    ada.heard.event("marker")
    assert ada.heard.all("client-typing") == []


def test_a_client_event_sent_as_text_arrives_as_that_text(listen):
    ada, bob = (listen({"private-text": ["client-typing"]}).has_entered() for _ in range(2))
    ada.channel("private-text").trigger("client-typing", '{"who": "Ada"}')
    assert bob.heard.event("client-typing")["data"] == '{"who": "Ada"}'


def test_the_number_of_subscribers_is_told(listen):
    first = listen({"counted": []}).has_entered()
    listen({"counted": []}).has_entered()
    counts = first.heard.times(2, "pusher_internal:subscription_count")
    assert [json.loads(count["data"])["subscription_count"] for count in counts] == [1, 2]


def test_a_signed_in_user_hears_what_is_sent_to_them(listen, back_end):
    listener, other = listen().has_entered(), listen().has_entered()
    sign_in(listener, back_end, {"id": "u-1", "user_info": {"name": "Ada"}})
    sign_in(other, back_end, {"id": "u-2"})
    back_end.send_to_user("u-1", "invoice.paid", {"n": 1})
    back_end.send_to_user("u-2", "invoice.paid", {"n": 2})
    assert json.loads(listener.heard.event("invoice.paid")["data"]) == {"n": 1}
    assert json.loads(other.heard.event("invoice.paid")["data"]) == {"n": 2}
    success = json.loads(listener.heard.event("pusher:signin_success")["data"])
    assert json.loads(success["user_data"]) == {"id": "u-1", "user_info": {"name": "Ada"}}


def test_a_channel_of_another_user_is_refused(listen):
    eve = listen()
    eve.when("pusher:connection_established", lambda _: eve.enter("#server-to-user-u-1"))
    eve.heard.event("pusher:subscription_error", "#server-to-user-u-1")
    assert eve.heard.all("pusher_internal:subscription_succeeded") == []


def test_a_watcher_learns_who_comes_and_goes(listen, back_end):
    watcher = listen().has_entered()
    sign_in(watcher, back_end, {"id": "w-1", "watchlist": ["w-2"]})
    watched = listen().has_entered()
    sign_in(watched, back_end, {"id": "w-2"})
    watched.close()
    told = watcher.heard.times(3, "pusher_internal:watchlist_events")
    events = [json.loads(entry["data"])["events"] for entry in told]
    assert events == [[{"name": name, "user_ids": ["w-2"]}] for name in ("offline", "online", "offline")]


def test_a_terminated_user_stays_away(listen, back_end):
    listener = listen().has_entered()
    sign_in(listener, back_end, {"id": "u-3"})
    back_end.terminate_user_connections("u-3")
    assert listener.heard.event("pusher:error")["data"]["code"] == 4009
    until(listener.has_given_up, "pysher gives up")


def test_an_unknown_key_makes_the_client_give_up(listen):
    listener = listen(key="no-such-key")
    error = listener.heard.event("pusher:error")["data"]
    assert error["code"] == 4001
    until(listener.has_given_up, "pysher gives up")


def test_a_wrong_signature_is_refused_on_its_channel_and_the_client_stays(listen, back_end):
    listener = listen({"private-secret": [], "lobby": ["marker"]}, secret="guess")
    refusal = json.loads(listener.heard.event("pusher:subscription_error", "private-secret")["data"])
    assert refusal["type"] == "AuthError"
    assert refusal["status"] == 401
    assert listener.heard.event("pusher:error", "private-secret")["data"]["code"] == 4009
    listener.heard.event("pusher_internal:subscription_succeeded", "lobby")
    back_end.trigger("lobby", "marker", {})
    listener.heard.event("marker")
    assert listener.state == "connected"


def test_an_auth_endpoint_admits_the_client(listen, back_end):
    class Endpoint(BaseHTTPRequestHandler):
        def do_POST(self):
            form = parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
            signed = back_end.authenticate(form["channel_name"][0], form["socket_id"][0])
            self.send_response(200)
            self.end_headers()
            self.wfile.write(json.dumps(signed).encode())

        def log_message(self, *_):
            pass

    endpoint = HTTPServer(("127.0.0.1", 0), Endpoint)
    threading.Thread(target=endpoint.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{endpoint.server_port}/broadcasting/auth"
    try:
        listen({"private-admitted": []}, secret="", auth_endpoint=url).has_entered()
    finally:
        endpoint.shutdown()
        endpoint.server_close()


def test_an_unsubscribed_channel_is_left(listen, back_end):
    listener = listen({"left": []}).has_entered()
    listener.pusher.unsubscribe("left")
    until(lambda: not back_end.channel_info("left")["occupied"], "the channel is left")


def test_a_client_comes_back_to_a_restarted_server(listen):
    first = Gaung()
    listener = listen({"orders": []}, on=first, reconnect_interval=1).has_entered()
    first.terminate()
    assert listener.heard.event("pusher:error")["data"]["code"] == 4200
    first.has_stopped()
    second = Gaung(GAUNG_PORT=str(first.port))
    try:
        listener.heard.times(2, "pusher_internal:subscription_succeeded", patience=COMEBACK)
        assert back_end_of(second).channel_info("orders") == {"occupied": True}
        listener.close()
    finally:
        second.stop()

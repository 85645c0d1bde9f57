"""One member of a presence channel that joins and leaves without a pause."""

import hashlib
import hmac
import json
import time

import attack
import events
import memory
from raw import TEXT, RawSocket, frame
from readers import Readers
from server import APP

SECONDS = attack.lasting(7)
MEMBERS = 100

READERS = 20
"""Members that read a burst at the rate that the documentation promises to be enough."""

# What holds without a rate holds with one.
SETTINGS = {
    "GAUNG_APP_MESSAGES_PER_SECOND": "0",
    "GAUNG_APP_MAX_PRESENCE_MEMBERS": str(MEMBERS + 1),
    "GAUNG_ROOM_THREADS": "1",
}

CHANNEL = "presence-room"
INFO = {"text": "x" * 1_900}


def _message(event, data):
    return frame(TEXT, json.dumps({"event": event, "data": data}).encode())


def _join(socket, user):
    member = json.dumps({"user_id": user, "user_info": INFO})
    signed = f"{socket.id}:{CHANNEL}:{member}"
    signature = hmac.new(APP["secret"].encode(), signed.encode(), hashlib.sha256).hexdigest()
    return _message(
        "pusher:subscribe", {"channel": CHANNEL, "auth": f"{APP['key']}:{signature}", "channel_data": member}
    )


def _member(node, user):
    socket = RawSocket(node)
    socket.id = json.loads(socket.message()["data"])["socket_id"]
    socket.send(_join(socket, user))
    assert socket.message()["event"] == "pusher_internal:subscription_succeeded"
    return socket


def flapping(end, node):
    """Five hundred times a second, and reads what it is answered."""
    socket = _member(node, "flapping")
    join, leave = _join(socket, "flapping"), _message("pusher:unsubscribe", {"channel": CHANNEL})
    connection = socket.socket()
    connection.settimeout(0.002)
    turn, rest = time.monotonic(), b""
    while time.monotonic() < end:
        if turn <= time.monotonic():
            rest += leave + join
            turn += 0.002
        try:
            rest = rest[connection.send(rest):] if rest else b""
            connection.recv(1 << 20)
        except TimeoutError:
            pass


def test_a_member_that_joins_and_leaves_all_the_time_closes_nobody_and_delays_no_other_channel(node):
    members = Readers([_member(node, f"honest-{number}") for number in range(MEMBERS)], 256 * 1_024)
    other = events.Delayed(node, "other")
    calm = other.calm(SECONDS / 3)
    with attack.by(1, flapping, SECONDS, node):
        attacked = other.during(SECONDS)
    kept = members.still_there()
    print(f"calm: {calm}; attacked: {attacked}; {kept} of {MEMBERS} members are left; "
          f"the node's peak: {memory.peak_mib(node):.0f} MiB")
    assert kept == MEMBERS
    assert attacked.hardly_longer_than(calm)
    assert memory.peak_mib(node) < 100


def test_a_burst_of_a_back_end_closes_nobody_who_reads_a_megabyte_a_second(node):
    members = Readers([_member(node, f"honest-{number}") for number in range(READERS)], 1_000_000)
    for _ in range(5):
        events.burst(node, CHANNEL, events=10, size=10_000, posts=15)
    kept = members.still_there()
    print(f"{kept} of {READERS} members are left; the node's peak: {memory.peak_mib(node):.0f} MiB")
    assert kept == READERS

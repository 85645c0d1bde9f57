"""Events of a back end: how long they take to a subscriber, and bursts."""

import json
import multiprocessing
import time

import attack
from bystanders import Delays
from raw import RawSocket, exchange, signed_post, status

PAUSE = 0.01

_fork = multiprocessing.get_context("fork")


class Delayed:
    """A subscriber of a channel, and the back end that publishes to it, at another node if one is told."""

    def __init__(self, node, channel, published_at=None):
        self._node, self._channel = published_at or node, channel
        self._socket = RawSocket(node).greeted()
        self._socket.send_event("pusher:subscribe", {"channel": channel})
        assert self._socket.message()["event"] == "pusher_internal:subscription_succeeded"

    def calm(self, seconds):
        with attack.by(1, attack.idle_work, seconds):
            return self.during(seconds)

    def during(self, seconds, between=lambda: None):
        """What events of the next seconds take, from the post to the socket; `between()` is called between them."""
        delays, end = [], time.monotonic() + seconds
        while time.monotonic() < end:
            body = json.dumps({"name": "e", "channel": self._channel, "data": "{}"}).encode()
            began = time.monotonic()
            assert status(exchange(self._node, signed_post(body))) == 200
            assert self._socket.message()["event"] == "e"
            delays.append(time.monotonic() - began)
            between()
            time.sleep(PAUSE)
        return Delays.of(delays)


def burst(node, channel, events, size, posts):
    """So many posts at once, each of so many events of this size."""
    event = {"name": "e", "channel": channel, "data": "x" * size}
    body = json.dumps({"batch": [event] * events}).encode()
    posters = [_fork.Process(target=_post, args=(node, body), daemon=True) for _ in range(posts)]
    for poster in posters:
        poster.start()
    for poster in posters:
        poster.join()
    assert all(poster.exitcode == 0 for poster in posters), "a post was refused"


def _post(node, body):
    assert status(exchange(node, signed_post(body, "batch_events"))) == 200

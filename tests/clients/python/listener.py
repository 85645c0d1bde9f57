"""pysher, configured as its documentation says, with a record of what its callbacks were given."""

import logging
import threading

import pysher

from deadline import Heard, until
from server import APP

LIBRARY_EVENTS = [
    "pusher_internal:subscription_succeeded",
    "pusher_internal:member_added",
    "pusher_internal:member_removed",
    "pusher_internal:subscription_count",
    "pusher:subscription_error",
    "pusher:cache_miss",
    "pusher:error",
]
CONNECTION_EVENTS = [
    "pusher:connection_established",
    "pusher:pong",
    "pusher:error",
    "pusher:signin_success",
    "pusher_internal:watchlist_events",
]


class Listener:
    """A pysher client that enters its channels as soon as it is connected.

    `channels` maps names to the events to listen to. pysher registers a channel after it has asked for it, so it is
    asked on pysher's own thread, as its documentation does: the answer cannot come before the callbacks are bound.
    """

    def __init__(self, gaung, channels=None, user=None, key=APP["key"], secret=APP["secret"], **options):
        self.heard = Heard()
        self._wanted = channels or {}
        self.pusher = pysher.Pusher(
            key,
            secret=secret,
            secure=False,
            custom_host=gaung.host,
            port=gaung.port,
            user_data=user,
            log_level=logging.WARNING,
            **options,
        )
        for event in CONNECTION_EVENTS:
            self.pusher.connection.bind(event, self._note, event=event)
        self.pusher.connection.bind("pusher:connection_established", self._enter)
        self.pusher.connect()

    @property
    def socket_id(self):
        return self.pusher.connection.socket_id

    @property
    def state(self):
        return self.pusher.connection.state

    def has_entered(self):
        """Returns itself once every channel is subscribed."""
        until(lambda: self.state == "connected", "pysher is connected")
        for name in self._wanted:
            self.heard.event("pusher_internal:subscription_succeeded", name)
        return self

    def channel(self, name):
        return self.pusher.channel(name)

    def when(self, event, then):
        """Calls `then` on pysher's thread when this event of the connection comes."""
        self.pusher.connection.bind(event, then)

    def enter(self, name, events=()):
        """Subscribes to a channel; only from pysher's thread."""
        channel = self.pusher.subscribe(name)
        for event in [*LIBRARY_EVENTS, *events]:
            channel.bind(event, self._note, event=event, channel=name)

    def has_given_up(self):
        """Whether pysher has ended and will not come back."""
        return not self.pusher.connection.is_alive()

    def close(self):
        """Disconnects without waiting for pysher, whose threads may take from each other the answer that both wait for."""
        threading.Thread(target=self.pusher.disconnect, kwargs={"timeout": 0}, daemon=True).start()

    def _enter(self, _):
        for name, events in self._wanted.items():
            self.enter(name, events)

    def _note(self, data, event, channel=None):
        self.heard.note(event, data, channel)

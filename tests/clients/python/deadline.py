"""Waiting with a deadline: nothing here sleeps for a fixed time, and what waits in vain says for what."""

import threading
import time

PATIENCE = 20.0
"""Seconds that a test waits for something that should happen at once. Only failures wait that long, also on a machine that
is busy with much else."""


def until(condition, what, patience=PATIENCE):
    """Asks again and again until the answer is true, and returns it."""
    end = time.monotonic() + patience
    while not (answer := condition()):
        assert time.monotonic() < end, f"not within {patience} s: {what}"
        threading.Event().wait(0.01)
    return answer


class Heard:
    """What somebody has heard, in order, written by one thread and awaited by another."""

    def __init__(self):
        self._entries = []
        self._arrived = threading.Condition()

    def note(self, event, data=None, channel=None):
        with self._arrived:
            self._entries.append({"event": event, "data": data, "channel": channel})
            self._arrived.notify_all()

    def all(self, event=None, channel=None):
        with self._arrived:
            return [entry for entry in self._entries if _fits(entry, event, channel)]

    def event(self, event, channel=None, patience=PATIENCE):
        """The first entry of this event, heard already or yet to come."""
        return self.times(1, event, channel, patience)[0]

    def times(self, count, event, channel=None, patience=PATIENCE):
        """The first `count` entries of this event."""
        with self._arrived:
            reached = self._arrived.wait_for(lambda: self._count(event, channel) >= count, patience)
            assert reached, f"not within {patience} s: {event}, {count} times; heard: {self._entries}"
        return self.all(event, channel)[:count]

    def _count(self, event, channel):
        return sum(_fits(entry, event, channel) for entry in self._entries)


def _fits(entry, event, channel):
    return event in (None, entry["event"]) and channel in (None, entry["channel"])

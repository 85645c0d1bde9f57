"""Pages with pusher-js that come over HTTP, each a process of its own."""

import contextlib
import json
import os
import pathlib

from deadline import Heard, until
from metrics import connections
from process import Process
from server import APP

SCRIPT = pathlib.Path(__file__).with_name("page.mjs")
PATIENCE = 20.0
"""Seconds for what a page does; its program has to start first."""
MOST = 20


class Page(Process):
    def __init__(self, proxy, transports, channels="news", source="127.0.0.1"):
        self.heard = Heard()
        arguments = [proxy.host, str(proxy.port), transports, channels, source, APP["key"]]
        super().__init__(["node", SCRIPT, *arguments], os.environ)

    def subscribed(self, count=1):
        self.heard.times(count, "pusher:subscription_succeeded", patience=PATIENCE)
        return self

    def transport(self):
        """What it is connected by now, or was last."""
        return self.heard.all("connected")[-1]["data"]

    def times_connecting(self):
        """How often it has begun; once, unless it was cut off."""
        return 1 + len(self.heard.all("connecting"))

    def _read(self):
        for line in self._process.stdout:
            self.log += line
            if line.startswith("{"):
                self.heard.note(**json.loads(line))


@contextlib.contextmanager
def pages():
    """Starts pages, which end with the block."""
    with contextlib.ExitStack() as stack:

        def make(*arguments, **options):
            page = Page(*arguments, **options)
            stack.callback(page.kill)
            return page

        yield make


def on_both(make, proxy, nodes, transports):
    """Pages from as many addresses as it takes until each of the two nodes has one, and at least three."""
    made = []
    while len(made) < 3 or not all(connections(node) for node in (nodes.one, nodes.other)):
        assert len(made) < MOST, f"all {MOST} pages are on one node"
        made.append(make(proxy, transports, source=f"127.0.0.{len(made) + 2}").subscribed())
    return made


def are_on(node, count):
    until(lambda: connections(node) == count, f"the node has {count} sessions", PATIENCE)

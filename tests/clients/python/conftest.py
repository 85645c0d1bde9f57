import os

import pytest

from back_end import back_end_of
from listener import Listener
from raw import RawSocket
from server import Gaung

# No proxy of the machine stands between the tests and the server on loopback.
os.environ["NO_PROXY"] = os.environ["no_proxy"] = "127.0.0.1,localhost"


@pytest.fixture(scope="module")
def gaung(request):
    """One server for a file; the file's `SETTINGS` are its settings."""
    server = Gaung(**getattr(request.module, "SETTINGS", {}))
    yield server
    server.stop()


@pytest.fixture
def back_end(gaung):
    """The `pusher` package."""
    return back_end_of(gaung)


@pytest.fixture
def listen(gaung):
    """Makes pysher clients that have entered their channels, and closes them in the end."""
    listeners = []

    def make(channels=None, user=None, on=gaung, **options):
        listeners.append(Listener(on, channels, user, **options))
        return listeners[-1]

    yield make
    for listener in listeners:
        listener.close()


@pytest.fixture
def client(gaung):
    """A greeted connection on which any bytes can be sent."""
    raw = RawSocket(gaung).greeted()
    yield raw
    raw.drop()


@pytest.fixture
def bystander(listen, back_end):
    """Another session, which goes on hearing its channel whatever a test does."""
    listener = listen({"presence-bystander": ["before", "after"]}, {"user_id": "1", "user_info": {}}).has_entered()
    back_end.trigger("presence-bystander", "before", {})
    listener.heard.event("before")
    yield listener
    back_end.trigger("presence-bystander", "after", {})
    listener.heard.event("after")
    assert listener.state == "connected"
    assert listener.heard.all("pusher_internal:member_added") == []

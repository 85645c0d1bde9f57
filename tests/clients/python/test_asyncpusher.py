"""asyncpusher against the server: protocol 7, on aiohttp, with ping frames of its own."""

import asyncio
import logging
from contextlib import asynccontextmanager

import asyncpusher
import pytest

from back_end import back_end_of
from deadline import PATIENCE
from server import APP, Gaung

SETTINGS = {"GAUNG_APP_CLIENT_EVENTS": "true"}

ADA = {"user_id": "42", "user_info": {"name": "Ada"}}
BOB = {"user_id": "43", "user_info": {"name": "Bob"}}
CHANNEL_EVENTS = [
    "pusher_internal:subscription_succeeded",
    "pusher_internal:member_added",
    "pusher_internal:member_removed",
    "pusher:subscription_error",
    "order.shipped",
    "client-typing",
]
SUCCEEDED = "pusher_internal:subscription_succeeded"
COMEBACK = 30.0


class Client:
    """asyncpusher, configured as its documentation says, with a record of what its callbacks were given."""

    def __init__(self, gaung, user, key, secret, auto_sub):
        self._back_end = back_end_of(gaung, secret=secret)
        self._user = user
        self._heard = asyncio.Queue()
        self.log = Log()
        self.pusher = asyncpusher.Pusher(
            key,
            secure=False,
            custom_host=gaung.host,
            custom_port=gaung.port,
            channel_authenticator=self._authenticate,
            auto_sub=auto_sub,
            log=self.log.logger,
        )

    async def enter(self, name):
        channel = await self.pusher.subscribe(name)
        for event in CHANNEL_EVENTS:
            channel.bind(event, self._note, event, name)
        return channel

    async def hears(self, event, channel, patience=PATIENCE):
        """The data of the next that it is given, which must be this."""
        async with asyncio.timeout(patience):
            heard = await self._heard.get()
        assert heard[:2] == (event, channel), heard
        return heard[2]

    async def _authenticate(self, asked):
        user = self._user if asked["channel_name"].startswith("presence-") else None
        return self._back_end.authenticate(asked["channel_name"], asked["socket_id"], user)

    async def _note(self, data, event, channel):
        self._heard.put_nowait((event, channel, data))


class Log(logging.Handler):
    """What the library logs."""

    def __init__(self):
        super().__init__()
        self._lines = []
        self._told = asyncio.Event()
        self.logger = logging.Logger("asyncpusher")
        self.logger.addHandler(self)

    def emit(self, record):
        self._lines.append(record.getMessage())
        self._told.set()

    async def says(self, text):
        async with asyncio.timeout(PATIENCE):
            while not any(text in line for line in self._lines):
                self._told.clear()
                await self._told.wait()


@asynccontextmanager
async def connected(gaung, user=ADA, secret=APP["secret"], auto_sub=False):
    client = Client(gaung, user, APP["key"], secret, auto_sub)
    async with asyncio.timeout(PATIENCE):
        await client.pusher.connect()
    try:
        yield client
    finally:
        await client.pusher.disconnect()


@pytest.mark.parametrize("channel", ["orders", "private-orders", "cache-orders", "private-cache-orders"])
def test_a_subscriber_hears_what_is_triggered(gaung, back_end, channel):
    async def run():
        async with connected(gaung) as client:
            await client.enter(channel)
            assert await client.hears(SUCCEEDED, channel) == {}
            back_end.trigger(channel, "order.shipped", {"id": 7})
            assert await client.hears("order.shipped", channel) == {"id": 7}

    asyncio.run(run())


def test_members_and_client_events_reach_the_others(gaung):
    async def run():
        async with connected(gaung, ADA) as ada, connected(gaung, BOB) as bob:
            await ada.enter("presence-room")
            there = await ada.hears(SUCCEEDED, "presence-room")
            assert there == {"presence": {"count": 1, "ids": ["42"], "hash": {"42": {"name": "Ada"}}}}
            room = await bob.enter("presence-room")
            assert (await bob.hears(SUCCEEDED, "presence-room"))["presence"]["count"] == 2
            assert await ada.hears("pusher_internal:member_added", "presence-room") == BOB
            await room.trigger({"event": "client-typing", "data": {"who": "Bob"}})
            assert await ada.hears("client-typing", "presence-room") == {"who": "Bob"}
            await bob.pusher.unsubscribe("presence-room")
            assert await ada.hears("pusher_internal:member_removed", "presence-room") == {"user_id": "43"}

    asyncio.run(run())


def test_a_wrong_signature_is_refused_on_its_channel_and_the_client_stays(gaung):
    async def run():
        async with connected(gaung, secret="guess") as client:
            await client.enter("private-secret")
            refusal = await client.hears("pusher:subscription_error", "private-secret")
            assert (refusal["type"], refusal["status"]) == ("AuthError", 401)
            await client.enter("lobby")
            await client.hears(SUCCEEDED, "lobby")

    asyncio.run(run())


def test_an_unknown_key_makes_the_client_give_up(gaung):
    async def run():
        client = Client(gaung, ADA, "no-such-key", APP["secret"], auto_sub=False)
        connecting = asyncio.create_task(client.pusher.connect())
        await client.log.says("'code': 4001")
        await client.log.says("End of forever")
        # It would wait for ever for a connection that it does not try to get.
        assert not connecting.done()
        connecting.cancel()

    asyncio.run(run())


def test_a_client_comes_back_to_a_restarted_server_and_enters_its_channels():
    first = Gaung()

    async def run():
        async with connected(first, auto_sub=True) as client:
            await client.enter("orders")
            await client.hears(SUCCEEDED, "orders")
            first.terminate()
            await client.log.says("'code': 4200")
            await asyncio.to_thread(first.has_stopped)
            second = Gaung(GAUNG_PORT=str(first.port))
            try:
                await client.hears(SUCCEEDED, "orders", COMEBACK)
                assert back_end_of(second).channel_info("orders") == {"occupied": True}
                await client.pusher.disconnect()
            finally:
                await asyncio.to_thread(second.stop)

    asyncio.run(run())

"""Sockets that connect, subscribe, sign in, talk for a while, leave in every way there is, and come again; every fourth is a
plain one of a tenant."""

import asyncio
import base64
import contextlib
import dataclasses
import hmac
import json
import os
import random
import struct
import time

from raw import CLOSE, PONG, TEXT, frame
from server import APP

TENANTS = 50
USERS = 20
"""Of each tenant: all have come once when the first fifth of the time is over, and nodes remember for minutes who has gone,
for webhooks."""
WATCHED = 5
PLAIN = 0.25
SIGNED_IN = 0.5
SHORTEST, LONGEST = 2.0, 20.0
TALK_EVERY = 3.0
PATIENCE = 30.0


@dataclasses.dataclass
class Address:
    """Where a node is."""

    host: str
    port: int


def run(nodes, sockets, seconds, seed):
    """Lives `sockets` lives at once, spread over the nodes, for so many seconds; returns how many sockets there were.
    What a server must not do to an honest client fails."""
    return asyncio.run(_run(nodes, sockets, seconds, seed))


async def _run(nodes, sockets, seconds, seed):
    end = time.monotonic() + seconds
    lives = [_live(nodes[number % len(nodes)], end, random.Random(f"{seed}/{number}")) for number in range(sockets)]
    return sum(await asyncio.gather(*lives))


async def _live(node, end, chance):
    count = 0
    await asyncio.sleep(chance.uniform(0, min(SHORTEST * 2, end - time.monotonic())))
    while (now := time.monotonic()) < end:
        async with asyncio.timeout(LONGEST + PATIENCE):
            await _visit(node, min(end, now + chance.uniform(SHORTEST, LONGEST)), chance)
        count += 1
    return count


async def _visit(node, leaves_at, chance):
    tenant = chance.randrange(TENANTS)
    is_plain = chance.random() < PLAIN
    client = await (Plain.connect(node, tenant) if is_plain else Pusher.connect(node))
    try:
        await client.enter(tenant, chance)
        while (rest := leaves_at - time.monotonic()) > 0:
            await client.ping()
            await asyncio.sleep(min(rest, TALK_EVERY))
        await _leave(client, tenant, chance)
    finally:
        client.drop()


async def _leave(client, tenant, chance):
    match chance.randrange(3):
        case 0:
            client.unsubscribe(f"products.{tenant}")
            client.write(frame(CLOSE, struct.pack(">H", 1000)))
            await client.closed()
        case 1:
            client.write(frame(CLOSE, b""))
            await client.closed()
        case 2:
            pass  # The connection ends without a word.


class Client:
    """A stream of messages of one socket."""

    NAME, ERROR = "event", "pusher:error"
    """The member that names a message, and the name of one that no honest client is to hear."""

    def __init__(self, reader, writer):
        self._reader, self._writer = reader, writer

    @classmethod
    async def opened(cls, node, path):
        reader, writer = await asyncio.open_connection(node.host, node.port)
        client = cls(reader, writer)
        key = base64.b64encode(os.urandom(16)).decode()
        client.write(
            f"GET {path} HTTP/1.1\r\nHost: {node.host}\r\nUpgrade: websocket\r\n"
            f"Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n\r\n".encode()
        )
        head = await reader.readuntil(b"\r\n\r\n")
        assert b" 101 " in head.split(b"\r\n")[0], head
        return client

    def write(self, data):
        self._writer.write(data)

    def send_json(self, message):
        self.write(frame(TEXT, json.dumps(message).encode()))

    async def until(self, name):
        """The next message of this name; others are passed over, errors are not."""
        while True:
            opcode, payload = await self._frame()
            assert opcode != CLOSE, f"closed: {payload}"
            if opcode == TEXT:
                message = json.loads(payload)
                assert message[self.NAME] != self.ERROR, message
                if message[self.NAME] == name:
                    return message

    async def closed(self):
        """Reads to the answer to the close frame."""
        while (await self._frame())[0] != CLOSE:
            pass

    def drop(self):
        with contextlib.suppress(OSError):
            self._writer.transport.abort()

    async def _frame(self):
        first, length = await self._reader.readexactly(2)
        if length == 126:
            (length,) = struct.unpack(">H", await self._reader.readexactly(2))
        elif length == 127:
            (length,) = struct.unpack(">Q", await self._reader.readexactly(8))
        payload = await self._reader.readexactly(length)
        if first & 0x0F == 0x9:
            self.write(frame(PONG, payload))
        return first & 0x0F, payload


class Pusher(Client):
    """Speaks the Pusher protocol."""

    @classmethod
    async def connect(cls, node):
        client = await cls.opened(node, f"/app/{APP['key']}?protocol=7")
        greeting = await client.until("pusher:connection_established")
        client._socket_id = json.loads(greeting["data"])["socket_id"]
        return client

    async def enter(self, tenant, chance):
        """Signs in, now and then, watching others; joins a channel of each kind, and talks where clients may."""
        user = user_of(tenant, chance)
        if chance.random() < SIGNED_IN:
            watched = [user_of(tenant, chance) for _ in range(WATCHED)]
            self._sign_in({"id": user, "watchlist": watched})
            await self.until("pusher:signin_success")
        member = json.dumps({"user_id": user, "user_info": {"name": "x" * chance.randrange(100)}})
        spoken = [f"private-chat.{tenant}", f"presence-room.{tenant}"]
        entered = [(f"products.{tenant}", None), (f"cache-prices.{tenant}", None), (spoken[0], None), (spoken[1], member)]
        for channel, data in entered:
            self._subscribe(channel, data)
            await self.until("pusher_internal:subscription_succeeded")
        for channel in spoken:
            self._send("client-typing", {"at": "the desk"}, channel=channel)

    def unsubscribe(self, channel):
        self._send("pusher:unsubscribe", {"channel": channel})

    async def ping(self):
        self._send("pusher:ping", {})
        await self.until("pusher:pong")

    def _sign_in(self, user):
        user = json.dumps(user)
        self._send("pusher:signin", {"user_data": user, "auth": _signed(f"{self._socket_id}::user::{user}")})

    def _subscribe(self, channel, channel_data):
        data = {"channel": channel}
        if channel.startswith(("private-", "presence-")):
            data |= {"auth": _signed(":".join(part for part in (self._socket_id, channel, channel_data) if part))}
        if channel_data:
            data |= {"channel_data": channel_data}
        self._send("pusher:subscribe", data)

    def _send(self, event, data, **members):
        self.send_json({"event": event, "data": data, **members})


class Plain(Client):
    """Speaks what plain sockets of a tenant speak."""

    NAME, ERROR = "type", "error"

    @classmethod
    async def connect(cls, node, tenant):
        client = await cls.opened(node, f"/ws?tenant_id={tenant}&user_id=1")
        await client.until("connected")
        return client

    async def enter(self, tenant, _):
        self.send_json({"type": "subscribe", "channel": f"products.{tenant}"})
        await self.until("subscribed")

    def unsubscribe(self, channel):
        self.send_json({"type": "unsubscribe", "channel": channel})

    async def ping(self):
        self.send_json({"type": "ping"})
        await self.until("pong")


def user_of(tenant, chance):
    return f"{tenant}-{chance.randrange(USERS)}"


def _signed(text):
    return f"{APP['key']}:{hmac.new(APP['secret'].encode(), text.encode(), 'sha256').hexdigest()}"

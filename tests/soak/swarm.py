"""Sockets that connect, subscribe, talk for a while, leave in every way there is, and come again."""

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
    client = await Client.connect(node)
    try:
        for channel in await _subscribed(client, chance):
            client.send("client-typing", {"at": "the desk"}, channel=channel)
        while (rest := leaves_at - time.monotonic()) > 0:
            client.send("pusher:ping", {})
            await client.until("pusher:pong")
            await asyncio.sleep(min(rest, TALK_EVERY))
        await _leave(client, chance)
    finally:
        client.drop()


async def _subscribed(client, chance):
    """Joins a public, a private and a presence channel; returns those where clients may talk."""
    tenant = chance.randrange(TENANTS)
    user = json.dumps({"user_id": str(chance.randrange(1_000)), "user_info": {"name": "x" * chance.randrange(100)}})
    spoken = [f"private-chat.{tenant}", f"presence-room.{tenant}"]
    for channel, data in ((f"products.{tenant}", None), (spoken[0], None), (spoken[1], user)):
        client.subscribe(channel, data)
        await client.until("pusher_internal:subscription_succeeded")
    return spoken


async def _leave(client, chance):
    match chance.randrange(3):
        case 0:
            client.send("pusher:unsubscribe", {"channel": f"products.{chance.randrange(TENANTS)}"})
            client.write(frame(CLOSE, struct.pack(">H", 1000)))
            await client.closed()
        case 1:
            client.write(frame(CLOSE, b""))
            await client.closed()
        case 2:
            pass  # The connection ends without a word.


class Client:
    """A stream of frames of one socket."""

    def __init__(self, reader, writer):
        self._reader, self._writer = reader, writer
        self._socket_id = None

    @classmethod
    async def connect(cls, node):
        reader, writer = await asyncio.open_connection(node.host, node.port)
        client = cls(reader, writer)
        key = base64.b64encode(os.urandom(16)).decode()
        client.write(
            f"GET /app/{APP['key']}?protocol=7 HTTP/1.1\r\nHost: {node.host}\r\nUpgrade: websocket\r\n"
            f"Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n\r\n".encode()
        )
        head = await reader.readuntil(b"\r\n\r\n")
        assert b" 101 " in head.split(b"\r\n")[0], head
        greeting = await client.until("pusher:connection_established")
        client._socket_id = json.loads(greeting["data"])["socket_id"]
        return client

    def write(self, data):
        self._writer.write(data)

    def send(self, event, data, **members):
        self.write(frame(TEXT, json.dumps({"event": event, "data": data, **members}).encode()))

    def subscribe(self, channel, channel_data):
        data = {"channel": channel}
        if not channel.startswith("products"):
            signed = ":".join(part for part in (self._socket_id, channel, channel_data) if part)
            signature = hmac.new(APP["secret"].encode(), signed.encode(), "sha256").hexdigest()
            data |= {"auth": f"{APP['key']}:{signature}"}
        if channel_data:
            data |= {"channel_data": channel_data}
        self.send("pusher:subscribe", data)

    async def until(self, event):
        """The next message of this event; others are passed over, errors are not."""
        while True:
            opcode, payload = await self._frame()
            assert opcode != CLOSE, f"closed: {payload}"
            if opcode == TEXT:
                message = json.loads(payload)
                assert message["event"] != "pusher:error", message
                if message["event"] == event:
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

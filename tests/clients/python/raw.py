"""Bytes on a socket, without a library that would refuse to send them."""

import base64
import hashlib
import hmac
import json
import os
import select
import socket
import ssl
import struct
import time
import zlib

from deadline import PATIENCE
from server import APP

TEXT, BINARY, CONTINUATION, CLOSE, PING, PONG = 0x1, 0x2, 0x0, 0x8, 0x9, 0xA
FINAL, COMPRESSED = 0x80, 0x40
# What RFC 7692 §7.2.1 leaves out at the end of a compressed message.
FLUSHED = b"\x00\x00\xff\xff"


class RawSocket:
    """An upgraded connection on which any bytes can be sent; `head` is a whole handshake in place of the usual one."""

    def __init__(self, gaung, path=f"/app/{APP['key']}?protocol=7", headers="", source=None, head=None):
        self._socket = connect(gaung, source)
        self._socket.sendall((head or handshake(gaung, path, headers)).encode())
        self._stream = self._socket.makefile("rb")
        self.answer = [line.decode().rstrip("\r\n") for line in iter(self._stream.readline, b"\r\n")]
        assert " 101 " in self.answer[0], self.answer

    def socket(self):
        """The connection itself, for a test that sends more than is read."""
        return self._socket

    def greeted(self):
        assert self.message()["event"] == "pusher:connection_established"
        return self

    def send(self, data):
        self._socket.sendall(data)

    def send_text(self, text):
        self.send(frame(TEXT, text.encode()))

    def send_event(self, event, data, **members):
        self.send_text(json.dumps({"event": event, "data": data, **members}))

    def message(self):
        """The next message; control frames are passed over."""
        while True:
            opcode, payload = self.frame()
            assert opcode != CLOSE, f"closed: {payload}"
            if opcode == TEXT:
                return json.loads(payload)

    def frame(self):
        """Opcode and payload of the next frame, which the server neither masks nor fragments."""
        first, second = self._exactly(2)
        assert first & FINAL and not second & FINAL
        length = second
        if length == 126:
            (length,) = struct.unpack(">H", self._exactly(2))
        elif length == 127:
            (length,) = struct.unpack(">Q", self._exactly(8))
        payload = self._exactly(length)
        if first & COMPRESSED:
            payload = zlib.decompressobj(-zlib.MAX_WBITS).decompress(payload + FLUSHED)
        return first & 0x0F, payload

    def close_code(self):
        """The code of the close frame, whatever comes before it."""
        while True:
            opcode, payload = self.frame()
            if opcode == CLOSE:
                return struct.unpack(">H", payload[:2])[0] if payload else None

    def has_ended(self):
        """Reads to the end of the stream, which must come; a reset is an end."""
        try:
            while self._stream.read(65_536):
                pass
        except ConnectionResetError:
            pass

    def still_works(self):
        """Sends a ping and expects its answer and nothing else."""
        self.send_event("pusher:ping", {})
        assert self.message() == {"event": "pusher:pong", "data": "{}"}

    def has_heard(self):
        """Whether something has come that was not read yet."""
        return bool(select.select([self._socket], [], [], 0)[0])

    def drop(self):
        self._stream.close()
        self._socket.close()

    def _exactly(self, count):
        data = self._stream.read(count)
        assert len(data) == count, f"the stream ended after {len(data)} of {count} bytes"
        return data


def connect(gaung, source=None):
    """A connection, from that address of this machine if one is told; with TLS to a server with a context `tls`."""
    source = (source, 0) if source else None
    connection = socket.create_connection((gaung.host, gaung.port), timeout=PATIENCE, source_address=source)
    tls = getattr(gaung, "tls", None)
    return tls.wrap_socket(connection, server_hostname="localhost") if tls else connection


def handshake(gaung, path, headers=""):
    key = base64.b64encode(os.urandom(16)).decode()
    return (
        f"GET {path} HTTP/1.1\r\nHost: {gaung.host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n{headers}\r\n"
    )


def frame(opcode, payload, flags=FINAL, length=None):
    """A masked frame; `length` is what the header says where that is not the truth."""
    claimed = len(payload) if length is None else length
    if claimed < 126:
        header = struct.pack(">BB", flags | opcode, 0x80 | claimed)
    elif claimed < 65_536:
        header = struct.pack(">BBH", flags | opcode, 0x80 | 126, claimed)
    else:
        header = struct.pack(">BBQ", flags | opcode, 0x80 | 127, claimed)
    mask = os.urandom(4)
    repeated = mask * (len(payload) // 4 + 1)
    return header + mask + bytes(byte ^ key for byte, key in zip(payload, repeated))


def exchange(gaung, request):
    """Sends bytes and returns everything that comes back until the server closes, which it may do before it has read
    everything. Python's TLS cannot end its half alone: there the request must say that it is the last."""
    with connect(gaung) as connection:
        try:
            connection.sendall(request)
            if not isinstance(connection, ssl.SSLSocket):
                connection.shutdown(socket.SHUT_WR)
        except OSError:
            pass
        answer = b""
        try:
            while part := connection.recv(65_536):
                answer += part
        except ConnectionResetError:
            pass
        return answer


def signed_post(body, what="events", headers="", host="x"):
    """The bytes of a signed `POST /events`, or another path, with this body; each of the `headers` is a line with its
    end, and the `host` matters to some proxies."""
    path = f"/apps/{APP['id']}/{what}"
    query = (
        f"auth_key={APP['key']}&auth_timestamp={int(time.time())}&auth_version=1.0"
        f"&body_md5={hashlib.md5(body).hexdigest()}"
    )
    signature = hmac.new(APP["secret"].encode(), f"POST\n{path}\n{query}".encode(), "sha256").hexdigest()
    head = f"POST {path}?{query}&auth_signature={signature} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n"
    return f"{head}{headers}Content-Length: {len(body)}\r\n\r\n".encode() + body


def status(answer):
    return int(answer.split(b" ", 2)[1])

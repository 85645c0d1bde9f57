"""Conversations in files: what a library sends, byte for byte, and what it must hear.

A file of `conversations` has three parts with an empty line between them, and comments from `#` on:

1. the handshake as the library writes it;
2. the status line of the answer, and its `Sec-WebSocket-` headers but Accept: these and no others;
3. the conversation, one line each:

    C→S text                     the library sends a message; or PING text, PONG text, CLOSE code, END
    S→C text                     the next that it hears, exactly; or PING text, PONG text, CLOSE code reason, END
    API channel event data       the back end publishes
    OTHER enters channel data    another client subscribes, as this member if it has data
    OTHER leaves channel         it unsubscribes
    OTHER says text              it sends a message
    OTHER hears text             the next that it hears, exactly

END is the end of the connection without a close frame. Between two `%` stand: `key`, `host` with its port, `address`
without, `nonce` of a handshake, `socket` for the library's socket id, `auth TEXT` for the app's signature of that id
with TEXT, and `x 600` for so many x. An ellipsis stands for any text: what errors say to people no library reads.
"""

import base64
import hashlib
import hmac
import json
import os
import pathlib
import re
import struct

from raw import CLOSE, PING, PONG, TEXT, RawSocket, frame
from server import APP

FOLDER = pathlib.Path(__file__).with_name("conversations")
CONTROL = {"PING": PING, "PONG": PONG, "CLOSE": CLOSE}


class Conversation:
    def __init__(self, file):
        lines = [line for line in file.read_text().split("\n") if not line.startswith("#")]
        self.handshake, self.answer, *rest = "\n".join(lines).strip("\n").split("\n\n")
        self.lines = [line for part in rest for line in part.split("\n")]

    def refused(self, code, text):
        """The same handshake, and what every client hears that may not connect: those of protocols 4 and 5 read the
        error frame, the others the code. Nothing to it is compressed."""
        answer = self.answer.split("\n")
        self.answer = "\n".join(line for line in answer if not line.startswith("sec-websocket-extensions"))
        error = '{"event":"pusher:error","data":{"code":%d,"message":"%s"}}' % (code, text)
        self.lines = [f"S→C {error}", f"S→C CLOSE {code} …"]
        return self


class Player:
    """Plays a library's part on a socket, and that of its back end and of another client."""

    def __init__(self, gaung, back_end, conversation):
        self._gaung, self._back_end, self._lines = gaung, back_end, conversation.lines
        self._socket_id = None
        self._other = None
        head = self.filled(conversation.handshake).replace("\n", "\r\n") + "\r\n\r\n"
        self._socket = RawSocket(gaung, head=head)
        expect(conversation.answer, "\n".join(self._answer()))

    def play(self, lines=None):
        """Plays the whole conversation, or only these lines."""
        parts = {"C→S": self._says, "S→C": self._hears, "API": self._publishes, "OTHER": self._other_does}
        try:
            for line in lines or self._lines:
                who, what = line.split(" ", 1)
                parts[who](what)
        finally:
            self.drop()

    def drop(self):
        self._socket.drop()
        if self._other:
            self._other.drop()

    def filled(self, text):
        return re.sub(r"%(\w+)(?: ([^%]*))?%", lambda found: self._value(*found.groups()), text)

    def _value(self, name, argument):
        match name:
            case "key":
                return APP["key"]
            case "host":
                return f"{self._gaung.host}:{self._gaung.port}"
            case "address":
                return self._gaung.host
            case "nonce":
                return base64.b64encode(os.urandom(16)).decode()
            case "socket":
                return self._socket_id
            case "auth":
                return sign(self._socket_id, argument)
            case "x":
                return "x" * int(argument)

    def _answer(self):
        """The status line, and what was selected of what the handshake offered."""
        status, *headers = self._socket.answer
        selected = [line.lower() for line in headers if line.lower().startswith("sec-websocket-")]
        return [status, *(line for line in selected if not line.startswith("sec-websocket-accept:"))]

    def _says(self, what):
        kind, _, text = what.partition(" ")
        if kind == "END":
            self._socket.drop()
        elif kind == "CLOSE":
            self._socket.send(frame(CLOSE, struct.pack(">H", int(text))))
        elif kind in CONTROL:
            self._socket.send(frame(CONTROL[kind], text.encode()))
        else:
            self._socket.send_text(self.filled(what))

    def _hears(self, what):
        if what == "END":
            return self._socket.has_ended()
        opcode, payload = self._socket.frame()
        if "%socket%" in what and self._socket_id is None:
            self._socket_id = socket_id(payload)
        expect(self.filled(what), shown(opcode, payload))

    def _publishes(self, what):
        channel, event, data = self.filled(what).split(" ", 2)
        self._back_end.trigger(channel, event, data)

    def _other_does(self, what):
        if self._other is None:
            self._other = Other(self._gaung)
        verb, _, rest = what.partition(" ")
        {"enters": self._other.enter, "leaves": self._other.leave, "says": self._other.say, "hears": self._other.hear}[
            verb
        ](self.filled(rest))


class Other:
    """Another client of the same app, who is no library."""

    def __init__(self, gaung):
        self._socket = RawSocket(gaung)
        self._socket_id = socket_id(self._socket.frame()[1])

    def enter(self, what):
        channel, _, member = what.partition(" ")
        signed = f"{channel}:{member}" if member else channel
        data = {"channel": channel, "auth": sign(self._socket_id, signed), "channel_data": member or None}
        self._socket.send_event("pusher:subscribe", data)
        assert self._socket.message()["event"] == "pusher_internal:subscription_succeeded"

    def leave(self, channel):
        self._socket.send_event("pusher:unsubscribe", {"channel": channel})

    def say(self, text):
        self._socket.send_text(text)

    def hear(self, text):
        expect(text, shown(*self._socket.frame()))

    def drop(self):
        self._socket.drop()


def expect(expected, heard):
    pattern = ".*".join(re.escape(part) for part in expected.split("…"))
    assert re.fullmatch(pattern, heard), f"expected {expected}\nheard    {heard}"


def conversations():
    return sorted(FOLDER.glob("*.txt"))


def shown(opcode, payload):
    """A frame as the files write it."""
    if opcode == TEXT:
        return payload.decode()
    if opcode == CLOSE:
        (code,) = struct.unpack(">H", payload[:2])
        return f"CLOSE {code} {payload[2:].decode()}".rstrip()
    name = next(name for name, known in CONTROL.items() if known == opcode)
    return f"{name} {payload.decode()}".rstrip()


def socket_id(greeting):
    return json.loads(json.loads(greeting)["data"])["socket_id"]


def sign(socket, text):
    signature = hmac.new(APP["secret"].encode(), f"{socket}:{text}".encode(), hashlib.sha256).hexdigest()
    return f"{APP['key']}:{signature}"

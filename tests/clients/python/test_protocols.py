"""The versions of the protocol: 4 to 7 and none are spoken, and all hear the same; any other is refused."""

import struct

import pytest

from conversation import FOLDER, Conversation, Player
from raw import CLOSE, RawSocket
from server import APP, Gaung

SPOKEN = ["", "?protocol=4", "?protocol=5", "?protocol=6", "?protocol=7"]
UNSUPPORTED = "Unsupported protocol version; supported are 4, 5, 6 and 7"
INVALID = "Invalid version string: protocol must be an integer"


def spoken(query, name="none"):
    """A conversation whose handshake has this query."""
    conversation = Conversation(FOLDER / f"{name}.txt")
    conversation.handshake = conversation.handshake.replace("/app/%key% ", f"/app/%key%{query} ")
    return conversation


@pytest.mark.parametrize("query", SPOKEN)
def test_each_protocol_hears_the_same(gaung, back_end, query):
    Player(gaung, back_end, spoken(query)).play()


@pytest.mark.parametrize("query", ["?version=nonsense", "?version=", "?protocol=7&client=&version=1.0&flash=false"])
def test_only_the_protocol_counts(gaung, back_end, query):
    Player(gaung, back_end, spoken(query)).play()


@pytest.mark.parametrize("protocol", ["0", "1", "2", "3", "8", "-7", "70", "18446744073709551623"])
def test_another_protocol_is_refused_with_4007(gaung, back_end, protocol):
    Player(gaung, back_end, spoken(f"?protocol={protocol}").refused(4007, UNSUPPORTED)).play()


@pytest.mark.parametrize("protocol", ["", "seven", "7.0", "7x", "7,6", "null", "0x7"])
def test_nonsense_is_refused_with_4006(gaung, back_end, protocol):
    Player(gaung, back_end, spoken(f"?protocol={protocol}").refused(4006, INVALID)).play()


def test_each_protocol_is_told_twice_that_the_server_goes():
    server = Gaung()
    sockets = [RawSocket(server, path=f"/app/{APP['key']}{query}").greeted() for query in SPOKEN]
    server.terminate()
    for socket in sockets:
        text = "Server shutting down; reconnect"
        assert socket.message() == {"event": "pusher:error", "data": {"code": 4200, "message": text}}
        assert socket.frame() == (CLOSE, struct.pack(">H", 4200) + text.encode())
        socket.drop()
    server.has_stopped()

"""What the clients of other languages send, where it differs from what JavaScript's does."""

import hashlib
import hmac
import json

import pytest

from raw import RawSocket
from server import APP


def test_dart_leaves_a_hash_at_the_end_of_the_url(gaung):
    RawSocket(gaung, path=f"/app/{APP['key']}?client=dart&version=2.0.0&protocol=7#").greeted().drop()
    RawSocket(gaung, path=f"/app/{APP['key']}#").greeted().drop()


def test_swift_offers_a_sub_protocol(gaung):
    path = f"/app/{APP['key']}?protocol=7&client=pusher-websocket-swift"
    RawSocket(gaung, path=path, headers="Sec-WebSocket-Protocol: pusher-channels-protocol-7\r\n").greeted().drop()


@pytest.mark.parametrize(
    ("client", "more"), [("pusher-dotnet-client", {"channel_data": None}), ("java-client", {})]
)
def test_dotnet_and_java_speak_protocol_5_and_dotnet_sends_no_member_as_null(gaung, client, more):
    socket = RawSocket(gaung, path=f"/app/{APP['key']}?protocol=5&client={client}&version=2.0.0")
    socket_id = json.loads(socket.message()["data"])["socket_id"]
    signature = hmac.new(APP["secret"].encode(), f"{socket_id}:private-a".encode(), hashlib.sha256).hexdigest()
    socket.send_event("pusher:subscribe", {"channel": "private-a", "auth": f"{APP['key']}:{signature}", **more})
    assert socket.message()["event"] == "pusher_internal:subscription_succeeded"
    socket.drop()


def test_java_sends_data_as_a_string(gaung):
    socket = RawSocket(gaung, path=f"/app/{APP['key']}?protocol=5&client=java-client").greeted()
    socket.send_event("pusher:subscribe", json.dumps({"channel": "a"}))
    assert socket.message()["event"] == "pusher_internal:subscription_succeeded"
    socket.drop()

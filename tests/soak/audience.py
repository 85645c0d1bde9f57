"""Many sockets of one node that read what they are sent and look at none of it, and what the node takes meanwhile."""

import os
import pathlib
import select

import raw


class Audience:
    """So many sockets, each subscribed to `channel_of` its number; `headers` are those of their handshakes."""

    def __init__(self, gaung, count, channel_of, headers=""):
        self.poll, self.sockets, self.bytes = select.epoll(), {}, {}
        for number in range(count):
            client = raw.RawSocket(gaung, headers=headers).greeted()
            client.send_event("pusher:subscribe", {"channel": channel_of(number)})
            assert client.message()["event"] == "pusher_internal:subscription_succeeded"
            socket = client.socket()
            socket.setblocking(False)
            self.sockets[socket.fileno()], self.bytes[socket.fileno()] = client, 0
            self.poll.register(socket, select.EPOLLIN)

    def read(self, seconds):
        """What came, or comes within so many seconds; whether that was anything."""
        events = self.poll.poll(seconds)
        for descriptor, _ in events:
            self.bytes[descriptor] += len(self.sockets[descriptor].socket().recv(1 << 20))
        return bool(events)


def cpu_seconds(process):
    """Of all its threads, since its start."""
    ticks = pathlib.Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()[11:13]
    return sum(map(int, ticks)) / os.sysconf("SC_CLK_TCK")

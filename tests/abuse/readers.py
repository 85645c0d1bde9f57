"""Honest clients that read so many bytes a second, in a process of their own."""

import multiprocessing
import socket
import time

TICK = 0.02

WINDOW = 65_536
"""Bytes that the kernel keeps for one of them: as on a real line, and unlike loopback, little is hidden in buffers."""

PATIENCE = 30.0

_fork = multiprocessing.get_context("fork")


class Readers:
    """Reads its sockets until it is asked how many of them the server has kept."""

    def __init__(self, sockets, bytes_per_second):
        self._pipe, theirs = _fork.Pipe()
        self._process = _fork.Process(target=_read, args=(sockets, bytes_per_second, theirs), daemon=True)
        self._process.start()

    def still_there(self):
        """How many answer a ping, after all that was sent before it."""
        self._pipe.send("enough")
        assert self._pipe.poll(2 * PATIENCE), "the readers have not come to an end"
        kept = self._pipe.recv()
        self._process.join()
        return kept


def _read(sockets, bytes_per_second, pipe):
    share = int(bytes_per_second * TICK)
    connections = [client.socket() for client in sockets]
    for connection in connections:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, WINDOW)
        connection.setblocking(False)
    while not pipe.poll():
        began = time.monotonic()
        for connection in connections:
            _take(connection, share)
        time.sleep(max(0.0, TICK - (time.monotonic() - began)))
    pipe.recv()
    pipe.send(sum(_answers(client) for client in sockets))


def _take(connection, count):
    """So many bytes if they are there; of TLS, one read brings one record at most."""
    try:
        while count > 0 and (part := connection.recv(count)):
            count -= len(part)
    except OSError:
        pass


def _answers(client):
    connection = client.socket()
    connection.settimeout(PATIENCE)
    try:
        client.send_event("pusher:ping", {})
        tail = b""
        while part := connection.recv(1 << 20):
            if b"pusher:pong" in tail + part:
                return True
            tail = part[-100:]
    except OSError:
        pass
    return False

"""Ports for programs that have to be told theirs."""

import random
import socket


def free_port():
    """A port that nobody listens on now, below those that the system gives to who asks for any or connects: nobody else
    takes it before the program does."""
    while True:
        port = random.randrange(12_000, 32_000)
        try:
            with socket.create_server(("127.0.0.1", port)):
                return port
        except OSError:
            continue

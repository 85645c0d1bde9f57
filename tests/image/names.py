"""A name server for the tests: it answers a few names with addresses, and all others with `no such name`."""

import socket
import struct
import threading

# An address of the loopback that nobody else's name server has. The port cannot be chosen: resolvers know no other.
ADDRESS = ("127.0.0.77", 53)
IPV4 = 1
ANSWERED, NO_SUCH_NAME = 0x8180, 0x8183


class NameServer:
    def __init__(self, **addresses):
        self._addresses = addresses
        self.asked = set()
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(ADDRESS)
        threading.Thread(target=self._serve, daemon=True).start()

    def close(self):
        self._socket.close()

    def _serve(self):
        while True:
            try:
                question, client = self._socket.recvfrom(512)
            except OSError:
                return
            self._socket.sendto(self._answer(question), client)

    def _answer(self, message):
        """The header, the question as it came, and a record that points back at its name (RFC 1035 §4.1)."""
        name, end = _name(message, 12)
        (kind,) = struct.unpack(">H", message[end : end + 2])
        self.asked.add(name)
        address = self._addresses.get(name)
        record = b""
        if address and kind == IPV4:
            record = struct.pack(">HHHIH4s", 0xC00C, IPV4, 1, 0, 4, socket.inet_aton(address))
        code = ANSWERED if address else NO_SUCH_NAME
        return message[:2] + struct.pack(">HHHHH", code, 1, bool(record), 0, 0) + message[12 : end + 4] + record


def _name(message, start):
    """The name that begins here, and where it ends."""
    labels = []
    while length := message[start]:
        labels.append(message[start + 1 : start + 1 + length].decode())
        start += 1 + length
    return ".".join(labels), start + 1

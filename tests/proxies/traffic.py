"""Clients that come and back ends that post, without a pause, while something happens behind the proxy."""

import threading
import time

from raw import RawSocket, connect, signed_post, status

BODY = b'{"name":"e","channel":"c","data":"{}"}'


class Traffic:
    """Opens a socket and posts an event, again and again, until the block ends; keeps what went wrong."""

    def __init__(self, proxy):
        self.failures = []
        self.done = {"socket": 0, "post": 0}
        # Seconds that one of them took at most, since the last time that somebody asked.
        self._slowest = 0.0
        self._proxy = proxy
        self._ends = threading.Event()
        self._threads = [
            threading.Thread(target=self._repeat, args=(name, what), daemon=True)
            for name, what in (("socket", self._open), ("post", self._post))
        ]

    def __enter__(self):
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self._ends.set()
        for thread in self._threads:
            thread.join()
        assert min(self.done.values()) > 0, self.done

    def slowest(self):
        """Seconds that one of them took at most since this was asked before."""
        slowest, self._slowest = self._slowest, 0.0
        return slowest

    def _repeat(self, name, what):
        while not self._ends.wait(0.005):
            began = time.monotonic()
            try:
                what()
            except (AssertionError, OSError, IndexError, StopIteration) as failure:
                self.failures.append(f"{name} {self.done[name]}: {failure!r}")
            self._slowest = max(self._slowest, time.monotonic() - began)
            self.done[name] += 1

    def _open(self):
        RawSocket(self._proxy).greeted().drop()

    def _post(self):
        answer = ask(self._proxy, signed_post(BODY, host=self._proxy.host))
        assert status(answer) == 200 and answer.endswith(b"{}"), answer


def ask(proxy, request):
    """Sends a request that asks for the connection's end, and returns the whole answer. Unlike `exchange` it keeps its own
    side open, since some proxies take the end of that for the client's going."""
    with connect(proxy) as connection:
        connection.sendall(request)
        return connection.makefile("rb").read()

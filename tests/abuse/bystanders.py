"""Honest clients beside an attack: how long their pings take, measured in a process that the attacker shares nothing
with but the machine."""

import dataclasses
import multiprocessing
import time

import attack
from raw import RawSocket

SOCKETS = 10
PAUSE = 0.002
PATIENCE = 30.0

TURN = 0.0025
"""Seconds that a process may wait for a turn on a shared core: what is shorter is no measure of the server."""

HURT = 20
"""By how much an attack may lengthen the slowest hundredth of the others' pings."""

_fork = multiprocessing.get_context("fork")


@dataclasses.dataclass
class Delays:
    """Seconds between a ping and its answer."""

    count: int
    median: float
    p99: float
    longest: float

    @classmethod
    def of(cls, delays):
        delays = sorted(delays)
        assert delays, "nobody was answered at all"
        count = len(delays)
        return cls(count, delays[count // 2], delays[count * 99 // 100], delays[-1])

    def hardly_longer_than(self, calm, processes=1):
        """`processes` are those of whose turns an answer is made."""
        return self.p99 < HURT * max(calm.p99, TURN * processes)

    def __str__(self):
        figures = (f"{name} {value * 1_000:.1f} ms" for name, value in
                   (("median", self.median), ("p99", self.p99), ("longest", self.longest)))
        return f"{self.count} pings, " + ", ".join(figures)


class Bystanders:
    """Ten sockets of one node that ping in turn, for as long as the test lives."""

    def __init__(self, node):
        self._pipe, theirs = _fork.Pipe()
        self._process = _fork.Process(target=_ping, args=(node, theirs), daemon=True)
        self._process.start()
        self._pipe.recv()

    def calm(self, seconds, attackers=1):
        """What their pings take while as many processes as will attack keep the machine busy with something else."""
        with attack.by(attackers, attack.idle_work, seconds):
            return self.during(seconds)

    def during(self, seconds):
        """What their pings take in the next seconds."""
        return self.throughout(time.sleep, seconds)

    def throughout(self, work, *arguments):
        """What their pings take while `work(*arguments)` runs here."""
        self._pipe.send("begin")
        work(*arguments)
        self._pipe.send("end")
        assert self._pipe.poll(PATIENCE), "the bystanders have not been answered for half a minute"
        answer = self._pipe.recv()
        assert isinstance(answer, list), answer
        return Delays.of(answer)

    def end(self):
        self._process.terminate()
        self._process.join()


def _ping(node, pipe):
    try:
        sockets = [RawSocket(node).greeted() for _ in range(SOCKETS)]
        pipe.send("connected")
        while True:
            pipe.recv()
            pipe.send(_delays(sockets, pipe))
    except (AssertionError, OSError) as failure:
        pipe.send(f"a bystander was hurt: {failure!r}")


def _delays(sockets, pipe):
    """Until something is said again."""
    delays = []
    while not pipe.poll():
        for socket in sockets:
            began = time.monotonic()
            socket.still_works()
            delays.append(time.monotonic() - began)
            time.sleep(PAUSE)
    pipe.recv()
    return delays

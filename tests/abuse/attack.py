"""Attackers: processes of their own that do one thing for some seconds, whatever becomes of their sockets."""

import contextlib
import multiprocessing
import os
import time

_fork = multiprocessing.get_context("fork")


def lasting(seconds):
    """How long an attack lasts: so many seconds, or those of GAUNG_ABUSE_SECONDS."""
    return float(os.environ.get("GAUNG_ABUSE_SECONDS", seconds))


@contextlib.contextmanager
def by(count, what, seconds, *arguments):
    """Runs `what(end, *arguments)` in `count` processes until the moment `end`, while the block runs."""
    end = time.monotonic() + seconds
    attackers = [_fork.Process(target=_until, args=(what, end, arguments), daemon=True) for _ in range(count)]
    for attacker in attackers:
        attacker.start()
    try:
        yield
    finally:
        for attacker in attackers:
            attacker.join(seconds + 5)
            attacker.terminate()
            attacker.join()


def idle_work(end):
    """No attack: as much work for this machine as one."""
    while time.monotonic() < end:
        sum(range(1_000))


def goes_on(end):
    return time.monotonic() < end


def flood(socket, end, messages):
    """Sends as much as the server takes, never reading."""
    socket.settimeout(0.2)
    rest = b""
    for batch in messages:
        rest += batch
        while rest and time.monotonic() < end:
            try:
                rest = rest[socket.send(rest):]
            except TimeoutError:
                continue
        if time.monotonic() >= end:
            return


def _until(what, end, arguments):
    # What the server does to an attacker is no failure of the attack.
    with contextlib.suppress(OSError, AssertionError):
        what(end, *arguments)

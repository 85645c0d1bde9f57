"""What a process holds, as the system tells it."""

import pathlib
import re
import time


def mib(process):
    """Resident memory now."""
    return _status(process, "VmRSS")


def peak_mib(process):
    """The most that it ever was."""
    return _status(process, "VmHWM")


def falls_to(process, limit, patience):
    """Waits until the process holds at most `limit` MiB, and returns what it holds."""
    end = time.monotonic() + patience
    while (now := mib(process)) > limit:
        assert time.monotonic() < end, f"{now:.0f} MiB are still held after {patience} s, more than {limit:.0f}"
        time.sleep(0.2)
    return now


def _status(process, field):
    status = pathlib.Path(f"/proc/{process.pid}/status").read_text()
    return int(re.search(rf"^{field}:\s+(\d+) kB$", status, re.MULTILINE)[1]) / 1024

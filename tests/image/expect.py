"""What must hold for a server in a container, however it was started."""

import json
import pathlib

from back_end import back_end_of
from container import inspect
from listener import Listener


def has_no_rights(container):
    """Expects the image's user, no capability and no way to get one, and no system call that the filter keeps."""
    status = dict(line.split(":\t", 1) for line in (process_of(container) / "status").read_text().splitlines())
    assert status["Uid"].split() == status["Gid"].split() == ["65532"] * 4
    assert int(status["CapEff"], 16) == int(status["CapPrm"], 16) == int(status["CapBnd"], 16) == 0
    assert status["NoNewPrivs"] == "1"
    assert status["Seccomp"] == "2"


def has_read_only_files(container):
    mounts = [line.split() for line in (process_of(container) / "mountinfo").read_text().splitlines()]
    (options,) = [mount[5] for mount in mounts if mount[4] == "/"]
    assert "ro" in options.split(",")


def hears_a_signed_trigger(server):
    """Expects that a client outside subscribes, and hears what a back end outside posts."""
    listener = Listener(server, {"private-orders": ["paid"]}).has_entered()
    back_end_of(server).trigger("private-orders", "paid", {"order": 7})
    assert json.loads(listener.heard.event("paid", "private-orders")["data"]) == {"order": 7}
    listener.close()


def process_of(container):
    """Where the kernel tells of a container's first process."""
    return pathlib.Path("/proc") / str(inspect("inspect", container.name)["State"]["Pid"])

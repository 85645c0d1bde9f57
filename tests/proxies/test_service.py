"""The units for systemd, held against systemd itself, and the script that lets one instance take over from the other."""

import os
import re
import subprocess

import pytest

from examples import FOLDER, replaced, text_of
from server import binary

# A template is no unit before it has an instance.
UNITS = {"gaung.service": "gaung.service", "gaung@.service": "gaung@a.service"}

SYSTEMCTL = """#!/bin/sh
# What systemd would do, as a line each; the instance of $ACTIVE runs, that of $BROKEN does not start.
case "$1" in --quiet) [ "$3" = "$ACTIVE" ] ;; *) echo "$@" >>"$CALLS"; [ "$1 $2" != "start $BROKEN" ] ;; esac
"""


@pytest.mark.parametrize("name", UNITS)
def test_systemd_understands_every_line(tmp_path, name):
    unit = tmp_path / UNITS[name]
    unit.write_text(replaced(name, {"/usr/local/bin/gaung": str(binary().resolve())}))
    done = subprocess.run(["systemd-analyze", "verify", unit], capture_output=True, text=True)
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


@pytest.mark.parametrize("name", UNITS)
def test_the_service_may_do_little(tmp_path, name):
    unit = tmp_path / UNITS[name]
    unit.write_text(text_of(name))
    command = ["systemd-analyze", "security", "--offline=yes", "--threshold=20", unit]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("name", UNITS)
def test_there_is_time_for_the_whole_end(name):
    """The comment's sum is that of the settings, and the time that systemd gives is no less."""
    lag, window, rest, patience = 7, 20, 17, int(re.search(r"^TimeoutStopSec=(\d+)$", text_of(name), re.MULTILINE)[1])
    assert f"for a lag of {lag} s and the default window it is {lag + window + rest} s" in text_of(name)
    assert patience >= lag + window + rest


def test_both_units_are_the_same_but_for_the_port():
    added = {"Environment=GAUNG_REUSE_PORT=true", "# Both listen on the same ports while one takes over."}
    of = {name: {line for line in text_of(name).partition("[Unit]")[2].splitlines() if "Description" not in line} for name in UNITS}
    assert of["gaung@.service"] - of["gaung.service"] == added
    assert of["gaung.service"] <= of["gaung@.service"]


@pytest.mark.parametrize(("active", "new"), [("gaung@a", "gaung@b"), ("gaung@b", "gaung@a"), ("", "gaung@a")])
def test_an_upgrade_starts_the_other_instance_before_it_stops_the_one_that_runs(tmp_path, active, new):
    old = {"gaung@a": "gaung@b", "gaung@b": "gaung@a"}[new]
    assert upgrade(tmp_path, active) == (0, [f"enable {new}", f"start {new}", f"disable --now {old}"])


def test_an_upgrade_stops_nothing_if_the_new_one_does_not_start(tmp_path):
    status, calls = upgrade(tmp_path, "gaung@a", broken="gaung@b")
    assert status != 0
    assert calls == ["enable gaung@b", "start gaung@b", "disable gaung@b"]


def upgrade(folder, active, broken=""):
    systemctl, calls = folder / "systemctl", folder / "calls"
    systemctl.write_text(SYSTEMCTL)
    systemctl.chmod(0o755)
    environment = {"PATH": f"{folder}:{os.environ['PATH']}", "ACTIVE": active, "BROKEN": broken, "CALLS": str(calls)}
    done = subprocess.run([FOLDER / "gaung-upgrade"], env=environment)
    return done.returncode, calls.read_text().splitlines()

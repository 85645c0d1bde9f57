"""The unit for systemd, held against systemd itself."""

import re
import subprocess

from examples import replaced, text_of
from server import binary

UNIT = "gaung.service"


def test_systemd_understands_every_line(tmp_path):
    unit = tmp_path / UNIT
    unit.write_text(replaced(UNIT, {"/usr/local/bin/gaung": str(binary().resolve())}))
    done = subprocess.run(["systemd-analyze", "verify", unit], capture_output=True, text=True)
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


def test_the_service_may_do_little(tmp_path):
    unit = tmp_path / UNIT
    unit.write_text(text_of(UNIT))
    command = ["systemd-analyze", "security", "--offline=yes", "--threshold=20", unit]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


def test_there_is_time_for_the_whole_end():
    """The comment's sum is that of the settings, and the time that systemd gives is no less."""
    lag, window, rest, patience = 7, 20, 17, int(re.search(r"^TimeoutStopSec=(\d+)$", text_of(UNIT), re.MULTILINE)[1])
    assert f"for a lag of {lag} s and the default window it is {lag + window + rest} s" in text_of(UNIT)
    assert patience >= lag + window + rest

"""Whether the server understands what a file tells it, and how long its end may take by that."""

import subprocess

from server import binary

LAG, WINDOW, REST = 0, 20, 17
"""Seconds of a shutdown: the defaults of its first two steps, and what comes after."""


def understood(settings):
    """What `gaung check` prints with these variables; settings that it does not take fail the test, with its words."""
    done = subprocess.run([binary(), "check"], env=settings, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    for variable in settings:
        assert f"\n{variable}=" in f"\n{done.stdout}", f"{variable} is not in force"
    return done.stdout


def shutdown(settings):
    """Seconds that the end of a node with these variables may take."""
    lag, window = settings.get("GAUNG_DRAIN_LAG_SECONDS", LAG), settings.get("GAUNG_DRAIN_SECONDS", WINDOW)
    return int(lag) + int(window) + REST


def seconds(text):
    """Of `75s`, as Compose has it."""
    assert text.endswith("s") and text[:-1].isdigit(), text
    return int(text[:-1])

"""The files that the documentation shows: what a test runs are they, but for ports and paths."""

import pathlib
import re

FOLDER = pathlib.Path(__file__).resolve().parents[2] / "docs" / "examples"


def text_of(name):
    return (FOLDER / name).read_text()


def settings_of(name):
    """What the example's head says that the nodes are to be started with."""
    settings = dict(re.findall(r"^#\s+(GAUNG_[A-Z0-9_]+)=(\S+)$", text_of(name), re.MULTILINE))
    assert settings, f"{name} names no settings of the nodes"
    return settings


def replaced(name, replacements):
    """The example with these texts replaced, each of which must stand there."""
    text = text_of(name)
    for old, new in replacements.items():
        assert old in text, f"{name} has no {old}"
        text = text.replace(old, new)
    return text

"""The Dockerfile, before anything is built of it. The only tests of this folder that need no container."""

import pathlib
import sys

from container import run
from server import REPOSITORY


def test_hadolint_finds_nothing():
    run(pathlib.Path(sys.executable).with_name("hadolint"), REPOSITORY / "Dockerfile")

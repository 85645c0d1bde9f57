"""The Dockerfile and what it calls, before anything is built of it. These and those of the list of crates need no container."""

import os
import pathlib
import subprocess
import sys

import pytest

from container import run
from server import REPOSITORY


def test_hadolint_finds_nothing():
    run(pathlib.Path(sys.executable).with_name("hadolint"), REPOSITORY / "Dockerfile")


@pytest.mark.parametrize("command", [["compile", "nowhere"], ["cross"], ["sbom", "nowhere"]])
def test_an_architecture_that_there_is_no_image_for_is_refused(command):
    script = REPOSITORY / "image" / command[0]
    done = subprocess.run([script, *command[1:]], env={**os.environ, "TARGETARCH": "riscv64"}, capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stderr == "there is no image for riscv64; set TARGETARCH to amd64 or arm64\n"

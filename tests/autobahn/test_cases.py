"""The Autobahn cases (framing, fragments, UTF-8, close, limits, large messages) against the product's own handshake,
frame stream and outbox, by way of the echo beside this file."""

import json
import os
import pathlib
import subprocess
import sys

import pytest

sys.path.append(str(pathlib.Path(__file__).resolve().parents[1] / "clients" / "python"))

from process import Process  # noqa: E402
from server import REPOSITORY  # noqa: E402

KOSOKU = pathlib.Path(sys.executable).with_name("kosoku")
PASSED = {"OK", "NON-STRICT", "INFORMATIONAL"}

# The server speaks no compression: the cases of 12 and 13 are about nothing else.
WITHOUT_COMPRESSION = ["-x", "12.*", "-x", "13.*"]
CASES = 301


@pytest.fixture
def echo():
    target = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", REPOSITORY / "target"))
    process = Process([os.environ.get("GAUNG_ECHO", target / "release" / "examples" / "echo")])
    yield process.printed(r"^(127\.0\.0\.1:[0-9]+)$", 10)[1]
    process.kill()


def test_all_cases_pass(echo, tmp_path):
    subprocess.run([KOSOKU, "-m", "fuzzingclient", *WITHOUT_COMPRESSION, "-o", tmp_path, echo], timeout=600)
    (cases,) = json.loads((tmp_path / "index.json").read_text()).values()
    failed = {case: result["behavior"] for case, result in cases.items() if result["behavior"] not in PASSED}
    closed_wrongly = {case for case, result in cases.items() if result["behaviorClose"] not in PASSED}
    assert len(cases) == CASES
    assert not failed and not closed_wrongly, (failed, closed_wrongly)

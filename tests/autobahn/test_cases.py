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

# With a smaller window, which no browser asks for, compression is not agreed on.
SMALLER_WINDOW = ["13.3.*", "13.5.*"]
# Compressed messages that the client cannot make: it hashes texts as if they were bytes.
NOT_MADE = ["12.2.*", "12.3.*", "12.5.*", *(f"{group}.{case}" for group in ("12.1", "12.4", *(f"13.{n}" for n in range(1, 8)))
                                            for case in (1, 2))]
# The same with other texts and other offers: for before a release.
REPEATED = ["12.4.*", "13.1.*", "13.2.*", "13.4.*", "13.6.*", "13.7.*"]
IS_LONG = os.environ.get("GAUNG_AUTOBAHN_ALL") == "1"
LEFT_OUT = SMALLER_WINDOW + NOT_MADE + ([] if IS_LONG else REPEATED)
CASES = 301 + (7 if IS_LONG else 1) * 16


@pytest.fixture
def echo():
    target = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", REPOSITORY / "target"))
    process = Process([os.environ.get("GAUNG_ECHO", target / "release" / "examples" / "echo")])
    yield process.printed(r"^(127\.0\.0\.1:[0-9]+)$", 10)[1]
    process.kill()


def test_all_cases_pass(echo, tmp_path):
    left_out = [word for cases in LEFT_OUT for word in ("-x", cases)]
    subprocess.run([KOSOKU, "-m", "fuzzingclient", *left_out, "-o", tmp_path, echo], timeout=600)
    (cases,) = json.loads((tmp_path / "index.json").read_text()).values()
    failed = {case: result["behavior"] for case, result in cases.items() if result["behavior"] not in PASSED}
    closed_wrongly = {case for case, result in cases.items() if result["behaviorClose"] not in PASSED}
    assert len(cases) == CASES
    assert not failed and not closed_wrongly, (failed, closed_wrongly)

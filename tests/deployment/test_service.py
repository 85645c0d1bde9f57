"""The settings of a node that systemd runs."""

import re

from examples import text_of
from settings import shutdown, understood

APPS = '{"apps":[{"id":"shop","key":"shop-key","secret":"change-me"}]}'


def settings():
    """The file as systemd reads it: a line NAME=value each, without quotes."""
    lines = [line for line in text_of("gaung.env").splitlines() if line and not line.startswith("#")]
    pairs = [re.fullmatch(r"([A-Z_]+)=([^'\" ]+)", line) for line in lines]
    assert all(pairs), lines
    return dict(pair.groups() for pair in pairs)


def test_the_server_understands_them(tmp_path):
    apps = tmp_path / "apps.json"
    apps.write_text(APPS)
    found = settings()
    assert found["GAUNG_APPS_FILE"] == "/etc/gaung/apps.json"
    understood(found | {"GAUNG_APPS_FILE": str(apps)})


def test_the_unit_gives_a_shutdown_the_time():
    """That the unit is one is shown in tests/proxies."""
    unit = text_of("gaung.service")
    assert "\nEnvironmentFile=/etc/gaung/gaung.env\n" in unit
    assert int(re.search(r"^TimeoutStopSec=(\d+)$", unit, re.MULTILINE)[1]) > shutdown(settings())

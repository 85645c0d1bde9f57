"""The server itself is asked whether it understands what the chart tells it, and whether its files are where it looks."""

import subprocess

import pytest

from chart import APP, CI_NAMES, ci_values, merged, render
from pod import GAUNG, below, mount, variables


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    folder = tmp_path_factory.mktemp("certificate")
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=test", "-keyout", folder / "tls.key",
         "-out", folder / "tls.crt"],
        check=True, capture_output=True,
    )
    return folder


def check(objects, folder, certificate):
    """`gaung check` with the pod's variables, its files below a folder instead of the root."""
    mount(objects, folder, certificate)
    given = below(folder, variables(objects))
    done = subprocess.run([GAUNG, "check"], env=given, capture_output=True, text=True)
    return given, done


@pytest.mark.parametrize("name", CI_NAMES)
def test_the_server_understands_all_that_the_chart_tells_it(name, tmp_path, certificate):
    given, done = check(render(ci_values(name)), tmp_path, certificate)
    assert done.returncode == 0, done.stderr
    for variable in (variable for variable in given if variable.startswith("GAUNG_")):
        (line,) = [line for line in done.stdout.splitlines() if line.startswith(f"{variable}=")]
        assert line.endswith("# environment"), line


def test_files_lie_where_the_server_is_told(tmp_path, certificate):
    objects = render(merged(ci_values("external-nats"), {"server": {"tls": {"existingSecret": "tls"}}}))
    mount(objects, tmp_path, certificate)
    told = {name: value for name, value in variables(objects).items() if value.startswith("/")}
    assert set(told) == {
        "GAUNG_APPS_FILE", "GAUNG_TLS_CERT", "GAUNG_TLS_KEY", "GAUNG_NATS_CA", "GAUNG_NATS_CERT", "GAUNG_NATS_KEY",
        "GAUNG_NATS_CREDENTIALS", "GAUNG_CLUSTER_NODES_FILE",
    }
    for name, path in told.items():
        assert (tmp_path / path.removeprefix("/")).is_file(), name


def test_a_misspelt_setting_is_refused_by_the_server(tmp_path, certificate):
    _, done = check(render(merged(APP, {"config": {"GAUNG_PNIG_SECONDS": 30}})), tmp_path, certificate)
    assert done.returncode != 0
    assert "GAUNG_PNIG_SECONDS is unknown; did you mean GAUNG_PING_SECONDS?" in done.stderr

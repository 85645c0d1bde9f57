"""The server itself is asked whether it understands what the chart tells it, and whether its files are where it looks."""

import os
import subprocess
from pathlib import Path

import pytest

from chart import CI_NAMES, REPOSITORY, APP, ci_values, literal_env, merged, of_kind, one, render, server

TARGET = Path(os.environ.get("CARGO_TARGET_DIR", REPOSITORY / "target"))
GAUNG = Path(os.environ.get("GAUNG_BIN", TARGET / "release" / "gaung"))
APPS = '{"apps":[{"id":"shop","key":"shop-key","secret":"change-me"}]}'


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    folder = tmp_path_factory.mktemp("certificate")
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=test", "-keyout", folder / "tls.key",
         "-out", folder / "tls.crt"],
        check=True, capture_output=True,
    )
    return folder


def variables(objects):
    """What the server's process would be given: the ConfigMap first, the pod's own over it, something for each secret."""
    container = server(objects)
    found = {}
    for source in container.get("envFrom", []):
        if "configMapRef" in source:
            found |= one(objects, "ConfigMap", source["configMapRef"]["name"])["data"]
    found |= {entry["name"]: "secret" for entry in container["env"] if "valueFrom" in entry}
    return found | literal_env(container)


def mount(objects, folder, certificate):
    """Puts a file where a volume of the pod would have it; anything that is mounted nowhere stays missing."""
    spec = one(objects, "Deployment")["spec"]["template"]["spec"]
    for volume in (volume for volume in spec["volumes"] if "secret" in volume):
        (place,) = [item["mountPath"] for item in server(objects)["volumeMounts"] if item["name"] == volume["name"]]
        inside = folder / place.removeprefix("/")
        inside.mkdir(parents=True)
        for name, source in (("tls.crt", "tls.crt"), ("tls.key", "tls.key"), ("ca.crt", "tls.crt")):
            (inside / name).write_bytes((certificate / source).read_bytes())
        (inside / "nats.creds").write_text("credentials")
        for secret in of_kind(objects, "Secret"):
            for name, text in secret.get("stringData", {}).items():
                (inside / name).write_text(text)
        if volume["name"] == "apps" and not (inside / "apps.json").exists():
            (inside / volume["secret"]["items"][0]["path"]).write_text(APPS)


def check(objects, folder, certificate):
    """`gaung check` with the pod's variables, its files below a folder instead of the root."""
    mount(objects, folder, certificate)
    given = {name: str(folder) + value if value.startswith("/etc/") else value for name, value in variables(objects).items()}
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
        "GAUNG_NATS_CREDENTIALS",
    }
    for name, path in told.items():
        assert (tmp_path / path.removeprefix("/")).is_file(), name


def test_a_misspelt_setting_is_refused_by_the_server(tmp_path, certificate):
    _, done = check(render(merged(APP, {"config": {"GAUNG_PNIG_SECONDS": 30}})), tmp_path, certificate)
    assert done.returncode != 0
    assert "GAUNG_PNIG_SECONDS is unknown; did you mean GAUNG_PING_SECONDS?" in done.stderr

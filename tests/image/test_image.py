"""What is in the image, and what it says of itself."""

import pathlib
import ssl
import stat

import pytest

from container import inspect, podman, run
from image import LABELS, build
from server import REPOSITORY

MOST_BYTES = 30_000_000
SEEN_IN_LABELS = {name.lower(): value for name, value in LABELS.items()}


@pytest.fixture(scope="module")
def seen(image):
    return inspect("image", "inspect", image)


@pytest.fixture(scope="module")
def config(seen):
    return seen["Config"]


def test_there_is_nothing_in_it_but_the_server_and_what_it_reads(root):
    files = {str(path.relative_to(root)) for path in root.rglob("*") if not path.is_dir()}
    etc = {"etc/group", "etc/nsswitch.conf", "etc/passwd", "etc/ssl/certs/ca-certificates.crt"}
    assert files == {"LICENSE", "gaung", *etc}


def test_nobody_but_root_may_change_a_file(root):
    for path in root.rglob("*"):
        found = path.stat()
        assert (found.st_uid, found.st_gid) == (0, 0), path
        assert not found.st_mode & (stat.S_IWGRP | stat.S_IWOTH | stat.S_ISUID | stat.S_ISGID), path
        assert found.st_mode & stat.S_IROTH, path


def test_it_is_small(seen):
    assert seen["Size"] < MOST_BYTES


def test_it_runs_as_nobody_in_particular(config, root):
    assert config["User"] == "65532:65532"
    assert (root / "etc/passwd").read_text().startswith("gaung:x:65532:65532:")
    assert (root / "etc/group").read_text().startswith("gaung:x:65532:")


def test_it_says_how_it_is_run_asked_and_stopped(seen, config):
    assert config["Entrypoint"] == ["/gaung"]
    assert config.get("Cmd") is None
    assert set(config["ExposedPorts"]) == {"6001/tcp", "9601/tcp"}
    assert {"GAUNG_HOST=0.0.0.0", "GAUNG_ADMIN_HOST=0.0.0.0"} <= set(config["Env"])
    assert config["StopSignal"] in ("SIGTERM", "15")
    assert seen["Healthcheck"]["Test"] == ["CMD", "/gaung", "health"]


def test_it_says_where_it_comes_from(config):
    labels = {name.removeprefix("org.opencontainers.image."): value for name, value in config["Labels"].items()}
    assert {name: labels[name] for name in SEEN_IN_LABELS} == SEEN_IN_LABELS
    assert labels["title"] == "Gaung"
    assert labels["licenses"] == "Apache-2.0"
    assert labels["description"]


def test_the_binary_is_of_the_version_that_the_label_says(image):
    assert podman("run", "--rm", image, "--version") == f"gaung {LABELS['VERSION']}\n"


def test_it_knows_the_public_authorities(root):
    context = ssl.create_default_context(cafile=str(root / "etc/ssl/certs/ca-certificates.crt"))
    assert context.cert_store_stats()["x509_ca"] > 100


def test_only_what_is_compiled_is_sent_to_the_build(tmp_path):
    listing = tmp_path / "Dockerfile"
    listing.write_text("FROM scratch\nCOPY . /\n")
    name = "localhost/gaung-test:context"
    run("buildah", "bud", "--quiet", f"--file={listing}", f"--tag={name}", REPOSITORY)
    try:
        sent = {path.name for path in pathlib.Path(podman("image", "mount", name).strip()).iterdir()}
        podman("image", "unmount", name)
    finally:
        podman("rmi", "--force", name)
    assert sent - {"dev", "proc", "sys"} == {".cargo", "Cargo.lock", "Cargo.toml", "LICENSE", "cluster", "image", "src", "tests"}


def test_of_the_same_binary_comes_the_same_image(image, root):
    name = "localhost/gaung-test:again"
    build(name, f"--build-context=build={root}")
    try:
        assert layers(name) == layers(image)
    finally:
        podman("rmi", "--force", name)


def layers(name):
    return inspect("image", "inspect", name)["RootFS"]["Layers"]

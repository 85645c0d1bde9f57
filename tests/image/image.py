"""The image under test, built by buildah from the repository's own Dockerfile.

Its stage `build` is replaced by a folder with what that stage would have left; `tests/run` has compiled the binary.
With GAUNG_IMAGE_FULL=1 the stage itself runs, for as long as a compilation takes, with the toolchain of this machine.
"""

import contextlib
import os
import pathlib
import re
import shutil
import subprocess
import uuid

from container import podman, run
from server import REPOSITORY

AUTHORITIES = pathlib.Path("/etc/ssl/certs/ca-certificates.crt")
DOCKERFILE = REPOSITORY / "Dockerfile"
FULL = os.environ.get("GAUNG_IMAGE_FULL") == "1"
LABELS = {
    "VERSION": re.search(r'^version = "(.+)"', (REPOSITORY / "Cargo.toml").read_text(), re.MULTILINE)[1],
    "REVISION": "0123456789abcdef0123456789abcdef01234567",
    "SOURCE": "https://example.com/gaung",
}


@contextlib.contextmanager
def built(folder):
    """Builds the image, lends its name and takes it away."""
    name = f"localhost/gaung-test:{uuid.uuid4().hex[:12]}"
    if FULL:
        with stand_in(folder) as options:
            build(name, *options)
    else:
        build(name, f"--build-context=build={left_by_the_build(folder)}")
    yield name
    podman("rmi", "--force", name)


def build(name, *options):
    """Makes what the Dockerfile says. Times are zero, so that layers of the same files are the same."""
    build_as(f"--tag={name}", *options)


def build_as(*options):
    labels = [f"--build-arg={label}={value}" for label, value in LABELS.items()]
    # HEALTHCHECK has no place in the other format.
    from_scratch = ("--pull-never", "--no-cache", "--isolation=chroot", "--format=docker", "--timestamp=0")
    run("buildah", "bud", "--quiet", *from_scratch, *labels, *options, REPOSITORY)


def left_by_the_build(folder):
    """A folder like the stage `build`, as far as the last stage copies from it."""
    stage = folder / "build"
    for source, place in [(os.environ["GAUNG_STATIC_BIN"], "gaung"), (AUTHORITIES, str(AUTHORITIES)[1:])]:
        (stage / place).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(source, stage / place)
    return stage


@contextlib.contextmanager
def stand_in(folder):
    """Makes the base image of the stage `build` of the distribution's packages, where it is not there, and lends the
    options that put this machine's toolchain into it."""
    base = re.search(r"^FROM --platform=\$BUILDPLATFORM (\S+) AS build$", DOCKERFILE.read_text(), re.MULTILINE)[1]
    if subprocess.run(["podman", "image", "exists", base]).returncode == 0:
        yield ()
        return
    run("mmdebstrap", "--variant=minbase", "--include=gcc,libc6-dev,ca-certificates", "bookworm", folder / "base.tar")
    (folder / "Dockerfile").write_text(
        "FROM scratch\nADD base.tar /\n"
        "ENV RUSTUP_HOME=/usr/local/rustup CARGO_HOME=/usr/local/cargo PATH=/usr/local/cargo/bin:/usr/bin:/bin\n"
    )
    run("buildah", "bud", "--quiet", "--format=docker", f"--tag=localhost/{base}", folder)
    rustup = os.environ.get("RUSTUP_HOME", pathlib.Path.home() / ".rustup")
    cargo = os.environ.get("CARGO_HOME", pathlib.Path.home() / ".cargo")
    yield (
        f"--volume={rustup}:/usr/local/rustup:ro",
        f"--volume={cargo}/bin:/usr/local/cargo/bin:ro",
        # Where crates come from may be signed by an authority that only this machine knows.
        f"--volume={AUTHORITIES.parent}:{AUTHORITIES.parent}:ro",
    )
    podman("rmi", "--force", base)

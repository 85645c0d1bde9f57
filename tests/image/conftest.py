import os
import pathlib
import sys

import pytest

# Clients, back end, receiver of webhooks and waiting are those of the client tests; Helm is that of the chart's.
tests = pathlib.Path(__file__).resolve().parents[1]
sys.path += [str(tests / "clients" / "python"), str(tests / "helm")]

from container import podman  # noqa: E402
from image import built  # noqa: E402

# No proxy of the machine stands between the tests and the server on loopback.
os.environ["NO_PROXY"] = os.environ["no_proxy"] = "127.0.0.1,localhost"


@pytest.fixture(scope="session")
def image(tmp_path_factory):
    """The name of the image, built once."""
    with built(tmp_path_factory.mktemp("image")) as name:
        yield name


@pytest.fixture(scope="module")
def root(image):
    """The image's files, where they can be looked at."""
    yield pathlib.Path(podman("image", "mount", image).strip())
    podman("image", "unmount", image)

"""One name for both architectures, as it is published. One machine builds both, since nothing of the last stage is run."""

import json

import pytest

from container import inspect, podman, run
from image import LABELS, build_as

ARCHITECTURES = ["amd64", "arm64"]


@pytest.fixture(scope="module")
def images(root):
    """What is said of the image of each architecture, by the architecture."""
    name = "localhost/gaung-test:platforms"
    platforms = ",".join(f"linux/{architecture}" for architecture in ARCHITECTURES)
    build_as(f"--build-context=build={root}", f"--platform={platforms}", f"--manifest={name}")
    try:
        listed = json.loads(run("buildah", "manifest", "inspect", name))["manifests"]
        repository = name.rsplit(":", 1)[0]
        seen = {item["platform"]["architecture"]: f"{repository}@{item['digest']}" for item in listed}
        images = {architecture: inspect("image", "inspect", image) for architecture, image in seen.items()}
        yield images
    finally:
        run("buildah", "manifest", "rm", name)
    podman("rmi", "--force", *(image["Id"] for image in images.values()))


def test_the_name_stands_for_an_image_of_each_architecture(images):
    assert sorted(images) == ARCHITECTURES
    for architecture, seen in images.items():
        assert (seen["Os"], seen["Architecture"]) == ("linux", architecture)


def test_they_are_alike_in_all_but_the_binary(images):
    first, second = (images[architecture]["Config"] for architecture in ARCHITECTURES)
    assert first == second
    assert first["Labels"]["org.opencontainers.image.version"] == LABELS["VERSION"]

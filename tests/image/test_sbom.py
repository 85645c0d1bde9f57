"""The list of what the binary is made of, held against cargo's own. Needs no container."""

import json
import subprocess

import pytest

from container import run
from image import LABELS
from server import REPOSITORY

VERSION = LABELS["VERSION"]
TARGETS = {"amd64": "x86_64-unknown-linux-gnu", "arm64": "aarch64-unknown-linux-gnu"}


@pytest.fixture(scope="module", params=TARGETS)
def architecture(request):
    return request.param


@pytest.fixture(scope="module")
def text(architecture, tmp_path_factory):
    return listed(architecture, tmp_path_factory.mktemp("sbom") / "gaung.cdx.json")


def listed(architecture, file):
    run("env", f"TARGETARCH={architecture}", "SOURCE_DATE_EPOCH=0", REPOSITORY / "image" / "sbom", file)
    return file.read_text()


def test_it_has_every_crate_of_the_binary_by_name_and_version(architecture, text):
    tree = ["cargo", "tree", "--locked", "--package=gaung", "--edges=normal", "--prefix=none", "--format={p}"]
    done = subprocess.run([*tree, f"--target={TARGETS[architecture]}"], capture_output=True, text=True, cwd=REPOSITORY)
    crates = {tuple(line.split()[:2]) for line in done.stdout.splitlines() if line} - {("gaung", f"v{VERSION}")}
    found = {(component["name"], f"v{component['version']}") for component in json.loads(text)["components"]}
    assert len(crates) > 100 and crates <= found


def test_it_is_of_the_binary_and_of_nothing_that_only_tests_or_other_systems_use(text):
    bom = json.loads(text)
    assert (bom["bomFormat"], bom["metadata"]["component"]["name"], bom["metadata"]["component"]["version"]) == (
        "CycloneDX", "gaung", VERSION,
    )
    assert not {"windows-sys", "proptest", "gaung-bench"} & {component["name"] for component in bom["components"]}


def test_crates_from_outside_have_a_checksum_and_a_licence(text):
    outside = [item for item in json.loads(text)["components"] if item["bom-ref"].startswith("registry+")]
    assert outside and all(item.get("hashes") and item.get("licenses") for item in outside)


def test_it_says_nothing_of_where_it_was_made_and_leaves_nothing_there(text):
    assert str(REPOSITORY) not in text
    assert not [path for path in REPOSITORY.glob("**/sbom-*.json") if "target" not in path.parts]


def test_of_the_same_sources_comes_the_same_list(architecture, text, tmp_path):
    without_serial = lambda text: {key: value for key, value in json.loads(text).items() if key != "serialNumber"}
    assert without_serial(listed(architecture, tmp_path / "again.json")) == without_serial(text)

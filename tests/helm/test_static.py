"""What can be said of the chart's files before they are rendered."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from chart import CHART, CI

HERE = Path(__file__).parent
BIN = Path(sys.executable).parent
CHARTS = {"gaung": CHART, "nats": CHART / "charts" / "nats"}


def run(*command, cwd=HERE):
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, cwd=cwd)
    assert done.returncode == 0, done.stdout + done.stderr


def test_yaml_files_are_tidy_and_have_no_key_twice():
    files = [CHART / "Chart.yaml", CHART / "values.yaml", *CHARTS["nats"].glob("*.yaml"), *CI]
    run(BIN / "yamllint", "--strict", "--config-file", HERE / "yamllint.yaml", *files)


@pytest.mark.parametrize("chart", CHARTS)
def test_the_schema_is_one(chart):
    run(BIN / "check-jsonschema", "--check-metaschema", CHARTS[chart] / "values.schema.json")


def test_ci_files_satisfy_the_schema_as_they_stand():
    run(BIN / "check-jsonschema", "--schemafile", CHART / "values.schema.json", *CI)


@pytest.mark.parametrize("chart", CHARTS)
def test_the_table_in_the_readme_is_that_of_the_values(chart, tmp_path):
    """The generator fails where a value has no line. To make the table anew, run it without a copy."""
    readme = tmp_path / "README.md"
    shutil.copy(CHARTS[chart] / "README.md", readme)
    run(HERE / "node_modules" / ".bin" / "readme-generator", "--values", CHARTS[chart] / "values.yaml", "--readme", readme)
    assert readme.read_text() == (CHARTS[chart] / "README.md").read_text(), (
        f"run: readme-generator --values {CHARTS[chart]}/values.yaml --readme {CHARTS[chart]}/README.md"
    )


def test_every_value_that_the_readme_names_is_there():
    schema = json.loads((CHART / "values.schema.json").read_text())
    text = (CHART / "README.md").read_text().split("## Parameters")[0]
    roots = "|".join(schema["properties"])
    names = set(re.findall(rf"[`(\s]((?:{roots})(?:\.[a-zA-Z]+)+)", text))
    assert len(names) > 20
    table = (CHART / "README.md").read_text() + (CHARTS["nats"] / "README.md").read_text()
    free = ("config.", "resources.limits")
    unknown = [name for name in names if f"`{name.removeprefix('nats.')}" not in table and not name.startswith(free)]
    assert unknown == []


def test_every_ci_file_says_what_it_is():
    assert [path.name for path in CI if not path.read_text().startswith("# ")] == []

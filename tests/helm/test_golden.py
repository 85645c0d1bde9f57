"""What each of ci/*.yaml renders to, word for word: a change of the chart shows what it changes.

UPDATE_GOLDEN=1 writes the files anew. What monitoring brings has tests of its own.
"""

import os
from pathlib import Path

import yaml

from chart import StrictLoader, ci_values, render

GOLDEN = Path(__file__).parent / "golden"
MONITORING = {"PodMonitor", "PrometheusRule", "ServiceMonitor"}


def test_ci_files_render_to_what_they_did(ci):
    path = GOLDEN / f"{ci}.yaml"
    objects = [steady(item) for item in sorted(render(ci_values(ci)), key=name_of) if not is_of_monitoring(item)]
    if os.environ.get("UPDATE_GOLDEN"):
        GOLDEN.mkdir(exist_ok=True)
        path.write_text(yaml.safe_dump_all(objects, sort_keys=False, allow_unicode=True, width=120))
    assert list(yaml.load_all(path.read_text(), StrictLoader)) == objects


def name_of(item):
    return item["kind"], item["metadata"]["name"]


def is_of_monitoring(item):
    return item["kind"] in MONITORING or "grafana_dashboard" in item["metadata"].get("labels", {})


def steady(item):
    """Without what is another at each release: its numbers."""
    for label in ("helm.sh/chart", "app.kubernetes.io/version", "app.kubernetes.io/managed-by", "app.kubernetes.io/part-of"):
        item["metadata"].get("labels", {}).pop(label, None)
    return item

"""What Helm makes of the chart."""

import functools
import os
import pathlib
import subprocess

import yaml

CHART = pathlib.Path(__file__).resolve().parents[2] / "helm" / "gaung"
CACHE = pathlib.Path(os.environ.get("XDG_CACHE_HOME", pathlib.Path.home() / ".cache"))
HELM = os.environ.get("HELM", CACHE / "gaung" / "helm" / "helm4")
NAMESPACE = "shop"
RELEASE = "gaung"

# A login of one's own, since no cluster is seen here.
BUNDLED_NATS = {"enabled": True, "auth": {"existingSecret": "login"}}

# Three nodes with a NATS of somebody else's.
NODES = {"apps": {"existingSecret": "apps"}, "cluster": {"nats": {"urls": ["nats://nats:4222"]}}}


def default_values():
    return yaml.safe_load((CHART / "values.yaml").read_text())


def render(**values):
    """The objects that the chart makes of the release with these values on top, or a failure with Helm's words."""
    done = subprocess.run(
        [HELM, "template", RELEASE, CHART, "--namespace", NAMESPACE, "--values", "-"],
        input=yaml.safe_dump({**NODES, **values}), capture_output=True, text=True,
    )
    assert done.returncode == 0, done.stderr
    return [document for document in yaml.safe_load_all(done.stdout) if document]


def only(kind, **metrics):
    """The one object of this kind that the chart makes with these values under `metrics`."""
    objects = [document for document in render(metrics=metrics) if document["kind"] == kind]
    assert len(objects) == 1, f"{len(objects)} objects are a {kind}"
    return objects[0]


# Of NATS that is watched, though the chart did not bring it; and the alert that fires always.
EVERYTHING = {"enabled": True, "natsSelector": f'namespace="{NAMESPACE}", job="{RELEASE}-nats"', "watchdog": True}


def rules(slo=None, **settings):
    """The groups of rules, all that there are unless these values of the PrometheusRule leave some out."""
    metrics = {"prometheusRule": {**EVERYTHING, **settings}, **({"slo": slo} if slo else {})}
    return only("PrometheusRule", **metrics)["spec"]["groups"]


def alerts(**settings):
    """The alerts by their names."""
    return {rule["alert"]: rule for group in rules(**settings) for rule in group["rules"] if "alert" in rule}


@functools.cache
def default_alerts():
    return alerts()


@functools.cache
def default_records():
    """The recording rules."""
    return [rule for group in rules() for rule in group["rules"] if "record" in rule]


def dashboards():
    """The files of the dashboards by their names."""
    return {path.stem: path.read_text() for path in sorted((CHART / "files" / "dashboards").glob("*.json"))}

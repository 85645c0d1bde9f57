"""Renders the chart with a real Helm and reads what comes out, more strictly than Helm and Kubernetes do."""

import functools
import json
import os
import subprocess
from pathlib import Path

import yaml

REPOSITORY = Path(__file__).resolve().parents[2]
CHART = REPOSITORY / "helm" / "gaung"
CI = sorted((CHART / "ci").glob("*-values.yaml"))
CI_NAMES = [path.name.removesuffix("-values.yaml") for path in CI]
TOOLS = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "gaung" / "helm"
HELMS = ["helm3", "helm4"]
KUBES = ["1.30", "1.37"]

# What an operator must set at least.
APP = {"apps": {"existingSecret": "gaung-apps"}}
# A password that is drawn needs a cluster in which it is kept.
NATS = {"enabled": True, "auth": {"existingSecret": "gaung-nats-login"}}
CLUSTER = {**APP, "nats": NATS}


class Refused(Exception):
    """Helm did not render; its message is what the operator reads."""


class StrictLoader(yaml.SafeLoader):
    """Refuses a key that stands twice in a map, which Helm and Kubernetes take silently."""

    def construct_mapping(self, node, deep=False):
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        doubles = {key for key in keys if keys.count(key) > 1}
        if doubles:
            raise yaml.constructor.ConstructorError(None, None, f"doubled keys: {doubles}", node.start_mark)
        return super().construct_mapping(node, deep)


def helm(*arguments, version="helm4"):
    """What Helm prints; raises Refused with its complaint."""
    done = subprocess.run([TOOLS / version, *map(str, arguments)], capture_output=True, text=True, cwd=REPOSITORY)
    if done.returncode:
        raise Refused(done.stderr + done.stdout)
    return done.stdout


def ci_values(name):
    return yaml.load((CHART / "ci" / f"{name}-values.yaml").read_text(), StrictLoader)


def render(values, *, version="helm4", kube="1.37", release="gaung", namespace="sockets", chart=CHART, apis=()):
    """All objects of a release, hooks too, on a cluster that has these APIs beside Kubernetes' own."""
    cluster = ("--kube-version", f"{kube}.0", *(f"--api-versions={api}" for api in apis))
    text = template(json.dumps(values, sort_keys=True), version, cluster, release, namespace, str(chart))
    return [document for document in yaml.load_all(text, StrictLoader) if document is not None]


@functools.cache
def template(values, version, cluster, release, namespace, chart):
    """The text of all objects. JSON is YAML, and can be kept in a cache."""
    done = subprocess.run(
        [TOOLS / version, "template", release, chart, "--namespace", namespace, *cluster, "--values", "-"],
        input=values, capture_output=True, text=True,
    )
    if done.returncode:
        raise Refused(done.stderr)
    return done.stdout


def of_kind(objects, kind):
    return [found for found in objects if found["kind"] == kind]


def one(objects, kind, name=None):
    """The only object of a kind, or the one with a name."""
    found = [item for item in of_kind(objects, kind) if name in (None, item["metadata"]["name"])]
    assert len(found) == 1, [item["metadata"]["name"] for item in of_kind(objects, kind)]
    return found[0]


def pod_templates(objects):
    """Labels and specification of every pod, by the kind and name of the object that makes it."""
    pods = {}
    for item in objects:
        template = item if item["kind"] == "Pod" else item.get("spec", {}).get("template", {})
        if "containers" in template.get("spec", {}):
            name = f"{item['kind']}/{item['metadata']['name']}"
            pods[name] = (template["metadata"].get("labels", {}), template["spec"])
    return pods


def server(objects):
    """The container of the server."""
    return one(objects, "Deployment")["spec"]["template"]["spec"]["containers"][0]


def literal_env(container):
    """The variables of a container that stand in the pod, as they are."""
    return {entry["name"]: entry["value"] for entry in container["env"] if "value" in entry}


def merged(*maps):
    """Values on top of values, as Helm merges them."""
    result = {}
    for values in maps:
        for key, value in values.items():
            both = isinstance(value, dict) and isinstance(result.get(key), dict)
            result[key] = merged(result[key], value) if both else value
    return result

"""Holds an object against the schema of its kind: those of Kubernetes itself, and of the operators that we write for."""

import functools
import json
import subprocess
from pathlib import Path

import kubernetes_validate
from cloudcoil.models.keda import v1alpha1 as keda
from cloudcoil.models.prometheus_operator import v1 as prometheus

# It reads two large files for each object otherwise.
kubernetes_validate.utils.schema_contents = functools.cache(kubernetes_validate.utils.schema_contents)

PYDANTIC = {
    ("monitoring.coreos.com/v1", "PodMonitor"): prometheus.PodMonitor,
    ("monitoring.coreos.com/v1", "PrometheusRule"): prometheus.PrometheusRule,
    ("monitoring.coreos.com/v1", "ServiceMonitor"): prometheus.ServiceMonitor,
    ("keda.sh/v1alpha1", "ScaledObject"): keda.ScaledObject,
}

# Their schemas are at hand for Node alone, and take unknown fields: the tests of routes and of clouds say what is in them.
NODE = {
    ("gateway.networking.k8s.io/v1", "Gateway"),
    ("gateway.networking.k8s.io/v1", "HTTPRoute"),
    ("networking.gke.io/v1", "GCPBackendPolicy"),
    ("networking.gke.io/v1", "HealthCheckPolicy"),
}


def check(item, kube):
    """Raises if the object has a wrong or unknown field, or is of a kind that this Kubernetes does not have."""
    kind = (item["apiVersion"], item["kind"])
    if kind in PYDANTIC:
        check_model(item, PYDANTIC[kind])
    elif kind in NODE:
        check_by_node(item)
    else:
        # A version that it does not know it would hold against an older one.
        assert kubernetes_validate.validate(item, kube, strict=True) == kube


def check_model(item, model):
    known = model.model_validate(item).model_dump(exclude_unset=True, by_alias=True, mode="json")
    unknown = paths(item) - paths(known)
    assert not unknown, f"fields that {item['kind']} does not have: {unknown}"


def check_by_node(item):
    done = subprocess.run(
        ["node", Path(__file__).with_name("object.mjs")], input=json.dumps(item), capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr


def paths(value, prefix=""):
    """The path of every field in a value."""
    if isinstance(value, dict):
        return {found for key, inner in value.items() for found in {f"{prefix}.{key}"} | paths(inner, f"{prefix}.{key}")}
    if isinstance(value, list):
        return {found for index, inner in enumerate(value) for found in paths(inner, f"{prefix}[{index}]")}
    return set()

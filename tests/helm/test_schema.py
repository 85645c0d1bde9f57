"""The schema knows every value and refuses what is misspelt or of the wrong kind."""

import json

import jsonschema
import pytest
import yaml

from chart import APP, CHART, CI_NAMES, Refused, StrictLoader, ci_values, merged, render

CHARTS = {"gaung": CHART, "nats": CHART / "charts" / "nats"}


def schema_of(chart):
    return json.loads((CHARTS[chart] / "values.schema.json").read_text())


def values_of(chart):
    return yaml.load((CHARTS[chart] / "values.yaml").read_text(), StrictLoader)


def resolved(schema, whole):
    while "$ref" in schema:
        schema = whole["definitions"][schema["$ref"].removeprefix("#/definitions/")]
    return schema


def missing(values, schema, whole, path=""):
    """Paths of the values for which the schema has no line."""
    for key, value in values.items():
        inner = resolved(schema, whole).get("properties", {}).get(key)
        if inner is None:
            yield f"{path}{key}"
        elif isinstance(value, dict) and "properties" in resolved(inner, whole):
            yield from missing(value, inner, whole, f"{path}{key}.")


@pytest.mark.parametrize("chart", CHARTS)
def test_every_value_is_in_the_schema(chart):
    assert list(missing(values_of(chart), schema_of(chart), schema_of(chart))) == []


@pytest.mark.parametrize("chart", CHARTS)
def test_nothing_is_in_the_schema_that_is_no_value(chart):
    """But for what Kubernetes allows and the chart leaves out."""
    schema = schema_of(chart)
    assert set(schema["properties"]) == set(values_of(chart))
    jsonschema.Draft7Validator(schema).validate(values_of(chart))


@pytest.mark.parametrize("chart", CHARTS)
def test_every_level_is_closed(chart):
    """A map has either a list of its keys, and no others, or one rule for all; or it is Kubernetes' own."""
    whole = schema_of(chart)
    open_ones = [path for path, schema in maps(whole) if "properties" in schema and schema.get("additionalProperties") is not False]
    # Apps are the server's to judge; sub-chart, `parentRefs` and these have a schema elsewhere. `global` is all charts'.
    assert set(open_ones) <= {"apps.inline[]", "nats", "httpRoute.parentRefs[]", "global", "global.compatibility"}


def maps(schema, path=""):
    if not isinstance(schema, dict):
        return
    yield path, schema
    for key, inner in {**schema.get("properties", {}), **schema.get("definitions", {})}.items():
        yield from maps(inner, f"{path}.{key}".lstrip("."))
    if "items" in schema:
        yield from maps(schema["items"], f"{path}[]")


def leaves(values, path=()):
    for key, value in values.items():
        yield (*path, key)
        if isinstance(value, dict):
            yield from leaves(value, (*path, key))


def misspelt(values, path):
    copy = json.loads(json.dumps(values))
    inner = copy
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1] + "x"] = inner.pop(path[-1])
    return copy


# Maps whose keys are the user's or Kubernetes'.
FREE = ("commonLabels", "commonAnnotations", "annotations", "labels", "podLabels", "podAnnotations", "nodeSelector", "affinity",
        "requests", "limits", "config", "podSecurityContext", "securityContext", "thresholds")


@pytest.mark.parametrize("name", CI_NAMES)
def test_a_misspelt_key_of_a_ci_file_is_refused(name):
    values = ci_values(name)
    spelt = [path for path in leaves(values) if not set(FREE) & set(path[:-1])]
    assert spelt
    validators = {chart: jsonschema.Draft7Validator(schema_of(chart)) for chart in CHARTS}
    for path in spelt:
        wrong = misspelt(values, path)
        refused = not validators["gaung"].is_valid(wrong) or not validators["nats"].is_valid(wrong.get("nats", {}))
        assert refused, ".".join(path)


WRONG = {
    "a misspelt key": {"replicacount": 3},
    "a misspelt key further down": {"autoscaling": {"connections": {"averageValu": "1"}}},
    "a misspelt key of NATS": {"nats": {"enabled": True, "replicas": 3}},
    "an unknown way with OpenShift": {"global": {"compatibility": {"openshift": {"adaptSecurityContext": "yes"}}}},
    "a path that would have to be a whole one": {"ingress": {"pathType": "Exact"}},
    "a hook that is two": {"lifecycle": {"preStop": {"sleep": {"seconds": 1}, "httpGet": {"port": 1}}}},
    "another signal than the one that drains": {"lifecycle": {"stopSignal": "SIGINT"}},
    "text for a number": {"replicaCount": "three"},
    "a number below none": {"replicaCount": -1},
    "a ratio that would move sockets for ever": {"rebalance": {"above": 1}},
    "a port that is none": {"server": {"port": 70000}},
    "port zero": {"service": {"port": 0}},
    "an unknown pull policy": {"image": {"pullPolicy": "Sometimes"}},
    "an unknown type of Service": {"service": {"type": "ExternalName"}},
    "a number for a label": {"podLabels": {"a": 1}},
    "a duration without a unit": {"metrics": {"serviceMonitor": {"interval": "30"}}},
    "a quantity that is none": {"resources": {"limits": {"memory": "lots"}}},
    "a fraction for a setting": {"config": {"GAUNG_PING_SECONDS": 1.5}},
    "a setting that is not the server's": {"config": {"PING_SECONDS": 30}},
    "a path without a slash": {"server": {"pathPrefix": "realtime"}},
    "a margin too small for webhooks and events": {"drain": {"marginSeconds": 16}},
    "an address that is not NATS'": {"cluster": {"nats": {"urls": ["http://nats:4222"]}}},
    "a cluster's name in capitals": {"cluster": {"name": "Production"}},
    "a budget of half a node": {"podDisruptionBudget": {"maxUnavailable": 0.5}},
    "an app without an id": {"apps": {"existingSecret": "", "inline": [{"key": "k"}]}},
    "text for a switch": {"networkPolicy": {"enabled": "yes"}},
    "two NATS servers, which cannot agree": {"nats": {"enabled": True, "replicaCount": 2}},
    "a network that is none": {"networkPolicy": {"webhooks": {"except": ["metadata"]}}},
}


@pytest.mark.parametrize("name", WRONG)
def test_refused(name, version):
    with pytest.raises(Refused, match="(?s)values don't meet the specifications|schema"):
        render(merged(APP, WRONG[name]), version=version)

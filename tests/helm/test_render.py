"""Every one of ci/*.yaml, with both Helms, for the oldest and the newest Kubernetes."""

import itertools
import tarfile

import kubernetes_validate
import pytest
import yaml

import models
from chart import APP, CHART, CI_NAMES, CLUSTER, HELMS, KUBES, NATS, StrictLoader, ci_values, helm, merged, one, render


def test_every_object_is_valid(ci, kube, version):
    for item in render(ci_values(ci), version=version, kube=kube):
        models.check(item, kube)


def test_both_helms_render_the_same(ci):
    first, second = (by_name(render(ci_values(ci), version=version)) for version in HELMS)
    assert first == second


def by_name(objects):
    return {(item["kind"], item["metadata"]["name"]): item for item in objects}


def test_lint_has_nothing_to_say(ci, version):
    helm("lint", "--strict", CHART, "--values", CHART / "ci" / f"{ci}-values.yaml", version=version)


def test_lint_needs_no_cluster_for_the_password_of_nats(version):
    helm("lint", "--strict", CHART, "--set", "apps.existingSecret=a,nats.enabled=true", version=version)


def test_an_older_kubernetes_is_refused(version):
    with pytest.raises(Exception, match="incompatible with Kubernetes v1.29.0"):
        render(APP, kube="1.29", version=version)


def test_the_package_renders_as_the_folder_does(tmp_path, version):
    helm("package", CHART, "--destination", tmp_path, version=version)
    (archive,) = tmp_path.glob("*.tgz")
    values = ci_values("locked-down")
    assert render(values, chart=archive, version=version) == render(values, version=version)


def test_the_package_has_no_tests_and_no_values_of_ours(tmp_path):
    helm("package", CHART, "--destination", tmp_path)
    (archive,) = tmp_path.glob("*.tgz")
    names = tarfile.open(archive).getnames()
    assert "gaung/charts/nats/Chart.yaml" in names
    assert not [name for name in names if "/ci/" in name or "test_" in name]


# Each of these can be switched on or off by itself; two of them meet in the test below.
TOGGLES = {
    "nats": {"nats": NATS},
    "autoscaling": {"nats": NATS, "autoscaling": {"enabled": True}},
    "three": {"nats": NATS, "replicaCount": 3},
    "route": {"httpRoute": {"enabled": True, "parentRefs": [{"name": "public"}]}},
    "ingress": {"ingress": {"enabled": True}},
    "forgetful": {"nats": NATS, "history": {"stream": False}},
    "policy": {"networkPolicy": {"enabled": True}},
    "tls": {"server": {"tls": {"existingSecret": "tls"}}},
    "prefix": {"server": {"pathPrefix": "/realtime/"}},
    "config": {"config": {"GAUNG_PING_SECONDS": 30}},
    "limits": {"resources": {"limits": {"memory": "1Gi"}}},
    "spread": {"topologySpreadConstraints": []},
    "probes": {"probes": {"startup": {"enabled": False}, "liveness": {"enabled": False}}},
    "lag": {"drain": {"propagationSeconds": 0, "lagSeconds": 30}},
    "monitors": {"metrics": {"podMonitor": {"enabled": True}}, "networkPolicy": {"metricsFrom": [{"podSelector": {}}]}},
    "alerts": {"metrics": {"prometheusRule": {"enabled": True, "watchdog": True}, "dashboard": {"enabled": True}}},
    "exporter": {"nats": {**NATS, "networkPolicy": {"monitoringFrom": [{"podSelector": {}}]}}},
    "host": {"hostNetwork": True, "nats": {"networkPolicy": {"enabled": False}}, "lifecycle": {"postStart": {"httpGet": {"port": "admin"}}}},
    "fields": {"hostAliases": [{"ip": "10.0.0.1", "hostnames": ["a"]}], "dnsConfig": {"nameservers": ["10.0.0.2"]}, "runtimeClassName": "r", "schedulerName": "s"},
    "balancer": {"service": {"type": "LoadBalancer", "loadBalancerIP": "192.0.2.1", "externalTrafficPolicy": "Local", "healthCheckNodePort": 32000}},
    "families": {"service": {"ipFamilyPolicy": "PreferDualStack"}, "metricsService": {"ipFamilies": ["IPv6"]}, "nats": {"service": {"ipFamilies": ["IPv6"]}}},
    "account": {"serviceAccount": {"create": False}},
    "hidden": {"metricsService": {"enabled": False}},
    "untested": {"tests": {"enabled": False}},
    "labels": {"commonLabels": {"app.kubernetes.io/part-of": "shop"}, "commonAnnotations": {"a": "b"}},
}


# The chart refuses these two together.
PAIRS = [pair for pair in itertools.combinations(TOGGLES, 2) if set(pair) != {"policy", "host"}]


@pytest.mark.parametrize("pair", PAIRS, ids="+".join)
def test_any_two_switches_go_together(pair):
    for item in render(merged(APP, *(TOGGLES[name] for name in pair))):
        models.check(item, KUBES[-1])


def test_the_loader_refuses_a_key_that_stands_twice():
    with pytest.raises(yaml.constructor.ConstructorError, match="doubled"):
        yaml.load("a: 1\na: 2\n", StrictLoader)


@pytest.mark.parametrize(
    "name,kind,object_name",
    [("default", "Deployment", "gaung"), ("monitoring", "ServiceMonitor", "gaung-gaung-nats"), ("gateway", "ScaledObject", "gaung")],
)
def test_the_schemas_refuse_a_field_that_no_object_has(name, kind, object_name):
    item = one(render(ci_values(name)), kind, object_name)
    item["spec"]["repilcas"] = 3
    with pytest.raises((AssertionError, kubernetes_validate.ValidationError)):
        models.check(item, KUBES[0])


@pytest.mark.parametrize("kind", ["PodSecurityPolicy", "Deploymnet"])
def test_the_schemas_refuse_a_kind_that_kubernetes_does_not_have(kind):
    with pytest.raises(kubernetes_validate.SchemaNotFoundError):
        models.check({"apiVersion": "apps/v1", "kind": kind, "metadata": {"name": "a"}}, KUBES[0])


def test_each_kind_of_object_stands_in_some_ci_file():
    kinds = {item["kind"] for name in CI_NAMES for item in render(ci_values(name))}
    assert kinds >= {
        "ConfigMap", "Deployment", "HTTPRoute", "HorizontalPodAutoscaler", "Ingress", "NetworkPolicy", "Pod",
        "PodDisruptionBudget", "PodMonitor", "ScaledObject", "Secret", "Service", "ServiceAccount", "StatefulSet",
    }


def test_three_nodes_and_nats_come_of_one_switch():
    objects = render(CLUSTER)
    assert one(objects, "Deployment")["spec"]["replicas"] == 3
    assert one(objects, "StatefulSet")["spec"]["replicas"] == 1

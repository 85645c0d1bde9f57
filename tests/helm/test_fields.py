"""Fields of Kubernetes that are passed on: to all pods, all Services, all objects."""

import json
import re

import pytest
import yaml

from chart import APP, CHART, CLUSTER, StrictLoader, ci_values, helm, merged, of_kind, one, pod_templates, render, server

# Every object and every pod that there may be.
ALL = [ci_values("monitoring"), ci_values("ha"), ci_values("gateway"), ci_values("ingress"), ci_values("locked-down")]
WATCHED = merged(CLUSTER, {"nats": {"exporter": {"enabled": True}}})
DIGEST = "sha256:" + "b" * 64


def containers(objects):
    return [container for _, spec in pod_templates(objects).values() for container in spec["containers"]]


def images(values):
    return {container["name"]: container["image"] for container in containers(render(values))}


# --- images


@pytest.mark.parametrize(
    "image,name",
    [
        ({}, "gaung/gaung:0.1.0"),
        ({"tag": "next"}, "gaung/gaung:next"),
        ({"registry": "images.example.com:5000"}, "images.example.com:5000/gaung/gaung:0.1.0"),
        ({"tag": "next", "digest": "sha256:" + "a" * 64}, "gaung/gaung@sha256:" + "a" * 64),
    ],
)
def test_the_image_s_name(image, name):
    objects = render(merged(APP, {"image": image}))
    assert server(objects)["image"] == one(objects, "Pod")["spec"]["containers"][0]["image"] == name


def test_one_host_serves_all_images():
    values = merged(WATCHED, {"global": {"imageRegistry": "mirror.example.com:5000"}, "image": {"registry": "elsewhere.example.com"}})
    assert images(values) == {
        "gaung": "mirror.example.com:5000/gaung/gaung:0.1.0",
        "roundtrip": "mirror.example.com:5000/gaung/gaung:0.1.0",
        "nats": f"mirror.example.com:5000/{images(WATCHED)['nats']}",
        "exporter": f"mirror.example.com:5000/{images(WATCHED)['exporter']}",
    }


@pytest.mark.parametrize("host", ["elsewhere.example.com/", "elsewhere:5000/", "localhost/", ""])
def test_the_exporter_s_own_host_gives_way_to_that_of_all(host):
    values = {"global": {"imageRegistry": "mirror"}, "nats": {"exporter": {"image": f"{host}natsio/exporter:1"}}}
    assert images(merged(WATCHED, values))["exporter"] == "mirror/natsio/exporter:1"


def test_nats_and_its_exporter_are_pinned_by_digest_where_one_is_given():
    values = merged(WATCHED, {"nats": {"image": {"digest": DIGEST}, "exporter": {"digest": DIGEST}}})
    found = images(values)
    assert (found["nats"], found["exporter"]) == (f"nats@{DIGEST}", f"natsio/prometheus-nats-exporter@{DIGEST}")
    pinned = merged(values, {"nats": {"exporter": {"image": f"host:5000/exporter:1@{'sha256:' + 'a' * 64}"}}})
    assert images(pinned)["exporter"] == f"host:5000/exporter@{DIGEST}"


def test_all_images_are_pulled_with_the_secrets_of_all_and_with_their_own():
    secrets = {"global": {"imagePullSecrets": ["all", {"name": "named"}]}, "image": {"pullSecrets": ["own", "all"]}}
    for name, (_, spec) in pod_templates(render(merged(CLUSTER, secrets))).items():
        own = [] if name.startswith("StatefulSet") else [{"name": "own"}]
        assert spec["imagePullSecrets"] == [{"name": "all"}, {"name": "named"}, *own], name


def test_the_lists_of_images_are_what_is_rendered():
    rendered = set(images(WATCHED).values())
    annotation = yaml.load((CHART / "Chart.yaml").read_text(), StrictLoader)["annotations"]["artifacthub.io/images"]
    assert {item["image"] for item in yaml.load(annotation, StrictLoader)} == rendered
    table = (CHART / "README.md").read_text().split("### Images")[1].split("\n\n")[1]
    assert set(re.findall(r"^\| `([^`]+)` \|", table, re.MULTILINE)) == rendered


# --- pods

HATCHES = {
    "hostAliases": [{"ip": "10.0.0.1", "hostnames": ["queue.example.com"]}],
    "dnsPolicy": "None",
    "dnsConfig": {"nameservers": ["10.0.0.2"], "options": [{"name": "ndots", "value": "2"}]},
    "runtimeClassName": "gvisor",
    "schedulerName": "packing",
}


def test_fields_of_pods_stand_in_those_of_nodes_and_test_and_below_nats_in_its_own():
    for name, (_, spec) in pod_templates(render(merged(CLUSTER, HATCHES, {"nats": HATCHES}))).items():
        assert {field: spec[field] for field in HATCHES} == HATCHES, name
    for name, (_, spec) in pod_templates(render(CLUSTER)).items():
        assert not set(HATCHES) & set(spec), name


def test_a_node_on_its_machine_s_network_still_finds_services():
    objects = render(merged(APP, {"hostNetwork": True}))
    spec = one(objects, "Deployment")["spec"]["template"]["spec"]
    assert (spec["hostNetwork"], spec["dnsPolicy"]) == (True, "ClusterFirstWithHostNet")
    assert "hostNetwork" not in one(objects, "Pod")["spec"]
    own = render(merged(APP, {"hostNetwork": True, "dnsPolicy": "Default"}))
    assert one(own, "Deployment")["spec"]["template"]["spec"]["dnsPolicy"] == "Default"


def test_hooks_stand_beside_the_wait_before_sigterm_or_in_its_place():
    def lifecycle(hooks, seconds=5):
        return server(render(merged(APP, {"lifecycle": hooks, "drain": {"propagationSeconds": seconds}})))["lifecycle"]

    tell = {"httpGet": {"path": "/livez", "port": "admin"}}
    assert lifecycle({"postStart": tell}) == {"postStart": tell, "preStop": {"sleep": {"seconds": 5}}}
    assert lifecycle({"postStart": tell}, 0) == {"postStart": tell}
    assert lifecycle({"preStop": tell}) == {"preStop": tell}
    spec = one(render(merged(APP, {"lifecycle": {"preStop": tell}})), "Deployment")["spec"]["template"]["spec"]
    assert spec["terminationGracePeriodSeconds"] == 5 + 0 + 30 + 20


def test_the_deployment_has_annotations_of_its_own_beside_the_common_ones():
    values = {"deploymentAnnotations": {"reloader.stakater.com/auto": "true"}, "commonAnnotations": {"a": "b"}}
    deployment = one(render(merged(APP, values)), "Deployment")
    assert deployment["metadata"]["annotations"] == {"reloader.stakater.com/auto": "true", "a": "b"}
    assert "annotations" not in deployment["spec"]["template"]["metadata"]


# --- Services and routes


def test_every_service_may_have_both_families():
    both = {"ipFamilyPolicy": "PreferDualStack", "ipFamilies": ["IPv6", "IPv4"]}
    values = {"service": both, "metricsService": both, "nats": {"service": {**both, "annotations": {"a": "b"}}}}
    services = of_kind(render(merged(CLUSTER, values)), "Service")
    assert len(services) == 4
    for service in services:
        assert {field: service["spec"][field] for field in both} == both, service["metadata"]["name"]
        assert service["metadata"].get("annotations") == ({"a": "b"} if "nats" in service["metadata"]["name"] else None)
    for service in of_kind(render(CLUSTER), "Service"):
        assert not set(both) & set(service["spec"])


def test_fields_of_load_balancers_are_passed_on():
    fields = {
        "type": "LoadBalancer", "loadBalancerIP": "192.0.2.1", "loadBalancerClass": "c", "externalIPs": ["192.0.2.2"],
        "externalTrafficPolicy": "Local", "healthCheckNodePort": 32000,
    }
    spec = one(render(merged(APP, {"service": fields})), "Service", "gaung")["spec"]
    assert {field: spec[field] for field in fields} == fields


def test_an_ingress_compares_paths_as_its_controller_wants():
    def types(values):
        spec = one(render(merged(APP, {"ingress": {"enabled": True, **values}})), "Ingress")["spec"]
        return {path["pathType"] for path in spec["rules"][0]["http"]["paths"]}

    assert types({}) == {"Prefix"}
    assert types({"pathType": "ImplementationSpecific"}) == {"ImplementationSpecific"}


# --- namespace


@pytest.mark.parametrize("values", ALL)
def test_all_objects_and_what_they_name_lie_in_the_namespace_that_was_set(values):
    values = merged(values, {"namespaceOverride": "elsewhere", "nats": {"namespaceOverride": "elsewhere"}})
    objects = render(values, namespace="released-here")
    own = {"ConfigMap gaung-realtime-map", "ConfigMap gaung-realtime-text"}  # Those of extraObjects are as written.
    names = {f"{item['kind']} {item['metadata']['name']}" for item in objects if item["metadata"].get("namespace") != "elsewhere"}
    assert names <= own
    assert "released-here" not in json.dumps(objects)


def test_monitors_stay_where_they_were_put_and_select_the_namespace_that_was_set():
    values = merged(ci_values("monitoring"), {"namespaceOverride": "elsewhere", "nats": {"namespaceOverride": "elsewhere"}})
    monitor = one(render(merged(values, {"metrics": {"serviceMonitor": {"namespace": "watching"}}})), "ServiceMonitor", "gaung")
    assert monitor["metadata"]["namespace"] == "watching"
    assert monitor["spec"]["namespaceSelector"] == {"matchNames": ["elsewhere"]}


def test_the_notes_name_the_namespace_that_was_set_and_the_release_s_for_the_test(tmp_path):
    file = tmp_path / "values.json"
    file.write_text(json.dumps(merged(APP, {"namespaceOverride": "elsewhere"})))
    text = helm("install", "gaung", CHART, "--namespace", "here", "--dry-run=client", "--values", file).split("NOTES:")[1]
    assert "helm test gaung --namespace here" in text
    assert "ws://gaung.elsewhere.svc:6001" in text and "kubectl -n elsewhere" in text and "-n here" not in text

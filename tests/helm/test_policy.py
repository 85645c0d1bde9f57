"""What must hold of every object that the chart makes, whatever the values."""

import ipaddress
import re

import pytest

from chart import CI_NAMES, ci_values, merged, of_kind, pod_templates, render, server
from restricted import violations

OWN = {"gaung", "roundtrip", "nats", "exporter"}


def test_every_pod_satisfies_the_restricted_level(objects):
    for name, (_, spec) in pod_templates(objects).items():
        assert violations(spec) == [], name


def test_no_pod_has_a_token_or_service_links(objects):
    for name, (_, spec) in pod_templates(objects).items():
        assert spec["automountServiceAccountToken"] is False, name
        assert spec["enableServiceLinks"] is False, name
        assert not spec.get("hostNetwork"), name


def test_our_containers_cannot_write_to_their_image_and_run_as_65532(objects):
    for _, spec in pod_templates(objects).values():
        assert (spec["securityContext"]["runAsUser"], spec["securityContext"]["runAsGroup"]) == (65532, 65532)
        for container in spec["containers"]:
            if container["name"] in OWN:
                assert container["securityContext"]["readOnlyRootFilesystem"] is True, container["name"]


OPENSHIFT = ("security.openshift.io/v1",)


def users(adapt, apis):
    """What pods and containers say of their user and groups, by pod."""
    values = merged(ci_values("monitoring"), {"global": {"compatibility": {"openshift": {"adaptSecurityContext": adapt}}}})
    found = {}
    for name, (_, spec) in pod_templates(render(values, apis=apis)).items():
        contexts = [spec["securityContext"], *(container["securityContext"] for container in spec["containers"])]
        found[name] = {key for context in contexts for key in context if key in ("runAsUser", "runAsGroup", "fsGroup")}
        assert violations(spec) == [], name
    assert set(found) == {"Deployment/gaung", "StatefulSet/gaung-gaung-nats", "Pod/gaung-test"}
    return list(found.values())


@pytest.mark.parametrize("adapt,apis", [("auto", OPENSHIFT), ("force", OPENSHIFT), ("force", ())])
def test_on_openshift_users_and_groups_are_the_platform_s(adapt, apis):
    assert users(adapt, apis) == [set()] * 3


@pytest.mark.parametrize("adapt,apis", [("auto", ()), ("disabled", OPENSHIFT), ("disabled", ())])
def test_elsewhere_or_where_told_they_are_the_chart_s(adapt, apis):
    assert users(adapt, apis) == [{"runAsUser", "runAsGroup", "fsGroup"}] * 3


def test_the_account_has_no_token_and_no_rights(objects):
    for account in of_kind(objects, "ServiceAccount"):
        assert account["automountServiceAccountToken"] is False
    assert not [item for item in objects if item["apiVersion"].startswith("rbac.")]


def test_no_image_names_a_host_unless_told(ci):
    values = ci_values(ci)
    for _, spec in pod_templates(render(values)).values():
        for container in spec["containers"]:
            host = container["image"].split("/")[0]
            told = values.get("image", {}).get("registry") == host
            assert told or not re.search(r"[.:]", re.sub(":[0-9.]+$", "", host)), container["image"]


# --- selectors


def selects(selector, labels):
    return selector.items() <= labels.items()


def match_labels(selector):
    assert set(selector) == {"matchLabels"}, selector
    assert selector["matchLabels"], "an empty selector is everybody"
    return selector["matchLabels"]


def test_workloads_select_their_own_pods_and_nobody_elses(objects):
    pods = pod_templates(objects)
    for item in of_kind(objects, "Deployment") + of_kind(objects, "StatefulSet"):
        selector = match_labels(item["spec"]["selector"])
        chosen = [name for name, (labels, _) in pods.items() if selects(selector, labels)]
        assert chosen == [f"{item['kind']}/{item['metadata']['name']}"]


def test_pods_carry_nothing_that_a_new_chart_changes(ci, objects):
    for name, (labels, _) in pod_templates(objects).items():
        if not name.startswith("Pod/"):
            assert not {"helm.sh/chart", "app.kubernetes.io/version"} & set(labels), name
    deployment = of_kind(objects, "Deployment")[0]
    own = ci_values(ci).get("podLabels", {})
    labels = deployment["spec"]["template"]["metadata"]["labels"]
    assert labels == {**deployment["spec"]["selector"]["matchLabels"], **own}


def test_selectors_are_those_of_every_release_before():
    (deployment,) = of_kind(render(ci_values("default"), release="shop"), "Deployment")
    assert deployment["spec"]["selector"]["matchLabels"] == {
        "app.kubernetes.io/name": "gaung",
        "app.kubernetes.io/instance": "shop",
        "app.kubernetes.io/component": "server",
    }
    (nats,) = of_kind(render(ci_values("ha"), release="shop"), "StatefulSet")
    assert nats["metadata"]["name"] == nats["spec"]["serviceName"].removesuffix("-headless") == "shop-gaung-nats"
    assert nats["spec"]["selector"]["matchLabels"] == {
        "app.kubernetes.io/name": "gaung-nats",
        "app.kubernetes.io/instance": "shop",
        "app.kubernetes.io/component": "nats",
    }


def test_services_select_one_workload_and_name_ports_that_it_has(objects):
    pods = {name: pod for name, pod in pod_templates(objects).items() if not name.startswith("Pod/")}
    for service in of_kind(objects, "Service"):
        (spec,) = [spec for labels, spec in pods.values() if selects(service["spec"]["selector"], labels)]
        ports = {port["name"] for container in spec["containers"] for port in container.get("ports", [])}
        assert {port["targetPort"] for port in service["spec"]["ports"]} <= ports, service["metadata"]["name"]


def test_budgets_policies_and_spread_select_pods_of_the_release(objects):
    pods = pod_templates(objects)
    for item in of_kind(objects, "PodDisruptionBudget") + of_kind(objects, "NetworkPolicy"):
        spec = item["spec"]
        selector = match_labels(spec.get("podSelector") or spec["selector"])
        assert [name for name, (labels, _) in pods.items() if selects(selector, labels)], item["metadata"]["name"]
    for name, (labels, spec) in pods.items():
        for spread in spec.get("topologySpreadConstraints", []):
            assert selects(match_labels(spread["labelSelector"]), labels), name


def test_scalers_name_the_deployment(objects):
    names = {item["metadata"]["name"] for item in of_kind(objects, "Deployment")}
    for scaler in of_kind(objects, "HorizontalPodAutoscaler") + of_kind(objects, "ScaledObject"):
        assert scaler["spec"]["scaleTargetRef"]["name"] in names
        assert "replicas" not in of_kind(objects, "Deployment")[0]["spec"]


def test_ports_have_names_that_kubernetes_takes_and_probes_know_them(objects):
    for _, spec in pod_templates(objects).values():
        for container in spec["containers"]:
            ports = {port["name"] for port in container.get("ports", [])}
            assert all(len(name) <= 15 for name in ports)
            for kind in ("startupProbe", "livenessProbe", "readinessProbe"):
                assert container.get(kind, {}).get("httpGet", {}).get("port") in ports | {None}


# --- network policies


def rules(policy):
    for direction, peers in (("ingress", "from"), ("egress", "to")):
        for rule in policy["spec"].get(direction, []):
            yield direction, peers, rule


def test_no_policy_has_an_empty_list_which_would_mean_nobody_or_everybody(objects):
    for policy in of_kind(objects, "NetworkPolicy"):
        for kind in policy["spec"]["policyTypes"]:
            assert policy["spec"][kind.lower()], policy["metadata"]["name"]
        for _, peers, rule in rules(policy):
            assert rule, "an empty rule allows everything"
            assert rule.get(peers, ["anywhere"]), rule
            assert rule.get("ports", ["all"]), rule
            assert all(peer for peer in rule.get(peers, [])), rule


def test_who_may_speak_may_ask_for_names(objects):
    for policy in of_kind(objects, "NetworkPolicy"):
        if "Egress" in policy["spec"]["policyTypes"]:
            dns = [rule for _, _, rule in rules(policy) if {"port": 53, "protocol": "UDP"} in rule.get("ports", [])]
            assert dns and all("to" not in rule and {"port": 53, "protocol": "TCP"} in rule["ports"] for rule in dns)


def test_the_admin_port_is_open_to_chosen_pods_only(objects):
    for policy in of_kind(objects, "NetworkPolicy"):
        for direction, _, rule in rules(policy):
            if direction == "ingress" and any(port["port"] in ("admin", "exporter") for port in rule.get("ports", [])):
                assert rule["from"] and all(peer for peer in rule["from"])


def test_networks_that_are_left_out_lie_in_the_network(objects):
    for policy in of_kind(objects, "NetworkPolicy"):
        for _, peers, rule in rules(policy):
            for block in (peer["ipBlock"] for peer in rule.get(peers, []) if "ipBlock" in peer):
                network = ipaddress.ip_network(block["cidr"])
                assert all(ipaddress.ip_network(inner).subnet_of(network) for inner in block.get("except", []))


def test_nats_hears_the_nodes_and_the_nodes_may_speak_to_it(objects):
    if not of_kind(objects, "StatefulSet"):
        return
    pods = pod_templates(objects)
    by_name = {(item["kind"], item["metadata"]["name"]): item for item in objects}
    inwards = by_name["NetworkPolicy", "gaung-gaung-nats"]["spec"]["ingress"][0]
    heard = match_labels(inwards["from"][0]["podSelector"])
    (node,) = [labels for name, (labels, _) in pods.items() if name.startswith("Deployment/")]
    test = [labels for name, (labels, _) in pods.items() if name.startswith("Pod/")]
    assert selects(heard, node) and not any(selects(heard, labels) for labels in test)
    (nats,) = [labels for name, (labels, _) in pods.items() if name.startswith("StatefulSet/")]
    outwards = [item for item in of_kind(objects, "NetworkPolicy") if item["metadata"]["name"] != "gaung-gaung-nats"]
    for policy in outwards:
        peers = [rule["to"] for _, _, rule in rules(policy) if {"port": 4222, "protocol": "TCP"} in rule.get("ports", [])]
        assert [len(peer) for peer in peers] == [1] and selects(match_labels(peers[0][0]["podSelector"]), nats)


# --- the drain's numbers


def test_the_grace_period_holds_the_whole_drain(objects):
    spec = of_kind(objects, "Deployment")[0]["spec"]["template"]["spec"]
    env = {entry["name"]: entry.get("value") for entry in server(objects)["env"]}
    sleep = server(objects).get("lifecycle", {}).get("preStop", {}).get("sleep", {}).get("seconds", 0)
    # What the server may take after SIGTERM: both settings, 10 s for webhooks, 5 s to hand back.
    drain = int(env["GAUNG_DRAIN_LAG_SECONDS"]) + int(env["GAUNG_DRAIN_SECONDS"]) + 15
    assert spec["terminationGracePeriodSeconds"] >= sleep + drain


# --- names


LABEL = re.compile(r"[a-z]([-a-z0-9]*[a-z0-9])?")


@pytest.mark.parametrize("ci_name", CI_NAMES)
@pytest.mark.parametrize("release", ["a", "gaung", "with.dots", "x" * 53, "long-" * 10 + "xyz"])
def test_names_fit_whatever_the_release_is_called(ci_name, release):
    assert_names_fit(render(ci_values(ci_name), release=release))


def test_names_fit_whatever_they_are_set_to():
    values = {**ci_values("ha"), "fullnameOverride": "n" * 60, "nameOverride": "o" * 60}
    assert_names_fit(render(values, release="r" * 53))


def assert_names_fit(objects):
    for item in objects:
        name = item["metadata"]["name"]
        assert len(name) <= 63 and LABEL.fullmatch(name), name
        assert len(name) <= 52 or item["kind"] != "StatefulSet", name
        assert all(len(value) <= 63 for value in item["metadata"].get("labels", {}).values())
    names = [(item["kind"], item["metadata"]["name"]) for item in objects]
    assert len(names) == len(set(names)), "two objects of one name"
    cluster = [entry["value"] for entry in server(objects)["env"] if entry["name"] == "GAUNG_CLUSTER_NAME"]
    assert all(re.fullmatch("[a-z0-9-]{1,32}", name) for name in cluster), cluster


# --- secrets


def test_no_secret_stands_outside_of_a_secret(ci):
    """Whatever is secret in the values is found in Secrets alone."""
    values = ci_values(ci)
    secrets = [app["secret"] for app in values.get("apps", {}).get("inline", [])]
    for item in render(values):
        if item["kind"] != "Secret":
            assert not [secret for secret in secrets if f'"{secret}"' in str(item) or f"'{secret}'" in str(item)]
        for _, spec in pod_templates([item]).values():
            for entry in (entry for container in spec["containers"] for entry in container.get("env", [])):
                if re.search("PASSWORD|TOKEN", entry["name"]) and not entry["name"].startswith("QUOTED_"):
                    assert set(entry) == {"name", "valueFrom"}, entry["name"]

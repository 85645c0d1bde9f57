"""What a value does to the objects."""

import json
import tomllib

import pytest

from chart import APP, CHART, CLUSTER, REPOSITORY, ci_values, helm, literal_env, merged, of_kind, one, render, server


def deployment(values):
    return one(render(values), "Deployment")["spec"]


def pod(values):
    return deployment(values)["template"]["spec"]


def annotations(values):
    return deployment(values)["template"]["metadata"].get("annotations", {})


# --- drain


def test_the_drain_s_numbers_agree_in_the_pod_and_in_the_server():
    values = merged(APP, {"drain": {"propagationSeconds": 7, "lagSeconds": 11, "windowSeconds": 90, "marginSeconds": 25}})
    env = literal_env(server(render(values)))
    assert pod(values)["containers"][0]["lifecycle"] == {"preStop": {"sleep": {"seconds": 7}}}
    assert (env["GAUNG_DRAIN_LAG_SECONDS"], env["GAUNG_DRAIN_SECONDS"]) == ("11", "90")
    assert pod(values)["terminationGracePeriodSeconds"] == 7 + 11 + 90 + 25


def test_the_default_drain_takes_55_seconds():
    assert pod(APP)["terminationGracePeriodSeconds"] == 5 + 0 + 30 + 20


def test_no_wait_is_no_action_since_old_kubernetes_refuse_a_sleep_of_zero():
    assert "lifecycle" not in pod(merged(APP, {"drain": {"propagationSeconds": 0}}))["containers"][0]


def test_a_longer_grace_period_may_be_set():
    assert pod(merged(APP, {"terminationGracePeriodSeconds": 600}))["terminationGracePeriodSeconds"] == 600


# --- probes


def test_probes_ask_the_admin_port():
    container = server(render(APP))
    asked = {kind: container[f"{kind}Probe"]["httpGet"] for kind in ("startup", "liveness", "readiness")}
    assert asked == {
        "startup": {"path": "/livez", "port": "admin"},
        "liveness": {"path": "/livez", "port": "admin"},
        "readiness": {"path": "/readyz?exclude=draining", "port": "admin"},
    }
    assert {"name": "admin", "containerPort": 9601, "protocol": "TCP"} in container["ports"]


def test_the_first_looks_come_when_a_node_listens_and_when_it_is_in_step():
    def delays(values):
        return [server(render(values))[f"{kind}Probe"]["initialDelaySeconds"] for kind in ("startup", "readiness")]

    assert (delays(APP), delays(CLUSTER)) == ([1, 0], [1, 5])
    assert delays(merged(APP, {"cluster": {"nats": {"urls": ["nats://nats:4222"]}}})) == [1, 5]
    for seconds in (0, 9):
        assert delays(merged(CLUSTER, {"probes": {"readiness": {"initialDelaySeconds": seconds}}})) == [1, seconds]


# --- nodes


def test_nodes_are_three_with_nats_and_one_without():
    assert (deployment(APP)["replicas"], deployment(CLUSTER)["replicas"]) == (1, 3)
    urls = {"cluster": {"nats": {"urls": ["nats://nats:4222"]}}}
    assert deployment(merged(APP, urls))["replicas"] == 3
    assert deployment(merged(CLUSTER, {"replicaCount": 7}))["replicas"] == 7


@pytest.mark.parametrize(
    "values,nodes",
    [
        ({"replicaCount": 5}, "5"),
        ({"autoscaling": {"enabled": True, "minReplicas": 4}}, "4"),
        ({"keda": {"enabled": True, "minReplicaCount": 2, "prometheus": {"serverAddress": "http://p"}}}, "2"),
    ],
)
def test_webhooks_go_by_the_fixed_or_least_number_of_nodes(values, nodes):
    assert one(render(merged(CLUSTER, values)), "ConfigMap", "gaung-cluster")["data"] == {"nodes": nodes}


@pytest.mark.parametrize(
    "few,many",
    [
        ({"replicaCount": 3}, {"replicaCount": 5}),
        (*({"autoscaling": {"enabled": True, "minReplicas": nodes}} for nodes in (2, 4)),),
    ],
)
def test_another_number_of_nodes_restarts_none(few, many):
    assert pod(merged(CLUSTER, few)) == pod(merged(CLUSTER, many))
    assert annotations(merged(CLUSTER, few)) == annotations(merged(CLUSTER, many))


def test_a_rollout_takes_no_node_away_before_there_is_another():
    spec = deployment(APP)
    assert spec["strategy"] == {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": "25%", "maxUnavailable": 0}}
    assert (spec["minReadySeconds"], spec["progressDeadlineSeconds"], spec["revisionHistoryLimit"]) == (5, 600, 5)


def test_the_server_alone_is_told_nothing_of_a_cluster():
    names = set(literal_env(server(render(APP))))
    assert not [name for name in names if name.startswith(("GAUNG_NATS", "GAUNG_CLUSTER", "GAUNG_WEBHOOK"))]


def test_spread_over_zones_and_machines_unless_told_otherwise():
    spread = pod(APP)["topologySpreadConstraints"]
    assert [one["topologyKey"] for one in spread] == ["topology.kubernetes.io/zone", "kubernetes.io/hostname"]
    for constraint in spread:
        assert (constraint["maxSkew"], constraint["whenUnsatisfiable"]) == (1, "ScheduleAnyway")
        assert constraint["matchLabelKeys"] == ["pod-template-hash"]
    assert not pod(merged(APP, {"topologySpreadConstraints": []})).get("topologySpreadConstraints")


# --- budget and scaling


@pytest.mark.parametrize(
    "values,limit",
    [
        ({}, {"maxUnavailable": 1}),
        ({"podDisruptionBudget": {"maxUnavailable": "25%"}}, {"maxUnavailable": "25%"}),
        ({"podDisruptionBudget": {"minAvailable": 0}}, {"minAvailable": 0}),
        ({"podDisruptionBudget": {"minAvailable": 2}}, {"minAvailable": 2}),
    ],
)
def test_a_budget_has_one_limit(values, limit):
    spec = one(render(merged(CLUSTER, values)), "PodDisruptionBudget")["spec"]
    assert spec.pop("selector") and spec == {**limit, "unhealthyPodEvictionPolicy": "AlwaysAllow"}


@pytest.mark.parametrize("values", [APP, merged(CLUSTER, {"autoscaling": {"enabled": True, "minReplicas": 1}}),
                                    merged(CLUSTER, {"podDisruptionBudget": {"enabled": False}})])
def test_one_node_has_no_budget_which_would_hold_machines_for_ever(values):
    assert of_kind(render(values), "PodDisruptionBudget") == []


def test_scaling_goes_by_sockets_alone_and_down_slowly():
    spec = one(render(merged(CLUSTER, {"autoscaling": {"enabled": True}})), "HorizontalPodAutoscaler")["spec"]
    (connections,) = spec["metrics"]
    assert connections == {
        "type": "Pods",
        "pods": {"metric": {"name": "gaung_connections"}, "target": {"type": "AverageValue", "averageValue": "5000"}},
    }
    assert spec["behavior"]["scaleUp"]["stabilizationWindowSeconds"] == 0
    assert spec["behavior"]["scaleDown"] == {
        "stabilizationWindowSeconds": 1800,
        "policies": [{"type": "Pods", "value": 1, "periodSeconds": 180}],
    }


def test_scaling_goes_by_cpu_too_where_told():
    values = {"autoscaling": {"enabled": True, "cpu": {"enabled": True}}}
    _, cpu = one(render(merged(CLUSTER, values)), "HorizontalPodAutoscaler")["spec"]["metrics"]
    target = {"type": "Utilization", "averageUtilization": 70}
    assert cpu == {"type": "Resource", "resource": {"name": "cpu", "target": target}}


def test_where_nodes_are_added_by_themselves_sockets_move_to_them_unless_told_otherwise():
    def above(values):
        env = literal_env(server(render(values)))
        return env.get("GAUNG_REBALANCE_ABOVE"), env.get("GAUNG_REBALANCE_PERCENT")

    scaled = merged(CLUSTER, {"autoscaling": {"enabled": True}})
    assert (above(CLUSTER), above(scaled)) == ((None, None), ("1.2", "1"))
    assert above(merged(scaled, {"rebalance": {"above": 0}})) == (None, None)
    assert above(merged(CLUSTER, {"rebalance": {"above": 1.5, "percent": 3}})) == ("1.5", "3")
    assert above(merged(APP, {"rebalance": {"above": 1.5}})) == (None, None)


def test_keda_asks_prometheus_for_the_sockets_of_this_release():
    spec = one(render(ci_values("gateway")), "ScaledObject")["spec"]
    trigger, _ = spec["triggers"]
    assert trigger["metadata"]["query"] == 'sum(gaung_connections{namespace="sockets",pod=~"gaung-[a-z0-9]+-[a-z0-9]+"})'
    assert trigger["metadata"]["threshold"] == "5000"
    assert "cpu" not in [trigger["type"] for trigger in spec["triggers"]]
    assert "scaleDown" in spec["advanced"]["horizontalPodAutoscalerConfig"]["behavior"]


# --- settings


@pytest.mark.parametrize(
    "limit,mark",
    [("1Gi", "870"), ("512Mi", "435"), ("1.5Gi", "1305"), ("1G", "810"), ("1073741824", "870"), (1073741824, "870"), ("500M", "405")],
)
def test_the_memory_mark_is_85_per_cent_of_the_limit(limit, mark, version):
    values = merged(APP, {"resources": {"limits": {"memory": limit}}})
    assert literal_env(server(render(values, version=version)))["GAUNG_MAX_MEMORY_MB"] == mark


def test_the_memory_mark_may_be_set_or_switched_off():
    limited = merged(APP, {"resources": {"limits": {"memory": "1Gi"}}})
    for mark in (400, 0):
        values = merged(limited, {"server": {"maxMemoryMB": mark}})
        assert literal_env(server(render(values)))["GAUNG_MAX_MEMORY_MB"] == str(mark)
    assert literal_env(server(render(APP)))["GAUNG_MAX_MEMORY_MB"] == "0"


def test_settings_are_written_as_they_were_meant(version):
    config = {"GAUNG_MAX_FRAME_BYTES": 16777216, "GAUNG_APP": "x", "GAUNG_LOG": "info", "GAUNG_TENANT_ACCESS": True}
    rendered = one(render(merged(APP, {"config": config}), version=version), "ConfigMap")["data"]
    assert rendered == {
        "GAUNG_MAX_FRAME_BYTES": "16777216", "GAUNG_APP": "x", "GAUNG_LOG": "info", "GAUNG_TENANT_ACCESS": "true",
    }


def test_a_changed_setting_restarts_the_nodes_and_nothing_else_does():
    first, second = ({"config": {"GAUNG_PING_SECONDS": seconds}} for seconds in (30, 31))
    assert annotations(merged(APP, first)) != annotations(merged(APP, second))
    labels = {"commonLabels": {"a": "b"}, "commonAnnotations": {"a": "b"}, "service": {"labels": {"c": "d"}}}
    assert deployment(merged(APP, labels))["template"] == deployment(APP)["template"]


def test_connections_are_limited_where_told():
    assert literal_env(server(render(merged(APP, {"server": {"maxConnections": 20000}}))))["GAUNG_MAX_CONNECTIONS"] == "20000"


def test_the_prefix_goes_to_server_routes_and_test_alike():
    objects = render(ci_values("ingress"))
    assert literal_env(server(objects))["GAUNG_PATH_PREFIX"] == "/realtime"
    paths = [path["path"] for path in one(objects, "Ingress")["spec"]["rules"][0]["http"]["paths"]]
    assert paths == ["/realtime/app", "/realtime/pusher/app", "/realtime/apps", "/realtime/ws", "/realtime/sse"]
    assert "--url=http://gaung:6001/realtime" in one(objects, "Pod")["spec"]["containers"][0]["args"]


# --- apps


def test_apps_come_as_a_folder_that_kubernetes_keeps_up_to_date():
    objects = render(ci_values("external-nats"))
    spec = one(objects, "Deployment")["spec"]["template"]["spec"]
    (volume,) = [volume for volume in spec["volumes"] if volume["name"] == "apps"]
    assert volume["secret"] == {"secretName": "gaung-apps", "items": [{"key": "production.json", "path": "apps.json"}]}
    (mount,) = [mount for mount in server(objects)["volumeMounts"] if mount["name"] == "apps"]
    assert mount == {"name": "apps", "mountPath": "/etc/gaung/apps", "readOnly": True}
    assert literal_env(server(objects))["GAUNG_APPS_FILE"] == "/etc/gaung/apps/apps.json"


def test_inline_apps_become_the_apps_file_of_a_secret():
    values = ci_values("ingress")
    secret = one(render(values), "Secret")
    assert json.loads(secret["stringData"]["apps.json"]) == {"apps": values["apps"]["inline"]}


def test_changed_apps_restart_the_nodes_only_where_told():
    apps = [{"apps": {"inline": [{"id": "shop", "key": "k", "secret": secret}]}} for secret in ("one", "two")]
    first, second = (annotations(values) for values in apps)
    assert first == second == {}
    told = {"apps": {"restartOnChange": True}}
    first, second = (annotations(merged(values, told)) for values in apps)
    assert first["checksum/apps"] != second["checksum/apps"]


# --- Service, routes


def test_services_are_apart_and_the_admin_port_is_never_public():
    values = merged(APP, {"service": {"type": "LoadBalancer", "loadBalancerClass": "c", "trafficDistribution": "PreferClose"}})
    objects = render(values)
    public, admin = one(objects, "Service", "gaung")["spec"], one(objects, "Service", "gaung-metrics")["spec"]
    assert (public["type"], public["loadBalancerClass"], public["trafficDistribution"]) == ("LoadBalancer", "c", "PreferClose")
    assert public["sessionAffinity"] == "None"
    assert [(port["name"], port["appProtocol"]) for port in public["ports"]] == [("http", "http")]
    assert (admin["type"], [port["name"] for port in admin["ports"]]) == ("ClusterIP", ["admin"])
    assert one(objects, "Service", "gaung-metrics")["metadata"]["labels"]["app.kubernetes.io/component"] == "metrics"


def test_a_route_of_a_gateway():
    assert one(render(ci_values("gateway")), "HTTPRoute")["spec"] == {
        "parentRefs": [{"name": "public", "namespace": "gateways", "sectionName": "https"}],
        "hostnames": ["ws.example.com"],
        "rules": [
            {
                "matches": [
                    {"path": {"type": "PathPrefix", "value": path}}
                    for path in ("/app", "/pusher/app", "/apps", "/ws", "/sse")
                ],
                "backendRefs": [{"name": "gaung", "port": 6001}],
                "timeouts": {"request": "0s", "backendRequest": "0s"},
            }
        ],
    }


def test_an_ingress_for_two_hosts_and_for_all():
    spec = one(render(ci_values("ingress")), "Ingress")["spec"]
    assert [rule["host"] for rule in spec["rules"]] == ["ws.example.com", "gaung.example.com"]
    assert spec["tls"] == [{"secretName": "ws-tls", "hosts": ["ws.example.com"]}]
    assert spec["rules"][0]["http"]["paths"][0]["backend"] == {"service": {"name": "gaung", "port": {"name": "http"}}}
    (rule,) = one(render(merged(APP, {"ingress": {"enabled": True}})), "Ingress")["spec"]["rules"]
    assert "host" not in rule


def test_with_a_certificate_everything_says_https():
    objects = render(merged(APP, {"server": {"tls": {"existingSecret": "tls"}}, "networkPolicy": {"enabled": True}}))
    (port,) = one(objects, "Service", "gaung")["spec"]["ports"]
    assert (port["name"], port["targetPort"], port["appProtocol"]) == ("https", "https", "https")
    assert one(objects, "NetworkPolicy")["spec"]["ingress"][0]["ports"][0]["port"] == "https"
    assert "--url=https://gaung:6001" in one(objects, "Pod")["spec"]["containers"][0]["args"]


# --- the rest


def test_the_test_pod_goes_through_the_services_with_the_apps_file():
    item = one(render(APP), "Pod")
    assert item["metadata"]["annotations"] == {
        "helm.sh/hook": "test", "helm.sh/hook-delete-policy": "before-hook-creation,hook-succeeded",
    }
    (container,) = item["spec"]["containers"]
    assert container["args"] == ["roundtrip", "--url=http://gaung:6001", "--admin=http://gaung-metrics:9601", "--times=10"]
    assert container["env"] == [{"name": "GAUNG_APPS_FILE", "value": "/etc/gaung/apps/apps.json"}]
    assert item["spec"]["restartPolicy"] == "Never"


def test_the_test_pod_takes_the_app_that_was_set_and_else_chooses_one_itself():
    def chosen(values):
        return [argument for argument in one(render(values), "Pod")["spec"]["containers"][0]["args"] if "--app" in argument]

    assert chosen(ci_values("ingress")) == ["--app=blog"]
    assert chosen({"apps": {"inline": [{"id": "shop"}, {"id": "blog"}]}}) == chosen(APP) == []


def test_the_test_pod_may_go_another_way_as_a_page_of_an_origin_and_by_an_authority_of_ones_own():
    values = {
        "server": {"tls": {"existingSecret": "tls"}},
        "tests": {"url": "wss://ws.example.com/x", "origin": "https://shop.example.com", "caKey": "ca.crt"},
    }
    spec = one(render(merged(APP, values)), "Pod")["spec"]
    (container,) = spec["containers"]
    assert {"--url=wss://ws.example.com/x", "--origin=https://shop.example.com", "--ca=/etc/gaung/ca/ca.crt"} <= set(container["args"])
    (mount,) = [mount for mount in container["volumeMounts"] if mount["name"] == "ca"]
    (volume,) = [volume for volume in spec["volumes"] if volume["name"] == "ca"]
    assert mount["mountPath"] == "/etc/gaung/ca"
    assert volume["secret"] == {"secretName": "tls", "items": [{"key": "ca.crt", "path": "ca.crt"}]}


def test_prometheus_without_the_operator_finds_pods_by_annotations():
    assert annotations(merged(APP, {"metrics": {"annotations": True}})) == {
        "prometheus.io/scrape": "true", "prometheus.io/port": "9601", "prometheus.io/path": "/metrics",
    }
    assert annotations(APP) == {}


def test_more_objects_may_be_maps_or_texts_with_templates():
    objects = render(ci_values("locked-down"))
    assert one(objects, "ConfigMap", "gaung-realtime-map") and one(objects, "ConfigMap", "gaung-realtime-text")


def test_two_names_make_one_where_they_are_alike():
    names = {release: one(render(APP, release=release), "Deployment")["metadata"]["name"] for release in ("gaung", "shop", "my-gaung")}
    assert names == {"gaung": "gaung", "shop": "shop-gaung", "my-gaung": "my-gaung"}
    assert one(render({**APP, "fullnameOverride": "sockets"}), "Deployment")["metadata"]["name"] == "sockets"


def test_the_chart_s_version_of_the_server_is_the_server_s_own():

    crate = tomllib.loads((REPOSITORY / "Cargo.toml").read_text())["package"]["version"]
    assert f'appVersion: "{crate}"' in (CHART / "Chart.yaml").read_text()


def notes(values, tmp_path):
    """What the operator is told. Helm 3 tells it only with a cluster at hand; it renders the file all the same."""
    path = tmp_path / "values.json"
    path.write_text(json.dumps(values))
    return helm("install", "gaung", CHART, "--dry-run=client", "--values", path).split("NOTES:")[1]


def test_the_notes_warn_of_what_will_hurt(tmp_path):
    text = notes(ci_values("minimal"), tmp_path)
    for warning in ("one node.", "the secrets of apps.inline", "no limit of memory"):
        assert f"WARNING: {warning}" in text
    assert "no disruption budget" in notes(merged(CLUSTER, {"podDisruptionBudget": {"enabled": False}}), tmp_path)
    assert "WARNING: all clients seem to have the address of the proxy" in notes(ci_values("gateway"), tmp_path)
    quiet = merged(ci_values("ha"), {"replicaCount": None})
    assert "WARNING" not in notes(quiet, tmp_path)


def test_notes_tell_that_nobody_watches_nats(tmp_path):
    monitored = merged(CLUSTER, {"metrics": {"podMonitor": {"enabled": True}}})
    assert "WARNING: NATS is not watched" in notes(monitored, tmp_path)
    reachable = merged(monitored, {"nats": {"networkPolicy": {"monitoringFrom": [{"podSelector": {}}]}}})
    assert "NATS is not watched" not in notes(reachable, tmp_path) and "NATS is not watched" not in notes(CLUSTER, tmp_path)


def test_the_notes_tell_where_sockets_go(tmp_path):
    text = notes(ci_values("ingress"), tmp_path)
    assert "wss://ws.example.com/realtime" in text
    assert "wsHost: 'ws.example.com', forceTLS: true" in text and "wsPath: '/realtime'" in text
    text = notes(CLUSTER, tmp_path)
    assert "3 nodes, with NATS beside them" in text and "ws://gaung.default.svc:6001" in text
    assert "get secret gaung-apps -o go-template='{{index .data \"apps.json\" | base64decode}}'" in text

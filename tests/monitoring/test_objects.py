"""Prometheus finds the nodes, and Grafana the dashboards."""

import chart

MONITORS = {"ServiceMonitor": ("serviceMonitor", "endpoints"), "PodMonitor": ("podMonitor", "podMetricsEndpoints")}


def monitor(kind, **settings):
    """A monitor and its one endpoint."""
    values, endpoints = MONITORS[kind]
    spec = chart.only(kind, **{values: {"enabled": True, **settings}})["spec"]
    assert len(spec[endpoints]) == 1
    return spec, spec[endpoints][0]


def selected(kind, labels):
    """The objects of a kind that have these labels."""
    objects = [document for document in chart.render() if document["kind"] == kind]
    return [document for document in objects if labels.items() <= document["metadata"]["labels"].items()]


def test_nothing_is_made_that_was_not_asked_for():
    kinds = {document["kind"] for document in chart.render()}
    assert kinds.isdisjoint({"ServiceMonitor", "PodMonitor", "PrometheusRule"})
    assert not any("dashboard" in document["metadata"]["name"] for document in chart.render())


def test_the_service_monitor_selects_the_metrics_service_alone_and_a_port_of_it():
    spec, endpoint = monitor("ServiceMonitor")
    services = selected("Service", spec["selector"]["matchLabels"])
    assert [service["metadata"]["name"] for service in services] == ["gaung-metrics"]
    assert endpoint["port"] in [port["name"] for port in services[0]["spec"]["ports"]]


def test_the_pod_monitor_selects_the_pods_and_a_port_of_them():
    spec, endpoint = monitor("PodMonitor")
    pod = next(document for document in chart.render() if document["kind"] == "Deployment")["spec"]["template"]
    assert spec["selector"]["matchLabels"].items() <= pod["metadata"]["labels"].items()
    assert endpoint["port"] in [port["name"] for port in pod["spec"]["containers"][0]["ports"]]


def test_both_monitors_name_the_nodes_as_the_alerts_do():
    for kind in MONITORS:
        spec, endpoint = monitor(kind)
        assert spec["namespaceSelector"] == {"matchNames": [chart.NAMESPACE]}
        assert endpoint["relabelings"] == [{"action": "replace", "targetLabel": "job", "replacement": chart.RELEASE}]
        assert endpoint["path"] == "/metrics"


def test_a_monitor_takes_the_operators_settings():
    mine = {"action": "drop", "sourceLabels": ["x"], "regex": "z"}
    for kind in MONITORS:
        settings = {"interval": "5s", "scrapeTimeout": "4s", "relabelings": [mine], "metricRelabelings": [mine]}
        endpoint = monitor(kind, **settings)[1]
        assert (endpoint["interval"], endpoint["scrapeTimeout"]) == ("5s", "4s")
        assert endpoint["relabelings"][1:] == [mine] and endpoint["metricRelabelings"] == [mine]


def test_everything_may_lie_in_another_namespace_with_labels_of_its_own():
    settings = {"enabled": True, "namespace": "monitoring", "labels": {"release": "prometheus"}}
    for kind in ("ServiceMonitor", "PodMonitor", "PrometheusRule"):
        metadata = chart.only(kind, **{kind[0].lower() + kind[1:]: settings})["metadata"]
        assert metadata["namespace"] == "monitoring" and metadata["labels"]["release"] == "prometheus"


def test_dashboards_reach_grafana_as_they_are():
    settings = {"enabled": True, "namespace": "grafana", "folder": "Push", "annotations": {"note": "x"}}
    metrics = {"dashboard": settings, "prometheusRule": chart.EVERYTHING}
    objects = [item for item in chart.render(metrics=metrics) if "dashboard" in item["metadata"]["name"]]
    assert {name: text for config in objects for name, text in config["data"].items()} == {
        f"gaung-{name}.json": text.strip() for name, text in chart.dashboards().items()
    }
    for config in objects:
        assert config["metadata"]["namespace"] == "grafana"
        assert config["metadata"]["labels"]["grafana_dashboard"] == "1"
        assert config["metadata"]["annotations"] == {"grafana_folder": "Push", "note": "x"}


def test_a_dashboard_that_could_show_nothing_is_left_out():
    objects = chart.render(metrics={"dashboard": {"enabled": True}})
    names = [item["metadata"]["name"] for item in objects if "dashboard" in item["metadata"]["name"]]
    assert names == ["gaung-dashboard-fleet", "gaung-dashboard-rollout", "gaung-dashboard-tenants"]


BUNDLED = {"cluster": {}, "nats": {**chart.BUNDLED_NATS, "replicaCount": 3}}
WATCHED = {**BUNDLED, "nats": {**BUNDLED["nats"], "networkPolicy": {"monitoringFrom": [{"podSelector": {}}]}}}


def nats_monitors(kind, values, **settings):
    objects = chart.render(**values, metrics={MONITORS[kind][0]: {"enabled": True, **settings}})
    return objects, [item for item in objects if item["kind"] == kind and item["metadata"]["name"] == "gaung-gaung-nats"]


def test_nats_is_watched_by_the_same_kind_of_monitor_as_the_nodes():
    for kind, (_, endpoints) in MONITORS.items():
        objects, (watcher,) = nats_monitors(kind, WATCHED, interval="7s", scrapeTimeout="5s", labels={"release": "p"})
        (endpoint,) = watcher["spec"][endpoints]
        assert (endpoint["port"], endpoint["path"], endpoint["interval"]) == ("exporter", "/metrics", "7s")
        assert endpoint["relabelings"] == [{"action": "replace", "targetLabel": "job", "replacement": "gaung-gaung-nats"}]
        assert watcher["metadata"]["labels"]["release"] == "p"
        wanted = watcher["spec"]["selector"]["matchLabels"].items()
        pod = next(item for item in objects if item["kind"] == "StatefulSet")["spec"]["template"]
        assert wanted <= pod["metadata"]["labels"].items()
        ports = [port["name"] for container in pod["spec"]["containers"] for port in container["ports"]]
        services = [item for item in objects if item["kind"] == "Service" and wanted <= item["metadata"]["labels"].items()]
        exposed = [item for item in services if "exporter" in [port["name"] for port in item["spec"]["ports"]]]
        assert "exporter" in ports and len(exposed) == 1


def test_nats_is_left_alone_where_nobody_may_reach_its_exporter():
    for kind in MONITORS:
        objects, watchers = nats_monitors(kind, BUNDLED)
        pod = next(item for item in objects if item["kind"] == "StatefulSet")["spec"]["template"]["spec"]
        assert watchers == [] and [container["name"] for container in pod["containers"]] == ["nats"]

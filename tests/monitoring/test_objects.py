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
    objects = [item for item in chart.render(metrics={"dashboard": settings}) if "dashboard" in item["metadata"]["name"]]
    assert {name: text for config in objects for name, text in config["data"].items()} == {
        f"gaung-{name}.json": text.strip() for name, text in chart.dashboards().items()
    }
    for config in objects:
        assert config["metadata"]["namespace"] == "grafana"
        assert config["metadata"]["labels"]["grafana_dashboard"] == "1"
        assert config["metadata"]["annotations"] == {"grafana_folder": "Push", "note": "x"}

"""What an operator can change about the alerts."""

import pytest

import chart

THRESHOLDS = chart.default_values()["metrics"]["prometheusRule"]["thresholds"]


@pytest.mark.parametrize("name", THRESHOLDS)
def test_a_threshold_reaches_the_expression_of_an_alert(name):
    assert any("0.1234" in rule["expr"] for rule in chart.alerts(thresholds={name: 0.1234}).values())


def test_a_threshold_that_was_taken_away_is_refused_by_its_name():
    with pytest.raises(AssertionError, match=r"thresholds has no value for \$\{restarts\}"):
        chart.rules(thresholds={"restarts": None})


def test_a_threshold_that_nobody_knows_is_refused():
    with pytest.raises(AssertionError, match="restart"):
        chart.rules(thresholds={"restart": 3})


@pytest.mark.parametrize("name", ["threadLagSeconds", "apiSeconds", "fanOutSeconds"])
def test_a_threshold_that_the_histogram_cannot_reach_is_refused(name):
    assert chart.rules(thresholds={name: 2.4})
    with pytest.raises(AssertionError, match=name):
        chart.rules(thresholds={name: 2.5})


def test_an_alert_can_be_left_out():
    names = set(chart.alerts(disabled=["GaungDown", "GaungNatsSlow"]))
    assert set(chart.default_alerts()) - names == {"GaungDown", "GaungNatsSlow"}


def test_a_group_whose_alerts_are_all_left_out_is_left_out():
    assert {group["name"] for group in chart.rules()} - {
        group["name"] for group in chart.rules(disabled=["GaungConnectionsGrowFast"])
    } == {"gaung-ramp"}


def test_an_alert_that_does_not_exist_cannot_be_left_out():
    with pytest.raises(AssertionError, match="names GaungDwn, which is no alert"):
        chart.rules(disabled=["GaungDwn"])


def names(metrics, **values):
    objects = chart.render(metrics=metrics, **values)
    groups = next(item for item in objects if item["kind"] == "PrometheusRule")["spec"]["groups"]
    return {rule["alert"] for group in groups for rule in group["rules"] if "alert" in rule}


NATS_ALERTS = {name for name, rule in chart.default_alerts().items() if 'job="gaung-nats"' in rule["expr"]}


def test_there_is_no_alert_on_nats_that_nobody_watches_and_no_watchdog_that_nobody_asked_for():
    left_out = set(chart.default_alerts()) - names({"prometheusRule": {"enabled": True}})
    assert left_out == NATS_ALERTS | {"GaungWatchdog"} and len(NATS_ALERTS) == 8


def test_nats_beside_the_nodes_has_its_alerts_where_its_exporter_can_be_reached():
    rule = {"prometheusRule": {"enabled": True}}
    reachable = {"networkPolicy": {"monitoringFrom": [{"podSelector": {}}]}}
    assert NATS_ALERTS <= names(rule, cluster={}, nats={**chart.BUNDLED_NATS, **reachable})
    assert not NATS_ALERTS & names(rule, cluster={}, nats={**chart.BUNDLED_NATS})
    assert not NATS_ALERTS & names(rule, cluster={}, nats={**chart.BUNDLED_NATS, "exporter": {"enabled": False}, **reachable})
    assert NATS_ALERTS <= names(rule, cluster={}, nats={**chart.BUNDLED_NATS, "networkPolicy": {"enabled": False}})


def test_as_many_nats_servers_are_missed_as_the_release_asks_for():
    nats = {**chart.BUNDLED_NATS, "replicaCount": 3, "networkPolicy": {"enabled": False}}
    objects = chart.render(metrics={"prometheusRule": {"enabled": True}}, cluster={}, nats=nats)
    groups = next(item for item in objects if item["kind"] == "PrometheusRule")["spec"]["groups"]
    alert = next(rule for group in groups for rule in group["rules"] if rule.get("alert") == "GaungNatsServerDown")
    assert "== 0) < 3 or" in alert["expr"]


def test_without_kube_state_metrics_no_alert_asks_for_them():
    left = chart.alerts(kubeStateMetrics=False)
    assert set(chart.default_alerts()) - set(left) == {"GaungPodMemoryNearLimit", "GaungAutoscalerAtMax"}
    assert not any("kube_" in rule["expr"] for rule in left.values())


def test_every_alert_looks_at_the_nodes_of_its_release_alone():
    own = ('{namespace="shop", job="gaung"', '{namespace="shop", job="gaung-nats"', '{gaung_release="shop/gaung"')
    for name, rule in chart.alerts(kubeStateMetrics=False).items():
        assert rule["expr"].count("{") == sum(rule["expr"].count(selector) for selector in own), name


def test_other_labels_can_name_the_nodes():
    expression = chart.alerts(selector='service="push"')["GaungNotReady"]["expr"]
    assert expression == 'gaung_ready{service="push"} == 0 unless gaung_drain_age_seconds{service="push"} > 0'


def test_labels_can_be_added_to_every_alert():
    for rule in chart.alerts(alertLabels={"team": "push"}).values():
        assert rule["labels"]["team"] == "push" and rule["labels"]["severity"]


def test_the_runbook_may_lie_elsewhere():
    rule = chart.alerts(runbookUrl="https://wiki.example.com/gaung")["GaungDown"]
    assert rule["annotations"]["runbook_url"] == "https://wiki.example.com/gaung#gaungdown"


def test_groups_of_ones_own_come_after_the_charts():
    group = {"name": "mine", "rules": [{"alert": "Mine", "expr": "vector(1)"}]}
    assert chart.rules(additionalGroups=[group])[-1] == group

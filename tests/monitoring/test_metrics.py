"""What servers show is by Prometheus' conventions, and has all that the alerts and the dashboards ask for."""

import collections
import json
import subprocess

import pytest

import chart
import promql
import scrape
from test_dashboards import expressions


@pytest.mark.parametrize("pod", ["alone", "a"])
def test_promtool_finds_nothing_wrong_with_a_scrape(nodes, pod):
    text = scrape.fetch(nodes.by_pod[pod].admin)
    done = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True, text=True)
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


def test_servers_show_all_that_rules_ask_for(nodes):
    groups = chart.rules(kubeStateMetrics=False)
    shows_all(nodes, [(rule.get("alert") or rule["record"], rule["expr"]) for group in groups for rule in group["rules"]])


def test_rules_record_all_that_has_the_name_of_a_recorded_series():
    recorded = {rule["record"] for rule in chart.default_records()}
    rules = [(rule.get("alert") or rule["record"], rule["expr"]) for group in chart.rules() for rule in group["rules"]]
    shown = [pair for text in chart.dashboards().values() for pair in expressions(json.loads(text))]
    for owner, expression in rules + shown:
        assert set(filter(promql.is_recorded, promql.metrics(expression))) <= recorded, owner


def test_the_bound_within_which_deliveries_are_in_time_is_one_of_the_histogram(nodes):
    schema = json.loads((chart.CHART / "values.schema.json").read_text())
    level = schema["properties"]["metrics"]["properties"]["slo"]["properties"]["delivery"]
    bounds = scrape.Shown(nodes.all_scrapes()).metrics["gaung_fan_out_seconds_bucket"]["le"]
    assert {str(bound) for bound in level["properties"]["seconds"]["enum"]} <= bounds


@pytest.mark.parametrize("histogram", ["gaung_thread_lag_seconds", "gaung_trigger_seconds", "gaung_fan_out_seconds"])
def test_a_histogram_reaches_as_far_as_the_thresholds_may(nodes, histogram):
    bounds = scrape.Shown(nodes.scrapes().values()).metrics[f"{histogram}_bucket"]["le"]
    assert max((float(bound) for bound in bounds if bound != "+Inf"), default=0) >= 2.5


@pytest.mark.parametrize("name", chart.dashboards())
def test_servers_show_all_that_dashboards_ask_for(nodes, name):
    shows_all(nodes, expressions(json.loads(chart.dashboards()[name])))


def shows_all(nodes, expressions):
    """Fails with what neither nodes nor NATS show, and who asks for it."""
    shown = scrape.Shown(nodes.all_scrapes())
    found = collections.defaultdict(list)
    for owner, expression in expressions:
        for lack in shown.lacks(expression):
            found[lack].append(owner)
    assert not found, "\n".join(f"{lack}: asked for by {', '.join(owners)}" for lack, owners in sorted(found.items()))

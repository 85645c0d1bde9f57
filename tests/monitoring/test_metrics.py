"""What servers show is by Prometheus' conventions, and has all that the alerts and the dashboards ask for."""

import collections
import json
import subprocess

import pytest
from prometheus_client.openmetrics import parser as openmetrics
from prometheus_client.parser import text_string_to_metric_families

import chart
import promql
import scrape
from test_dashboards import expressions


@pytest.mark.parametrize("pod", ["alone", "a"])
def test_promtool_finds_nothing_wrong_with_a_scrape(nodes, pod):
    text = scrape.fetch(nodes.by_pod[pod].admin)
    done = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True, text=True)
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


# What Prometheus 3 sends.
ACCEPT = (
    "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,"
    "application/openmetrics-text;version=0.0.1;q=0.5,text/plain;version=0.0.4;q=0.3,*/*;q=0.2"
)


def families(parse, text):
    """What a parser makes of a text: each family by its name, once."""
    parsed = list(parse(text))
    names = [family.name for family in parsed]
    assert sorted(names) == sorted(set(names))
    return {family.name: family for family in parsed}


@pytest.mark.parametrize("encoding", ["identity", "gzip"])
@pytest.mark.parametrize("pod", ["alone", "a"])
def test_who_accepts_open_metrics_is_given_what_the_strict_parser_takes(nodes, pod, encoding):
    kind, text = scrape.fetch_as(nodes.by_pod[pod].admin, Accept=ACCEPT, Accept_Encoding=encoding)
    assert kind == "application/openmetrics-text; version=1.0.0; charset=utf-8"
    shown = families(openmetrics.text_string_to_metric_families, text)
    assert (shown["gaung_refusals"].type, shown["gaung_build"].type) == ("counter", "info")
    assert (shown["process_cpu_seconds"].type, shown["process_cpu_seconds"].unit) == ("counter", "seconds")
    assert (shown["gaung_trigger_seconds"].type, shown["gaung_trigger_seconds"].unit) == ("histogram", "seconds")


@pytest.mark.parametrize("pod", ["alone", "a"])
def test_both_forms_show_the_same_series(nodes, pod):
    admin = nodes.by_pod[pod].admin
    _, plain = scrape.fetch_as(admin)
    _, open_metrics = scrape.fetch_as(admin, Accept=ACCEPT)
    assert series(text_string_to_metric_families(plain)) == series(
        openmetrics.text_string_to_metric_families(open_metrics)
    )


def series(families):
    return sorted((sample.name, sorted(sample.labels.items())) for family in families for sample in family.samples)


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
    assert set(level["properties"]["seconds"]["enum"]) <= {float(bound) for bound in bounds}


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

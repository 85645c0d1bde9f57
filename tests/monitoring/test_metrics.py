"""What the server shows is by Prometheus' conventions, and has all that the alerts and the dashboards ask for."""

import collections
import json
import subprocess

import pytest

import chart
import scrape
from test_dashboards import expressions


@pytest.mark.parametrize("pod", ["alone", "a"])
def test_promtool_finds_nothing_wrong_with_a_scrape(nodes, pod):
    text = scrape.fetch(nodes.by_pod[pod].admin)
    done = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True, text=True)
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


def test_the_server_shows_all_that_alerts_ask_for(nodes):
    alerts = chart.alerts(kubeStateMetrics=False)
    shows_all(nodes, [(name, rule["expr"]) for name, rule in alerts.items()])


@pytest.mark.parametrize("histogram", ["gaung_thread_lag_seconds", "gaung_trigger_seconds", "gaung_fan_out_seconds"])
def test_a_histogram_reaches_as_far_as_the_thresholds_may(nodes, histogram):
    bounds = scrape.Shown(nodes.scrapes().values()).metrics[f"{histogram}_bucket"]["le"]
    assert max((float(bound) for bound in bounds if bound != "+Inf"), default=0) >= 2.5


@pytest.mark.parametrize("name", chart.dashboards())
def test_the_server_shows_all_that_dashboards_ask_for(nodes, name):
    shows_all(nodes, expressions(json.loads(chart.dashboards()[name])))


def shows_all(nodes, expressions):
    """Fails with what the nodes do not show, and who asks for it."""
    shown = scrape.Shown(nodes.scrapes().values())
    found = collections.defaultdict(list)
    for owner, expression in expressions:
        for lack in shown.lacks(expression):
            found[lack].append(owner)
    assert not found, "\n".join(f"{lack}: asked for by {', '.join(owners)}" for lack, owners in sorted(found.items()))

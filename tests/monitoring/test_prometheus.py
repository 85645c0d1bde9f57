"""A real Prometheus watches real nodes and NATS servers: it takes the rules, answers every panel, and tells when NATS goes."""

import contextlib
import json
import urllib.parse
import urllib.request

import pytest
import yaml

import chart
import fleet
import promql
import test_dashboards
from deadline import until
from process import Process

PATIENCE = 60.0
NATS = f"{chart.RELEASE}-nats"
CHOSEN = {"$namespace": chart.NAMESPACE, "$pod": ".*", "$app": ".*"}
ALWAYS = {("GaungWatchdog", None)}


class Prometheus:
    """Scrapes the nodes and evaluates the chart's rules every second."""

    def __init__(self, stack, nodes, folder):
        admin = {pod: node.admin for pod, node in nodes.by_pod.items()}
        settings = {
            "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
            "rule_files": ["rules.yaml"],
            "scrape_configs": [scraped(chart.RELEASE, admin), scraped(NATS, nodes.nats.exporters)],
        }
        rules = {"groups": [{**group, "interval": "1s"} for group in chart.rules()]}
        (folder / "rules.yaml").write_text(yaml.safe_dump(rules))
        (folder / "prometheus.yaml").write_text(yaml.safe_dump(settings))
        options = {"config.file": folder / "prometheus.yaml", "storage.tsdb.path": folder / "data"}
        options["web.listen-address"] = "127.0.0.1:0"
        process = Process(["prometheus", *(f"--{name}={value}" for name, value in options.items())])
        stack.callback(process.kill)
        self._address = process.printed(r'"Listening on" address=(\S+).*Server is ready', PATIENCE)[1]

    def scrapes_all_again(self, nodes):
        """Waits until every node was scraped twice more: the first of them may have begun before."""
        begun = {pod: self._scrapes(pod) for pod in nodes.by_pod}
        until(lambda: all(self._scrapes(pod) >= begun[pod] + 2 for pod in begun), "every node is scraped", PATIENCE)

    def query(self, expression):
        return self._ask("query", query=expression)["result"]

    def rules(self):
        return [rule for group in self._ask("rules")["groups"] for rule in group["rules"]]

    def alerts(self):
        """Those that fire or are about to."""
        return {(alert["labels"]["alertname"], alert["labels"].get("pod")) for alert in self._ask("alerts")["alerts"]}

    def _scrapes(self, pod):
        counted = self.query(f'count_over_time(up{{pod="{pod}"}}[1h])')
        return int(counted[0]["value"][1]) if counted else 0

    def _ask(self, path, **parameters):
        url = f"http://{self._address}/api/v1/{path}?{urllib.parse.urlencode(parameters)}"
        with urllib.request.urlopen(url, timeout=10) as answer:
            return json.load(answer)["data"]


def scraped(job, addresses):
    """The addresses as Prometheus is told of them, by the names of pods."""
    targets = [
        {"targets": [address.removeprefix("http://")], "labels": {"namespace": chart.NAMESPACE, "pod": pod}}
        for pod, address in addresses.items()
    ]
    return {"job_name": job, "static_configs": targets}


@pytest.fixture(scope="module")
def prometheus(nodes, tmp_path_factory):
    """One that has seen each node a few times, after each had something to count."""
    with contextlib.ExitStack() as stack:
        watcher = Prometheus(stack, nodes, tmp_path_factory.mktemp("prometheus"))
        watcher.scrapes_all_again(nodes)
        for node in nodes.by_pod.values():
            fleet.busy(stack, node)
        watcher.scrapes_all_again(nodes)
        yield watcher


def answered(prometheus, name, target):
    """The series that a panel's target shows, as Grafana asks for them."""
    expression = promql.filled_in(target["expr"])
    for variable, value in {**CHOSEN, "$job": NATS if name == "nats" else chart.RELEASE}.items():
        expression = expression.replace(variable, value)
    return prometheus.query(expression)


def test_every_rule_can_be_evaluated(prometheus):
    until(lambda: all(rule["health"] != "unknown" for rule in prometheus.rules()), "every rule was evaluated", PATIENCE)
    assert {rule["name"]: rule.get("lastError") for rule in prometheus.rules() if rule["health"] != "ok"} == {}
    assert len(prometheus.rules()) == len(chart.default_alerts()) + len(chart.default_records())


@pytest.mark.parametrize("name", test_dashboards.DASHBOARDS)
def test_every_panel_of_a_dashboard_shows_something(prometheus, name):
    empty = [
        f"{panel['title']}: {target['expr']}"
        for panel in test_dashboards.panels(test_dashboards.DASHBOARDS[name])
        for target in panel["targets"]
        if not promql.is_comparison(target["expr"]) and not answered(prometheus, name, target)
    ]
    assert not empty, "\n".join(empty)


@pytest.mark.parametrize("name", test_dashboards.DASHBOARDS)
def test_every_label_in_a_legend_is_there(prometheus, name):
    for panel in test_dashboards.panels(test_dashboards.DASHBOARDS[name]):
        for target in panel["targets"]:
            named = {part.split("}}")[0] for part in target["legendFormat"].split("{{")[1:]}
            for series in answered(prometheus, name, target):
                assert named <= set(series["metric"]), panel["title"]


def test_a_quiet_fleet_alerts_nobody_until_nats_goes(prometheus, nodes):
    until(lambda: prometheus.alerts() == ALWAYS, "no alert is left of the start", PATIENCE)
    nodes.nats.kill("n1", "n2")
    until(lambda: ("GaungNatsNoMetaLeader", None) in prometheus.alerts(), "the last server misses its leader", PATIENCE)
    until(lambda: ("GaungNatsStreamLeaderless", None) in prometheus.alerts(), "so do the streams", PATIENCE)
    nodes.nats.kill("n0")
    cut_off = {("GaungNatsDisconnected", "a"), ("GaungNatsDisconnected", "b"), ("GaungNatsDown", None)}
    until(lambda: cut_off <= prometheus.alerts(), "the alerts begin", PATIENCE)

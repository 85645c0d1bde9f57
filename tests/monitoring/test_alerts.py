"""The alerts do what they say: a firing and a silent case for each, in alerts.yaml."""

import pathlib
import re
import subprocess

import pytest
import yaml

import chart
import promql

# All values stay texts: `0x10` is a series of zeros here and no number.
CASES = yaml.load(pathlib.Path(__file__).with_name("alerts.yaml").read_text(), yaml.BaseLoader)
ALERTS = sorted(chart.default_alerts())
WATCHDOG = "GaungWatchdog"
RUNBOOK = (chart.CHART / "RUNBOOK.md").read_text()


def promtool(*arguments):
    done = subprocess.run(["promtool", *arguments], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert done.returncode == 0, done.stdout


def full_name(series, job=chart.RELEASE):
    """The series of a case with the labels of what it is of."""
    if "namespace=" in series:
        return series
    name, labels = series.split("{", 1)
    return f'{name}{{namespace="{chart.NAMESPACE}", job="{job}", {labels}'


def job_of(alert):
    """What an alert looks at."""
    return f"{chart.RELEASE}-nats" if f'job="{chart.RELEASE}-nats"' in chart.default_alerts()[alert]["expr"] else chart.RELEASE


def expected(alert, case):
    """What promtool is to find in the case, and when."""
    rule = chart.default_alerts()[alert]
    if "summary" not in case:
        return [{"eval_time": case["after"], "alertname": alert, "exp_alerts": []}]
    annotations = {**rule["annotations"], "summary": case["summary"]}
    fires = {"exp_labels": {**rule["labels"], **case["labels"]}, "exp_annotations": annotations}
    moments = [{"eval_time": case["after"], "alertname": alert, "exp_alerts": [fires]}]
    if "for" in rule:
        moments.append({"eval_time": f"{minutes(rule['for']) - 1}m", "alertname": alert, "exp_alerts": []})
    return moments


def minutes(duration):
    return int(duration[:-1]) * {"m": 1, "h": 60}[duration[-1]]


def unit_test(alert, case):
    """The case in promtool's form."""
    return {
        "interval": case.get("every", "1m"),
        "name": case.get("why", "fires"),
        "input_series": [{"series": full_name(name, job_of(alert)), "values": values} for name, values in case["series"].items()],
        "alert_rule_test": expected(alert, case),
    }


def test_promtool_takes_the_rules(tmp_path):
    rules = tmp_path / "rules.yaml"
    rules.write_text(yaml.safe_dump({"groups": chart.rules()}))
    promtool("check", "rules", "--lint-fatal", str(rules))


def test_every_alert_has_a_firing_and_a_silent_case():
    assert sorted(CASES) == [alert for alert in ALERTS if alert != WATCHDOG]
    assert [alert for alert, cases in CASES.items() if not (cases.get("fires") and cases.get("silent"))] == []


@pytest.mark.parametrize("alert", CASES)
def test_an_alert_fires_when_it_should_and_only_then(alert, tmp_path):
    check([unit_test(alert, case) for case in CASES[alert]["fires"] + CASES[alert]["silent"]], tmp_path)


def check(tests, folder, evaluated="1m"):
    (folder / "rules.yaml").write_text(yaml.safe_dump({"groups": chart.rules()}))
    test = {"rule_files": ["rules.yaml"], "evaluation_interval": evaluated, "tests": tests}
    (folder / "test.yaml").write_text(yaml.safe_dump(test))
    promtool("test", "rules", str(folder / "test.yaml"))


def test_the_watchdog_fires_where_there_is_nothing_at_all(tmp_path):
    rule = chart.default_alerts()[WATCHDOG]
    assert rule["labels"]["severity"] == "none" and rule["annotations"]["runbook_url"] == "RUNBOOK.md#gaungwatchdog"
    fires = {"exp_labels": rule["labels"], "exp_annotations": {**rule["annotations"], "summary": "Alerts of shop/gaung arrive"}}
    case = {"interval": "1m", "input_series": []}
    check([{**case, "alert_rule_test": [{"eval_time": "0m", "alertname": WATCHDOG, "exp_alerts": [fires]}]}], tmp_path)


RAMP = "GaungConnectionsGrowFast"

SOCKETS = 16_988
"""What 20,000 file descriptors leave for sockets."""

SOCKETS_PER_SECOND = 500


@pytest.mark.parametrize("monitor", ["podMonitor", "serviceMonitor"])
def test_a_ramp_of_500_sockets_a_second_is_told_before_the_node_leaves_the_load_balancer(monitor, tmp_path):
    scraped = seconds(chart.default_values()["metrics"][monitor]["interval"])
    evaluated = seconds(next(group for group in chart.rules() if group["rules"][0].get("alert") == RAMP)["interval"])
    # The rules may be evaluated as late as a whole interval after a scrape.
    latest = 0.9 * SOCKETS / SOCKETS_PER_SECOND - evaluated
    case = {**CASES[RAMP]["fires"][0], "every": f"{scraped}s"}
    tests = []
    for begun in range(scraped):
        # So many seconds before a scrape the first of them came.
        scrapes = int((latest - begun) // scraped)
        came = f"{begun * SOCKETS_PER_SECOND}+{scraped * SOCKETS_PER_SECOND}x{scrapes}"
        series = {'gaung_connections{pod="a", app="x"}': f"0x19 {came}", 'gaung_max_connections{pod="a"}': f"{SOCKETS}x30"}
        tests.append(unit_test(RAMP, {**case, "series": series, "after": f"{(20 + scrapes) * scraped}s"}))
    check(tests, tmp_path, evaluated=f"{evaluated}s")


def seconds(duration):
    assert duration[-1] == "s"
    return int(duration[:-1])


@pytest.mark.parametrize("alert", CASES)
def test_a_silent_case_has_all_that_the_alert_asks_for(alert):
    asked = scraped(chart.default_alerts()[alert]["expr"])
    for case in CASES[alert]["silent"]:
        given = {name.split("{")[0] for name in case["series"]}
        assert asked <= given, case["why"]


def scraped(expression):
    """The metrics from which the expression follows: where it names a recorded one, those of the rules for it."""
    metrics = promql.metrics(expression)
    sources = [rule["expr"] for rule in chart.default_records() if rule["record"] in metrics]
    scraped = {metric for metric in metrics if not promql.is_recorded(metric)}
    return scraped.union(*(promql.metrics(source) for source in sources if not any(map(promql.is_recorded, promql.metrics(source)))))


@pytest.mark.parametrize("alert", CASES)
def test_an_alert_tells_what_it_means_and_where_to_read_on(alert):
    rule = chart.default_alerts()[alert]
    assert rule["labels"]["severity"] in ("critical", "warning")
    assert set(rule["annotations"]) == {"summary", "description", "runbook_url"}
    assert "{{ $labels.namespace }}/{{ $labels." in rule["annotations"]["summary"]
    # Only the summary differs from case to case, so that the cases need to repeat nothing else.
    assert "{{" not in rule["annotations"]["description"]
    assert rule["annotations"]["runbook_url"] == f"RUNBOOK.md#{alert.lower()}"


def test_the_runbook_has_a_section_for_every_alert_and_no_other():
    headings = re.findall(r"^### (Gaung\w+)$", RUNBOOK, re.MULTILINE)
    assert headings == list(chart.default_alerts())


def test_a_section_of_the_runbook_says_what_it_means_what_to_look_at_and_what_to_do():
    sections = re.split(r"^### ", RUNBOOK, flags=re.MULTILINE)[1:]
    parts = ("**Meaning.**", "**Look at.**", "**Do.**")
    assert [section.split()[0] for section in sections if any(section.count(part) != 1 for part in parts)] == []

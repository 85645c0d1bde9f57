"""The recording rules make what they say, in records.yaml, and keep to what an operator has set."""

import pathlib
import re

import pytest
import yaml

import chart
from test_alerts import check, full_name

CASES = yaml.safe_load(pathlib.Path(__file__).with_name("records.yaml").read_text())
RELEASE = f'gaung_release="{chart.NAMESPACE}/{chart.RELEASE}"'


def expected(series, value):
    """What promtool is to find of a recorded series."""
    name = full_name(series).replace("{", f"{{{RELEASE}, ", 1)
    return {"labels": re.sub(r"^[^{]*", "", name), "value": value}


def asked(case):
    for series, value in case["gives"].items():
        metric, labels = series.split("{", 1)
        yield {"expr": f"round({metric}{{{labels}, {case.get('to', '0.000001')})", "eval_time": case["after"], "exp_samples": [expected(series, value)]}
    for metric in case.get("nothing", []):
        yield {"expr": metric, "eval_time": case["after"], "exp_samples": []}


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["why"])
def test_a_recorded_series_has_the_value_that_it_should(case, tmp_path):
    series = [{"series": full_name(name), "values": values} for name, values in case["series"].items()]
    test = {"interval": case.get("every", "1m"), "input_series": series, "promql_expr_test": list(asked(case))}
    check([test], tmp_path, case.get("evaluated", "1m"))


def test_every_recording_rule_has_a_case():
    given = {name for case in CASES for name in case["gives"]}
    for rule in chart.default_records():
        labels = [f'{name}="{value}"' for name, value in rule.get("labels", {}).items() if name != "gaung_release"]
        assert any(name.startswith(rule["record"] + "{") and all(label in name for label in labels) for name in given), rule


def test_rules_of_another_release_make_no_series_of_this_one():
    for rule in chart.default_records():
        assert rule["expr"].count("{") == rule["expr"].count('{namespace="shop", job="gaung"') + rule["expr"].count(f"{{{RELEASE}")


def records(**slo):
    return [rule for group in chart.rules(slo=slo) for rule in group["rules"] if "record" in rule]


def test_objectives_and_the_length_of_the_budget_are_the_operators():
    mine = {"objective": 0.98765}
    expressions = [rule["expr"] for rule in records(delivery=mine, trigger=mine, connect=mine, days=7)]
    assert sum(expression.endswith("+ 0.98765") for expression in expressions) == 3
    assert any("[7d]" in expression for expression in expressions) and not any("[30d]" in item for item in expressions)


@pytest.mark.parametrize("seconds, bound", [(0.1, 'le="0.1"'), (1, 'le=~"1|1.0"'), (2.5, 'le="2.5"')])
def test_deliveries_are_in_time_up_to_a_bound_of_the_histogram(seconds, bound):
    assert any(bound in rule["expr"] for rule in records(delivery={"seconds": seconds}))


def test_a_time_between_two_bounds_is_refused():
    with pytest.raises(AssertionError, match="seconds"):
        records(delivery={"seconds": 0.3})


def test_an_objective_that_leaves_no_budget_is_refused():
    with pytest.raises(AssertionError, match="objective"):
        records(trigger={"objective": 1})


def test_windows_are_the_operators():
    page = [{"burn": 10, "long": "45m", "short": "15m"}]
    alert = chart.alerts(slo={"page": page, "minErrors": 77})["GaungErrorBudgetBurnsFast"]["expr"]
    assert 'window="45m"} > 10' in alert and 'window="15m"} > 10' in alert and ">= 77" in alert
    assert {"45m", "15m"} <= {rule["labels"].get("window") for rule in records(page=page) if "labels" in rule}


def test_without_service_levels_nothing_is_recorded():
    assert records(enabled=False) == []
    left_out = set(chart.default_alerts()) - set(chart.alerts(slo={"enabled": False}))
    assert left_out == {"GaungErrorBudgetBurnsFast", "GaungErrorBudgetBurnsSlowly"}

"""The dashboards are whole: Grafana can show every panel, and a person can read it."""

import collections
import json
import re

import pytest

import chart
import promql

DASHBOARDS = {name: json.loads(text) for name, text in chart.dashboards().items()}
PROMETHEUS = {"type": "prometheus", "uid": "${datasource}"}
VARIABLE = re.compile(r"\$\{?(\w+)\}?")
# Given by Grafana.
INBORN = {"__rate_interval", "__all"}

pytestmark = pytest.mark.parametrize("dashboard", DASHBOARDS.values(), ids=DASHBOARDS.keys())


def panels(dashboard):
    """Those that show something; rows only part them."""
    return [panel for panel in dashboard["panels"] if panel["type"] != "row"]


def expressions(dashboard):
    """All expressions with what they belong to."""
    targets = [(panel["title"], target["expr"]) for panel in panels(dashboard) for target in panel["targets"]]
    return targets + [(annotation["name"], annotation["expr"]) for annotation in dashboard["annotations"]["list"]]


def test_there_are_the_five_of_the_chart(dashboard):
    assert sorted(DASHBOARDS) == ["fleet", "nats", "rollout", "slo", "tenants"]
    for field in ("uid", "title", "description"):
        assert len({other[field] for other in DASHBOARDS.values()}) == 5
    assert dashboard["uid"].startswith("gaung-")


def test_every_panel_has_an_id_and_a_place_of_its_own(dashboard):
    ids = [panel["id"] for panel in dashboard["panels"]]
    assert len(set(ids)) == len(ids)
    taken = collections.Counter(cell for panel in dashboard["panels"] for cell in cells(panel["gridPos"]))
    assert [cell for cell, times in taken.items() if times > 1 or cell[0] >= 24] == []


def cells(place):
    columns = range(place["x"], place["x"] + place["w"])
    return [(x, y) for x in columns for y in range(place["y"], place["y"] + place["h"])]


def test_every_panel_has_a_title_a_description_and_a_unit(dashboard):
    for panel in panels(dashboard):
        assert panel["title"] and panel["description"].endswith("."), panel["id"]
        assert panel["fieldConfig"]["defaults"]["unit"], panel["title"]
    titles = [panel["title"] for panel in dashboard["panels"]]
    assert len(set(titles)) == len(titles)


def test_everything_asks_the_prometheus_that_the_viewer_chose(dashboard):
    choice, *variables = dashboard["templating"]["list"]
    assert (choice["name"], choice["type"], choice["query"]) == ("datasource", "datasource", "prometheus")
    askers = panels(dashboard) + dashboard["annotations"]["list"] + variables
    assert [asker for asker in askers if asker["datasource"] != PROMETHEUS] == []
    assert not any("datasource" in target for panel in panels(dashboard) for target in panel["targets"])


def test_the_viewer_chooses_namespace_release_and_pod(dashboard):
    names = [variable["name"] for variable in dashboard["templating"]["list"]]
    # Service levels are of all nodes together.
    assert names[:4] == ["datasource", "namespace", "job", *([] if dashboard["uid"] == "gaung-slo" else ["pod"])]
    assert ("app" in names) == (dashboard["uid"] == "gaung-tenants")


def test_every_variable_is_defined_and_used(dashboard):
    defined = {variable["name"] for variable in dashboard["templating"]["list"]}
    used = set(VARIABLE.findall(json.dumps(dashboard)))
    assert used - INBORN == defined


def test_every_expression_is_promql_and_looks_at_what_was_chosen(dashboard):
    for owner, expression in expressions(dashboard):
        for selector in promql.selectors(expression):
            asked = {label: value for label, _, value in selector.matchers}
            assert asked["namespace"] == "$namespace", owner
            if selector.metric != "ALERTS":
                assert asked["job"] == "$job", owner
            if selector.metric != "ALERTS" and not promql.is_recorded(selector.metric):
                assert asked["pod"] == "$pod", owner
            if dashboard["uid"] == "gaung-tenants":
                assert asked["app"] == "$app", owner


def test_targets_of_a_panel_are_told_apart(dashboard):
    for panel in panels(dashboard):
        references = [target["refId"] for target in panel["targets"]]
        legends = [target["legendFormat"] for target in panel["targets"]]
        assert len(set(references)) == len(references), panel["title"]
        assert len(set(legends)) == len(legends), panel["title"]

"""What an expression asks for: metrics, their labels, and the labels by which it groups."""

import dataclasses
import re

import promql_parser
from promql_parser import AggregateExpr, BinaryExpr, MatchOp, VectorSelector


@dataclasses.dataclass(frozen=True)
class Selector:
    """A metric and what is asked of its labels: triples of label, operator and value."""

    metric: str
    matchers: tuple


def parse(expression):
    """Parses an alert's or a dashboard's expression; Grafana's intervals are filled in as Grafana would."""
    return promql_parser.parse(filled_in(expression))


def filled_in(expression, interval="1m"):
    return expression.replace("$__rate_interval", interval)


def selectors(expression):
    return [
        Selector(node.name, tuple((matcher.name, matcher.op, matcher.value) for matcher in node.matchers.matchers))
        for node in _nodes(expression)
        if isinstance(node, VectorSelector)
    ]


def metrics(expression):
    return {selector.metric for selector in selectors(expression)}


def is_recorded(metric):
    """Whether a rule makes it; what is scraped has no colon in its name."""
    return ":" in metric


def labels_of_groups(expression):
    """The labels by which the expression groups or joins."""
    found = set()
    for node in _nodes(expression):
        if isinstance(node, AggregateExpr) and node.modifier:
            found.update(node.modifier.labels)
        if isinstance(node, BinaryExpr) and node.modifier:
            found.update(node.modifier.matching.labels if node.modifier.matching else ())
            found.update(node.modifier.group_labels or ())
    return found


def wanted_values(operator, value):
    """The values that a label must be able to have for a matcher to make sense; none of them where anything fits."""
    if "$" in value or value == ".*":
        return []
    if operator in (MatchOp.Re, MatchOp.NotRe):
        return value.split("|")
    # An empty value is that of a label that is not there.
    return [value] if value else []


def is_comparison(expression):
    """Whether the expression leaves series out by their value, so that it may answer with nothing."""
    node = parse(expression)
    return isinstance(node, BinaryExpr) and re.fullmatch(r"[<>=!]+", str(node.op)) is not None


def _nodes(expression):
    nodes = []
    promql_parser.walk(parse(expression), nodes.append)
    return nodes

"""What is shown at /metrics."""

import collections
import gzip
import re
import urllib.request

import promql

SAMPLE = re.compile(r"^(?P<name>[a-z_]+)(?:\{(?P<labels>.*)\})? (?P<value>\S+)$")
LABEL = re.compile(r'([a-z_]+)="([^"]*)"')

# Given to every series by Prometheus and its service discovery.
OF_THE_TARGET = {"namespace", "job", "pod", "instance"}
# Made by Prometheus itself.
OF_PROMETHEUS = {"up", "ALERTS"}


def fetch(address):
    return fetch_as(address)[1]


def fetch_as(address, **headers):
    """The content type and the text, as somebody who sends these headers is given it."""
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    request = urllib.request.Request(f"{address}/metrics", headers=names)
    with urllib.request.urlopen(request, timeout=10) as answer:
        body = answer.read()
        if answer.headers["Content-Encoding"] == "gzip":
            body = gzip.decompress(body)
        return answer.headers["Content-Type"], body.decode()


class Shown:
    """The metrics of some scrapes with all values that their labels have there."""

    def __init__(self, texts):
        self.metrics = collections.defaultdict(lambda: collections.defaultdict(set))
        for line in "".join(texts).splitlines():
            if line and not line.startswith("#"):
                sample = SAMPLE.match(line)
                assert sample, f"no sample: {line}"
                labels = self.metrics[sample["name"]]
                for label, value in LABEL.findall(sample["labels"] or ""):
                    labels[label].add(value)

    def lacks(self, expression):
        """What the expression asks for and nobody shows: metrics, or else labels and their values. What rules record is
        left to them."""
        selectors = [selector for selector in promql.selectors(expression) if selector.metric not in OF_PROMETHEUS]
        if any(promql.is_recorded(selector.metric) for selector in selectors):
            selectors = [selector for selector in selectors if not promql.is_recorded(selector.metric)]
            return {lack for selector in selectors for lack in self.lacks(selector.metric)}
        metrics = {selector.metric for selector in selectors}
        if unknown := metrics - self.metrics.keys():
            return unknown
        groups = promql.labels_of_groups(expression) - OF_THE_TARGET
        labels = groups.difference(*(self.metrics[metric] for metric in metrics))
        return labels | {lack for selector in selectors for lack in self._lacks_of(selector)}

    def _lacks_of(self, selector):
        labels = self.metrics[selector.metric]
        for label, operator, value in selector.matchers:
            if label in OF_THE_TARGET:
                continue
            if label not in labels:
                yield f"{selector.metric}{{{label}}}"
            for wanted in promql.wanted_values(operator, value):
                if wanted not in labels[label]:
                    yield f'{selector.metric}{{{label}="{wanted}"}}'

"""What an operator sees of a server: the admin port and the API."""

import os
import re
import time
import urllib.error
import urllib.request

from deadline import until
from raw import exchange, signed_post, status

PATIENCE = 5.0
"""Seconds within which a probe of Kubernetes would be answered."""

SECONDS = float(os.environ.get("GAUNG_FAULTS_SECONDS", "0"))
"""For how long a fault lasts beyond its first look."""


def throughout(holds):
    """Looks again and again while a fault lasts, at least once, whether this holds."""
    end = time.monotonic() + SECONDS
    while True:
        assert holds()
        if time.monotonic() >= end:
            return
        time.sleep(0.1)


def ask(url):
    """Status and text of an answer."""
    try:
        with urllib.request.urlopen(url, timeout=PATIENCE) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as refusal:
        return refusal.code, refusal.read().decode()


def is_alive(server):
    return ask(f"{server.admin}/livez")[0] == 200


def readiness(server):
    """Whether the node is ready, as both ports say it, which must agree but for a moment; and its own words."""

    def verdict():
        code, text = ask(f"{server.admin}/readyz")
        public, _ = ask(f"http://{server.host}:{server.port}/ready")
        return (code == 200) == (public == 200) and (code == 200, text)

    return until(verdict, "both ports say the same")


def metric(server, name):
    """The value of a metric, all labels together."""
    _, text = ask(f"{server.admin}/metrics")
    values = re.findall(rf"^{name}(?:{{.*}})? (\S+)$", text, re.MULTILINE)
    assert values, f"no metric {name}"
    return sum(map(float, values))


def takes_events(server):
    """Whether the API takes an event."""
    body = b'{"name":"probe","channel":"probe","data":"{}"}'
    return status(exchange(server, signed_post(body))) == 200

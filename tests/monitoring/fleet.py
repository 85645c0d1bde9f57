"""Servers to scrape."""

import contextlib
import dataclasses
import json
import os
import subprocess
import tempfile

from process import Process
from server import APP, Gaung, binary

import nats
import scrape
from deadline import until

PATIENCE = 20.0

# The app has limits of every kind, so that all are shown.
LIMITS = {
    "max_connections": 1000, "events_per_second": 1000, "history_mb": 16, "tenant_limits": "max_connections=1000",
}
OF_APP = {f"GAUNG_APP_{name.upper()}": str(limit) for name, limit in LIMITS.items()}

# The nodes of the cluster have it from NATS.
TOKEN = "a-token-of-the-operators"
APPS_IN_NATS = {
    "GAUNG_APP_ID": "", "GAUNG_APP_KEY": "", "GAUNG_APP_SECRET": "", "GAUNG_ADMIN_TOKEN": TOKEN,
    "GAUNG_APPS_STORE": "nats", "GAUNG_APPS_STORE_KEY": "00" * 32, "GAUNG_APPS_STORE_REPLICAS": "3",
}


@dataclasses.dataclass
class Nodes:
    """By the names that their pods would have."""

    by_pod: dict
    nats: "nats.Servers"

    def scrapes(self):
        return {pod: scrape.fetch(node.admin) for pod, node in self.by_pod.items()}

    def all_scrapes(self):
        """Of the nodes, and of the exporters beside NATS."""
        return [*self.scrapes().values(), *self.nats.scrapes().values()]


@contextlib.contextmanager
def started():
    with contextlib.ExitStack() as stack:
        servers = nats.Servers(stack, stack.enter_context(tempfile.TemporaryDirectory()))
        clustered = {
            "GAUNG_NATS_URL": servers.url, "GAUNG_CLUSTER_NODES": "2", "GAUNG_REBALANCE_ABOVE": "1.2",
            "GAUNG_HISTORY_STREAM": "true", "GAUNG_HISTORY_STREAM_REPLICAS": "3", "GAUNG_WEBHOOK_STREAM": "webhooks",
            **APPS_IN_NATS,
        }
        limits = {"GAUNG_MAX_CONNECTIONS": "1000", "GAUNG_MAX_MEMORY_MB": "1024"}
        # Nothing answers there, which must alert nobody at once. The key of RFC 8037 is in force beside it.
        issuer = {
            "GAUNG_TENANT_TOKEN_ALGORITHMS": "HS256,EdDSA",
            "GAUNG_TENANT_JWKS_URL": "http://127.0.0.1:1/jwks",
            "GAUNG_TENANT_PUBLIC_KEY": "-----BEGIN PUBLIC KEY-----\\n"
            "MCowBQYDK2VwAyEA11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=\\n-----END PUBLIC KEY-----",
        }
        settings = {"a": clustered, "b": clustered, "alone": {**OF_APP, **limits, **issuer}}
        nodes = {pod: _node(stack, settings[pod]) for pod in settings}
        for node in nodes.values():
            until(lambda: _value(node, "gaung_ready") == 1, "the node is ready", PATIENCE)
        _add_app(nodes["a"])
        of_app = f'gaung_connections{{app="{APP["id"]}"}}'
        until(lambda: _value(nodes["b"], of_app) == 0, "the other node knows the app", PATIENCE)
        yield Nodes(nodes, servers)


def busy(stack, node):
    """Gives the node a subscriber that has heard an event, so that everything that counts has counted."""
    environment = {
        "PATH": os.environ["PATH"],
        "GAUNG_APP_ID": APP["id"],
        "GAUNG_APP_KEY": APP["key"],
        "GAUNG_APP_SECRET": APP["secret"],
    }
    url = f"http://{node.host}:{node.port}"
    subscriber = Process([binary(), "subscribe", "products.1", "--url", url], environment)
    stack.callback(subscriber.kill)
    subscriber.printed("subscription_succeeded", PATIENCE)
    trigger = [binary(), "trigger", "products.1", "product.updated", "{}", "--url", url]
    subprocess.run(trigger, env=environment, check=True, stdout=subprocess.DEVNULL)
    subscriber.printed("product.updated", PATIENCE)


def _node(stack, settings):
    node = Gaung(**settings)
    stack.callback(node.kill)
    return node


def _add_app(node):
    members = json.dumps({"key": APP["key"], "secret": APP["secret"], **LIMITS})
    environment = {"PATH": os.environ["PATH"], "GAUNG_ADMIN_TOKEN": TOKEN}
    add = [binary(), "apps", "add", APP["id"], "--file", "-", "--admin", node.admin]
    subprocess.run(add, input=members, env=environment, check=True, stdout=subprocess.DEVNULL, text=True)


def _value(node, metric):
    lines = scrape.fetch(node.admin).splitlines()
    return next((float(line.split()[1]) for line in lines if line.startswith(f"{metric} ")), None)

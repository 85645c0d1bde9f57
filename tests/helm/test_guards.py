"""Choices that do not go together are refused, with a sentence that says what to set."""

import pytest

from chart import APP, CLUSTER, Refused, merged, render

URLS = {**APP, "cluster": {"nats": {"urls": ["nats://nats:4222"]}}}
HPA = merged(CLUSTER, {"autoscaling": {"enabled": True}})
KEDA = merged(CLUSTER, {"keda": {"enabled": True, "prometheus": {"serverAddress": "http://prometheus:9090"}}})
STORE = {"apps": {"store": {"existingSecret": "apps-key"}}}

GUARDS = {
    "no app": ({}, "no app is served: set apps.existingSecret to a secret with the apps file, or apps.inline"),
    "two sources of apps": (merged(APP, {"apps": {"inline": [{"id": "shop"}]}}), "apps.existingSecret and apps.inline are both set"),
    "apps in NATS and in a file": (merged(CLUSTER, STORE), "apps.store.existingSecret and an apps file are both set: import the file once"),
    "apps in NATS and no NATS": (STORE, "apps.store lies in NATS: set nats.enabled=true or cluster.nats.urls"),
    "apps in NATS and no JetStream": (
        merged(CLUSTER, STORE, {"apps": {"existingSecret": ""}, "nats": {"jetstream": {"enabled": False}}}),
        "apps.store needs JetStream: set nats.jetstream.enabled=true",
    ),
    "more copies of the apps than servers": (
        merged(CLUSTER, STORE, {"apps": {"existingSecret": "", "store": {"streamReplicas": 3}}}),
        "apps.store.streamReplicas is 3, more than nats.replicaCount, 1: leave it unset",
    ),
    "three nodes and no NATS": (merged(APP, {"replicaCount": 3}), "3 nodes need NATS between them: set nats.enabled=true or cluster.nats.urls"),
    "HPA and no NATS": (merged(APP, {"autoscaling": {"enabled": True}}), "10 nodes need NATS between them"),
    "HPA that begins with one and no NATS": (merged(APP, {"autoscaling": {"enabled": True, "minReplicas": 1}}), "10 nodes need NATS"),
    "KEDA and no NATS": (merged(APP, {"keda": KEDA["keda"]}), "10 nodes need NATS between them"),
    "two kinds of NATS": (merged(URLS, CLUSTER), "nats.enabled and cluster.nats.urls are both set"),
    "a password that would be drawn at each rendering": (
        merged(APP, {"nats": {"enabled": True}}),
        "each rendering would draw another password for NATS: make a secret with the keys user and password and set nats.auth.existingSecret",
    ),
    "a login in an address": (
        merged(APP, {"cluster": {"nats": {"urls": ["nats://user:word@nats:4222"]}}}),
        "an address in cluster.nats.urls has a login: put it into a secret and set cluster.nats.existingSecret",
    ),
    "a login for NATS of our own": (merged(CLUSTER, {"cluster": {"nats": {"existingSecret": "login"}}}), "cluster.nats.existingSecret and cluster.nats.tls are for cluster.nats.urls"),
    "TLS to NATS of our own": (merged(CLUSTER, {"cluster": {"nats": {"tls": {"enabled": True}}}}), "are for cluster.nats.urls"),
    "a certificate from nowhere": (merged(URLS, {"cluster": {"nats": {"tls": {"clientCertificate": True}}}}), "set cluster.nats.tls.existingSecret"),
    "a stream and no NATS": (merged(APP, {"webhooks": {"stream": "webhooks"}}), "webhooks.stream lies in NATS"),
    "a history's stream and no NATS": (merged(APP, {"history": {"stream": True}}), "history.stream lies in NATS: set nats.enabled=true or cluster.nats.urls"),
    "a history's stream and no JetStream": (
        merged(CLUSTER, {"history": {"stream": True}, "nats": {"jetstream": {"enabled": False}}}),
        "history.stream needs JetStream: set nats.jetstream.enabled=true, or leave history.stream unset",
    ),
    "a history's stream that leaves webhooks no room": (
        merged(CLUSTER, {"history": {"streamMB": 513}}),
        "history.streamMB is 513, more than half of nats.jetstream.file, 1Gi, where webhooks wait too: set it lower",
    ),
    "a place too small for the history's stream": (merged(CLUSTER, {"nats": {"jetstream": {"file": "511Mi"}}}), "set a larger nats.jetstream.file"),
    "more copies of a history's stream than servers": (
        merged(CLUSTER, {"history": {"streamReplicas": 3}}),
        "history.streamReplicas is 3, more than nats.replicaCount, 1: leave it unset",
    ),
    "too short a grace period": (merged(APP, {"terminationGracePeriodSeconds": 54}), "terminationGracePeriodSeconds is 54, but a drain may take 55 s"),
    "an authority from nowhere": (merged(APP, {"tests": {"caKey": "ca.crt"}}), "tests.caKey is a key of server.tls.existingSecret"),
    "a token for everybody to read": (merged(APP, {"config": {"GAUNG_ADMIN_TOKEN": "t"}}), "GAUNG_ADMIN_TOKEN is a secret, and config is none: set it in extraEnv"),
    "HPA and KEDA": (merged(HPA, KEDA), "autoscaling.enabled and keda.enabled are both set"),
    "HPA upside down": (merged(HPA, {"autoscaling": {"minReplicas": 11}}), "autoscaling.minReplicas is 11, more than maxReplicas, 10"),
    "KEDA upside down": (merged(KEDA, {"keda": {"minReplicaCount": 11}}), "keda.minReplicaCount is 11, more than maxReplicaCount, 10"),
    "HPA without a metric": (
        merged(HPA, {"autoscaling": {"connections": {"enabled": False}}}),
        "autoscaling has nothing to go by: set autoscaling.connections.enabled=true",
    ),
    "a part of no request": (
        merged(HPA, {"autoscaling": {"cpu": {"enabled": True}}, "resources": {"requests": {"cpu": None}}}),
        "set resources.requests.cpu, or autoscaling.cpu.enabled=false",
    ),
    "a part of no request of memory": (
        merged(HPA, {"autoscaling": {"memory": {"enabled": True}}, "resources": {"requests": {"memory": None}}}),
        "set resources.requests.memory, or autoscaling.memory.enabled=false",
    ),
    "HPA that aims at full nodes": (
        merged(HPA, {"server": {"maxConnections": 5000}}),
        "autoscaling.connections.averageValue is 5000, but a node is full at 4500, 90 % of server.maxConnections: set it lower",
    ),
    "KEDA that aims at full nodes": (
        merged(KEDA, {"server": {"maxConnections": 5555}}),
        "keda.prometheus.threshold is 5000, but a node is full at 4999, 90 % of server.maxConnections: set it lower",
    ),
    "KEDA with nobody to ask": (merged(CLUSTER, {"keda": {"enabled": True}}), "KEDA has nobody to ask: set keda.prometheus.serverAddress or keda.triggers"),
    "a budget with two limits": (
        merged(CLUSTER, {"podDisruptionBudget": {"minAvailable": 1, "maxUnavailable": 1}}),
        "podDisruptionBudget has minAvailable and maxUnavailable: set one of them",
    ),
    "a budget with a zero": (merged(CLUSTER, {"podDisruptionBudget": {"minAvailable": 0, "maxUnavailable": 0}}), "set one of them"),
    "a malformed digest": (merged(APP, {"image": {"digest": "sha256:abc"}}), 'image.digest is "sha256:abc": set sha256: and 64 hexadecimal digits'),
    "a route to nowhere": (merged(APP, {"httpRoute": {"enabled": True}}), "httpRoute has no gateway: set httpRoute.parentRefs"),
    "a rollout that cannot move": (merged(APP, {"updateStrategy": {"rollingUpdate": {"maxSurge": 0}}}), "updateStrategy lets no node come and none go"),
    "two monitors": (
        merged(APP, {"metrics": {"serviceMonitor": {"enabled": True}, "podMonitor": {"enabled": True}}}),
        "metrics.serviceMonitor and metrics.podMonitor are both enabled",
    ),
    "a monitor of no Service": (
        merged(APP, {"metrics": {"serviceMonitor": {"enabled": True}}, "metricsService": {"enabled": False}}),
        "metrics.serviceMonitor needs the Service of the admin port: set metricsService.enabled=true",
    ),
    "a ServiceMonitor that the policy shuts out": (
        merged(APP, {"networkPolicy": {"enabled": True}, "metrics": {"serviceMonitor": {"enabled": True}}}),
        "metrics.serviceMonitor has Prometheus ask the nodes, and networkPolicy lets nobody ask: set networkPolicy.metricsFrom",
    ),
    "a PodMonitor that the policy shuts out": (
        merged(APP, {"networkPolicy": {"enabled": True}, "metrics": {"podMonitor": {"enabled": True}}}),
        "metrics.podMonitor has Prometheus ask the nodes",
    ),
    "annotations that the policy makes useless": (
        merged(APP, {"networkPolicy": {"enabled": True}, "metrics": {"annotations": True}}),
        "metrics.annotations has Prometheus ask the nodes",
    ),
    "a hook that runs a shell": (
        merged(APP, {"lifecycle": {"preStop": {"exec": {"command": ["/bin/sh", "-c", "sleep 5"]}}}}),
        "lifecycle.preStop runs /bin/sh, and there is neither a shell nor a tool in the image: set httpGet",
    ),
    "a wait that the grace period does not count": (
        merged(APP, {"lifecycle": {"preStop": {"sleep": {"seconds": 60}}}}),
        "lifecycle.preStop.sleep would not be counted in the grace period: set drain.propagationSeconds instead",
    ),
    "a hook that the drain has no time for": (
        merged(APP, {"lifecycle": {"preStop": {"httpGet": {"port": 80}}}, "drain": {"propagationSeconds": 0}}),
        "lifecycle.preStop takes its time from the drain: set drain.propagationSeconds to how long it may take",
    ),
    "a policy for pods that have none": (
        merged(APP, {"hostNetwork": True, "networkPolicy": {"enabled": True}}),
        "networkPolicy does not hold for pods with hostNetwork: set networkPolicy.enabled=false",
    ),
    "nodes that NATS' policy keeps out": (
        merged(CLUSTER, {"hostNetwork": True}),
        "set nats.networkPolicy.extraIngress to those, or nats.networkPolicy.enabled=false",
    ),
    "NATS in another namespace": (
        merged(CLUSTER, {"namespaceOverride": "elsewhere"}),
        "NATS would be in the namespace sockets, the nodes in elsewhere, and its secret in one of them: set nats.namespaceOverride",
    ),
    "a health check of a Service that has none": (
        merged(APP, {"service": {"healthCheckNodePort": 32000, "type": "LoadBalancer"}}),
        "set service.type=LoadBalancer and service.externalTrafficPolicy=Local",
    ),
    "one port for two": (merged(APP, {"server": {"metricsPort": 6001}}), "server.port and server.metricsPort are the same"),
    "a size that cannot be read": (merged(APP, {"resources": {"limits": {"memory": "1Pi"}}}), 'resources.limits.memory is "1Pi"'),
}


@pytest.mark.parametrize("name", GUARDS)
def test_refused(name, version):
    values, sentence = GUARDS[name]
    with pytest.raises(Refused) as refused:
        render(values, version=version)
    assert sentence in str(refused.value)


@pytest.mark.parametrize("name", GUARDS)
def test_every_sentence_says_what_to_set(name):
    text = complaint(GUARDS[name][0])
    sentences = [line for line in text.splitlines() if line.startswith("- ")] or [text]
    assert all("set " in sentence or "leave " in sentence for sentence in sentences), sentences


def test_all_problems_are_told_at_once():
    text = complaint({"replicaCount": 3, "image": {"digest": "x"}})
    assert text.count("\n- ") == 3, text


def test_a_name_that_no_service_can_have_is_refused():
    with pytest.raises(Refused, match="no Service can be called 1st-gaung: set fullnameOverride"):
        render(APP, release="1st")
    render({**APP, "fullnameOverride": "first"}, release="1st")


OWN = {
    "GAUNG_HOST": "server.host",
    "GAUNG_PORT": "server.port",
    "GAUNG_ADMIN_PORT": "server.metricsPort",
    "GAUNG_PATH_PREFIX": "server.pathPrefix",
    "GAUNG_TLS_CERT": "server.tls.existingSecret",
    "GAUNG_DRAIN_SECONDS": "drain.windowSeconds",
    "GAUNG_DRAIN_LAG_SECONDS": "drain.lagSeconds",
    "GAUNG_MAX_CONNECTIONS": "server.maxConnections",
    "GAUNG_MAX_MEMORY_MB": "server.maxMemoryMB",
    "GAUNG_READY_WITHOUT_NATS": "server.readyWithoutNats",
    "GAUNG_NATS_URL": "cluster.nats.urls",
    "GAUNG_NATS_PASSWORD": "cluster.nats.existingSecret",
    "GAUNG_CLUSTER_NAME": "cluster.name",
    "GAUNG_CLUSTER_NODES": "replicaCount",
    "GAUNG_WEBHOOK_STREAM": "webhooks.stream",
    "GAUNG_WEBHOOK_STREAM_REPLICAS": "webhooks.streamReplicas",
    "GAUNG_HISTORY_STREAM": "history.stream",
    "GAUNG_HISTORY_STREAM_REPLICAS": "history.streamReplicas",
    "GAUNG_CLUSTER_NODES_FILE": "replicaCount",
    "GAUNG_REBALANCE_ABOVE": "rebalance.above",
    "GAUNG_REBALANCE_PERCENT": "rebalance.percent",
    "GAUNG_HISTORY_STREAM_MB": "history.streamMB",
    "GAUNG_APPS_FILE": "apps.existingSecret",
}


@pytest.mark.parametrize("name", OWN)
def test_a_setting_of_the_chart_is_refused_in_config_and_extra_env(name):
    for values in ({"config": {name: "1"}}, {"extraEnv": [{"name": name, "value": "1"}]}):
        assert f"- {name} is set by the chart: set {OWN[name]}" in complaint(merged(CLUSTER, values))


def test_settings_of_an_app_belong_into_the_apps_file():
    assert "GAUNG_APP_SECRET belongs into the apps file" in complaint(merged(APP, {"config": {"GAUNG_APP_SECRET": "s"}}))


@pytest.mark.parametrize("name", [
    "GAUNG_CLUSTER_RING_SECONDS",
    "GAUNG_NATS_SUBJECT_PREFIX",
    "GAUNG_MAX_QUEUED_BUS_EVENTS",
    "GAUNG_MAX_QUEUED_BUS_EVENT_BYTES",
])
def test_settings_for_many_nodes_need_nats(name):
    values = {"config": {name: "1"}}
    assert f"{name} is for many nodes: set nats.enabled=true or cluster.nats.urls" in complaint(merged(APP, values))
    render(merged(CLUSTER, values))


@pytest.mark.parametrize(
    "values",
    [
        APP,
        merged(APP, {"replicaCount": 1}),
        merged(CLUSTER, {"replicaCount": 1}),
        merged(APP, {"terminationGracePeriodSeconds": 55}),
        merged(CLUSTER, {"podDisruptionBudget": {"minAvailable": 0}}),
        merged(APP, {"image": {"digest": "sha256:" + "a" * 64}}),
        merged(APP, {"updateStrategy": {"type": "Recreate"}}),
        merged(HPA, {"autoscaling": {"minReplicas": 1, "maxReplicas": 1}}),
        merged(APP, {"networkPolicy": {"enabled": True}}),
        merged(APP, {"lifecycle": {"preStop": {"exec": {"command": ["/gaung", "health"]}}}}),
        merged(CLUSTER, {"hostNetwork": True, "nats": {"networkPolicy": {"enabled": False}}}),
        merged(CLUSTER, {"hostNetwork": True, "nats": {"networkPolicy": {"extraIngress": [{"from": [{"ipBlock": {"cidr": "10.0.0.0/8"}}]}]}}}),
        merged(HPA, {"resources": {"requests": {"cpu": None}}}),
        merged(HPA, {"server": {"maxConnections": 6000}, "autoscaling": {"connections": {"averageValue": "5k"}}}),
        merged(HPA, {"server": {"maxConnections": 5000}, "autoscaling": {"connections": {"enabled": False}, "cpu": {"enabled": True}}}),
    ],
)
def test_what_does_work_is_not_refused(values, version):
    assert render(values, version=version)


def complaint(values):
    with pytest.raises(Refused) as refused:
        render(values)
    return str(refused.value)

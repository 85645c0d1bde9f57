"""The values and Gateways of docs/examples for managed Kubernetes: they are valid, their times fit one another, no balancer
cuts what a node is still closing, and none is sticky."""

import ipaddress
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

import models
from chart import CHART, NATS, REPOSITORY, StrictLoader, helm, merged, of_kind, one, render
from test_settings import certificate, check  # noqa: F401

EXAMPLES = REPOSITORY / "docs" / "examples"
CLOUDS = {
    "gke": ["gke/values.yaml"],
    "eks": ["eks/values.yaml"],
    "aks": ["aks/values.yaml"],
    "aks for containers": ["aks/values.yaml", "aks/values-for-containers.yaml"],
}
GATEWAYS = {"gke": "gke/gateway.yaml", "aks": "aks/gateway.yaml", "aks for containers": "aks/gateway-for-containers.yaml"}

PING, PONG = 60, 30
"""Seconds of silence until a socket is pinged, and until it is closed then."""

# What the policies of Google and Azure may have in `spec`: their schemas take unknown fields, or are nowhere to be had.
TARGET = {".targetRef", ".targetRef.group", ".targetRef.kind", ".targetRef.name", ".targetRef.namespace", ".default"}
FIELDS = {
    "networking.gke.io/v1 GCPBackendPolicy": {
        ".default.timeoutSec", ".default.sessionAffinity", ".default.sessionAffinity.type", ".default.connectionDraining",
        ".default.connectionDraining.drainingTimeoutSec", ".default.logging", ".default.logging.enabled",
    },
    "networking.gke.io/v1 HealthCheckPolicy": {
        ".default.checkIntervalSec", ".default.timeoutSec", ".default.healthyThreshold", ".default.unhealthyThreshold",
        ".default.config", ".default.config.type", ".default.config.httpHealthCheck",
        ".default.config.httpHealthCheck.portSpecification", ".default.config.httpHealthCheck.requestPath",
    },
    "alb.networking.azure.io/v1 RoutePolicy": {".default.timeouts", ".default.timeouts.routeTimeout"},
    "alb.networking.azure.io/v1 HealthCheckPolicy": {
        ".default.interval", ".default.timeout", ".default.healthyThreshold", ".default.unhealthyThreshold", ".default.http",
        ".default.http.path", ".default.http.match", ".default.http.match.statusCodes",
        ".default.http.match.statusCodes[0]", ".default.http.match.statusCodes[0].start",
        ".default.http.match.statusCodes[0].end",
    },
}


def loaded(name):
    return yaml.load((EXAMPLES / name).read_text(), StrictLoader)


def values_of(cloud):
    # A login of one's own for NATS, since no cluster is seen here.
    return merged(*(loaded(name) for name in CLOUDS[cloud]), {"nats": NATS})


def objects_of(cloud, **options):
    return render(values_of(cloud), namespace="realtime", **options)


def is_policy(item):
    return f"{item['apiVersion']} {item['kind']}" in FIELDS


@pytest.fixture(params=CLOUDS)
def cloud(request):
    return request.param


def grace(objects):
    return one(objects, "Deployment")["spec"]["template"]["spec"]["terminationGracePeriodSeconds"]


def seconds(text):
    return int(re.fullmatch(r"(\d+)s?", str(text))[1])


def annotations(objects):
    """Those of the load balancer's controller, and the attributes of its target group."""
    prefix = "alb.ingress.kubernetes.io/"
    found = {name.removeprefix(prefix): text for name, text in one(objects, "Ingress")["metadata"]["annotations"].items()}
    return found, dict(pair.split("=") for pair in found["target-group-attributes"].split(","))


def test_every_object_is_valid(cloud, kube, version):
    for item in objects_of(cloud, kube=kube, version=version):
        if not item["apiVersion"].startswith("alb.networking.azure.io/"):
            models.check(item, kube)
        if is_policy(item):
            unknown = models.paths(item["spec"]) - TARGET - FIELDS[f"{item['apiVersion']} {item['kind']}"]
            assert unknown == set()


def test_lint_has_nothing_to_say(cloud, version):
    files = [word for name in CLOUDS[cloud] for word in ("--values", EXAMPLES / name)]
    helm("lint", "--strict", CHART, *files, version=version)


def test_the_files_are_tidy():
    files = [EXAMPLES / name for names in [*CLOUDS.values(), GATEWAYS.values()] for name in names]
    config = Path(__file__).with_name("yamllint.yaml")
    command = [Path(sys.executable).parent / "yamllint", "--strict", "--config-file", config, *files]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


def test_the_server_understands_its_settings(cloud, tmp_path, certificate):  # noqa: F811
    _, done = check(objects_of(cloud), tmp_path, certificate)
    assert done.returncode == 0, done.stderr


def test_the_comment_s_host_is_the_route_s(cloud):
    objects = objects_of(cloud)
    routes = [item["spec"]["hostnames"] for item in of_kind(objects, "HTTPRoute")]
    routes += [[rule["host"] for rule in item["spec"]["rules"]] for item in of_kind(objects, "Ingress")]
    assert routes == [["ws.example.com"]]


@pytest.mark.parametrize("cloud", GATEWAYS)
def test_the_route_belongs_to_the_gateway_of_the_file(cloud):
    gateway = loaded(GATEWAYS[cloud])
    models.check(gateway, "1.37")
    assert one(objects_of(cloud), "HTTPRoute")["spec"]["parentRefs"] == [{"name": gateway["metadata"]["name"]}]
    (listener,) = gateway["spec"]["listeners"]
    assert (listener["protocol"], listener["port"]) == ("HTTPS", 443)
    assert listener["allowedRoutes"] == {"namespaces": {"from": "Same"}}, "the route is in its namespace"


def test_policies_are_about_the_release_s_own_objects(cloud):
    objects = objects_of(cloud)
    for item in filter(is_policy, objects):
        target = item["spec"]["targetRef"]
        found = one(objects, target["kind"], target["name"])
        assert found["apiVersion"].rpartition("/")[0] == target["group"]
        assert found["metadata"]["namespace"] == item["metadata"]["namespace"] == "realtime"


def test_nobody_is_sticky(cloud):
    objects = objects_of(cloud)
    assert one(objects, "Service", "gaung")["spec"]["sessionAffinity"] == "None"
    for policy in of_kind(objects, "GCPBackendPolicy"):
        assert policy["spec"]["default"]["sessionAffinity"] == {"type": "NONE"}
    for policy in of_kind(objects, "RoutePolicy"):
        assert "sessionAffinity" not in policy["spec"]["default"]
    if of_kind(objects, "Ingress"):
        assert annotations(objects)[1]["stickiness.enabled"] == "false"


def test_google_cuts_no_socket_that_a_node_is_still_closing():
    objects = objects_of("gke")
    policy = one(objects, "GCPBackendPolicy")["spec"]["default"]
    assert grace(objects) <= policy["connectionDraining"]["drainingTimeoutSec"] <= 3600
    assert PING + PONG < policy["timeoutSec"] <= 86_400, "the proxies are restarted about once a day"


def test_google_logs_no_path_of_a_socket():
    assert one(objects_of("gke"), "GCPBackendPolicy")["spec"]["default"]["logging"] == {"enabled": False}


def test_amazon_cuts_no_socket_that_a_node_is_still_closing():
    objects = objects_of("eks")
    found, target_group = annotations(objects)
    assert found["target-type"] == "ip"
    assert grace(objects) <= int(target_group["deregistration_delay.timeout_seconds"]) <= 3600
    name, _, idle = found["load-balancer-attributes"].partition("=")
    assert name == "idle_timeout.timeout_seconds" and PING + PONG < int(idle) <= 4000


def test_azure_sets_no_limit_to_a_socket():
    assert one(objects_of("aks"), "HTTPRoute")["spec"]["rules"][0]["timeouts"] == {"request": "0s"}
    objects = objects_of("aks for containers")
    assert "timeouts" not in one(objects, "HTTPRoute")["spec"]["rules"][0]
    assert one(objects, "RoutePolicy")["spec"]["default"]["timeouts"] == {"routeTimeout": "0s"}


def health_check(objects):
    """Path, seconds between two looks, seconds for an answer, failures: of the balancer's own look at the public port."""
    for policy in (item["spec"]["default"] for item in of_kind(objects, "HealthCheckPolicy")):
        if "config" in policy:
            path, times = policy["config"]["httpHealthCheck"]["requestPath"], ("checkIntervalSec", "timeoutSec")
        else:
            path, times = policy["http"]["path"], ("interval", "timeout")
        return (path, *(seconds(policy[name]) for name in (*times, "unhealthyThreshold")))
    found, _ = annotations(objects)
    names = ("healthcheck-interval-seconds", "healthcheck-timeout-seconds", "unhealthy-threshold-count")
    return (found["healthcheck-path"], *(int(found[name]) for name in names))


@pytest.mark.parametrize("cloud", ["gke", "eks", "aks for containers"])
def test_a_balancer_that_looks_itself_has_the_time_to_notice(cloud):
    path, interval, patience, failures = health_check(objects_of(cloud))
    assert path == "/ready", "the public port's; the admin port is for nobody"
    assert patience < interval
    assert values_of(cloud)["drain"]["lagSeconds"] == interval * failures


def test_a_path_prefix_goes_to_the_check_too():
    for cloud in ("gke", "aks for containers"):
        objects = render(merged(values_of(cloud), {"server": {"pathPrefix": "/realtime"}}))
        assert health_check(objects)[0] == "/realtime/ready"


def test_google_s_proxies_and_the_address_in_their_header_are_trusted():
    networks = [ipaddress.ip_network(text) for text in values_of("gke")["config"]["GAUNG_TRUSTED_PROXIES"].split(",")]
    assert networks[:2] == [ipaddress.ip_network("35.191.0.0/16"), ipaddress.ip_network("130.211.0.0/22")]
    assert [network.num_addresses for network in networks[2:]] == [1]

"""The CloudFormation template for ECS: cfn-lint has nothing to say, its times fit one another and the limits of AWS, the
server understands its settings, and NATS starts as its task starts it."""

import os
import pathlib
import subprocess
import sys

import pytest
import yaml

import cluster
from deadline import until
from examples import FOLDER, text_of
from process import Process
from server import APP, Gaung
from settings import shutdown, understood

TEMPLATE = "ecs/gaung.yaml"
LONGEST_STOP = 120
"""Seconds that Fargate gives a container between SIGTERM and SIGKILL, at most."""
PARAMETERS = {"VpcCidr": "10.0.0.0/16", "MinimumTasks": "3", "AWS::StackName": "gaung"}
TOKEN = "0Aa1Bb2Cc3Dd4Ee5"
"""As Secrets Manager draws one: letters and digits, of which the first may be a digit."""


class Loader(yaml.SafeLoader):
    """Reads `!Ref x` and its like as {"Ref": x}."""


def function(loader, name, node):
    kinds = {yaml.ScalarNode: loader.construct_scalar, yaml.SequenceNode: loader.construct_sequence}
    options = {} if isinstance(node, yaml.ScalarNode) else {"deep": True}
    return {name: kinds[type(node)](node, **options)}


Loader.add_multi_constructor("!", function)


def resources():
    return yaml.load(text_of(TEMPLATE), Loader)["Resources"]


def properties(name):
    return resources()[name]["Properties"]


def chosen(value, is_network):
    """A value of the template for one of the two load balancers, with the parameters put in."""
    if isinstance(value, list):
        return [inner for inner in (chosen(item, is_network) for item in value) if inner is not None]
    if not isinstance(value, dict):
        return value
    match next(iter(value)), next(iter(value.values())):
        case "If", [_, network, application]:
            return chosen(network if is_network else application, is_network)
        case "Ref", "AWS::NoValue":
            return None
        case "Ref", name:
            return PARAMETERS.get(name, name)
        case "Sub", text:
            for name, parameter in PARAMETERS.items():
                text = text.replace(f"${{{name}}}", parameter)
            return text
    return {key: chosen(inner, is_network) for key, inner in value.items()}


def container(task, is_network=False):
    (found,) = chosen(properties(task)["ContainerDefinitions"], is_network)
    return found


def environment(is_network):
    return {entry["Name"]: entry["Value"] for entry in container("NodeTask", is_network)["Environment"]}


def attributes(resource, name, is_network):
    return {entry["Key"]: entry["Value"] for entry in chosen(properties(resource)[name], is_network)}


@pytest.fixture(params=[False, True], ids=["application", "network"])
def is_network(request):
    return request.param


def test_cfn_lint_has_nothing_to_say():
    linter = pathlib.Path(sys.executable).parent / "cfn-lint"
    command = [linter, "--regions", "us-east-1", "eu-central-1", "--include-checks", "I", "--", FOLDER / TEMPLATE]
    done = subprocess.run(command, capture_output=True, text=True)
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


def test_the_server_understands_its_settings(is_network):
    found = environment(is_network)
    assert found["GAUNG_NATS_URL"] == "nats://nats.gaung.internal:4222"
    assert properties("Names")["Name"] == {"Sub": "${AWS::StackName}.internal"}
    assert ("GAUNG_TRUSTED_PROXIES" in found) != is_network, "a network load balancer writes no X-Forwarded-For"
    names = [secret["Name"] for secret in container("NodeTask")["Secrets"]]
    assert names == ["GAUNG_APP_ID", "GAUNG_APP_KEY", "GAUNG_APP_SECRET", "GAUNG_NATS_TOKEN"]
    understood(found | dict(zip(names, [*APP.values(), TOKEN], strict=True)))


def test_a_node_has_time_for_its_whole_end(is_network):
    assert shutdown(environment(is_network)) < container("NodeTask")["StopTimeout"] <= LONGEST_STOP


def test_the_balancer_has_the_time_to_notice_a_node_that_goes(is_network):
    targets = properties("Targets")
    assert targets["HealthCheckPath"] == "/ready"
    lag = targets["HealthCheckIntervalSeconds"] * targets["UnhealthyThresholdCount"]
    assert int(environment(is_network)["GAUNG_DRAIN_LAG_SECONDS"]) == lag


def test_idle_sockets_are_left_alone_and_nobody_is_sticky(is_network):
    assert attributes("Targets", "TargetGroupAttributes", is_network)["stickiness.enabled"] == "false"
    if not is_network:
        idle = int(attributes("LoadBalancer", "LoadBalancerAttributes", is_network)["idle_timeout.timeout_seconds"])
        assert 90 < idle <= 4000


def test_a_network_load_balancer_leaves_the_closing_to_the_node():
    found = attributes("Targets", "TargetGroupAttributes", True)
    for event in ("deregistration_delay", "target_health_state.unhealthy"):
        assert found[f"{event}.connection_termination.enabled"] == "false"


def test_ecs_replaces_no_node_because_it_is_full(is_network):
    """It stops tasks that the load balancer finds unhealthy."""
    assert set(environment(is_network)) & {"GAUNG_MAX_CONNECTIONS", "GAUNG_MAX_MEMORY_MB", "GAUNG_READY_WITHOUT_NATS"} == set()
    assert container("NodeTask")["HealthCheck"]["Command"] == ["CMD", "/gaung", "health", "--live"]


def test_a_deployment_takes_no_node_away_before_a_new_one_is_there():
    deployment = properties("Nodes")["DeploymentConfiguration"]
    assert deployment["MinimumHealthyPercent"] == 100 < deployment["MaximumPercent"]
    assert "DesiredCount" not in properties("Nodes"), "the autoscaling has it"
    nats = properties("Nats")
    assert nats["DesiredCount"] == 1 and nats["DeploymentConfiguration"]["MaximumPercent"] == 100, "never two"


def test_nats_starts_as_its_task_starts_it_and_lets_in_who_has_the_token(tmp_path):
    task = container("NatsTask")
    (script,) = task["Command"]
    assert [secret["Name"] for secret in task["Secrets"]] == ["NATS_TOKEN"]
    assert "127.0.0.1:8222/healthz" in task["HealthCheck"]["Command"][1] and "--http_port 8222" in script
    # Its ports would be fixed ones, and its files would lie where others look for theirs.
    script = script.replace("--http_port 8222", "--addr 127.0.0.1 --port -1").replace("/tmp/", f"{tmp_path}/")
    nats = Process([*task["EntryPoint"], script], {**os.environ, "NATS_TOKEN": TOKEN})
    try:
        address = nats.printed(r"client connections on (127.0.0.1:[0-9]+).*Server is ready", cluster.PATIENCE)[1]
        assert "Starting JetStream" in nats.log
        assert (tmp_path / "nats.conf").stat().st_mode & 0o077 == 0
        options = {"GAUNG_NATS_URL": f"nats://{address}", "GAUNG_WEBHOOK_STREAM": environment(False)["GAUNG_WEBHOOK_STREAM"]}
        node, stranger = Gaung(GAUNG_NATS_TOKEN=TOKEN, **options), Gaung(GAUNG_NATS_TOKEN="another", **options)
        try:
            until(lambda: cluster.is_ready(node), "the node is ready", cluster.PATIENCE)
            until(lambda: "authentication error" in nats.log, "the one with another token is refused", cluster.PATIENCE)
            assert not cluster.is_ready(stranger)
        finally:
            node.kill()
            stranger.kill()
    finally:
        nats.kill()

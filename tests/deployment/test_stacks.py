"""The files of Compose and of Swarm: that they are such files, that their times fit one another, and that the server
understands its settings. tests/proxies runs them, as far as it can be done without Docker."""

import pytest

from server import APP
from settings import seconds, shutdown, understood
from stacks import loaded, mistakes, services, subnet_of

COMPOSE, SWARM = "compose/compose.yaml", "swarm/stack.yaml"
APPS = '{"apps":[{"id":"shop","key":"shop-key","secret":"change-me"}]}'

# Keys of Compose that `docker stack deploy` ignores.
LEFT_OUT = {
    "build", "cgroup_parent", "container_name", "depends_on", "devices", "external_links", "links", "network_mode", "restart",
    "security_opt", "userns_mode",
}

MISTAKES = {
    "a misspelt key": lambda gaung: gaung.update(stop_grace_perod="75s"),
    "a misspelt order": lambda gaung: gaung["deploy"]["update_config"].update(order="start-frist"),
    "a text for a list": lambda gaung: gaung.update(cap_drop="ALL"),
    "a network that is defined nowhere": lambda gaung: gaung.update(networks=["inside", "elsewhere"]),
    "a secret that is defined nowhere": lambda gaung: gaung.update(secrets=["apps"]),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_is_found(name):
    stack = loaded(SWARM)
    assert mistakes(stack) == []
    MISTAKES[name](stack["services"]["gaung"])
    assert mistakes(stack) != []


def nodes(name):
    """The services of the file that are nodes."""
    found = [service for key, service in services(name).items() if key.startswith("gaung")]
    assert len(found) == {COMPOSE: 3, SWARM: 1}[name]
    return found


@pytest.mark.parametrize("name", [COMPOSE, SWARM])
def test_a_node_has_time_for_its_whole_end(name):
    for node in nodes(name):
        assert seconds(node["stop_grace_period"]) > shutdown(node["environment"])


@pytest.mark.parametrize("name", [COMPOSE, SWARM])
def test_the_proxy_s_network_is_trusted(name):
    for node in nodes(name):
        assert node["environment"]["GAUNG_TRUSTED_PROXIES"] == subnet_of(name, "inside")
        assert "inside" in node["networks"]


@pytest.mark.parametrize("name", [COMPOSE, SWARM])
def test_the_proxy_reads_its_files_where_they_are_put(name):
    traefik = services(name)["traefik"]
    if "configs" in traefik:
        places = [config["target"] for config in traefik["configs"]]
    else:
        places = [volume.split(":")[1] for volume in traefik["volumes"]]
    assert traefik["command"] == [f"--configfile={places[0]}"]
    folder = name.rpartition("/")[0]
    assert loaded(f"{folder}/traefik.yaml")["providers"]["file"]["filename"] == places[1]


@pytest.mark.parametrize("name", [COMPOSE, SWARM])
def test_the_proxy_knows_every_node_by_its_name(name):
    routes = loaded(f"{name.rpartition('/')[0]}/routes.yaml")
    addresses = [server["url"] for server in routes["http"]["services"]["gaung"]["loadBalancer"]["servers"]]
    assert addresses == [f"http://{key}:6001" for key in services(name) if key.startswith("gaung")]


def test_the_server_understands_its_settings_from_compose():
    """The app comes from `.env` beside the file."""
    secrets = {f"GAUNG_APP_{name.upper()}": value for name, value in APP.items()}
    for node in nodes(COMPOSE):
        assert int(node["environment"]["GAUNG_CLUSTER_NODES"]) == len(nodes(COMPOSE))
        understood(node["environment"] | secrets)


def test_the_server_understands_its_settings_from_swarm(tmp_path):
    (node,) = nodes(SWARM)
    (secret,) = node["secrets"]
    found = node["environment"]
    assert found["GAUNG_APPS_FILE"] == f"/run/secrets/{secret['target']}"
    assert (secret["uid"], secret["mode"]) == ("65532", 0o400), "the image's user reads it, and nobody else"
    assert int(found["GAUNG_CLUSTER_NODES"]) == node["deploy"]["replicas"]
    (tmp_path / "apps.json").write_text(APPS)
    understood(found | {"GAUNG_APPS_FILE": str(tmp_path / "apps.json")})


def test_swarm_obeys_every_key():
    for service in services(SWARM).values():
        assert set(service) & LEFT_OUT == set()


def test_swarm_starts_a_node_before_it_stops_another():
    (node,) = nodes(SWARM)
    for name in ("update_config", "rollback_config"):
        config = node["deploy"][name]
        assert (config["order"], config["parallelism"]) == ("start-first", 1)
        assert seconds(config["delay"]) >= shutdown(node["environment"]), "or the portions of sockets that move overlap"
    assert node["healthcheck"]["test"] == ["CMD", "/gaung", "health"], "ready, and not only alive"


def test_swarm_replaces_no_node_because_it_is_full():
    """It stops tasks that are not healthy."""
    (node,) = nodes(SWARM)
    assert set(node["environment"]) & {"GAUNG_MAX_CONNECTIONS", "GAUNG_MAX_MEMORY_MB", "GAUNG_READY_WITHOUT_NATS"} == set()


def test_none_but_the_nodes_can_reach_nats_in_swarm():
    found = services(SWARM)
    assert [name for name, service in found.items() if "nats" in service["networks"]] == ["gaung", "nats"]
    assert found["nats"]["networks"] == ["nats"]
    assert loaded(SWARM)["networks"]["nats"]["internal"] is True
    assert found["nats"]["deploy"]["replicas"] == 1, "two without a cluster of their own would be two clusters of nodes"

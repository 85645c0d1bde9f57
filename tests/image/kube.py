"""The chart's own Deployment, run by podman: close to what a kubelet would do with it, but no Kubernetes.

podman 4.3 leaves out readiness, preStop and the grace period, publishes every port under its own number, and writes the
files of a secret as the base64 that the API carries. Hence one node, free ports, and a ConfigMap of the same files in
place of the Secret. All else is as Helm rendered it.
"""

import subprocess
import uuid

import yaml

from chart import of_kind, one, render
from container import START_PATIENCE, execute, podman
from deadline import until
from ports import free_port
from server import APP


class Deployed:
    """The chart installed with this image, these settings of the server and the test app."""

    def __init__(self, image, folder, **config):
        self.host, self.port = "127.0.0.1", free_port()
        repository, tag = image.rsplit(":", 1)
        values = {
            "image": {"repository": repository, "tag": tag, "pullPolicy": "Never"},
            "apps": {"inline": [APP]},
            "replicaCount": 1,
            "server": {"port": self.port, "metricsPort": free_port()},
            "config": config,
        }
        objects = render(values, release=f"gaung-test-{uuid.uuid4().hex[:12]}")
        self._manifest = folder / "release.yaml"
        self._played = playable(objects)
        self._manifest.write_text(yaml.safe_dump_all(self._played))
        self.name = f"{one(objects, 'Deployment')['metadata']['name']}-pod-0-gaung"

    def __enter__(self):
        podman("kube", "play", self._manifest)
        return self

    def __exit__(self, *_):
        podman("kube", "down", self._manifest)
        volumes = [files["metadata"]["name"] for files in of_kind(self._played, "ConfigMap")]
        podman("volume", "rm", "--force", *volumes)

    def execute(self, *command):
        return execute(self.name, *command)

    def is_ready(self):
        try:
            until(lambda: self.execute("/gaung", "health").returncode == 0, "the node is ready", START_PATIENCE)
        except AssertionError as failure:
            raise AssertionError(f"{failure}\n{self._log()}") from failure

    def _log(self):
        """What the server said, to either output."""
        command = ["podman", "logs", self.name]
        return subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True).stdout


def playable(objects):
    """What podman plays of a release."""
    deployment = one(objects, "Deployment")
    for volume in deployment["spec"]["template"]["spec"]["volumes"]:
        if secret := volume.pop("secret", None):
            volume["configMap"] = {"name": secret["secretName"], "items": secret["items"]}
    files = [
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": secret["metadata"], "data": secret["stringData"]}
        for secret in of_kind(objects, "Secret")
    ]
    return [*files, *of_kind(objects, "ConfigMap"), deployment]

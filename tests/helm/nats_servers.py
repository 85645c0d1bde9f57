"""The NATS servers of a release as real processes, with what the chart configures."""

import json
import re
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

from chart import one, render

NATS_SERVER = Path(sys.executable).with_name("nats-server")


def nats_container(objects):
    return one(objects, "StatefulSet")["spec"]["template"]["spec"]["containers"][0]


def get(port, path):
    """The JSON that a port of this machine answers, or nothing while nobody does."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5) as answer:
            return json.load(answer)
    except OSError:
        return None


def status(port, path):
    """What a probe goes by, or nothing where nobody answers."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5) as answer:
            return answer.status
    except urllib.error.HTTPError as refused:
        return refused.code
    except OSError:
        return None


class Servers:
    """Every pod's configuration and variables, on free ports."""

    def __init__(self, values, folder, password="word"):
        self.objects = render(values)
        self.folder, self.password = folder, password
        self.count = one(self.objects, "StatefulSet")["spec"]["replicas"]
        self.processes, self.ports = [], []

    def __enter__(self):
        """One after the other, so that each can be told where those before it listen."""
        for index in range(self.count):
            self.processes.append(self.start(index))
            self.ports.append(wait(lambda: self.listening(index)))
        for index in range(self.count):
            wait(lambda: self.get(index, "/healthz?js-server-only=true"))
        return self

    def __exit__(self, *_):
        for process in self.processes:
            process.kill()
            process.wait()

    def start(self, index):
        place = self.folder / str(index)
        place.mkdir()
        text = one(self.objects, "ConfigMap", "gaung-gaung-nats")["data"]["nats.conf"]
        text = text.replace("/run/nats", str(place)).replace("/data", str(place / "data"))
        (place / "nats.conf").write_text(re.sub(r"port: (4222|6222|8222)", "port: -1", text))
        log = (place / "log").open("w")
        return subprocess.Popen(
            [NATS_SERVER, "--config", place / "nats.conf", "--ports_file_dir", place], env=self.env(index), stdout=log, stderr=log
        )

    def env(self, index):
        """The variables as Kubernetes makes them: what refers to an earlier one is filled in."""
        found = {}
        known = {"POD_NAME": f"gaung-gaung-nats-{index}", "NATS_USER": "gaung", "NATS_PASSWORD": self.password}
        for entry in nats_container(self.objects)["env"]:
            text = entry.get("value") or known[entry["name"]]
            found[entry["name"]] = re.sub(r"\$\((\w+)\)", lambda name: found[name[1]], text)
        for other, ports in enumerate(self.ports):
            name = f"gaung-gaung-nats-{other}.gaung-gaung-nats-headless:6222"
            found = {key: text.replace(name, f"127.0.0.1:{ports['cluster']}") for key, text in found.items()}
        return found

    def listening(self, index):
        """The server's ports, once it says them."""
        for path in (self.folder / str(index)).glob("nats-server_*.ports"):
            try:
                told = json.loads(path.read_text())
            except ValueError:
                return None  # It is being written.
            urls = {"client": told.get("nats"), "monitor": told.get("monitoring"), "cluster": told.get("cluster")}
            return {kind: int(found[0].rsplit(":", 1)[1]) for kind, found in urls.items() if found}

    def get(self, index, path):
        return get(self.ports[index]["monitor"], path)

    def status(self, index, path):
        return status(self.ports[index]["monitor"], path)

    def connected(self, index):
        """A client that has logged in and stays."""
        client = socket.create_connection(("127.0.0.1", self.ports[index]["client"]), timeout=5)
        stream = client.makefile("rw", newline="\r\n")
        stream.readline()
        stream.write(f"CONNECT {json.dumps({'verbose': False, 'user': 'gaung', 'pass': self.password})}\r\nPING\r\n")
        stream.flush()
        assert stream.readline().strip() == "PONG"
        return client

    def login(self, index, user, password):
        """What the server answers to a client that logs in and pings."""
        with socket.create_connection(("127.0.0.1", self.ports[index]["client"]), timeout=5) as client:
            stream = client.makefile("rw", newline="\r\n")
            stream.readline()
            hello = {"verbose": False, "user": user, "pass": password}
            stream.write(f"CONNECT {json.dumps(hello)}\r\nPING\r\n")
            stream.flush()
            return stream.readline().strip()


def wait(condition, seconds=60):
    """What the condition returns as soon as it is something."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if found := condition():
            return found
        time.sleep(0.02)
    raise AssertionError("waited in vain")

"""Three real nats-servers as a cluster, with an exporter beside each."""

import json
import pathlib

import exporter
import scrape
from deadline import until
from ports import free_port
from process import Process

PATIENCE = 30.0


class Servers:
    """By the names that their pods would have."""

    def __init__(self, stack, folder):
        names = ["n0", "n1", "n2"]
        # Servers must know where the others will listen before these do.
        routes = [free_port() for _ in names]
        self._processes = {name: _started(stack, pathlib.Path(folder), name, route, routes) for name, route in zip(names, routes)}
        ports = {name: self._ports(pathlib.Path(folder) / name) for name in names}
        self.url = ports["n0"]["nats"][0]
        self.exporters = {name: stack.enter_context(exporter.serving(ports[name]["monitoring"][0])) for name in names}
        until(self._are_well, "the NATS servers are in step", PATIENCE)

    def kill(self, *names):
        for name in names or self._processes:
            self._processes[name].kill()

    def scrapes(self):
        return {name: scrape.fetch(address) for name, address in self.exporters.items()}

    def _ports(self, folder):
        until(lambda: list(folder.glob("*.ports")), "nats-server says where it listens", PATIENCE)
        return json.loads(next(folder.glob("*.ports")).read_text())

    def _are_well(self):
        return all('gnatsd_healthz_status{server_id="%s"} 0\n' % name in text for name, text in self.scrapes().items())


def _started(stack, folder, name, route, routes):
    place = folder / name
    place.mkdir()
    (place / "nats.conf").write_text(
        json.dumps({
            "server_name": name, "listen": "127.0.0.1:-1", "http": "127.0.0.1:-1", "ports_file_dir": str(place),
            "jetstream": {"store_dir": str(place / "data"), "max_memory_store": 64 << 20, "max_file_store": 1 << 30},
            "cluster": {"name": "nats", "listen": f"127.0.0.1:{route}", "routes": [f"nats-route://127.0.0.1:{port}" for port in routes]},
        })
    )
    process = Process(["nats-server", "--config", str(place / "nats.conf")])
    stack.callback(process.kill)
    return process

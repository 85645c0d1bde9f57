"""The proxies, each started with the file in docs/examples that tells how to set it up."""

import os
import pathlib
import shutil
import sys

from deadline import until
from examples import replaced
from ports import free_port
from process import Process
from raw import status
from traffic import ask

START_PATIENCE = 15.0


class Proxy(Process):
    """A proxy on a free port before these nodes; `host` and `port` are where clients connect."""

    EXAMPLE = ""
    ROUND_ROBIN = {}
    """What to replace in the example, so that the requests of a session over HTTP go to any node."""

    def __init__(self, folder, nodes, changes=None):
        """`changes` are texts of the example, and what stands there instead."""
        self.host, self.port = "127.0.0.1", free_port()
        ports = {"127.0.0.1:8080": f"127.0.0.1:{self.port}"}
        for written, node in zip(("127.0.0.1:6001", "127.0.0.1:6002"), nodes, strict=True):
            ports[written] = f"127.0.0.1:{node.port}"
        folder.mkdir(exist_ok=True)
        super().__init__(self.command(folder, {**ports, **(changes or {})}), {**os.environ, "HOME": str(folder)})
        try:
            until(self._hands_on, f"{type(self).__name__} hands requests on", START_PATIENCE)
        except AssertionError as failure:
            self.kill()
            raise AssertionError(f"{failure}\n{self.log}") from failure

    def command(self, folder, ports):
        raise NotImplementedError

    def _hands_on(self):
        try:
            request = f"GET /ready HTTP/1.1\r\nHost: {self.host}\r\nConnection: close\r\n\r\n"
            return status(ask(self, request.encode())) == 200
        except (ConnectionRefusedError, IndexError):
            return False


class Nginx(Proxy):
    EXAMPLE = "nginx.conf"
    ROUND_ROBIN = {"    hash $gaung_session consistent;\n": ""}

    def command(self, folder, ports):
        (folder / "gaung.conf").write_text(replaced(self.EXAMPLE, ports))
        places = "".join(
            f"{name}_temp_path {folder}/{name};\n" for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        )
        main = folder / "main.conf"
        main.write_text(
            f"daemon off;\nmaster_process off;\nuser root;\npid {folder}/pid;\nerror_log stderr;\nevents {{}}\n"
            f"http {{\naccess_log off;\n{places}include {folder}/gaung.conf;\n}}\n"
        )
        return ["nginx", "-p", folder, "-e", "stderr", "-c", main]


class Haproxy(Proxy):
    EXAMPLE = "haproxy.cfg"
    ROUND_ROBIN = {"balance hash path,regsub(/[^/]+$,)": "balance roundrobin"}

    def command(self, folder, ports):
        config = folder / "haproxy.cfg"
        config.write_text(replaced(self.EXAMPLE, ports))
        return ["haproxy", "-db", "-f", config]


class Caddy(Proxy):
    EXAMPLE = "Caddyfile"
    ROUND_ROBIN = {"lb_policy header Gaung-Session": "lb_policy round_robin"}

    def command(self, folder, ports):
        config = folder / "Caddyfile"
        # The admin port would be a fixed one.
        config.write_text(f"{{\n\tadmin off\n}}\n{replaced(self.EXAMPLE, ports)}")
        return [installed("caddy"), "run", "--adapter", "caddyfile", "--config", config]


class Traefik(Proxy):
    EXAMPLE = "traefik-routes.yaml"
    ROUND_ROBIN = {"strategy: hrw": "strategy: wrr"}

    def command(self, folder, ports):
        public = ports.pop("127.0.0.1:8080")
        routes = folder / "routes.yaml"
        routes.write_text(replaced(self.EXAMPLE, ports))
        config = folder / "traefik.yaml"
        config.write_text(replaced("traefik.yaml", {"127.0.0.1:8080": public, self.EXAMPLE: str(routes)}))
        return [installed("traefik"), f"--configfile={config}"]


PROXIES = [Nginx, Haproxy, Caddy, Traefik]


def installed(name):
    """A program that one of the Python packages of these tests brings."""
    beside = pathlib.Path(sys.executable).parent / name
    return beside if beside.exists() else shutil.which(name)

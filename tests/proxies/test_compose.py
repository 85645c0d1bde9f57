"""The Compose file: three nodes that know one another behind Traefik, of which one may go."""

import pathlib
import re
import shutil

import pytest

import images
from deadline import until
from examples import replaced, text_of
from images import run
from ports import free_port
from proxy import installed
from raw import status
from server import APP, binary
from traffic import Traffic, ask

START_PATIENCE = 60.0
LISTENS_TO_ALL = "ENV GAUNG_HOST=0.0.0.0 GAUNG_ADMIN_HOST=0.0.0.0"
"""As the product's own image has it."""
NAME = "gaung-compose"
FIRST = f"{NAME}_gaung-1_1"


class Site:
    """What `podman-compose up` starts in a folder; `host` and `port` are where clients connect."""

    def __init__(self, folder):
        self.host, self.port = "127.0.0.1", free_port()
        self._folder = folder

    def compose(self, *words):
        run("podman-compose", "--project-name", NAME, *words, cwd=self._folder)

    def is_ready(self):
        request = b"GET /ready HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
        try:
            return status(ask(self, request)) == 200
        except (OSError, IndexError):
            return False


@pytest.fixture
def site(tmp_path, monkeypatch):
    monkeypatch.setenv("CONTAINERS_CONF", str(pathlib.Path(__file__).parents[1] / "image" / "containers.conf"))
    folder = tmp_path / "site"
    folder.mkdir()
    site = Site(folder)
    for name in ("compose/traefik.yaml", "compose/routes.yaml"):
        (folder / pathlib.Path(name).name).write_text(text_of(name))
    (folder / ".env").write_text("".join(f"GAUNG_APP_{name.upper()}={value}\n" for name, value in APP.items()))
    (folder / "compose.yaml").write_text(
        replaced(
            "compose/compose.yaml",
            {
                **our_images(tmp_path),
                '"6001:8080"': f'"127.0.0.1:{site.port}:8080"',
                # Not every root may set limits.
                "  ulimits:\n    nofile: 65536\n": "",
            },
        )
    )
    try:
        site.compose("up", "--detach")
        until(site.is_ready, "the nodes are ready", START_PATIENCE)
        yield site
    finally:
        site.compose("down")
        # Not every release of podman-compose does so.
        run("podman", "network", "rm", "--force", f"{NAME}_inside")


def our_images(folder):
    """The lines of the file that name images, and what stands for each: the same program from this machine."""
    lines = {}
    for name, program in (
        ("gaung/gaung", binary()), ("nats", shutil.which("nats-server")), ("traefik", installed("traefik"))
    ):
        (line,) = set(re.findall(rf"image: {name}:\S+", text_of("compose/compose.yaml")))
        tag = f"localhost/{NAME}-{pathlib.Path(program).name}:test"
        images.make(tag, folder / pathlib.Path(program).name, program, LISTENS_TO_ALL)
        lines[line] = f"image: {tag}"
    return lines


def test_three_nodes_are_one_server_of_which_one_may_go(site):
    def ready():
        return re.findall(r"\bready\b", run("podman", "exec", FIRST, "/gaung", "peers"))

    until(lambda: len(ready()) == 3, "each node is ready and known to the others", START_PATIENCE)
    with Traffic(site) as traffic:
        run("podman", "stop", "--time=60", FIRST)
    assert traffic.failures == []

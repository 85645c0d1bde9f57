"""The image as an operator runs it: read-only, without any capability, stopped by podman."""

import json
import subprocess
import uuid
from urllib.parse import urlsplit

from process import Process
from server import ADDRESSES, APP

HARDENED = ("--read-only", "--cap-drop=all", "--security-opt=no-new-privileges")
ON_HOST = ("--network=host",)
PUBLISHED = ("--publish=127.0.0.1::6001", "--publish=127.0.0.1::9601")
START_PATIENCE = 30.0
STOP_SECONDS = 60
CREDENTIALS = {"GAUNG_APP_ID": APP["id"], "GAUNG_APP_KEY": APP["key"], "GAUNG_APP_SECRET": APP["secret"]}


def run(*command):
    """What a command prints; one that fails fails the test, with its words."""
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, f"{' '.join(map(str, command))}: {done.stderr or done.stdout}"
    return done.stdout


def podman(*arguments):
    return run("podman", *arguments)


def inspect(*arguments):
    (found,) = json.loads(podman(*arguments))
    return found


def execute(container, *command):
    """Runs a command inside and returns how it ended."""
    return subprocess.run(["podman", "exec", container, *command], capture_output=True, text=True)


class Container(Process):
    """`podman run` in the foreground: its output is the server's, and so is its exit code."""

    def __init__(self, image, *command, options=(), **settings):
        self.name = f"gaung-test-{uuid.uuid4().hex[:12]}"
        variables = [f"--env={name}={value}" for name, value in settings.items()]
        where = ["--rm", f"--name={self.name}", *HARDENED, *options]
        super().__init__(["podman", "run", *where, *variables, image, *command])

    def __enter__(self):
        return self

    def __exit__(self, *_):
        podman("rm", "--force", "--ignore", "--time=0", self.name)
        self.kill()

    def execute(self, *command):
        return execute(self.name, *command)

    def stop(self):
        """As an operator does, with the image's own signal."""
        podman("stop", f"--time={STOP_SECONDS}", self.name)


class Server(Container):
    """A server with the test app; its ports are published, unless it has the host's network."""

    def __init__(self, image, options=PUBLISHED, **settings):
        super().__init__(image, options=options, **{**CREDENTIALS, **settings})
        try:
            printed = self.printed(ADDRESSES, START_PATIENCE)
            address = urlsplit(printed["public"]).netloc if set(ON_HOST) <= set(options) else self._published(6001)
        except AssertionError:
            self.__exit__()
            raise
        self.admin = printed["admin"]
        self.host, port = address.split(":")
        self.port = int(port)

    def healthy(self):
        return self.execute("/gaung", "health", "--url", self.admin).returncode == 0

    def _published(self, port):
        return podman("port", self.name, f"{port}/tcp").strip()

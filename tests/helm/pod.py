"""The server's pod without Kubernetes: its variables, and its files below a folder instead of the root."""

import os
from pathlib import Path

from chart import REPOSITORY, literal_env, of_kind, one, server

TARGET = Path(os.environ.get("CARGO_TARGET_DIR", REPOSITORY / "target"))
GAUNG = Path(os.environ.get("GAUNG_BIN", TARGET / "release" / "gaung"))
APPS = '{"apps":[{"id":"shop","key":"shop-key","secret":"change-me"}]}'


def variables(objects):
    """What the server's process would be given: the ConfigMap first, the pod's own over it, something for each secret."""
    container = server(objects)
    found = {}
    for source in container.get("envFrom", []):
        if "configMapRef" in source:
            found |= one(objects, "ConfigMap", source["configMapRef"]["name"])["data"]
    found |= {entry["name"]: "secret" for entry in container["env"] if "valueFrom" in entry}
    return found | literal_env(container)


def below(folder, given):
    """The variables with their paths below the folder."""
    return {name: str(folder) + value if value.startswith("/etc/") else value for name, value in given.items()}


def mount(objects, folder, certificate=None):
    """Puts a file where a volume of the pod would have it; anything that is mounted nowhere stays missing."""
    spec = one(objects, "Deployment")["spec"]["template"]["spec"]
    for volume in (volume for volume in spec["volumes"] if "configMap" in volume):
        (place,) = [item["mountPath"] for item in server(objects)["volumeMounts"] if item["name"] == volume["name"]]
        inside = folder / place.removeprefix("/")
        inside.mkdir(parents=True)
        for name, text in one(objects, "ConfigMap", volume["configMap"]["name"])["data"].items():
            (inside / name).write_text(text)
    for volume in (volume for volume in spec["volumes"] if "secret" in volume):
        (place,) = [item["mountPath"] for item in server(objects)["volumeMounts"] if item["name"] == volume["name"]]
        inside = folder / place.removeprefix("/")
        inside.mkdir(parents=True)
        for name, source in (("tls.crt", "tls.crt"), ("tls.key", "tls.key"), ("ca.crt", "tls.crt")):
            if certificate:
                (inside / name).write_bytes((certificate / source).read_bytes())
        (inside / "nats.creds").write_text("credentials")
        for secret in of_kind(objects, "Secret"):
            for name, text in secret.get("stringData", {}).items():
                (inside / name).write_text(text)
        if volume["name"] == "apps" and not (inside / "apps.json").exists():
            (inside / volume["secret"]["items"][0]["path"]).write_text(APPS)

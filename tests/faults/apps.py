"""Apps in a file that the server follows."""

import json
import os

import probe
from server import APP

OTHER = {"id": "2", "key": "other-key", "secret": "other-secret"}


def settings(file):
    """The app of the file takes the place of the one of the environment."""
    return {"GAUNG_APPS_FILE": str(file), "GAUNG_APP_ID": "", "GAUNG_APP_KEY": "", "GAUNG_APP_SECRET": ""}


def knows(server, app):
    """Whether requests for the app are refused for their signature and not for their app."""
    return probe.ask(f"http://{server.host}:{server.port}/apps/{app['id']}/channels")[0] != 404


def replace(file, apps):
    """As a file is replaced in one step."""
    new = file.with_name("new.json")
    new.write_text(json.dumps(apps))
    os.replace(new, file)

"""Files of Compose and of Swarm, held against the specification's own schema: what is misspelt, of the wrong kind, or defined
nowhere is refused."""

import functools
import importlib.resources
import json

import jsonschema
import yaml

from examples import text_of


def services(name):
    """The file's services."""
    stack = loaded(name)
    assert mistakes(stack) == []
    return stack["services"]


def loaded(name):
    """As YAML 1.1, as Docker reads it, for which 0400 is octal."""
    return yaml.safe_load(text_of(name))


def mistakes(stack):
    """What is wrong with it, in words."""
    found = [error.message for error in specification().iter_errors(stack)]
    for key, service in stack["services"].items():
        for kind in ("networks", "secrets", "configs"):
            named = {entry["source"] if isinstance(entry, dict) else entry for entry in service.get(kind, [])}
            found += [f"{key} has {kind} that are defined nowhere: {name}" for name in named - set(stack.get(kind, {}))]
    return found


@functools.cache
def specification():
    """The package has a copy of what the Compose specification publishes."""
    path = importlib.resources.files("check_jsonschema") / "builtin_schemas" / "vendor" / "compose-spec.json"
    schema = json.loads(path.read_text())
    return jsonschema.validators.validator_for(schema)(schema)


def subnet_of(name, network):
    (config,) = loaded(name)["networks"][network]["ipam"]["config"]
    return config["subnet"]

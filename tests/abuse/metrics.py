"""What a node tells of itself."""

import re
import urllib.request


def connections(node):
    """Its open sockets."""
    with urllib.request.urlopen(f"{node.admin}/metrics", timeout=5) as answer:
        text = answer.read().decode()
    return int(re.search(r"^gaung_connections\{.*\} (\d+)$", text, re.MULTILINE)[1])

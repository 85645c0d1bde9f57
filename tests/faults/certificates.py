"""Certificates of servers."""

import subprocess


def issue(cert, key):
    """A new certificate of its own with a new key."""
    made = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=localhost".split()
    subprocess.run(["openssl", *made, "-out", cert, "-keyout", key], check=True, capture_output=True, timeout=30)
    return cert, key

"""As much of a Kubernetes API as Helm's `lookup` needs: which kinds there are, some secrets, and no Services."""

import json
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

# What Helm 4 wants to be known before it looks anything up: the kinds of the chart with NATS.
KINDS = {
    "v1": {"Pod": "pods", "ConfigMap": "configmaps", "Secret": "secrets", "Service": "services", "ServiceAccount": "serviceaccounts"},
    "apps/v1": {"Deployment": "deployments", "StatefulSet": "statefulsets"},
    "networking.k8s.io/v1": {"NetworkPolicy": "networkpolicies"},
    "policy/v1": {"PodDisruptionBudget": "poddisruptionbudgets"},
}


def resource_list(version):
    kinds = [{"name": name, "singularName": "", "namespaced": True, "kind": kind, "verbs": ["get"]}
             for kind, name in KINDS[version].items()]
    return {"kind": "APIResourceList", "groupVersion": version, "resources": kinds}


def group(version):
    choice = {"groupVersion": version, "version": "v1"}
    return {"name": version.removesuffix("/v1"), "versions": [choice], "preferredVersion": choice}


RESOURCES = {
    "/version": {"major": "1", "minor": "37", "gitVersion": "v1.37.0"},
    "/api": {"kind": "APIVersions", "versions": ["v1"]},
    "/apis": {"kind": "APIGroupList", "apiVersion": "v1", "groups": [group(version) for version in KINDS if "/" in version]},
    **{f"/apis/{version}" if "/" in version else f"/api/{version}": resource_list(version) for version in KINDS},
}
MISSING = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": "NotFound", "code": 404}


@contextmanager
def api(*secrets):
    """Its address, for as long as it is needed."""
    nothing = {"kind": "ServiceList", "apiVersion": "v1", "metadata": {}, "items": []}
    there = {"/api/v1/namespaces/sockets/services": nothing}
    there |= {f"/api/v1/namespaces/{item['metadata']['namespace']}/secrets/{item['metadata']['name']}": item for item in secrets}

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self):
            found = (RESOURCES | there).get(self.path.split("?")[0])
            body = json.dumps(found or MISSING).encode()
            self.send_response(200 if found else 404)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Answer) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()

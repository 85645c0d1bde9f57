"""What prometheus-nats-exporter shows of a real nats-server, whose own answers it reads at each scrape.

The exporter itself is in none of the package registries that the tests install from. Names and labels here are those of
its release 0.17 with the chart's arguments: numbers of /varz by their path, and of /jsz what it lists."""

import contextlib
import http.server
import json
import threading
import urllib.error
import urllib.request


def exposition(monitor):
    """The text of a scrape, of the server that answers at this address."""
    varz = _ask(monitor, "varz")
    own = {"server_id": varz["server_name"]}
    lines = [_sample(f"gnatsd_varz_{name}", own, value) for name, value in _numbers(varz)]
    lines.append(_sample("gnatsd_healthz_status", own, int(_ask(monitor, "healthz")["status"] != "ok")))
    return "\n".join([*lines, *_jetstream(_ask(monitor, "jsz?consumers=true&config=true&raft=true"), varz["server_name"]), ""])


@contextlib.contextmanager
def serving(monitor):
    """Shows it at an address of its own."""

    class Scrape(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            text = exposition(monitor).encode()
            self.send_response(200)
            self.send_header("Content-Type", "text/plain; version=0.0.4")
            self.end_headers()
            self.wfile.write(text)

        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Scrape) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()


def _ask(monitor, path):
    """A server that is not well says so with 503."""
    try:
        with urllib.request.urlopen(f"{monitor}/{path}", timeout=10) as answer:
            return json.load(answer)
    except urllib.error.HTTPError as refusal:
        return json.load(refusal)


def _numbers(answer, path=()):
    for key, value in answer.items():
        if isinstance(value, dict):
            yield from _numbers(value, (*path, key.strip("/")))
        elif isinstance(value, (int, float)) and not isinstance(value, bool):
            yield "_".join((*path, key.strip("/"))), value


def _jetstream(answer, server):
    meta = answer.get("meta_cluster")
    labels = {"server_id": server, "server_name": server, "domain": "", **_led("meta", meta, server)}
    labels["cluster"] = meta["name"] if meta else ""
    names = {"total_streams": "streams", "total_consumers": "consumers", "total_messages": "messages", "total_message_bytes": "bytes"}
    for name, key in names.items():
        yield _sample(f"jetstream_server_{name}", labels, answer.get(key, 0))
    for account in answer.get("account_details", []):
        for stream in account.get("stream_detail", []):
            yield from _stream(stream, {**labels, "account": account["name"], "account_id": account["id"]}, server)


def _stream(stream, labels, server):
    labels = {**labels, "stream_name": stream["name"], **_led("stream", stream.get("cluster"), server)}
    state = stream["state"]
    names = {"total_messages": "messages", "total_bytes": "bytes", "first_seq": "first_seq", "last_seq": "last_seq"}
    for name, key in {**names, "consumer_count": "consumer_count"}.items():
        yield _sample(f"jetstream_stream_{name}", labels, state[key])
    yield _sample("jetstream_stream_limit_bytes", labels, stream["config"]["max_bytes"])
    for consumer in stream.get("consumer_detail") or []:
        of = {**labels, "consumer_name": consumer["name"], **_led("consumer", consumer.get("cluster"), server)}
        for name in ("num_pending", "num_ack_pending", "num_redelivered", "num_waiting"):
            yield _sample(f"jetstream_consumer_{name}", of, consumer[name])


def _led(what, cluster, server):
    """Who leads; a server alone leads all that it has, without a name."""
    leader = (cluster or {}).get("leader", "")
    return {f"{what}_leader": leader, f"is_{what}_leader": str(cluster is None or leader == server).lower()}


def _sample(name, labels, value):
    return f"{name}{{{','.join(f'{label}={json.dumps(text)}' for label, text in labels.items())}}} {value}"

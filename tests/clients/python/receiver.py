"""An application that takes webhooks."""

import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

from deadline import Heard


class Receiver:
    """An application that takes webhooks: every event is heard by its name, once its post has been verified."""

    def __init__(self):
        receiver = self
        self.heard = Heard()
        self.refused = []
        self.ids = []
        self.back_end = None

        class Endpoint(BaseHTTPRequestHandler):
            def do_POST(self):
                receiver.take(self.headers, self.rfile.read(int(self.headers["Content-Length"])))
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_):
                pass

        self._server = HTTPServer(("127.0.0.1", 0), Endpoint)
        self.url = f"http://127.0.0.1:{self._server.server_port}/webhooks"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def take(self, headers, body):
        post = self.back_end.validate_webhook(headers["X-Pusher-Key"], headers["X-Pusher-Signature"], body)
        if post is None:
            self.refused.append((dict(headers), body))
            return
        for event in post["events"]:
            self.ids.append(event.pop("id"))
            self.heard.note(event["name"], event, event["channel"])

    def close(self):
        self._server.shutdown()
        self._server.server_close()

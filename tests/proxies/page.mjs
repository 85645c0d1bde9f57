// A page with pusher-js over HTTP alone, which prints what it hears, one JSON object a line. Arguments: the host, the port,
// the transports, the channels (both with commas between them), the address of this machine that it comes from, the key.

import http from "node:http";
import { createRequire } from "node:module";

const Pusher = createRequire(new URL("../clients/package.json", import.meta.url))("pusher-js");

const [host, port, transports, channels, source, key] = process.argv.slice(2);

// The library knows no setting for it.
const request = http.request;
http.request = (options, answered) => request({ ...options, localAddress: source }, answered);

const pusher = new Pusher(key, {
  cluster: "",
  forceTLS: false,
  enableStats: false,
  enabledTransports: transports.split(","),
  httpHost: host,
  httpPort: Number(port),
});

const tell = (event, data, channel) => console.log(JSON.stringify({ event, data, channel }));

pusher.connection.bind("state_change", ({ current }) => {
  tell(current, current === "connected" ? pusher.connection.connection.transport?.name : null, null);
});
for (const channel of channels.split(",")) {
  pusher.subscribe(channel).bind_global((event, data) => tell(event, data, channel));
}

// The example page's script for plain sockets, as a browser would run it.

import { readFile } from "node:fs/promises";

import { WebSocket } from "ws";

const SCRIPT = new URL("../../../docs/examples/plain/tenant-socket.js", import.meta.url);

/** As in a browser, where an error that nobody hears is none. */
class BrowserSocket extends WebSocket {
  constructor(...parameters) {
    super(...parameters);
    this.on("error", () => {});
  }
}

/** The script's `tenantSocket`. */
export async function loadTenantSocket() {
  return new Function("WebSocket", `${await readFile(SCRIPT, "utf8")}; return tenantSocket;`)(BrowserSocket);
}

// The application of a page that notes numbers: it serves the page, counts its requests, and publishes.

import { readFile } from "node:fs/promises";
import { createServer } from "node:http";
import { join } from "node:path";

import Pusher from "pusher";

import { Heard } from "../../clients/support/deadline.js";
import { APP } from "../../clients/support/gaung.js";

const HERE = import.meta.dirname;
const PACKAGES = join(HERE, "..", "node_modules");
const HISTORY = join(HERE, "..", "..", "..", "docs", "examples", "history");

const FILES = {
  "/": [join(HERE, "numbers.html"), "text/html"],
  "/numbers.page.js": [join(HERE, "numbers.page.js"), "text/javascript"],
  "/echo.js": [join(PACKAGES, "laravel-echo", "dist", "echo.js"), "text/javascript"],
  "/pusher.js": [join(PACKAGES, "pusher-js", "dist", "web", "pusher-with-encryption.js"), "text/javascript"],
  "/gaung-history.js": [join(HISTORY, "gaung-history.js"), "text/javascript"],
  "/gaung-authorizer.js": [join(HISTORY, "gaung-authorizer.js"), "text/javascript"],
};

/** The channels that the page hears. */
export const CHANNELS = ["numbers", "private-numbers", "presence-numbers", "private-encrypted-numbers"];

export async function startApplication(gaung) {
  const application = new Application(gaung);
  await application.listen();
  return application;
}

class Application {
  /** The back end's side of the API. */
  backEnd;
  /** Requests to admit a page to a channel: `{ event: channel }`. */
  authorizations = new Heard();
  #server = createServer((request, response) => this.#answer(request, response));

  constructor({ host, port }) {
    const encryptionMasterKeyBase64 = Buffer.alloc(32, 1).toString("base64");
    const { id, key, secret } = APP;
    this.backEnd = new Pusher({ appId: id, key, secret, host, port: `${port}`, useTLS: false, encryptionMasterKeyBase64 });
  }

  async listen() {
    await new Promise((resolve) => this.#server.listen(0, "127.0.0.1", resolve));
    this.url = `http://127.0.0.1:${this.#server.address().port}`;
  }

  stop() {
    this.#server.closeAllConnections();
    this.#server.close();
  }

  /** Where the page is that connects through a balancer. */
  pageUrl(balancer, { plugin }) {
    return `${this.url}/?key=${APP.key}&port=${balancer.port}${plugin ? "&plugin" : ""}`;
  }

  async #answer(request, response) {
    const { pathname } = new URL(request.url, this.url);
    const answer = (status, type, body) => response.writeHead(status, { "content-type": type }).end(body);
    if (FILES[pathname]) return answer(200, FILES[pathname][1], await readFile(FILES[pathname][0]));
    if (pathname === "/away") return answer(200, "text/html", "<title>Away</title>");
    if (pathname !== "/broadcasting/auth") return answer(404, "text/plain", "");
    const chunks = [];
    for await (const chunk of request) chunks.push(chunk);
    const form = new URLSearchParams(Buffer.concat(chunks).toString());
    const [socket, channel] = [form.get("socket_id"), form.get("channel_name")];
    this.authorizations.note({ event: channel });
    const member = channel.startsWith("presence-") ? { user_id: "1", user_info: {} } : undefined;
    answer(200, "application/json", JSON.stringify(this.backEnd.authorizeChannel(socket, channel, member)));
  }
}

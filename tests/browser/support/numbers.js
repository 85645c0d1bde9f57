// The application of a page that notes numbers: it serves the page, counts its requests, and publishes.

import { join } from "node:path";

import Pusher from "pusher";

import { Heard } from "../../clients/support/deadline.js";
import { APP } from "../../clients/support/gaung.js";
import { readForm, startPageServer } from "./page_server.js";

const HERE = import.meta.dirname;
const PACKAGES = join(HERE, "..", "node_modules");
const HISTORY = join(HERE, "..", "..", "..", "docs", "examples", "history");

const FILES = {
  "/": [join(HERE, "numbers.html"), "text/html"],
  "/away": [join(HERE, "away.html"), "text/html"],
  "/numbers.page.js": [join(HERE, "numbers.page.js"), "text/javascript"],
  "/echo.js": [join(PACKAGES, "laravel-echo", "dist", "echo.js"), "text/javascript"],
  "/pusher.js": [join(PACKAGES, "pusher-js", "dist", "web", "pusher-with-encryption.js"), "text/javascript"],
  "/gaung-history.js": [join(HISTORY, "gaung-history.js"), "text/javascript"],
  "/gaung-authorizer.js": [join(HISTORY, "gaung-authorizer.js"), "text/javascript"],
};

/** The channels that the page hears. */
export const CHANNELS = ["numbers", "private-numbers", "presence-numbers", "private-encrypted-numbers"];

/** Each page signs in as a user of its own. */
export const userOf = (socket) => `user-of-${socket}`;

export async function startApplication(gaung) {
  const application = new Application(gaung);
  await application.open();
  return application;
}

class Application {
  /** The back end's side of the API. */
  backEnd;
  /** Requests to admit a page to a channel: `{ event: channel, socket }`. */
  authorizations = new Heard();
  #server;

  constructor({ host, port }) {
    const encryptionMasterKeyBase64 = Buffer.alloc(32, 1).toString("base64");
    const { id, key, secret } = APP;
    this.backEnd = new Pusher({ appId: id, key, secret, host, port: `${port}`, useTLS: false, encryptionMasterKeyBase64 });
  }

  async open() {
    this.#server = await startPageServer(FILES, (path, request) => this.#route(path, request));
    this.url = this.#server.url;
  }

  stop() {
    this.#server.stop();
  }

  /** Where the page is that connects through a balancer. */
  pageUrl(balancer, { plugin, transports, unnamed }) {
    const flags = `${plugin ? "&plugin" : ""}${unnamed ? "&unnamed" : ""}`;
    const options = `${flags}${transports ? `&transports=${transports}` : ""}`;
    return `${this.url}/?key=${APP.key}&port=${balancer.port}${options}`;
  }

  async #route(path, request) {
    if (!path.startsWith("/broadcasting/")) return [404, {}];
    const form = await readForm(request);
    const [socket, channel] = [form.get("socket_id"), form.get("channel_name")];
    if (path.endsWith("/user-auth")) return [200, this.backEnd.authenticateUser(socket, { id: userOf(socket) })];
    this.authorizations.note({ event: channel, socket });
    const member = channel.startsWith("presence-") ? { user_id: "1", user_info: {} } : undefined;
    return [200, this.backEnd.authorizeChannel(socket, channel, member)];
  }
}

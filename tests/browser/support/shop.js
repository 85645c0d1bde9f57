// A shop that several tenants use, as an application would have it: pages with Laravel Echo, which its own server
// serves, and a back end that admits the staff of a tenant to what belongs to that tenant.

import { join } from "node:path";

import Pusher from "pusher";

import { APP } from "../../clients/support/gaung.js";
import { readForm, startPageServer } from "./page_server.js";

const HERE = import.meta.dirname;
const PACKAGES = join(HERE, "..", "node_modules");

/** What any browser may have. */
const FILES = {
  "/": [join(HERE, "shop.html"), "text/html"],
  "/shop.page.js": [join(HERE, "shop.page.js"), "text/javascript"],
  "/echo.js": [join(PACKAGES, "laravel-echo", "dist", "echo.js"), "text/javascript"],
  "/pusher.js": [join(PACKAGES, "pusher-js", "dist", "web", "pusher.js"), "text/javascript"],
};

export async function startShop(gaung) {
  const shop = new Shop(gaung);
  await shop.open();
  return shop;
}

class Shop {
  /** The back end's side of the API. */
  backEnd;
  #gaung;
  #staff = new Map();
  #server;

  constructor(gaung) {
    const { host, port } = gaung;
    this.#gaung = { host, port };
    this.backEnd = new Pusher({ appId: APP.id, key: APP.key, secret: APP.secret, host, port: `${port}`, useTLS: false });
  }

  async open() {
    this.#server = await startPageServer(FILES, (path, request) => this.#route(path, request));
    this.url = this.#server.url;
  }

  stop() {
    this.#server.stop();
  }

  /** Somebody who works for a tenant, as the cookie that their browser has from signing in. */
  signIn({ name, tenant }) {
    const session = `session-${this.#staff.size + 1}`;
    this.#staff.set(session, { id: session, name, tenant });
    return { name: "session", value: session, url: this.url };
  }

  async #route(path, request) {
    const somebody = this.#staff.get(request.headers.cookie?.replace("session=", ""));
    if (path === "/favicon.ico") return [200, {}];
    if (!somebody) return [401, { message: "sign in first" }];
    if (path === "/settings") return [200, { key: APP.key, tenant: somebody.tenant, ...this.#gaung }];
    if (path !== "/broadcasting/auth") return [404, { message: `no route ${path}` }];
    const form = await readForm(request);
    return this.#admit(somebody, form.get("socket_id"), form.get("channel_name"));
  }

  #admit({ id, name, tenant }, socket, channel) {
    if (!channel.endsWith(`.${tenant}`)) return [403, { message: `not of ${tenant}` }];
    const member = channel.startsWith("presence-") ? { user_id: id, user_info: { name } } : undefined;
    return [200, this.backEnd.authorizeChannel(socket, channel, member)];
  }
}

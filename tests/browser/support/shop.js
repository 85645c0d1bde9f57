// A shop that several tenants use, as an application would have it: pages with Laravel Echo, which its own server
// serves, and a back end that admits the staff of a tenant to what belongs to that tenant.

import { readFile } from "node:fs/promises";
import { createServer } from "node:http";
import { join } from "node:path";

import Pusher from "pusher";

import { APP } from "../../clients/support/gaung.js";

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
  await shop.listen();
  return shop;
}

class Shop {
  /** The back end's side of the API. */
  backEnd;
  #gaung;
  #staff = new Map();
  #server = createServer((request, response) => this.#answer(request, response));

  constructor(gaung) {
    const { host, port } = gaung;
    this.#gaung = { host, port };
    this.backEnd = new Pusher({ appId: APP.id, key: APP.key, secret: APP.secret, host, port: `${port}`, useTLS: false });
  }

  async listen() {
    await new Promise((resolve) => this.#server.listen(0, "127.0.0.1", resolve));
    this.url = `http://127.0.0.1:${this.#server.address().port}`;
  }

  stop() {
    this.#server.closeAllConnections();
    this.#server.close();
  }

  /** Somebody who works for a tenant, as the cookie that their browser has from signing in. */
  signIn({ name, tenant }) {
    const session = `session-${this.#staff.size + 1}`;
    this.#staff.set(session, { id: session, name, tenant });
    return { name: "session", value: session, url: this.url };
  }

  async #answer(request, response) {
    const { pathname } = new URL(request.url, this.url);
    const answer = (status, type, body) => response.writeHead(status, { "content-type": type }).end(body);
    if (FILES[pathname]) return answer(200, FILES[pathname][1], await readFile(FILES[pathname][0]));
    const somebody = this.#staff.get(request.headers.cookie?.replace("session=", ""));
    const [status, body] = await this.#route(pathname, somebody, request);
    answer(status, "application/json", JSON.stringify(body));
  }

  async #route(path, somebody, request) {
    if (path === "/favicon.ico") return [200, {}];
    if (!somebody) return [401, { message: "sign in first" }];
    if (path === "/settings") return [200, { key: APP.key, tenant: somebody.tenant, ...this.#gaung }];
    if (path !== "/broadcasting/auth") return [404, { message: `no route ${path}` }];
    const form = new URLSearchParams(await text(request));
    return this.#admit(somebody, form.get("socket_id"), form.get("channel_name"));
  }

  #admit({ id, name, tenant }, socket, channel) {
    if (!channel.endsWith(`.${tenant}`)) return [403, { message: `not of ${tenant}` }];
    const member = channel.startsWith("presence-") ? { user_id: id, user_info: { name } } : undefined;
    return [200, this.backEnd.authorizeChannel(socket, channel, member)];
  }
}

async function text(request) {
  const chunks = [];
  for await (const chunk of request) chunks.push(chunk);
  return Buffer.concat(chunks).toString();
}

// The application behind the server, as Laravel is one: it admits its users to channels, signs them in and receives
// webhooks. It signs and verifies with the `pusher` package, as an application on Node would.

import { createServer } from "node:http";

import Pusher from "pusher";

import { Heard } from "./deadline.js";
import { APP } from "./gaung.js";

/** Key of end-to-end encrypted channels: known to the application, never to the server. */
export const MASTER_KEY = Buffer.alloc(32, 1).toString("base64");

/** Channels whose name says so are nobody's business. */
const isForbidden = (channel) => channel.includes("forbidden");

/** Channels whose name says so take the member from the sign-in, not from this answer. */
const takesSignedInUser = (channel) => channel.includes("signed-in");

export async function startApplication(app = APP) {
  const application = new Application(app);
  await application.listen();
  return application;
}

class Application {
  /** Posts of the server: `{ event: path, valid, events, headers, rawHeaders, body }`. */
  posts = new Heard();
  /** Questions about tenant sockets: `{ event: path, url, headers }`. */
  questions = new Heard();
  /** Requests to admit a socket to a channel: `{ event: channel, socket }`. */
  authorizations = new Heard();
  /** Requests to sign a user in: `{ event: socket }`. */
  signIns = new Heard();
  /** Statuses of the next answers to webhooks, then 200. */
  webhookStatuses = [];
  /** Status of the answers about tenant sockets. */
  admission = 200;

  #app;
  #signer;
  #forger;
  #users = new Map();
  // After 5 s, which is Node's own, a client could send its next request into a connection that is just being closed.
  #server = createServer({ keepAliveTimeout: 600_000 }, (request, response) => this.#answer(request, response));

  constructor(app) {
    const credentials = { appId: app.id, key: app.key, secret: app.secret, encryptionMasterKeyBase64: MASTER_KEY };
    this.#app = app;
    this.#signer = new Pusher(credentials);
    this.#forger = new Pusher({ ...credentials, secret: "guess" });
  }

  async listen() {
    await new Promise((resolve) => this.#server.listen(0, "127.0.0.1", resolve));
    this.#server.unref();
    this.url = `http://127.0.0.1:${this.#server.address().port}`;
  }

  stop() {
    this.#server.closeAllConnections();
    this.#server.close();
  }

  /** A user who may do everything but enter forbidden channels. `forged`: the signatures made for them are wrong. */
  user({ id, info, watchlist, channels, forged = false }) {
    const user = { id, info, watchlist, channels, forged, token: `token-${this.#users.size}` };
    this.#users.set(user.token, user);
    return user;
  }

  async #answer(request, response) {
    const chunks = [];
    for await (const chunk of request) chunks.push(chunk);
    const body = Buffer.concat(chunks).toString();
    const { pathname } = new URL(request.url, this.url);
    const [status, answer] = this.#route(pathname, request, body);
    response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(answer));
  }

  #route(path, request, body) {
    const user = this.#users.get(request.headers.authorization?.replace("Bearer ", ""));
    const form = new URLSearchParams(body);
    if (path === "/broadcasting/auth")
      return this.#admitToChannel(user, form.get("socket_id"), form.get("channel_name"));
    if (path === "/broadcasting/user-auth") return this.#signIn(user, form.get("socket_id"));
    if (path.startsWith("/webhooks")) return this.#receive(path, request, body);
    if (path === "/tenant-access") return this.#askedForAdmission(path, request);
    return [404, { message: `no route ${path}` }];
  }

  #admitToChannel(user, socket, channel) {
    this.authorizations.note({ event: channel, socket });
    if (!user || isForbidden(channel)) return [403, { message: "forbidden" }];
    const pusher = user.forged ? this.#forger : this.#signer;
    if (!channel.startsWith("presence-") || takesSignedInUser(channel)) {
      return [200, pusher.authorizeChannel(socket, channel)];
    }
    return [200, pusher.authorizeChannel(socket, channel, { user_id: user.id, user_info: user.info })];
  }

  /** Signed by hand, because the package refuses numeric ids, which Laravel sends. */
  #signIn(user, socket) {
    if (!user) return [403, { message: "forbidden" }];
    this.signIns.note({ event: socket });
    const { id, info, watchlist, channels } = user;
    const userData = JSON.stringify({ id, user_info: info, watchlist, channels });
    const token = new Pusher.Token(this.#app.key, user.forged ? "guess" : this.#app.secret);
    return [200, { auth: `${this.#app.key}:${token.sign(`${socket}::user::${userData}`)}`, user_data: userData }];
  }

  #receive(path, { headers, rawHeaders }, body) {
    const webhook = this.#signer.webhook({ headers, rawBody: body });
    const valid = webhook.isValid();
    const told = valid ? webhook.getEvents() : [];
    const ids = told.map(({ id }) => id);
    const events = told.map(({ id, ...event }) => event);
    this.posts.note({ event: path, valid, events, ids, headers, rawHeaders, body });
    return [this.webhookStatuses.shift() ?? 200, {}];
  }

  #askedForAdmission(path, { headers, url }) {
    this.questions.note({ event: path, headers, parameters: new URL(url, this.url).searchParams });
    return [this.admission, {}];
  }
}

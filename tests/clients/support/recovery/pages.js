// Pages of several kinds that hear numbers: what each one heard, was told, and when.

import { randomUUID } from "node:crypto";
import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";

import { WebSocket } from "ws";

import { rememberAuthorizations } from "../../../../docs/examples/history/gaung-authorizer.js";
import { withHistory } from "../../../../docs/examples/history/gaung-history.js";
import { until } from "../deadline.js";
import { APP } from "../gaung.js";
import { openLight } from "./light.js";

const require = createRequire(import.meta.url);
const PLAIN = new URL("../../../../docs/examples/plain/tenant-socket.js", import.meta.url);
export const TENANT = 7;
const OPENING_PATIENCE = 60_000;
/** So many are being opened at one time at most. */
const OPENING = 100;

/** The plugin changes the class that it is given, so that each kind has a class of its own. */
function loadPusher() {
  delete require.cache[require.resolve("pusher-js")];
  return require("pusher-js");
}

/** As in a browser, where an error that nobody hears is none. */
class BrowserSocket extends WebSocket {
  constructor(...parameters) {
    super(...parameters);
    this.on("error", () => {});
  }
}

class Page {
  /** What the balancer knows it by. */
  name = randomUUID();
  /** By channel: `{ at, n }` for a number, `{ at, missed: true }` for the word that it may not have heard all. */
  heard = new Map();
  /** `{ at, socketId }` for each socket. */
  sockets = [];
  /** By presence channel, who the page believes to be there. */
  members = new Map();
  /** Members that were added or removed, or were missing from a list: `{ at, channel, change, user }`. */
  changes = [];
  #subscribed = new Set();

  constructor(kind, channels) {
    this.kind = kind;
    for (const channel of channels) this.heard.set(channel, []);
  }

  get channels() {
    return [...this.heard.keys()];
  }

  get isOpen() {
    return this.#subscribed.size === this.heard.size;
  }

  note(channel, entry) {
    this.heard.get(channel).push({ at: performance.now(), ...entry });
  }

  /** The list of members that the page is given; who was there and is not in it is gone for its user. */
  sees(channel, users) {
    const before = this.members.get(channel) ?? new Set();
    this.members.set(channel, new Set(users));
    const gone = [...before].filter((user) => !this.members.get(channel).has(user));
    for (const user of gone) this.#noteChange(channel, "not listed", user);
  }

  noteMember(channel, change, user) {
    this.#noteChange(channel, change, user);
    if (change === "added") this.members.get(channel).add(user);
    else this.members.get(channel).delete(user);
  }

  #noteChange(channel, change, user) {
    this.changes.push({ at: performance.now(), channel, change, user });
  }

  isSubscribed(channel) {
    this.#subscribed.add(channel);
  }

  hasHeard(channel, n) {
    return this.heard.get(channel).some((entry) => entry.n === n);
  }
}

/** Opens so many pages of each kind, each with channels of its own choice; returns when all are subscribed. */
export async function openPages(t, { balancer, application, counts, channelsOf }) {
  const open = await openers(t, balancer, application);
  const pages = [];
  for (const [kind, count] of Object.entries(counts)) {
    for (let number = 0; number < count; number += 1) {
      const page = new Page(kind, channelsOf(kind, number));
      open[kind](page, number);
      pages.push(page);
      if (pages.length % OPENING === 0) await areOpen(pages);
    }
  }
  await areOpen(pages);
  return pages;
}

async function areOpen(pages) {
  await until(() => pages.every(({ isOpen }) => isOpen), "all pages are subscribed", OPENING_PATIENCE);
}

async function openers(t, balancer, application) {
  const [Stock, WithPlugin] = [loadPusher(), loadPusher()];
  withHistory(WithPlugin);
  const script = `${await readFile(PLAIN, "utf8")}; return tenantSocket;`;
  const tenantSocket = new Function("WebSocket", script)(BrowserSocket);
  const stock = (Pusher, page, options) => openPusher(t, balancer, Pusher, page, options);
  return {
    stock: (page) => stock(Stock, page),
    authorizer: (page, number) => {
      const user = application.user({ id: `${number}`, info: {} });
      const headers = { Authorization: `Bearer ${user.token}` };
      const endpoint = `${application.url}/broadcasting/auth`;
      stock(Stock, page, { channelAuthorization: { transport: "ajax", endpoint, headers } });
    },
    plugin: (page) => stock(WithPlugin, page),
    light: (page) => t.after(openLight(balancer, page)),
    member: (page, number) => t.after(openLight(balancer, page, signerOf(application, `member-${number}`))),
    // Every other one names itself too; its position goes before what the server knows.
    plain: (page, number) => openPlain(balancer, tenantSocket, page, number % 2 ? `&resume=${page.name}` : ""),
  };
}

function openPusher(t, { host, port }, Pusher, page, options = {}) {
  const where = { wsHost: host, wsPort: port, cluster: "", forceTLS: false, enabledTransports: ["ws"] };
  const pusher = new Pusher(`${APP.key}/${page.name}`, { ...where, ...options });
  t.after(() => pusher.disconnect());
  if (options.channelAuthorization) rememberAuthorizations(pusher);
  pusher.connection.bind("connected", ({ socket_id: socketId }) => page.sockets.push({ at: performance.now(), socketId }));
  for (const channel of page.channels) {
    const subscription = pusher.subscribe(channel);
    subscription.bind("pusher:subscription_succeeded", () => page.isSubscribed(channel));
    subscription.bind("numbered", ({ n }) => page.note(channel, { n }));
    subscription.bind("pusher:resumed", ({ complete }) => complete || page.note(channel, { missed: true }));
  }
}

function openPlain({ host, port }, tenantSocket, page, name) {
  tenantSocket(`ws://${host}:${port}/ws?tenant_id=${TENANT}&user_id=${page.name}${name}`, page.channels, {
    onEvent: ({ channel, data: { n } }) => page.note(channel, { n }),
    onStatus: (status) => status.startsWith("subscribed to ") && page.isSubscribed(status.split(" ").at(-1)),
    onMissed: (channel) => page.note(channel, { missed: true }),
  });
}

/** What admits a page of this user to channels: a request to the application, and no memory. */
function signerOf(application, id) {
  const { token } = application.user({ id, info: {} });
  const headers = { Authorization: `Bearer ${token}` };
  return async (socketId, channel) => {
    const body = new URLSearchParams({ socket_id: socketId, channel_name: channel });
    return (await fetch(`${application.url}/broadcasting/auth`, { method: "POST", headers, body })).json();
  };
}

// Pages that name themselves by a resume id in the app's key, behind a balancer that can cut them.

import { randomUUID } from "node:crypto";
import { readFile } from "node:fs/promises";

import { Heard } from "./deadline.js";
import { APP } from "./gaung.js";
import { connectPusher, hasState, openEcho } from "./libraries.js";

/** A reconnect takes pusher-js a second. */
export const RECONNECT_PATIENCE = 30_000;

/** One channel of each kind. */
export const KINDS = ["orders", "private-orders", "presence-orders", "private-encrypted-orders"];

/** The key of a page of its own, as `docs/history.md` has it. */
export const pageKey = () => `${APP.key}/${randomUUID()}`;

/** A stock pusher-js that names itself. */
export function openPage(t, balancer, options = {}) {
  return connectPusher(t, behind(balancer), { key: pageKey(), ...options });
}

/** A stock Echo that names itself. */
export function openEchoPage(t, balancer, options = {}) {
  return openEcho(t, behind(balancer), { key: pageKey(), ...options });
}

/** What each of Echo's channels hears of numbered events, once all are subscribed. */
export async function hearEcho(channels) {
  const listeners = channels.map((channel) => {
    const heard = new Heard();
    const note = (event) => (data) => heard.note({ event, data });
    channel.subscribed(note("subscribed")).listen(".numbered", note("numbered"));
    channel.listen(".pusher:resumed", note("pusher:resumed"));
    return heard;
  });
  for (const heard of listeners) await heard.event("subscribed");
  return listeners;
}

/** All that pusher-js and Echo need to know of a balancer. */
export function behind({ host, port }) {
  return { host, port, prefix: "" };
}

/** The balancer's only client is cut, and comes back when `away` is over. */
export async function isAwayFor(balancer, pusher, away) {
  const release = balancer.hold();
  balancer.cut();
  await hasState(pusher, "connecting");
  await away();
  release();
}

/** Until every channel has been resumed so often. */
export async function areResumed(listeners, times) {
  await Promise.all(listeners.map((heard) => heard.times(times, "pusher:resumed", RECONNECT_PATIENCE)));
}

/**
 * The pages that docs/history.md makes, those of the plugin or all others, as their makers: each is given what a page has,
 * and returns its pusher-js.
 */
export async function documentedPages({ plugin }) {
  const text = await readFile(new URL("../../../docs/history.md", import.meta.url), "utf8");
  const blocks = [...text.matchAll(/^```js\n(.*?)^```$/gms)].map(([, block]) => block.replace(/^import .*$/gm, ""));
  const pages = blocks.filter((block) => /= new (Echo|Pusher)/.test(block) && block.includes("withHistory(") === plugin);
  return pages.map((block) => (given) => {
    const lines = `${block.replaceAll("import.meta.env.VITE_REVERB_APP_KEY", "key")}
      return typeof echo === "undefined" ? pusher : echo.connector.pusher;`;
    return new Function(...Object.keys(given), lines)(...Object.values(given));
  });
}

/** The options that a page takes from its application's settings. */
export const optionsBehind = ({ host, port }) => ({
  wsHost: host,
  wsPort: port,
  wssPort: port,
  cluster: "",
  forceTLS: false,
  enabledTransports: ["ws", "wss"],
});

/** Publishes these numbers, one after the other. */
export async function publish(server, channel, ...numbers) {
  for (const n of numbers) await server.trigger(channel, "numbered", { n });
}

/** The numbers that were heard, in order. */
export const numbersOf = (heard) => heard.data("numbered").map(({ n }) => n);

/** Notes among what is heard on these channels when the page is asked for a receipt. */
export function noteReceipts(pusher, listeners) {
  pusher.connection.bind("message", ({ event }) => {
    if (event === "pusher:ping") for (const heard of listeners) heard.note({ event: "receipt" });
  });
}

/** The socket ids that a client of pusher-js is given, in order. */
export function noteSocketIds(pusher) {
  const ids = new Heard();
  const note = () => ids.note({ event: "connected", data: pusher.connection.socket_id });
  if (pusher.connection.state === "connected") note();
  pusher.connection.bind("connected", note);
  return ids;
}

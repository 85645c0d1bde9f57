// Adds up what all pages heard, by their kind, holds it against what is promised, and lays it out.

import { judge } from "./verdict.js";

/** A page that is cut so shortly before NATS goes comes back when it is gone: pusher-js waits for a second. */
const AWAY = 1_500;

/** Kinds that say how far they have heard, and so hear nothing twice. */
const EXACT = ["plugin", "plain"];

/** By kind: `{ pages, heard, lost, atRisk, told, notices, doubled }`; from `lost` on lists of entries with a cause. */
export function addUp({ pages, published, connections, receipts, outage }) {
  const kinds = {};
  for (const page of pages) {
    const sum = (kinds[page.kind] ??= { pages: 0, heard: 0, lost: [], atRisk: [], told: [], notices: [], doubled: [] });
    sum.pages += 1;
    const known = connections.get(page.name).map((connection) => withOutage(connection, outage));
    for (const [channel, heard] of page.heard) {
      const verdict = judge({ published: published.get(channel), heard, connections: known, receipts });
      const atRisk = verdict.lost.filter((number) => number.atRisk);
      const lost = verdict.lost.filter((number) => !number.atRisk);
      sum.heard += heard.filter(({ n }) => n !== undefined).length;
      for (const [what, list] of Object.entries({ ...verdict, lost, atRisk })) {
        sum[what].push(...list.map((one) => ({ page, channel, ...one })));
      }
    }
  }
  return kinds;
}

function withOutage(connection, outage) {
  const isWithout = connection.until > outage.from - AWAY && connection.until < outage.until;
  return isWithout ? { ...connection, cause: `${connection.cause} without NATS` } : connection;
}

/** What was heard or missed against the promise: `{ kind, what, list }`. */
export function broken(kinds) {
  return Object.entries(kinds).flatMap(([kind, { lost, doubled, notices }]) => [
    { kind, what: "lost", list: lost },
    { kind, what: "complete: false", list: notices },
    { kind, what: "doubled after a drain", list: doubled.filter(({ cause }) => cause === "drain") },
    { kind, what: "doubled though a receipt was due", list: doubled.filter(({ proven }) => proven) },
    ...(EXACT.includes(kind) ? [{ kind, what: "doubled", list: doubled }] : []),
  ]);
}

/** Lines to print. */
export function lines(kinds) {
  return Object.entries(kinds).flatMap(([kind, { pages, heard, lost, atRisk, told, notices, doubled }]) => [
    `${kind}: ${pages} pages heard ${heard} numbers`,
    `  lost: ${byCause(lost)} · taken by the killed node at its end: ${atRisk.length}`,
    `  doubled: ${byCause(doubled)} · though a receipt was due: ${byCause(doubled.filter(({ proven }) => proven))}`,
    `  the oldest of them was first heard ${oldest(doubled)} s before`,
    `  complete: false: ${byCause(notices)} · with so many numbers missing: ${byCause(told)}`,
  ]);
}

/** A few of the entries of a list in `broken`, with all that is known of them; times in seconds since `began`. */
export function examples(list, connections, began) {
  const seconds = (at) => ((at - began) / 1_000).toFixed(1);
  return list.slice(0, 5).map(({ page, channel, n, from, since, at, cause }) => {
    const ended = connections.get(page.name).filter(({ cause }) => cause);
    const lives = ended.map(({ from, until, cause }) => `${seconds(from)}–${seconds(until)} ${cause}`);
    const number = from === undefined ? `${n}, heard at ${seconds(since)} and ${seconds(at)}` : `${n}, published at ${seconds(from)}`;
    const what = n === undefined ? `complete: false at ${seconds(at)}` : number;
    return `  ${channel} ${what}, ${cause}; its connections: ${lives.join(", ")}`;
  });
}

function oldest(doubled) {
  return Math.round(doubled.reduce((most, { since, at }) => Math.max(most, at - since), 0) / 1_000);
}

/** How many there are of each cause, most first. */
export function byCause(list) {
  const counts = new Map();
  for (const { cause } of list) counts.set(cause, (counts.get(cause) ?? 0) + 1);
  const sorted = [...counts].sort(([, one], [, other]) => other - one);
  if (!sorted.length) return "0";
  return `${list.length} (${sorted.map(([cause, count]) => `${cause} ${count}`).join(", ")})`;
}

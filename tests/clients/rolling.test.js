// A rolling update of three nodes under load, as Kubernetes makes one with the chart's settings: a new node first, and when
// it has been ready for a moment an old one is told to go, while the one before it may still drain. Thousands of pages that
// do on the wire what pusher-js does, a third of them members of presence channels, and some dozens with the library itself.
//
// Before a release with GAUNG_ROLLING_SOCKETS=3000.

import assert from "node:assert/strict";
import { monitorEventLoopDelay } from "node:perf_hooks";
import { test } from "node:test";
import { setTimeout as pause } from "node:timers/promises";

import { startApplication } from "./support/application.js";
import { startCluster } from "./support/cluster.js";
import { until } from "./support/deadline.js";
import { startNats } from "./support/nats.js";
import { startSpreadingBalancer } from "./support/recovery/balancer.js";
import { openPages } from "./support/recovery/pages.js";
import { startPublisher } from "./support/recovery/publisher.js";
import { addUp, broken, byCause, examples, lines } from "./support/recovery/report.js";

const SOCKETS = Number(process.env.GAUNG_ROLLING_SOCKETS ?? 300);
const IS_LONG = SOCKETS > 1_000;
const MEMBERS_PER_CHANNEL = 50;
const PER_SECOND = IS_LONG ? 20 : 50;

const DRAIN_SECONDS = IS_LONG ? 20 : 2;
const MIN_READY_SECONDS = IS_LONG ? 5 : 1;
const DRAIN_PATIENCE = (DRAIN_SECONDS + 20) * 1_000;
const AGREE_PATIENCE = 30_000;
const SETTLED = 60_000;

/**
 * What must never be. The rest is shown: a page that comes to a node where its channel was not open, while a node that has
 * just ended is still asked what it kept, is told that it may have missed something (docs/guarantees.md, note 4).
 */
const NEVER = ["lost", "doubled", "doubled after a drain"];

const RECEIPT_SECONDS = 5;
const SETTINGS = {
  GAUNG_APP_HISTORY: "*=120s:1000",
  GAUNG_RECEIPT_SECONDS: `${RECEIPT_SECONDS}`,
  GAUNG_PAGE_DOUBT_SECONDS: "0",
  GAUNG_DRAIN_LAG_SECONDS: "1",
  GAUNG_DRAIN_SECONDS: `${DRAIN_SECONDS}`,
};

const COUNTS = { light: Math.round((SOCKETS * 2) / 3), member: Math.round(SOCKETS / 3), stock: 12, authorizer: 12, plugin: 12 };
const numbered = (prefix, count) => [...Array(count).keys()].map((n) => `${prefix}products.${n}`);
const PUBLIC = numbered("", 40);
const PRIVATE = numbered("private-", 10);
const PRESENCE = numbered("presence-", Math.ceil(COUNTS.member / MEMBERS_PER_CHANNEL));

function channelsOf(kind, number) {
  const one = (channels) => channels[number % channels.length];
  if (kind === "member") return [one(PRESENCE), one(PRIVATE)];
  if (kind === "authorizer") return PRIVATE.slice(number % 5, (number % 5) + 5);
  return [one(PUBLIC), PUBLIC[(number * 7 + 1) % PUBLIC.length]];
}

async function start(t) {
  let nats, application, cluster;
  t.after(async () => {
    // They have nobody left to see off, and would take as long as the old ones.
    for (const node of cluster?.nodes ?? []) node.kill();
    application?.stop();
    await nats?.kill();
  });
  [nats, application] = await Promise.all([startNats(), startApplication()]);
  cluster = await startCluster(nats, SETTINGS);
  const balancer = await startSpreadingBalancer(t, cluster.nodes);
  const pages = await openPages(t, { balancer, application, counts: COUNTS, channelsOf });
  await membersAgree(pages);
  const publisher = startPublisher({ balancer, channels: [...PUBLIC, ...PRIVATE, ...PRESENCE], perSecond: PER_SECOND });
  return { application, cluster, balancer, pages, publisher };
}

/** Until everybody in a presence channel knows everybody there. */
async function membersAgree(pages) {
  const members = pages.filter(({ kind }) => kind === "member");
  const sizes = new Map(PRESENCE.map((channel) => [channel, members.filter((page) => page.members.has(channel)).length]));
  const knowsAll = ({ members }) => [...members].every(([channel, users]) => users.size === sizes.get(channel));
  await until(() => members.every(knowsAll), "all members know one another", AGREE_PATIENCE);
}

/** Replaces all nodes. */
async function roll({ cluster, balancer, log }) {
  const drains = [];
  for (const node of [...cluster.nodes]) {
    await cluster.grow(1);
    log("a new node is ready");
    await pause(MIN_READY_SECONDS * 1_000);
    balancer.expect(node, "drain");
    node.terminate();
    log("an old node is told to go");
    const gone = node.exit(DRAIN_PATIENCE).then((exit) => {
      assert.deepEqual(exit, { code: 0, signal: null }, node.log);
      cluster.forget(node);
      log("an old node is gone");
    });
    gone.catch(() => {});
    drains.push(gone);
  }
  await Promise.all(drains);
}

/** Until every page has heard the last number of each of its channels. What is missing then is told by the verdict. */
async function settle(pages, published) {
  const last = (channel) => published.get(channel).findLast(({ failed }) => !failed).n;
  const isSettled = (page) => page.channels.every((channel) => page.hasHeard(channel, last(channel)));
  await until(() => pages.every(isSettled), "all is heard", SETTLED).catch(() => {});
}

/** Of each presence channel the users who were seen to come or go, or were not in a list, and how. */
function flaps(pages, since) {
  const seen = new Map();
  for (const { at, channel, change, user } of pages.flatMap(({ changes }) => changes)) {
    if (at > since) seen.set(`${channel} ${user} ${change}`, { cause: change });
  }
  return [...seen.values()];
}

test("in a rolling update no event is lost, no member seems to leave, and the application is asked nothing", async (t) => {
  const stage = await start(t);
  const { application, balancer, pages, publisher } = stage;
  const began = performance.now();
  const say = (line) => t.diagnostic(line);
  const log = (what) => say(`${((performance.now() - began) / 1_000).toFixed(1)} s: ${what}`);
  const pauses = monitorEventLoopDelay();
  pauses.enable();
  const asked = application.authorizations.all().length;
  log(`${pages.length} pages are subscribed, ${COUNTS.member} of them members of ${PRESENCE.length} presence channels`);
  await roll({ ...stage, log });
  await publisher.stop();
  await settle(pages, publisher.published);

  const { connections } = balancer;
  const kinds = addUp({ pages, published: publisher.published, connections, receipts: RECEIPT_SECONDS * 1_000, outage: {} });
  log(`${publisher.count} numbers on ${publisher.published.size} channels`);
  say(`all pages together were busy for up to ${Math.round(pauses.max / 1e6)} ms`);
  say(`connections that ended: ${byCause([...connections.values()].flat().filter(({ cause }) => cause))}`);
  lines(kinds).forEach(say);
  const flapping = flaps(pages, began);
  const again = application.authorizations.all().length - asked;
  say(`flaps of members: ${byCause(flapping)} · authorisations: ${asked} at first, ${again} later`);
  const violations = broken(kinds).filter(({ list }) => list.length);
  for (const { kind, what, list } of violations) [`${kind}: ${what}`, ...examples(list, connections, began)].forEach(say);
  const failures = violations.filter(({ what }) => NEVER.includes(what));
  assert.deepEqual(failures.map(({ kind, what, list }) => `${kind}: ${list.length} ${what}`), []);
  assert.equal(flapping.length, 0);
  assert.equal(again, 0);
});

// What docs/guarantees.md promises to those who were away, all at once: three nodes, NATS with JetStream, a balancer that
// cuts, and pages: stock pusher-js, the same with the authorizer, with the plugin, and plain sockets. Numbers are
// published while a fifth of the sockets is cut again and again, each node is drained and started again, one is killed,
// and NATS is restarted.
//
// Before a release with GAUNG_RECOVERY_SECONDS=300 GAUNG_RECOVERY_PAGES=200.

import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { monitorEventLoopDelay } from "node:perf_hooks";
import { test } from "node:test";

import { startApplication } from "./support/application.js";
import { startCluster } from "./support/cluster.js";
import { until } from "./support/deadline.js";
import { startNats } from "./support/nats.js";
import { startSpreadingBalancer } from "./support/recovery/balancer.js";
import { runFaults } from "./support/recovery/faults.js";
import { TENANT, openPages } from "./support/recovery/pages.js";
import { startPublisher } from "./support/recovery/publisher.js";
import { addUp, broken, byCause, examples, lines } from "./support/recovery/report.js";

const SECONDS = Number(process.env.GAUNG_RECOVERY_SECONDS ?? 40);
/** Stock pusher-js, a quarter of them with the authorizer; a quarter as many with the plugin, and as many plain ones. */
const PAGES = Number(process.env.GAUNG_RECOVERY_PAGES ?? 40);
const PER_SECOND = 50;

const RECEIPT_SECONDS = 5;
const SETTINGS = {
  GAUNG_APP_HISTORY: "*=120s:1000",
  GAUNG_HISTORY_STREAM: "true",
  GAUNG_RECEIPT_SECONDS: `${RECEIPT_SECONDS}`,
  GAUNG_PAGE_DOUBT_SECONDS: "0",
  GAUNG_TENANT_ACCESS: "open",
  GAUNG_DRAIN_SECONDS: "2",
};

const numbered = (prefix, count) => [...Array(count).keys()].map((n) => `${prefix}products.${TENANT}.${n}`);
const PUBLIC = numbered("", 40);
const PRIVATE = numbered("private-", 10);
const CHANNELS_PER_PAGE = 5;
/**
 * What must never be. The rest is shown: what a node knew that is killed, or cannot be asked while NATS is away, its pages
 * are told that they may have missed it, or hear it again from before its last sign of life, also where a receipt was due.
 */
const NEVER = ["lost", "doubled", "doubled after a drain"];
const SETTLED = 60_000;

/** Five that follow one another, begun at another place by each page. */
function channelsOf(kind, number) {
  const channels = kind === "authorizer" ? PRIVATE : PUBLIC;
  return [...Array(CHANNELS_PER_PAGE).keys()].map((n) => channels[(number * 3 + n) % channels.length]);
}

async function start(t) {
  const streams = await mkdtemp(join(tmpdir(), "gaung-recovery-"));
  let nats, application, cluster;
  t.after(async () => {
    await cluster?.stop();
    application?.stop();
    await nats?.kill();
    await rm(streams, { recursive: true, force: true });
  });
  [nats, application] = await Promise.all([startNats({ streams }), startApplication()]);
  cluster = await startCluster(nats, SETTINGS);
  const balancer = await startSpreadingBalancer(t, cluster.nodes);
  const counts = { stock: PAGES * 0.75, authorizer: PAGES / 4, plugin: PAGES / 4, plain: PAGES / 4 };
  const pages = await openPages(t, { balancer, application, counts, channelsOf });
  const publisher = startPublisher({ balancer, channels: [...PUBLIC, ...PRIVATE], perSecond: PER_SECOND });
  return { nats, application, cluster, balancer, pages, publisher };
}

/** Until every page has heard the last number of each of its channels. What is missing then is told by the verdict. */
async function settle(pages, published) {
  const last = (channel) => published.get(channel).findLast(({ failed }) => !failed).n;
  const isSettled = (page) => page.channels.every((channel) => page.hasHeard(channel, last(channel)));
  await until(() => pages.every(isSettled), "all is heard", SETTLED).catch(() => {});
}

/** Why pages were given another socket id. */
function newSocketIds(pages, connections) {
  return pages.flatMap(({ name, sockets }) =>
    sockets
      .filter(({ socketId }, place) => place > 0 && socketId !== sockets[place - 1].socketId)
      .map(({ at }) => connections.get(name).findLast(({ until }) => until < at)),
  );
}

/** What the nodes that run at the end counted of replays and of questions to one another. */
async function outcomes({ nodes }) {
  const texts = await Promise.all(nodes.map(async (node) => (await node.admin("/metrics")).text()));
  const counts = texts.map((text) => text.match(/^gaung_(recoveries|history_questions|page_handovers)_total.* [1-9].*$/gm) ?? []);
  return counts.map((lines, node) => `node ${node}: ${lines.map((line) => line.replace("gaung_", "")).join(", ")}`);
}

test("nothing is lost while sockets are cut, nodes are drained and killed, and NATS restarts", async (t) => {
  const stage = await start(t);
  const { application, balancer, pages, publisher } = stage;
  const began = performance.now();
  const say = (line) => t.diagnostic(line);
  const log = (what) => say(`${Math.round((performance.now() - began) / 100) / 10} s: ${what}`);
  const pauses = monitorEventLoopDelay();
  pauses.enable();
  const asked = application.authorizations.all().length;
  const outage = await runFaults({ ...stage, seconds: SECONDS, log });
  await publisher.stop();
  await settle(pages, publisher.published);

  const { connections } = balancer;
  const { published } = publisher;
  const kinds = addUp({ pages, published, connections, receipts: RECEIPT_SECONDS * 1_000, outage });
  const failed = [...published.values()].flat().filter((number) => number.failed);
  log(`${publisher.count} numbers on ${published.size} channels, ${failed.length} of them not answered`);
  say(`all pages together were busy for up to ${Math.round(pauses.max / 1e6)} ms`);
  say(`connections that ended: ${byCause([...connections.values()].flat().filter(({ cause }) => cause))}`);
  lines(kinds).forEach(say);
  say(`new socket ids: ${byCause(newSocketIds(pages, connections))}`);
  const requests = application.authorizations.all().map(({ event, socket }) => `${socket} ${event}`);
  const [later, again] = [requests.length - asked, requests.length - new Set(requests).size];
  say(`authorisations: ${asked} at first, ${later} later, ${again} of a socket id that had it already`);
  for (const line of await outcomes(stage.cluster)) say(line);
  const violations = broken(kinds).filter(({ list }) => list.length);
  for (const { kind, what, list } of violations) [`${kind}: ${what}`, ...examples(list, connections, began)].forEach(say);
  const failures = violations.filter(({ what }) => NEVER.includes(what));
  assert.equal(again, 0);
  assert.deepEqual(failures.map(({ kind, what, list }) => `${kind}: ${list.length} ${what}`), []);
});

// Two nodes come to three that have all sockets: some of those move, and nobody misses anything by it. What a node does
// whose balancer sends every client back to it is decided in src/rebalance, and tested there.
//
// Before a release with GAUNG_REBALANCE_SOCKETS=3000.

import assert from "node:assert/strict";
import { test } from "node:test";
import { setTimeout as pause } from "node:timers/promises";

import { until } from "./support/deadline.js";
import { startStage } from "./support/recovery/stage.js";

const SOCKETS = Number(process.env.GAUNG_REBALANCE_SOCKETS ?? 300);
const IS_LONG = SOCKETS > 1_000;
const PER_SECOND = IS_LONG ? 20 : 50;

/** Of few sockets a tenth of a node's share is less than what chance makes of it. */
const NEAR = IS_LONG ? 0.1 : 0.15;
const SETTINGS = { GAUNG_REBALANCE_ABOVE: "1.2", GAUNG_REBALANCE_PERCENT: IS_LONG ? "1" : "5" };

const PATIENCE = 240_000;
const REST = 10_000;

/** The sockets of each node, as one of them sees them. */
async function sessions({ cluster }) {
  const peers = await (await cluster.nodes[0].admin("/peers")).json();
  return peers.map((peer) => peer.sessions);
}

/** By how much the node that is furthest from the mean is away from it. */
function spread(counts) {
  const mean = counts.reduce((sum, count) => sum + count, 0) / counts.length;
  return Math.max(...counts.map((count) => Math.abs(count / mean - 1)));
}

/** A metric where a label has this value, over all nodes and apps. */
async function sum({ cluster }, metric, label) {
  const texts = await Promise.all(cluster.nodes.map(async (node) => (await node.admin("/metrics")).text()));
  const lines = texts.map((text) => text.split("\n").filter((one) => one.startsWith(`${metric}{`) && one.includes(label)));
  assert.ok(lines.every((found) => found.length > 0), `${metric}{${label}} is not shown`);
  return lines.flat().reduce((total, line) => total + Number(line.split(" ").at(-1)), 0);
}

const moved = (stage) => sum(stage, "gaung_closes_total", 'reason="rebalanced"');
const resting = (stage) => sum(stage, "gaung_rebalance_stage", 'stage="even"');

test("sockets move to nodes that are added, no event is lost by it, and no member seems to leave", async (t) => {
  const stage = await startStage(t, { sockets: SOCKETS, settings: SETTINGS, perSecond: PER_SECOND });
  stage.log(`sockets: ${await sessions(stage)}`);
  await stage.cluster.grow(1);
  await stage.cluster.grow(1);
  const grown = performance.now();
  stage.log("two more nodes are ready");
  const isEven = async () => {
    const counts = await sessions(stage);
    return counts.length === 5 && spread(counts) < NEAR;
  };
  await until(isEven, `each node is within ${NEAR * 100} % of the mean`, PATIENCE);
  const seconds = ((performance.now() - grown) / 1_000).toFixed(1);
  stage.log(`within ${NEAR * 100} % of the mean after ${seconds} s: ${await sessions(stage)}`);
  await until(async () => (await resting(stage)) === 5, "no node closes any more", PATIENCE);
  const count = await moved(stage);
  stage.log(`${count} sockets were closed for it: ${await sessions(stage)}`);
  await pause(REST);
  assert.equal(await moved(stage), count, "it has come to rest");
  const { broken, flaps, again } = await stage.judge();
  const failures = broken.filter(({ what }) => what !== "doubled though a receipt was due");
  assert.deepEqual(failures.map(({ kind, what, list }) => `${kind}: ${list.length} ${what}`), []);
  const refused = [...stage.publisher.published.values()].flat().filter(({ failed }) => failed).length;
  assert.deepEqual({ flaps, again, refused }, { flaps: 0, again: 0, refused: 0 });
});

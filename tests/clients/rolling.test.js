// A rolling update of three nodes under load, as Kubernetes makes one with the chart's settings: a new node first, and when
// it has been ready for a moment an old one is told to go, while the one before it may still drain. Thousands of pages that
// do on the wire what pusher-js does, a third of them members of presence channels, and some dozens with the library itself.
//
// Before a release with GAUNG_ROLLING_SOCKETS=3000.

import assert from "node:assert/strict";
import { monitorEventLoopDelay } from "node:perf_hooks";
import { test } from "node:test";
import { setTimeout as pause } from "node:timers/promises";

import { startStage } from "./support/recovery/stage.js";

const SOCKETS = Number(process.env.GAUNG_ROLLING_SOCKETS ?? 300);
const IS_LONG = SOCKETS > 1_000;
const PER_SECOND = IS_LONG ? 20 : 50;

const DRAIN_SECONDS = IS_LONG ? 20 : 2;
const MIN_READY_SECONDS = IS_LONG ? 5 : 1;
const DRAIN_PATIENCE = (DRAIN_SECONDS + 20) * 1_000;

/**
 * What must never be. The rest is shown: a page that comes to a node where its channel was not open, while a node that has
 * just ended is still asked what it kept, is told that it may have missed something (docs/guarantees.md, note 4).
 */
const NEVER = ["lost", "doubled", "doubled after a drain"];

/** Replaces all nodes. */
async function roll(stage) {
  const { cluster, balancer } = stage;
  const drains = [];
  for (const node of [...cluster.nodes]) {
    await cluster.grow(1);
    stage.log("a new node is ready");
    await pause(MIN_READY_SECONDS * 1_000);
    balancer.expect(node, "drain");
    node.terminate();
    stage.log("an old node is told to go");
    const gone = node.exit(DRAIN_PATIENCE).then((exit) => {
      assert.deepEqual(exit, { code: 0, signal: null }, node.log);
      cluster.forget(node);
      stage.log("an old node is gone");
    });
    gone.catch(() => {});
    drains.push(gone);
  }
  await Promise.all(drains);
}

test("in a rolling update no event is lost, no member seems to leave, and the application is asked nothing", async (t) => {
  const settings = { GAUNG_DRAIN_SECONDS: `${DRAIN_SECONDS}` };
  const stage = await startStage(t, { sockets: SOCKETS, settings, perSecond: PER_SECOND });
  const pauses = monitorEventLoopDelay();
  pauses.enable();
  await roll(stage);
  stage.say(`all pages together were busy for up to ${Math.round(pauses.max / 1e6)} ms`);
  const { broken, flaps, again } = await stage.judge();
  const failures = broken.filter(({ what }) => NEVER.includes(what));
  assert.deepEqual(failures.map(({ kind, what, list }) => `${kind}: ${list.length} ${what}`), []);
  assert.deepEqual({ flaps, again }, { flaps: 0, again: 0 });
});

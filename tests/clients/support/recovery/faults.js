// What befalls a cluster of three: a fifth of the sockets is cut again and again, and meanwhile, one after the other, each
// node is drained and started again, one is killed and replaced, NATS is killed and started again.

import { setTimeout as pause } from "node:timers/promises";

/** The share of the sockets that is cut at once. */
const SHARE = 0.2;

/** How long NATS is away, in milliseconds. */
const AWAY = 2_000;

/** When each fault begins at the earliest, as a share of the whole time. */
const SCHEDULE = [
  [0.1, drain],
  [0.25, drain],
  [0.4, drain],
  [0.6, kill],
  [0.8, restartNats],
];

/**
 * `stage`: `{ cluster, nats, balancer, publisher, seconds, log }`. Returns when all is over, after `seconds` at least,
 * with the time during which NATS was away.
 */
export async function runFaults(stage) {
  const { balancer, seconds } = stage;
  const began = performance.now();
  const reach = (share) => pause(began + share * seconds * 1_000 - performance.now());
  const outage = {};
  const cuts = setInterval(() => balancer.cut(SHARE), Math.min(10, seconds / 8) * 1_000);
  try {
    for (const [share, befall] of SCHEDULE) {
      await reach(share);
      await befall(stage, outage);
    }
    await reach(1);
  } finally {
    clearInterval(cuts);
  }
  return outage;
}

async function drain({ cluster, balancer, log }) {
  const [node] = cluster.nodes;
  log("drains a node");
  balancer.expect(node, "drain");
  node.terminate();
  await node.hasStopped();
  cluster.forget(node);
  await cluster.grow(1);
  log("its replacement is ready");
}

async function kill({ cluster, balancer, publisher, log }) {
  const [node] = cluster.nodes;
  log("kills a node");
  balancer.expect(node, "kill");
  node.kill();
  publisher.wasKilled(node);
  cluster.forget(node);
  await cluster.grow(1);
  log("its replacement is ready");
}

async function restartNats({ nats, balancer, log }, outage) {
  log("kills NATS");
  outage.from = performance.now();
  await nats.kill();
  await pause(AWAY / 2);
  // The pages that move now come to nodes that can ask nobody.
  balancer.cut(SHARE);
  await pause(AWAY / 2);
  await nats.start();
  outage.until = performance.now();
  log("NATS is back");
}

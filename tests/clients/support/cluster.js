// Nodes around a nats-server, started as an operator would and waited for as an orchestrator would.

import { randomBytes } from "node:crypto";

import { startGaung, startGaungWithApps } from "./gaung.js";

/** Three nodes of the test app. */
export async function startCluster(nats, settings = {}) {
  return new Cluster(nats, (more) => startGaung({ ...settings, ...more })).grow(3);
}

/** Three nodes whose apps stand in a file. */
export async function startClusterWithApps(nats, file) {
  return new Cluster(nats, (more) => startGaungWithApps(file, more)).grow(3);
}

class Cluster {
  /** The nodes in the order in which they were started, gone ones included. */
  nodes = [];
  #start;
  #settings;

  constructor(nats, start) {
    this.#start = start;
    this.#settings = {
      GAUNG_NATS_URL: nats.url,
      GAUNG_CLUSTER_NAME: `test-${randomBytes(6).toString("hex")}`,
    };
  }

  /** Starts so many more nodes, all at once; returns when all are ready. If one is not, none stays. */
  async grow(count) {
    const starts = await Promise.allSettled([...Array(count)].map(() => this.#start(this.#settings)));
    const started = starts.filter(({ value }) => value).map(({ value }) => value);
    this.nodes.push(...started);
    try {
      for (const { reason } of starts) if (reason) throw reason;
      await Promise.all(started.map((node) => node.becomesReady()));
    } catch (failure) {
      for (const node of this.nodes) node.kill();
      throw failure;
    }
    return this;
  }

  /** Ends all nodes that still run, in order. */
  async stop() {
    await Promise.all(this.nodes.filter((node) => node.isRunning).map((node) => node.stop()));
  }
}

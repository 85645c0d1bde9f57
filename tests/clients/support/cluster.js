// Nodes around a nats-server, started as an operator would and waited for as an orchestrator would.

import { randomBytes } from "node:crypto";

import { until } from "./deadline.js";
import { startGaung, startGaungWithApps } from "./gaung.js";
import { backEnd, memberIds, openTab } from "./libraries.js";

/** Somebody for each node. */
export const USERS = [
  { id: "42", name: "Ada" },
  { id: "43", name: "Bob" },
  { id: "44", name: "Eve" },
];

/** Nodes of the test app. */
export function startCluster(nats, settings = {}, count = 3) {
  return new Cluster(nats, (more) => startGaung({ ...settings, ...more })).grow(count);
}

/** Three nodes whose apps stand in a file. */
export function startClusterWithApps(nats, file) {
  return new Cluster(nats, (more) => startGaungWithApps(file, more)).grow(3);
}

class Cluster {
  /** The nodes, in the order in which they were started. */
  nodes = [];
  /** The test app's back end as it posts to each node. */
  servers = [];
  #start;
  #settings;

  constructor(nats, start) {
    this.#start = start;
    this.#settings = { GAUNG_NATS_URL: nats.url, GAUNG_CLUSTER_NAME: `test-${randomBytes(6).toString("hex")}` };
  }

  /** Starts so many more nodes, all at once; returns when all are ready. If one is not, none stays. */
  async grow(count) {
    const starts = await Promise.allSettled([...Array(count)].map(() => this.#start(this.#settings)));
    const started = starts.filter(({ value }) => value).map(({ value }) => value);
    this.nodes.push(...started);
    this.servers.push(...started.map((node) => backEnd(node)));
    try {
      for (const { reason } of starts) if (reason) throw reason;
      await Promise.all(started.map((node) => node.becomesReady()));
    } catch (failure) {
      for (const node of this.nodes) node.kill();
      throw failure;
    }
    return this;
  }

  /** The node is going or gone: nothing is asked of it any more. */
  forget(node) {
    const number = this.nodes.indexOf(node);
    this.nodes.splice(number, 1);
    this.servers.splice(number, 1);
  }

  /** Ends all nodes, in order. */
  async stop() {
    await Promise.all(this.nodes.map((node) => node.stop()));
  }

  /** One tab on each node, each of another user, which have entered a channel by `enter`. */
  async openEverywhere(t, application, enter) {
    const tabs = this.nodes.map((node, number) => openTab(t, node, application, USERS[number]));
    for (const tab of tabs) enter(tab).subscribed(tab.note("subscribed")).listen(".marker", tab.note("marker"));
    for (const { heard } of tabs) await heard.event("subscribed");
    return tabs;
  }

  /** Until every node knows these members and no others. */
  async everyNodeKnows(channel, ...ids) {
    for (const [number, server] of this.servers.entries()) {
      const agrees = async () => `${await memberIds(server, channel)}` === `${ids.sort()}`;
      await until(agrees, `node ${number} knows that ${ids} are the members of ${channel}`);
    }
  }

  /** What each node published on the channel before now has been heard by these tabs when it returns. */
  async allHeard(channel, ...tabs) {
    const known = tabs.map(({ heard }) => heard.all("marker").length);
    for (const server of this.servers) await server.trigger(channel, "marker", {});
    for (const [tab, { heard }] of tabs.entries()) await heard.times(known[tab] + this.servers.length, "marker");
  }
}

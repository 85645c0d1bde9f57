// What clients see of three nodes and their nats-server when a node is killed or told to go, and when NATS is away.

import assert from "node:assert/strict";
import { Agent } from "node:http";
import { describe, test } from "node:test";

import { startApplication } from "./support/application.js";
import { startBalancer } from "./support/balancer.js";
import { USERS, startCluster } from "./support/cluster.js";
import { until } from "./support/deadline.js";
import { backEnd, connectPusher, enterRoom, hearErrors, openTab, subscribe } from "./support/libraries.js";
import { startNats } from "./support/nats.js";

const [ADA, BOB, EVE] = USERS;
const MAX = { id: "45", name: "Max" };
const ZOE = { id: "46", name: "Zoe" };

/** A node that was killed is missed for at most 6 s; the rest is time to spare on a busy machine. */
const DEATH = 10_000;

/** How long nodes may take to find a nats-server again and to hear what they missed. */
const RECOVERY = 15_000;

/** A node that went in order is remembered for 10 s after its end. */
const HOLD = 20_000;

/** Three nodes, their nats-server and an application, which end with the test. */
async function start(t, settings = {}) {
  let nats, application, cluster;
  t.after(async () => {
    await cluster?.stop();
    application?.stop();
    await nats?.kill();
  });
  [nats, application] = await Promise.all([startNats(), startApplication()]);
  cluster = await startCluster(nats, settings);
  return { nats, application, cluster };
}

/** Has the tab enter the room and wait until it is there. */
async function goInto(room, tab) {
  enterRoom(tab, room);
  await tab.heard.event("here");
}

const byId = (one, other) => Number(one.id) - Number(other.id);
const numbers = (count) => [...Array(count).keys()];

/** The members as pusher-js keeps them. */
const membersOf = (echo, channel) => Object.values(echo.connector.pusher.channel(channel).members.members).sort(byId);

// Most of the time passes in waiting, so they wait together, each for a cluster of its own.
describe("a cluster in which something breaks", { concurrency: 4 }, () => {
  test("a killed node's users leave on the others, but not those who are back by then", async (t) => {
    const { application, cluster } = await start(t);
    const [doomed, ...others] = cluster.nodes;
    const balancer = await startBalancer(t, doomed, ...others);
    const watchers = others.map((node, number) => openTab(t, node, application, [BOB, EVE][number]));
    for (const tab of watchers) await goInto("killed", tab);
    await cluster.everyNodeKnows("presence-killed", BOB.id, EVE.id);
    const [back, gone] = [openTab(t, balancer, application, ADA), openTab(t, doomed, application, ZOE)];
    for (const tab of [back, gone]) await goInto("killed", tab);
    await cluster.everyNodeKnows("presence-killed", ADA.id, BOB.id, EVE.id, ZOE.id);

    doomed.kill();
    cluster.forget(doomed);
    const killed = performance.now();
    const since = () => Math.round(performance.now() - killed);
    const left = watchers.map(async ({ heard }) => (await heard.event("leaving", DEATH), since()));
    await back.heard.times(2, "here", DEATH);
    t.diagnostic(`the client was back after ${since()} ms`);
    t.diagnostic(`the member was gone on the other nodes after ${(await Promise.all(left)).join(" and ")} ms`);

    await cluster.everyNodeKnows("presence-killed", ADA.id, BOB.id, EVE.id);
    await cluster.allHeard("presence-killed", back, ...watchers);
    for (const { heard, echo } of watchers) {
      assert.deepEqual(heard.data("leaving"), [ZOE]);
      assert.deepEqual(
        heard.data("joining").filter(({ id }) => id === ADA.id),
        [ADA],
      );
      assert.deepEqual(membersOf(echo, "presence-killed"), [ADA, BOB, EVE]);
    }
    assert.deepEqual(membersOf(back.echo, "presence-killed"), [ADA, BOB, EVE]);
  });

  for (const [how, away, again] of [
    ["killed and started again", (nats) => nats.kill(), (nats) => nats.start()],
    ["paused and resumed", (nats) => nats.pause(), (nats) => nats.resume()],
  ]) {
    test(`a nats-server is ${how}: sockets stay, nodes serve their own, and nothing is missed in the end`, async (t) => {
      const { nats, application, cluster } = await start(t);
      const enter = (tab) => enterRoom(tab, "away").listen(".said", tab.note("said"));
      const tabs = await cluster.openEverywhere(t, application, enter);
      await cluster.everyNodeKnows("presence-away", ADA.id, BOB.id, EVE.id);
      await cluster.allHeard("presence-away", ...tabs);
      const before = tabs.map(({ echo, heard }) => ({ socket: echo.socketId(), joined: heard.data("joining") }));

      await away(nats);
      const post = async (server, from) => {
        for (const n of numbers(50)) await server.trigger("presence-away", "said", { from, n });
      };
      await Promise.all(cluster.servers.map(post));
      for (const [number, { heard }] of tabs.entries()) {
        await heard.times(50, "said");
        assert.ok(
          heard.data("said").every(({ from }) => from === number),
          `node ${number} cannot hear the others`,
        );
      }
      for (const [number, node] of cluster.nodes.entries()) {
        await until(() => node.log.includes("lost the connection to NATS"), `node ${number} notices`, RECOVERY);
        const { heard } = await subscribe(await connectPusher(t, node), "fresh");
        await cluster.servers[number].trigger("fresh", "said", {});
        await heard.event("said");
      }

      await again(nats);
      for (const { heard } of tabs) await heard.times(150, "said", RECOVERY);
      await cluster.allHeard("presence-away", ...tabs);
      for (const [number, { echo, heard }] of tabs.entries()) {
        for (const sender of cluster.servers.keys()) {
          const order = heard.data("said").filter(({ from }) => from === sender);
          assert.deepEqual(
            order.map(({ n }) => n),
            numbers(50),
            `what node ${sender} was given, on node ${number}`,
          );
        }
        const now = { socket: echo.socketId(), joined: heard.data("joining") };
        assert.deepEqual(now, before[number]);
        heard.never("leaving");
      }
    });
  }

  test("users of a node that goes move to others, and nobody there sees them leave or join", async (t) => {
    const { application, cluster } = await start(t, { GAUNG_DRAIN_SECONDS: "2" });
    const [leaving, ...others] = cluster.nodes;
    const balancers = [
      await startBalancer(t, ...cluster.nodes),
      await startBalancer(t, leaving, ...others.toReversed()),
    ];
    const watchers = others.map((node, number) => openTab(t, node, application, [BOB, EVE][number]));
    for (const tab of watchers) await goInto("moved", tab);
    const movers = [ADA, MAX].map((user, number) => openTab(t, balancers[number], application, user));
    const gone = openTab(t, leaving, application, ZOE);
    for (const tab of [...movers, gone]) await goInto("moved", tab);
    const all = [ADA, BOB, EVE, MAX, ZOE];
    await cluster.everyNodeKnows("presence-moved", ...all.map(({ id }) => id));
    for (const { heard } of watchers) await heard.where(({ data }) => data?.id === ZOE.id, "Zoe joins");
    const joined = watchers.map(({ heard }) => heard.data("joining"));

    leaving.terminate();
    cluster.forget(leaving);
    for (const { heard, echo } of movers) {
      const [, here] = await heard.times(2, "here", DEATH);
      assert.deepEqual(here.data.sort(byId), all);
      assert.equal(echo.connectionStatus(), "connected");
    }
    await leaving.hasStopped();
    const stopped = performance.now();
    await cluster.allHeard("presence-moved", ...watchers, ...movers);
    for (const { heard } of watchers) heard.never("leaving");

    for (const { heard } of watchers) await heard.event("leaving", HOLD);
    t.diagnostic(`who did not come back was gone ${Math.round(performance.now() - stopped)} ms after the node's end`);
    await cluster.everyNodeKnows("presence-moved", ADA.id, BOB.id, EVE.id, MAX.id);
    await cluster.allHeard("presence-moved", ...watchers, ...movers);
    for (const [number, { heard }] of watchers.entries()) {
      assert.deepEqual(heard.data("leaving"), [ZOE]);
      assert.deepEqual(heard.data("joining"), joined[number]);
    }
  });

  test("clients that still wait on a node that goes do not see those leave who only move", async (t) => {
    const { application, cluster } = await start(t, { GAUNG_DRAIN_SECONDS: "2" });
    const [leaving] = cluster.nodes;
    const balancer = await startBalancer(t, ...cluster.nodes);
    const users = numbers(8).map((n) => ({ id: `${n}`, name: `User ${n}` }));
    const tabs = users.map((user) => openTab(t, balancer, application, user));
    for (const tab of tabs) await goInto("moving", tab);
    await cluster.everyNodeKnows("presence-moving", ...users.map(({ id }) => id));
    await cluster.allHeard("presence-moving", ...tabs);
    const joined = tabs.map(({ heard }) => heard.data("joining"));
    leaving.terminate();
    cluster.forget(leaving);
    for (const { heard } of tabs) {
      const [, here] = await heard.times(2, "here", DEATH);
      assert.deepEqual(here.data.sort(byId), users);
    }
    await cluster.allHeard("presence-moving", ...tabs);
    for (const [number, { heard }] of tabs.entries()) {
      heard.never("leaving");
      assert.deepEqual(heard.data("joining"), joined[number]);
    }
    await leaving.hasStopped();
  });

  test("sockets that move while a node goes count once: in the app's quota, and in what subscribers are told", async (t) => {
    const settings = { GAUNG_APP_MAX_CONNECTIONS: "4", GAUNG_APP_SUBSCRIPTION_COUNTS: "true" };
    const { cluster } = await start(t, settings);
    const [leaving, staying] = cluster.nodes;
    const balancer = await startBalancer(t, ...cluster.nodes);
    const watcher = await subscribe(await connectPusher(t, staying), "counted");
    const movers = await Promise.all([1, 2, 3].map(() => connectPusher(t, balancer)));
    for (const pusher of movers) await subscribe(pusher, "counted");
    const counts = () => watcher.heard.data("pusher:subscription_count").map((data) => data.subscription_count);
    await until(() => counts().at(-1) === 4, "four subscribers are counted");
    const sockets = movers.map(({ connection }) => connection.socket_id);
    const errors = movers.map((pusher) => hearErrors(pusher));
    leaving.terminate();
    cluster.forget(leaving);
    for (const [number, { connection }] of movers.entries()) {
      const hasMoved = () => connection.state === "connected" && connection.socket_id !== sockets[number];
      await until(hasMoved, `socket ${number} is on another node`, DEATH).catch((overdue) => {
        throw new Error(`${overdue.message}; it is ${connection.state}, and was told ${errors[number].names()}`);
      });
    }
    await until(() => counts().at(-1) === 4, "four subscribers are counted again").catch((overdue) => {
      throw new Error(`${overdue.message}; the counts were ${counts()}`);
    });
    await leaving.hasStopped();
  });

  test("an event that a node takes while it goes is heard on the others", async (t) => {
    const { cluster } = await start(t);
    const [leaving, staying] = cluster.nodes;
    const { heard } = await subscribe(await connectPusher(t, staying), "last.words");
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    t.after(() => agent.destroy());
    const server = backEnd(leaving, { agent });
    const taken = [];
    await server.trigger("last.words", "said", { n: 0 }).then(() => taken.push(0));
    leaving.terminate();
    cluster.forget(leaving);
    for (let n = 1; leaving.isRunning; n += 1) {
      await server.trigger("last.words", "said", { n }).then(
        () => taken.push(n),
        () => {},
      );
    }
    await leaving.hasStopped();
    await cluster.servers[0].trigger("last.words", "marker", {});
    await heard.event("marker");
    const told = new Set(heard.data("said").map(({ n }) => n));
    const lost = taken.filter((n) => !told.has(n));
    assert.equal(
      lost.length,
      0,
      `${lost.length} of ${taken.length} events answered with 200 are lost, first ${lost[0]}`,
    );
  });
});

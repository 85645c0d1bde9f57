// Three nodes around a nats-server are one server: a client may sit on any of them, a back end may post to any. What
// channels do; `cluster_users` has the rest, `cluster_faults` what happens when something breaks.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { startApplication } from "./support/application.js";
import { USERS, startCluster } from "./support/cluster.js";
import { until, within } from "./support/deadline.js";
import {
  backEnd,
  connectPusher,
  enterRoom,
  memberIds,
  openTab,
  subscribe,
  subscriberCount,
} from "./support/libraries.js";
import { startNats } from "./support/nats.js";

const [ADA, BOB, EVE] = USERS;

let nats;
let cluster;
let application;
let nodes;
let servers;
before(async () => {
  [nats, application] = await Promise.all([startNats(), startApplication()]);
  cluster = await startCluster(nats, { GAUNG_APP_CLIENT_EVENTS: "true" });
  ({ nodes, servers } = cluster);
});
after(async () => {
  application?.stop();
  await cluster?.stop();
  await nats?.kill();
});

/** A tab of the user on the node with this number. */
const open = (t, number, user) => openTab(t, nodes[number], application, user);

const numbers = (count) => [...Array(count).keys()];

const CHANNELS = [
  ["public", "orders", (echo) => echo.channel("orders")],
  ["private", "private-orders", (echo) => echo.private("orders")],
  ["presence", "presence-orders", (echo) => echo.join("orders")],
  ["encrypted private", "private-encrypted-orders", (echo) => echo.encryptedPrivate("orders")],
];
for (const [kind, channel, enter] of CHANNELS) {
  test(`events on a ${kind} channel reach Echo on every node once, from each node in order`, async (t) => {
    const tabs = await cluster.openEverywhere(t, application, ({ echo, note }) =>
      enter(echo).listen(".order.shipped", note("shipped")),
    );
    const post = async (server, from) => {
      for (const n of numbers(20)) await server.trigger(channel, "order.shipped", { from, n });
    };
    await Promise.all(servers.map(post));
    await cluster.allHeard(channel, ...tabs);
    for (const [at, tab] of tabs.entries()) {
      for (const sender of numbers(servers.length)) {
        const heard = tab.heard.data("shipped").filter(({ from }) => from === sender);
        assert.deepEqual(
          heard.map(({ n }) => n),
          numbers(20),
          `what node ${sender} was given, heard on node ${at}`,
        );
      }
    }
  });
}

test("an event posted to another node right after a subscription is not missed, a hundred times", async (t) => {
  const pusher = await connectPusher(t, nodes[1]);
  for (const n of numbers(100)) {
    const { heard } = await subscribe(pusher, `fresh-${n}`);
    await servers[0].trigger(`fresh-${n}`, "at.once", { n });
    await heard.event("at.once");
  }
});

test("an excluded socket hears nothing, on whichever node it sits and whichever is posted to", async (t) => {
  const tabs = await cluster.openEverywhere(t, application, ({ echo, note }) =>
    echo.private("others").listen(".said", note("said")),
  );
  for (const server of servers) {
    for (const [without, { echo }] of tabs.entries()) {
      await server.trigger("private-others", "said", { without }, { socket_id: echo.socketId() });
    }
  }
  await cluster.allHeard("private-others", ...tabs);
  for (const [at, tab] of tabs.entries()) {
    const expected = numbers(3).filter((without) => without !== at);
    const heard = tab.heard.data("said").map(({ without }) => without);
    assert.deepEqual(heard.sort(), [...expected, ...expected, ...expected].sort(), `heard on node ${at}`);
  }
});

test("here, joining and leaving are the same on every node", async (t) => {
  const tabs = USERS.map((user, number) => open(t, number, user));
  for (const [number, tab] of tabs.entries()) {
    enterRoom(tab, "room");
    assert.deepEqual((await tab.heard.event("here")).data, USERS.slice(0, number + 1));
    await cluster.everyNodeKnows("presence-room", ...USERS.slice(0, number + 1).map(({ id }) => id));
  }
  const [ada, bob, eve] = tabs;
  await cluster.allHeard("presence-room", ...tabs);
  assert.deepEqual(
    tabs.map((tab) => tab.heard.data("joining")),
    [[BOB, EVE], [EVE], []],
  );
  bob.echo.leave("room");
  for (const { heard } of [ada, eve]) assert.deepEqual((await heard.event("leaving")).data, BOB);
  await cluster.everyNodeKnows("presence-room", ADA.id, EVE.id);
  for (const tab of [ada, eve]) assert.deepEqual(tab.heard.data("leaving"), [BOB]);
});

test("a user with tabs on two nodes joins with the first and leaves with the last", async (t) => {
  const others = [open(t, 1, BOB), open(t, 2, EVE)];
  for (const tab of others) enterRoom(tab, "tabs");
  await cluster.everyNodeKnows("presence-tabs", BOB.id, EVE.id);
  const tabs = [open(t, 0, ADA), open(t, 0, ADA), open(t, 1, ADA)];
  const everyNodeCounts = async (count) => {
    for (const server of servers) {
      await until(async () => (await subscriberCount(server, "presence-tabs")) === count, `${count} tabs`);
    }
  };
  for (const [opened, tab] of tabs.entries()) {
    enterRoom(tab, "tabs");
    await everyNodeCounts(others.length + opened + 1);
  }
  for (const [closed, tab] of tabs.entries()) {
    for (const { heard } of others) heard.never("leaving");
    tab.echo.disconnect();
    await everyNodeCounts(others.length + tabs.length - closed - 1);
  }
  for (const tab of others) {
    await tab.heard.event("leaving");
    assert.deepEqual(tab.heard.data("leaving"), [ADA]);
    const joined = tab.heard.data("joining").filter(({ id }) => id === ADA.id);
    assert.deepEqual(joined, [ADA]);
  }
});

test("the info of a user's first tab holds on every node until all tabs are closed", async (t) => {
  enterRoom(open(t, 0, ADA), "info");
  await cluster.everyNodeKnows("presence-info", ADA.id);
  const later = open(t, 1, { id: ADA.id, name: "Countess Lovelace" });
  enterRoom(later, "info");
  assert.deepEqual((await later.heard.event("here")).data, [ADA]);
  const bob = open(t, 2, BOB);
  enterRoom(bob, "info");
  assert.deepEqual((await bob.heard.event("here")).data, [ADA, BOB]);
});

test("a crowd that comes and goes on all nodes leaves everybody with the same list", async (t) => {
  const crowd = numbers(45).map((n) => open(t, n % 3, { id: `guest-${n}`, name: `Guest ${n}` }));
  const [stay, go] = [crowd.slice(0, 24), crowd.slice(24)];
  for (const tab of stay) enterRoom(tab, "crowd");
  await Promise.all(stay.map(({ heard }) => heard.event("here")));
  for (const tab of go) enterRoom(tab, "crowd");
  for (const { heard, echo } of go) heard.event("here").then(() => echo.disconnect());
  await Promise.all(go.map(({ heard }) => heard.event("here")));
  const staying = stay.map((_, n) => `guest-${n}`).sort();
  await cluster.everyNodeKnows("presence-crowd", ...staying);
  for (const [number, tab] of stay.entries()) {
    const { members } = tab.echo.connector.pusher.channel("presence-crowd");
    const listed = () => `${Object.keys(members.members).sort()}` === `${staying}`;
    await until(listed, `guest-${number} sees only those who stayed`);
    const balance = new Map(
      tab.heard
        .data("here")
        .flat()
        .map(({ id }) => [id, 1]),
    );
    for (const { event, data } of tab.heard.all()) {
      const step = { joining: 1, leaving: -1 }[event] ?? 0;
      if (step) balance.set(data.id, (balance.get(data.id) ?? 0) + step);
    }
    const wrong = [...balance].filter(([id, sum]) => sum !== (staying.includes(id) ? 1 : 0));
    assert.deepEqual(wrong, [], `what guest-${number} was told does not add up`);
  }
});

for (const [kind, enter] of [
  ["private", (echo) => echo.private("chat")],
  ["presence", (echo) => echo.join("chat")],
]) {
  test(`a client event on a ${kind} channel is heard on the other nodes once, and not by its sender`, async (t) => {
    const listen = ({ echo, note }) => enter(echo).listenForWhisper("typing", note("typing"));
    const tabs = await cluster.openEverywhere(t, application, listen);
    for (const { echo } of tabs) enter(echo).whisper("typing", { from: echo.socketId() });
    for (const { heard } of tabs) await heard.times(2, "typing");
    await cluster.allHeard(`${kind}-chat`, ...tabs);
    const sockets = tabs.map(({ echo }) => echo.socketId());
    for (const [at, tab] of tabs.entries()) {
      const senders = tab.heard.data("typing").map(({ from }) => from);
      assert.deepEqual(senders.sort(), sockets.filter((_, number) => number !== at).sort(), `on node ${at}`);
    }
  });
}

test("a client event on a presence channel says on the other nodes who sent it", async (t) => {
  const [ada, bob] = await cluster.openEverywhere(t, application, ({ echo }) => echo.join("who"));
  const channel = bob.echo.connector.pusher.channel("presence-who");
  const sender = new Promise((resolve) => channel.bind("client-typing", (_, { user_id: id }) => resolve(id)));
  ada.echo.join("who").whisper("typing", {});
  assert.equal(await within(sender, "the client event is heard"), ADA.id);
});

test("the last event of a cache channel is heard on every node, whichever was posted to", async (t) => {
  const cached = async (server) => {
    const response = await server.get({ path: "/channels/cache-news", params: { info: "cache" } });
    return JSON.parse((await response.json()).cache?.data ?? "{}").n;
  };
  for (const [latest, server] of servers.entries()) {
    await server.trigger("cache-news", "headline", { n: latest });
    for (const [number, other] of servers.entries()) {
      await until(async () => (await cached(other)) === latest, `node ${number} keeps headline ${latest}`);
      const tab = open(t, number, ADA);
      tab.echo.channel("cache-news").listen(".headline", tab.note("headline"));
      assert.deepEqual((await tab.heard.event("headline")).data, { n: latest });
    }
  }
});

test("an event of a cache channel is live on every node, once", async (t) => {
  const enter = ({ echo, note }) => echo.channel("cache-live").listen(".headline", note("headline"));
  const tabs = await cluster.openEverywhere(t, application, enter);
  for (const [n, server] of servers.entries()) await server.trigger("cache-live", "headline", { n });
  await cluster.allHeard("cache-live", ...tabs);
  for (const tab of tabs)
    assert.deepEqual(
      tab.heard
        .data("headline")
        .map(({ n }) => n)
        .sort(),
      [0, 1, 2],
    );
});

test("a cache channel without an event is a miss on every node", async (t) => {
  for (const number of numbers(3)) {
    const tab = open(t, number, ADA);
    tab.echo.channel("cache-quiet").listen(".pusher:cache_miss", tab.note("miss"));
    await tab.heard.event("miss");
  }
});

test("a node that comes later knows everything as soon as it is ready", async (t) => {
  const [ada, bob] = [open(t, 0, ADA), open(t, 1, BOB)];
  for (const tab of [ada, bob]) enterRoom(tab, "grown");
  await cluster.everyNodeKnows("presence-grown", ADA.id, BOB.id);
  await servers[0].trigger("cache-grown", "headline", { n: 1 });
  await cluster.grow(1);
  const late = nodes.at(-1);
  assert.deepEqual(await memberIds(backEnd(late), "presence-grown"), [ADA.id, BOB.id]);
  const eve = openTab(t, late, application, EVE);
  eve.echo.channel("cache-grown").listen(".headline", eve.note("headline"));
  enterRoom(eve, "grown");
  assert.deepEqual((await eve.heard.event("here")).data, USERS);
  assert.deepEqual((await eve.heard.event("headline")).data, { n: 1 });
  for (const { heard } of [ada, bob])
    await heard.where(({ event, data }) => event === "joining" && data.id === EVE.id, "Eve joins");
  eve.echo.disconnect();
  await cluster.everyNodeKnows("presence-grown", ADA.id, BOB.id);
  cluster.forget(late);
  await late.stop();
});

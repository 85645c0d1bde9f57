// Three nodes around a nats-server are one server: a client may sit on any of them, a back end may post to any.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { isDeepStrictEqual } from "node:util";

import { startApplication } from "./support/application.js";
import { startCluster } from "./support/cluster.js";
import { Heard, until, within } from "./support/deadline.js";
import {
  backEnd,
  connectPusher,
  enterRoom,
  hasState,
  hear,
  hearErrors,
  memberIds,
  openSocket,
  openTab,
  signIn,
  subscribe,
  subscriberCount,
} from "./support/libraries.js";
import { startNats } from "./support/nats.js";

const SETTINGS = {
  GAUNG_APP_CLIENT_EVENTS: "true",
  GAUNG_APP_SUBSCRIPTION_COUNTS: "true",
  GAUNG_TENANT_ACCESS: "open",
};

let nats;
let cluster;
let application;
let nodes;
let servers;
before(async () => {
  [nats, application] = await Promise.all([startNats(), startApplication()]);
  cluster = await startCluster(nats, SETTINGS);
  nodes = cluster.nodes;
  servers = nodes.map((node) => backEnd(node));
});
after(async () => {
  application?.stop();
  await cluster?.stop();
  await nats?.kill();
});

const USERS = [
  { id: "42", name: "Ada" },
  { id: "43", name: "Bob" },
  { id: "44", name: "Eve" },
];
const [ADA, BOB, EVE] = USERS;

/** A tab of the user on the node with this number. */
const open = (t, number, user) => openTab(t, nodes[number], application, user);

/** One tab on each node, each of a user of its own, who have entered the channel by `enter`. */
async function openEverywhere(t, enter) {
  const tabs = USERS.map((user, number) => open(t, number, user));
  for (const tab of tabs) enter(tab).subscribed(tab.note("subscribed")).listen(".marker", tab.note("marker"));
  for (const { heard } of tabs) await heard.event("subscribed");
  return tabs;
}

/** Until every node knows these members and no others. */
async function everyNodeKnows(channel, ...ids) {
  for (const [number, server] of servers.entries()) {
    const agrees = async () => `${await memberIds(server, channel)}` === `${ids.sort()}`;
    await until(agrees, `node ${number} knows the members ${ids} of ${channel}`);
  }
}

/** What each node published on the channel before now has been heard by these tabs when it returns. */
async function allHeard(channel, ...tabs) {
  for (const [number, server] of servers.entries()) await server.trigger(channel, "marker", { number });
  for (const { heard } of tabs) await heard.times(servers.length, "marker");
}

const dataOf = ({ heard }, event) => heard.all(event).map(({ data }) => data);
const numbers = (count) => [...Array(count).keys()];

const CHANNELS = [
  ["public", "orders", (echo) => echo.channel("orders")],
  ["private", "private-orders", (echo) => echo.private("orders")],
  ["presence", "presence-orders", (echo) => echo.join("orders")],
  ["encrypted private", "private-encrypted-orders", (echo) => echo.encryptedPrivate("orders")],
];
for (const [kind, channel, enter] of CHANNELS) {
  test(`events on a ${kind} channel reach Echo on every node once, from each node in order`, async (t) => {
    const tabs = await openEverywhere(t, ({ echo, note }) => enter(echo).listen(".order.shipped", note("shipped")));
    const post = async (server, from) => {
      for (const n of numbers(20)) await server.trigger(channel, "order.shipped", { from, n });
    };
    await Promise.all(servers.map(post));
    await allHeard(channel, ...tabs);
    for (const [at, tab] of tabs.entries()) {
      for (const sender of numbers(servers.length)) {
        const heard = dataOf(tab, "shipped").filter(({ from }) => from === sender);
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
  const tabs = await openEverywhere(t, ({ echo, note }) => echo.private("others").listen(".said", note("said")));
  for (const server of servers) {
    for (const [without, { echo }] of tabs.entries()) {
      await server.trigger("private-others", "said", { without }, { socket_id: echo.socketId() });
    }
  }
  await allHeard("private-others", ...tabs);
  for (const [at, tab] of tabs.entries()) {
    const expected = numbers(3).filter((without) => without !== at);
    const heard = dataOf(tab, "said").map(({ without }) => without);
    assert.deepEqual(heard.sort(), [...expected, ...expected, ...expected].sort(), `heard on node ${at}`);
  }
});

test("here, joining and leaving are the same on every node", async (t) => {
  const tabs = USERS.map((user, number) => open(t, number, user));
  for (const [number, tab] of tabs.entries()) {
    enterRoom(tab, "room");
    assert.deepEqual((await tab.heard.event("here")).data, USERS.slice(0, number + 1));
    await everyNodeKnows("presence-room", ...USERS.slice(0, number + 1).map(({ id }) => id));
  }
  const [ada, bob, eve] = tabs;
  await allHeard("presence-room", ...tabs);
  assert.deepEqual(
    tabs.map((tab) => dataOf(tab, "joining")),
    [[BOB, EVE], [EVE], []],
  );
  bob.echo.leave("room");
  for (const { heard } of [ada, eve]) assert.deepEqual((await heard.event("leaving")).data, BOB);
  await everyNodeKnows("presence-room", ADA.id, EVE.id);
  for (const tab of [ada, eve]) assert.deepEqual(dataOf(tab, "leaving"), [BOB]);
});

test("a user with tabs on two nodes joins with the first and leaves with the last", async (t) => {
  const others = [open(t, 1, BOB), open(t, 2, EVE)];
  for (const tab of others) enterRoom(tab, "tabs");
  await everyNodeKnows("presence-tabs", BOB.id, EVE.id);
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
    assert.deepEqual(dataOf(tab, "leaving"), [ADA]);
    const joined = dataOf(tab, "joining").filter(({ id }) => id === ADA.id);
    assert.deepEqual(joined, [ADA]);
  }
});

test("the info of a user's first tab holds on every node until all tabs are closed", async (t) => {
  enterRoom(open(t, 0, ADA), "info");
  await everyNodeKnows("presence-info", ADA.id);
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
  await everyNodeKnows("presence-crowd", ...staying);
  for (const [number, tab] of stay.entries()) {
    const { members } = tab.echo.connector.pusher.channel("presence-crowd");
    const listed = () => `${Object.keys(members.members).sort()}` === `${staying}`;
    await until(listed, `guest-${number} sees only those who stayed`);
    const balance = new Map(
      dataOf(tab, "here")
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
  test(`a whisper on a ${kind} channel is heard on the other nodes once, and not by its sender`, async (t) => {
    const listen = ({ echo, note }) => enter(echo).listenForWhisper("typing", note("typing"));
    const tabs = await openEverywhere(t, listen);
    for (const { echo } of tabs) enter(echo).whisper("typing", { from: echo.socketId() });
    for (const { heard } of tabs) await heard.times(2, "typing");
    await allHeard(`${kind}-chat`, ...tabs);
    const sockets = tabs.map(({ echo }) => echo.socketId());
    for (const [at, tab] of tabs.entries()) {
      const senders = dataOf(tab, "typing").map(({ from }) => from);
      assert.deepEqual(senders.sort(), sockets.filter((_, number) => number !== at).sort(), `on node ${at}`);
    }
  });
}

test("a whisper on a presence channel says on the other nodes who sent it", async (t) => {
  const [ada, bob] = await openEverywhere(t, ({ echo }) => echo.join("who"));
  const channel = bob.echo.connector.pusher.channel("presence-who");
  const sender = new Promise((resolve) => channel.bind("client-typing", (_, { user_id: id }) => resolve(id)));
  ada.echo.join("who").whisper("typing", {});
  assert.equal(await within(sender, "the whisper is heard"), ADA.id);
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
  const tabs = await openEverywhere(t, enter);
  for (const [n, server] of servers.entries()) await server.trigger("cache-live", "headline", { n });
  await allHeard("cache-live", ...tabs);
  for (const tab of tabs)
    assert.deepEqual(
      dataOf(tab, "headline")
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

/** A signed-in connection to the node with this number, and what is sent to its user. */
async function enter(t, number, user) {
  const pusher = await connectPusher(t, nodes[number], { application, user: application.user(user) });
  const [heard, errors, watched] = [hear(pusher.user), hearErrors(pusher), new Heard()];
  pusher.user.watchlist.bind_global((_, { name: event, user_ids: ids }) => watched.note({ event, ids }));
  await signIn(pusher);
  return { pusher, heard, errors, watched };
}

test("what is sent to a user reaches all of the user's connections on all nodes, once, and nobody else", async (t) => {
  const own = await Promise.all(numbers(3).map((number) => enter(t, number, { id: "paid" })));
  const other = await enter(t, 1, { id: "other" });
  for (const [n, server] of servers.entries()) await server.sendToUser("paid", "invoice.paid", { n });
  for (const server of servers) {
    for (const user of ["paid", "other"]) await server.sendToUser(user, "marker", {});
  }
  for (const { heard } of [...own, other]) await heard.times(3, "marker");
  for (const tab of own)
    assert.deepEqual(
      dataOf(tab, "invoice.paid")
        .map(({ n }) => n)
        .sort(),
      [0, 1, 2],
    );
  other.heard.never("invoice.paid");
});

test("terminating a user's connections closes those on all nodes for good, and nobody else's", async (t) => {
  const own = await Promise.all([0, 0, 1, 2].map((number) => enter(t, number, { id: "banned" })));
  const others = await Promise.all(numbers(3).map((number) => enter(t, number, { id: `free-${number}` })));
  await servers[1].terminateUserConnections("banned");
  for (const { pusher, errors } of own) {
    await hasState(pusher, "disconnected");
    await errors.event(4009);
  }
  for (const [number, { pusher, heard }] of others.entries()) {
    await servers[1].sendToUser(`free-${number}`, "marker", {});
    await heard.event("marker");
    assert.equal(pusher.connection.state, "connected");
  }
});

test("a watched user goes online with the first connection on any node and offline with the last", async (t) => {
  const watcher = await enter(t, 0, { id: "watcher", watchlist: ["friend", "mark-1", "mark-2"] });
  const told = (event, id) => watcher.watched.where((entry) => entry.event === event && entry.ids.includes(id), id);
  await told("offline", "friend");
  const first = await enter(t, 1, { id: "friend" });
  await told("online", "friend");
  const second = await enter(t, 2, { id: "friend" });
  await enter(t, 2, { id: "mark-2" });
  await told("online", "mark-2");
  await subscribe(first.pusher, "friends-first");
  await until(async () => (await subscriberCount(servers[0], "friends-first")) === 1, "node 0 knows the connection");
  first.pusher.disconnect();
  await until(async () => (await subscriberCount(servers[0], "friends-first")) === 0, "node 0 knows that it is gone");
  await enter(t, 1, { id: "mark-1" });
  await told("online", "mark-1");
  second.pusher.disconnect();
  await watcher.watched.where(({ event, ids }) => event === "offline" && `${ids}` === "friend", "friend goes offline");
  const changes = watcher.watched.all().filter(({ ids }) => ids.includes("friend"));
  assert.deepEqual(
    changes.map(({ event }) => event),
    ["offline", "online", "offline"],
  );
});

test("subscribers on every node hear how many they are on all nodes", async (t) => {
  const enter = ({ echo, note }) => echo.channel("counted").listen(".pusher:subscription_count", note("count"));
  const tabs = await openEverywhere(t, enter);
  const heardLast = ({ heard }, count) =>
    until(() => heard.all("count").at(-1)?.data.subscription_count === count, `the last count heard is ${count}`);
  for (const tab of tabs) await heardLast(tab, 3);
  tabs[0].echo.disconnect();
  for (const tab of tabs.slice(1)) await heardLast(tab, 2);
});

test("every node answers a back end's questions alike", async (t) => {
  const tabs = await openEverywhere(t, ({ echo }) => echo.channel("asked"));
  for (const tab of tabs) enterRoom(tab, "asked");
  for (const number of [0, 1]) enterRoom(open(t, number, ADA), "asked");
  const ask = async (server, path, info) => (await server.get({ path, params: info && { info } })).json();
  const expected = {
    "/channels/asked": { occupied: true, subscription_count: 3 },
    "/channels/presence-asked": { occupied: true, subscription_count: 5, user_count: 3 },
    "/channels/presence-asked/users": { users: USERS.map(({ id }) => ({ id })) },
    "/connections": { connections: 5 },
  };
  const infos = {
    "/channels/asked": "subscription_count",
    "/channels/presence-asked": "subscription_count,user_count",
  };
  for (const [number, server] of servers.entries()) {
    for (const [path, answer] of Object.entries(expected)) {
      let given;
      const agrees = async () => isDeepStrictEqual((given = await ask(server, path, infos[path])), answer);
      await until(agrees, `node ${number} answers ${path} right`).catch((overdue) => {
        throw new Error(`${overdue.message}; its answer: ${JSON.stringify(given)}`);
      });
    }
    const { channels } = await ask(server, "/channels", "subscription_count");
    assert.deepEqual(channels.asked, { subscription_count: 3 }, `node ${number}`);
    assert.deepEqual(channels["presence-asked"], { subscription_count: 5 }, `node ${number}`);
    const info = { info: "subscription_count,user_count" };
    const answer = await (await server.trigger("presence-asked", "said", {}, info)).json();
    assert.deepEqual(answer.channels, { "presence-asked": { subscription_count: 5, user_count: 3 } }, `node ${number}`);
  }
});

test("a node that comes later knows everything as soon as it is ready", async (t) => {
  const [ada, bob] = [open(t, 0, ADA), open(t, 1, BOB)];
  for (const tab of [ada, bob]) enterRoom(tab, "grown");
  await everyNodeKnows("presence-grown", ADA.id, BOB.id);
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
  await everyNodeKnows("presence-grown", ADA.id, BOB.id);
  nodes.pop();
  await late.stop();
});

/** A plain socket of this tenant on the node with this number, subscribed to the channel. */
async function enterTenant(t, number, tenant, channel) {
  const parameters = new URLSearchParams({ tenant_id: tenant, user_id: `${number}` });
  const client = await openSocket(t, `${nodes[number].socketUrl("/ws")}?${parameters}`);
  client.send({ type: "subscribe", channel });
  await client.heard.event("subscribed");
  return client;
}

test("tenant sockets on every node hear their tenant's events once, beside Echo, and nobody else's", async (t) => {
  const own = await Promise.all(numbers(3).map((number) => enterTenant(t, number, "7", "products.7")));
  const foreign = await Promise.all(numbers(3).map((number) => enterTenant(t, number, "8", "products.8")));
  const echoes = await openEverywhere(t, ({ echo, note }) =>
    echo.channel("products.7").listen(".updated", note("updated")),
  );
  for (const [n, server] of servers.entries()) await server.trigger("products.7", "updated", { n });
  await allHeard("products.7", ...own, ...echoes);
  await allHeard("products.8", ...foreign);
  for (const { heard } of own) {
    const updates = heard.all("updated").map(({ text }) => JSON.parse(text));
    const update = (n) => ({ type: "updated", channel: "products.7", data: { n, tenantId: "7" } });
    assert.deepEqual(
      updates.sort((one, other) => one.data.n - other.data.n),
      [0, 1, 2].map(update),
    );
  }
  for (const tab of echoes)
    assert.deepEqual(
      dataOf(tab, "updated")
        .map(({ n }) => n)
        .sort(),
      [0, 1, 2],
    );
  for (const { heard } of foreign) heard.never("updated");
});

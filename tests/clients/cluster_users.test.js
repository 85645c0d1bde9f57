// What is the same on three nodes beside channels: users and their watchlists, counts and questions, plain sockets; and
// what is kept apart: apps, and clusters that share a nats-server.

import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { isDeepStrictEqual } from "node:util";

import { startApplication } from "./support/application.js";
import { USERS, startCluster, startClusterWithApps } from "./support/cluster.js";
import { Heard, until } from "./support/deadline.js";
import { APP } from "./support/gaung.js";
import {
  backEnd,
  connectPusher,
  enterRoom,
  hasState,
  hear,
  hearErrors,
  openSocket,
  openTab,
  signIn,
  subscribe,
  subscriberCount,
} from "./support/libraries.js";
import { startNats } from "./support/nats.js";

const SETTINGS = { GAUNG_APP_SUBSCRIPTION_COUNTS: "true", GAUNG_TENANT_ACCESS: "open" };
const [ADA] = USERS;
const ALL = [0, 1, 2];

let nats;
let cluster;
let application;
let nodes;
let servers;
before(async () => {
  [nats, application] = await Promise.all([startNats(), startApplication()]);
  cluster = await startCluster(nats, SETTINGS);
  ({ nodes, servers } = cluster);
});
after(async () => {
  application?.stop();
  await cluster?.stop();
  await nats?.kill();
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
  const own = await Promise.all(ALL.map((number) => enter(t, number, { id: "paid" })));
  const other = await enter(t, 1, { id: "other" });
  for (const [n, server] of servers.entries()) await server.sendToUser("paid", "invoice.paid", { n });
  for (const server of servers) {
    for (const user of ["paid", "other"]) await server.sendToUser(user, "marker", {});
  }
  for (const { heard } of [...own, other]) await heard.times(3, "marker");
  for (const tab of own)
    assert.deepEqual(
      tab.heard
        .data("invoice.paid")
        .map(({ n }) => n)
        .sort(),
      [0, 1, 2],
    );
  other.heard.never("invoice.paid");
});

test("terminating a user's connections closes those on all nodes for good, and nobody else's", async (t) => {
  const own = await Promise.all([0, 0, 1, 2].map((number) => enter(t, number, { id: "banned" })));
  const others = await Promise.all(ALL.map((number) => enter(t, number, { id: `free-${number}` })));
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
  const tabs = await cluster.openEverywhere(t, application, enter);
  const heardLast = ({ heard }, count) =>
    until(() => heard.all("count").at(-1)?.data.subscription_count === count, `the last count heard is ${count}`);
  for (const tab of tabs) await heardLast(tab, 3);
  tabs[0].echo.disconnect();
  for (const tab of tabs.slice(1)) await heardLast(tab, 2);
});

test("every node answers a back end's questions alike", async (t) => {
  const tabs = await cluster.openEverywhere(t, application, ({ echo }) => echo.channel("asked"));
  for (const tab of tabs) enterRoom(tab, "asked");
  for (const number of [0, 1]) enterRoom(openTab(t, nodes[number], application, ADA), "asked");
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

/** A plain socket of this tenant on the node with this number, subscribed to the channel. */
async function enterTenant(t, number, tenant, channel) {
  const parameters = new URLSearchParams({ tenant_id: tenant, user_id: `${number}` });
  const client = await openSocket(t, `${nodes[number].socketUrl("/ws")}?${parameters}`);
  client.send({ type: "subscribe", channel });
  await client.heard.event("subscribed");
  return client;
}

test("tenant sockets on every node hear their tenant's events once, beside Echo, and nobody else's", async (t) => {
  const own = await Promise.all(ALL.map((number) => enterTenant(t, number, "7", "products.7")));
  const foreign = await Promise.all(ALL.map((number) => enterTenant(t, number, "8", "products.8")));
  const echoes = await cluster.openEverywhere(t, application, ({ echo, note }) =>
    echo.channel("products.7").listen(".updated", note("updated")),
  );
  for (const [n, server] of servers.entries()) await server.trigger("products.7", "updated", { n });
  await cluster.allHeard("products.7", ...own, ...echoes);
  await cluster.allHeard("products.8", ...foreign);
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
      tab.heard
        .data("updated")
        .map(({ n }) => n)
        .sort(),
      [0, 1, 2],
    );
  for (const { heard } of foreign) heard.never("updated");
});

test("two apps, and two clusters on one nats-server, share nothing but names", async (t) => {
  const apps = [
    { id: "shop", key: "shop-key", secret: "shop-secret" },
    { id: "blog.example~2", key: "blog-key", secret: "blog-secret" },
    APP,
  ];
  const folder = await mkdtemp(join(tmpdir(), "gaung-apps-"));
  t.after(() => rm(folder, { recursive: true }));
  const file = join(folder, "apps.json");
  await writeFile(file, JSON.stringify({ apps }));
  const other = await startClusterWithApps(nats, file);
  t.after(() => other.stop());
  const parties = [
    ...apps.map((app) => ({ app, nodes: other.nodes, name: `${app.id} in the other cluster` })),
    { app: APP, nodes, name: `${APP.id} in the first cluster` },
  ];
  for (const party of parties) await enterParty(t, party);
  for (const { servers, name } of parties) {
    for (const server of servers) {
      await server.trigger("presence-same", "said", { name });
      await server.sendToUser("same", "sent", { name });
    }
  }
  for (const { servers } of parties) {
    for (const server of servers) {
      await server.trigger("presence-same", "marker", {});
      await server.sendToUser("same", "sent.marker", {});
    }
  }
  for (const { tabs, servers, name } of parties) {
    for (const { room, sent } of tabs) {
      await room.heard.times(3, "marker");
      await sent.times(3, "sent.marker");
      assert.deepEqual(room.heard.data("said"), [{ name }, { name }, { name }]);
      assert.deepEqual(sent.data("sent"), [{ name }, { name }, { name }]);
      assert.deepEqual(Object.values(room.channel.members.members), [{ name }]);
      room.heard.never("pusher:member_added");
    }
    for (const server of servers) {
      await until(async () => (await subscriberCount(server, "presence-same")) === 3, `three tabs of ${name}`);
    }
  }
  await parties[0].servers[0].terminateUserConnections("same");
  for (const { pusher } of parties[0].tabs) await hasState(pusher, "disconnected");
  for (const { tabs } of parties.slice(1)) {
    for (const { pusher } of tabs) assert.equal(pusher.connection.state, "connected");
  }
});

/** A signed-in tab on each node of the party, in the same channel and as the same user as everybody else's. */
async function enterParty(t, party) {
  const { app, nodes, name } = party;
  const application = await startApplication(app);
  t.after(() => application.stop());
  const user = application.user({ id: "same", info: { name } });
  party.servers = nodes.map((node) => backEnd(node, { appId: app.id, key: app.key, secret: app.secret }));
  party.tabs = [];
  for (const node of nodes) {
    const pusher = await connectPusher(t, node, { key: app.key, application, user });
    const sent = hear(pusher.user);
    await signIn(pusher);
    party.tabs.push({ pusher, sent, room: await subscribe(pusher, "presence-same") });
  }
}

// Every call of the `pusher` package of npm, and the exact answers that it and its sisters rely on.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { startApplication } from "./support/application.js";
import { until } from "./support/deadline.js";
import { startGaung } from "./support/gaung.js";
import { backEnd, connectPusher, signIn, subscribe } from "./support/libraries.js";

let gaung;
let application;
let server;
before(async () => {
  [gaung, application] = await Promise.all([startGaung(), startApplication()]);
  server = backEnd(gaung);
});
after(async () => {
  application?.stop();
  await gaung?.stop();
});

const connectAs = (t, id) => connectPusher(t, gaung, { application, user: application.user({ id, info: {} }) });
const get = async (path, params) => (await server.get({ path, params })).json();

/** The refusal of a request: its status and its body. */
async function refusal(request) {
  const error = await request.then(
    () => assert.fail("the request should have been refused"),
    (refused) => refused,
  );
  const body = JSON.parse(error.body);
  assert.equal(body.code, error.status);
  return { status: error.status, text: body.error };
}

test("an event without a question is answered with an empty object and 200", async () => {
  for (const channels of ["orders", ["orders", "private-orders", "presence-orders"]]) {
    const response = await server.trigger(channels, "order.shipped", { n: 1 });
    assert.equal(response.status, 200);
    assert.match(response.headers.get("content-type"), /^application\/json/);
    assert.equal(await response.text(), "{}");
  }
});

test("an event that asks for counts gets them for each channel, occupied or not", async (t) => {
  const [ada, tab, bob] = [await connectAs(t, "42"), await connectAs(t, "42"), await connectAs(t, "43")];
  for (const pusher of [ada, tab, bob]) await subscribe(pusher, "presence-asked");
  await subscribe(ada, "asked");
  const channels = ["presence-asked", "asked", "cold", "presence-cold"];
  const response = await server.trigger(channels, "said", {}, { info: "user_count,subscription_count" });
  assert.deepEqual(await response.json(), {
    channels: {
      "presence-asked": { user_count: 2, subscription_count: 3 },
      asked: { subscription_count: 1 },
      cold: { subscription_count: 0 },
      "presence-cold": { user_count: 0, subscription_count: 0 },
    },
  });
});

test("a batch reaches its channels and is answered with an empty object", async (t) => {
  const pusher = await connectAs(t, "42");
  const [one, other] = [await subscribe(pusher, "batch-1"), await subscribe(pusher, "private-batch-2")];
  const response = await server.triggerBatch([
    { channel: "batch-1", name: "first", data: { n: 1 } },
    { channel: "private-batch-2", name: "second", data: "text" },
    { channel: "batch-1", name: "third", data: {}, socket_id: pusher.connection.socket_id },
    { channel: "batch-1", name: "marker", data: {} },
  ]);
  assert.equal(await response.text(), "{}");
  assert.deepEqual((await one.heard.event("first")).data, { n: 1 });
  assert.equal((await other.heard.event("second")).data, "text");
  await one.heard.event("marker");
  one.heard.never("third");
});

test("a batch in which some events ask gets a list of the same length", async (t) => {
  await subscribe(await connectAs(t, "42"), "batch-info");
  const response = await server.triggerBatch([
    { channel: "batch-info", name: "one", data: {}, info: "subscription_count" },
    { channel: "batch-info", name: "two", data: {} },
    { channel: "presence-batch-cold", name: "three", data: {}, info: "user_count,subscription_count" },
  ]);
  assert.deepEqual(await response.json(), {
    batch: [{ subscription_count: 1 }, {}, { user_count: 0, subscription_count: 0 }],
  });
});

test("an end-to-end encrypted event in a batch is heard decrypted", async (t) => {
  const { heard } = await subscribe(await connectAs(t, "42"), "private-encrypted-batch");
  await server.triggerBatch([{ channel: "private-encrypted-batch", name: "sealed", data: { n: 1 } }]);
  assert.deepEqual((await heard.event("sealed")).data, { n: 1 });
});

test("an event to a user is answered with an empty object", async () => {
  assert.equal(await (await server.sendToUser("42", "invoice.paid", {})).text(), "{}");
});

test("a server without subscribers has an empty object of channels", async (t) => {
  const empty = await startGaung();
  t.after(() => empty.stop());
  const response = await backEnd(empty).get({ path: "/channels" });
  assert.equal(await response.text(), '{"channels":{}}');
});

test("occupied channels are listed, with attributes only where they are asked for", async (t) => {
  const [ada, bob] = [await connectAs(t, "42"), await connectAs(t, "43")];
  for (const pusher of [ada, bob]) await subscribe(pusher, "presence-list-room");
  await subscribe(ada, "presence-list-lobby");
  await subscribe(ada, "list-orders");
  const all = await get("/channels");
  for (const name of ["presence-list-room", "presence-list-lobby", "list-orders"]) {
    assert.deepEqual(all.channels[name], {});
  }
  const asked = { filter_by_prefix: "presence-list-", info: "user_count,subscription_count" };
  assert.deepEqual(await get("/channels", asked), {
    channels: {
      "presence-list-room": { user_count: 2, subscription_count: 2 },
      "presence-list-lobby": { user_count: 1, subscription_count: 1 },
    },
  });
  assert.deepEqual(await get("/channels", { filter_by_prefix: "list-" }), { channels: { "list-orders": {} } });
});

test("users' own channels are not listed", async (t) => {
  const pusher = await connectAs(t, "hidden");
  await signIn(pusher);
  const { channels } = await get("/channels");
  assert.deepEqual(
    Object.keys(channels).filter((name) => name.startsWith("#")),
    [],
  );
});

test("user counts of channels that are not presence channels are refused", async () => {
  for (const params of [{ info: "user_count" }, { info: "user_count", filter_by_prefix: "private-" }]) {
    const { status } = await refusal(server.get({ path: "/channels", params }));
    assert.equal(status, 400);
  }
});

test("a channel is described as far as is asked", async (t) => {
  const [ada, tab] = [await connectAs(t, "42"), await connectAs(t, "42")];
  for (const pusher of [ada, tab]) await subscribe(pusher, "presence-described");
  assert.deepEqual(await get("/channels/presence-described"), { occupied: true });
  assert.deepEqual(await get("/channels/presence-described", { info: "user_count,subscription_count" }), {
    occupied: true,
    user_count: 1,
    subscription_count: 2,
  });
});

test("a channel that nobody uses is described with zeros", async () => {
  assert.deepEqual(await get("/channels/nobody"), { occupied: false });
  const described = await get("/channels/presence-nobody", { info: "user_count,subscription_count" });
  assert.deepEqual(described, { occupied: false, user_count: 0, subscription_count: 0 });
});

test("a cache channel tells what it keeps and for how long", async (t) => {
  await subscribe(await connectAs(t, "42"), "cache-described");
  assert.deepEqual(await get("/channels/cache-described", { info: "cache" }), { occupied: true, cache: null });
  await server.trigger("cache-described", "headline", { a: 1 });
  const { cache } = await get("/channels/cache-described", { info: "cache" });
  assert.equal(cache.data, '{"a":1}');
  assert.ok(cache.ttl > 1_790 && cache.ttl <= 1_800, `${cache.ttl} s are left`);
});

test("a channel name with every allowed character is found", async (t) => {
  const name = "private-AZaz09_-=@,.;";
  await subscribe(await connectAs(t, "42"), name);
  assert.deepEqual(await get(`/channels/${name}`), { occupied: true });
  assert.deepEqual(await get(`/channels/${encodeURIComponent(name)}`), { occupied: true });
});

test("users of a presence channel are listed once each, by text ids", async (t) => {
  for (const id of ["42", "42", 43]) await subscribe(await connectAs(t, id), "presence-users");
  const { users } = await get("/channels/presence-users/users");
  assert.deepEqual(
    users.toSorted((one, other) => one.id - other.id),
    [{ id: "42" }, { id: "43" }],
  );
});

test("a presence channel that nobody uses has no users", async () => {
  assert.deepEqual(await get("/channels/presence-nobody/users"), { users: [] });
});

test("users of a channel that has none are refused, whether or not it is used", async () => {
  assert.equal((await refusal(server.get({ path: "/channels/orders/users" }))).status, 400);
});

test("connections are counted for Laravel Pulse", async (t) => {
  const pusher = await connectAs(t, "42");
  await subscribe(pusher, "counted");
  const { connections } = await get("/connections");
  assert.ok(connections >= 1, `${connections} connections`);
});

test("a user's connections are terminated", async (t) => {
  const pusher = await connectAs(t, "thrown-out");
  await signIn(pusher);
  assert.equal(await (await server.terminateUserConnections("thrown-out")).text(), "{}");
  await until(() => pusher.connection.state === "disconnected", "the user is out");
});

test("a wrong secret, a wrong key and a foreign app are refused", async () => {
  const wrongSecret = backEnd(gaung, { secret: "guess" }).trigger("orders", "said", {});
  assert.equal((await refusal(wrongSecret)).status, 401);
  const wrongKey = backEnd(gaung, { key: "no-such-key" }).get({ path: "/channels" });
  assert.equal((await refusal(wrongKey)).status, 401);
  const foreignApp = backEnd(gaung, { appId: "7" }).trigger("orders", "said", {});
  assert.equal((await refusal(foreignApp)).status, 404);
});

test("data over the limit is refused with the limit, the size and the setting", async (t) => {
  const { status, text } = await refusal(server.trigger("orders", "said", "x".repeat(10_241)));
  assert.equal(status, 413);
  assert.match(text, /content of this event/);
  assert.match(text, /10,?240/);
  assert.match(text, /10,?241/);
  assert.match(text, /max_event_bytes/i);
  const { heard } = await subscribe(await connectAs(t, "42"), "largest");
  await server.trigger("largest", "said", "x".repeat(10_240));
  assert.equal((await heard.event("said")).data.length, 10_240);
});

test("a batch over the limit is refused whole", async (t) => {
  const { heard } = await subscribe(await connectAs(t, "42"), "large-batch");
  const event = () => ({ channel: "large-batch", name: "said", data: {} });
  const tooMany = await refusal(server.triggerBatch([...Array(11)].map(event)));
  assert.equal(tooMany.status, 400);
  assert.match(tooMany.text, /Batch too large/);
  const oneTooLarge = await refusal(server.triggerBatch([event(), { ...event(), data: "x".repeat(10_241) }]));
  assert.equal(oneTooLarge.status, 413);
  await server.trigger("large-batch", "marker", {});
  await heard.event("marker");
  heard.never("said");
});

test("what the package would not send is refused too", async () => {
  const valid = { name: "said", channel: "orders", data: "{}" };
  const invalid = [
    { ...valid, name: undefined },
    { ...valid, name: "" },
    { ...valid, name: "n".repeat(201) },
    { ...valid, name: "pusher:error" },
    { ...valid, name: "pusher_internal:member_added" },
    { ...valid, data: undefined },
    { ...valid, channel: undefined },
    { ...valid, channel: "two words" },
    { ...valid, channel: "c".repeat(201) },
    { ...valid, channel: undefined, channels: [] },
    { ...valid, channel: undefined, channels: [...Array(101).keys()].map((n) => `many-${n}`) },
  ];
  for (const body of invalid) {
    assert.equal((await refusal(server.post({ path: "/events", body }))).status, 400, JSON.stringify(body));
  }
});

// Webhooks, verified with the `pusher` package as its documentation says.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { startApplication } from "./support/application.js";
import { APP, startGaung } from "./support/gaung.js";
import { backEnd, connectPusher, subscribe } from "./support/libraries.js";

/** Departures are held back for 3 s; the rest is time to spare. */
const DELAYED = 10_000;

let gaung;
let application;
let server;
before(async () => {
  application = await startApplication();
  gaung = await startGaung({
    GAUNG_APP_CLIENT_EVENTS: "true",
    GAUNG_APP_SUBSCRIPTION_COUNTS: "true",
    GAUNG_APP_WEBHOOKS: JSON.stringify([
      { url: `${application.url}/webhooks` },
      {
        url: `${application.url}/webhooks/filtered`,
        event_types: ["channel_occupied", "client_event"],
        filter: { channel_name_starts_with: "private-", channel_name_ends_with: "-beta" },
        headers: { "X-Custom": "v", "X-Pusher-Key": "forged" },
      },
      { url: `${application.url}/webhooks/batched`, event_types: ["channel_occupied"], batching: true },
    ]),
  });
  server = backEnd(gaung);
});
after(async () => {
  application?.stop();
  await gaung?.stop();
});

const connectAs = (t, id) => connectPusher(t, gaung, { application, user: application.user({ id, info: { id } }) });

/** All webhook events of this channel that one endpoint has received. */
const received = (channel, endpoint = "/webhooks") =>
  application.posts
    .all(endpoint)
    .flatMap(({ events }) => events)
    .filter((event) => event.channel === channel);

/** Until this event of this channel has arrived `count` times; all of them. */
async function webhook(name, channel, { count = 1, endpoint = "/webhooks" } = {}) {
  const matching = () => received(channel, endpoint).filter((event) => event.name === name);
  await application.posts.where(() => matching().length >= count, `${name} of ${channel}`, DELAYED);
  return matching();
}

const names = (channel) =>
  received(channel)
    .map(({ name }) => name)
    .filter((name) => name !== "subscription_count");

test("a webhook is signed over its exact body, in title case, as application/json and nothing more", async (t) => {
  await subscribe(await connectAs(t, "42"), "signed");
  await webhook("channel_occupied", "signed");
  const [post] = application.posts.all("/webhooks");
  assert.ok(post.valid);
  assert.equal(post.headers["content-type"], "application/json");
  assert.equal(post.headers["x-pusher-key"], APP.key);
  for (const header of ["X-Pusher-Key", "X-Pusher-Signature", "Content-Type"]) {
    assert.ok(post.rawHeaders.includes(header), `${header} in ${post.rawHeaders}`);
  }
  const { time_ms: time } = JSON.parse(post.body);
  assert.ok(Number.isInteger(time) && Math.abs(Date.now() - time) < 60_000, `created at ${time}`);
});

test("every event has an id of its own, which all endpoints are told", async (t) => {
  await subscribe(await connectAs(t, "42"), "private-identified-beta");
  const idsAt = async (endpoint) => {
    await webhook("channel_occupied", "private-identified-beta", { endpoint });
    const posts = application.posts.all(endpoint).filter(({ body }) => body.includes("private-identified-beta"));
    return posts.find(({ body }) => body.includes("channel_occupied")).ids;
  };
  const [id] = await idsAt("/webhooks/filtered");
  assert.match(id, /^[0-9a-f]{32}-[0-9]+$/);
  assert.deepEqual(await idsAt("/webhooks"), [id]);
  const all = application.posts.all("/webhooks").flatMap(({ ids }) => ids);
  assert.equal(new Set(all).size, all.length);
});

test("a channel is occupied by its first subscriber and vacated by its last", async (t) => {
  const [ada, bob] = [await connectAs(t, "42"), await connectAs(t, "43")];
  for (const pusher of [ada, bob]) await subscribe(pusher, "occupied");
  assert.deepEqual(await webhook("channel_occupied", "occupied"), [{ name: "channel_occupied", channel: "occupied" }]);
  ada.disconnect();
  bob.unsubscribe("occupied");
  assert.deepEqual(await webhook("channel_vacated", "occupied"), [{ name: "channel_vacated", channel: "occupied" }]);
  assert.deepEqual(names("occupied"), ["channel_occupied", "channel_vacated"]);
});

test("a channel that is vacated and occupied again at once causes nothing", async (t) => {
  const pusher = await connectAs(t, "42");
  await subscribe(pusher, "flapping");
  await webhook("channel_occupied", "flapping");
  pusher.unsubscribe("flapping");
  await subscribe(pusher, "flapping");
  await subscribe(pusher, "after-flapping");
  pusher.unsubscribe("after-flapping");
  await webhook("channel_vacated", "after-flapping");
  assert.deepEqual(names("flapping"), ["channel_occupied"]);
});

test("members come and go by user, not by connection, and by text ids", async (t) => {
  const [tab, otherTab, bob] = [await connectAs(t, 42), await connectAs(t, 42), await connectAs(t, "43")];
  for (const pusher of [tab, otherTab, bob]) await subscribe(pusher, "presence-room");
  const added = await webhook("member_added", "presence-room", { count: 2 });
  assert.deepEqual(added, [
    { name: "member_added", channel: "presence-room", user_id: "42" },
    { name: "member_added", channel: "presence-room", user_id: "43" },
  ]);
  tab.disconnect();
  bob.disconnect();
  const removed = await webhook("member_removed", "presence-room");
  assert.deepEqual(removed, [{ name: "member_removed", channel: "presence-room", user_id: "43" }]);
  otherTab.disconnect();
  await webhook("member_removed", "presence-room", { count: 2 });
  await webhook("channel_vacated", "presence-room");
});

test("a client event is reported with its data as text and its sender", async (t) => {
  const [ada, bob] = [await connectAs(t, "42"), await connectAs(t, "43")];
  const [atAda] = [await subscribe(ada, "presence-chat"), await subscribe(bob, "presence-chat")];
  atAda.channel.trigger("client-typing", { who: "Ada" });
  const [event] = await webhook("client_event", "presence-chat");
  assert.deepEqual(event, {
    name: "client_event",
    channel: "presence-chat",
    event: "client-typing",
    data: '{"who":"Ada"}',
    socket_id: ada.connection.socket_id,
    user_id: "42",
  });
});

test("a client event on a private channel has no user", async (t) => {
  const ada = await connectAs(t, "42");
  const { channel } = await subscribe(ada, "private-chat");
  channel.trigger("client-typing", {});
  const [event] = await webhook("client_event", "private-chat");
  assert.ok(!("user_id" in event), JSON.stringify(event));
});

test("an empty cache channel is reported once, however many subscribers find it empty", async (t) => {
  const [ada, bob] = [await connectAs(t, "42"), await connectAs(t, "43")];
  for (const pusher of [ada, bob]) {
    const { heard } = await subscribe(pusher, "cache-empty");
    await heard.event("pusher:cache_miss");
  }
  await subscribe(ada, "after-cache-empty");
  await webhook("channel_occupied", "after-cache-empty");
  assert.deepEqual(await webhook("cache_miss", "cache-empty"), [{ name: "cache_miss", channel: "cache-empty" }]);
});

test("the number of subscribers is reported as a number", async (t) => {
  await subscribe(await connectAs(t, "42"), "counted");
  const [event] = await webhook("subscription_count", "counted");
  assert.deepEqual(event, { name: "subscription_count", channel: "counted", subscription_count: 1 });
});

test("an endpoint gets only what it asked for, with its headers, which cannot replace the signature", async (t) => {
  const ada = await connectAs(t, "42");
  const channels = ["private-new-beta", "private-new", "new-beta"];
  for (const name of channels) await subscribe(ada, name);
  ada.channel("private-new-beta").trigger("client-typing", {});
  await webhook("client_event", "private-new-beta", { endpoint: "/webhooks/filtered" });
  for (const name of ["private-new", "new-beta"]) await webhook("channel_occupied", name);
  const isOurs = ({ events }) => channels.includes(events[0].channel);
  const posts = application.posts.all("/webhooks/filtered").filter(isOurs);
  const events = posts.flatMap((post) => post.events.map(({ name, channel }) => `${name} ${channel}`));
  assert.deepEqual(events, ["channel_occupied private-new-beta", "client_event private-new-beta"]);
  for (const post of posts) {
    assert.ok(post.valid);
    assert.equal(post.headers["x-custom"], "v");
    assert.equal(post.headers["x-pusher-key"], APP.key);
  }
});

test("without batching each post carries one event; with it, those of one moment share one", async (t) => {
  const ada = await connectAs(t, "42");
  const channels = [...Array(20).keys()].map((n) => `at-once-${n}`);
  await Promise.all(channels.map((name) => subscribe(ada, name)));
  for (const name of channels) await webhook("channel_occupied", name);
  for (const name of channels) await webhook("channel_occupied", name, { endpoint: "/webhooks/batched" });
  const carried = (endpoint) => application.posts.all(endpoint).map(({ events }) => events.length);
  assert.deepEqual([...new Set(carried("/webhooks"))], [1]);
  assert.ok(Math.max(...carried("/webhooks/batched")) > 1, `batches of ${carried("/webhooks/batched")}`);
});

test("a post that failed is repeated until it is taken", async (t) => {
  const patient = await startApplication();
  patient.webhookStatuses = [500, 302];
  const webhooks = JSON.stringify([{ url: `${patient.url}/webhooks`, event_types: ["channel_occupied"] }]);
  const other = await startGaung({ GAUNG_APP_WEBHOOKS: webhooks });
  t.after(async () => {
    await other.stop();
    patient.stop();
  });
  const pusher = await connectPusher(t, other);
  await subscribe(pusher, "stubborn");
  const posts = await patient.posts.times(3, "/webhooks", DELAYED);
  assert.ok(posts.every(({ valid }) => valid));
  assert.equal(new Set(posts.map(({ ids }) => ids[0])).size, 1);
  const stubborn = [{ name: "channel_occupied", channel: "stubborn" }];
  assert.deepEqual(
    posts.map(({ events }) => events),
    [stubborn, stubborn, stubborn],
  );
  await subscribe(pusher, "next");
  await patient.posts.times(4, "/webhooks", DELAYED);
  assert.deepEqual(patient.posts.all()[3].events, [{ name: "channel_occupied", channel: "next" }]);
  pusher.disconnect();
});

test("webhooks that wait are sent before the server goes", async (t) => {
  const receiver = await startApplication();
  const webhooks = JSON.stringify([
    { url: `${receiver.url}/webhooks`, event_types: ["channel_occupied", "channel_vacated"] },
  ]);
  const leaving = await startGaung({ GAUNG_APP_WEBHOOKS: webhooks });
  t.after(() => receiver.stop());
  const pusher = await connectPusher(t, leaving);
  await subscribe(pusher, "last");
  pusher.disconnect();
  await leaving.stop();
  const events = receiver.posts
    .all()
    .flatMap((post) => post.events)
    .map(({ name }) => name);
  assert.deepEqual(events, ["channel_occupied", "channel_vacated"]);
});

test("an app that has not asked for counts gets no webhook of them", async (t) => {
  const receiver = await startApplication();
  const quiet = await startGaung({ GAUNG_APP_WEBHOOKS: JSON.stringify([{ url: `${receiver.url}/webhooks` }]) });
  const pusher = await connectPusher(t, quiet);
  await subscribe(pusher, "uncounted");
  await receiver.posts.event("/webhooks");
  pusher.disconnect();
  await quiet.stop();
  receiver.stop();
  const events = receiver.posts
    .all()
    .flatMap((post) => post.events)
    .map(({ name }) => name);
  assert.deepEqual(events, ["channel_occupied", "channel_vacated"]);
});

test("nothing is reported of a user's own channel", async (t) => {
  const ada = await connectAs(t, "42");
  ada.signin();
  await ada.user.signinDonePromise;
  await subscribe(ada, "after-sign-in");
  await webhook("channel_occupied", "after-sign-in");
  await server.sendToUser("42", "invoice.paid", {});
  assert.ok(application.posts.all().every(({ body }) => !body.includes("#server-to-user")));
});

// Every kind of channel, as pusher-js sees it.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { startApplication } from "./support/application.js";
import { until } from "./support/deadline.js";
import { startGaung } from "./support/gaung.js";
import {
  backEnd,
  connectPusher,
  hear,
  hearErrors,
  hearMessages,
  subscribe,
  subscriberCount,
} from "./support/libraries.js";

const KINDS = [
  ["public", ""],
  ["private", "private-"],
  ["private-encrypted", "private-encrypted-"],
  ["presence", "presence-"],
  ["cache", "cache-"],
  ["private-cache", "private-cache-"],
  ["private-encrypted-cache", "private-encrypted-cache-"],
  ["presence-cache", "presence-cache-"],
];
const CACHE_KINDS = KINDS.filter(([kind]) => kind.includes("cache"));

const PAYLOAD = { id: 7, note: 'é / ü \\ " \u2028 🙂', nested: { empty: {}, list: [1, null, true] } };

let gaung;
let application;
let ada;
let server;
before(async () => {
  [gaung, application] = await Promise.all([startGaung(), startApplication()]);
  ada = application.user({ id: "42", info: { name: "Ada" } });
  server = backEnd(gaung);
});
after(async () => {
  application?.stop();
  await gaung?.stop();
});

const connectAda = (t) => connectPusher(t, gaung, { application, user: ada });

for (const [kind, prefix] of KINDS) {
  test(`a subscriber of a ${kind} channel hears what is triggered`, async (t) => {
    const { heard } = await subscribe(await connectAda(t), `${prefix}orders`);
    await server.trigger(`${prefix}orders`, "order.shipped", PAYLOAD);
    assert.deepEqual((await heard.event("order.shipped")).data, PAYLOAD);
  });
}

for (const [kind, prefix] of CACHE_KINDS) {
  test(`a new subscriber of a ${kind} channel gets the last event, which was sent to nobody`, async (t) => {
    await server.trigger(`${prefix}news`, "headline", { n: 1 });
    await server.trigger(`${prefix}news`, "headline", { n: 2 });
    const { heard } = await subscribe(await connectAda(t), `${prefix}news`);
    await server.trigger(`${prefix}news`, "later", {});
    await heard.event("later");
    const published = heard.all().filter(({ event }) => !event.startsWith("pusher"));
    assert.deepEqual(published, [
      { event: "headline", data: { n: 2 } },
      { event: "later", data: {} },
    ]);
    heard.never("pusher:cache_miss");
  });

  test(`a subscriber of an empty ${kind} channel is told so, after it has been let in`, async (t) => {
    const { heard } = await subscribe(await connectAda(t), `${prefix}empty`);
    await heard.event("pusher:cache_miss");
    assert.deepEqual(heard.names().slice(0, 2), ["pusher:subscription_succeeded", "pusher:cache_miss"]);
  });
}

test("an event triggered on many channels is heard on each of them once", async (t) => {
  const pusher = await connectAda(t);
  const names = ["many-1", "private-many-2", "presence-many-3"];
  const channels = await Promise.all(names.map((name) => subscribe(pusher, name)));
  await server.trigger([...names, "many-1"], "to.all", { n: 1 });
  await server.trigger(names, "marker", {});
  for (const { heard } of channels) {
    await heard.event("marker");
    assert.equal(heard.all("to.all").length, 1);
  }
});

test("events of one channel arrive in the order in which they were triggered", async (t) => {
  const { heard } = await subscribe(await connectAda(t), "in-order");
  for (let n = 0; n < 50; n += 1) await server.trigger("in-order", "step", { n });
  const steps = await heard.times(50, "step");
  assert.deepEqual(
    steps.map(({ data }) => data.n),
    [...Array(50).keys()],
  );
});

test("the excluded socket hears nothing and the others do", async (t) => {
  const [sender, other] = await Promise.all([connectAda(t), connectAda(t)]);
  const atSender = await subscribe(sender, "private-chat");
  const atOther = await subscribe(other, "private-chat");
  await server.trigger("private-chat", "said", {}, { socket_id: sender.connection.socket_id });
  await server.trigger("private-chat", "marker", {});
  await atOther.heard.event("said");
  await atSender.heard.event("marker");
  atSender.heard.never("said");
});

test("an unknown excluded socket changes nothing", async (t) => {
  const { heard } = await subscribe(await connectAda(t), "nobody-excluded");
  await server.trigger("nobody-excluded", "said", {}, { socket_id: "1.1" });
  await heard.event("said");
});

test("data that is a string and not JSON arrives as that string", async (t) => {
  const { heard } = await subscribe(await connectAda(t), "strings");
  await server.trigger("strings", "text", "just words");
  await server.trigger("strings", "empty", "");
  assert.equal((await heard.event("text")).data, "just words");
  assert.equal((await heard.event("empty")).data, "");
});

test("event names may have backslashes, dots, blanks and accents", async (t) => {
  const { heard } = await subscribe(await connectAda(t), "names");
  for (const name of ["App\\Events\\Order Shipped", "order.shipped", "livré à 8 h"]) {
    await server.trigger("names", name, {});
    await heard.event(name);
  }
});

test("channel names may have every character that the protocol allows", async (t) => {
  const name = "private-AZaz09_-=@,.;";
  const { heard } = await subscribe(await connectAda(t), name);
  await server.trigger(name, "said", {});
  await heard.event("said");
});

test("a client that unsubscribes hears no more", async (t) => {
  const [leaver, stayer] = await Promise.all([connectAda(t), connectAda(t)]);
  const messages = hearMessages(leaver);
  await subscribe(leaver, "left");
  await subscribe(leaver, "stayed");
  const atStayer = await subscribe(stayer, "left");
  leaver.unsubscribe("left");
  await until(async () => (await subscriberCount(server, "left")) === 1, "one subscriber is left");
  await server.trigger("left", "said", {});
  await atStayer.heard.event("said");
  await server.trigger("stayed", "marker", {});
  await messages.event("marker");
  messages.never("said");
});

test("unsubscribe and subscribe in one tick end subscribed, once", async (t) => {
  const pusher = await connectAda(t);
  await subscribe(pusher, "private-flip");
  pusher.unsubscribe("private-flip");
  const again = hear(pusher.subscribe("private-flip"));
  await again.event("pusher:subscription_succeeded");
  assert.equal(await subscriberCount(server, "private-flip"), 1);
  await server.trigger("private-flip", "said", {});
  await server.trigger("private-flip", "marker", {});
  await again.event("marker");
  assert.equal(again.all("said").length, 1);
});

test("a subscription cancelled before its answer ends unsubscribed", async (t) => {
  const pusher = await connectAda(t);
  pusher.subscribe("private-cancelled");
  pusher.unsubscribe("private-cancelled");
  await subscribe(pusher, "private-after");
  await until(async () => (await subscriberCount(server, "private-cancelled")) === 0, "nobody subscribes");
});

for (const prefix of ["private-", "private-encrypted-", "private-cache-", "presence-", "presence-cache-"]) {
  test(`a forged signature for a ${prefix} channel is refused and the connection stays`, async (t) => {
    const mallory = application.user({ id: "66", info: {}, forged: true });
    const pusher = await connectPusher(t, gaung, { application, user: mallory });
    const errors = hearErrors(pusher);
    const heard = hear(pusher.subscribe(`${prefix}secret`));
    const refusal = await heard.event("pusher:subscription_error");
    assert.equal(refusal.data.type, "AuthError");
    assert.equal(refusal.data.status, 401);
    assert.equal((await errors.event(4009)).event, 4009);
    assert.equal((await heard.event("pusher:error")).data.code, 4009);
    await subscribe(pusher, "public-still-works");
    assert.equal(pusher.connection.state, "connected");
    heard.never("pusher:subscription_succeeded");
  });
}

test("a channel that the application forbids does not disturb the others", async (t) => {
  const pusher = await connectAda(t);
  const refusal = await hear(pusher.subscribe("private-forbidden")).event("pusher:subscription_error");
  assert.equal(refusal.data.status, 403);
  await subscribe(pusher, "private-allowed");
});

const INVALID_NAMES = [
  ["a blank", "two words"],
  ["an accent", "café"],
  ["a colon", "private:room"],
  ["more than 200 characters", "c".repeat(201)],
];
for (const [what, name] of INVALID_NAMES) {
  test(`a channel name with ${what} is refused and the connection stays`, async (t) => {
    const pusher = await connectAda(t);
    const heard = hear(pusher.subscribe(name));
    const refusal = await heard.event("pusher:subscription_error");
    assert.equal(refusal.data.type, "InvalidChannel");
    assert.equal(refusal.data.status, 400);
    await subscribe(pusher, "valid");
  });
}

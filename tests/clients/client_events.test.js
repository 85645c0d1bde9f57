// Events from client to client, as pusher-js sends and hears them.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { startApplication } from "./support/application.js";
import { startGaung } from "./support/gaung.js";
import { backEnd, connectPusher, hearErrors, leave, subscribe } from "./support/libraries.js";

let gaung;
let application;
let server;
before(async () => {
  [gaung, application] = await Promise.all([startGaung({ GAUNG_APP_CLIENT_EVENTS: "true" }), startApplication()]);
  server = backEnd(gaung);
});
after(async () => {
  application?.stop();
  await gaung?.stop();
});

/** A connection of this user, subscribed to the channel. */
async function enter(t, channel, id = "42", on = gaung) {
  const user = application.user({ id, info: {} });
  const pusher = await connectPusher(t, on, { application, user });
  return { pusher, errors: hearErrors(pusher), ...(await subscribe(pusher, channel)) };
}

for (const channel of ["private-chat", "private-cache-chat", "presence-chat", "presence-cache-chat"]) {
  test(`a client event on ${channel} reaches the others and not its sender`, async (t) => {
    const [ada, bob] = [await enter(t, channel), await enter(t, channel, "43")];
    ada.channel.trigger("client-typing", { who: "Ada" });
    assert.deepEqual((await bob.heard.event("client-typing")).data, { who: "Ada" });
    await server.trigger(channel, "marker", {});
    await ada.heard.event("marker");
    ada.heard.never("client-typing");
  });
}

test("a client event on a presence channel says who sent it", async (t) => {
  const [ada, bob] = [await enter(t, "presence-who", "42"), await enter(t, "presence-who", "43")];
  const sender = new Promise((resolve) =>
    bob.channel.bind("client-typing", (_, metadata) => resolve(metadata.user_id)),
  );
  ada.channel.trigger("client-typing", {});
  assert.equal(await sender, "42");
});

test("a client event on a private channel has no sender", async (t) => {
  const [ada, bob] = [await enter(t, "private-anonymous"), await enter(t, "private-anonymous", "43")];
  const metadata = new Promise((resolve) => bob.channel.bind("client-typing", (_, sender) => resolve(sender)));
  ada.channel.trigger("client-typing", {});
  assert.deepEqual(await metadata, {});
});

test("a sender cannot name another one", async (t) => {
  const [ada, bob] = [await enter(t, "presence-forged", "42"), await enter(t, "presence-forged", "43")];
  const sender = new Promise((resolve) =>
    bob.channel.bind("client-typing", (_, metadata) => resolve(metadata.user_id)),
  );
  const frame = { event: "client-typing", channel: "presence-forged", data: {}, user_id: "1" };
  ada.pusher.connection.send(JSON.stringify(frame));
  assert.equal(await sender, "42");
});

test("text, numbers and nothing at all arrive as they were sent", async (t) => {
  const [ada, bob] = [await enter(t, "private-any"), await enter(t, "private-any", "43")];
  for (const [name, data] of [
    ["client-text", "words"],
    ["client-number", 7],
    ["client-list", [1, "2"]],
  ]) {
    ada.channel.trigger(name, data);
    assert.deepEqual((await bob.heard.event(name)).data, data);
  }
  ada.channel.trigger("client-nothing");
  assert.deepEqual((await bob.heard.event("client-nothing")).data, {});
});

test("client events are not cached", async (t) => {
  const [ada, bob] = [await enter(t, "private-cache-fresh"), await enter(t, "private-cache-fresh", "43")];
  ada.channel.trigger("client-typing", {});
  await bob.heard.event("client-typing");
  const late = await enter(t, "private-cache-fresh", "44");
  await late.heard.event("pusher:cache_miss");
  late.heard.never("client-typing");
});

test("a client event on a public channel is refused and heard by nobody", async (t) => {
  const [ada, bob] = [await enter(t, "lobby"), await enter(t, "lobby", "43")];
  ada.channel.trigger("client-typing", {});
  await ada.heard.event("pusher:error");
  await server.trigger("lobby", "marker", {});
  await bob.heard.event("marker");
  bob.heard.never("client-typing");
  assert.equal(ada.pusher.connection.state, "connected");
});

test("a client event on a channel that its sender has not entered is refused", async (t) => {
  const bob = await enter(t, "private-closed", "43");
  const ada = await enter(t, "private-open", "42");
  ada.pusher.send_event("client-typing", {}, "private-closed");
  await ada.errors.where(() => true, "an error");
  await server.trigger("private-closed", "marker", {});
  await bob.heard.event("marker");
  bob.heard.never("client-typing");
});

test("a client that sends too many events is told so, keeps its connection, and the surplus is dropped", async (t) => {
  const [ada, bob] = [await enter(t, "private-flood"), await enter(t, "private-flood", "43")];
  for (let n = 0; n < 100; n += 1) ada.channel.trigger("client-typing", { n });
  const error = await ada.heard.event("pusher:error");
  assert.equal(error.data.code, 4301);
  assert.match(error.data.message, /10/);
  await subscribe(ada.pusher, "private-everything-has-been-read");
  await server.trigger("private-flood", "marker", {});
  await bob.heard.event("marker");
  const arrived = bob.heard.all("client-typing").length;
  assert.ok(arrived >= 10 && arrived < 50, `${arrived} of 100 arrived`);
  assert.equal(ada.pusher.connection.state, "connected");
});

test("a client event with too much data or too long a name is refused with 4301", async (t) => {
  const [ada, bob] = [await enter(t, "private-large"), await enter(t, "private-large", "43")];
  ada.channel.trigger("client-large", "x".repeat(10_241));
  await ada.heard.times(1, "pusher:error");
  ada.channel.trigger(`client-${"n".repeat(200)}`, {});
  const errors = await ada.heard.times(2, "pusher:error");
  assert.deepEqual(
    errors.map(({ data }) => data.code),
    [4301, 4301],
  );
  ada.channel.trigger("client-fits", "x".repeat(10_000));
  await bob.heard.event("client-fits");
  assert.deepEqual(
    bob.heard.names().filter((name) => name.startsWith("client-")),
    ["client-fits"],
  );
});

test("an app without client events refuses them with 4301 on the channel", async (t) => {
  const silent = await startGaung();
  t.after(() => silent.stop());
  const [ada, bob] = [await enter(t, "private-silent", "42", silent), await enter(t, "private-silent", "43", silent)];
  ada.channel.trigger("client-typing", {});
  assert.equal((await ada.heard.event("pusher:error")).data.code, 4301);
  await backEnd(silent).trigger("private-silent", "marker", {});
  await bob.heard.event("marker");
  bob.heard.never("client-typing");
  for (const { pusher } of [ada, bob]) await leave(pusher);
});

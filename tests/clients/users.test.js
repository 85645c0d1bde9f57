// Signed-in users: what is sent to them, whom they watch, and how they are thrown out.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { startApplication } from "./support/application.js";
import { Heard, until } from "./support/deadline.js";
import { startGaung } from "./support/gaung.js";
import {
  backEnd,
  connectPusher,
  hasState,
  hear,
  hearErrors,
  hearMessages,
  leave,
  openPusher,
  signIn,
  subscribe,
} from "./support/libraries.js";

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

/** A signed-in connection, with everything that was sent to its user or told of its watchlist. */
async function enter(t, user) {
  const pusher = await connectPusher(t, gaung, { application, user: application.user(user) });
  const [heard, watched] = [hear(pusher.user), new Heard()];
  pusher.user.watchlist.bind_global((_, change) => watched.note({ event: change.name, ids: change.user_ids }));
  const [messages, errors] = [hearMessages(pusher), hearErrors(pusher)];
  await signIn(pusher);
  return { pusher, heard, watched, messages, errors };
}

test("a sign-in is confirmed with the user data that the application signed", async (t) => {
  const { pusher, messages } = await enter(t, { id: "u-1", info: { name: "Ada / é" }, watchlist: ["u-9"] });
  const signed = { id: "u-1", user_info: { name: "Ada / é" }, watchlist: ["u-9"] };
  assert.deepEqual(pusher.user.user_data, signed);
  assert.equal((await messages.event("pusher:signin_success")).data.user_data, JSON.stringify(signed));
});

test("a sign-in whose id is a number, as Laravel sends it, works", async (t) => {
  const { pusher, heard } = await enter(t, { id: 4711, info: { name: "Ada" } });
  assert.equal(pusher.user.user_data.id, "4711");
  await server.sendToUser("4711", "invoice.paid", { n: 1 });
  assert.deepEqual((await heard.event("invoice.paid")).data, { n: 1 });
});

test("what is sent to a user reaches all of the user's connections, once each, and nobody else's", async (t) => {
  const [first, second] = [await enter(t, { id: "u-2" }), await enter(t, { id: "u-2" })];
  const other = await enter(t, { id: "u-3" });
  await server.sendToUser("u-2", "invoice.paid", { n: 1 });
  await server.sendToUser("u-2", "marker", {});
  await server.sendToUser("u-3", "marker", {});
  for (const { heard } of [first, second]) {
    await heard.event("marker");
    assert.deepEqual(heard.all("invoice.paid"), [{ event: "invoice.paid", data: { n: 1 } }]);
  }
  await other.heard.event("marker");
  other.heard.never("invoice.paid");
});

test("nobody may listen to what is sent to another user", async (t) => {
  const eve = await enter(t, { id: "u-4" });
  eve.pusher.send_event("pusher:subscribe", { auth: "", channel: "#server-to-user-u-5" });
  await eve.messages.where(
    ({ event, channel }) => event === "pusher:subscription_error" && channel === "#server-to-user-u-5",
    "a refusal",
  );
  await server.sendToUser("u-5", "secret", {});
  await server.sendToUser("u-4", "marker", {});
  await eve.messages.event("marker");
  eve.messages.never("secret");
});

test("a client that has not signed in may not listen to a user's events", async (t) => {
  const pusher = await connectPusher(t, gaung);
  const messages = hearMessages(pusher);
  pusher.send_event("pusher:subscribe", { auth: "", channel: "#server-to-user-u-5" });
  await messages.event("pusher:subscription_error");
  assert.equal(pusher.connection.state, "connected");
});

test("a presence channel takes the signed-in user where the application names none", async (t) => {
  const ada = await enter(t, { id: "u-6", info: { name: "Ada" } });
  const { channel } = await subscribe(ada.pusher, "presence-signed-in");
  assert.deepEqual(channel.members.members, { "u-6": { name: "Ada" } });
  assert.equal(channel.members.me.id, "u-6");
});

test("a presence channel without member and without sign-in is refused", async (t) => {
  const pusher = await connectPusher(t, gaung, { application, user: application.user({ id: "u-6" }) });
  const messages = hearMessages(pusher);
  const { auth } = backEnd(gaung).authorizeChannel(pusher.connection.socket_id, "presence-signed-in");
  pusher.send_event("pusher:subscribe", { auth, channel: "presence-signed-in" });
  await messages.event("pusher:subscription_error");
  assert.equal(pusher.connection.state, "connected");
});

test("a watcher learns who is there and then who comes and goes", async (t) => {
  const present = await enter(t, { id: "w-2" });
  const watcher = await enter(t, { id: "w-1", watchlist: ["w-2", "w-3"] });
  assert.deepEqual((await watcher.watched.event("online")).ids, ["w-2"]);
  assert.deepEqual((await watcher.watched.event("offline")).ids, ["w-3"]);
  const comer = await enter(t, { id: "w-3" });
  assert.deepEqual((await watcher.watched.times(2, "online"))[1].ids, ["w-3"]);
  await leave(comer.pusher);
  assert.deepEqual((await watcher.watched.times(2, "offline"))[1].ids, ["w-3"]);
  present.watched.never("online");
});

test("a watched user with two connections goes offline with the second", async (t) => {
  const [first, second] = [await enter(t, { id: "w-5" }), await enter(t, { id: "w-5" })];
  const watcher = await enter(t, { id: "w-4", watchlist: ["w-5", "w-6"] });
  await watcher.watched.event("online");
  await leave(first.pusher);
  await enter(t, { id: "w-6" });
  await watcher.watched.times(2, "online");
  assert.deepEqual(
    watcher.watched.all("offline").map(({ ids }) => ids),
    [["w-6"]],
  );
  await leave(second.pusher);
  await watcher.watched.where(({ event, ids }) => event === "offline" && ids.includes("w-5"), "w-5 goes offline");
});

test("a watchlist of more than a hundred is cut with an error, and the sign-in succeeds", async (t) => {
  const watchlist = [...Array(101).keys()].map((n) => `many-${n}`);
  const watcher = await enter(t, { id: "w-7", watchlist });
  assert.equal((await watcher.errors.event(4302)).event, 4302);
  const { ids } = await watcher.watched.event("offline");
  assert.deepEqual([...ids].sort(), watchlist.slice(0, 100).sort());
  assert.equal(watcher.pusher.connection.state, "connected");
});

test("a forged sign-in is refused and the connection keeps its public channels", async (t) => {
  const mallory = application.user({ id: "u-7", forged: true });
  const pusher = await connectPusher(t, gaung, { application, user: mallory });
  const errors = hearErrors(pusher);
  pusher.signin();
  await errors.event(4009);
  await subscribe(pusher, "lobby");
  assert.equal(pusher.user.user_data, null);
  assert.equal(pusher.connection.state, "connected");
});

test("terminating a user's connections closes all of them for good, and nobody else's", async (t) => {
  const [first, second] = [await enter(t, { id: "u-8" }), await enter(t, { id: "u-8" })];
  const other = await enter(t, { id: "u-9" });
  const response = await server.terminateUserConnections("u-8");
  assert.equal(await response.text(), "{}");
  for (const { pusher, errors } of [first, second]) {
    await hasState(pusher, "disconnected");
    await errors.event(4009);
  }
  await server.sendToUser("u-9", "marker", {});
  await other.heard.event("marker");
  assert.equal(other.pusher.connection.state, "connected");
});

test("terminating a user whom nobody knows is no problem", async () => {
  const response = await server.terminateUserConnections("nobody");
  assert.equal(response.status, 200);
  assert.equal(await response.text(), "{}");
});

test("a client signs in again by itself when it connects again", async (t) => {
  const ada = await enter(t, { id: "u-10" });
  ada.pusher.disconnect();
  ada.pusher.connect();
  await ada.messages.times(2, "pusher:signin_success");
  await until(() => ada.pusher.user.serverToUserChannel?.subscribed, "the user's channel is subscribed");
  await server.sendToUser("u-10", "welcome.back", {});
  await ada.heard.event("welcome.back");
});

test("a sign-in asked for before the connection stands is made when it does", async (t) => {
  const pusher = openPusher(t, gaung, { application, user: application.user({ id: "u-11" }) });
  await signIn(pusher);
  assert.equal(pusher.user.user_data.id, "u-11");
});

// Laravel Echo with the options of Laravel's own `echo.js`, against events as Laravel names them.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { startApplication } from "./support/application.js";
import { Heard, until } from "./support/deadline.js";
import { startGaung } from "./support/gaung.js";
import { backEnd, openEcho, subscriberCount } from "./support/libraries.js";

const SETTINGS = { GAUNG_APP_CLIENT_EVENTS: "true", GAUNG_APP_SUBSCRIPTION_COUNTS: "true" };

let gaung;
let application;
let server;
before(async () => {
  [gaung, application] = await Promise.all([startGaung(SETTINGS), startApplication()]);
  server = backEnd(gaung);
});
after(async () => {
  application?.stop();
  await gaung?.stop();
});

/** Echo of a user, and what its callbacks were given. */
function open(t, { id = "42", name = "Ada", ...options } = {}) {
  const user = application.user({ id, info: { id, name } });
  const echo = openEcho(t, gaung, { application, user, ...options });
  const heard = new Heard();
  const note = (event) => (data) => heard.note({ event, data });
  return { echo, heard, note };
}

for (const broadcaster of ["reverb", "pusher"]) {
  test(`the ${broadcaster} broadcaster connects`, async (t) => {
    const { echo } = open(t, { broadcaster, cluster: "" });
    await until(() => echo.connectionStatus() === "connected", "Echo is connected");
    assert.match(echo.socketId(), /^\d+\.\d+$/);
  });
}

test("changes of the connection are reported", async (t) => {
  const { echo, heard } = open(t);
  echo.connector.onConnectionChange((status) => heard.note({ event: status }));
  await heard.event("connected");
  echo.disconnect();
  await heard.event("disconnected");
});

const CHANNELS = [
  ["public", "orders", (echo) => echo.channel("orders")],
  ["private", "private-orders.1", (echo) => echo.private("orders.1")],
  ["encrypted private", "private-encrypted-orders.1", (echo) => echo.encryptedPrivate("orders.1")],
  ["presence", "presence-orders.1", (echo) => echo.join("orders.1")],
  ["cache", "cache-orders", (echo) => echo.channel("cache-orders")],
  ["private cache", "private-cache-orders", (echo) => echo.private("cache-orders")],
  ["presence cache", "presence-cache-orders", (echo) => echo.join("cache-orders")],
];
for (const [kind, name, enter] of CHANNELS) {
  test(`a listener on a ${kind} channel hears an event of the application by its short name`, async (t) => {
    const { echo, heard, note } = open(t);
    enter(echo).subscribed(note("subscribed")).listen("OrderShipped", note("shipped"));
    await heard.event("subscribed");
    await server.trigger(name, "App\\Events\\OrderShipped", { order: { id: 7, note: "é / ü" } });
    assert.deepEqual((await heard.event("shipped")).data, { order: { id: 7, note: "é / ü" } });
  });
}

test("an event with its own name is heard behind a dot, until nobody listens", async (t) => {
  const { echo, heard, note } = open(t);
  const shipped = note("shipped");
  const channel = echo.channel("named").subscribed(note("subscribed")).listen(".order.shipped", shipped);
  channel.listen(".marker", note("marker"));
  await heard.event("subscribed");
  await server.trigger("named", "order.shipped", {});
  await heard.event("shipped");
  channel.stopListening(".order.shipped", shipped);
  await server.trigger("named", "order.shipped", {});
  await server.trigger("named", "marker", {});
  await heard.event("marker");
  assert.equal(heard.all("shipped").length, 1);
});

test("a listener to everything hears everything with its name", async (t) => {
  const { echo, heard, note } = open(t);
  echo
    .channel("all")
    .subscribed(note("subscribed"))
    .listenToAll((event, data) => heard.note({ event, data }));
  await heard.event("subscribed");
  await server.trigger("all", "App\\Events\\OrderShipped", { n: 1 });
  await server.trigger("all", "order.shipped", { n: 2 });
  assert.deepEqual((await heard.event("OrderShipped")).data, { n: 1 });
  assert.deepEqual((await heard.event(".order.shipped")).data, { n: 2 });
});

test("a notification is heard on its user's channel", async (t) => {
  const { echo, heard, note } = open(t);
  echo.private("App.Models.User.42").subscribed(note("subscribed")).notification(note("notified"));
  await heard.event("subscribed");
  const name = "Illuminate\\Notifications\\Events\\BroadcastNotificationCreated";
  await server.trigger("private-App.Models.User.42", name, { id: "n-1", type: "invoice" });
  assert.deepEqual((await heard.event("notified")).data, { id: "n-1", type: "invoice" });
});

test("here, joining and leaving tell users, and nobody of themselves", async (t) => {
  const [ada, bob] = [open(t), open(t, { id: "43", name: "Bob" })];
  const enter = ({ echo, note }) =>
    echo
      .join("room")
      .here(note("here"))
      .joining(note("joining"))
      .leaving(note("leaving"))
      .listen(".marker", note("marker"));
  enter(ada);
  assert.deepEqual((await ada.heard.event("here")).data, [{ id: "42", name: "Ada" }]);
  enter(bob);
  assert.deepEqual((await bob.heard.event("here")).data, [
    { id: "42", name: "Ada" },
    { id: "43", name: "Bob" },
  ]);
  assert.deepEqual((await ada.heard.event("joining")).data, { id: "43", name: "Bob" });
  await server.trigger("presence-room", "marker", {});
  await bob.heard.event("marker");
  bob.heard.never("joining");
  bob.echo.leave("room");
  assert.deepEqual((await ada.heard.event("leaving")).data, { id: "43", name: "Bob" });
});

for (const [kind, enter] of [
  ["private", (echo) => echo.private("chat")],
  ["presence", (echo) => echo.join("chat")],
]) {
  test(`a client event on a ${kind} channel is heard by the others`, async (t) => {
    const [ada, bob] = [open(t), open(t, { id: "43", name: "Bob" })];
    const channels = [ada, bob].map(({ echo, note }) =>
      enter(echo)
        .subscribed(note("subscribed"))
        .listenForWhisper("typing", note("typing"))
        .listen(".marker", note("marker")),
    );
    await Promise.all([ada, bob].map(({ heard }) => heard.event("subscribed")));
    channels[0].whisper("typing", { name: "Ada" });
    assert.deepEqual((await bob.heard.event("typing")).data, { name: "Ada" });
    await server.trigger(`${kind}-chat`, "marker", {});
    await ada.heard.event("marker");
    ada.heard.never("typing");
  });
}

test("toOthers leaves out the socket that Echo names", async (t) => {
  const [ada, bob] = [open(t), open(t, { id: "43", name: "Bob" })];
  for (const { echo, note } of [ada, bob]) {
    echo
      .private("others")
      .subscribed(note("subscribed"))
      .listen("Said", note("said"))
      .listen(".marker", note("marker"));
  }
  await Promise.all([ada, bob].map(({ heard }) => heard.event("subscribed")));
  await server.trigger("private-others", "App\\Events\\Said", {}, { socket_id: ada.echo.socketId() });
  await server.trigger("private-others", "marker", {});
  await bob.heard.event("said");
  await ada.heard.event("marker");
  ada.heard.never("said");
});

test("a channel that the application forbids calls error", async (t) => {
  const { echo, heard, note } = open(t);
  echo.private("forbidden").error(note("refused"));
  assert.equal((await heard.event("refused")).data.status, 403);
});

test("a channel whose signature is wrong calls error", async (t) => {
  const heard = new Heard();
  const mallory = application.user({ id: "66", info: {}, forged: true });
  const echo = openEcho(t, gaung, { application, user: mallory });
  echo.private("orders.1").error((data) => heard.note({ event: "refused", data }));
  assert.equal((await heard.event("refused")).data.status, 401);
});

test("leave unsubscribes every kind of the channel", async (t) => {
  const { echo, heard, note } = open(t);
  const entered = [echo.channel("left"), echo.private("left"), echo.encryptedPrivate("left"), echo.join("left")];
  for (const channel of entered) channel.subscribed(note("subscribed"));
  await heard.times(4, "subscribed");
  echo.leave("left");
  for (const name of ["left", "private-left", "private-encrypted-left", "presence-left"]) {
    await until(async () => (await subscriberCount(server, name)) === 0, `${name} is left`);
  }
});

test("the last event of a cache channel is heard on arrival, and an empty one says so", async (t) => {
  await server.trigger("cache-news", "App\\Events\\Headline", { n: 1 });
  const { echo, heard, note } = open(t);
  echo.channel("cache-news").listen("Headline", note("headline"));
  echo.channel("cache-quiet").listen(".pusher:cache_miss", note("miss"));
  assert.deepEqual((await heard.event("headline")).data, { n: 1 });
  await heard.event("miss");
});

test("the number of subscribers is heard", async (t) => {
  const { echo, heard, note } = open(t);
  echo.channel("counted").listen(".pusher:subscription_count", note("count"));
  assert.deepEqual((await heard.event("count")).data, { subscription_count: 1 });
});

test("a signed-in user hears what is sent to them and can be thrown out", async (t) => {
  const { echo, heard, note } = open(t, { id: "signed-in" });
  echo.connector.pusher.user.bind("invoice.paid", note("paid"));
  echo.connector.onConnectionChange((status) => heard.note({ event: status }));
  echo.connector.signin();
  await until(() => echo.connector.pusher.user.serverToUserChannel?.subscribed, "the user is signed in");
  await server.sendToUser("signed-in", "invoice.paid", { n: 1 });
  assert.deepEqual((await heard.event("paid")).data, { n: 1 });
  await server.terminateUserConnections("signed-in");
  await heard.event("disconnected");
  assert.equal(echo.connectionStatus(), "disconnected");
});

test("a watched user's arrival is heard", async (t) => {
  const watcher = application.user({ id: "watcher", info: {}, watchlist: ["watched"] });
  const heard = new Heard();
  const echo = openEcho(t, gaung, { application, user: watcher });
  echo.connector.pusher.user.watchlist.bind("offline", ({ user_ids: data }) => heard.note({ event: "offline", data }));
  echo.connector.pusher.user.watchlist.bind("online", ({ user_ids: data }) => heard.note({ event: "online", data }));
  echo.connector.signin();
  assert.deepEqual((await heard.event("offline")).data, ["watched"]);
  open(t, { id: "watched" }).echo.connector.signin();
  assert.deepEqual((await heard.event("online")).data, ["watched"]);
});

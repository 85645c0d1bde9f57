// How pusher-js connects and why it stops.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { until } from "./support/deadline.js";
import { startGaung } from "./support/gaung.js";
import {
  backEnd,
  connectPusher,
  hasState,
  hearErrors,
  hearMessages,
  leave,
  openPusher,
  openSocket,
  subscribe,
} from "./support/libraries.js";

let gaung;
before(async () => (gaung = await startGaung()));
after(() => gaung?.stop());

test("a client connects and learns its socket id and when to ping", async (t) => {
  const pusher = await connectPusher(t, gaung);
  assert.match(pusher.connection.socket_id, /^\d{1,10}\.\d{1,10}$/);
  assert.equal(pusher.connection.activityTimeout, 30_000);
});

test("two clients have different socket ids", async (t) => {
  const [one, other] = await Promise.all([connectPusher(t, gaung), connectPusher(t, gaung)]);
  assert.notEqual(one.connection.socket_id, other.connection.socket_id);
});

test("a quiet client's ping is answered and the connection stays", async (t) => {
  const pusher = openPusher(t, gaung, { activityTimeout: 100, pongTimeout: 2_000 });
  const errors = hearErrors(pusher);
  const messages = hearMessages(pusher);
  await messages.times(3, "pusher:pong");
  assert.deepEqual(messages.all("pusher:pong")[0].data, {});
  assert.equal(pusher.connection.state, "connected");
  assert.deepEqual(errors.all(), []);
});

test("an unknown key stops the client for good and says why", async (t) => {
  const pusher = openPusher(t, gaung, { key: "no-such-key" });
  const errors = hearErrors(pusher);
  const states = [];
  pusher.connection.bind("state_change", ({ current }) => states.push(current));
  await hasState(pusher, "disconnected");
  const [error] = errors.all();
  assert.equal(error.event, 4001);
  assert.match(error.message, /does not exist/i);
  assert.deepEqual(states, ["disconnected"]);
});

test("an unknown key is told in a frame and in the close code, after a completed upgrade", async (t) => {
  const { heard, closed } = await openSocket(t, gaung.socketUrl("/app/no-such-key?protocol=7"));
  const error = await heard.event("pusher:error");
  assert.equal(error.data.code, 4001);
  assert.equal((await closed).code, 4001);
});

test("a full app stops the next client with 4004, until another has left", async (t) => {
  const full = await startGaung({ GAUNG_APP_MAX_CONNECTIONS: "1" });
  t.after(() => full.stop());
  const first = await connectPusher(t, full);
  const second = openPusher(t, full);
  assert.equal((await hearErrors(second).where(() => true, "an error")).event, 4004);
  await hasState(second, "disconnected");
  await leave(first);
  await until(async () => {
    second.connect();
    await until(() => second.connection.state !== "connecting", "an answer");
    return second.connection.state === "connected";
  }, "there is room again");
  second.disconnect();
});

test("a client that disconnects is gone from the channel list", async (t) => {
  const server = backEnd(gaung);
  const pusher = await connectPusher(t, gaung);
  await subscribe(pusher, "gone-tomorrow");
  await leave(pusher);
  await until(async () => {
    const { channels } = await (await server.get({ path: "/channels" })).json();
    return !("gone-tomorrow" in channels);
  }, "the channel is vacated");
});

test("a client that connects again hears its channels again", async (t) => {
  const pusher = await connectPusher(t, gaung);
  const { heard } = await subscribe(pusher, "again");
  pusher.disconnect();
  pusher.connect();
  await heard.times(2, "pusher:subscription_succeeded");
  await backEnd(gaung).trigger("again", "welcome.back", {});
  await heard.event("welcome.back");
});

test("a client connects below a path prefix", async (t) => {
  const prefixed = await startGaung({ GAUNG_PATH_PREFIX: "/sockets" });
  t.after(() => prefixed.stop());
  const pusher = await connectPusher(t, prefixed);
  assert.match(pusher.connection.socket_id, /^\d+\.\d+$/);
  pusher.disconnect();
});

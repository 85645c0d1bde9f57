// docs/examples/sign-in with stock clients and a Laravel application: one sign-in for many channels, and one request for
// many signatures.

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { after, before, test } from "node:test";

import { rememberAuthorizations } from "../../docs/examples/history/gaung-authorizer.js";
import { authorizeTogether } from "../../docs/examples/sign-in/gaung-many-channels.js";
import { signInForChannels } from "../../docs/examples/sign-in/gaung-sign-in.js";
import { startApplication } from "./support/application.js";
import { startBalancer } from "./support/balancer.js";
import { Heard } from "./support/deadline.js";
import { startGaung } from "./support/gaung.js";
import { LARAVEL_PATIENCE, startLaravel } from "./support/laravel.js";
import { backEnd, connectPusher, hear, openPusher } from "./support/libraries.js";
import { behind, isAwayFor, openEchoPage, pageKey } from "./support/pages.js";

const SETTINGS = {
  GAUNG_APP_HISTORY: "*=120s:1000",
  GAUNG_RECEIPT_SECONDS: "1",
  GAUNG_PAGE_DOUBT_SECONDS: "0",
};
const SIGN_IN = "/broadcasting/user-auth";
const AUTH = "/broadcasting/auth";
const AUTH_MANY = "/broadcasting/auth-many";

/** What a page of user 42 shows. */
const ORDERS = [...Array(38).keys()].map((order) => `orders.${order + 1}`);
const OWN = "App.Models.User.42";
const CHANNELS = [...ORDERS, OWN].map((name) => `private-${name}`).concat("presence-office");

let gaung;
let laravel;
let application;
before(async () => {
  [gaung, laravel, application] = await Promise.all([startGaung(SETTINGS), startLaravel(), startApplication()]);
});
after(async () => {
  laravel?.stop();
  application?.stop();
  await gaung?.stop();
});

/** An Echo of user 42 with its forty channels; `prepare` is what its page does first. Each channel's events are heard. */
function openForty(t, balancer, prepare) {
  const echo = openEchoPage(t, balancer, { application: laravel, user: laravel.user("42") });
  prepare(echo.connector.pusher, echo);
  const channels = [...ORDERS, OWN].map((name) => echo.private(name)).concat(echo.join("office"));
  const heard = channels.map((channel) => {
    const listener = new Heard();
    channel.subscribed((members) => listener.note({ event: "subscribed", data: members }));
    channel.error((problem) => listener.note({ event: "error", data: problem }));
    channel.listen(".numbered", (data) => listener.note({ event: "numbered", data }));
    return listener;
  });
  return { echo, heard };
}

async function areSubscribed(heard, times) {
  for (const listener of heard) await listener.times(times, "subscribed", LARAVEL_PATIENCE);
}

/** What a first load and a reconnect of forty channels ask the application. The page hears everything meanwhile. */
async function loadAndReconnect(t, prepare) {
  const balancer = await startBalancer(t, gaung);
  const before = laravel.asked().length;
  const { echo, heard } = openForty(t, balancer, prepare);
  await areSubscribed(heard, 1);
  const loaded = laravel.asked().slice(before);
  await isAwayFor(balancer, echo.connector.pusher, () => publishToAll(1));
  await areSubscribed(heard, 2);
  await publishToAll(2);
  for (const listener of heard) {
    await listener.times(2, "numbered");
    assert.deepEqual(listener.data("numbered"), [{ n: 1 }, { n: 2 }]);
    assert.deepEqual(listener.all("error"), []);
  }
  return { loaded, reconnected: laravel.asked().slice(before + loaded.length) };
}

async function publishToAll(n) {
  const server = backEnd(gaung);
  for (const channel of CHANNELS) await server.trigger(channel, "numbered", { n });
}

const fortyTimes = (path) => Array(40).fill(path);

test("forty channels of a stock Echo cost forty requests, and forty after a reconnect", async (t) => {
  const { loaded, reconnected } = await loadAndReconnect(t, () => {});
  assert.deepEqual(loaded, fortyTimes(AUTH));
  assert.deepEqual(reconnected, fortyTimes(AUTH));
});

test("forty channels by one sign-in cost one request, and none after a reconnect", async (t) => {
  const { loaded, reconnected } = await loadAndReconnect(t, (pusher) => signInForChannels(pusher));
  assert.deepEqual(loaded, [SIGN_IN]);
  assert.deepEqual(reconnected, []);
});

test("forty channels that are asked for together cost one request, and one after a reconnect", async (t) => {
  const { loaded, reconnected } = await loadAndReconnect(t, together);
  assert.deepEqual(loaded, [AUTH_MANY]);
  assert.deepEqual(reconnected, [AUTH_MANY]);
});

test("forty channels that are asked for together and remembered cost no request after a reconnect", async (t) => {
  const { loaded, reconnected } = await loadAndReconnect(t, (pusher, echo) => {
    together(pusher, echo);
    rememberAuthorizations(pusher);
  });
  assert.deepEqual(loaded, [AUTH_MANY]);
  assert.deepEqual(reconnected, []);
});

test("some channels by the sign-in and the others together cost two requests, and one after a reconnect", async (t) => {
  const { loaded, reconnected } = await loadAndReconnect(t, (pusher, echo) => {
    together(pusher, echo);
    signInForChannels(pusher, (channel) => channel.startsWith("private-orders."));
  });
  assert.deepEqual(loaded.sort(), [AUTH_MANY, SIGN_IN]);
  assert.deepEqual(reconnected, [AUTH_MANY]);
});

function together(pusher, echo) {
  authorizeTogether(pusher, { endpoint: `${laravel.url}${AUTH_MANY}`, headers: echo.connector.options.auth.headers });
}

test("docs/sign-in.md shows the routes that are tested here", async () => {
  const docs = new URL("../../docs/", import.meta.url);
  const page = await readFile(new URL("sign-in.md", docs), "utf8");
  for (const route of ["sign-in.php", "many-channels.php"]) {
    const [, code] = (await readFile(new URL(`examples/sign-in/${route}`, docs), "utf8")).split(/^(?=Route::)/m);
    assert.ok(page.includes(`\`\`\`php\n${code}\`\`\`\n`), route);
  }
});

test("a page joins presence channels as the user whom Laravel signed in", async (t) => {
  const balancer = await startBalancer(t, gaung);
  const echo = openEchoPage(t, balancer, { application: laravel, user: laravel.user("43") });
  signInForChannels(echo.connector.pusher);
  const { data: members } = await hear(echo.connector.pusher.subscribe("presence-office")).event(
    "pusher:subscription_succeeded",
  );
  assert.deepEqual(members.me, { id: "43", info: { name: "User 43" } });
});

test("what routes/channels.php refuses is no part of the sign-in", async (t) => {
  const balancer = await startBalancer(t, gaung);
  const echo = openEchoPage(t, balancer, { application: laravel, user: laravel.user("13") });
  signInForChannels(echo.connector.pusher);
  const own = hear(echo.connector.pusher.subscribe("private-orders.1"));
  await own.event("pusher:subscription_succeeded");
  for (const channel of ["presence-office", "private-orders.39", "private-App.Models.User.42"]) {
    const { data } = await hear(echo.connector.pusher.subscribe(channel)).event("pusher:subscription_error");
    assert.deepEqual({ type: data.type, status: data.status }, { type: "AuthError", status: 401 });
    assert.match(data.error, /does not name the channel/);
  }
});

test("what routes/channels.php refuses is refused alone when many are asked for", async (t) => {
  const balancer = await startBalancer(t, gaung);
  const echo = openEchoPage(t, balancer, { application: laravel, user: laravel.user("13") });
  together(echo.connector.pusher, echo);
  const [own, office, other] = ["private-orders.1", "presence-office", "private-orders.39"].map((channel) =>
    hear(echo.connector.pusher.subscribe(channel)),
  );
  await own.event("pusher:subscription_succeeded");
  assert.match((await office.event("pusher:subscription_error")).data.error, /presence-office was refused/);
  await other.event("pusher:subscription_error");
});

test("nobody is signed in or given a channel whom Laravel does not know", async (t) => {
  const stranger = { application: laravel, user: { token: "stranger" } };
  const impatient = await startGaung({ ...SETTINGS, GAUNG_APP_SIGN_IN_WITHIN_SECONDS: "1" });
  t.after(() => impatient.stop());
  const balancer = await startBalancer(t, impatient);
  const signer = openEchoPage(t, balancer, stranger);
  const heard = hear(signer.connector.pusher.user);
  signInForChannels(signer.connector.pusher);
  const order = hear(signer.connector.pusher.subscribe("private-orders.1"));
  assert.equal((await heard.event("pusher:signin_error")).data.status, 403);
  const { data } = await order.event("pusher:subscription_error", LARAVEL_PATIENCE);
  assert.match(data.error, /no sign-in came within 1 s \(app setting sign_in_within_seconds\)/);

  const asker = openEchoPage(t, balancer, stranger);
  together(asker.connector.pusher, asker);
  const refused = await hear(asker.connector.pusher.subscribe("private-orders.1")).event("pusher:subscription_error");
  assert.match(refused.data.error, /private-orders.1 was refused/);
});

test("a socket id that is none is not signed", async () => {
  const headers = { Authorization: "Bearer 42", Accept: "application/json", "Content-Type": "application/json" };
  for (const socket_id of ["1.2:private-orders.39", "1.2\n", "", 12, ["1.2"], "1.2::user::{}"]) {
    const body = JSON.stringify({ socket_id, channel_names: ["private-orders.1"] });
    for (const path of [SIGN_IN, AUTH_MANY]) {
      const response = await fetch(`${laravel.url}${path}`, { method: "POST", headers, body });
      assert.equal(response.status, 422, `${path} ${JSON.stringify(socket_id)}`);
    }
  }
});

test("more than a hundred channels are asked for in requests of a hundred, in one tick and in no other", async (t) => {
  const balancer = await startBalancer(t, gaung);
  const before = laravel.asked().length;
  const echo = openEchoPage(t, balancer, { application: laravel, user: laravel.user("42") });
  together(echo.connector.pusher, echo);
  const many = [...Array(101).keys()].map((n) => hear(echo.connector.pusher.subscribe(`private-orders.${n + 1}`)));
  await many[0].event("pusher:subscription_succeeded", LARAVEL_PATIENCE);
  await many[100].event("pusher:subscription_error", LARAVEL_PATIENCE);
  assert.deepEqual(laravel.asked().slice(before), [AUTH_MANY, AUTH_MANY]);
});

/** A user of the application on Node who has these channels by the sign-in, on pusher-js. */
function openSignedIn(t, server, options = {}) {
  const user = application.user({ id: "7", info: { name: "Ada" }, channels: ["private-orders.*"], ...options });
  const pusher = openPusher(t, server, { key: pageKey(), application, user });
  return pusher;
}

test("encrypted channels, and those that the page excepts, are asked for as before", async (t) => {
  const pusher = openSignedIn(t, gaung);
  signInForChannels(pusher, (channel) => channel !== "private-excepted");
  const channels = ["private-orders.excepted", "private-encrypted-excepted", "private-excepted"];
  for (const channel of channels) await hear(pusher.subscribe(channel)).event("pusher:subscription_succeeded");
  assert.deepEqual(application.authorizations.names(), channels.slice(1));
  const stock = openSignedIn(t, gaung);
  signInForChannels(stock);
  await hear(stock.subscribe("private-encrypted-stock")).event("pusher:subscription_succeeded");
  assert.deepEqual(application.authorizations.names(), [...channels.slice(1), "private-encrypted-stock"]);
});

test("a channel that is subscribed later costs no request", async (t) => {
  const pusher = openSignedIn(t, gaung);
  const before = application.signIns.all().length;
  signInForChannels(pusher);
  for (const channel of ["private-orders.first", "private-orders.later"]) {
    await hear(pusher.subscribe(channel)).event("pusher:subscription_succeeded");
  }
  assert.equal(application.signIns.all().length, before + 1);
});

test("a new socket id signs in anew, and so does one after a disconnect", async (t) => {
  const forgetful = await startGaung({ ...SETTINGS, GAUNG_SOCKET_ID_SECONDS: "0" });
  t.after(() => forgetful.stop());
  const balancer = await startBalancer(t, forgetful);
  const pusher = openSignedIn(t, behind(balancer));
  const before = application.signIns.all().length;
  signInForChannels(pusher);
  const heard = hear(pusher.subscribe("private-orders.anew"));
  await heard.event("pusher:subscription_succeeded");
  await isAwayFor(balancer, pusher, async () => {});
  await heard.times(2, "pusher:subscription_succeeded", LARAVEL_PATIENCE);
  assert.equal(application.signIns.all().length, before + 2);
  const kept = openSignedIn(t, gaung);
  signInForChannels(kept);
  const again = hear(kept.subscribe("private-orders.again"));
  await again.event("pusher:subscription_succeeded");
  kept.disconnect();
  kept.connect();
  await again.times(2, "pusher:subscription_succeeded");
  assert.equal(application.signIns.all().length, before + 4);
});

test("a sign-in that the server refuses refuses its channels, and is asked for again", async (t) => {
  const balancer = await startBalancer(t, gaung);
  const pusher = openSignedIn(t, behind(balancer), { forged: true });
  const before = application.signIns.all().length;
  signInForChannels(pusher);
  const heard = hear(pusher.subscribe("private-orders.forged"));
  assert.match((await heard.event("pusher:subscription_error")).data.error, /the sign-in was refused/);
  balancer.cut();
  await heard.times(2, "pusher:subscription_error", LARAVEL_PATIENCE);
  assert.equal(application.signIns.all().length, before + 2);
});

test("a terminated user has no right left", async (t) => {
  const pusher = openSignedIn(t, gaung, { id: "terminated" });
  signInForChannels(pusher);
  await hear(pusher.subscribe("private-orders.terminated")).event("pusher:subscription_succeeded");
  await backEnd(gaung).terminateUserConnections("terminated");
  const stranger = await connectPusher(t, gaung, {
    channelAuthorization: { customHandler: (_, callback) => callback(null, { auth: "" }) },
  });
  const { data } = await hear(stranger.subscribe("private-orders.terminated")).event("pusher:subscription_error");
  assert.equal(data.status, 401);
});

test("where the application does not answer for many, each of them hears why", async (t) => {
  const pusher = openPusher(t, gaung);
  authorizeTogether(pusher, { endpoint: `${application.url}/no-such-route` });
  const heard = ["private-a", "presence-b"].map((channel) => hear(pusher.subscribe(channel)));
  for (const listener of heard) {
    assert.match((await listener.event("pusher:subscription_error")).data.error, /no-such-route answered 404/);
  }
});

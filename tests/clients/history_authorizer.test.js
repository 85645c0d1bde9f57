// docs/examples/history/gaung-authorizer.js with stock clients that name themselves: a reconnect costs the application no
// request, as long as the page keeps its socket id.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { rememberAuthorizations } from "../../docs/examples/history/gaung-authorizer.js";
import { startApplication } from "./support/application.js";
import { startBalancer } from "./support/balancer.js";
import { startGaung } from "./support/gaung.js";
import { backEnd, hear, openPusher } from "./support/libraries.js";
import {
  RECONNECT_PATIENCE,
  areResumed,
  behind,
  hearEcho,
  isAwayFor,
  numbersOf,
  openEchoPage,
  pageKey,
  publish,
} from "./support/pages.js";

/** Beyond the first connection. */
const RECONNECTS = 3;
const SETTINGS = { GAUNG_APP_HISTORY: "*=120s:1000", GAUNG_RECEIPT_SECONDS: "1", GAUNG_PAGE_DOUBT_SECONDS: "0" };

let gaung;
let application;
before(async () => {
  [gaung, application] = await Promise.all([startGaung(SETTINGS), startApplication()]);
});
after(async () => {
  application?.stop();
  await gaung?.stop();
});

const user = () => application.user({ id: "42", info: { name: "Ada" } });

/** Which channels were asked for at the application. */
const asked = (...channels) => application.authorizations.names().filter((channel) => channels.includes(channel));

/** Cuts the page so often, and publishes on its channels each time. */
async function cut(server, balancer, pusher, channels, listeners) {
  for (let times = 1; times <= RECONNECTS; times += 1) {
    await isAwayFor(balancer, pusher, async () => {
      for (const channel of channels) await publish(server, channel, times);
    });
    await areResumed(listeners, times);
  }
}

function heardEach(listeners) {
  for (const heard of listeners) assert.deepEqual([...new Set(numbersOf(heard))], [1, 2, 3]);
}

test("four connections of pusher-js cost one request for each channel", async (t) => {
  const balancer = await startBalancer(t, gaung);
  const pusher = openPusher(t, behind(balancer), { key: pageKey(), application, user: user() });
  rememberAuthorizations(pusher);
  const channels = ["private-once", "presence-once", "private-encrypted-once", "private-encrypted-twice"];
  const listeners = channels.map((name) => hear(pusher.subscribe(name)));
  for (const heard of listeners) await heard.event("pusher:subscription_succeeded");
  await cut(backEnd(gaung), balancer, pusher, channels, listeners);
  heardEach(listeners);
  assert.deepEqual(asked(...channels).sort(), [...channels].sort());
});

test("four connections of Echo cost one request for each channel", async (t) => {
  const balancer = await startBalancer(t, gaung);
  const echo = openEchoPage(t, balancer, { application, user: user() });
  rememberAuthorizations(echo.connector.pusher);
  const listeners = await hearEcho([echo.private("echo"), echo.join("echo"), echo.encryptedPrivate("echo")]);
  const channels = ["private-echo", "presence-echo", "private-encrypted-echo"];
  await cut(backEnd(gaung), balancer, echo.connector.pusher, channels, listeners);
  heardEach(listeners);
  assert.deepEqual(asked(...channels).sort(), [...channels].sort());
});

test("a new socket id asks anew, and is heard", async (t) => {
  const forgetful = await startGaung({ ...SETTINGS, GAUNG_SOCKET_ID_SECONDS: "0" });
  t.after(() => forgetful.stop());
  const balancer = await startBalancer(t, forgetful);
  const pusher = openPusher(t, behind(balancer), { key: pageKey(), application, user: user() });
  rememberAuthorizations(pusher);
  const heard = hear(pusher.subscribe("private-anew"));
  await heard.event("pusher:subscription_succeeded");
  await cut(backEnd(forgetful), balancer, pusher, ["private-anew"], [heard]);
  heardEach([heard]);
  assert.equal(asked("private-anew").length, 1 + RECONNECTS);
  const sockets = application.authorizations.all("private-anew").map(({ socket }) => socket);
  assert.equal(new Set(sockets).size, 1 + RECONNECTS);
});

test("a channel that is left and subscribed again on one socket is not asked for again", async (t) => {
  const pusher = openPusher(t, gaung, { key: pageKey(), application, user: user() });
  rememberAuthorizations(pusher);
  for (const name of ["private-again", "private-encrypted-again"]) {
    for (let times = 0; times < 3; times += 1) {
      await hear(pusher.subscribe(name)).event("pusher:subscription_succeeded");
      pusher.unsubscribe(name);
    }
    assert.equal(asked(name).length, 1);
  }
});

test("after a disconnect the application is asked again, because somebody else may be signed in", async (t) => {
  const pusher = openPusher(t, gaung, { key: pageKey(), application, user: user() });
  rememberAuthorizations(pusher);
  const heard = hear(pusher.subscribe("private-signed-out"));
  await heard.event("pusher:subscription_succeeded");
  pusher.disconnect();
  pusher.connect();
  await heard.times(2, "pusher:subscription_succeeded");
  assert.equal(asked("private-signed-out").length, 2);
});

test("what the server refuses is asked for again", async (t) => {
  const balancer = await startBalancer(t, gaung);
  const forged = application.user({ id: "42", info: {}, forged: true });
  const pusher = openPusher(t, behind(balancer), { key: pageKey(), application, user: forged });
  rememberAuthorizations(pusher);
  const heard = hear(pusher.subscribe("private-forged"));
  await heard.event("pusher:error");
  balancer.cut();
  await heard.times(2, "pusher:error", RECONNECT_PATIENCE);
  assert.equal(asked("private-forged").length, 2);
});

test("what the application refuses is asked for again", async (t) => {
  const balancer = await startBalancer(t, gaung);
  const pusher = openPusher(t, behind(balancer), { key: pageKey(), application, user: user() });
  rememberAuthorizations(pusher);
  const heard = hear(pusher.subscribe("private-forbidden"));
  await heard.event("pusher:subscription_error");
  balancer.cut();
  await heard.times(2, "pusher:subscription_error", RECONNECT_PATIENCE);
  assert.equal(asked("private-forbidden").length, 2);
});

// Those who come from another server: its settings, and its clients with the options that its users have set.

import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";

import PusherJs from "pusher-js";

import { startApplication } from "./support/application.js";
import { Heard, until } from "./support/deadline.js";
import { APP, startGaungWith, startGaungWithApps } from "./support/gaung.js";
import { backEnd, openEcho, subscribe, subscriberCount } from "./support/libraries.js";

/** The variables of an `.env` that name the app. */
const credentials = (owner) => ({
  [`${owner}_APP_ID`]: APP.id,
  [`${owner}_APP_KEY`]: APP.key,
  [`${owner}_APP_SECRET`]: APP.secret,
});

/** The server, and an application that admits users to channels; both end after the clients of the test's parts. */
async function serve(t, starting) {
  const [gaung, application] = await Promise.all([starting, startApplication()]);
  t.after(async () => {
    application.stop();
    await gaung.stop();
  });
  return { gaung, application };
}

/** Two tabs of Echo on a private channel hear the back end, and one hears the other's client event. */
async function checkEcho(t, { gaung, application }, options, backEndOptions = {}) {
  const tab = (id) => {
    const user = application.user({ id, info: { id, name: id } });
    return openEcho(t, gaung, { application, user, ...options });
  };
  const server = backEnd(gaung, backEndOptions);
  const [ada, bob] = [tab("1"), tab("2")];
  const heard = new Heard();
  const orders = ada.private("orders").listen("Shipped", (data) => heard.note({ event: "shipped", data }));
  bob.private("orders").listenForWhisper("typing", (data) => heard.note({ event: "typing", data }));
  await until(async () => (await subscriberCount(server, "private-orders")) === 2, "both are subscribed");
  await server.trigger("private-orders", "App\\Events\\Shipped", { id: 7 });
  assert.deepEqual((await heard.event("shipped")).data, { id: 7 });
  orders.whisper("typing", { name: "Ada" });
  assert.deepEqual((await heard.event("typing")).data, { name: "Ada" });
}

test("from Reverb: its .env, and Echo with the options of Laravel's echo.js", async (t) => {
  const settings = { ...credentials("REVERB"), REVERB_SERVER_HOST: "127.0.0.1", REVERB_SERVER_PATH: "/reverb" };
  const served = await serve(t, startGaungWith({ ...settings, REVERB_APP_MAX_MESSAGE_SIZE: "10000" }));
  const { host, port } = served.gaung;
  assert.equal(host, "127.0.0.1");
  const options = {
    broadcaster: "reverb",
    wsHost: host,
    wsPort: port,
    wssPort: port,
    wsPath: "/reverb",
    forceTLS: false,
    enabledTransports: ["ws", "wss"],
  };
  await t.test("Echo", (t) => checkEcho(t, served, options));
});

test("from Soketi: its array of apps, pusher-js and Echo with options that mean nothing any more", async (t) => {
  const folder = await mkdtemp(join(tmpdir(), "gaung-moving-"));
  t.after(() => rm(folder, { recursive: true }));
  const file = join(folder, "apps.json");
  const app = {
    ...APP,
    maxConnections: -1,
    enableClientMessages: true,
    enabled: true,
    maxBackendEventsPerSecond: -1,
    maxClientEventsPerSecond: -1,
    maxReadRequestsPerSecond: -1,
    maxEventPayloadInKb: 100,
    webhooks: [],
  };
  await writeFile(file, JSON.stringify([app]));
  const served = await serve(t, startGaungWithApps(file));
  const options = {
    wsHost: served.gaung.host,
    wsPort: served.gaung.port,
    cluster: "",
    forceTLS: false,
    encrypted: true,
    disableStats: true,
    enabledTransports: ["ws", "wss"],
  };
  await t.test("Echo", (t) => checkEcho(t, served, { broadcaster: "pusher", ...options }));
  await t.test("pusher-js, with more data than an app takes by default", async (t) => {
    const pusher = new PusherJs(APP.key, options);
    t.after(() => pusher.disconnect());
    const { heard } = await subscribe(pusher, "news");
    await backEnd(served.gaung).trigger("news", "long", "x".repeat(50_000));
    assert.equal((await heard.event("long")).data.length, 50_000);
  });
});

test("from laravel-websockets: its .env, and Echo with a cluster and without statistics", async (t) => {
  const settings = { ...credentials("PUSHER"), PUSHER_APP_CLUSTER: "mt1", GAUNG_APP_CLIENT_EVENTS: "true" };
  const served = await serve(t, startGaungWith(settings));
  const options = {
    broadcaster: "pusher",
    cluster: "mt1",
    wsHost: served.gaung.host,
    wsPort: served.gaung.port,
    forceTLS: false,
    disableStats: true,
  };
  await t.test("Echo", (t) => checkEcho(t, served, options, { cluster: "mt1" }));
});

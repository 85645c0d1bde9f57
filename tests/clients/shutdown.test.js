// What clients see when the server goes, and when it comes back.

import assert from "node:assert/strict";
import { test } from "node:test";

import { until } from "./support/deadline.js";
import { APP, startGaung } from "./support/gaung.js";
import { backEnd, connectPusher, hasState, hearErrors, openSocket, subscribe } from "./support/libraries.js";

/** pusher-js waits up to 15 s between attempts once a server has not answered. */
const COMEBACK = 30_000;

test("a server that goes tells pusher-js to come back at once, and exits in order", async (t) => {
  const gaung = await startGaung();
  const pusher = await connectPusher(t, gaung);
  const errors = hearErrors(pusher);
  gaung.terminate();
  await errors.event(4200);
  await hasState(pusher, "connecting");
  await gaung.hasStopped();
});

test("a client comes back to a restarted server and hears its channels again", async (t) => {
  const first = await startGaung();
  const pusher = await connectPusher(t, first);
  const { heard } = await subscribe(pusher, "orders");
  await first.stop();
  const second = await startGaung({ GAUNG_PORT: String(first.port) });
  t.after(() => second.stop());
  await heard.times(2, "pusher:subscription_succeeded", COMEBACK);
  await backEnd(second).trigger("orders", "welcome.back", {});
  await heard.event("welcome.back");
  pusher.disconnect();
});

test("many sockets are closed over the drain, every one with 4200 in a frame and in the close code", async (t) => {
  const gaung = await startGaung();
  const url = gaung.socketUrl(`/app/${APP.key}?protocol=7`);
  const sockets = await Promise.all([...Array(50)].map(() => openSocket(t, url)));
  await Promise.all(sockets.map(({ heard }) => heard.event("pusher:connection_established")));
  await gaung?.stop();
  for (const { heard, closed } of sockets) {
    assert.equal((await closed).code, 4200);
    assert.deepEqual(
      heard.all("pusher:error").map(({ data }) => data.code),
      [4200],
    );
  }
});

test("a socket that has only just opened is closed in order too, twenty times", async (t) => {
  for (let start = 0; start < 20; start += 1) {
    const gaung = await startGaung();
    const { heard, closed } = await openSocket(t, gaung.socketUrl(`/app/${APP.key}?protocol=7`));
    gaung.terminate();
    assert.equal((await closed).code, 4200);
    assert.deepEqual(heard.names(), ["pusher:connection_established", "pusher:error"]);
    await gaung.hasStopped();
  }
});

test("a second signal ends a drain at once", async (t) => {
  const gaung = await startGaung({ GAUNG_DRAIN_SECONDS: "60" });
  const url = gaung.socketUrl(`/app/${APP.key}?protocol=7`);
  const sockets = await Promise.all([...Array(20)].map(() => openSocket(t, url)));
  await Promise.all(sockets.map(({ heard }) => heard.event("pusher:connection_established")));
  gaung.terminate();
  await Promise.any(sockets.map(({ closed }) => closed));
  gaung.terminate();
  const { code } = await gaung.exit(2_000);
  assert.ok(code > 0, `an interrupted drain is no success: ${code}`);
});

test("a server that goes is alive but not ready", async (t) => {
  const gaung = await startGaung({ GAUNG_DRAIN_SECONDS: "3" });
  await connectPusher(t, gaung);
  assert.equal((await gaung.admin("/readyz")).status, 200);
  gaung.terminate();
  await until(async () => (await gaung.admin("/readyz")).status === 503, "the server is no longer ready");
  assert.equal((await gaung.admin("/livez")).status, 200);
  await gaung.hasStopped();
});

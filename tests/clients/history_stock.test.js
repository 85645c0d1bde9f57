// Clients that know nothing of histories, on channels that keep one: to them everything is as before.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { startApplication } from "./support/application.js";
import { startBalancer } from "./support/balancer.js";
import { startGaung } from "./support/gaung.js";
import { backEnd, connectPusher, isListening, openSocket, subscribe } from "./support/libraries.js";

let gaung;
let application;
let server;
before(async () => {
  [gaung, application] = await Promise.all([startGaung({ GAUNG_APP_HISTORY: "*=120s:1000" }), startApplication()]);
  server = backEnd(gaung);
});
after(async () => {
  application?.stop();
  await gaung?.stop();
});

const KINDS = ["orders", "private-orders", "presence-orders", "private-encrypted-orders"];
for (const name of KINDS) {
  test(`stock pusher-js hears on ${name} what is published while it is there, and nothing of ids`, async (t) => {
    const balancer = await startBalancer(t, gaung);
    const user = application.user({ id: "42", info: { name: "Ada" } });
    const pusher = await connectPusher(t, { host: balancer.host, port: balancer.port, prefix: "" }, { application, user });
    const { heard } = await subscribe(pusher, name);
    await server.trigger(name, "said", { n: 0 });
    await server.trigger(name, "said", { n: 1 });
    await heard.times(2, "said");
    assert.deepEqual(heard.names(), ["pusher:subscription_succeeded", "said", "said"]);
    assert.deepEqual(heard.data("said"), [{ n: 0 }, { n: 1 }]);
    await isListening(pusher);
    balancer.cut();
    await heard.times(2, "pusher:subscription_succeeded", 15_000);
    await server.trigger(name, "said", { n: 2 });
    await heard.where(({ data }) => data.n === 2, "what is live after a reconnect");
    heard.never("pusher:resumed");
  });
}

test("an event of a back end begins with its id", async (t) => {
  const { heard, send } = await openSocket(t, gaung.socketUrl("/app/app-key?protocol=7"));
  await heard.event("pusher:connection_established");
  send({ event: "pusher:subscribe", data: { channel: "framed" } });
  await heard.event("pusher_internal:subscription_succeeded");
  await server.trigger("framed", "said", {});
  const { text } = await heard.event("said");
  assert.match(text, /^\{"id":"[0-9a-z]{6}-\d+","event":"said"/);
});

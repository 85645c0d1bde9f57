// How many subscribe: told to the subscribers themselves where the app wants it.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { startApplication } from "./support/application.js";
import { startGaung } from "./support/gaung.js";
import { backEnd, connectPusher, leave, subscribe } from "./support/libraries.js";

let gaung;
let application;
let ada;
before(async () => {
  [gaung, application] = await Promise.all([startGaung({ GAUNG_APP_SUBSCRIPTION_COUNTS: "true" }), startApplication()]);
  ada = application.user({ id: "42", info: {} });
});
after(async () => {
  application?.stop();
  await gaung?.stop();
});

const connectAda = (t) => connectPusher(t, gaung, { application, user: ada });
const counts = (heard) => heard.all("pusher:subscription_count").map(({ data }) => data.subscription_count);

for (const channel of ["orders", "private-orders", "cache-orders", "private-encrypted-orders"]) {
  test(`subscribers of ${channel} hear how many they are`, async (t) => {
    const [first, second] = [await connectAda(t), await connectAda(t)];
    const atFirst = await subscribe(first, channel);
    await atFirst.heard.times(1, "pusher:subscription_count");
    const atSecond = await subscribe(second, channel);
    await atFirst.heard.times(2, "pusher:subscription_count");
    await atSecond.heard.times(1, "pusher:subscription_count");
    await leave(second);
    await atFirst.heard.times(3, "pusher:subscription_count");
    assert.deepEqual(counts(atFirst.heard), [1, 2, 1]);
    assert.deepEqual(counts(atSecond.heard), [2]);
    assert.equal(atFirst.channel.subscriptionCount, 1);
    assert.equal(atSecond.heard.names()[0], "pusher:subscription_succeeded");
  });
}

test("a presence channel has members instead", async (t) => {
  const { heard } = await subscribe(await connectAda(t), "presence-orders");
  await backEnd(gaung).trigger("presence-orders", "marker", {});
  await heard.event("marker");
  heard.never("pusher:subscription_count");
});

test("an app that has not asked for counts gets none", async (t) => {
  const quiet = await startGaung();
  t.after(() => quiet.stop());
  const pusher = await connectPusher(t, quiet);
  const { heard } = await subscribe(pusher, "orders");
  await backEnd(quiet).trigger("orders", "marker", {});
  await heard.event("marker");
  heard.never("pusher:subscription_count");
  await leave(pusher);
});

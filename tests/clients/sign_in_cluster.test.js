// A page that was signed in for its channels and comes back to another node: what the application signed still holds.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { signInForChannels } from "../../docs/examples/sign-in/gaung-sign-in.js";
import { startApplication } from "./support/application.js";
import { startBalancer } from "./support/balancer.js";
import { startCluster } from "./support/cluster.js";
import { hear, openPusher } from "./support/libraries.js";
import { startNats } from "./support/nats.js";
import { RECONNECT_PATIENCE, areResumed, behind, pageKey } from "./support/pages.js";

const SETTINGS = { GAUNG_APP_HISTORY: "*=120s:1000", GAUNG_RECEIPT_SECONDS: "1", GAUNG_PAGE_DOUBT_SECONDS: "0" };

let nats;
let application;
before(async () => {
  [nats, application] = await Promise.all([startNats(), startApplication()]);
});
after(async () => {
  application?.stop();
  await nats?.kill();
});

test("a page whose node is drained comes back to another one by the same sign-in", async (t) => {
  const cluster = await startCluster(nats, SETTINGS, 2);
  t.after(() => cluster.stop());
  const balancer = await startBalancer(t, ...cluster.nodes);
  const channels = ["private-orders.7", "private-orders.8", "presence-room"];
  const user = application.user({ id: "42", info: { name: "Ada" }, channels: ["private-orders.*", "presence-room"] });
  const page = openPusher(t, behind(balancer), { key: pageKey(), application, user });
  signInForChannels(page);
  const listeners = channels.map((name) => hear(page.subscribe(name)));
  for (const heard of listeners) await heard.event("pusher:subscription_succeeded");
  const [node] = cluster.nodes;
  cluster.forget(node);
  node.terminate();
  await areResumed(listeners, 1);
  for (const channel of channels) await cluster.servers[0].trigger(channel, "after", {});
  for (const heard of listeners) await heard.event("after", RECONNECT_PATIENCE);
  assert.equal(application.signIns.all().length, 1);
  assert.deepEqual(application.authorizations.all(), []);
  await node.hasStopped();
});

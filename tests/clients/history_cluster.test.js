// Stock clients with a resume id in a cluster: a page that loses its node is brought on by another one.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { rememberAuthorizations } from "../../docs/examples/history/gaung-authorizer.js";
import { startApplication } from "./support/application.js";
import { startBalancer } from "./support/balancer.js";
import { until } from "./support/deadline.js";
import { startCluster } from "./support/cluster.js";
import { hear, openPusher } from "./support/libraries.js";
import { startNats } from "./support/nats.js";
import { heardAgainAfterReceipts, publishNumbers } from "./support/numbers.js";
import { KINDS, areResumed, behind, noteReceipts, noteSocketIds, numbersOf, pageKey } from "./support/pages.js";

const SETTINGS = { GAUNG_APP_HISTORY: "*=120s:100000", GAUNG_RECEIPT_SECONDS: "1", GAUNG_PAGE_DOUBT_SECONDS: "0" };

let nats;
let application;
before(async () => {
  [nats, application] = await Promise.all([startNats(), startApplication()]);
});
after(async () => {
  application?.stop();
  await nats?.kill();
});

/** A page on the first of three nodes, and numbers that the last one publishes on channels of all kinds. */
async function open(t) {
  const cluster = await startCluster(nats, SETTINGS);
  t.after(() => cluster.stop());
  const balancer = await startBalancer(t, ...cluster.nodes);
  const user = application.user({ id: "42", info: { name: "Ada" } });
  const page = openPusher(t, behind(balancer), { key: pageKey(), application, user });
  rememberAuthorizations(page);
  const ids = noteSocketIds(page);
  const listeners = KINDS.map((name) => hear(page.subscribe(name)));
  for (const heard of listeners) await heard.event("pusher:subscription_succeeded");
  noteReceipts(page, listeners);
  const numbers = publishNumbers(cluster.servers[2], KINDS);
  t.after(() => numbers.stop());
  await numbers.pass(30);
  return { cluster, page, ids, listeners, numbers, asked: application.authorizations.all().length };
}

/** A node that has just ended is asked by the others what its channels kept, and does not answer: for 2.5 s. */
async function isForgotten({ nodes: [other] }) {
  const leaving = async () => (await (await other.admin("/peers")).json()).filter(({ readiness }) => readiness === "leaving");
  const isSilent = ({ age_seconds: age }) => age > 3;
  await until(async () => (await leaving()).every(isSilent), "the node that has ended is asked nothing any more", 10_000);
}

/** Nothing is lost, and the page was told so each time; returns how much was heard again. */
async function nothingIsLost({ listeners, numbers }) {
  let again = 0;
  for (const heard of listeners) {
    again += await heardAgainAfterReceipts(heard, numbers);
    const resumed = heard.data("pusher:resumed");
    assert.ok(resumed.every(({ complete }) => complete), JSON.stringify(resumed));
  }
  return again;
}

test("a page whose nodes are drained loses nothing, hears nothing twice, and costs the application nothing", async (t) => {
  const setting = await open(t);
  for (const times of [1, 2]) {
    const [node] = setting.cluster.nodes;
    setting.cluster.forget(node);
    node.terminate();
    await areResumed(setting.listeners, times);
    await setting.numbers.pass(30);
    await node.hasStopped();
    // Until then the others ask it too what its channels kept.
    await isForgotten(setting.cluster);
  }
  assert.equal(await nothingIsLost(setting), 0);
  assert.equal(new Set(setting.ids.data("connected")).size, 1, "the socket id stays");
  assert.equal(application.authorizations.all().length, setting.asked, "the application is not asked again");
});

test("a page whose node is killed loses nothing, or is told", async (t) => {
  const setting = await open(t);
  const [node] = setting.cluster.nodes;
  setting.cluster.forget(node);
  node.kill();
  await areResumed(setting.listeners, 1);
  await setting.numbers.pass(30);
  const count = await setting.numbers.stop();
  const told = setting.listeners.filter((heard) => !heard.data("pusher:resumed").every(({ complete }) => complete));
  for (const heard of setting.listeners.filter((heard) => !told.includes(heard))) {
    await heard.where(({ event, data }) => event === "numbered" && data.n === count - 1, `number ${count - 1}`);
    assert.deepEqual([...new Set(numbersOf(heard))], [...Array(count).keys()]);
  }
  t.diagnostic(`${count} numbers on ${KINDS.length} channels, ${told.length} channels told`);
});

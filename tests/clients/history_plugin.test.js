// pusher-js and Laravel Echo with docs/examples/history/gaung-history.js: nothing is lost and nothing comes twice where
// the history reaches, and a page is told where it does not.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import Echo from "laravel-echo";
import PusherJs from "pusher-js";

import { startApplication } from "./support/application.js";
import { startBalancer } from "./support/balancer.js";
import { Heard, until } from "./support/deadline.js";
import { APP, startGaung } from "./support/gaung.js";
import { backEnd, connectPusher, hasState, openEcho, subscribe, subscriberCount } from "./support/libraries.js";
import { heardAll, publishNumbers, random } from "./support/numbers.js";
import { KINDS, RECONNECT_PATIENCE, areResumed, documentedPages, isAwayFor, optionsBehind } from "./support/pages.js";

const CUTS = 10;
const RULES = "few.*=60s:5,products.*=60s:5,short.*=1s:1000,*=120s:1000";

let gaung;
let application;
let server;
let page;
before(async () => {
  // What a browser has, and Node has not.
  page = new EventTarget();
  globalThis.addEventListener = page.addEventListener.bind(page);
  const { withHistory } = await import("../../docs/examples/history/gaung-history.js");
  withHistory(PusherJs);
  [gaung, application] = await Promise.all([startGaung({ GAUNG_APP_HISTORY: RULES, GAUNG_PAGE_DOUBT_SECONDS: "0" }), startApplication()]);
  server = backEnd(gaung);
});
after(async () => {
  application?.stop();
  await gaung?.stop();
});

const user = () => application.user({ id: "42", info: { name: "Ada" } });

/** A pusher-js behind a balancer that can cut it. */
async function openBehind(t, balancer) {
  const behind = { host: balancer.host, port: balancer.port, prefix: "" };
  return connectPusher(t, behind, { application, user: user() });
}

const isWhole = ({ complete }) => complete;

test("ten cuts at random lose nothing and double nothing, on channels of all kinds", async (t) => {
  const balancer = await startBalancer(t, gaung);
  const pusher = await openBehind(t, balancer);
  const entered = await Promise.all(KINDS.map((name) => subscribe(pusher, name)));
  const listeners = entered.map(({ heard }) => heard);
  const numbers = publishNumbers(server, KINDS);
  for (let cut = 1; cut <= CUTS; cut += 1) {
    await numbers.pass(random(1, 20));
    balancer.cut();
    await areResumed(listeners, cut);
  }
  let replayed = 0;
  let published = 0;
  for (const heard of listeners) {
    published += await heardAll(heard, numbers);
    const resumed = heard.data("pusher:resumed");
    assert.equal(resumed.length, CUTS);
    assert.ok(resumed.every(isWhole), JSON.stringify(resumed));
    replayed += resumed.reduce((sum, { replayed }) => sum + replayed, 0);
  }
  assert.ok(replayed > 0);
  t.diagnostic(`${published} events on ${KINDS.length} channels, ${CUTS} cuts, ${replayed} replayed`);
});

test("Echo cut in the middle of a frame, a subscription or a replay loses nothing and doubles nothing", async (t) => {
  const balancer = await startBalancer(t, gaung);
  const echo = openEcho(t, { ...gaung, host: balancer.host, port: balancer.port, prefix: "" }, {
    application,
    user: user(),
  });
  const heard = new Heard();
  const note = (event) => (data) => heard.note({ event, data });
  echo.private("echo").subscribed(note("subscribed")).listen(".numbered", note("numbered"));
  echo.private("echo").listen(".pusher:resumed", note("resumed"));
  await heard.event("subscribed");
  const numbers = publishNumbers(server, ["private-echo"]);
  await numbers.pass(5);
  balancer.budgets = [...Array(CUTS - 1)].map(() => random(100, 40_000));
  balancer.cut();
  await until(() => balancer.budgets.length === 0, "all connections were cut", 60_000);
  const before = heard.all("resumed").length;
  await until(() => heard.all("resumed").length > before, "the last connection is resumed", RECONNECT_PATIENCE);
  const published = await heardAll(heard, numbers);
  const resumed = heard.data("resumed");
  assert.ok(resumed.every(isWhole), JSON.stringify(resumed));
  t.diagnostic(`${published} events, ${CUTS} cuts, resumed ${resumed.length} times`);
});

async function publish(channel, ...numbers) {
  for (const n of numbers) await server.trigger(channel, "numbered", { n });
}

async function kept(channel) {
  const answer = await server.get({ path: `/channels/${channel}/events` });
  return (await answer.json()).events.length;
}

const OVER = [
  ["more events than are kept came", "few.1", () => publish("few.1", 1, 2, 3, 4, 5, 6)],
  [
    "what it missed is no longer kept",
    "short.1",
    async () => {
      await publish("short.1", 1);
      await until(async () => (await kept("short.1")) === 0, "the event is no longer kept");
    },
  ],
];
for (const [why, name, away] of OVER) {
  test(`a client is told when ${why}, and hears what is live`, async (t) => {
    const balancer = await startBalancer(t, gaung);
    const pusher = await openBehind(t, balancer);
    const { heard } = await subscribe(pusher, name);
    await publish(name, 0);
    await heard.event("numbered");
    await isAwayFor(balancer, pusher, away);
    const { data } = await heard.where(({ event }) => event === "pusher:resumed", "resumed", RECONNECT_PATIENCE);
    assert.deepEqual(data, { complete: false, replayed: 0 });
    await publish(name, 10);
    await heard.where(({ data }) => data?.n === 10, "what is live");
    assert.deepEqual(
      heard.data("numbered").map(({ n }) => n),
      [0, 10],
    );
  });
}

test("the position after an incomplete replay brings what is missed next", async (t) => {
  const balancer = await startBalancer(t, gaung);
  const pusher = await openBehind(t, balancer);
  const { heard } = await subscribe(pusher, "few.2");
  await isAwayFor(balancer, pusher, () => publish("few.2", 0, 1, 2, 3, 4, 5, 6));
  await heard.times(1, "pusher:resumed", RECONNECT_PATIENCE);
  await isAwayFor(balancer, pusher, () => publish("few.2", 7, 8));
  const resumed = await heard.times(2, "pusher:resumed", RECONNECT_PATIENCE);
  assert.deepEqual(
    resumed.map(({ data }) => data),
    [
      { complete: false, replayed: 0 },
      { complete: true, replayed: 2 },
    ],
  );
  assert.deepEqual(
    heard.data("numbered").map(({ n }) => n),
    [7, 8],
  );
});

test("the lines of docs/history.md make pages that are told to read anew", async (t) => {
  const { withHistory } = await import("../../docs/examples/history/gaung-history.js");
  const pages = await documentedPages({ plugin: true });
  assert.equal(pages.length, 2);
  for (const makePage of pages) {
    const balancer = await startBalancer(t, gaung);
    let readAnew = 0;
    const given = { Pusher: PusherJs, Echo, withHistory, key: APP.key, options: optionsBehind(balancer) };
    const pusher = makePage({ ...given, readProductsAnew: () => (readAnew += 1) });
    t.after(() => pusher.disconnect());
    await until(() => pusher.channel("products.42").subscribed, "it is subscribed");
    await isAwayFor(balancer, pusher, () => publish("products.42", 0, 1, 2, 3, 4, 5, 6));
    await until(() => readAnew === 1, "the page is told", RECONNECT_PATIENCE);
  }
});

test("a channel that was left and is subscribed again begins anew", async (t) => {
  const pusher = await openBehind(t, await startBalancer(t, gaung));
  const first = await subscribe(pusher, "left");
  await publish("left", 0);
  await first.heard.event("numbered");
  pusher.unsubscribe("left");
  await until(async () => (await subscriberCount(server, "left")) === 0, "the channel is left");
  await publish("left", 1);
  const again = await subscribe(pusher, "left");
  await publish("left", 2);
  await again.heard.event("numbered");
  again.heard.never("pusher:resumed");
  assert.deepEqual(again.heard.data("numbered"), [{ n: 2 }]);
});

test("two instances in one page keep positions of their own", async (t) => {
  const [balancer, other] = [await startBalancer(t, gaung), await startBalancer(t, gaung)];
  const [pusher, stays] = [await openBehind(t, balancer), await openBehind(t, other)];
  const [{ heard }, { heard: live }] = [await subscribe(pusher, "shared"), await subscribe(stays, "shared")];
  await isAwayFor(balancer, pusher, async () => {
    await publish("shared", 0, 1, 2);
    await live.times(3, "numbered");
  });
  assert.deepEqual((await heard.event("pusher:resumed", RECONNECT_PATIENCE)).data, { complete: true, replayed: 3 });
  assert.equal(heard.all("numbered").length, 3);
  live.never("pusher:resumed");
});

test("a page out of the browser's cache connects anew and hears what was thrown away", async (t) => {
  const balancer = await startBalancer(t, gaung);
  const pusher = await openBehind(t, balancer);
  const { heard } = await subscribe(pusher, "cached");
  const gone = await openBehind(t, balancer);
  gone.disconnect();
  const { socket_id: before } = pusher.connection;
  page.dispatchEvent(Object.assign(new Event("pageshow"), { persisted: false }));
  assert.equal(pusher.connection.state, "connected");
  page.dispatchEvent(Object.assign(new Event("pageshow"), { persisted: true }));
  await publish("cached", 0);
  assert.equal((await heard.event("pusher:resumed")).data.complete, true);
  await heard.event("numbered");
  assert.notEqual(pusher.connection.socket_id, before);
  assert.equal(gone.connection.state, "disconnected");
  assert.equal(heard.all("numbered").length, 1);
});

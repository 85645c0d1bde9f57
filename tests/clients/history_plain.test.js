// docs/examples/plain/tenant-socket.js on channels that keep a history and on others, as a page loads it.

import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { after, before, test } from "node:test";

import { startBalancer } from "./support/balancer.js";
import { Heard, until } from "./support/deadline.js";
import { startGaung } from "./support/gaung.js";
import { backEnd } from "./support/libraries.js";
import { heardAll, publishNumbers, random } from "./support/numbers.js";
import { loadTenantSocket } from "./support/tenant_socket.js";

const SETTINGS = {
  GAUNG_TENANT_ACCESS: "open",
  GAUNG_APP_HISTORY: "few.*=120s:5,products.*=120s:1000",
  GAUNG_PAGE_DOUBT_SECONDS: "0",
};
const CUTS = 10;
/** A reconnect takes up to a second, and each one that fails makes the next take longer. */
const RECONNECT_PATIENCE = 60_000;

let gaung;
let server;
let tenantSocket;
before(async () => {
  gaung = await startGaung(SETTINGS);
  server = backEnd(gaung);
  tenantSocket = await loadTenantSocket();
});
after(() => gaung?.stop());

/** A page of tenant 7 behind a balancer, subscribed to the channels. */
function open(t, ...channels) {
  return openAs(t, "", channels);
}

/** The same with more in its address. */
async function openAs(t, parameters, channels) {
  const balancer = await startBalancer(t, gaung);
  const heard = new Heard();
  tenantSocket(`ws://${balancer.host}:${balancer.port}/ws?tenant_id=7&user_id=42${parameters}`, channels, {
    onEvent: ({ type: event, data }) => heard.note({ event, data }),
    onStatus: (status) => heard.note({ event: status.split(" ")[0], status }),
    onMissed: (channel) => heard.note({ event: "missed", data: { channel } }),
  });
  await heard.times(channels.length, "subscribed");
  return { balancer, heard };
}

async function publish(channel, ...numbers) {
  for (const n of numbers) await server.trigger(channel, "numbered", { n });
}

/** The only client is cut, and comes back when `away` is over. */
async function isAwayFor({ balancer, heard }, away) {
  const [closed, subscribed] = ["closed", "subscribed"].map((event) => heard.all(event).length);
  const release = balancer.hold();
  balancer.cut();
  await heard.times(closed + 1, "closed");
  await away();
  release();
  await heard.times(subscribed + 1, "subscribed", RECONNECT_PATIENCE);
}

const numbersOf = (heard) => heard.data("numbered").map(({ n }) => n);

test("ten cuts, in the middle of whatever is sent, lose nothing and double nothing", async (t) => {
  const { balancer, heard } = await open(t, "products.7");
  const numbers = publishNumbers(server, ["products.7"]);
  await numbers.pass(5);
  balancer.budgets = [...Array(CUTS - 1)].map(() => random(100, 20_000));
  balancer.cut();
  await until(() => balancer.budgets.length === 0, "all connections were cut", RECONNECT_PATIENCE);
  const published = await heardAll(heard, numbers);
  heard.never("missed");
  t.diagnostic(`${published} events, ${CUTS} cuts, subscribed ${heard.all("subscribed").length} times`);
});

test("a page that names itself too loses nothing and hears nothing twice", async (t) => {
  const page = await openAs(t, `&resume=${randomUUID()}`, ["products.7.named"]);
  for (const n of [0, 2, 4]) {
    await publish("products.7.named", n);
    await page.heard.where(({ data }) => data?.n === n, `number ${n}`);
    await isAwayFor(page, () => publish("products.7.named", n + 1));
  }
  await page.heard.times(6, "numbered");
  assert.deepEqual(numbersOf(page.heard), [0, 1, 2, 3, 4, 5]);
  page.heard.never("missed");
});

test("a page is told when more was missed than is kept, and goes on from there", async (t) => {
  const page = await open(t, "few.7");
  await isAwayFor(page, () => publish("few.7", 0, 1, 2, 3, 4, 5, 6));
  assert.deepEqual(page.heard.data("missed"), [{ channel: "few.7" }]);
  await isAwayFor(page, () => publish("few.7", 7, 8));
  await page.heard.times(2, "numbered");
  assert.deepEqual(numbersOf(page.heard), [7, 8]);
  assert.equal(page.heard.all("missed").length, 1);
});

test("a page is told of a reconnect on a channel that keeps no history", async (t) => {
  const page = await open(t, "bare.7");
  page.heard.never("missed");
  await isAwayFor(page, () => publish("bare.7", 0));
  assert.deepEqual(page.heard.data("missed"), [{ channel: "bare.7" }]);
  await publish("bare.7", 1);
  await page.heard.event("numbered");
  assert.deepEqual(numbersOf(page.heard), [1]);
});

test("each channel has a position of its own", async (t) => {
  const page = await open(t, "products.7", "few.7");
  await publish("few.7", 0);
  await page.heard.event("numbered");
  await isAwayFor(page, () => publish("products.7", 1, 2));
  await page.heard.times(3, "numbered");
  assert.deepEqual(numbersOf(page.heard), [0, 1, 2]);
  page.heard.never("missed");
});

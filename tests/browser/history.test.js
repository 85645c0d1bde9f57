// Pages with Laravel Echo that name themselves by a resume id, in a real browser: through all that befalls a page nothing is
// lost, with the plugin nothing is heard twice, and a reconnect costs the application no request.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { setTimeout as pause } from "node:timers/promises";

import { startBalancer } from "../clients/support/balancer.js";
import { until } from "../clients/support/deadline.js";
import { startGaung } from "../clients/support/gaung.js";
import { publishNumbers } from "../clients/support/numbers.js";
import { openBareTab, openTab, startBrowser } from "./support/browser.js";
import { CHANNELS, startApplication } from "./support/numbers.js";

/** For how long the network is gone; pusher-js gives its socket up after 30 s, so that 36 s are another case. */
const OFFLINE_SECONDS = Number(process.env.GAUNG_OFFLINE_SECONDS ?? 3);
/** A page that was offline looks for its server now and then. */
const RETURN_PATIENCE = 60_000;
const ENTER_PATIENCE = 10_000;
/** Time between two numbers, in milliseconds. */
const PACE = 40;
const SETTINGS = {
  GAUNG_APP_HISTORY: "*=120s:100000",
  GAUNG_RECEIPT_SECONDS: "1",
  GAUNG_PAGE_DOUBT_SECONDS: "0",
};

let browser;
let gaung;
let application;
before(async () => {
  [browser, gaung] = await Promise.all([startBrowser({ cachesPages: true }), startGaung(SETTINGS)]);
  application = await startApplication(gaung);
});
after(async () => {
  await browser?.close();
  application?.stop();
  await gaung?.stop();
});

/** A page that is subscribed to all channels, on which numbers are published from then on. */
async function open(t, { plugin = false, bare = false } = {}) {
  const balancer = await startBalancer(t, gaung);
  const url = application.pageUrl(balancer, { plugin });
  const page = await (bare ? openBareTab(t, browser, url) : openPage(t, url));
  await isEntered(page);
  const numbers = publishNumbers(application.backEnd, CHANNELS, PACE);
  t.after(() => numbers.stop());
  const asked = application.authorizations.all().length;
  await numbers.pass(5);
  return { page, url, balancer, numbers, plugin, asked };
}

async function openPage(t, url) {
  const { page } = await openTab(t, browser);
  await page.goto(url);
  return page;
}

/** Until the page is subscribed to all channels. */
async function isEntered(page) {
  const count = () => Object.values(window.heard ?? {}).filter(({ subscribed }) => subscribed).length;
  await until(async () => (await page.evaluate(count)) === CHANNELS.length, "the page is subscribed", ENTER_PATIENCE);
}

const heardBy = (page) => page.evaluate(() => window.heard);

/** All numbers are heard, from `first` on, in order; with the plugin none twice. Returns how many were heard again. */
async function hasHeardAll({ page, numbers, plugin }, first = 0) {
  const count = await numbers.stop();
  const isThere = async () => Object.values(await heardBy(page)).every((channel) => channel.numbers.includes(count - 1));
  await until(isThere, `number ${count - 1} is heard on all channels`, RETURN_PATIENCE);
  let again = 0;
  for (const [name, channel] of Object.entries(await heardBy(page))) {
    const once = [...new Set(channel.numbers)];
    const expected = [...Array(count - once[0]).keys()].map((n) => n + once[0]);
    assert.deepEqual(once, expected, name);
    assert.ok(once[0] <= first, `${name} begins with ${once[0]}, and not with ${first}`);
    again += channel.numbers.length - once.length;
    assert.ok(channel.resumed.every(({ complete }) => complete), `${name}: ${JSON.stringify(channel.resumed)}`);
  }
  if (plugin) assert.equal(again, 0, "numbers were heard twice");
  return again;
}

/** The first number of which no channel has heard anything: the one before it may be on some already. */
const nextNumber = ({ numbers }) => numbers.count + 1;

/** Until the page was brought on so often, on all channels. */
async function isResumed(page, times) {
  const isIt = async () => Object.values(await heardBy(page)).every(({ resumed }) => resumed.length >= times);
  await until(isIt, `all channels are resumed ${times} times`, RETURN_PATIENCE);
}

/** Nothing was asked of the application since the page was open, and its socket id is what it was. */
async function costNothing({ page, asked }) {
  assert.equal(application.authorizations.all().length, asked, "the application was asked again");
  assert.equal(await page.evaluate(() => new Set(socketIds).size), 1);
}

const FAULTS = {
  "a cut": async ({ page, balancer, numbers }) => {
    balancer.cut();
    await isResumed(page, 1);
    await numbers.pass(5);
    balancer.cut();
    await isResumed(page, 2);
  },
  [`${OFFLINE_SECONDS} s without a network`]: async ({ page, balancer }) => {
    const release = balancer.stall();
    await page.context().setOffline(true);
    await pause(OFFLINE_SECONDS * 1_000);
    await page.context().setOffline(false);
    release();
  },
  "a freeze": async ({ page, numbers }) => {
    await page.freeze();
    await numbers.pass(30);
    assert.equal(await page.evaluate(() => window.frozen), 1);
    assert.ok((await heardBy(page)).numbers.numbers.length < 20, "it is frozen");
    await page.wake();
    await numbers.pass(5);
  },
  "a stay in the browser's cache": async ({ page, numbers }) => {
    await page.goto(`${application.url}/away`);
    await numbers.pass(30);
    // A page out of the cache is not loaded.
    await page.goBack({ waitUntil: "commit" });
    await page.waitForFunction(() => window.restored === 1);
    await numbers.pass(5);
  },
};
for (const plugin of [false, true]) {
  for (const [name, befall] of Object.entries(FAULTS)) {
    test(`a page ${plugin ? "with" : "without"} the plugin loses nothing to ${name}`, async (t) => {
      const tab = await open(t, { plugin, bare: name === "a freeze" });
      await befall(tab);
      const again = await hasHeardAll(tab);
      if (!(plugin && name.includes("cache"))) await costNothing(tab);
      t.diagnostic(`${tab.numbers.count} numbers on ${CHANNELS.length} channels, ${again} heard again`);
    });
  }
}

test("a page that is loaded again hears nothing old, and misses nothing from then on", async (t) => {
  const tab = await open(t);
  await tab.page.reload();
  await isEntered(tab.page);
  const first = nextNumber(tab);
  tab.balancer.cut();
  await isResumed(tab.page, 1);
  await hasHeardAll(tab, first);
  const { numbers } = (await heardBy(tab.page)).numbers;
  assert.ok(numbers[0] > 0, "it has heard what was before");
});

test("two windows of one browser are two pages, and neither loses anything", async (t) => {
  const tab = await open(t);
  const opened = tab.page.waitForEvent("popup");
  await tab.page.evaluate((url) => void window.open(url), tab.url);
  const popup = await opened;
  await isEntered(popup);
  const first = nextNumber(tab);
  tab.balancer.cut();
  await Promise.all([isResumed(tab.page, 1), isResumed(popup, 1)]);
  await hasHeardAll(tab);
  await hasHeardAll({ ...tab, page: popup }, first);
  const ids = await Promise.all([tab.page, popup].map((page) => page.evaluate(() => [...new Set(socketIds)])));
  assert.equal(ids.flat().length, 2);
  assert.notEqual(ids[0][0], ids[1][0]);
});

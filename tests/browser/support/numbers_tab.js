// Tabs with the page that notes numbers: how they are opened and left, and what they have heard in the end.

import assert from "node:assert/strict";
import { setTimeout as pause } from "node:timers/promises";

import { startBalancer } from "../../clients/support/balancer.js";
import { until } from "../../clients/support/deadline.js";
import { openBareTab, openTab } from "./browser.js";
import { CHANNELS } from "./numbers.js";

/** A page that was offline looks for its server now and then. */
const RETURN_PATIENCE = 60_000;
const ENTER_PATIENCE = 20_000;

/** Time between two numbers, in milliseconds. */
export const PACE = 40;

/** Of ten numbers none has come: nothing is on its way. */
const QUIET = 10 * PACE;

/** What nodes and their app are told. */
export const SETTINGS = {
  GAUNG_APP_HISTORY: "*=120s:100000",
  GAUNG_RECEIPT_SECONDS: "1",
  GAUNG_PAGE_DOUBT_SECONDS: "0",
};

/** A page that is subscribed to all channels through a balancer of its own, which goes to the first ready node. */
export async function openNumbersTab(t, { browser, application, nodes }, options = {}) {
  const { plugin = false, bare = false, transports, blockade, unnamed } = options;
  const balancer = await startBalancer(t, ...nodes);
  balancer.blockade = blockade;
  const url = application.pageUrl(balancer, { plugin, transports, unnamed });
  const page = await (bare ? openBareTab(t, browser, url) : openPage(t, browser, url));
  await isEntered(page);
  return { page, url, balancer, plugin, transports, application };
}

async function openPage(t, browser, url) {
  const { page } = await openTab(t, browser);
  await page.goto(url);
  return page;
}

/** Until the page is subscribed to all channels. */
export async function isEntered(page) {
  const count = () => Object.values(window.heard ?? {}).filter(({ subscribed }) => subscribed).length;
  await until(async () => (await page.evaluate(count)) === CHANNELS.length, "the page is subscribed", ENTER_PATIENCE);
}

export const heardBy = (page) => page.evaluate(() => window.heard);

/** All numbers are heard, from `first` on, in order; with the plugin none twice. Returns how many were heard again. */
export async function hasHeardAll(tab, first = 0) {
  const { page, numbers, plugin } = tab;
  const count = await numbers.stop();
  const isThere = async () => Object.values(await heardBy(page)).every((channel) => channel.numbers.includes(count - 1));
  await until(isThere, `number ${count - 1} is heard on all channels`, RETURN_PATIENCE);
  let again = 0;
  for (const [name, channel] of Object.entries(await heardBy(page))) {
    const once = [...new Set(channel.numbers)];
    assert.deepEqual(once, once.toSorted((one, other) => one - other), `${name} is out of order`);
    assert.ok(once[0] <= first, `${name} begins with ${once[0]}, and not with ${first}`);
    const missing = count - once[0] - once.length;
    assert.equal(missing, 0, `${missing} are lost on ${name}: ${JSON.stringify(channel.resumed)}`);
    assert.ok(channel.resumed.every(({ complete }) => complete), `${name}: ${JSON.stringify(channel.resumed)}`);
    again += channel.numbers.length - once.length;
  }
  if (plugin) assert.equal(again, 0, "numbers were heard twice");
  return again;
}

/** Until the page was brought on so often, on all channels. */
export async function isResumed(page, times) {
  const isIt = async () => Object.values(await heardBy(page)).every(({ resumed }) => resumed.length >= times);
  const resumed = async () => Object.entries(await heardBy(page)).map(([name, channel]) => [name, channel.resumed]);
  await until(isIt, `all channels are resumed ${times} times`, RETURN_PATIENCE).catch(async (failure) => {
    throw new Error(`${failure.message}: ${JSON.stringify(await resumed())}`);
  });
}

/** The page's socket id is what it was, and the application was asked for each channel once. */
export async function costNothing(tab) {
  const asked = await askedFor(tab);
  assert.equal(asked.size, 1, "the page has another socket id");
}

/** What the application was asked for the page: by each of its socket ids for all its channels, and for none of them twice. */
async function askedFor({ page, application }) {
  const asked = new Map((await page.evaluate(() => socketIds)).map((id) => [id, []]));
  for (const { event, socket } of application.authorizations.all()) asked.get(socket)?.push(event);
  for (const channels of asked.values()) assert.deepEqual(channels.sort(), CHANNELS.slice(1).sort());
  return asked;
}

/**
 * Until nothing more is on its way to a page whose connection is stalled: pusher-js takes whatever comes after it has heard
 * that the network is gone for a sign of life, and keeps the socket for another minute.
 */
async function hearsNothing(page) {
  const count = async () => Object.values(await heardBy(page)).reduce((sum, { numbers }) => sum + numbers.length, 0);
  let before;
  do {
    before = await count();
    await pause(QUIET);
  } while ((await count()) !== before);
}

/** How a page goes away. Each returns how it comes back. */
export const ABSENCES = {
  async offline({ page, balancer }) {
    const release = balancer.stall();
    await hearsNothing(page);
    await page.context().setOffline(true);
    return async () => {
      await page.context().setOffline(false);
      release();
    };
  },
  async frozen({ page }) {
    const count = async () => (await heardBy(page)).numbers.numbers.length;
    await page.freeze();
    await until(() => page.evaluate(() => window.frozen === 1), "the page is frozen", ENTER_PATIENCE);
    const before = await count();
    return async () => {
      assert.ok((await count()) - before < 20, "it hears nothing while it is frozen");
      await page.wake();
    };
  },
  async cached({ page, application }) {
    await page.goto(`${application.url}/away`);
    return async () => {
      // A page out of the cache is not loaded.
      await page.goBack({ waitUntil: "commit" });
      await page.waitForFunction(() => window.restored === 1);
    };
  },
};

// Pages with Laravel Echo that name themselves by a resume id, in a real browser: through all that befalls a page nothing is
// lost, with the plugin nothing is heard twice, and a reconnect costs the application no request.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { setTimeout as pause } from "node:timers/promises";

import { startGaung } from "../clients/support/gaung.js";
import { publishNumbers } from "../clients/support/numbers.js";
import { startBrowser } from "./support/browser.js";
import { CHANNELS, startApplication } from "./support/numbers.js";
import {
  ABSENCES,
  PACE,
  SETTINGS,
  costNothing,
  hasHeardAll,
  heardBy,
  isEntered,
  isResumed,
  openNumbersTab,
} from "./support/numbers_tab.js";

/** For how long the network is gone. Pusher-js gives its socket up after 30 s: `history_drain.test.js`. */
const OFFLINE_SECONDS = 2;

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
async function open(t, options) {
  const tab = await openNumbersTab(t, { browser, application, nodes: [gaung] }, options);
  const numbers = publishNumbers(application.backEnd, CHANNELS, PACE);
  t.after(() => numbers.stop());
  await numbers.pass(5);
  return { ...tab, numbers };
}

/** The first number of which no channel has heard anything: the one before it may be on some already. */
const nextNumber = ({ numbers }) => numbers.count + 1;

async function isAway(tab, absence) {
  const comeBack = await ABSENCES[absence](tab);
  await tab.numbers.pass(30);
  await comeBack();
  await tab.numbers.pass(5);
}

const FAULTS = {
  "a cut": async ({ page, balancer, numbers }) => {
    balancer.cut();
    await isResumed(page, 1);
    await numbers.pass(5);
    balancer.cut();
    await isResumed(page, 2);
  },
  [`${OFFLINE_SECONDS} s without a network`]: async (tab) => {
    const comeBack = await ABSENCES.offline(tab);
    await pause(OFFLINE_SECONDS * 1_000);
    await comeBack();
  },
  "a freeze": (tab) => isAway(tab, "frozen"),
  "a stay in the browser's cache": (tab) => isAway(tab, "cached"),
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

// Pages whose network lets no WebSocket through: pusher-js and Echo connect over HTTP by themselves, and have all that
// they have over sockets, through all that befalls a page.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { setTimeout as pause } from "node:timers/promises";

import { BLOCKADES } from "../clients/support/balancer.js";
import { startCluster } from "../clients/support/cluster.js";
import { until } from "../clients/support/deadline.js";
import { startGaung } from "../clients/support/gaung.js";
import { startNats } from "../clients/support/nats.js";
import { publishNumbers } from "../clients/support/numbers.js";
import { openTab, startBrowser } from "./support/browser.js";
import { CHANNELS, startApplication, userOf } from "./support/numbers.js";
import {
  ABSENCES,
  SETTINGS,
  costNothing,
  hasHeardAll,
  isResumed,
  openNumbersTab,
} from "./support/numbers_tab.js";

/** What the documentation tells pages to enable. */
const ALL = "ws,wss,xhr_streaming,xhr_polling";

/** Time between two numbers, in milliseconds: for each, a page that polls asks several times. */
const PACE = 150;

const OFFLINE_SECONDS = 2;

/** Longer than a session waits for its client's next poll. */
const AWAY_SECONDS = 12;

/** Pages may send as much as they want. */
const TALKATIVE = {
  GAUNG_APP_CLIENT_EVENTS: "true",
  GAUNG_APP_CLIENT_EVENTS_PER_SECOND: "0",
  GAUNG_APP_MESSAGES_PER_SECOND: "0",
};

const CACHED = "a stay in the browser's cache";

let browser;
let nats;
before(async () => {
  [browser, nats] = await Promise.all([startBrowser({ cachesPages: true }), startNats()]);
});
after(async () => {
  await browser?.close();
  await nats?.kill();
});

/** A server, or nodes of a cluster, and the application behind it. */
async function start(t, count) {
  const settings = { ...SETTINGS, ...TALKATIVE };
  const served = count > 1 ? await startCluster(nats, settings, count) : await startGaung(settings);
  t.after(() => served.stop());
  const nodes = served.nodes ?? [served];
  const application = await startApplication(nodes.at(-1));
  t.after(() => application.stop());
  return { browser, cluster: served, nodes, application };
}

const transportOf = ({ page }) => page.evaluate(() => window.transport());

/** Numbers on all channels, as long as these pages hear them. */
async function publish(t, { application }, tabs) {
  const numbers = publishNumbers(application.backEnd, CHANNELS, PACE);
  t.after(() => numbers.stop());
  await numbers.pass(5);
  return tabs.map((tab) => ({ ...tab, numbers }));
}

/** What pages do beside listening: they speak to each other, and are spoken to as users. */
async function takesPart(tab, other) {
  const heardAny = (page, list, text) => page.evaluate(([list, text]) => window[list].includes(text), [list, text]);
  await tab.page.evaluate(() => window.whisper("hello"));
  await until(() => heardAny(other.page, "whispers", "hello"), "the other page hears a client event");
  await tab.page.evaluate(() => window.signIn());
  const [socket] = await tab.page.evaluate(() => window.socketIds);
  await until(async () => {
    await tab.application.backEnd.sendToUser(userOf(socket), "letter", { text: "for you" });
    return heardAny(tab.page, "letters", "for you");
  }, "the page hears what is sent to its user");
}

/**
 * A socket that is open and silent is its page's older connection once that has come over HTTP: a page with an id would
 * have it closed by the server, and pusher-js gives up both where that comes first.
 */
const isOpenAndSilent = (blockade) => blockade.startsWith("silent");

const NETWORKS = [
  ...Object.keys(BLOCKADES).map((blockade) => ({
    name: `sockets are ${blockade}`,
    blockade,
    transports: ALL,
    unnamed: isOpenAndSilent(blockade),
  })),
  { name: "polling is all there is", transports: "xhr_polling" },
];

async function hasAll(t) {
  const stage = await start(t, 1);
  const other = await openNumbersTab(t, stage);
  const opened = await Promise.all(NETWORKS.map((network) => openNumbersTab(t, stage, network)));
  const tabs = await publish(t, stage, opened);
  for (const [number, tab] of tabs.entries()) {
    await t.test(NETWORKS[number].name, async () => {
      assert.match(await transportOf(tab), NETWORKS[number].blockade ? /^xhr_streaming$/ : /^xhr_polling$/);
      await takesPart(tab, other);
    });
  }
  for (const tab of tabs) await hasHeardAll(tab, 5);
}

const OVER_HTTP = ["xhr_streaming", "xhr_polling"];

const FIFTY = [...Array(50).keys()].map(String);

/** What a page sends in quick succession, in as many requests, is heard in order. */
async function isHeardInOrder(tab, other) {
  const whisperAll = (texts) => tab.page.evaluate((texts) => texts.forEach((text) => window.whisper(text)), texts);
  const whispers = () => other.page.evaluate(() => window.whispers);
  const before = (await whispers()).length;
  await whisperAll(FIFTY);
  await until(async () => (await whispers()).length === before + FIFTY.length, "all whispers are heard");
  assert.deepEqual((await whispers()).slice(before), FIFTY);
  const name = `flipped-${before}`;
  for (const last of ["unsubscribe", "subscribe"]) {
    await tab.page.evaluate(([name, last]) => window.flip(name, 25, last), [name, last]);
    await whisperAll([last]);
    await until(async () => (await whispers()).at(-1) === last, "what was said last is heard");
    const { channels } = await (await tab.application.backEnd.get({ path: "/channels" })).json();
    assert.equal(name in channels, last === "subscribe", `it has said ${last} last`);
  }
}

async function isInOrder(t) {
  const stage = await start(t, 1);
  const other = await openNumbersTab(t, stage);
  for (const transports of OVER_HTTP) {
    const tab = await openNumbersTab(t, stage, { transports });
    await t.test(`over ${transports}`, () => isHeardInOrder(tab, other));
  }
}

/** What befalls a page. */
const FAULTS = {
  "a cut": async ({ balancer, numbers }) => {
    balancer.cut();
    await numbers.pass(10);
  },
  [`${AWAY_SECONDS} s without a connection`]: async ({ page, balancer, numbers }) => {
    const release = balancer.hold();
    balancer.cut();
    await pause(AWAY_SECONDS * 1_000);
    release();
    await isResumed(page, 1);
    await numbers.pass(5);
  },
  [`${OFFLINE_SECONDS} s without a network`]: async (tab) => {
    const comeBack = await ABSENCES.offline(tab);
    await pause(OFFLINE_SECONDS * 1_000);
    await comeBack();
    await tab.numbers.pass(5);
  },
  [CACHED]: async (tab) => {
    const comeBack = await ABSENCES.cached(tab);
    await tab.numbers.pass(10);
    await comeBack();
    await isResumed(tab.page, 1);
    await tab.numbers.pass(5);
  },
};

async function losesNothing(t) {
  const stage = await start(t, 1);
  const cases = OVER_HTTP.flatMap((transports) => Object.keys(FAULTS).map((fault) => ({ transports, fault })));
  const opened = await Promise.all(cases.map(({ transports }) => openNumbersTab(t, stage, { transports })));
  const tabs = await publish(t, stage, opened);
  const ends = await Promise.allSettled(tabs.map((tab, number) => FAULTS[cases[number].fault](tab)));
  for (const [number, { transports, fault }] of cases.entries()) {
    await t.test(`${fault}, over ${transports}`, async (t) => {
      if (ends[number].reason) throw ends[number].reason;
      t.diagnostic(`${await hasHeardAll(tabs[number])} heard again`);
      // The line for pages out of the cache lets go of the connection, and with it of what the authorizer remembers.
      if (fault !== CACHED) await costNothing(tabs[number]);
    });
  }
}

async function comesBackFromDrain(t) {
  const stage = await start(t, 2);
  const [node, spared] = stage.nodes;
  const onlyHttp = OVER_HTTP.map((transports) => ({ transports }));
  const options = [{ transports: ALL, blockade: "refused with 502" }, ...onlyHttp];
  const opening = options.map((one) => openNumbersTab(t, stage, one));
  // Somebody on the other node: what is in no memory of it, only a stream of NATS would bring back.
  const [, ...opened] = await Promise.all([openNumbersTab(t, { ...stage, nodes: [spared] }), ...opening]);
  const tabs = await publish(t, stage, opened);
  stage.cluster.forget(node);
  node.terminate();
  await Promise.all([node.hasStopped(), ...tabs.map(({ page }) => isResumed(page, 1))]);
  await tabs[0].numbers.pass(5);
  for (const [number, tab] of tabs.entries()) {
    await t.test(`over ${options[number].transports}`, async (t) => {
      t.diagnostic(`${await hasHeardAll(tab)} heard again`);
      await costNothing(tab);
      assert.notEqual(await transportOf(tab), "ws");
    });
  }
}

async function heedsOrigins(t) {
  for (const [origins, isAllowed] of [
    ["127.0.0.1", true],
    ["shop.example", false],
  ]) {
    const gaung = await startGaung({ ...SETTINGS, GAUNG_APP_ALLOWED_ORIGINS: origins });
    t.after(() => gaung.stop());
    const application = await startApplication(gaung);
    t.after(() => application.stop());
    for (const transports of OVER_HTTP) {
      const { page, heard } = await openTab(t, browser);
      await page.goto(application.pageUrl(gaung, { transports }));
      if (isAllowed) {
        await until(() => page.evaluate(() => window.socketIds.length === 1), "an allowed page is connected");
      } else {
        await heard.where(({ event, text }) => event === "error" && /CORS policy/.test(text), "a page is kept out");
        assert.deepEqual(await page.evaluate(() => window.socketIds), []);
      }
    }
  }
}

// Some at once: they wait most of the time.
describe("over HTTP", { concurrency: 3 }, () => {
  test("where no socket gets through, a page has all channels, client events and its user", hasAll);
  test("a page over HTTP that names itself loses nothing to", losesNothing);
  test("pages over HTTP come back from a node that is drained to another one, and lose nothing", comesBackFromDrain);
  test("what a page sends in quick succession is heard in order", isInOrder);
  test("over HTTP too, only pages of the origins that the app allows may connect", heedsOrigins);
});

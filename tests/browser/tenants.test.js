// Pages of two tenants in a real browser, with Laravel Echo as an application would have it: what is told to one tenant
// shows on its pages and on no other, also after the server was killed and came back.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { until } from "../clients/support/deadline.js";
import { startGaung } from "../clients/support/gaung.js";
import { openTab, startBrowser } from "./support/browser.js";
import { startShop } from "./support/shop.js";

/** How long a page may take to find a server again that was away. */
const RECONNECT_PATIENCE = 30_000;
const START_PATIENCE = 10_000;

let browser;
before(async () => {
  browser = await startBrowser();
});
after(() => browser?.close());

/** A server, and the shop in front of it. */
async function open(t) {
  const setting = { gaung: await startGaung() };
  t.after(() => setting.gaung.stop());
  setting.shop = await startShop(setting.gaung);
  t.after(() => setting.shop.stop());
  return setting;
}

/** Somebody's page, which has entered all of its channels. */
async function visit(t, { shop }, { name, tenant, spy = "" }) {
  const { page, heard } = await openTab(t, browser);
  await page.context().addCookies([shop.signIn({ name, tenant })]);
  await page.goto(`${shop.url}/${spy && `?spy=${spy}`}`);
  await page.waitForFunction(() => document.body.dataset.entered?.split(" ").length === 3, null, {
    timeout: START_PATIENCE,
  });
  return { page, heard };
}

const lines = (page, id) => page.locator(`#${id} li`).allTextContents();

async function shows(page, id, expected) {
  let now;
  const agrees = async () => `${(now = await lines(page, id))}` === `${expected}`;
  await until(agrees, `${id} are ${expected}`).catch((overdue) => {
    throw new Error(`${overdue.message}; they are ${now}`);
  });
}

/** Tells each tenant of a product, then everybody of it; when the pages show that, they have shown the rest. */
async function sellSomething({ shop }, pages, round) {
  await shop.backEnd.trigger("private-products.acme", "App\\Events\\ProductSaved", { name: `anvil ${round}` });
  await shop.backEnd.trigger("private-products.globex", "App\\Events\\ProductSaved", { name: `globe ${round}` });
  await shop.backEnd.trigger("announcements", "said", { text: `sale ${round}` });
  for (const { page } of pages) {
    await until(async () => (await lines(page, "announcements")).includes(`sale ${round}`), `sale ${round} shows`);
  }
}

test("an event shows on the pages of its tenant only", async (t) => {
  const setting = await open(t);
  const acme = await visit(t, setting, { name: "Ada", tenant: "acme" });
  const globex = await visit(t, setting, { name: "Gil", tenant: "globex" });
  await sellSomething(setting, [acme, globex], 1);
  assert.deepEqual(await lines(acme.page, "products"), ["anvil 1"]);
  assert.deepEqual(await lines(globex.page, "products"), ["globe 1"]);
  for (const { heard } of [acme, globex]) heard.never("error");
});

test("a page that asks for another tenant's channel is denied it and shows nothing of it", async (t) => {
  const setting = await open(t);
  const spy = await visit(t, setting, { name: "Ada", tenant: "acme", spy: "globex" });
  await shows(spy.page, "denied", ["products of globex: 403"]);
  await sellSomething(setting, [spy], 1);
  assert.deepEqual(await lines(spy.page, "products"), ["anvil 1"]);
});

test("staff shows who of the same tenant has a page open, until it is closed", async (t) => {
  const setting = await open(t);
  const ada = await visit(t, setting, { name: "Ada", tenant: "acme" });
  const gil = await visit(t, setting, { name: "Gil", tenant: "globex" });
  const bob = await visit(t, setting, { name: "Bob", tenant: "acme" });
  await shows(ada.page, "staff", ["Ada", "Bob"]);
  await shows(bob.page, "staff", ["Ada", "Bob"]);
  await bob.page.close();
  await shows(ada.page, "staff", ["Ada"]);
  assert.deepEqual(await lines(gil.page, "staff"), ["Gil"]);
});

test("after the server was killed and came back, pages hear what is for them again, and nothing else", async (t) => {
  const setting = await open(t);
  const pages = [
    await visit(t, setting, { name: "Ada", tenant: "acme" }),
    await visit(t, setting, { name: "Gil", tenant: "globex" }),
  ];
  await sellSomething(setting, pages, 1);
  await killAndRestart(setting, pages);
  await sellSomething(setting, pages, 2);
  assert.deepEqual(await lines(pages[0].page, "products"), ["anvil 1", "anvil 2"]);
  assert.deepEqual(await lines(pages[1].page, "products"), ["globe 1", "globe 2"]);
  await shows(pages[0].page, "staff", ["Ada"]);
  await shows(pages[1].page, "staff", ["Gil"]);
});

/** The server dies at once and another one takes its port; returns when each page is in all of its channels. */
async function killAndRestart(setting, pages) {
  const { port } = setting.gaung;
  setting.gaung.kill();
  await setting.gaung.exit();
  for (const { page } of pages) await hasStatus(page, "connecting");
  setting.gaung = await startGaung({ GAUNG_PORT: `${port}` });
  for (const { page } of pages) await hasStatus(page, "connected");
  for (const channel of ["private-products.acme", "private-products.globex", "announcements"]) {
    const subscribers = channel === "announcements" ? pages.length : 1;
    const enters = async () => (await subscriberCount(setting, channel)) === subscribers;
    await until(enters, `${channel} has its subscribers again`, RECONNECT_PATIENCE);
  }
}

async function hasStatus(page, status) {
  const hasIt = async () => (await page.locator("#status").textContent()) === status;
  await until(hasIt, `the page is ${status}`, RECONNECT_PATIENCE);
}

async function subscriberCount({ shop }, channel) {
  const answer = await shop.backEnd.get({ path: `/channels/${channel}`, params: { info: "subscription_count" } });
  return (await answer.json()).subscription_count;
}

// Who may open the console of a node with a token, and what the others are told.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { startGaung } from "../clients/support/gaung.js";
import { startBrowser } from "./support/browser.js";
import { openConsole } from "./support/console.js";

const TOKEN = "a-token-of-the-operators";

/** The browser logs each request that is turned away. */
const TURNED_AWAY = /status of 401 \(Unauthorized\)/;

let browser;
let gaung;
before(async () => {
  [browser, gaung] = await Promise.all([startBrowser(), startGaung({ GAUNG_ADMIN_TOKEN: TOKEN })]);
});
after(async () => {
  await browser?.close();
  await gaung?.stop();
});

test("a wrong token is refused in words, the right one opens the console and stays good", async (t) => {
  const tab = await openConsole(t, browser, gaung, { expected: TURNED_AWAY });
  const { page } = tab;
  await page.locator("#token").waitFor();
  assert.equal(await page.locator("#overview").isVisible(), false);
  assert.equal(await page.evaluate(() => document.activeElement.id), "token");
  await tab.keep("login");
  await page.keyboard.type("a guess");
  await page.keyboard.press("Enter");
  await tab.shows("#login-error", /\w/);
  assert.equal(await page.locator("#overview").isVisible(), false);
  await page.keyboard.type(TOKEN);
  await page.keyboard.press("Enter");
  await tab.hasTile("Connections", "0");
  assert.equal(await page.locator("#login-view").isVisible(), false);
  await page.reload();
  await tab.hasTile("Connections", "0");
});

test("the browser keeps a cookie that scripts cannot read and that is not the token", async (t) => {
  const tab = await openConsole(t, browser, gaung, { expected: TURNED_AWAY });
  await tab.page.locator("#token").fill(TOKEN);
  await tab.page.getByRole("button", { name: "Sign in" }).click();
  await tab.hasTile("Connections", "0");
  const [cookie, ...others] = await tab.page.context().cookies();
  assert.deepEqual(others, []);
  assert.ok(cookie.httpOnly && cookie.sameSite === "Strict" && !cookie.value.includes(TOKEN), JSON.stringify(cookie));
  assert.equal(await tab.page.evaluate(() => document.cookie), "");
});

test("a token in the address opens the console and does not stay there", async (t) => {
  const tab = await openConsole(t, browser, gaung, { expected: TURNED_AWAY });
  await tab.page.goto(new URL(`/?token=${TOKEN}`, gaung.adminUrl).href);
  await tab.hasTile("Connections", "0");
  assert.ok(!tab.page.url().includes(TOKEN), tab.page.url());
});

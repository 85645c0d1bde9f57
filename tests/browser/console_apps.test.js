// Apps that are changed in the console of a node with a token.

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { after, before, test } from "node:test";

import { until } from "../clients/support/deadline.js";
import { backEnd, connect, SHOP, startWithApps } from "./support/apps.js";
import { startBrowser } from "./support/browser.js";
import { openConsole } from "./support/console.js";

const TOKEN = "a-token-of-the-operators";

/** The browser logs each request that is turned away: the first one, before it has the token. */
const TURNED_AWAY = /status of 401 \(Unauthorized\)/;

let browser;
let served;
before(async () => {
  [browser, served] = await Promise.all([startBrowser(), startWithApps({ GAUNG_ADMIN_TOKEN: TOKEN })]);
});
after(async () => {
  await browser?.close();
  await served?.stop();
});

/** The console of who knows the token, at the apps. */
async function openApps(t, expected = TURNED_AWAY) {
  const tab = await openConsole(t, browser, served.gaung, { expected });
  await tab.page.goto(new URL(`/?token=${TOKEN}`, served.gaung.adminUrl).href);
  await tab.hasTile("Connections", "\\d+");
  await tab.go("kept-apps");
  await row(tab, "shop").waitFor();
  return tab;
}

const row = (tab, id) => tab.page.locator(`#apps-table tbody tr:has(th code:text-is("${id}"))`);

const kept = async () => JSON.parse(await readFile(served.file, "utf8"));

test("an app is added, changed, given another key, switched off and on, and removed", async (t) => {
  const tab = await openApps(t);
  const { page } = tab;
  await page.locator("#app-id").fill("news");
  await page.locator("#app-settings").fill('{"max_connections": 7}');
  await page.getByRole("button", { name: "Add" }).click();
  await tab.shows("#app-pair", /^key {5}[a-z0-9]{20}\nsecret {2}[0-9a-f]{64}$/);
  const [, key, secret] = /key +(\S+)\nsecret +(\S+)/.exec(await tab.text("#app-pair"));
  assert.deepEqual(await backEnd(served.gaung, { id: "news", key, secret }).trigger("c", "e", {}).then(({ status }) => status), 200);
  await page.getByRole("button", { name: "Edit news" }).click();
  await page.locator("#app-settings").fill('{"client_events": true}');
  await page.getByRole("button", { name: "Save" }).click();
  await until(async () => /client_events: true/.test(await row(tab, "news").innerText()), "the setting is shown");
  const app = (await kept()).find(({ id }) => id === "news");
  assert.deepEqual(app, { id: "news", key, secret, client_events: true });
  await page.getByRole("button", { name: "New key for news" }).click();
  await page.getByRole("button", { name: `Drop key ${key} of news` }).click();
  await until(async () => !(await row(tab, "news").innerText()).includes(key), "the old key is gone");
  await page.getByRole("button", { name: "Disable news" }).click();
  await page.getByRole("button", { name: "Enable news" }).click();
  await page.getByRole("button", { name: "Disable news" }).waitFor();
  await tab.keep("apps");
  page.once("dialog", (dialog) => dialog.accept());
  await page.getByRole("button", { name: "Remove news" }).click();
  await row(tab, "news").waitFor({ state: "detached" });
  assert.equal((await kept()).length, 2);
});

test("no secret that is kept reaches the page, and the sockets of an app that is changed stay", async (t) => {
  const tab = await openApps(t);
  const pusher = await connect(t, served.gaung, SHOP);
  await tab.page.getByRole("button", { name: "Edit shop" }).click();
  const settings = JSON.parse(await tab.page.locator("#app-settings").inputValue());
  await tab.page.locator("#app-settings").fill(JSON.stringify({ ...settings, max_connections: 41 }));
  await tab.page.getByRole("button", { name: "Save" }).click();
  await tab.shows("#app-result", /^shop is changed\.$/);
  assert.ok(!(await tab.page.content()).includes(SHOP.secret));
  assert.equal(pusher.connection.state, "connected");
});

test("what is refused is told with setting, value and limit", async (t) => {
  const tab = await openApps(t, /status of (401|422)/);
  await tab.page.locator("#app-id").fill("wrong");
  await tab.page.locator("#app-settings").fill('{"max_event_channels": 0}');
  await tab.page.getByRole("button", { name: "Add" }).click();
  await tab.shows("#app-result", /^Not changed: .*max_event_channels is "0"; it must be a whole number from 1 to 10000/);
  await tab.page.locator("#app-settings").fill("{");
  await tab.page.getByRole("button", { name: "Add" }).click();
  await tab.shows("#app-result", /^The settings are not JSON/);
});

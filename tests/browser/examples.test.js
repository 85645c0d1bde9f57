// The pages of docs/examples, opened as files beside the development app: the command that a page shows makes its event
// appear on it, and after a restart of the server it does so again.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { fileURLToPath, pathToFileURL } from "node:url";

import { until } from "../clients/support/deadline.js";
import { runGaung, startDevelopmentGaung } from "../clients/support/gaung.js";
import { openTab, startBrowser } from "./support/browser.js";

const EXAMPLES = fileURLToPath(new URL("../../docs/examples/", import.meta.url));
/** What the page's command begins with, in the repository's folder. */
const COMMAND = "cargo run --release -- ";

let browser;
let gaung;
before(async () => {
  gaung = await startDevelopmentGaung();
  browser = await startBrowser();
});
after(async () => {
  await browser?.close();
  await gaung?.stop();
});

/** Opens the example's page until it has subscribed. */
async function open(t, example) {
  const { page, heard } = await openTab(t, browser);
  await page.goto(`${pathToFileURL(`${EXAMPLES}${example}/index.html`)}?port=${gaung.port}`);
  await shows(page, "#status", "subscribed to products.42");
  heard.never("error");
  return page;
}

async function shows(page, selector, expected) {
  let now;
  const agrees = async () => (now = await page.locator(selector).textContent()) === expected;
  await until(agrees, `${selector} shows ${expected}`).catch((overdue) => {
    throw new Error(`${overdue.message}; it shows ${now}`);
  });
}

/** Runs the command that the page shows, with the binary under test and its port. */
async function publish(page) {
  const command = await page.locator("#publish").textContent();
  assert.ok(command.startsWith(COMMAND), command);
  const words = command.slice(COMMAND.length).split(" ").map((word) => word.replace(/^'(.*)'$/, "$1"));
  assert.equal(await runGaung(...words, "--url", gaung.publicUrl.origin).exit, 0);
}

test("the page with Echo shows the event of its command", async (t) => {
  const page = await open(t, "echo");
  await publish(page);
  await shows(page, "#events", 'product.updated {"productId":"7"}');
});

test("the page with a plain socket shows the event of its command, with the tenant's id", async (t) => {
  const page = await open(t, "plain");
  await publish(page);
  await shows(page, "#events", 'product.updated {"productId":"7","tenantId":"42"}');
});

test("the page with a plain socket subscribes again after the server was restarted", async (t) => {
  const page = await open(t, "plain");
  const { port } = gaung;
  gaung.kill();
  await gaung.exit();
  await shows(page, "#status", "closed with 1006");
  gaung = await startDevelopmentGaung({ GAUNG_PORT: `${port}` });
  await shows(page, "#status", "subscribed to products.42");
  await publish(page);
  await shows(page, "#events", 'product.updated {"productId":"7","tenantId":"42"}');
});

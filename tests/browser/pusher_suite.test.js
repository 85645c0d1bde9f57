// The integration tests that pusher-js comes with, against Gaung: connections, channels, presence and client events
// over each of its transports, with and without TLS. They are those of the installed package, in a real browser.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";

import { until } from "../clients/support/deadline.js";
import { openTab, startBrowser } from "./support/browser.js";
import { startHostedService, startSuite } from "./support/pusher_suite.js";

/** How many there are for each transport. */
const TESTS = 38;

/** Most wait for some seconds to see that nothing happens. */
const PATIENCE = 240_000;

let service;
let browser;
let suite;
before(async () => {
  service = await startHostedService();
  [browser, suite] = await Promise.all([startBrowser({ flags: service.flags }), startSuite(service)]);
});
after(async () => {
  await browser?.close();
  suite?.stop();
  await service?.stop();
});

async function passes(t, query) {
  const { page, heard } = await openTab(t, browser);
  await page.goto(`${suite.url}/?${query}`);
  const isOver = () => page.evaluate(() => window.isOver);
  await until(isOver, "the tests are over", PATIENCE).catch(async (overdue) => {
    throw new Error(`${overdue.message}; ${JSON.stringify(await page.evaluate(() => window.ended))}`);
  });
  const ended = await page.evaluate(() => window.ended);
  const failed = ended.filter(({ status }) => status !== "passed");
  assert.deepEqual(failed.map(({ name, failures }) => `${name}: ${failures}`), []);
  assert.equal(ended.length, TESTS, JSON.stringify(heard.all("error")));
  t.diagnostic(`${ended.length} tests of pusher-js passed`);
}

// All at once: they wait most of the time.
describe("pusher-js passes its own tests", { concurrency: true }, () => {
  for (const transport of ["ws", "xhr_streaming", "xhr_polling"]) {
    test(`over ${transport}`, (t) => passes(t, `transport=${transport}`));
    test(`over ${transport} with TLS`, (t) => passes(t, `transport=${transport}&tls`));
  }
});

// A socket that takes so long to open that pusher-js tries HTTP too: the page has two connections at once, and is connected
// by one of them.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { startBalancer } from "../clients/support/balancer.js";
import { startGaung } from "../clients/support/gaung.js";
import { openTab, startBrowser } from "./support/browser.js";
import { startApplication } from "./support/numbers.js";
import { SETTINGS, isEntered } from "./support/numbers_tab.js";
import { startSlowNetwork } from "./support/slow_network.js";

const ALL = "ws,wss,xhr_streaming,xhr_polling";

let browser;
let gaung;
let application;
before(async () => {
  [browser, gaung] = await Promise.all([startBrowser(), startGaung(SETTINGS)]);
  application = await startApplication(gaung);
});
after(async () => {
  await browser?.close();
  application?.stop();
  await gaung?.stop();
});

for (const unnamed of [true, false]) {
  const whose = unnamed ? "a page" : "a page that names itself";
  test(`${whose} whose socket opens while it turns to HTTP is connected, and stays so`, async (t) => {
    const network = await startSlowNetwork(t, gaung);
    const { page } = await openTab(t, browser);
    await page.goto(application.pageUrl(network, { transports: ALL, unnamed }));
    await isEntered(page);
  });

  test(`${whose} whose socket is open and silent is connected over HTTP`, async (t) => {
    const balancer = await startBalancer(t, gaung);
    balancer.blockade = "silent behind the handshake";
    const { page } = await openTab(t, browser);
    await page.goto(application.pageUrl(balancer, { transports: ALL, unnamed }));
    await isEntered(page);
  });
}

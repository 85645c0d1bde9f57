// The console of a node that is not alone.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { until } from "../clients/support/deadline.js";
import { APP, startGaung } from "../clients/support/gaung.js";
import { startNats } from "../clients/support/nats.js";
import { backEnd, connect, subscribe } from "./support/apps.js";
import { startBrowser } from "./support/browser.js";
import { openConsole } from "./support/console.js";

let browser;
let nats;
before(async () => {
  [browser, nats] = await Promise.all([startBrowser(), startNats()]);
});
after(async () => {
  await browser?.close();
  await nats?.kill();
});

/** Two nodes, which stay in the order in which they are returned. */
async function startTwo(t) {
  const settings = { GAUNG_NATS_URL: nats.url, GAUNG_CLUSTER_NAME: `console-${process.pid}` };
  const nodes = await Promise.all([startGaung(settings), startGaung(settings)]);
  for (const node of nodes) t.after(() => node.isRunning && node.stop());
  await Promise.all(nodes.map((node) => node.becomesReady()));
  return nodes;
}

test("peers and connections of the whole cluster show, and an event of another node comes by", async (t) => {
  const [here, there] = await startTwo(t);
  const tab = await openConsole(t, browser, here);
  await tab.shows("#cluster-state", /Connected to NATS\. 2 nodes, 0 connections in all/);
  await Promise.all([connect(t, there, APP), connect(t, there, APP)]);
  const heard = await subscribe(await connect(t, here, APP), "news");
  await tab.shows("#cluster-state", /2 nodes, 3 connections in all/);
  await tab.chartSays("Connections of the cluster", /now 3/);
  const connections = () => tab.page.locator("#peers tbody tr").evaluateAll((rows) => rows.map((row) => row.cells[3].innerText));
  await until(async () => `${(await connections()).sort()}` === "1,2", "each node has its connections");
  assert.match(await tab.text("#peers tbody th"), /this node/);

  await tab.go("live");
  const comesBy = async () => {
    await backEnd(there, APP).trigger("news", "from-afar", {});
    return (await tab.tail()).some((row) => row.join(" ").includes("from another node to 1 socket"));
  };
  await until(comesBy, "the tail shows an event of the other node");
  await heard.event("from-afar");

  await tab.go("overview");
  there.kill();
  await tab.shows("#cluster-state", /One node, 1 connections? in all/);
});

// Pages with a resume id in a real browser that are away while their node is drained, so that they come back to another one;
// and such as are without a network for longer than pusher-js keeps its socket. All at once, since that takes its time.

import { after, before, test } from "node:test";
import { setTimeout as pause } from "node:timers/promises";

import { startCluster } from "../clients/support/cluster.js";
import { until } from "../clients/support/deadline.js";
import { startNats } from "../clients/support/nats.js";
import { publishNumbers } from "../clients/support/numbers.js";
import { startBrowser } from "./support/browser.js";
import { CHANNELS, startApplication } from "./support/numbers.js";
import {
  ABSENCES,
  PACE,
  SETTINGS,
  costNothing,
  hasHeardAll,
  isResumed,
  openNumbersTab,
} from "./support/numbers_tab.js";

const DRAIN_PATIENCE = 15_000;

/** When pages come back: as soon as their node has closed its sockets, when it is gone, or after so many seconds. */
const CASES = [
  { absence: "frozen", back: "closed" },
  { absence: "frozen", back: "gone" },
  { absence: "cached", back: "closed" },
  { absence: "cached", back: "gone" },
  { absence: "offline", back: "closed" },
  { absence: "offline", back: 2 },
  { absence: "offline", back: 36 },
  { absence: "offline", back: 36, isSpared: true },
].flatMap((one) => [false, true].map((plugin) => ({ ...one, plugin })));

let browser;
let nats;
before(async () => {
  [browser, nats] = await Promise.all([startBrowser({ cachesPages: true }), startNats()]);
});
after(async () => {
  await browser?.close();
  await nats?.kill();
});

function nameOf({ absence, back, isSpared, plugin }) {
  const times = { closed: "until its node has closed its socket", gone: "until its node is gone" };
  const drain = isSpared ? "without a drain" : "with a drain";
  return `${absence} ${times[back] ?? `for ${back} s ${drain}`}, ${plugin ? "with" : "without"} the plugin`;
}

/** Three nodes; pages of all cases on the first, or on the second where that is spared; numbers that the third publishes. */
async function open(t) {
  const cluster = await startCluster(nats, SETTINGS);
  t.after(() => cluster.stop());
  const [first, second, third] = cluster.nodes;
  const application = await startApplication(third);
  t.after(() => application.stop());
  const opened = CASES.map(async (one) => {
    const nodes = one.isSpared ? [second, third] : [first, second, third];
    const options = { plugin: one.plugin, bare: one.absence === "frozen" };
    return { ...one, ...(await openNumbersTab(t, { browser, application, nodes }, options)) };
  });
  const tabs = await Promise.all(opened);
  const numbers = publishNumbers(application.backEnd, CHANNELS, PACE);
  t.after(() => numbers.stop());
  await numbers.pass(5);
  return { cluster, numbers, tabs: tabs.map((tab) => ({ ...tab, numbers })) };
}

/** Leaves at once; the function that it returns waits and comes back. */
async function leave(tab) {
  const comeBack = await ABSENCES[tab.absence](tab);
  const timeIsUp = pause(typeof tab.back === "number" ? tab.back * 1_000 : 0);
  return async (drain) => {
    await timeIsUp;
    await drain[tab.back];
    await comeBack();
    await isResumed(tab.page, 1);
    await tab.numbers.pass(5);
  };
}

/** What the drain of the first node comes to, in the order in which it does: `{ closed, gone }`. */
function drain({ cluster, numbers }) {
  const [node] = cluster.nodes;
  cluster.forget(node);
  const hasSockets = async () => /^gaung_connections{.*} [1-9]/m.test(await (await node.admin("/metrics")).text());
  const closed = numbers.pass(5).then(async () => {
    node.terminate();
    await until(async () => !(await hasSockets()), "the node has no sockets", DRAIN_PATIENCE);
  });
  return { closed, gone: closed.then(() => node.hasStopped()).then(() => numbers.pass(5)) };
}

test("pages that are away while their node is drained, or for long, lose nothing", async (t) => {
  const stage = await open(t);
  const returns = await Promise.all(stage.tabs.map(leave));
  const drained = drain(stage);
  await Promise.all([drained.gone, ...returns.map((comesBack) => comesBack(drained))]);
  for (const tab of stage.tabs) await t.test(nameOf(tab), (t) => keepsItsPromise(t, tab));
});

async function keepsItsPromise(t, tab) {
  t.diagnostic(`${await hasHeardAll(tab)} heard again`);
  // The plugin lets go of the socket of a page that was cached, and with it of what the authorizer remembers.
  if (!(tab.plugin && tab.absence === "cached")) await costNothing(tab);
}

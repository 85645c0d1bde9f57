// `EventSource`, as the npm package speaks it, on channels that keep a history, behind a balancer that cuts.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { EventSource } from "eventsource";

import { startBalancer } from "./support/balancer.js";
import { Heard, until } from "./support/deadline.js";
import { startGaung } from "./support/gaung.js";
import { backEnd } from "./support/libraries.js";
import { heardAll, publishNumbers, random } from "./support/numbers.js";

const SETTINGS = { GAUNG_TENANT_ACCESS: "open", GAUNG_APP_HISTORY: "products.*=120s:10000" };
const CUTS = 4;
/** A stream comes back after up to 5 s. */
const RECONNECT_PATIENCE = 60_000;

let gaung;
let server;
before(async () => {
  gaung = await startGaung(SETTINGS);
  server = backEnd(gaung);
});
after(() => gaung?.stop());

/** A page of tenant 7 behind a balancer: the lines of docs/server-sent-events.md, and what it has heard. */
async function open(t, ...channels) {
  const balancer = await startBalancer(t, gaung);
  const page = { balancer, heard: new Heard(), last: "" };
  const address = `http://${balancer.host}:${balancer.port}/sse?tenant_id=7&channels=${channels.join(",")}`;
  const start = () => {
    page.events = new EventSource(address + (page.last && `&since=${encodeURIComponent(page.last)}`));
    page.events.onmessage = (message) => {
      page.last = message.lastEventId || page.last;
      const { type: event, ...rest } = JSON.parse(message.data);
      page.heard.note({ event, ...rest });
    };
    page.events.onerror = () => {
      page.heard.note({ event: "error" });
      if (page.events.readyState === EventSource.CLOSED) start();
    };
  };
  start();
  t.after(() => page.events.close());
  await page.heard.times(channels.length, "subscribed");
  return page;
}

test("cuts in the middle of whatever is sent lose nothing and double nothing", async (t) => {
  const { balancer, heard } = await open(t, "products.7");
  const numbers = publishNumbers(server, ["products.7"]);
  await numbers.pass(5);
  balancer.budgets = [...Array(CUTS - 1)].map(() => random(1_000, 40_000));
  balancer.cut();
  await until(() => balancer.budgets.length === 0, "all connections were cut", RECONNECT_PATIENCE);
  await heard.times(CUTS, "subscribed", RECONNECT_PATIENCE);
  const published = await heardAll(heard, numbers);
  const answers = heard.all("subscribed").map(({ recovered }) => recovered);
  assert.deepEqual([answers[0], ...new Set(answers.slice(1))], [undefined, true]);
  t.diagnostic(`${published} events, ${CUTS} cuts`);
});

test("a page that the browser has given up opens another stream with the position", async (t) => {
  const page = await open(t, "products.7.given-up", "products.7.other");
  await server.trigger("products.7.given-up", "numbered", { n: 0 });
  await page.heard.event("numbered");
  page.events.close();
  await server.trigger("products.7.other", "numbered", { n: 1 });
  page.events.onerror();
  await server.trigger("products.7.given-up", "numbered", { n: 2 });
  await page.heard.times(3, "numbered");
  await page.heard.times(4, "subscribed");
  assert.deepEqual(page.heard.data("numbered").map(({ n }) => n).sort(), [0, 1, 2]);
  assert.deepEqual(page.heard.all("subscribed").slice(2).map(({ recovered }) => recovered), [true, true]);
});

test("a refused stream is given up", async (t) => {
  const events = new EventSource(`http://${gaung.host}:${gaung.port}/sse?tenant_id=7&channels=products.8`);
  t.after(() => events.close());
  const heard = new Heard();
  events.onerror = ({ code }) => heard.note({ event: "error", code });
  assert.equal((await heard.event("error")).code, 403);
  assert.equal(events.readyState, EventSource.CLOSED);
});

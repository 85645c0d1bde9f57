// The HTTP transports of pusher-js, as far as they are not WebSocket with other means: answers that end while much is
// said, and the end of a session. Requests that are under way at once are in `tests/browser/http_transports.test.js`: a
// browser has six of them, Node any number.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { startApplication } from "./support/application.js";
import { startBalancer } from "./support/balancer.js";
import { Heard } from "./support/deadline.js";
import { startGaung } from "./support/gaung.js";
import {
  backEnd,
  connectPusher,
  hasState,
  hearErrors,
  openPusher,
  signIn,
  subscribe,
  subscriberCount,
} from "./support/libraries.js";
import { behind } from "./support/pages.js";

const TRANSPORTS = ["xhr_streaming", "xhr_polling"];

/** A burst is read by the process that sends it. */
const BURST_PATIENCE = 30_000;

let gaung;
let application;
let server;
before(async () => {
  [gaung, application] = await Promise.all([startGaung(), startApplication()]);
  server = backEnd(gaung);
});
after(async () => {
  application?.stop();
  await gaung?.stop();
});

/** A pusher-js over this transport alone, as `id`. */
function connect(t, transport, { id = "42", at = gaung, ...options } = {}) {
  const user = application.user({ id, info: {} });
  return connectPusher(t, at, { application, user, enabledTransports: [transport], ...options });
}

/** Publishes `count` numbered events in batches of ten, each as long as `text` and a bit. */
async function burst(channel, count, text) {
  const events = [...Array(count).keys()].map((n) => ({ channel, name: "numbered", data: { n, text } }));
  for (let first = 0; first < count; first += 10) await server.triggerBatch(events.slice(first, first + 10));
}

const upTo = (count) => [...Array(count).keys()];

for (const transport of TRANSPORTS) {
  for (const [what, text] of [
    ["900 bytes", "x".repeat(900)],
    ["300 characters of three bytes", "日".repeat(300)],
  ]) {
    test(`${transport}: 3,000 events of ${what} are heard in order, and none is lost`, async (t) => {
      const pusher = await connect(t, transport);
      const channel = `burst-${transport}-${text.length}`;
      const { heard } = await subscribe(pusher, channel);
      const errors = hearErrors(pusher);
      await burst(channel, 3_000, text);
      await heard.times(3_000, "numbered", BURST_PATIENCE);
      assert.deepEqual(heard.data("numbered").map(({ n }) => n), upTo(3_000));
      assert.ok(heard.data("numbered").every((data) => data.text === text), "a text is another one");
      assert.deepEqual(errors.all(), []);
    });
  }

  test(`${transport}: a quiet client is told that its server is there`, async (t) => {
    const pusher = await connect(t, transport, { activityTimeout: 100, pongTimeout: 2_000 });
    const errors = hearErrors(pusher);
    const signs = new Heard();
    pusher.connection.connection.bind("activity", () => signs.note({ event: "activity" }));
    await signs.times(5, "activity");
    assert.equal(pusher.connection.state, "connected");
    assert.deepEqual(errors.all(), []);
  });

  test(`${transport}: an unknown key stops a client with 4001`, async (t) => {
    const pusher = openPusher(t, gaung, { key: "no-such-key", enabledTransports: [transport] });
    const errors = hearErrors(pusher);
    await hasState(pusher, "disconnected");
    assert.equal(errors.all()[0].event, 4001);
    assert.match(errors.all()[0].message, /does not exist/i);
  });

  test(`${transport}: a user who is thrown out is told 4009 and stays out`, async (t) => {
    const pusher = await connect(t, transport, { id: `thrown-${transport}` });
    const errors = hearErrors(pusher);
    await signIn(pusher);
    await server.terminateUserConnections(`thrown-${transport}`);
    await errors.event(4009);
    await hasState(pusher, "disconnected");
  });

  test(`${transport}: a client that does not read is closed with 4100, and comes back`, async (t) => {
    const balancer = await startBalancer(t, gaung);
    const pusher = await connect(t, transport, { at: behind(balancer) });
    const { heard } = await subscribe(pusher, `slow-${transport}`);
    const errors = hearErrors(pusher);
    const release = balancer.stall();
    const isSubscribed = async () => (await subscriberCount(server, `slow-${transport}`)) > 0;
    while (await isSubscribed()) await burst(`slow-${transport}`, 100, "x".repeat(9_000));
    release();
    await errors.event(4100);
    await heard.times(2, "pusher:subscription_succeeded");
  });

  test(`${transport}: all clients of a server that goes are told 4200, and it exits in order`, async (t) => {
    const leaving = await startGaung();
    const pushers = await Promise.all(upTo(20).map(() => connect(t, transport, { at: leaving })));
    const errors = pushers.map(hearErrors);
    await leaving.stop();
    await Promise.all(errors.map((heard) => heard.event(4200)));
  });
}

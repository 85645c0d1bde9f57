// A new binary on one machine: the next process listens on the port of the one that serves, which is then told to go, again
// and again, under pages and under connections that come all the time. NATS joins the two.

import assert from "node:assert/strict";
import { createServer, connect } from "node:net";
import { test } from "node:test";
import { setTimeout as pause } from "node:timers/promises";

import { startStage } from "./support/recovery/stage.js";

const SOCKETS = Number(process.env.GAUNG_REUSE_PORT_SOCKETS ?? 150);
const HANDOVERS = 3;
const DRAIN_SECONDS = 2;
const DRAIN_PATIENCE = (DRAIN_SECONDS + 20) * 1_000;

/** Connections to the port that are under way at one time. */
const CALLERS = 8;

const REQUEST = "GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n";

/** One that nobody listens on, below those that the system gives to who connects: nobody else takes it before the server. */
async function freePort() {
  for (;;) {
    const port = 12_000 + Math.floor(Math.random() * 20_000);
    const server = createServer();
    const isFree = await new Promise((resolve) => {
      server.once("error", () => resolve(false));
      server.listen(port, "127.0.0.1", () => server.close(() => resolve(true)));
    });
    if (isFree) return port;
  }
}

/** Connects to the port, asks for something and goes, for as long as it lasts; counts what was not answered, by cause. */
class Callers {
  answered = 0;
  failures = [];
  #port;
  #isOn = true;

  constructor(port) {
    this.#port = port;
    this.done = Promise.all([...Array(CALLERS)].map(() => this.#call()));
  }

  async stop() {
    this.#isOn = false;
    await this.done;
  }

  async #call() {
    while (this.#isOn) {
      const cause = await this.#once();
      if (cause) this.failures.push(cause);
      else this.answered += 1;
      await pause(2);
    }
  }

  #once() {
    return new Promise((resolve) => {
      const socket = connect(this.#port, "127.0.0.1");
      let answer = "";
      socket.on("connect", () => socket.write(REQUEST));
      socket.on("data", (bytes) => (answer += bytes));
      socket.on("error", ({ code }) => resolve(code));
      socket.on("close", () => resolve(answer.startsWith("HTTP/1.1 ") ? undefined : `answered ${JSON.stringify(answer)}`));
    });
  }
}

test("the next process takes over the port, refuses no connection and loses no event", async (t) => {
  const port = await freePort();
  const settings = {
    GAUNG_PORT: `${port}`,
    GAUNG_REUSE_PORT: "true",
    GAUNG_DRAIN_SECONDS: `${DRAIN_SECONDS}`,
    GAUNG_DRAIN_LAG_SECONDS: "0",
  };
  const stage = await startStage(t, { nodes: 1, sockets: SOCKETS, settings, perSecond: 50 });
  const { cluster, balancer } = stage;
  const callers = new Callers(port);
  for (let count = 1; count <= HANDOVERS; count += 1) {
    const [old] = cluster.nodes;
    // Behind one port nobody can say which of the two a connection was with: each ends for no cause but this one.
    balancer.expect(old, "drain");
    await cluster.grow(1);
    balancer.expect(cluster.nodes[1], "drain");
    const answered = callers.answered;
    old.terminate();
    cluster.forget(old);
    assert.deepEqual(await old.exit(DRAIN_PATIENCE), { code: 0, signal: null }, old.log);
    stage.log(`process ${count} is gone; ${callers.answered - answered} connections were answered meanwhile`);
  }
  await callers.stop();
  const { broken, flaps, again } = await stage.judge();
  // Nobody came to a process that was going: each page connected once to each of them.
  const often = stage.pages.filter(({ name }) => balancer.connections.get(name)?.length !== HANDOVERS + 1);
  stage.say(`${callers.answered} connections were answered, ${callers.failures.length} were not`);
  assert.deepEqual(callers.failures, []);
  assert.ok(callers.answered > 100 * HANDOVERS, `only ${callers.answered} connections`);
  assert.deepEqual(often.map(({ kind }) => kind), []);
  assert.deepEqual(broken.map(({ kind, what, list }) => `${kind}: ${list.length} ${what}`), []);
  assert.deepEqual({ flaps, again }, { flaps: 0, again: 0 });
});

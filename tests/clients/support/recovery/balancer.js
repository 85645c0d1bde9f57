// A load balancer that spreads connections over the nodes that are ready, cuts some of them when it is told to, and
// notes of each one whose it was and why it ended.

import { connect, createServer } from "node:net";
import { setTimeout as pause } from "node:timers/promises";

import { random } from "../numbers.js";

/** How often nodes are asked whether they are ready, in milliseconds. */
const PROBE = 100;

/** Pages by the id behind the key, plain sockets by their user. */
const PAGE = /^GET (?:\/app\/[^/]+\/|\/ws\?\S*user_id=)([\w-]+)/;

/** `nodes` changes while the balancer runs. */
export async function startSpreadingBalancer(t, nodes) {
  const balancer = new SpreadingBalancer(nodes);
  t.after(() => balancer.stop());
  await balancer.listen();
  return balancer;
}

class SpreadingBalancer {
  host = "127.0.0.1";
  /** The nodes that answered lately that they are ready. */
  ready = [];
  /** By page: `{ from, until, cause }`, in the order in which they were opened. */
  connections = new Map();
  #nodes;
  #open = new Set();
  #fates = new Map();
  #isOn = true;
  #turn = 0;
  #server = createServer((client) => this.#accept(client));

  constructor(nodes) {
    this.#nodes = nodes;
  }

  async listen() {
    await this.#probe();
    this.#probeAgain();
    await new Promise((resolve) => this.#server.listen(0, this.host, resolve));
    this.port = this.#server.address().port;
  }

  stop() {
    this.#isOn = false;
    this.#server.close();
    for (const { end } of this.#open) end("the end");
  }

  /** What ends from now on with this node ends for this cause. */
  expect(node, cause) {
    this.#fates.set(node, cause);
  }

  /** Cuts this share of the connections, whatever is under way on them. */
  cut(share) {
    const open = [...this.#open];
    for (let count = Math.round(share * open.length); count > 0; count -= 1) {
      const [{ end }] = open.splice(random(0, open.length - 1), 1);
      end("cut");
    }
  }

  async #probeAgain() {
    while (this.#isOn) {
      await pause(PROBE);
      await this.#probe();
    }
  }

  async #probe() {
    const nodes = [...this.#nodes];
    const answers = await Promise.all(nodes.map((node) => node.isReady()));
    this.ready = nodes.filter((_, number) => answers[number]);
  }

  #accept(client) {
    client.on("error", () => {});
    client.once("data", (head) => this.#carry(client, head));
  }

  #carry(client, head) {
    const node = this.ready[this.#turn++ % this.ready.length];
    if (!node) return client.destroy();
    const upstream = connect(node.port, node.host).on("error", () => {});
    const end = this.#note(PAGE.exec(head)?.[1], client, upstream);
    upstream.once("close", () => end(this.#fates.get(node) ?? "server"));
    client.once("close", () => end(this.#fates.get(node) ?? "client"));
    upstream.write(head);
    client.pipe(upstream);
    upstream.pipe(client);
  }

  /** Returns the function that ends both sides. */
  #note(page, ...sides) {
    const connection = { from: performance.now(), until: Infinity };
    if (!this.connections.has(page)) this.connections.set(page, []);
    this.connections.get(page).push(connection);
    const open = {
      end: (cause) => {
        if (!this.#open.delete(open)) return;
        Object.assign(connection, { until: performance.now(), cause });
        for (const side of sides) side.destroy();
      },
    };
    this.#open.add(open);
    return open.end;
  }
}

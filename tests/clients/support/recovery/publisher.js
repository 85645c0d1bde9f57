// A back end that publishes numbers at an even pace: 0, 1, 2 and so on in each channel, one channel after the other.
// Those of one channel are posted to one node, as long as that is ready, so that they have one order everywhere.

import { setTimeout as pause } from "node:timers/promises";

import { backEnd } from "../libraries.js";

/** What a node was given so many milliseconds before it was killed may never have left it (docs/cluster.md). */
const AT_RISK = 100;

export function startPublisher(options) {
  const publisher = new Publisher(options);
  publisher.begin();
  return publisher;
}

class Publisher {
  /** By channel: `{ n, from, until, node }`, with `failed` where no answer came, and `atRisk`. */
  published = new Map();
  #balancer;
  #perSecond;
  #servers = new Map();
  #isOn = true;
  #done;

  constructor({ balancer, channels, perSecond }) {
    this.#balancer = balancer;
    this.#perSecond = perSecond;
    for (const channel of channels) this.published.set(channel, []);
  }

  get count() {
    return [...this.published.values()].reduce((sum, numbers) => sum + numbers.length, 0);
  }

  begin() {
    this.#done = this.#publish();
  }

  /** Publishes no more; returns when all was answered. */
  async stop() {
    this.#isOn = false;
    await this.#done;
  }

  /** The node was killed just now. */
  wasKilled(node) {
    const since = performance.now() - AT_RISK;
    for (const numbers of this.published.values()) {
      for (const number of numbers) if (number.node === node && !(number.until < since)) number.atRisk = true;
    }
  }

  async #publish() {
    const began = performance.now();
    const channels = [...this.published.keys()];
    const posts = [];
    for (let count = 0; this.#isOn; count += 1) {
      posts.push(this.#post(channels[count % channels.length], count % channels.length));
      await pause(began + ((count + 1) * 1_000) / this.#perSecond - performance.now());
    }
    await Promise.all(posts);
  }

  async #post(channel, place) {
    const { ready } = this.#balancer;
    const node = ready[place % ready.length];
    if (!node) return;
    const numbers = this.published.get(channel);
    const number = { n: numbers.length, from: performance.now(), until: Infinity, node };
    numbers.push(number);
    try {
      await this.#server(node).trigger(channel, "numbered", { n: number.n });
    } catch {
      number.failed = true;
    }
    number.until = performance.now();
  }

  #server(node) {
    if (!this.#servers.has(node)) this.#servers.set(node, backEnd(node));
    return this.#servers.get(node);
  }
}

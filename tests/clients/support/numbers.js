// Numbered events on channels, published all the time while sockets come and go: what was lost or came twice shows.

import assert from "node:assert/strict";
import { setTimeout as pause } from "node:timers/promises";

import { until } from "./deadline.js";

/** Time between two numbers, in milliseconds: many are published while a client is away, and fewer than are kept. */
const PACE = 5;

/** Each number is published on every channel, one after the other. */
const PUBLISHING_PATIENCE = 60_000;

/** Begins to publish `numbered` with 0, 1, 2 and so on, each number on every channel. */
export function publishNumbers(server, channels, pace = PACE) {
  const numbers = new Numbers(server, channels, pace);
  numbers.begin();
  return numbers;
}

class Numbers {
  /** How many have been published on every channel. */
  count = 0;
  #server;
  #channels;
  #pace;
  #isOn = true;
  #published;

  constructor(server, channels, pace) {
    this.#server = server;
    this.#channels = channels;
    this.#pace = pace;
  }

  begin() {
    this.#published = this.#publish();
    // The failure is told by `stop`.
    this.#published.catch(() => {});
  }

  /** Until that many more have been published. */
  async pass(more) {
    const goal = this.count + more;
    await until(() => this.count >= goal, `${goal} numbers are published`, PUBLISHING_PATIENCE);
  }

  /** Publishes no more; returns how many were published. */
  async stop() {
    this.#isOn = false;
    await this.#published;
    return this.count;
  }

  async #publish() {
    for (; this.#isOn; this.count += 1) {
      for (const channel of this.#channels) await this.#server.trigger(channel, "numbered", { n: this.count });
      await pause(this.#pace);
    }
  }
}

/** Waits for the last number; fails if one is missing, came twice or out of order. Returns how many there were. */
export async function heardAll(heard, numbers) {
  const count = await numbers.stop();
  await heard.where(({ event, data }) => event === "numbered" && data.n === count - 1, `number ${count - 1}`);
  const all = heard.data("numbered").map(({ n }) => n);
  assert.deepEqual(all, [...Array(count).keys()]);
  return count;
}

/**
 * Waits for the last number; fails if one is missing, or is heard first out of order, or is heard again although the page
 * had given a receipt for it. `heard` has `receipt` where the page was asked for one, and `cut` where it was cut: the last
 * receipt before a cut may have been lost with it. Returns how many were heard once more.
 */
export async function heardAgainAfterReceipts(heard, numbers) {
  const count = await numbers.stop();
  await heard.where(({ event, data }) => event === "numbered" && data.n === count - 1, `number ${count - 1}`);
  const [first, receipts] = [new Map(), []];
  let [again, proven] = [0, -1];
  for (const [place, { event, data }] of heard.all().entries()) {
    if (event === "receipt") receipts.push(place);
    if (event === "cut") proven = receipts.at(-2) ?? -1;
    if (event !== "numbered") continue;
    if (first.has(data.n)) {
      again += 1;
      assert.ok(first.get(data.n) > proven, `number ${data.n} was heard again, and a receipt was given for it`);
    } else first.set(data.n, place);
  }
  assert.deepEqual([...first.keys()], [...Array(count).keys()]);
  return again;
}

/** An integer from `low` to `high`. */
export function random(low, high) {
  return low + Math.floor(Math.random() * (high - low + 1));
}

// Waiting with a deadline: for a promise, for a condition, for something to be heard. Nothing here ever sleeps for a
// fixed time; a test that waits in vain fails and says what it waited for.

import assert from "node:assert/strict";
import { setTimeout as pause } from "node:timers/promises";

/**
 * How long a test waits for something that should happen at once, in milliseconds. Only failures wait that long, also on
 * a machine that is busy with much else.
 */
export const PATIENCE = 20_000;

/** The promise's value, or an error that names what did not happen in time. */
export async function within(promise, what, patience = PATIENCE) {
  const overdue = new AbortController();
  const deadline = pause(patience, undefined, { signal: overdue.signal }).then(() => {
    throw new Error(`not within ${patience} ms: ${what}`);
  });
  deadline.catch(() => {});
  try {
    return await Promise.race([promise, deadline]);
  } finally {
    overdue.abort();
  }
}

/** Asks again and again until the answer is neither false nor empty, and returns it. */
export async function until(condition, what, patience = PATIENCE) {
  const end = Date.now() + patience;
  for (;;) {
    const answer = await condition();
    if (answer) return answer;
    if (Date.now() > end) throw new Error(`not within ${patience} ms: ${what}`);
    await pause(10);
  }
}

/** What somebody has heard, in order. Each entry has at least a member `event`. */
export class Heard {
  #entries = [];
  #waiting = new Set();

  note(entry) {
    this.#entries.push(entry);
    for (const wake of this.#waiting) wake();
  }

  /** All entries, or those of one event. */
  all(event) {
    return this.#entries.filter((entry) => event === undefined || entry.event === event);
  }

  /** The data of all entries of this event. */
  data(event) {
    return this.all(event).map(({ data }) => data);
  }

  /** The names of the events, in order. */
  names() {
    return this.#entries.map((entry) => entry.event);
  }

  /** The first entry of this event, heard already or yet to come. */
  async event(name, patience) {
    return this.where((entry) => entry.event === name, name, patience);
  }

  /** The first entry that fits, heard already or yet to come. */
  async where(fits, what, patience) {
    await this.#reaches(() => this.#entries.some(fits), what, patience);
    return this.#entries.find(fits);
  }

  /** The first `count` entries of this event. */
  async times(count, name, patience) {
    await this.#reaches(() => this.all(name).length >= count, `${name}, ${count} times`, patience);
    return this.all(name);
  }

  /** Fails if this event has been heard. Only says something after a later event that would have come behind it. */
  never(name) {
    assert.deepEqual(this.all(name), [], `${name} should not have been heard`);
  }

  async #reaches(reached, what, patience = PATIENCE) {
    let wake;
    const arrived = new Promise((resolve) => {
      wake = () => reached() && resolve();
    });
    this.#waiting.add(wake);
    wake();
    try {
      await within(arrived, what, patience);
    } catch (overdue) {
      throw new Error(`${overdue.message}; heard: ${JSON.stringify(this.#entries)}`);
    } finally {
      this.#waiting.delete(wake);
    }
  }
}

// The last five minutes, as differences between snapshots. It draws nothing.

export const SPAN = 300_000;

const COUNTERS = ["events_in", "client_events_in", "deliveries", "bytes_in", "bytes_out"];

export class History {
  /** Oldest first; `at` in milliseconds, `per_second` is null where there is nothing to compare with. */
  samples = [];
  /** Reasons of refusals in the order in which they were met first. */
  reasons = [];
  #before = null;

  /** Returns the sample that the snapshot makes. */
  add(snapshot) {
    const { at, totals, refusals, cluster } = snapshot;
    for (const reason of Object.keys(refusals)) if (!this.reasons.includes(reason)) this.reasons.push(reason);
    const sample = {
      at,
      connections: totals.connections,
      rooms: totals.rooms,
      everywhere: cluster?.connections ?? null,
      per_second: this.#rates(snapshot),
    };
    this.#before = snapshot;
    this.samples.push(sample);
    while (this.samples[0].at < at - SPAN) this.samples.shift();
    return sample;
  }

  /** The next snapshot is not compared with the last one: there is a gap between them. */
  interrupt() {
    this.#before = null;
  }

  /** Nothing after a gap, or after a restart of the node, which counts from zero again. */
  #rates({ at, uptime_seconds, totals, refusals }) {
    const before = this.#before;
    if (!before || at <= before.at || uptime_seconds < before.uptime_seconds) return null;
    const seconds = (at - before.at) / 1000;
    const rate = (now = 0, then = 0) => Math.max(0, now - then) / seconds;
    const rates = COUNTERS.map((name) => [name, rate(totals[name], before.totals[name])]);
    const refused = this.reasons.map((reason) => [reason, rate(refusals[reason], before.refusals[reason])]);
    return { ...Object.fromEntries(rates), refusals: Object.fromEntries(refused) };
  }
}

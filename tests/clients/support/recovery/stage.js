// A cluster with NATS, a balancer, pages and somebody who publishes numbers, for tests in which nodes come and go under many
// pages, and what came of it.

import { startApplication } from "../application.js";
import { startCluster } from "../cluster.js";
import { until } from "../deadline.js";
import { startNats } from "../nats.js";
import { startSpreadingBalancer } from "./balancer.js";
import { openPages } from "./pages.js";
import { startPublisher } from "./publisher.js";
import { addUp, broken, byCause, examples, lines } from "./report.js";

const AGREE_PATIENCE = 30_000;
const SETTLED = 60_000;
const RECEIPT_SECONDS = 5;

/** Two channels each, some of them with members; a third of all pages are members there. */
const MEMBERS_PER_CHANNEL = 50;

const numbered = (prefix, count) => [...Array(count).keys()].map((n) => `${prefix}products.${n}`);
const PUBLIC = numbered("", 40);
const PRIVATE = numbered("private-", 10);

/** Histories, receipts, and no doubt about pages that a node does not know. */
export const SETTINGS = {
  GAUNG_APP_HISTORY: "*=120s:1000",
  GAUNG_RECEIPT_SECONDS: `${RECEIPT_SECONDS}`,
  GAUNG_PAGE_DOUBT_SECONDS: "0",
  GAUNG_DRAIN_LAG_SECONDS: "1",
};

/** Nodes and so many pages that do on the wire what pusher-js does, with some dozens of the library itself. */
export async function startStage(t, { nodes = 3, sockets, settings, perSecond }) {
  const stage = new Stage(t, sockets);
  await stage.start(nodes, settings, perSecond);
  return stage;
}

class Stage {
  #t;
  #began = performance.now();
  #asked = 0;
  #presence;

  constructor(t, sockets) {
    const member = Math.round(sockets / 3);
    this.#t = t;
    this.#presence = numbered("presence-", Math.ceil(member / MEMBERS_PER_CHANNEL));
    this.counts = { light: sockets - member, member, stock: 12, authorizer: 12, plugin: 12 };
  }

  async start(nodes, settings, perSecond) {
    this.#t.after(async () => {
      // They have nobody left to see off, and would take as long as the old ones.
      for (const node of this.cluster?.nodes ?? []) node.kill();
      this.application?.stop();
      await this.nats?.kill();
    });
    [this.nats, this.application] = await Promise.all([startNats(), startApplication()]);
    this.cluster = await startCluster(this.nats, { ...SETTINGS, ...settings }, nodes);
    this.balancer = await startSpreadingBalancer(this.#t, this.cluster.nodes);
    const { balancer, application, counts } = this;
    const channelsOf = (kind, number) => this.#channelsOf(kind, number);
    this.pages = await openPages(this.#t, { balancer, application, counts, channelsOf });
    await this.#membersAgree();
    this.publisher = startPublisher({ balancer, channels: [...PUBLIC, ...PRIVATE, ...this.#presence], perSecond });
    this.#began = performance.now();
    this.#asked = application.authorizations.all().length;
    this.log(`${this.pages.length} pages are subscribed, ${counts.member} of them as members`);
  }

  say(line) {
    this.#t.diagnostic(line);
  }

  log(what) {
    this.say(`${((performance.now() - this.#began) / 1_000).toFixed(1)} s: ${what}`);
  }

  /**
   * Ends the publishing; once every page has heard the last number of each of its channels, or long after, says what came of
   * it: `{ broken, flaps, again }`, what was missed or came twice, members who were seen to come or go, and authorisations
   * after the first.
   */
  async judge() {
    const { publisher, pages, balancer, application } = this;
    await publisher.stop();
    await this.#settle();
    const { connections } = balancer;
    const kinds = addUp({ pages, published: publisher.published, connections, receipts: RECEIPT_SECONDS * 1_000, outage: {} });
    this.log(`${publisher.count} numbers on ${publisher.published.size} channels`);
    this.say(`connections that ended: ${byCause([...connections.values()].flat().filter(({ cause }) => cause))}`);
    lines(kinds).forEach((line) => this.say(line));
    const flaps = this.#flaps();
    const again = application.authorizations.all().length - this.#asked;
    this.say(`flaps of members: ${byCause(flaps)} · authorisations: ${this.#asked} at first, ${again} later`);
    this.say(`pages that came from another node: ${await this.#handovers()}`);
    const violations = broken(kinds).filter(({ list }) => list.length);
    for (const { kind, what, list } of violations) {
      [`${kind}: ${what}`, ...examples(list, connections, this.#began)].forEach((line) => this.say(line));
    }
    return { broken: violations, flaps: flaps.length, again };
  }

  /** By how they came, of the nodes that are there. */
  async #handovers() {
    const sums = new Map();
    for (const node of this.cluster.nodes) {
      const text = await (await node.admin("/metrics")).text();
      for (const [, outcome, count] of text.matchAll(/^gaung_page_handovers_total\{outcome="(\w+)"\} (\d+)$/gm)) {
        sums.set(outcome, (sums.get(outcome) ?? 0) + Number(count));
      }
    }
    return [...sums].map(([outcome, count]) => `${outcome} ${count}`).join(", ");
  }

  #channelsOf(kind, number) {
    const one = (channels) => channels[number % channels.length];
    if (kind === "member") return [one(this.#presence), one(PRIVATE)];
    if (kind === "authorizer") return PRIVATE.slice(number % 5, (number % 5) + 5);
    return [one(PUBLIC), PUBLIC[(number * 7 + 1) % PUBLIC.length]];
  }

  /** Until everybody in a presence channel knows everybody there. */
  async #membersAgree() {
    const members = this.pages.filter(({ kind }) => kind === "member");
    const size = (channel) => members.filter((page) => page.members.has(channel)).length;
    const sizes = new Map(this.#presence.map((channel) => [channel, size(channel)]));
    const knowsAll = (page) => [...page.members].every(([channel, users]) => users.size === sizes.get(channel));
    await until(() => members.every(knowsAll), "all members know one another", AGREE_PATIENCE);
  }

  async #settle() {
    const last = (channel) => this.publisher.published.get(channel).findLast(({ failed }) => !failed).n;
    const isSettled = (page) => page.channels.every((channel) => page.hasHeard(channel, last(channel)));
    await until(() => this.pages.every(isSettled), "all is heard", SETTLED).catch(() => {});
  }

  /** Of each presence channel the users who were seen to come or go, or were not in a list, and how. */
  #flaps() {
    const seen = new Map();
    for (const { at, channel, change, user } of this.pages.flatMap(({ changes }) => changes)) {
      if (at > this.#began) seen.set(`${channel} ${user} ${change}`, { cause: change });
    }
    return [...seen.values()];
  }
}

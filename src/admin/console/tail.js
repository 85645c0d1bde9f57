// The live tail: what happens on this node, the newest first, filtered by the node and shown while it is looked at.

import { byId, element, exactClock, figure, setText } from "./elements.js";

/** So many rows stay; as many wait while the tail is paused. */
const MOST_ROWS = 500;
const TYPING_PAUSE = 300;

/** Longer data is folded. */
const SHORT_DATA = 80;

const ORIGINS = { back_end: "a back end", client: "a client", peer: "another node" };

/** What stands in the last column, by kind. */
const WORDS = {
  connected: ({ socket, address }) => `${socket}${address ? ` from ${address}` : ""}`,
  closed: ({ socket, code, reason }) => `${socket}: ${spaced(reason)}${code === null ? "" : `, code ${code}`}`,
  subscribed: ({ socket }) => socket,
  unsubscribed: ({ socket }) => socket,
  signed_in: ({ socket, user }) => `${socket} as ${user}`,
  refused: ({ what, reason, detail, socket }) => `${what}${socket ? ` of ${socket}` : ""}, ${spaced(reason)}${detail ? `: ${detail}` : ""}`,
  published: ({ origin, sockets, micros }) =>
    `from ${ORIGINS[origin] ?? origin} to ${count(sockets, "socket")} in ${figure(micros)} µs`,
  webhook: ({ events, url, outcome, status, millis }) =>
    `${outcome}${status === null ? "" : ` with ${status}`} in ${figure(millis)} ms: ${events.join(", ")} to ${url}`,
  note: ({ text }) => text,
};

export class Tail {
  #live;
  #entries = [];
  #waiting = [];
  #waitingCount = 0;
  #isShown = false;
  #isPaused = false;
  #timer;
  #body = byId("tail").tBodies[0];

  constructor(live) {
    this.#live = live;
    byId("tail-app").addEventListener("change", () => this.restart());
    byId("tail-channel").addEventListener("input", () => {
      clearTimeout(this.#timer);
      this.#timer = setTimeout(() => this.restart(), TYPING_PAUSE);
    });
    byId("tail-show").addEventListener("change", () => this.#drawAll());
    byId("tail-pause").addEventListener("click", () => this.#pauseOrGoOn());
    byId("tail-clear").addEventListener("click", () => this.#clear());
    byId("tail-form").addEventListener("submit", (event) => {
      event.preventDefault();
      this.restart();
    });
    this.#drawCount();
  }

  show() {
    this.#isShown = true;
    this.#watch();
  }

  /** The node has no work with a tail at which nobody looks. */
  hide() {
    if (this.#isShown) this.#live.send({ type: "unwatch" });
    this.#isShown = false;
  }

  opened() {
    if (this.#isShown) this.#watch();
  }

  lost() {
    if (this.#isShown && this.#entries.length) this.#add([note("The connection was lost: what happened until it was back is not here.")]);
  }

  /** Begins again with what the form says now. */
  restart() {
    clearTimeout(this.#timer);
    this.#clear();
    if (this.#isShown) this.#watch();
  }

  received({ missed, list }) {
    const left = missed ? [note(`${count(missed, "row")} left out: there were too many to show.`)] : [];
    this.#add([...list, ...left]);
  }

  /** What the page did wrong. */
  failed({ message }) {
    this.#add([note(message)]);
  }

  #watch() {
    const channel = byId("tail-channel").value.trim();
    this.#live.send({ type: "watch", app: byId("tail-app").value || null, channel: channel || null });
  }

  /** Oldest first. */
  #add(entries) {
    if (this.#isPaused) {
      this.#waitingCount += entries.length;
      this.#waiting = [...this.#waiting, ...entries].slice(-MOST_ROWS);
      return this.#drawCount();
    }
    const newest = entries.slice(-MOST_ROWS).reverse();
    this.#entries = [...newest, ...this.#entries].slice(0, MOST_ROWS);
    this.#body.prepend(...newest.filter(isWanted()).map(row));
    while (this.#body.rows.length > MOST_ROWS) this.#body.lastChild.remove();
    this.#drawCount();
  }

  #pauseOrGoOn() {
    this.#isPaused = !this.#isPaused;
    const [waiting, waitingCount] = [this.#waiting, this.#waitingCount];
    [this.#waiting, this.#waitingCount] = [[], 0];
    byId("tail-pause").setAttribute("aria-pressed", this.#isPaused);
    if (waitingCount > waiting.length) this.#add([note(`${count(waitingCount - waiting.length, "row")} left out during the pause.`)]);
    this.#add(waiting);
  }

  #clear() {
    this.#entries = [];
    this.#waiting = [];
    this.#waitingCount = 0;
    this.#drawAll();
  }

  #drawAll() {
    this.#body.replaceChildren(...this.#entries.filter(isWanted()).map(row));
    this.#drawCount();
  }

  #drawCount() {
    const rows = this.#body.rows.length;
    const waiting = this.#isPaused ? `Paused; ${figure(this.#waitingCount)} new. ` : "";
    const capped = rows === MOST_ROWS ? `The last ${MOST_ROWS} are shown.` : "";
    setText(byId("tail-count"), waiting + capped);
    setText(byId("tail-empty"), rows ? "" : "Nothing so far. Connections, subscriptions, events and refusals appear here as they happen.");
  }
}

function isWanted() {
  const kinds = byId("tail-show").value;
  return ({ kind }) => !kinds || kind === "note" || kinds.split(" ").includes(kind);
}

function row(entry) {
  const { at, kind, app, channel, event, data } = entry;
  // The roles, because on a narrow screen a row is not laid out as one.
  const cell = (attributes, ...children) => element("td", { role: "cell", ...attributes }, ...children);
  const what = cell({ class: "what" });
  if (event) what.append(element("b", {}, event), " ");
  what.append(WORDS[kind]?.(entry) ?? "");
  if (data !== undefined) what.append(payload(data));
  return element(
    "tr",
    { "data-kind": kind, role: "row" },
    cell({ class: "at" }, element("time", { datetime: new Date(at).toISOString() }, exactClock(at))),
    cell({}, element("em", { class: "kind" }, spaced(kind))),
    cell({}, app ?? ""),
    cell({}, element("code", {}, channel ?? "")),
    what,
  );
}

function payload(data) {
  const text = typeof data === "string" ? data : JSON.stringify(data);
  if (text.length <= SHORT_DATA) return element("code", { class: "data" }, text);
  const summary = element("summary", {}, element("code", {}, `${text.slice(0, SHORT_DATA)}…`));
  return element("details", { class: "data" }, summary, element("pre", {}, text));
}

const note = (text) => ({ at: Date.now(), kind: "note", text });
const spaced = (name) => name.replaceAll("_", " ");
const count = (number, what) => `${figure(number)} ${what}${number === 1 ? "" : "s"}`;

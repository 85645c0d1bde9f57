// Occupied channels of an app in the whole cluster, searched by a part of the name.

import { button, byId, bytes, element, exactClock, figure, keep, setText } from "./elements.js";

const LIMIT = 200;
const TYPING_PAUSE = 200;
const REFRESH_PERIOD = 2_000;

export class Rooms {
  #live;
  #go;
  #timer;
  #isShown = false;
  #round = 0;

  /** `go(view, app, channel)` shows another view for a channel. */
  constructor(live, go) {
    this.#live = live;
    this.#go = go;
    byId("rooms-app").addEventListener("change", () => this.#look());
    byId("rooms-search").addEventListener("input", () => this.#lookAfter(TYPING_PAUSE));
    byId("rooms-form").addEventListener("submit", (event) => {
      event.preventDefault();
      this.#look();
    });
  }

  show() {
    this.#isShown = true;
    this.#look();
  }

  hide() {
    this.#isShown = false;
    clearTimeout(this.#timer);
  }

  opened() {
    if (this.#isShown) this.#look();
  }

  #lookAfter(milliseconds) {
    clearTimeout(this.#timer);
    if (this.#isShown) this.#timer = setTimeout(() => this.#look(), milliseconds);
  }

  async #look() {
    clearTimeout(this.#timer);
    const round = ++this.#round;
    const app = byId("rooms-app").value;
    if (!app) return this.#lookAfter(REFRESH_PERIOD);
    const search = byId("rooms-search").value.trim();
    try {
      const answer = await this.#live.ask({ type: "rooms", app, search, limit: LIMIT });
      // Somebody typed on while the node answered.
      if (round !== this.#round) return;
      this.#draw(app, search, answer);
    } catch (failure) {
      if (round === this.#round) setText(byId("rooms-count"), failure.message);
    }
    this.#lookAfter(REFRESH_PERIOD);
  }

  #draw(app, search, { total, rooms }) {
    const found = search ? `contain “${search}”` : "are occupied";
    const some = rooms.length < total ? `; the first ${figure(rooms.length)} are shown` : "";
    setText(byId("rooms-count"), `${figure(total)} of the channels of ${app} ${found}${some}.`);
    // A row's buttons name the app, hence the app in the key.
    const keyOf = ({ channel }) => `${app} ${channel}`;
    keep(byId("rooms-table").tBodies[0], rooms, keyOf, ({ channel }) => this.#row(app, channel), fillRow);
  }

  #row(app, channel) {
    const tail = button("Tail", ` ${channel}`, () => this.#go("live", app, channel));
    const name = element("th", { scope: "row" }, element("code", {}, channel));
    const history = button("History", ` of ${channel}`, () => this.#showHistory(app, channel));
    return element("tr", {}, name, element("td"), element("td"), element("td", { class: "ways" }, tail, history));
  }

  /** What this node keeps of the channel's events, as it is now. */
  async #showHistory(app, channel) {
    const card = byId("kept");
    card.hidden = false;
    setText(byId("kept-title"), `History of ${channel}`);
    keep(byId("kept-table").tBodies[0], [], () => "", () => undefined, () => undefined);
    try {
      const { events } = await this.#live.ask({ type: "history", app, channel });
      const count = events.length === 1 ? "1 event is" : `${figure(events.length)} events are`;
      setText(byId("kept-count"), `${count} shown of what this node keeps, the newest first.`);
      const keyOf = ({ id, at }) => id ?? String(at);
      keep(byId("kept-table").tBodies[0], events.reverse(), keyOf, keptRow, () => undefined);
    } catch (failure) {
      setText(byId("kept-count"), failure.message);
    }
    byId("kept-title").focus();
  }
}

function keptRow({ id, event, at, bytes: size, data }) {
  const cell = (text) => element("td", {}, element("code", {}, text));
  const payload = data == null ? element("td", {}, bytes(size)) : cell(data);
  return element("tr", {}, element("td", {}, exactClock(at)), cell(id ?? "–"), cell(event), payload);
}

function fillRow(row, { subscribers, members }) {
  setText(row.cells[1], figure(subscribers));
  setText(row.cells[2], figure(members));
}

// Occupied channels of an app in the whole cluster, searched by a part of the name.

import { button, byId, element, figure, keep, setText } from "./elements.js";

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
    return element("tr", {}, name, element("td"), element("td"), element("td", { class: "ways" }, tail));
  }
}

function fillRow(row, { subscribers, members }) {
  setText(row.cells[1], figure(subscribers));
  setText(row.cells[2], figure(members));
}

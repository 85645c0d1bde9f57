// A chart of the last five minutes: lines drawn by hand, and the same said in words.

import { clock, drawing, element, setText } from "./elements.js";
import { SPAN } from "./history.js";

const WIDTH = 300;
const HEIGHT = 80;

/** A line is interrupted where samples are further apart, in milliseconds. */
const GAP = 3_500;

export class Chart {
  /** The `<figure>`. */
  node;
  #title;
  #show;
  #unit;
  #now = element("span", { class: "now" });
  #top = element("span", { class: "top" });
  #legend = element("ul", { class: "legend", hidden: "" });
  #lines = drawing("g");
  #cursor = drawing("line", { class: "cursor", y1: 0, y2: HEIGHT, visibility: "hidden" });
  #canvas;
  #samples = [];
  #drawn = [];
  #pointedAt = null;

  /** `show` writes a value, `unit` stands behind it: "" or "/s". */
  constructor(title, show, unit = "") {
    this.#title = title;
    this.#show = show;
    this.#unit = unit;
    const grid = [0, HEIGHT / 2, HEIGHT].map((y) => drawing("line", { class: "grid", x1: 0, x2: WIDTH, y1: y, y2: y }));
    this.#canvas = drawing(
      "svg",
      { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none", role: "img" },
      ...grid,
      this.#lines,
      this.#cursor,
    );
    this.node = element(
      "figure",
      { class: "card chart" },
      element("figcaption", {}, element("span", { class: "title" }, title), this.#now),
      element("div", { class: "canvas" }, this.#canvas, this.#top),
      element("div", { class: "axis", "aria-hidden": "true" }, element("span", {}, "−5 min"), element("span", {}, "now")),
      this.#legend,
    );
    this.#canvas.addEventListener("pointermove", (event) => this.#point(event));
    this.#canvas.addEventListener("pointerleave", () => this.#point(null));
  }

  /** `lines`: `[{ name, pick(sample), note }]`; nothing picked is a gap. The first line's area is filled if it is alone. */
  draw(samples, lines) {
    this.#samples = samples;
    this.#drawn = lines.map((line) => ({ ...line, values: samples.map((sample) => line.pick(sample) ?? null) }));
    const highest = Math.max(0, ...this.#drawn.flatMap(({ values }) => values));
    const top = roundUp(highest);
    const newest = samples.at(-1)?.at ?? 0;
    const place = ({ at }, value) => [WIDTH - ((newest - at) / SPAN) * WIDTH, HEIGHT - (value / top) * HEIGHT];
    const shapes = this.#drawn.flatMap(({ values }, number) => this.#shapes(values, number, place));
    this.#lines.replaceChildren(...shapes);
    setText(this.#top, this.#show(top));
    this.#describe();
    this.#drawLegend();
    this.#say();
  }

  #shapes(values, number, place) {
    const runs = unbroken(this.#samples, values).map((run) => run.map(([sample, value]) => place(sample, value)));
    const path = (points) => `M${points.map(([x, y]) => `${x.toFixed(2)} ${y.toFixed(2)}`).join("L")}`;
    const area = (points) => `${path(points)}V${HEIGHT}H${points[0][0].toFixed(2)}Z`;
    const line = drawing("path", { class: `line line-${number}`, d: runs.map(path).join("") });
    if (this.#drawn.length > 1) return [line];
    return [drawing("path", { class: "area", d: runs.map(area).join("") }), line];
  }

  #describe() {
    const about = this.#drawn.map(({ name, values }) => {
      const known = values.filter((value) => value != null);
      if (!known.length) return `${name}: not known`;
      const [now, low, high] = [known.at(-1), Math.min(...known), Math.max(...known)].map((value) => this.#write(value));
      return `${name}: now ${now}, lowest ${low}, highest ${high}`;
    });
    const words = about.length ? about.join("; ") : "nothing so far";
    this.#canvas.setAttribute("aria-label", `${this.#title} over the last five minutes. ${words}.`);
  }

  #drawLegend() {
    this.#legend.hidden = this.#drawn.length < 2 && !this.#drawn[0]?.note;
    const entries = this.#drawn.map(({ name, note = "" }, number) => {
      const swatch = drawing("svg", { viewBox: "0 0 16 4", "aria-hidden": "true" });
      swatch.append(drawing("path", { class: `line line-${number}`, d: "M0 2H16" }));
      return element("li", {}, swatch, name, element("b", {}, note));
    });
    this.#legend.replaceChildren(...entries);
  }

  /** The figure beside the title: of now, or of the moment that is pointed at. */
  #say() {
    const place = this.#pointed();
    const at = place ?? this.#samples.length - 1;
    const values = this.#drawn.map(({ values }) => values[at]).filter((value) => value != null);
    const sum = values.length ? this.#write(values.reduce((sum, value) => sum + value, 0)) : "–";
    const nothing = this.#drawn.length ? sum : "none";
    setText(this.#now, place === null ? nothing : `${sum} at ${clock(this.#samples[place].at)}`);
  }

  #point(event) {
    const box = this.#canvas.getBoundingClientRect();
    this.#pointedAt = event && (event.clientX - box.left) / box.width;
    this.#cursor.setAttribute("visibility", event ? "visible" : "hidden");
    if (event) for (const end of ["x1", "x2"]) this.#cursor.setAttribute(end, this.#pointedAt * WIDTH);
    this.#say();
  }

  /** The sample that is nearest to the pointer, as its place among all. */
  #pointed() {
    if (this.#pointedAt === null || !this.#samples.length) return null;
    const at = this.#samples.at(-1).at - (1 - this.#pointedAt) * SPAN;
    const distance = ({ at: other }) => Math.abs(other - at);
    const nearest = this.#samples.reduce((best, sample) => (distance(sample) < distance(best) ? sample : best));
    return distance(nearest) > GAP ? null : this.#samples.indexOf(nearest);
  }

  #write(value) {
    return `${this.#show(value)}${this.#unit}`;
  }
}

/** The samples with their values, in runs without a gap. */
function unbroken(samples, values) {
  const runs = [];
  let before = null;
  samples.forEach((sample, place) => {
    if (values[place] == null) return (before = null);
    if (!before || sample.at - before.at > GAP) runs.push([]);
    runs.at(-1).push([sample, values[place]]);
    before = sample;
  });
  return runs;
}

/** The next of 2, 4, 5, 10, 20, 40, 50, …: a scale whose half can be read too, and which does not change all the time. */
function roundUp(value) {
  if (value <= 2) return 2;
  const power = 10 ** Math.floor(Math.log10(value));
  return power * [1, 2, 4, 5, 10].find((step) => step * power >= value);
}

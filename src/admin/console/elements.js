// Elements and the text in them. What comes from the server becomes text, never markup.

export const byId = (id) => document.getElementById(id);

/** An element with these attributes and children; `on…` is not among them, because listeners are added by name. */
export function element(name, attributes = {}, ...children) {
  return fill(document.createElement(name), attributes, children);
}

export function drawing(name, attributes = {}, ...children) {
  return fill(document.createElementNS("http://www.w3.org/2000/svg", name), attributes, children);
}

function fill(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  node.append(...children);
  return node;
}

/** Touches the page only if the text is another one: a live region speaks, and a selection is lost, at each change. */
export function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

export function button(text, about, act) {
  const node = element("button", { type: "button", class: "small" }, text, element("span", { class: "unseen" }, about));
  node.addEventListener("click", act);
  return node;
}

/**
 * Makes the children of `parent` these items, in this order. A child that stays is changed and not replaced, so that
 * the focus stays on it. `create(item)` makes a node, `update(node, item)` fills it.
 */
export function keep(parent, items, keyOf, create, update) {
  const old = new Map([...parent.children].map((node) => [node.dataset.key, node]));
  items.forEach((item, place) => {
    const key = keyOf(item);
    const node = old.get(key) ?? create(item);
    old.delete(key);
    node.dataset.key = key;
    update(node, item);
    if (parent.children[place] !== node) parent.insertBefore(node, parent.children[place] ?? null);
  });
  for (const node of old.values()) node.remove();
}

/** Names with their values, as the terms of a list. */
export function drawPairs(list, pairs) {
  const create = ([name]) => element("div", {}, element("dt", {}, name), element("dd"));
  keep(list, pairs, ([name]) => name, create, (node, [, value]) => setText(node.lastChild, value));
}

/** A figure that the server does not know is null. */
export function figure(count, digits = 0) {
  return count == null ? "–" : count.toLocaleString("en", { maximumFractionDigits: digits });
}

/** Small rates need a decimal, large ones do not. */
export function rate(perSecond) {
  return figure(perSecond, perSecond < 100 ? 1 : 0);
}

export function bytes(count) {
  if (count == null) return "–";
  const units = ["B", "kB", "MB", "GB", "TB"];
  const power = Math.min(units.length - 1, count < 1 ? 0 : Math.floor(Math.log10(count) / 3));
  return `${figure(count / 1000 ** power, power ? 1 : 0)} ${units[power]}`;
}

export function duration(seconds) {
  const parts = [
    [Math.floor(seconds / 86_400), "d"],
    [Math.floor(seconds / 3_600) % 24, "h"],
    [Math.floor(seconds / 60) % 60, "min"],
    [Math.floor(seconds) % 60, "s"],
  ];
  const first = parts.findIndex(([count]) => count > 0);
  const shown = parts.slice(first < 0 ? 3 : first).slice(0, 2);
  return shown.map(([count, unit]) => `${count} ${unit}`).join(" ");
}

export function clock(at) {
  return new Date(at).toLocaleTimeString("en-GB");
}

/** With milliseconds, as a log has it. */
export function exactClock(at) {
  return `${clock(at)}.${String(at % 1000).padStart(3, "0")}`;
}

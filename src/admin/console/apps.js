// Which apps there are, and changes of them through the admin port's /apps. A pair that the node draws is shown once, and
// forgotten with the next change.

import { button, byId, element, keep, setText } from "./elements.js";

export class Apps {
  #apps = [];
  #isShown = false;
  #isEditing = null;

  constructor() {
    byId("app-form").addEventListener("submit", (event) => {
      event.preventDefault();
      this.#save();
    });
    byId("app-cancel").addEventListener("click", () => this.#edit(null));
  }

  show() {
    this.#isShown = true;
    this.#load();
  }

  hide() {
    this.#isShown = false;
  }

  /** The apps are others now, or the node is there again. */
  hello() {
    if (this.#isShown) this.#load();
  }

  async #load() {
    try {
      const { apps } = await ask("GET", "/apps");
      this.#apps = apps;
      const isFixed = apps.length > 0 && apps.every(({ revision }) => revision === null);
      setText(byId("apps-hint"), isFixed ? "These apps stand in the environment and change with a restart." : "");
    } catch (failure) {
      setText(byId("apps-hint"), failure.message);
    }
    // A row's buttons depend on the app's state, hence the state in the key.
    const keyOf = ({ id, revision }) => `${id} ${revision}`;
    keep(byId("apps-table").tBodies[0], this.#apps, keyOf, (app) => this.#row(app), () => undefined);
  }

  #row(app) {
    const { id, enabled, keys, settings } = app;
    const name = element("th", { scope: "row" }, element("code", {}, id));
    const set = Object.entries(settings).filter(([setting]) => setting !== "enabled");
    const texts = set.map(([setting, value]) => element("div", {}, element("code", {}, `${setting}: ${JSON.stringify(value)}`)));
    return element(
      "tr",
      {},
      name,
      element("td", {}, enabled ? "on" : "off"),
      element("td", {}, ...keys.map((key) => this.#key(app, key))),
      element("td", {}, ...texts),
      element("td", { class: "ways" }, ...this.#ways(app)),
    );
  }

  #key({ id, keys, revision }, key) {
    const text = element("div", {}, element("code", {}, key));
    const drop = () => this.#change("DELETE", `${path(id)}/keys/${encodeURIComponent(key)}`, { revision });
    if (keys.length > 1) text.append(button("Drop", ` key ${key} of ${id}`, drop));
    return text;
  }

  #ways(app) {
    const { id, enabled, revision } = app;
    const switched = () => this.#change("PATCH", path(id), { revision, body: { enabled: enabled ? false : null } });
    const remove = () => {
      if (confirm(`Remove ${id}? Its sockets are closed.`)) this.#change("DELETE", path(id), { revision });
    };
    return [
      button("Edit", ` ${id}`, () => this.#edit(app)),
      button("New key", ` for ${id}`, () => this.#change("POST", `${path(id)}/keys`, { revision, body: { place: "last" } })),
      button(enabled ? "Disable" : "Enable", ` ${id}`, switched),
      button("Remove", ` ${id}`, remove),
    ];
  }

  /** Puts an app into the form, or empties it for a new one. */
  #edit(app) {
    this.#isEditing = app;
    byId("app-id").value = app?.id ?? "";
    byId("app-id").readOnly = Boolean(app);
    byId("app-settings").value = JSON.stringify(app?.settings ?? {}, null, 2);
    byId("app-cancel").hidden = !app;
    setText(byId("app-title"), app ? `Change ${app.id}` : "Add an app");
    setText(byId("app-save"), app ? "Save" : "Add");
    byId(app ? "app-settings" : "app-id").focus();
  }

  async #save() {
    const id = byId("app-id").value.trim();
    let settings;
    try {
      settings = JSON.parse(byId("app-settings").value || "{}");
    } catch (failure) {
      return tell(`The settings are not JSON: ${failure.message}`, true);
    }
    const old = this.#isEditing;
    if (!old) return this.#change("PUT", path(id), { body: settings });
    const body = differences(old.settings, settings);
    if (Object.keys(body).length === 0) return this.#edit(null);
    await this.#change("PATCH", path(id), { revision: old.revision, body });
  }

  async #change(method, path, { revision, body }) {
    try {
      const app = await ask(method, path, { revision, body });
      tell(app ? `${app.id} is changed.` : "The app is removed.", false, app);
      this.#edit(null);
    } catch (failure) {
      tell(`Not changed: ${failure.message}`, true);
    }
    await this.#load();
  }
}

const path = (id) => `/apps/${encodeURIComponent(id)}`;

/** The settings that are others now; null for those that are gone. What is masked stays as it is unless it is written anew. */
function differences(old, now) {
  const names = new Set([...Object.keys(old), ...Object.keys(now)]);
  const changed = [...names].filter((name) => JSON.stringify(old[name]) !== JSON.stringify(now[name]));
  return Object.fromEntries(changed.map((name) => [name, now[name] ?? null]));
}

async function ask(method, path, { revision, body } = {}) {
  const condition = revision === undefined ? { "If-None-Match": "*" } : { "If-Match": `"${revision}"` };
  const type = body === undefined ? {} : { "Content-Type": "application/json" };
  const headers = method === "GET" ? {} : { "X-Gaung-Client": "console", ...condition, ...type };
  const answer = await fetch(path, { method, headers, body: body === undefined ? undefined : JSON.stringify(body) });
  const told = answer.status === 204 ? null : await answer.json();
  if (!answer.ok) throw new Error(told.error);
  return told;
}

/** What became of a change, and the pair that was drawn for it. */
function tell(text, isProblem, { key, secret } = {}) {
  const result = byId("app-result");
  result.className = isProblem ? "problem" : "";
  result.textContent = text;
  byId("app-pair").hidden = !secret;
  byId("app-pair").textContent = secret ? `key     ${key}\nsecret  ${secret}` : "";
}

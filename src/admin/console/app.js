// The console: gives what the node says to the parts of the page, shows one view at a time, and says when what it shows
// is old.

import { Apps } from "./apps.js";
import { Connect } from "./connect.js";
import { byId, clock, duration, element, setText } from "./elements.js";
import { Live, signIn } from "./live.js";
import { Overview } from "./overview.js";
import { Publish } from "./publish.js";
import { Rooms } from "./rooms.js";
import { Tail } from "./tail.js";

/** There is a snapshot each second; after so many milliseconds without one, what is shown is old. */
const FRESH = 3_000;

const STAGES = { ready: "Not ready", joining: "Joining the cluster", leaving: "Leaving", draining: "Draining" };

const live = new Live({
  opened: () => parts((part) => part.opened?.()),
  lost: () => {
    parts((part) => part.lost?.());
    sayWhetherFresh();
  },
  denied,
  hello,
  snapshot,
  happenings: (message) => tail.received(message),
  failed: (message) => tail.failed(message),
});
const overview = new Overview(go);
const rooms = new Rooms(live, go);
const tail = new Tail(live);
const apps = new Apps();
const connect = new Connect();
const views = { overview, rooms, live: tail, "kept-apps": apps, connect };
new Publish(live);

const parts = (tell) => Object.values(views).forEach(tell);

let shown = null;
let lastNews = null;

function hello(message) {
  admitted();
  setText(byId("version"), message.version);
  byId("node-fact").hidden = !message.node;
  setText(byId("node"), message.node ?? "");
  for (const select of document.querySelectorAll("[data-apps]")) fillApps(select, message.apps);
  overview.hello(message);
  connect.hello(message);
  apps.hello();
  // Until now it knew of no app to ask for.
  rooms.opened();
}

function fillApps(select, apps) {
  const chosen = select.value;
  const all = select.dataset.apps ? [element("option", { value: "" }, select.dataset.apps)] : [];
  select.replaceChildren(...all, ...apps.map(({ id }) => element("option", { value: id }, id)));
  if (apps.some(({ id }) => id === chosen)) select.value = chosen;
}

function snapshot(message) {
  lastNews = Date.now();
  setText(byId("uptime"), duration(message.uptime_seconds));
  const { stage, ready, objection } = message;
  const why = objection ? `: ${objection}` : "";
  setState(ready ? "ready" : "unready", ready ? "Ready" : `${STAGES[stage] ?? stage}${why}`);
  overview.snapshot(message);
  sayWhetherFresh();
}

function setState(state, text) {
  byId("state").dataset.state = state;
  setText(byId("state"), text);
}

/** The time of the last news stands still, so that the sentence is read out once. */
function sayWhetherFresh() {
  const isFresh = live.isOpen && Date.now() - (lastNews ?? 0) <= FRESH;
  const isWaiting = lastNews === null || isDenied();
  byId("stale").hidden = isFresh || isWaiting;
  document.body.classList.toggle("is-stale", !isFresh && !isWaiting);
  if (isFresh || isWaiting) return;
  setText(byId("stale"), `Stale: the last news came at ${clock(lastNews)}. Trying to reach the node again …`);
  setState("lost", "Not reached");
}

const isDenied = () => !byId("login-view").hidden;

/** The node wants a token, or does not want this machine at all. */
function denied({ error, login }) {
  const isNew = !isDenied();
  byId("login-view").hidden = false;
  byId("login-form").hidden = !login;
  setText(byId("login-title"), login ? "Sign in" : "Not from here");
  setText(byId("login-reason"), sentence(error));
  setState("lost", login ? "Signed out" : "No access");
  document.body.classList.add("is-denied");
  sayWhetherFresh();
  if (isNew && login) byId("token").focus();
}

function admitted() {
  if (!isDenied()) return;
  byId("login-view").hidden = true;
  document.body.classList.remove("is-denied");
  byId(`${shown}-title`).focus();
}

byId("login-form").addEventListener("submit", async (event) => {
  event.preventDefault();
  const problem = await signIn(byId("token").value);
  byId("login-error").textContent = problem ? sentence(problem) : "";
  byId("token").value = "";
  if (problem) byId("token").focus();
  else live.connect();
});

/** The node's errors begin in lower case. */
const sentence = (text) => text[0].toUpperCase() + text.slice(1).replace(/\.?$/, ".");

/** Shows another view, with its forms set to an app and a channel. */
function go(view, app, channel) {
  const set = (id, value) => Object.assign(byId(id), { value });
  if (view === "rooms") set("rooms-app", app);
  if (view === "connect") set("connect-app", app);
  if (view === "live") {
    set("tail-app", app);
    set("tail-channel", channel ?? "");
    set("publish-app", app);
    if (channel) set("publish-channel", channel);
    tail.restart();
  }
  location.hash = view;
}

/** The address names the view. */
function showView() {
  const named = location.hash.slice(1);
  const view = named in views ? named : (shown ?? "overview");
  if (view === shown) return;
  const isFirst = shown === null;
  views[shown]?.hide?.();
  shown = view;
  for (const section of document.querySelectorAll("[data-view]")) section.hidden = section.id !== view;
  for (const link of document.querySelectorAll("nav a")) {
    if (link.hash === `#${view}`) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  document.title = `${byId(`${view}-title`).textContent} · Gaung console`;
  views[view].show?.();
  // Who follows a link reads on at the view; scrolling to it is not wanted, because the header is above it.
  if (isFirst) return;
  scrollTo(0, 0);
  byId(`${view}-title`).focus({ preventScroll: true });
}

addEventListener("hashchange", showView);
setInterval(sayWhetherFresh, 1_000);
showView();
live.connect();

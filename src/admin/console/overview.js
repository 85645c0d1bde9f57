// The node at a glance: figures, charts, apps and peers.

import { Chart } from "./chart.js";
import { button, byId, bytes, drawPairs, duration, element, figure, keep, rate, setText } from "./elements.js";
import { History } from "./history.js";

/** So many reasons of refusals have a line of their own. */
const MOST_REASONS = 4;

export class Overview {
  #history = new History();
  #apps = [];
  #go;
  #charts = {
    connections: new Chart("Connections", figure),
    rooms: new Chart("Rooms", figure),
    events: new Chart("Events in", rate, "/s"),
    deliveries: new Chart("Deliveries out", rate, "/s"),
    refusals: new Chart("Refusals", rate, "/s"),
    everywhere: new Chart("Connections of the cluster", figure),
  };

  /** `go(view, app)` shows another view for an app. */
  constructor(go) {
    this.#go = go;
    byId("charts").append(...Object.values(this.#charts).map(({ node }) => node));
  }

  hello({ apps }) {
    this.#apps = apps;
  }

  lost() {
    this.#history.interrupt();
  }

  snapshot(snapshot) {
    const sample = this.#history.add(snapshot);
    this.#drawTiles(snapshot, sample.per_second);
    this.#drawCharts(snapshot);
    this.#drawApps(snapshot.apps);
    drawTenants(snapshot.tenants);
    drawCluster(snapshot.cluster);
  }

  #drawTiles({ totals, webhooks_waiting }, perSecond) {
    const traffic = (name) => (perSecond ? `${bytes(perSecond[name])}/s` : "–");
    const tiles = [
      ["Connections", figure(totals.connections)],
      ["Rooms", figure(totals.rooms)],
      ["Subscriptions", figure(totals.subscriptions)],
      ["Members", figure(totals.members)],
      ["Traffic in", traffic("bytes_in")],
      ["Traffic out", traffic("bytes_out")],
      ["Webhooks waiting", figure(webhooks_waiting)],
    ];
    drawPairs(byId("tiles"), tiles);
  }

  #drawCharts({ refusals, cluster }) {
    const { samples, reasons } = this.#history;
    const count = (name) => [{ name: "Connections", pick: (sample) => sample[name] }];
    const perSecond = (name) => (sample) => sample.per_second?.[name];
    this.#charts.connections.draw(samples, count("connections"));
    this.#charts.rooms.draw(samples, [{ name: "Rooms", pick: ({ rooms }) => rooms }]);
    this.#charts.events.draw(samples, [
      { name: "from back ends", pick: perSecond("events_in") },
      { name: "from clients", pick: perSecond("client_events_in") },
    ]);
    this.#charts.deliveries.draw(samples, [{ name: "Deliveries", pick: perSecond("deliveries") }]);
    this.#charts.refusals.draw(samples, refusalLines(reasons, refusals));
    this.#charts.everywhere.draw(samples, count("everywhere"));
    this.#charts.everywhere.node.hidden = !cluster;
  }

  #drawApps(figures) {
    const limits = new Map(this.#apps.map((app) => [app.id, app]));
    const apps = figures.map((figures) => ({ ...figures, limits: limits.get(figures.app) ?? {} }));
    const create = ({ app }) => this.#appRow(app);
    keep(byId("apps").tBodies[0], apps, ({ app }) => app, create, fillAppRow);
  }

  #appRow(app) {
    const name = element("th", { scope: "row" }, element("span", {}, app), element("em", { class: "tag", hidden: "" }, "off"));
    const uses = () => element("td", { class: "wide" }, element("span"), element("meter", { min: 0, hidden: "" }));
    const cell = () => element("td");
    const goTo = (view, text) => button(text, ` of ${app}`, () => this.#go(view, app));
    const ways = element("td", { class: "ways" }, goTo("rooms", "Rooms"), goTo("live", "Tail"), goTo("connect", "Connect"));
    return element("tr", {}, name, uses(), cell(), cell(), cell(), cell(), uses(), cell(), ways);
  }
}

/** A line for each of the first reasons and one for all others; the note is how many there were since the start. */
function refusalLines(reasons, totals) {
  const line = (name, among) => ({
    name,
    note: figure(among.reduce((sum, reason) => sum + (totals[reason] ?? 0), 0)),
    pick: ({ per_second }) => per_second && among.reduce((sum, reason) => sum + (per_second.refusals[reason] ?? 0), 0),
  });
  const others = reasons.slice(MOST_REASONS);
  const lines = reasons.slice(0, MOST_REASONS).map((reason) => line(reason.replaceAll("_", " "), [reason]));
  return others.length ? [...lines, line("others", others)] : lines;
}

function fillAppRow(row, app) {
  const cells = row.cells;
  cells[0].lastChild.hidden = app.limits.enabled !== false;
  fillUse(cells[1], app.connections, app.limits.max_connections ?? null, figure, "connections");
  const plain = [app.connections_everywhere, app.rooms, app.subscriptions, app.members];
  plain.forEach((count, number) => setText(cells[number + 2], figure(count)));
  fillUse(cells[6], app.events_per_second, app.limits.events_per_second ?? null, rate, "events a second");
  setText(cells[7], rate(app.deliveries_per_second));
}

function drawTenants(tenants) {
  byId("tenants-card").hidden = !tenants.length;
  const cells = () => Array.from({ length: 7 }, () => element("td"));
  const create = ({ app, tenant }) => element("tr", {}, element("td", {}, app), element("th", { scope: "row" }, tenant), ...cells());
  keep(byId("tenants").tBodies[0], tenants, ({ app, tenant }) => `${app} ${tenant}`, create, fillTenantRow);
}

function fillTenantRow({ cells }, tenant) {
  const counts = [tenant.connections, tenant.subscriptions, tenant.channels, tenant.members].map((count) => figure(count));
  const rates = [rate(tenant.deliveries_per_second), bytes(tenant.bytes_per_second), rate(tenant.refusals_per_second)];
  [...counts, ...rates].forEach((text, place) => setText(cells[place + 2], text));
}

/** A figure against its limit, if there is one. */
function fillUse(cell, use, limit, show, what) {
  const [text, meter] = cell.children;
  setText(text, limit === null ? show(use) : `${show(use)} of ${figure(limit)}`);
  meter.hidden = limit === null;
  if (limit === null) return;
  Object.assign(meter, { max: limit, high: 0.9 * limit, low: 0.7 * limit, optimum: 0, value: use });
  meter.setAttribute("aria-label", `${show(use)} of ${figure(limit)} ${what}`);
}

const REBALANCE = {
  waiting: " This node has more than its share; if that lasts, some of its sockets move.",
  moving: " This node has more than its share: it closes some sockets, which come back to any node.",
  futile: " Sockets that this node closes come back to it: the balancer sends each client to the same node.",
};

function drawCluster(cluster) {
  byId("peers-scroll").hidden = !cluster;
  if (!cluster) return setText(byId("cluster-state"), "This node is alone: no NATS server is configured.");
  const { connected, connections, rebalance, peers } = cluster;
  const link = connected ? "Connected to NATS" : "Not connected to NATS: what happens on other nodes is not heard";
  const there = peers.filter(({ stage }) => stage !== "dead").length;
  setText(byId("cluster-state"), `${link}. ${nodes(there)}, ${figure(connections)} connections in all.${REBALANCE[rebalance] ?? ""}`);
  keep(byId("peers").tBodies[0], peers, ({ node }) => node, peerRow, fillPeerRow);
}

const nodes = (count) => (count === 1 ? "One node" : `${count} nodes`);

function peerRow({ node }) {
  const name = element("th", { scope: "row" }, element("code", {}, node), element("em", { class: "tag", hidden: "" }, "this node"));
  return element("tr", {}, name, ...[1, 2, 3, 4, 5].map(() => element("td")));
}

function fillPeerRow(row, peer) {
  row.cells[0].lastChild.hidden = !peer.this;
  const heard = peer.this ? "–" : `${duration(peer.age_seconds)} ago`;
  const texts = [peer.stage, peer.readiness ?? "–", figure(peer.sessions), heard, peer.version ?? "–"];
  texts.forEach((text, number) => setText(row.cells[number + 1], String(text)));
}

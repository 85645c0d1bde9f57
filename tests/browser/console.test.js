// The console in a real browser, on a real node: what its reader sees while applications come, speak and are refused.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { until } from "../clients/support/deadline.js";
import { startGaungWithApps } from "../clients/support/gaung.js";
import { backEnd, BLOG, connect, SHOP, startWithApps, subscribe } from "./support/apps.js";
import { startBrowser } from "./support/browser.js";
import { openConsole } from "./support/console.js";

let browser;
before(async () => {
  browser = await startBrowser();
});
after(() => browser?.close());

/** A node of its own, because the console shows all of it. */
async function start(t, settings) {
  const { gaung, stop } = await startWithApps(settings);
  t.after(stop);
  await gaung.becomesReady();
  return gaung;
}

/** The tail of a node, which says that it watches when this returns: what happens from now on shows. */
async function openTail(t, gaung) {
  const tab = await openConsole(t, browser, gaung, { view: "live" });
  await watches(tab, gaung);
  return tab;
}

/**
 * Sends events until one shows and the one just before it, in the channel that the filter leaves out, does not: then the
 * node has taken the filter, and what was before it is cleared away.
 */
async function watches(tab, gaung, { channel = "is-it-on", leftOut } = {}) {
  let sent = 0;
  const shows = async () => {
    const event = `watched-${++sent}.`;
    if (leftOut) await backEnd(gaung, SHOP).trigger(leftOut, event, {});
    await backEnd(gaung, SHOP).trigger(channel, event, {});
    const seen = (await tab.tail()).map((row) => row.join(" "));
    const isSeen = (place, number) => seen.some((row) => row.includes(place) && row.includes(`watched-${number}.`));
    const numbers = Array.from({ length: sent }, (_, index) => index + 1);
    return numbers.some((number) => isSeen(channel, number) && !(leftOut && isSeen(leftOut, number)));
  };
  await until(shows, "the tail shows what happens");
  await tab.page.locator("#tail-clear").click();
}

/** Rows of the tail but for those of `watches`, which may come late. */
async function rows(tab) {
  return (await tab.tail()).filter((row) => !row.join(" ").includes("watched"));
}

test("figures of the node and of its apps appear and follow what happens", async (t) => {
  const gaung = await start(t);
  const tab = await openConsole(t, browser, gaung);
  await tab.shows("#state", /^Ready$/);
  await tab.shows("#version", /^\d+\.\d+\.\d+/);
  await tab.hasTile("Connections", "0");
  const pusher = await connect(t, gaung, SHOP);
  await connect(t, gaung, BLOG);
  await subscribe(pusher, "presence-room");
  await tab.hasTile("Connections", "2");
  await tab.hasTile("Rooms", "1");
  await tab.hasTile("Members", "1");
  const row = async (app) => (await tab.cells(`#apps tbody tr[data-key=${app}]`)).slice(0, 6).map((text) => text.trim());
  assert.deepEqual(await row("shop"), ["shop", "1 of 40", "1", "1", "1", "1"]);
  assert.deepEqual(await row("blog"), ["blog", "1", "1", "0", "0", "0"]);
  pusher.disconnect();
  await tab.hasTile("Connections", "1");
});

test("charts follow connections, events, deliveries and refusals, and say so in words", async (t) => {
  const gaung = await start(t);
  const tab = await openConsole(t, browser, gaung);
  await tab.chartSays("Connections", /now 0, lowest 0, highest 0/);
  await tab.chartSays("Refusals", /nothing so far/);
  await subscribe(await connect(t, gaung, SHOP), "news");
  await tab.chartSays("Connections", /now 1, lowest 0, highest 1/);
  await tab.chartSays("Deliveries out", /now 0\/s/);
  const [before] = await shapes(tab, "Deliveries out");
  await backEnd(gaung, SHOP).trigger("news", "sale", {});
  await tab.chartSays("Events in", /from back ends: now [\d.]+\/s, lowest 0\/s, highest (?!0\/s)/);
  await tab.chartSays("Deliveries out", /highest (?!0\/s)/);
  assert.notEqual((await shapes(tab, "Deliveries out"))[0], before);
  await assert.rejects(backEnd(gaung, { ...SHOP, secret: "guess" }).trigger("news", "sale", {}));
  await tab.chartSays("Refusals", /highest/);
  assert.match(await tab.text('.chart:has(.title:text-is("Refusals")) .legend li'), /\w+\s1$/);
});

/** The lines of a chart, as they are drawn. */
function shapes(tab, title) {
  const lines = tab.page.locator(`.chart:has(.title:text-is("${title}")) .canvas path.line`);
  return lines.evaluateAll((paths) => paths.map((path) => path.getAttribute("d")));
}

test("the tail shows who comes, subscribes, is sent an event, is refused and goes", async (t) => {
  const gaung = await start(t);
  const tab = await openTail(t, gaung);
  const pusher = await connect(t, gaung, SHOP);
  const socket = pusher.connection.socket_id;
  await tab.tailShows("connected", "shop", socket, "127.0.0.1");
  await subscribe(pusher, "private-orders.7");
  await tab.tailShows("subscribed", "shop", "private-orders.7", socket);
  await backEnd(gaung, SHOP).trigger("private-orders.7", "order.paid", { id: 7 });
  const published = await tab.tailShows("published", "private-orders.7", "order.paid", "a back end to 1 socket in", "µs");
  assert.ok(!published.join().includes('{"id":7}'), "payloads are not shown unless they are asked for");
  pusher.send_event("pusher:subscribe", { channel: "private-orders.8", auth: "shop-key:guess" });
  await tab.tailShows("refused", "shop", "private-orders.8", `message of ${socket}`);
  await assert.rejects(backEnd(gaung, { ...SHOP, secret: "guess" }).trigger("news", "sale", {}));
  await tab.tailShows("refused", "request");
  pusher.disconnect();
  await tab.tailShows("unsubscribed", "shop", "private-orders.7", socket);
  await tab.tailShows("closed", "shop", socket);
});

test("the tail keeps to the app and the channels that are asked for", async (t) => {
  const gaung = await start(t);
  const tab = await openTail(t, gaung);
  await tab.page.locator("#tail-app").selectOption("shop");
  await tab.page.locator("#tail-channel").fill("orders.*");
  await watches(tab, gaung, { channel: "orders.0", leftOut: "news" });
  for (const [app, channel] of [[BLOG, "orders.1"], [SHOP, "news"], [SHOP, "orders.2"]]) {
    await backEnd(gaung, app).trigger(channel, "filtered", {});
  }
  await tab.tailShows("published", "orders.2", "filtered");
  const shown = (await rows(tab)).map(([kind, app, channel]) => [kind, app, channel]);
  assert.deepEqual(shown, [["published", "shop", "orders.2"]]);
});

test("the tail can be narrowed to one kind of activity and back", async (t) => {
  const gaung = await start(t);
  const tab = await openTail(t, gaung);
  await subscribe(await connect(t, gaung, SHOP), "news");
  await tab.tailShows("subscribed", "news");
  await tab.page.locator("#tail-show").selectOption({ label: "Subscriptions" });
  assert.deepEqual((await rows(tab)).map(([kind]) => kind), ["subscribed"]);
  await tab.page.locator("#tail-show").selectOption({ label: "Everything" });
  assert.deepEqual((await rows(tab)).map(([kind]) => kind), ["subscribed", "connected"]);
});

test("a paused tail stands still, counts what it does not show, and shows it afterwards", async (t) => {
  const gaung = await start(t);
  const tab = await openTail(t, gaung);
  const pause = tab.page.locator("#tail-pause");
  await pause.click();
  assert.equal(await pause.getAttribute("aria-pressed"), "true");
  const before = await tab.tail();
  await backEnd(gaung, SHOP).trigger("news", "while-paused", {});
  await tab.shows("#tail-count", /Paused; [1-9]\d* new/);
  assert.deepEqual(await tab.tail(), before);
  await pause.click();
  await tab.tailShows("published", "news", "while-paused");
});

test("payloads show where the setting says so, as text whatever they are", async (t) => {
  const gaung = await start(t, { GAUNG_CONSOLE_PAYLOADS: "true" });
  const tab = await openTail(t, gaung);
  const markup = '<img src="nowhere" onerror="document.title=1"><b>bold</b>';
  await backEnd(gaung, SHOP).trigger("news", "marked <i>up</i>", { markup });
  await tab.tailShows("published", "marked <i>up</i>", JSON.stringify({ markup }));
  assert.equal(await tab.page.locator("#tail :is(img, i, .what b b)").count(), 0);
});

test("an event of the form reaches a subscriber and shows in the tail", async (t) => {
  const gaung = await start(t);
  const tab = await openTail(t, gaung);
  const heard = await subscribe(await connect(t, gaung, SHOP), "news");
  await tab.page.locator("#publish-app").selectOption("shop");
  await tab.page.locator("#publish-channel").fill("news");
  await tab.page.locator("#publish-event").fill("sale");
  await tab.page.locator("#publish-data").fill('{"percent": 20}');
  await tab.page.getByRole("button", { name: "Send" }).click();
  await tab.shows("#publish-result", /^Sent sale to news at/);
  assert.deepEqual((await heard.event("sale")).data, { percent: 20 });
  await tab.tailShows("published", "shop", "news", "sale", "a back end to 1 socket");
});

test("an event that the API would refuse is not sent, and the form says why", async (t) => {
  const gaung = await start(t);
  const tab = await openTail(t, gaung);
  await tab.page.locator("#publish-channel").fill("no spaces");
  await tab.page.getByRole("button", { name: "Send" }).click();
  await tab.shows("#publish-result", /^Not sent: .*channel/);
});

test("rooms are found by a part of their name, of the app that is asked for, and lead to their tail", async (t) => {
  const gaung = await start(t);
  const [ada, bob] = [await connect(t, gaung, SHOP), await connect(t, gaung, SHOP)];
  for (const name of ["presence-room.1", "private-orders.1", "news"]) await subscribe(ada, name);
  for (const name of ["presence-room.1", "private-orders.2"]) await subscribe(bob, name);
  await subscribe(await connect(t, gaung, BLOG), "private-orders.9");
  const tab = await openConsole(t, browser, gaung, { view: "rooms" });
  const found = async () => {
    const all = await tab.page.locator("#rooms-table tbody tr").evaluateAll((rows) =>
      rows.map((row) => [...row.cells].slice(0, 3).map((cell) => cell.innerText)),
    );
    return JSON.stringify(all.sort());
  };
  const finds = async (...expected) => {
    await until(async () => (await found()) === JSON.stringify(expected), `${expected} are found`).catch(async (overdue) => {
      throw new Error(`${overdue.message}; there are ${await found()}`);
    });
  };
  await tab.page.locator("#rooms-app").selectOption("shop");
  await tab.page.locator("#rooms-search").fill("orders");
  await finds(["private-orders.1", "1", "–"], ["private-orders.2", "1", "–"]);
  await tab.page.locator("#rooms-search").fill("room.");
  await finds(["presence-room.1", "2", "2"]);
  await bob.disconnect();
  await finds(["presence-room.1", "1", "1"]);
  await tab.page.getByRole("button", { name: "Tail presence-room.1" }).click();
  await tab.page.locator("#live").waitFor();
  assert.equal(await tab.page.locator("#tail-channel").inputValue(), "presence-room.1");
  assert.equal(await tab.page.locator("#tail-app").inputValue(), "shop");
});

test("snippets connect an application but for the secret, which the console never tells", async (t) => {
  const gaung = await start(t, { GAUNG_PATH_PREFIX: "/realtime" });
  const permissions = ["clipboard-read", "clipboard-write"];
  const tab = await openConsole(t, browser, gaung, { view: "connect", permissions });
  const frames = [];
  tab.page.on("websocket", (socket) => socket.on("framereceived", ({ payload }) => frames.push(payload)));
  await tab.page.reload();
  for (const { id, key } of [BLOG, SHOP]) {
    await tab.page.locator(`#connect-app option[value=${id}]`).waitFor({ state: "attached" });
    await tab.page.locator("#connect-app").selectOption(id);
    const env = (await tab.text("#env")).split("\n");
    const settings = { APP_ID: id, APP_KEY: key, APP_SECRET: `"<the app's secret>"`, HOST: "127.0.0.1", PORT: gaung.port };
    for (const [name, value] of Object.entries(settings)) assert.ok(env.includes(`REVERB_${name}=${value}`), `${env}`);
    for (const part of [`key: '${key}'`, `wsPort: ${gaung.port}`, "wsPath: '/realtime'"]) {
      assert.ok((await tab.text("#echo")).includes(part), part);
    }
  }
  await tab.page.getByRole("button", { name: "Copy Laravel's .env" }).click();
  await tab.shows("#copied", /^Copied/);
  const copied = await tab.page.evaluate(() => navigator.clipboard.readText());
  assert.ok(copied.includes(`REVERB_APP_KEY=${SHOP.key}\n`), copied);
  const everything = [await tab.page.content(), copied, ...frames].join();
  assert.ok(frames.length > 0 && !everything.includes("secret-of-the"));
});

test("a console whose node is gone says that it is stale, and comes back with the node", async (t) => {
  const { gaung, file, forget } = await startWithApps();
  t.after(forget);
  const expected = /ERR_CONNECTION_REFUSED/;
  const tab = await openConsole(t, browser, gaung, { expected });
  await tab.hasTile("Connections", "0");
  assert.equal(await tab.page.locator("#stale").isVisible(), false);
  await gaung.stop();
  await tab.shows("#stale", /^Stale: the last news came at \d\d:\d\d:\d\d/);
  await tab.shows("#state", /^Not reached$/);
  const again = await startGaungWithApps(file, { GAUNG_ADMIN_PORT: gaung.adminUrl.port });
  t.after(() => again.stop());
  await tab.shows("#state", /^Ready$/);
  assert.equal(await tab.page.locator("#stale").isVisible(), false);
  await connect(t, again, SHOP);
  await tab.hasTile("Connections", "1");
});

test("the history of a channel shows, its newest event first", async (t) => {
  const gaung = await start(t, { GAUNG_CONSOLE_PAYLOADS: "true" });
  const pusher = await connect(t, gaung, SHOP);
  const heard = await subscribe(pusher, "kept-room");
  for (const n of [1, 2]) {
    await backEnd(gaung, SHOP).trigger("kept-room", `said-${n}`, { text: `<b>${n}</b>` });
    await heard.event(`said-${n}`);
  }
  const tab = await openConsole(t, browser, gaung, { view: "rooms" });
  await tab.page.locator("#rooms-app").selectOption("shop");
  await tab.page.getByRole("button", { name: "History of kept-room" }).click();
  await tab.shows("#kept-title", /^History of kept-room$/);
  await tab.shows("#kept-count", /^2 events are shown/);
  const rows = await tab.page.locator("#kept-table tbody td").allInnerTexts();
  assert.deepEqual([rows[2], rows[3], rows[6], rows[7]], ["said-2", '{"text":"<b>2</b>"}', "said-1", '{"text":"<b>1</b>"}']);
  assert.match(rows[1], /^[0-9a-z]{6}-\d+$/);
});

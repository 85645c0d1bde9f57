// Stock pusher-js and Laravel Echo in pages that name themselves by a resume id: nothing is lost while they are away, and
// nothing is heard again for which they have given a receipt.

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { after, before, test } from "node:test";

import Echo from "laravel-echo";
import PusherJs from "pusher-js";

import { rememberAuthorizations } from "../../docs/examples/history/gaung-authorizer.js";
import { startApplication } from "./support/application.js";
import { startBalancer } from "./support/balancer.js";
import { Heard, until } from "./support/deadline.js";
import { APP, startGaung } from "./support/gaung.js";
import { backEnd, connectPusher, memberIds, openSocket, subscribe } from "./support/libraries.js";
import { heardAgainAfterReceipts, publishNumbers, random } from "./support/numbers.js";
import {
  KINDS,
  RECONNECT_PATIENCE,
  areResumed,
  documentedPages,
  hearEcho,
  isAwayFor,
  noteReceipts,
  noteSocketIds,
  numbersOf,
  openEchoPage,
  openPage,
  optionsBehind,
  pageKey,
  publish,
} from "./support/pages.js";

const CUTS = 10;
/** `GAUNG_PAGE_DOUBT_SECONDS=0`: the node has just been started. */
const SETTINGS = {
  GAUNG_APP_HISTORY: "*=120s:100000",
  GAUNG_RECEIPT_SECONDS: "1",
  GAUNG_PAGE_DOUBT_SECONDS: "0",
  GAUNG_APP_CLIENT_EVENTS: "true",
};

let gaung;
let application;
let server;
before(async () => {
  [gaung, application] = await Promise.all([startGaung(SETTINGS), startApplication()]);
  server = backEnd(gaung);
});
after(async () => {
  application?.stop();
  await gaung?.stop();
});

const user = (id = "42") => application.user({ id, info: { name: "Ada" } });
const isWhole = ({ complete }) => complete;

/** Cuts the page again and again, at any moment; its listeners note when. */
async function cutAtRandom(balancer, numbers, listeners) {
  for (let cut = 1; cut <= CUTS; cut += 1) {
    await numbers.pass(random(1, 60));
    for (const heard of listeners) heard.note({ event: "cut" });
    balancer.cut();
    await areResumed(listeners, cut);
  }
}

/** Every listener has heard everything, and was told so; returns how much was heard again. */
async function nothingIsLost(listeners, numbers) {
  let again = 0;
  for (const heard of listeners) {
    again += await heardAgainAfterReceipts(heard, numbers);
    const resumed = heard.data("pusher:resumed");
    assert.equal(resumed.length, CUTS);
    assert.ok(resumed.every(isWhole), JSON.stringify(resumed));
  }
  return again;
}

test("ten cuts at random lose nothing on channels of all kinds, and the socket id stays", async (t) => {
  const balancer = await startBalancer(t, gaung);
  const page = await openPage(t, balancer, { application, user: user() });
  const ids = noteSocketIds(page);
  const listeners = (await Promise.all(KINDS.map((name) => subscribe(page, name)))).map(({ heard }) => heard);
  noteReceipts(page, listeners);
  const numbers = publishNumbers(server, KINDS);
  await cutAtRandom(balancer, numbers, listeners);
  const again = await nothingIsLost(listeners, numbers);
  assert.equal(ids.all().length, CUTS + 1);
  assert.equal(new Set(ids.data("connected")).size, 1);
  t.diagnostic(`${numbers.count} numbers on ${KINDS.length} channels, ${CUTS} cuts, ${again} heard again`);
});

test("Echo loses nothing over ten cuts at random, on channels of all kinds", async (t) => {
  const balancer = await startBalancer(t, gaung);
  const echo = openEchoPage(t, balancer, { application, user: user() });
  const channels = [echo.channel("echo"), echo.private("echo"), echo.join("echo"), echo.encryptedPrivate("echo")];
  const listeners = await hearEcho(channels);
  noteReceipts(echo.connector.pusher, listeners);
  const numbers = publishNumbers(server, ["echo", "private-echo", "presence-echo", "private-encrypted-echo"]);
  await cutAtRandom(balancer, numbers, listeners);
  const again = await nothingIsLost(listeners, numbers);
  t.diagnostic(`${numbers.count} numbers on ${channels.length} channels, ${CUTS} cuts, ${again} heard again`);
});

test("nothing is heard again for which a receipt was given", async (t) => {
  const balancer = await startBalancer(t, gaung);
  const page = await openPage(t, balancer);
  const { heard } = await subscribe(page, "proven");
  noteReceipts(page, [heard]);
  await publish(server, "proven", 0, 1);
  // The receipt is asked for behind both, and the answer is there before the next question.
  await heard.event("receipt");
  await publish(server, "proven", 2);
  await heard.times(2, "receipt");
  await isAwayFor(balancer, page, () => publish(server, "proven", 3));
  assert.deepEqual((await heard.event("pusher:resumed", RECONNECT_PATIENCE)).data.complete, true);
  await publish(server, "proven", 4);
  await heard.where(({ data }) => data?.n === 4, "what is live");
  const all = numbersOf(heard);
  assert.deepEqual(
    all.filter((n, place) => all.indexOf(n) === place),
    [0, 1, 2, 3, 4],
  );
  assert.deepEqual(all.slice(0, 2), [0, 1]);
  assert.ok(!all.slice(2).includes(0) && !all.slice(2).includes(1), `${all}`);
});

test("a reload is a new page, which gets nothing old", async (t) => {
  const balancer = await startBalancer(t, gaung);
  const page = await openPage(t, balancer);
  const { heard } = await subscribe(page, "reloaded");
  await publish(server, "reloaded", 0);
  await heard.event("numbered");
  page.disconnect();
  await publish(server, "reloaded", 1);
  const reloaded = await openPage(t, balancer);
  const { heard: anew } = await subscribe(reloaded, "reloaded");
  await publish(server, "reloaded", 2);
  await anew.event("numbered");
  assert.deepEqual(numbersOf(anew), [2]);
  anew.never("pusher:resumed");
});

test("two pages of one browser each get what they missed", async (t) => {
  const [balancer, other] = [await startBalancer(t, gaung), await startBalancer(t, gaung)];
  const [page, stays] = [await openPage(t, balancer), await openPage(t, other)];
  assert.notEqual(page.connection.socket_id, stays.connection.socket_id);
  const [{ heard }, { heard: live }] = [await subscribe(page, "windows"), await subscribe(stays, "windows")];
  await isAwayFor(balancer, page, async () => {
    await publish(server, "windows", 0, 1, 2);
    await live.times(3, "numbered");
  });
  assert.deepEqual((await heard.event("pusher:resumed", RECONNECT_PATIENCE)).data, { complete: true, replayed: 3 });
  assert.deepEqual(numbersOf(heard), [0, 1, 2]);
  assert.deepEqual(numbersOf(live), [0, 1, 2]);
  live.never("pusher:resumed");
});

test("an event toOthers that a page has caused is not replayed to it", async (t) => {
  const balancer = await startBalancer(t, gaung);
  const page = await openPage(t, balancer);
  const { heard } = await subscribe(page, "others");
  const { socket_id } = page.connection;
  await isAwayFor(balancer, page, async () => {
    await server.trigger("others", "numbered", { n: 0 }, { socket_id });
    await publish(server, "others", 1);
  });
  assert.deepEqual((await heard.event("pusher:resumed", RECONNECT_PATIENCE)).data, { complete: true, replayed: 1 });
  // A job that was queued before the page was away names it still.
  await server.trigger("others", "numbered", { n: 2 }, { socket_id });
  await publish(server, "others", 3);
  await heard.where(({ data }) => data?.n === 3, "what is live");
  assert.deepEqual(numbersOf(heard), [1, 3]);
});

test("a member whose page is cut does not come and go for the others", async (t) => {
  const balancer = await startBalancer(t, gaung);
  const watcher = await connectPusher(t, gaung, { application, user: user("1") });
  const { heard: watched } = await subscribe(watcher, "presence-still");
  const page = await openPage(t, balancer, { application, user: user("2") });
  const { channel, heard } = await subscribe(page, "presence-still");
  await watched.event("pusher:member_added");
  for (let cut = 1; cut <= 3; cut += 1) {
    balancer.cut();
    await areResumed([heard], cut);
    assert.deepEqual(Object.keys(channel.members.members), ["1", "2"]);
    assert.equal(channel.members.me.id, "2");
  }
  await publish(server, "presence-still", 0);
  await watched.event("numbered");
  assert.equal(watched.all("pusher:member_added").length, 1);
  watched.never("pusher:member_removed");
  assert.deepEqual(await memberIds(server, "presence-still"), ["1", "2"]);
});

test("client events go on after a cut, and are not replayed", async (t) => {
  const balancer = await startBalancer(t, gaung);
  const page = await openPage(t, balancer, { application, user: user("1") });
  const other = await connectPusher(t, gaung, { application, user: user("2") });
  const { channel, heard } = await subscribe(page, "private-typed");
  const { channel: theirs, heard: heardByOther } = await subscribe(other, "private-typed");
  await isAwayFor(balancer, page, async () => {
    theirs.trigger("client-typing", { name: "Bob" });
    await publish(server, "private-typed", 0);
    await heardByOther.event("numbered");
  });
  await areResumed([heard], 1);
  heard.never("client-typing");
  channel.trigger("client-typing", { name: "Ada" });
  assert.deepEqual((await heardByOther.event("client-typing")).data, { name: "Ada" });
  theirs.trigger("client-typing", { name: "Bob" });
  assert.deepEqual((await heard.event("client-typing")).data, { name: "Bob" });
});

test("a page of a node that was drained and started again is told that it may have missed something", async (t) => {
  const { GAUNG_PAGE_DOUBT_SECONDS, ...settings } = SETTINGS;
  let node = await startGaung({ ...settings, GAUNG_PAGE_DOUBT_SECONDS: "0" });
  t.after(() => node.stop());
  const { host } = node;
  const balancer = await startBalancer(t, { host, get port() { return node.port; }, isReady: () => node.isReady() });
  const page = await openPage(t, balancer);
  const { heard } = await subscribe(page, "drained");
  await publish(backEnd(node), "drained", 0, 1, 2);
  await heard.times(3, "numbered");
  const release = balancer.hold();
  await node.stop();
  node = await startGaung(settings);
  release();
  assert.deepEqual((await heard.event("pusher:resumed", RECONNECT_PATIENCE)).data, { complete: false, replayed: 0 });
  await publish(backEnd(node), "drained", 3);
  await heard.where(({ data }) => data?.n === 3, "what is live");
  assert.deepEqual(numbersOf(heard), [0, 1, 2, 3]);
});

test("the id of a page stands in no log line and in no answer of the admin port", async (t) => {
  const chatty = await startGaung({ ...SETTINGS, GAUNG_LOG: "trace" });
  t.after(() => chatty.stop());
  const balancer = await startBalancer(t, chatty);
  const key = pageKey();
  const page = await openPage(t, balancer, { key });
  const { heard } = await subscribe(page, "secret");
  await isAwayFor(balancer, page, () => publish(backEnd(chatty), "secret", 0));
  await areResumed([heard], 1);
  const refused = await openSocket(t, chatty.socketUrl(`/app/${key}-/?protocol=7`));
  await refused.closed;
  const [, id] = key.split("/");
  assert.ok(chatty.log.includes("gaung::"), "it logs");
  const told = await Promise.all(["/metrics", "/peers", "/readyz"].map(async (path) => (await chatty.admin(path)).text()));
  for (const text of [chatty.log, ...told]) assert.ok(!text.includes(id), text.split("\n").find((line) => line.includes(id)));
});

test("the lines of docs/history.md make pages that miss nothing", async (t) => {
  const pages = await documentedPages({ plugin: false });
  assert.equal(pages.length, 3);
  for (const makePage of pages) {
    const balancer = await startBalancer(t, gaung);
    const token = user().token;
    const auth = { headers: { Authorization: `Bearer ${token}` } };
    const options = { ...optionsBehind(balancer), authEndpoint: `${application.url}/broadcasting/auth`, auth };
    const [shown, heard] = [[], new Heard()];
    const given = { Pusher: PusherJs, Echo, rememberAuthorizations, key: APP.key, options };
    const show = (data) => shown.push(data);
    const readProductsAnew = () => assert.fail("nothing is missing");
    const pusher = makePage({ ...given, show, readProductsAnew });
    t.after(() => pusher.disconnect());
    const [channel] = pusher.allChannels();
    channel.bind("pusher:resumed", (data) => heard.note({ event: "resumed", data }));
    await until(() => channel.subscribed, "it is subscribed");
    const event = channel.name.includes("orders") ? "order.paid" : "product.updated";
    await isAwayFor(balancer, pusher, () => server.trigger(channel.name, event, { n: 7 }));
    assert.deepEqual((await heard.event("resumed", RECONNECT_PATIENCE)).data, { complete: true, replayed: 1 });
    assert.deepEqual(shown, [{ n: 7 }]);
  }
});

test("the id of docs/history.md for plain http is one that the server takes", async (t) => {
  const text = await readFile(new URL("../../docs/history.md", import.meta.url), "utf8");
  const [, expression] = /^const id = (.*);$/m.exec(text);
  const id = new Function(`return ${expression}`)();
  assert.match(id, /^[0-9a-f]{32}$/);
  await connectPusher(t, gaung, { key: `${APP.key}/${id}` });
});

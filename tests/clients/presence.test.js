// Who is there, as pusher-js keeps it: users, not sockets.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { startApplication } from "./support/application.js";
import { startGaung } from "./support/gaung.js";
import { LEAVING_PATIENCE, backEnd, connectPusher, leave, subscribe } from "./support/libraries.js";

let gaung;
let application;
let server;
before(async () => {
  [gaung, application] = await Promise.all([startGaung(), startApplication()]);
  server = backEnd(gaung);
});
after(async () => {
  application?.stop();
  await gaung?.stop();
});

/** A tab in which the user has joined the channel. */
async function join(t, channel, { id, info }) {
  const pusher = await connectPusher(t, gaung, { application, user: application.user({ id, info }) });
  return { pusher, ...(await subscribe(pusher, channel)) };
}

/** Everything announced on the channel before now has been heard by these tabs when it returns. */
async function announcementsHeard(channel, ...tabs) {
  await server.trigger(channel, "marker", {});
  for (const { heard } of tabs) await heard.event("marker");
}

const members = ({ channel }) => channel.members.members;

const ADA = { id: "42", info: { name: "Ada" } };
const BOB = { id: "43", info: { name: "Bob" } };

for (const kind of ["presence", "presence-cache"]) {
  test(`the first member of a ${kind} channel finds itself`, async (t) => {
    const ada = await join(t, `${kind}-first`, ADA);
    assert.deepEqual(members(ada), { 42: { name: "Ada" } });
    assert.equal(ada.channel.members.count, 1);
    assert.deepEqual(ada.channel.members.me, { id: "42", info: { name: "Ada" } });
  });

  test(`a second user finds both, and only the first is told, in a ${kind} channel`, async (t) => {
    const ada = await join(t, `${kind}-two`, ADA);
    const bob = await join(t, `${kind}-two`, BOB);
    assert.deepEqual((await ada.heard.event("pusher:member_added")).data, { id: "43", info: { name: "Bob" } });
    assert.deepEqual(members(bob), { 42: { name: "Ada" }, 43: { name: "Bob" } });
    assert.deepEqual(members(ada), members(bob));
    assert.equal(bob.channel.members.count, 2);
    await announcementsHeard(`${kind}-two`, ada, bob);
    bob.heard.never("pusher:member_added");
    assert.equal(ada.heard.all("pusher:member_added").length, 1);
  });
}

test("a second tab of a user is not announced and does not count", async (t) => {
  const bob = await join(t, "presence-tabs", BOB);
  const [first, second] = [await join(t, "presence-tabs", ADA), await join(t, "presence-tabs", ADA)];
  assert.equal(second.channel.members.count, 2);
  await announcementsHeard("presence-tabs", bob, first, second);
  assert.equal(bob.heard.all("pusher:member_added").length, 1);
  first.heard.never("pusher:member_added");
  second.heard.never("pusher:member_added");
});

test("a user has left when the last tab is closed, not before", async (t) => {
  const bob = await join(t, "presence-leaving", BOB);
  const [first, second] = [await join(t, "presence-leaving", ADA), await join(t, "presence-leaving", ADA)];
  first.pusher.unsubscribe("presence-leaving");
  await announcementsHeard("presence-leaving", bob, second);
  bob.heard.never("pusher:member_removed");
  await leave(second.pusher);
  assert.deepEqual((await bob.heard.event("pusher:member_removed")).data, { id: "42", info: { name: "Ada" } });
  assert.deepEqual(members(bob), { 43: { name: "Bob" } });
  assert.equal(bob.channel.members.count, 1);
  await announcementsHeard("presence-leaving", bob);
  assert.equal(bob.heard.all("pusher:member_removed").length, 1);
});

test("a user who leaves and comes back is announced both times", async (t) => {
  const bob = await join(t, "presence-back", BOB);
  const ada = await join(t, "presence-back", ADA);
  ada.pusher.unsubscribe("presence-back");
  await bob.heard.event("pusher:member_removed");
  await join(t, "presence-back", ADA);
  await bob.heard.times(2, "pusher:member_added");
});

test("the info of a user's first tab holds until all tabs are closed", async (t) => {
  await join(t, "presence-info", { id: "42", info: { name: "Ada" } });
  await join(t, "presence-info", { id: "42", info: { name: "Countess Lovelace" } });
  const bob = await join(t, "presence-info", BOB);
  assert.deepEqual(bob.channel.members.get("42").info, { name: "Ada" });
});

test("a user id that is a number is the same user as its text", async (t) => {
  const one = await join(t, "presence-numbers", { id: 7, info: { name: "Grace" } });
  const other = await join(t, "presence-numbers", { id: "7", info: { name: "Grace" } });
  assert.equal(other.channel.members.count, 1);
  assert.deepEqual(one.channel.members.get(7).info, { name: "Grace" });
  assert.deepEqual(one.channel.members.get("7").info, { name: "Grace" });
  assert.equal(one.channel.members.me.id, 7);
  const eve = await join(t, "presence-numbers", { id: 8, info: {} });
  assert.equal((await one.heard.event("pusher:member_added")).data.id, "8");
  assert.equal(eve.channel.members.count, 2);
});

test("user ids that count up from zero stay ids", async (t) => {
  await join(t, "presence-zero", { id: "0", info: { name: "Zero" } });
  const one = await join(t, "presence-zero", { id: "1", info: { name: "One" } });
  assert.deepEqual(members(one), { 0: { name: "Zero" }, 1: { name: "One" } });
  assert.ok(!Array.isArray(members(one)));
});

test("a member without info and one whose info is true are members", async (t) => {
  const ada = await join(t, "presence-bare", ADA);
  await join(t, "presence-bare", { id: "44" });
  await join(t, "presence-bare", { id: "45", info: true });
  await ada.heard.times(2, "pusher:member_added");
  const eve = await join(t, "presence-bare", { id: "46", info: { name: "Eve" } });
  assert.deepEqual(members(eve), { 42: { name: "Ada" }, 44: {}, 45: true, 46: { name: "Eve" } });
  assert.equal(ada.channel.members.get("45").info, true);
});

test("members of one channel are not members of another", async (t) => {
  await join(t, "presence-red", ADA);
  const bob = await join(t, "presence-blue", BOB);
  assert.deepEqual(members(bob), { 43: { name: "Bob" } });
});

test("a hundred users who come and go leave everybody with the same list", async (t) => {
  const ada = await join(t, "presence-crowd", ADA);
  const crowd = await Promise.all(
    [...Array(99).keys()].map((n) => join(t, "presence-crowd", { id: `guest-${n}`, info: { n } })),
  );
  await ada.heard.times(99, "pusher:member_added");
  assert.equal(ada.channel.members.count, 100);
  for (const guest of crowd.slice(0, 50)) guest.pusher.disconnect();
  await ada.heard.times(50, "pusher:member_removed", LEAVING_PATIENCE);
  assert.deepEqual(
    Object.keys(members(ada)).sort(),
    ["42", ...crowd.slice(50).map((_, n) => `guest-${n + 50}`)].sort(),
  );
  assert.equal(ada.channel.members.count, 50);
});

test("the member that would be the hundred and first is refused; one who is there already is not", async (t) => {
  const full = await startGaung({ GAUNG_APP_MAX_PRESENCE_MEMBERS: "1" });
  t.after(() => full.stop());
  const connect = (user) => connectPusher(t, full, { application, user: application.user(user) });
  const [first, second, stranger] = await Promise.all([connect(ADA), connect(ADA), connect(BOB)]);
  await subscribe(first, "presence-full");
  const refused = stranger.subscribe("presence-full");
  const refusal = await new Promise((resolve) => refused.bind("pusher:subscription_error", resolve));
  assert.equal(refusal.type, "LimitReached");
  assert.equal(refusal.status, 4100);
  await subscribe(second, "presence-full");
  for (const pusher of [first, second, stranger]) await leave(pusher);
});

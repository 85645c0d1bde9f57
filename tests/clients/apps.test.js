// Many apps from a file, as their clients see it: kept apart, changed while sockets are open.

import assert from "node:assert/strict";
import { mkdtemp, rename, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, beforeEach, test } from "node:test";

import { until } from "./support/deadline.js";
import { startGaungWithApps } from "./support/gaung.js";
import { backEnd, connectPusher, hasState, hearErrors, openPusher, subscribe } from "./support/libraries.js";

const SHOP = { id: "shop", key: "shop-key", secret: "shop-secret" };
const BLOG = { id: "blog", key: "blog-key", secret: "blog-secret" };

let gaung;
let folder;
let file;
before(async () => {
  folder = await mkdtemp(join(tmpdir(), "gaung-apps-"));
  file = join(folder, "apps.json");
  await writeApps([SHOP, BLOG]);
  gaung = await startGaungWithApps(file);
});
after(async () => {
  await gaung?.stop();
  await rm(folder, { recursive: true });
});

/** Every test begins with the two apps, in force. */
beforeEach(async () => {
  await writeApps([SHOP, BLOG]);
  for (const app of [SHOP, BLOG]) await until(() => answers(app, 200), `${app.id} is served`);
});

/** Replaces the file in one step, as careful tools do. */
async function writeApps(apps) {
  await writeFile(`${file}.new`, typeof apps === "string" ? apps : JSON.stringify(apps));
  await rename(`${file}.new`, file);
}

const serverOf = ({ id, key, secret }) => backEnd(gaung, { appId: id, key, secret });

/** Whether the API answers the app's back end with this status. */
async function answers(app, status) {
  const answer = await serverOf(app)
    .get({ path: "/channels" })
    .catch((refused) => refused);
  return answer.status === status;
}

test("the same channel of two apps is two channels", async (t) => {
  const [shop, blog] = [await connectPusher(t, gaung, SHOP), await connectPusher(t, gaung, BLOG)];
  const [atShop, atBlog] = [await subscribe(shop, "news"), await subscribe(blog, "news")];
  await serverOf(SHOP).trigger("news", "sale", {});
  await serverOf(BLOG).trigger("news", "article", {});
  await atShop.heard.event("sale");
  await atBlog.heard.event("article");
  await serverOf(SHOP).trigger("news", "marker", {});
  await serverOf(BLOG).trigger("news", "marker", {});
  for (const { heard } of [atShop, atBlog]) await heard.event("marker");
  atShop.heard.never("article");
  atBlog.heard.never("sale");
});

test("one app's credentials open no other app", async () => {
  assert.ok(await answers({ ...SHOP, id: BLOG.id }, 401));
  assert.ok(await answers({ ...BLOG, secret: SHOP.secret }, 401));
});

test("while keys are rotated both connect, sign, and hear the same channel", async (t) => {
  const fresh = { key: "shop-key-2", secret: "shop-secret-2" };
  const pusher = await connectPusher(t, gaung, SHOP);
  const { heard } = await subscribe(pusher, "news");
  await writeApps([{ id: SHOP.id, keys: [fresh, { key: SHOP.key, secret: SHOP.secret }] }, BLOG]);
  await until(() => answers({ id: SHOP.id, ...fresh }, 200), "the new key signs");
  const other = await connectPusher(t, gaung, { key: fresh.key });
  const atOther = await subscribe(other, "news");
  await serverOf({ id: SHOP.id, ...fresh }).trigger("news", "signed-by-new", {});
  await serverOf(SHOP).trigger("news", "signed-by-old", {});
  for (const name of ["signed-by-new", "signed-by-old"]) {
    await heard.event(name);
    await atOther.heard.event(name);
  }
});

test("an added app is served and no open socket notices", async (t) => {
  const wiki = { id: "wiki", key: "wiki-key", secret: "wiki-secret" };
  const bystander = await connectPusher(t, gaung, SHOP);
  const { heard } = await subscribe(bystander, "news");
  const socketId = bystander.connection.socket_id;
  await writeApps([SHOP, BLOG, wiki]);
  await until(() => answers(wiki, 200), "the new app is served");
  await connectPusher(t, gaung, wiki);
  await serverOf(SHOP).trigger("news", "still.here", {});
  await heard.event("still.here");
  assert.equal(bystander.connection.socket_id, socketId);
});

for (const [what, apps] of [
  ["disabled", [SHOP, { ...BLOG, enabled: false }]],
  ["removed", [SHOP]],
]) {
  test(`the sockets of a ${what} app are closed for good, and no others`, async (t) => {
    const [shop, blog] = [await connectPusher(t, gaung, SHOP), await connectPusher(t, gaung, BLOG)];
    await writeApps(apps);
    await hasState(blog, "disconnected");
    await subscribe(shop, "news");
    assert.equal(shop.connection.state, "connected");
  });
}

test("a disabled app refuses new sockets with 4003 and its back end with 403", async (t) => {
  await writeApps([SHOP, { ...BLOG, enabled: false }]);
  await until(() => answers(BLOG, 403), "the app is disabled");
  const errors = hearErrors(openPusher(t, gaung, BLOG));
  assert.equal((await errors.where(() => true, "an error")).event, 4003);
});

test("a broken file is logged and changes nothing", async (t) => {
  const pusher = await connectPusher(t, gaung, SHOP);
  const { heard } = await subscribe(pusher, "news");
  await writeApps('[{"id":"shop"');
  await until(() => gaung.log.includes("ERROR"), "the problem is logged");
  assert.ok(await answers(BLOG, 200));
  await serverOf(SHOP).trigger("news", "still.here", {});
  await heard.event("still.here");
});

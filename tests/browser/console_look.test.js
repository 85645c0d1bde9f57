// The console for everybody: by keyboard, to a screen reader, in the dark, on a narrow screen.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { until } from "../clients/support/deadline.js";
import { backEnd, BLOG, connect, SHOP, startWithApps, subscribe } from "./support/apps.js";
import { startBrowser } from "./support/browser.js";
import { openConsole, VIEWS } from "./support/console.js";
import { faintTexts, namelessControls } from "./support/reader.js";

const FOCUSABLE = "a[href], button, input, select, textarea, summary, [tabindex='0']";

/** So many presses of a key lead around any of the views. */
const MOST_STEPS = 80;

let browser;
let gaung;
let stop;
before(async () => {
  [browser, { gaung, stop }] = await Promise.all([startBrowser(), startWithApps({ GAUNG_CONSOLE_PAYLOADS: "true" })]);
});
after(async () => {
  await browser?.close();
  await stop?.();
});

/** The console with something in each of its tables and in the tail. */
async function openFilled(t, options) {
  const tab = await openConsole(t, browser, gaung, { view: "live", ...options });
  const ada = await connect(t, gaung, SHOP);
  for (const name of ["presence-room.1", "private-orders.7", "news"]) await subscribe(ada, name);
  await subscribe(await connect(t, gaung, BLOG), "comments");
  const shows = async () => {
    await backEnd(gaung, SHOP).trigger("private-orders.7", "order.paid", { id: 7, note: "long ".repeat(30) });
    await assert.rejects(backEnd(gaung, { ...SHOP, secret: "guess" }).trigger("news", "sale", {}));
    const rows = (await tab.tail()).map((row) => row.join(" "));
    return ["order.paid", "refused"].every((word) => rows.some((row) => row.includes(word)));
  };
  await until(shows, "the tail shows what happens");
  return tab;
}

async function goTo(tab, view) {
  await tab.go(view);
  if (view === "rooms") {
    await tab.page.locator("#rooms-app").selectOption("shop");
    await tab.page.locator("#rooms-table tbody tr").nth(2).waitFor();
  }
}

test("the keyboard reaches all there is, and one sees where it is", async (t) => {
  const tab = await openFilled(t);
  // What happens next would make new things to reach.
  await tab.page.locator("#tail-pause").click();
  for (const view of VIEWS) {
    await goTo(tab, view);
    const reached = await walk(tab.page);
    const unreached = await tab.page.locator(FOCUSABLE).evaluateAll((all, reached) => {
      const isThere = (node) => node.checkVisibility() && !reached.includes(node.dataset.step);
      return all.filter(isThere).map((node) => node.outerHTML.slice(0, 120));
    }, reached.map(({ step }) => step));
    assert.deepEqual(unreached, [], `not reached in ${view}`);
    assert.deepEqual(reached.filter(({ isSeen }) => !isSeen), [], `focus that is not seen in ${view}`);
  }
});

/** Presses Tab until the focus has left the page, from its beginning; marks each element on the way. */
async function walk(page) {
  await page.evaluate(() => {
    for (const node of document.querySelectorAll("[data-step]")) delete node.dataset.step;
    // From where the next Tab goes on: before the first thing of the page.
    document.body.tabIndex = -1;
    document.body.focus();
    document.body.removeAttribute("tabindex");
  });
  const reached = [];
  while (reached.length < MOST_STEPS) {
    await page.keyboard.press("Tab");
    const step = await page.evaluate((number) => {
      const node = document.activeElement;
      if (node === document.body || node.dataset.step) return null;
      node.dataset.step = `${number}`;
      const { outlineStyle, outlineWidth } = getComputedStyle(node);
      return { step: node.dataset.step, html: node.outerHTML.slice(0, 80), isSeen: outlineStyle !== "none" && parseFloat(outlineWidth) >= 2 };
    }, reached.length);
    if (!step) return reached;
    reached.push(step);
  }
  throw new Error(`the focus does not leave the page: ${JSON.stringify(reached.slice(-5))}`);
}

test("views change by keyboard, and the focus goes to what was opened", async (t) => {
  const tab = await openConsole(t, browser, gaung);
  await tab.shows("#state", /^Ready$/);
  for (const view of [...VIEWS.slice(1), VIEWS[0]]) {
    await tab.page.locator(`nav a[href="#${view}"]`).focus();
    await tab.page.keyboard.press("Enter");
    await tab.page.locator(`#${view}`).waitFor();
    assert.equal(await tab.page.evaluate(() => document.activeElement.id), `${view}-title`);
    assert.equal(await tab.page.locator('nav a[aria-current="page"]').getAttribute("href"), `#${view}`);
    assert.match(await tab.page.title(), /^\w.* · Gaung console$/);
  }
});

test("new figures do not take the focus away", async (t) => {
  const tab = await openFilled(t);
  await goTo(tab, "overview");
  await tab.page.getByRole("button", { name: "Tail of shop" }).focus();
  const uptime = await tab.text("#uptime");
  await until(async () => (await tab.text("#uptime")) !== uptime, "the next snapshot is there");
  assert.equal(await tab.page.evaluate(() => document.activeElement.textContent), "Tail of shop");
});

test("a screen reader finds a name on every control, table, chart and region", async (t) => {
  const tab = await openFilled(t);
  for (const view of VIEWS) {
    await goTo(tab, view);
    const { nameless, named } = await namelessControls(tab.page);
    assert.deepEqual(nameless, [], view);
    assert.ok(named > 8, `${named} named in ${view}`);
    const headings = await tab.page.locator("h1, h2, h3").evaluateAll((all) =>
      all.filter((node) => node.checkVisibility()).map(({ tagName }) => Number(tagName[1])),
    );
    assert.deepEqual(headings.slice(0, 2), [1, 2], view);
    const jumps = headings.filter((level, place) => place > 0 && level > headings[place - 1] + 1);
    assert.deepEqual(jumps, [], `levels of headings in ${view}: ${headings}`);
  }
});

for (const colorScheme of ["light", "dark"]) {
  test(`texts stand out from their ground when it is ${colorScheme}`, async (t) => {
    const tab = await openFilled(t, { colorScheme });
    const ground = await tab.page.evaluate(() => getComputedStyle(document.body).backgroundColor);
    const brightness = Math.max(...ground.match(/\d+/g).map(Number));
    assert.ok(colorScheme === "dark" ? brightness < 60 : brightness > 200, ground);
    for (const view of ["live", "overview", "rooms", "kept-apps", "connect"]) {
      await goTo(tab, view);
      const { faint, looked } = await faintTexts(tab.page);
      assert.deepEqual(faint, [], view);
      assert.ok(looked > 20, `${looked} texts in ${view}`);
      await tab.keep(`${view}-${colorScheme}`);
    }
  });
}

test("nothing is wider than a narrow screen", async (t) => {
  const tab = await openFilled(t, { viewport: { width: 360, height: 740 } });
  for (const view of ["live", "overview", "rooms", "connect"]) {
    await goTo(tab, view);
    const [needed, there] = await tab.page.evaluate(() => [document.documentElement.scrollWidth, innerWidth]);
    assert.ok(needed <= there, `${view} is ${needed} wide`);
    await tab.keep(`${view}-narrow`);
  }
});

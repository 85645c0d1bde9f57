// The console as its reader sees it: opened in a tab, with what stands in it asked for by the names that it shows.

import assert from "node:assert/strict";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";

import { until } from "../../clients/support/deadline.js";
import { openTab } from "./browser.js";

const REPOSITORY = join(import.meta.dirname, "..", "..", "..");
const SCREENSHOTS = join(process.env.CARGO_TARGET_DIR ?? join(REPOSITORY, "target"), "screenshots");

export const VIEWS = ["overview", "rooms", "live", "kept-apps", "connect"];

/** How long the console may take to show something: a snapshot comes once a second, and a page must be loaded. */
const SHOWN_PATIENCE = 10_000;

/**
 * The console of a node in a tab of its own. The test fails if the page logs or throws an error, breaks its policy or
 * asks anybody else for anything. `expected` is a pattern of errors that the test provokes.
 */
export async function openConsole(t, browser, gaung, { view = "overview", expected, ...options } = {}) {
  const { page, heard } = await openTab(t, browser, { viewport: { width: 1280, height: 860 }, ...options });
  const tab = new Console(page, heard, gaung.adminUrl);
  t.after(() => tab.hadNoTroubles(expected));
  await page.goto(new URL(`/#${view}`, gaung.adminUrl).href);
  return tab;
}

class Console {
  #heard;
  #url;

  constructor(page, heard, url) {
    this.page = page;
    this.#heard = heard;
    this.#url = url;
  }

  /** Follows the link to a view. */
  async go(view) {
    await this.page.locator(`nav a[href="#${view}"]`).click();
    await this.page.locator(`#${view}`).waitFor();
  }

  /** Until the selected element's text fits. */
  async shows(selector, pattern) {
    let text;
    const fits = async () => pattern.test((text = await this.text(selector)));
    await this.#until(fits, () => `${selector} shows ${pattern}; it shows “${text}”`);
  }

  text(selector) {
    return this.page
      .locator(selector)
      .first()
      .innerText({ timeout: SHOWN_PATIENCE });
  }

  /** Until the figure of this name among the tiles is so. */
  async hasTile(name, value) {
    await this.shows(`#tiles div:has(dt:text-is("${name}")) dd`, new RegExp(`^${value}$`));
  }

  /** A row of a table, cell by cell. */
  cells(row) {
    return this.page.locator(`${row} > :is(th, td)`).allInnerTexts();
  }

  /** What the chart of this title says to who cannot see it. */
  chart(title) {
    return this.page
      .locator(`.chart:has(.title:text-is("${title}")) .canvas svg`)
      .evaluate((canvas) => canvas.getAttribute("aria-label"));
  }

  async chartSays(title, pattern) {
    let said;
    const fits = async () => pattern.test((said = await this.chart(title)) ?? "");
    await this.#until(fits, () => `the chart of ${title} says ${pattern}; it says “${said}”`);
  }

  /** What the tail shows, the newest first: `[kind, app, channel, what]`. */
  tail() {
    return this.page
      .locator("#tail tbody tr")
      .evaluateAll((rows) => rows.map((row) => [...row.cells].slice(1).map((cell) => cell.innerText.trim())));
  }

  /** Until the tail has a row with these words, in this order; returns the row. */
  async tailShows(...words) {
    let rows;
    const fits = (row) => {
      let place = 0;
      return words.every((word) => (place = row.indexOf(word, place) + 1) > 0);
    };
    const find = async () => (rows = await this.tail()).find((row) => fits(row.join(" ")));
    return this.#until(find, () => `the tail shows ${words.join(" … ")}; it shows ${JSON.stringify(rows)}`);
  }

  /** Keeps what the tab shows, for people to look at. */
  async keep(name, { fullPage = true } = {}) {
    await mkdir(SCREENSHOTS, { recursive: true });
    await this.page.screenshot({ path: join(SCREENSHOTS, `${name}.png`), fullPage });
  }

  hadNoTroubles(expected) {
    const errors = this.#heard.all("error").filter(({ text }) => !expected?.test(text));
    assert.deepEqual(errors, [], "the page has logged errors");
    const visited = [...this.#heard.all("request"), ...this.#heard.all("socket")].map(({ url }) => new URL(url));
    const foreign = visited.filter(({ protocol, host }) => protocol !== "data:" && host !== this.#url.host);
    assert.deepEqual(foreign.map(String), [], "the page has asked somebody else");
    assert.notEqual(visited.length, 0);
  }

  /** `what` is asked for in the end, because it tells what was seen last. */
  async #until(condition, what) {
    return until(condition, "", SHOWN_PATIENCE).catch((overdue) => {
      throw new Error(`${overdue.message}${what()}`);
    });
  }
}

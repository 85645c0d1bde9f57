// Chromium, and pages in it whose troubles are heard.

import { chromium } from "playwright-core";

import { Heard, until, within } from "../../clients/support/deadline.js";

const EXECUTABLE = "/usr/bin/chromium";

/** Without a sandbox, because root may start it; and it calls nobody on its own. */
const FLAGS = [
  "--headless",
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];

/**
 * With `cachesPages` a page that is left is kept, and comes back as it was: what Playwright switches off, and Chromium does
 * for pages with a socket only where it may close that.
 */
export function startBrowser({ cachesPages = false, flags = [] } = {}) {
  const caching = { ignoreDefaultArgs: ["--disable-back-forward-cache"] };
  const args = [...FLAGS, ...flags, ...(cachesPages ? ["--enable-features=DisconnectWebSocketOnBFCache"] : [])];
  return chromium.launch({ executablePath: EXECUTABLE, args, ...(cachesPages && caching) });
}

/**
 * A tab of a browser of its own (cookies included): `{ page, heard }`. What the page logs, throws, asks for, and opens
 * as a socket is heard as `log`, `error`, `request` and `socket`. What breaks the page's policy is logged as an error.
 */
export async function openTab(t, browser, options = {}) {
  const context = await browser.newContext(options);
  t.after(() => context.close());
  const page = await context.newPage();
  const heard = new Heard();
  page.on("console", (line) => heard.note({ event: line.type() === "error" ? "error" : "log", text: line.text() }));
  page.on("pageerror", (error) => heard.note({ event: "error", text: String(error) }));
  page.on("request", (request) => heard.note({ event: "request", url: request.url() }));
  page.on("websocket", (socket) => heard.note({ event: "socket", url: socket.url() }));
  return { page, heard };
}

/**
 * A tab as its user has one: hidden while another one is in front of it, so that it can be frozen. Playwright shows all of
 * its own at once.
 */
export async function openBareTab(t, browser, url) {
  const session = await browser.newBrowserCDPSession();
  const { browserContextId } = await session.send("Target.createBrowserContext");
  t.after(() => session.send("Target.disposeBrowserContext", { browserContextId }));
  const { targetId } = await session.send("Target.createTarget", { url, browserContextId });
  const { sessionId } = await session.send("Target.attachToTarget", { targetId, flatten: false });
  return new BareTab(session, { browserContextId, sessionId });
}

class BareTab {
  #session;
  #browserContextId;
  #sessionId;
  #asked = 0;
  #waiting = new Map();

  constructor(session, { browserContextId, sessionId }) {
    this.#session = session;
    this.#browserContextId = browserContextId;
    this.#sessionId = sessionId;
    session.on("Target.receivedMessageFromTarget", ({ message }) => {
      const { id, result, error } = JSON.parse(message);
      this.#waiting.get(id)?.(result ?? error);
    });
  }

  /** What the function returns in the page. */
  async evaluate(run) {
    const { result } = await this.#send("Runtime.evaluate", { expression: `(${run})()`, returnByValue: true });
    return result.value;
  }

  /** Another tab comes to the front, and the browser freezes this one. */
  async freeze() {
    const url = "about:blank";
    const { targetId } = await this.#session.send("Target.createTarget", { url, browserContextId: this.#browserContextId });
    await this.#session.send("Target.activateTarget", { targetId });
    await until(() => this.evaluate(() => document.hidden), "the tab is hidden");
    await this.#send("Page.setWebLifecycleState", { state: "frozen" });
  }

  async wake() {
    await this.#send("Page.setWebLifecycleState", { state: "active" });
  }

  async #send(method, params) {
    const id = (this.#asked += 1);
    const answered = new Promise((resolve) => this.#waiting.set(id, resolve));
    const message = JSON.stringify({ id, method, params });
    await this.#session.send("Target.sendMessageToTarget", { sessionId: this.#sessionId, message });
    return within(answered, method);
  }
}

// Chromium, and pages in it whose troubles are heard.

import { chromium } from "playwright-core";

import { Heard } from "../../clients/support/deadline.js";

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

export function startBrowser() {
  return chromium.launch({ executablePath: EXECUTABLE, args: FLAGS });
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

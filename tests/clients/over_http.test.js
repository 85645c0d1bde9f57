// What the client libraries do over WebSockets they do over the HTTP transports of pusher-js too: the same tests once
// more. Not those of the other files, in which plain sockets, back ends or nodes are tested, and pusher-js is there to
// listen. What the transports have of their own is in `http_transports.test.js`.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { describe, test } from "node:test";

const FILES = [
  "channels.test.js",
  "client_events.test.js",
  "connection.test.js",
  "echo.test.js",
  "history_stock.test.js",
  "presence.test.js",
  "shutdown.test.js",
  "subscription_count.test.js",
  "users.test.js",
];

/** Tests of these files that say something else over HTTP, or nothing. */
const LEFT_OUT = [
  // Over HTTP pusher-js asks for a sign of life, and not with an event.
  "a quiet client's ping is answered and the connection stays",
  // These open sockets without pusher-js.
  "an unknown key is told in a frame and in the close code, after a completed upgrade",
  "an event of a back end begins with its id",
  "many sockets are closed over the drain, every one with 4200 in a frame and in the close code",
  "a socket that has only just opened is closed in order too, twenty times",
  "a second signal ends a drain at once",
  // Nothing keeps a server that has no socket to close.
  "a server that goes is alive but not ready",
];

const CLIENTS = import.meta.dirname;
const ARGUMENTS = ["--test", "--test-force-exit", "--test-reporter=spec", "--test-concurrency=3"];

/** Runs the files over this transport: the exit's code, and all that was printed. */
async function run(transport) {
  // What is none of the root's name, which all tests are below, and none of these.
  const pattern = `--test-name-pattern=/^(?!<root>|${LEFT_OUT.join("|")}).+$/`;
  const { NODE_TEST_CONTEXT: _, ...env } = process.env;
  const child = spawn(process.execPath, [...ARGUMENTS, pattern, ...FILES], {
    cwd: CLIENTS,
    env: { ...env, GAUNG_TRANSPORT: transport },
    stdio: ["ignore", "pipe", "pipe"],
  });
  let printed = "";
  for (const stream of [child.stdout, child.stderr]) stream.on("data", (text) => (printed += text));
  const code = await new Promise((resolve) => child.once("close", resolve));
  return { code, printed };
}

describe("over", { concurrency: true }, () => {
  for (const transport of ["xhr_streaming", "xhr_polling"]) {
    test(transport, async (t) => {
      const { code, printed } = await run(transport);
      const passed = Number(/^ℹ pass (\d+)$/m.exec(printed)?.[1]);
      assert.equal(code, 0, printed);
      assert.ok(passed > 100, printed);
      t.diagnostic(`${passed} tests passed`);
    });
  }
});

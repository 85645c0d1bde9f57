// Clients over HTTP keep connections. One that leads to a server that goes must not be used for the next session.

import assert from "node:assert/strict";
import { Agent, request } from "node:http";
import { test } from "node:test";

import { until } from "./support/deadline.js";
import { APP, startGaung } from "./support/gaung.js";
import { connectPusher } from "./support/libraries.js";

/** What the server says of the connection, on which it was asked for a session. */
async function ask(gaung, agent, session) {
  const path = `/pusher/app/${APP.key}/7/${session}/xhr?protocol=7&client=js&version=8.6.0&t=1&n=1`;
  const options = { host: gaung.host, port: gaung.port, path, method: "POST", agent };
  const response = await new Promise((resolve, reject) =>
    request(options, resolve).on("error", reject).end(),
  );
  await response.resume().toArray();
  return response.headers.connection;
}

test("a server that goes asks clients over HTTP to use another connection", async (t) => {
  const gaung = await startGaung({ GAUNG_DRAIN_SECONDS: "3" });
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  t.after(() => agent.destroy());
  const others = [...Array(5)].map(() => connectPusher(t, gaung, { enabledTransports: ["xhr_streaming"] }));
  await Promise.all(others);
  assert.notEqual(await ask(gaung, agent, "aaaaaaaa"), "close");
  gaung.terminate();
  await until(async () => !(await gaung.isReady()), "the server is going");
  assert.equal(await ask(gaung, agent, "bbbbbbbb"), "close");
  agent.destroy();
  await gaung.hasStopped();
});

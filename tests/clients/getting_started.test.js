// The first minutes of a new user: what the server prints is pasted as it is, and must work.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import Echo from "laravel-echo";
import Pusher from "pusher";
import PusherJs from "pusher-js";

import { Heard, until } from "./support/deadline.js";
import { runGaung, startDevelopmentGaung } from "./support/gaung.js";
import { openSocket } from "./support/libraries.js";

let gaung;
before(async () => {
  gaung = await startDevelopmentGaung();
  await until(() => gaung.log.includes("new WebSocket("), "everything is printed");
});
after(() => gaung?.stop());

/** The value of a variable in the printed `.env` lines. */
function printed(name) {
  const found = new RegExp(`^${name}="?([^"\\n]*)"?$`, "m").exec(gaung.log);
  assert.ok(found, `${name} is printed in:\n${gaung.log}`);
  return found[1];
}

/** A back end with what Laravel would read from its `.env`. */
function laravel() {
  assert.equal(printed("BROADCAST_CONNECTION"), "reverb");
  return new Pusher({
    appId: printed("REVERB_APP_ID"),
    key: printed("REVERB_APP_KEY"),
    secret: printed("REVERB_APP_SECRET"),
    host: printed("REVERB_HOST"),
    port: printed("REVERB_PORT"),
    useTLS: printed("REVERB_SCHEME") === "https",
  });
}

test("the printed Echo options and .env lines carry an event from Laravel to Echo", async (t) => {
  const [, options] = /new Echo\((\{.*\})\)/s.exec(gaung.log);
  const echo = new Echo({ ...new Function(`return ${options}`)(), Pusher: PusherJs });
  t.after(() => echo.disconnect());
  const heard = new Heard();
  echo
    .channel("products.42")
    .subscribed(() => heard.note({ event: "subscribed" }))
    .listen(".product.updated", (data) => heard.note({ event: "updated", data }));
  await heard.event("subscribed");
  await laravel().trigger("products.42", "product.updated", { productId: "7" });
  assert.deepEqual((await heard.event("updated")).data, { productId: "7" });
});

test("the variables for Vite repeat those of the server", () => {
  for (const name of ["APP_KEY", "HOST", "PORT", "SCHEME"])
    assert.equal(printed(`VITE_REVERB_${name}`), `\${REVERB_${name}}`);
});

test("the printed plain socket hears its tenant's channel", async (t) => {
  const [, url] = /new WebSocket\('([^']+)'\)/.exec(gaung.log);
  const { send, heard } = await openSocket(t, url);
  send({ type: "subscribe", channel: "products.42" });
  await heard.event("subscribed");
  await laravel().trigger("products.42", "product.updated", { productId: "7" });
  assert.equal((await heard.event("product.updated")).data.productId, "7");
});

test("a subscribe in one terminal shows the trigger of another, with its latency", async () => {
  const at = ["--url", gaung.publicUrl.origin];
  const subscriber = runGaung("subscribe", "products.42", "--count", "1", ...at);
  await subscriber.lines.where(({ line }) => line.includes("subscription_succeeded"), "it has subscribed");
  const trigger = runGaung("trigger", "products.42", "product.updated", '{"productId":"7"}', ...at);
  assert.equal(await trigger.exit, 0);
  const { line } = await subscriber.lines.where(({ line }) => line.includes("product.updated"), "the event");
  assert.match(line, /products\.42 +product\.updated +\{"productId":"7"\} +\d+\.\d+ ms$/);
  assert.equal(await subscriber.exit, 0);
});

test("the printed app is the one that the back end's lines name", () => {
  assert.match(gaung.log, new RegExp(`^app +${printed("REVERB_APP_ID")}$`, "m"));
  assert.match(gaung.log, new RegExp(`^key +${printed("REVERB_APP_KEY")}$`, "m"));
});

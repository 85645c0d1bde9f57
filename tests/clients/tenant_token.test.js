// docs/examples/plain/tenant-socket.js where sockets need tokens: they end, are renewed, and are revoked.

import assert from "node:assert/strict";
import { createHmac } from "node:crypto";
import { after, before, test } from "node:test";

import { Heard, until } from "./support/deadline.js";
import { APP, startGaung } from "./support/gaung.js";
import { backEnd } from "./support/libraries.js";
import { loadTenantSocket } from "./support/tenant_socket.js";

/** Tokens and pauses have whole seconds. */
const TOKEN_PATIENCE = 60_000;

let gaung;
let server;
let tenantSocket;
before(async () => {
  gaung = await startGaung();
  server = backEnd(gaung);
  tenantSocket = await loadTenantSocket();
});
after(() => gaung?.stop());

const seconds = () => Math.floor(Date.now() / 1000);

/** A JWT of tenant 7 that ends in so many seconds. */
function token(lifetime) {
  const encode = (part) => Buffer.from(JSON.stringify(part)).toString("base64url");
  const claims = { tenant_id: "7", user_id: "42", iat: seconds(), exp: seconds() + lifetime };
  const signed = `${encode({ alg: "HS256", typ: "JWT" })}.${encode(claims)}`;
  return `${signed}.${createHmac("sha256", APP.secret).update(signed).digest("base64url")}`;
}

/** A page whose tokens last so long, one after the other, the last of them for ever. */
function open(...lifetimes) {
  const heard = new Heard();
  const fetched = [];
  tenantSocket(`${gaung.socketUrl("/ws")}?tenant_id=7&user_id=42`, ["products.7"], {
    onEvent: ({ type: event, data }) => heard.note({ event, data }),
    onStatus: (status) => heard.note({ event: status.split(" ")[0], status }),
    token: async () => {
      fetched.push(seconds());
      return token(lifetimes.length > 1 ? lifetimes.shift() : lifetimes[0]);
    },
  });
  return { heard, fetched };
}

test("a page sends a newer token in time, and keeps its socket", async () => {
  const { heard, fetched } = open(10, 600);
  await heard.event("subscribed");
  await until(() => fetched.length === 2, "the page fetches another token", TOKEN_PATIENCE);
  const over = fetched[0] + 10 + 6;
  await until(() => seconds() > over, "the first token is over", TOKEN_PATIENCE);
  await server.trigger("products.7", "said", {});
  await heard.event("said");
  heard.never("closed");
  assert.equal(fetched.length, 2);
});

test("a page whose tokens were revoked comes back with a new one", async () => {
  const { heard } = open(600);
  await heard.event("subscribed");
  const revoked = await server.post({ path: "/tokens/revoke", body: { tenant: "7", user: "42" } });
  assert.equal(revoked.status, 200);
  assert.equal((await heard.event("closed")).status, "closed with 4015");
  const subscribed = () => heard.all().filter(({ event }) => event === "subscribed").length;
  await until(() => subscribed() === 2, "it is subscribed again", TOKEN_PATIENCE);
  await server.trigger("products.7", "said", {});
  await heard.event("said");
});

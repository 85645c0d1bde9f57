// The plain tenant socket at `/ws`, for clients without a Pusher library.

import assert from "node:assert/strict";
import { createHmac } from "node:crypto";
import { after, before, test } from "node:test";

import { startApplication } from "./support/application.js";
import { within } from "./support/deadline.js";
import { APP, startGaung } from "./support/gaung.js";
import { backEnd, connectPusher, openEcho, openSocket, subscribe } from "./support/libraries.js";

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

/** A JWT as an application makes it: HS256 with the app's secret. */
function token(claims = {}, { secret = APP.secret, algorithm = "HS256" } = {}) {
  const encode = (part) => Buffer.from(JSON.stringify(part)).toString("base64url");
  const all = { tenant_id: "7", user_id: "42", exp: Math.floor(Date.now() / 1000) + 600, ...claims };
  const signed = `${encode({ alg: algorithm, typ: "JWT" })}.${encode(all)}`;
  return `${signed}.${createHmac("sha256", secret).update(signed).digest("base64url")}`;
}

const address = (on, parameters) => `${on.socketUrl("/ws")}?${new URLSearchParams(parameters)}`;

/** A socket of tenant 7 with a token of these claims. */
const open = (t, claims) => openSocket(t, address(gaung, { tenant_id: "7", user_id: "42", token: token(claims) }));

/** A socket of tenant 7 that has subscribed to these channels. */
async function enter(t, channels, claims) {
  const client = await open(t, claims);
  for (const channel of channels) {
    client.send({ type: "subscribe", channel });
    await client.heard.where(
      (frame) => frame.event === "subscribed" && frame.channel === channel,
      `${channel} is subscribed`,
    );
  }
  return client;
}

/** The message without what the test client adds to it. */
const message = ({ text }) => JSON.parse(text);

test("a subscription is confirmed without a data member", async (t) => {
  const { heard } = await enter(t, ["products.7"]);
  assert.deepEqual(message(await heard.event("subscribed")), { type: "subscribed", channel: "products.7" });
  assert.ok(
    heard.all().every((frame) => !("data" in frame)),
    "a frame with type and data is taken for an event",
  );
});

test("an event is an object with the tenant's id", async (t) => {
  const { heard } = await enter(t, ["products.7"]);
  await server.trigger("products.7", "product.updated", { productId: "7", price: 1.5 });
  assert.deepEqual(message(await heard.event("product.updated")), {
    type: "product.updated",
    channel: "products.7",
    data: { productId: "7", price: 1.5, tenantId: "7" },
  });
});

test("a tenant id that the application sends itself stays", async (t) => {
  const { heard } = await enter(t, ["products.7"]);
  await server.trigger("products.7", "product.moved", { tenantId: "9" });
  assert.deepEqual(message(await heard.event("product.moved")).data, { tenantId: "9" });
});

test("an empty Laravel payload is an object too", async (t) => {
  const { heard } = await enter(t, ["products.7"]);
  await server.trigger("products.7", "products.cleared", "[]");
  assert.deepEqual(message(await heard.event("products.cleared")).data, { tenantId: "7" });
});

test("a ping is answered by a pong", async (t) => {
  const { send, heard } = await open(t);
  send({ type: "ping" });
  assert.deepEqual(message(await heard.event("pong")), { type: "pong" });
});

test("an unsubscribed channel is silent", async (t) => {
  const { send, heard } = await enter(t, ["left.7", "stayed.7"]);
  const other = await enter(t, ["left.7"]);
  send({ type: "unsubscribe", channel: "left.7" });
  send({ type: "ping" });
  await heard.event("pong");
  await server.trigger("left.7", "said", {});
  await other.heard.event("said");
  await server.trigger("stayed.7", "marker", {});
  await heard.event("marker");
  heard.never("said");
});

test("an Echo client and a tenant socket hear the same events, each in its own dialect", async (t) => {
  const { heard } = await enter(t, ["orders.7"]);
  const pusher = openEcho(t, gaung, { application }).connector.pusher;
  const atEcho = await subscribe(pusher, "orders.7");
  for (let n = 0; n < 20; n += 1) await server.trigger("orders.7", `App\\Events\\Shipped`, { n });
  const plain = await heard.times(20, "App\\Events\\Shipped");
  const decoded = await atEcho.heard.times(20, "App\\Events\\Shipped");
  assert.deepEqual(
    plain.map(({ data }) => data),
    decoded.map(({ data }) => ({ ...data, tenantId: "7" })),
  );
  assert.deepEqual(
    decoded.map(({ data }) => data.n),
    [...Array(20).keys()],
  );
});

test("a batch reaches tenant sockets", async (t) => {
  const { heard } = await enter(t, ["batch.7"]);
  await server.triggerBatch([
    { channel: "batch.7", name: "first", data: { n: 1 } },
    { channel: "batch.7", name: "second", data: { n: 2 } },
  ]);
  assert.equal(message(await heard.event("first")).data.n, 1);
  assert.equal(message(await heard.event("second")).data.n, 2);
});

const FOREIGN = ["products.8", "products", "7.orders", "orders.43.7", "products.77", "products-7", "private-products.8"];
for (const channel of FOREIGN) {
  test(`${channel} is not tenant 7's: refused, and the socket stays`, async (t) => {
    const { send, heard } = await open(t, { channels: ["*", "*.*"] });
    send({ type: "subscribe", channel });
    const error = message(await heard.event("error"));
    assert.equal(typeof error.code, "number");
    assert.equal(typeof error.message, "string");
    assert.ok(!("data" in error));
    send({ type: "ping" });
    await heard.event("pong");
    heard.never("subscribed");
  });
}

for (const channel of ["products.7", "orders.7.lines", "cache-news.7"]) {
  test(`${channel} is tenant 7's`, async (t) => {
    const { heard } = await enter(t, [channel]);
    await server.trigger(channel, "said", {});
    await heard.event("said");
  });
}

test("a private channel needs a token that names it", async (t) => {
  const refused = await open(t);
  refused.send({ type: "subscribe", channel: "private-orders.7" });
  await refused.heard.event("error");
  const { heard } = await enter(t, ["private-orders.7"], { channels: ["private-*.7"] });
  await server.trigger("private-orders.7", "said", {});
  await heard.event("said");
});

test("in a presence channel the member is the token's user", async (t) => {
  const user = application.user({ id: "43", info: { name: "Bob" } });
  const pusher = await connectPusher(t, gaung, { application, user });
  const bob = await subscribe(pusher, "presence-room.7");
  const { socket } = await enter(t, ["presence-room.7"], { channels: ["presence-room.7"] });
  assert.equal((await bob.heard.event("pusher:member_added")).data.id, "42");
  socket.close(1000);
  assert.equal((await bob.heard.event("pusher:member_removed")).data.id, "42");
});

test("a token may come in the Authorization header", async (t) => {
  const headers = { Authorization: `Bearer ${token()}` };
  const { send, heard } = await openSocket(t, address(gaung, { tenant_id: "7" }), [], { headers });
  send({ type: "ping" });
  await heard.event("pong");
});

test("a token may come as a sub-protocol, which is not sent back", async (t) => {
  const { socket, send, heard } = await openSocket(t, address(gaung, { tenant_id: "7" }), ["bearer", token()]);
  send({ type: "ping" });
  await heard.event("pong");
  assert.equal(socket.protocol, "bearer");
});

const REFUSED = [
  ["without a token", { tenant_id: "7" }, 4011],
  ["with an expired token", { tenant_id: "7", token: token({ exp: Math.floor(Date.now() / 1000) - 60 }) }, 4011],
  ["with a token without an end", { tenant_id: "7", token: token({ exp: undefined }) }, 4011],
  ["with a token signed by another", { tenant_id: "7", token: token({}, { secret: "guess" }) }, 4011],
  ["with a token that is not signed", { tenant_id: "7", token: token({}, { algorithm: "none" }) }, 4011],
  ["with another tenant's token", { tenant_id: "8", token: token() }, 4011],
  ["with another user's token", { tenant_id: "7", user_id: "43", token: token() }, 4011],
  ["without a tenant", { token: token() }, 4010],
  ["with an impossible tenant", { tenant_id: "a.b", token: token() }, 4010],
];
for (const [how, parameters, code] of REFUSED) {
  test(`a socket ${how} is told why and closed with ${code}`, async (t) => {
    const { heard, closed } = await openSocket(t, address(gaung, parameters));
    const error = message(await heard.event("error"));
    assert.equal(error.code, code);
    assert.ok(!("data" in error));
    assert.equal((await within(closed, "the socket is closed")).code, code);
  });
}

test("messages that make no sense are answered by an error and the socket stays", async (t) => {
  const { socket, send, heard } = await open(t);
  const nonsense = ["", "not json", "[]", "7", "{}", '{"type":7}', '{"type":"publish"}', '{"type":"subscribe"}'];
  for (const text of nonsense) socket.send(text);
  await heard.times(nonsense.length, "error");
  send({ type: "ping" });
  await heard.event("pong");
});

test("a socket that talks too much is told the limit and its name, and stays", async (t) => {
  const { send, heard } = await open(t);
  for (let n = 0; n < 60; n += 1) send({ type: "ping" });
  const error = message(await heard.event("error"));
  assert.match(error.message, /20/);
  assert.match(error.message, /GAUNG_TENANT_MESSAGES_PER_SECOND/);
});

test("a close with 1000 is answered with 1000", async (t) => {
  const { socket, closed } = await open(t);
  socket.close(1000);
  assert.equal((await within(closed, "the socket is closed")).code, 1000);
});

test("a server that goes away closes tenant sockets with 1001", async (t) => {
  const leaving = await startGaung();
  const { send, heard, closed } = await openSocket(t, address(leaving, { tenant_id: "7", token: token() }));
  send({ type: "ping" });
  await heard.event("pong");
  leaving.terminate();
  assert.equal((await within(closed, "the socket is closed")).code, 1001);
  await leaving.hasStopped();
});

test("open access needs no token and gives public channels only", async (t) => {
  const open = await startGaung({ GAUNG_TENANT_ACCESS: "open" });
  t.after(() => open.stop());
  const { socket, send, heard } = await openSocket(t, address(open, { tenant_id: "7", user_id: "42" }));
  send({ type: "subscribe", channel: "products.7" });
  await heard.event("subscribed");
  await backEnd(open).trigger("products.7", "said", {});
  await heard.event("said");
  send({ type: "subscribe", channel: "private-products.7" });
  send({ type: "subscribe", channel: "presence-products.7" });
  await heard.times(2, "error");
  socket.close(1000);
});

test("an application that is asked admits, refuses, or is out of order", async (t) => {
  const asked = await startGaung({
    GAUNG_TENANT_ACCESS: "callback",
    GAUNG_TENANT_CALLBACK_URL: `${application.url}/tenant-access`,
  });
  t.after(() => asked.stop());
  const headers = { Cookie: "laravel_session=abc", Authorization: "Bearer xyz", Origin: "https://app.example" };
  const connect = () => openSocket(t, address(asked, { tenant_id: "7", user_id: "42" }), [], { headers });

  const { socket, send, heard } = await connect();
  send({ type: "subscribe", channel: "products.7" });
  await heard.event("subscribed");
  const [question] = application.questions.all();
  assert.equal(question.parameters.get("tenant_id"), "7");
  assert.equal(question.parameters.get("user_id"), "42");
  assert.equal(question.headers.cookie, "laravel_session=abc");
  assert.equal(question.headers.authorization, "Bearer xyz");
  assert.equal(question.headers.origin, "https://app.example");
  socket.close(1000);

  for (const [admission, code] of [
    [401, 4011],
    [403, 4011],
    [500, 4101],
    [302, 4101],
  ]) {
    application.admission = admission;
    const { closed } = await connect();
    assert.equal((await within(closed, "the socket is closed")).code, code, `the application answered ${admission}`);
  }
});

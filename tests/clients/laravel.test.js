// Requests byte for byte as Laravel's broadcaster and other hand-made callers send them, without a library that might
// forgive an answer.

import assert from "node:assert/strict";
import { createHash, createHmac } from "node:crypto";
import { request as openRequest } from "node:http";
import { after, before, test } from "node:test";

import { startApplication } from "./support/application.js";
import { Heard, within } from "./support/deadline.js";
import { APP, startGaung } from "./support/gaung.js";
import { connectPusher, openEcho, openSocket, subscribe } from "./support/libraries.js";

const EVENTS = `/apps/${APP.id}/events`;
const PHP_HEADERS = {
  "User-Agent": "GuzzleHttp/7",
  "Content-Type": "application/json",
  "X-Pusher-Library": "pusher-http-php 7.2.6",
};

/** The body that PHP makes of an event with an accent and a slash: both escaped, within a string within JSON. */
const SHIPPED = String.raw`{"name":"App\\Events\\Shipped","data":"{\"id\":7,\"n\":\"\\u00e9\\\/x\"}","channel":"orders","socket_id":"1234.5678"}`;
const SHIPPED_DATA = String.raw`{"id":7,"n":"\u00e9\/x"}`;

let gaung;
let application;
before(async () => {
  [gaung, application] = await Promise.all([startGaung(), startApplication()]);
});
after(async () => {
  application?.stop();
  await gaung?.stop();
});

/** The query of a signed request, as pusher-http-php makes it: values are signed raw and then percent-encoded. */
function signedQuery(method, path, body, { parameters = {}, key = APP.key, secret = APP.secret, age = 0, md5 } = {}) {
  const all = {
    auth_key: key,
    auth_timestamp: String(Math.floor(Date.now() / 1000) - age),
    auth_version: "1.0",
    ...(body === undefined ? {} : { body_md5: md5 ?? createHash("md5").update(body).digest("hex") }),
    ...parameters,
  };
  const sorted = Object.keys(all).sort();
  const signed = [method, path, sorted.map((name) => `${name}=${all[name]}`).join("&")].join("\n");
  const signature = createHmac("sha256", secret).update(signed).digest("hex");
  const encoded = sorted.map((name) => `${name}=${encodeURIComponent(all[name])}`);
  return [...encoded, `auth_signature=${signature}`].join("&");
}

/** Sends exactly this and returns status, headers and text. A body in pieces goes chunked. */
async function send(server, method, target, { body, headers = PHP_HEADERS } = {}) {
  const pieces = body === undefined ? [] : [body].flat();
  const length = pieces.length === 1 ? { "Content-Length": Buffer.byteLength(pieces[0]) } : {};
  const request = openRequest({
    host: server.host,
    port: server.port,
    method,
    path: target,
    headers: { ...headers, ...length },
  });
  const answered = new Promise((resolve, reject) => request.once("response", resolve).once("error", reject));
  if (headers.Expect) await within(new Promise((resolve) => request.once("continue", resolve)), "100 Continue");
  for (const piece of pieces) request.write(piece);
  request.end();
  const response = await within(answered, `an answer to ${method} ${target}`);
  const chunks = [];
  for await (const chunk of response) chunks.push(chunk);
  return { status: response.statusCode, headers: response.headers, text: Buffer.concat(chunks).toString() };
}

/** A signed POST of an event. */
function post(body, { server = gaung, headers, at = EVENTS, signedPath = EVENTS, ...signing } = {}) {
  const whole = [body].flat().join("");
  return send(server, "POST", `${at}?${signedQuery("POST", signedPath, whole, signing)}`, { body, headers });
}

const OK = { status: 200, text: "{}" };
const answer = ({ status, text }) => ({ status, text });

/** A bare Pusher client, whose frames are seen as text. */
async function listenTo(t, channel) {
  const client = await openSocket(t, gaung.socketUrl(`/app/${APP.key}?protocol=7&client=js&version=8.6.0&flash=false`));
  await client.heard.event("pusher:connection_established");
  client.send({ event: "pusher:subscribe", data: { auth: "", channel } });
  await client.heard.event("pusher_internal:subscription_succeeded");
  return client;
}

test("what PHP escaped arrives byte for byte", async (t) => {
  const { heard } = await listenTo(t, "orders");
  assert.deepEqual(answer(await post(SHIPPED)), OK);
  const frame = await heard.event("App\\Events\\Shipped");
  assert.equal(frame.data, SHIPPED_DATA);
  assert.equal(frame.channel, "orders");
  assert.deepEqual(Object.keys(JSON.parse(frame.text)).sort(), ["channel", "data", "event"]);
});

test("Echo hears it by its short name, decoded", async (t) => {
  const heard = new Heard();
  const echo = openEcho(t, gaung, { application });
  echo
    .channel("orders")
    .subscribed(() => heard.note({ event: "subscribed" }))
    .listen("Shipped", (data) => heard.note({ event: "shipped", data }));
  await heard.event("subscribed");
  await post(SHIPPED);
  assert.deepEqual((await heard.event("shipped")).data, { id: 7, n: "é/x" });
});

test("an event without payload has PHP's empty list as data", async (t) => {
  const pusher = await connectPusher(t, gaung);
  const { heard } = await subscribe(pusher, "empty");
  assert.deepEqual(answer(await post('{"name":"App\\\\Events\\\\Empty","data":"[]","channel":"empty"}')), OK);
  assert.deepEqual((await heard.event("App\\Events\\Empty")).data, []);
});

test("an answer is JSON and the connection is kept", async () => {
  const { headers } = await post(SHIPPED);
  assert.match(headers["content-type"], /^application\/json/);
  assert.notEqual(headers.connection, "close");
});

test("several channels stand in one request", async (t) => {
  const [one, other] = [await listenTo(t, "several-1"), await listenTo(t, "several-2")];
  await post('{"name":"said","data":"{}","channels":["several-1","several-2"]}');
  await one.heard.event("said");
  await other.heard.event("said");
});

test("toOthers spares the sender", async (t) => {
  const [sender, other] = [await listenTo(t, "spared"), await listenTo(t, "spared")];
  const { socket_id: id } = JSON.parse((await sender.heard.event("pusher:connection_established")).data);
  await post(`{"name":"said","data":"{}","channel":"spared","socket_id":"${id}"}`);
  await post('{"name":"marker","data":"{}","channel":"spared"}');
  await other.heard.event("said");
  await sender.heard.event("marker");
  sender.heard.never("said");
});

test("a socket id that is rubbish is ignored, as Laravel users do send it", async (t) => {
  const { heard } = await listenTo(t, "rubbish");
  assert.deepEqual(answer(await post('{"name":"said","data":"{}","channel":"rubbish","socket_id":"undefined"}')), OK);
  await heard.event("said");
});

test("data that is not a string is sent as its JSON text", async (t) => {
  const { heard } = await listenTo(t, "objects");
  assert.deepEqual(answer(await post('{"name":"said","data":{"a":[1,null]},"channel":"objects"}')), OK);
  assert.equal((await heard.event("said")).data, '{"a":[1,null]}');
});

test("the content type does not matter, nor does its absence", async () => {
  for (const headers of [
    {},
    { "Content-Type": "application/x-www-form-urlencoded" },
    { "Content-Type": "text/plain" },
  ]) {
    assert.deepEqual(answer(await post(SHIPPED, { headers })), OK);
  }
});

test("a body in chunks is taken", async () => {
  assert.deepEqual(answer(await post([SHIPPED.slice(0, 10), SHIPPED.slice(10)])), OK);
});

test("a caller that waits for 100 Continue gets it", async () => {
  assert.deepEqual(answer(await post(SHIPPED, { headers: { ...PHP_HEADERS, Expect: "100-continue" } })), OK);
});

test("a question with a content type and no body is answered, its parameters percent-encoded", async (t) => {
  await listenTo(t, "asked-for-others");
  const parameters = { info: "user_count,subscription_count", filter_by_prefix: "presence-" };
  const query = signedQuery("GET", `/apps/${APP.id}/channels`, undefined, { parameters });
  assert.match(query, /user_count%2Csubscription_count/);
  assert.deepEqual(answer(await send(gaung, "GET", `/apps/${APP.id}/channels?${query}`)), {
    status: 200,
    text: '{"channels":{}}',
  });
});

test("Pulse's question for connections is answered", async (t) => {
  await listenTo(t, "pulse");
  const path = `/apps/${APP.id}/connections`;
  const { status, text } = await send(gaung, "GET", `${path}?${signedQuery("GET", path)}`);
  assert.equal(status, 200);
  assert.ok(JSON.parse(text).connections >= 1, text);
});

test("keys in capitals and a signature in front, as .NET sends them, are verified", async () => {
  const query = signedQuery("POST", EVENTS, SHIPPED);
  const [, signature] = /auth_signature=(\w+)/.exec(query);
  const rest = query.replace(`&auth_signature=${signature}`, "");
  assert.deepEqual(
    answer(await send(gaung, "POST", `${EVENTS}?auth_signature=${signature}&${rest}`, { body: SHIPPED })),
    OK,
  );
  const capitals = query.replace("auth_key=", "Auth_Key=");
  assert.deepEqual(answer(await send(gaung, "POST", `${EVENTS}?${capitals}`, { body: SHIPPED })), OK);
});

const FORGERIES = [
  ["with another secret", { secret: "guess" }],
  ["with another key", { key: "no-such-key" }],
  ["eleven minutes ago", { age: 660 }],
  ["eleven minutes from now", { age: -660 }],
  ["over another body", { md5: "d41d8cd98f00b204e9800998ecf8427e" }],
  ["by another version", { parameters: { auth_version: "2.0" } }],
];
for (const [how, signing] of FORGERIES) {
  test(`a request signed ${how} is refused`, async () => {
    const { status, text } = await post(SHIPPED, signing);
    assert.equal(status, 401);
    assert.equal(JSON.parse(text).code, 401);
  });
}

test("a request without body_md5 or without any signature is refused", async () => {
  const bare = signedQuery("POST", EVENTS, undefined);
  assert.equal((await send(gaung, "POST", `${EVENTS}?${bare}`, { body: SHIPPED })).status, 401);
  assert.equal((await send(gaung, "POST", EVENTS, { body: SHIPPED })).status, 401);
});

test("a body that is not JSON is refused with 400", async () => {
  assert.equal((await post('{"name":')).status, 400);
});

test("below a prefix a request is taken with and without it, signed with and without it", async (t) => {
  const prefixed = await startGaung({ GAUNG_PATH_PREFIX: "/ws" });
  t.after(() => prefixed.stop());
  for (const at of [EVENTS, `/ws${EVENTS}`]) {
    assert.deepEqual(answer(await post(SHIPPED, { server: prefixed, at, signedPath: EVENTS })), OK, at);
  }
  assert.deepEqual(
    answer(await post(SHIPPED, { server: prefixed, at: `/ws${EVENTS}`, signedPath: `/ws${EVENTS}` })),
    OK,
  );
});

test("health checks answer GET and HEAD", async () => {
  assert.equal((await send(gaung, "GET", "/up", { headers: {} })).text, '{"health":"OK"}');
  assert.equal((await send(gaung, "GET", "/", { headers: {} })).text, "OK");
  assert.equal((await send(gaung, "GET", "/ready", { headers: {} })).text, "OK");
  for (const path of ["/up", "/", "/ready"]) {
    const { status, text } = await send(gaung, "HEAD", path, { headers: {} });
    assert.deepEqual({ status, text }, { status: 200, text: "" }, path);
  }
});

test("an unknown path is 404, a wrong method 405, a plain GET on the socket's path 426", async () => {
  assert.equal((await send(gaung, "GET", "/nothing/here")).status, 404);
  assert.equal((await send(gaung, "DELETE", EVENTS)).status, 405);
  const { status, text } = await send(gaung, "GET", `/app/${APP.key}`);
  assert.equal(status, 426);
  assert.match(text, /upgrade/i);
  JSON.parse(text);
});

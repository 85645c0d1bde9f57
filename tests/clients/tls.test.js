// Without a proxy: clients connect by wss, back ends by https, and a renewed certificate is served without a restart.

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readFile, rename, rm } from "node:fs/promises";
import { Agent } from "node:https";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { connect } from "node:tls";
import { promisify } from "node:util";

import { until } from "./support/deadline.js";
import { APP, startGaung } from "./support/gaung.js";
import { backEnd, connectPusher, openSocket, subscribe } from "./support/libraries.js";

/** The files are looked at from time to time. */
const RENEWAL = 15_000;

let gaung;
let folder;
let certificate;
let key;
before(async () => {
  folder = await mkdtemp(join(tmpdir(), "gaung-tls-"));
  [certificate, key] = [join(folder, "certificate.pem"), join(folder, "key.pem")];
  await renew("first");
  gaung = await startGaung({ GAUNG_TLS_CERT: certificate, GAUNG_TLS_KEY: key });
});
after(async () => {
  await gaung?.stop();
  await rm(folder, { recursive: true });
});

/** Puts a new self-signed certificate for loopback in place, the key before the certificate that names it. */
async function renew(organisation) {
  const subject = ["-subj", `/O=${organisation}/CN=localhost`, "-addext", "subjectAltName=IP:127.0.0.1,DNS:localhost"];
  const files = ["-keyout", `${key}.new`, "-out", `${certificate}.new`];
  const kind = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"];
  await promisify(execFile)("openssl", ["req", "-x509", ...kind, ...subject, ...files]);
  await rename(`${key}.new`, key);
  await rename(`${certificate}.new`, certificate);
}

/** The organisation that the served certificate names. */
async function served() {
  const socket = connect({ host: gaung.host, port: gaung.port, rejectUnauthorized: false });
  await new Promise((resolve, reject) => socket.once("secureConnect", resolve).once("error", reject));
  const { subject } = socket.getPeerCertificate();
  socket.destroy();
  return subject.O;
}

test("the printed address says https", () => {
  assert.equal(gaung.publicUrl.protocol, "https:");
});

test("an event travels from an https back end to pusher-js on wss", async (t) => {
  // pusher-js on Node takes no certificate authority; browsers have theirs.
  process.env.NODE_TLS_REJECT_UNAUTHORIZED = "0";
  const pusher = await connectPusher(t, gaung, { forceTLS: true, wssPort: gaung.port });
  delete process.env.NODE_TLS_REJECT_UNAUTHORIZED;
  assert.ok(pusher.connection.isUsingTLS());
  const { heard } = await subscribe(pusher, "orders");
  const agent = new Agent({ ca: await readFile(certificate) });
  await backEnd(gaung, { useTLS: true, agent }).trigger("orders", "order.shipped", { id: 7 });
  assert.deepEqual((await heard.event("order.shipped")).data, { id: 7 });
  agent.destroy();
});

test("large and small events arrive whole and in order", async (t) => {
  const agent = new Agent({ ca: await readFile(certificate) });
  const server = backEnd(gaung, { useTLS: true, agent });
  const url = `wss://${gaung.publicUrl.host}/app/${APP.key}?protocol=7`;
  const { send, heard } = await openSocket(t, url, [], { ca: await readFile(certificate) });
  send({ event: "pusher:subscribe", data: { channel: "sizes" } });
  await heard.event("pusher_internal:subscription_succeeded");
  const sizes = [...Array(40).keys()].map((n) => (n % 2 === 0 ? 10_000 : 1));
  for (const size of sizes) await server.trigger("sizes", "sized", "x".repeat(size));
  const events = await heard.times(sizes.length, "sized");
  assert.deepEqual(
    events.map(({ data }) => data.length),
    sizes,
  );
  agent.destroy();
});

for (const version of ["TLSv1.2", "TLSv1.3"]) {
  test(`a client that comes back resumes its session of ${version}`, async () => {
    const { host, port } = gaung;
    const options = { host, port, ca: await readFile(certificate), minVersion: version, maxVersion: version };
    const first = connect(options);
    const [session] = await once(first, "session");
    assert.equal(first.isSessionReused(), false);
    first.destroy();
    const second = connect({ ...options, session });
    await once(second, "secureConnect");
    assert.equal(second.isSessionReused(), true);
    assert.equal(second.getProtocol(), version);
    second.destroy();
  });
}

test("a renewed certificate is served to new connections and open ones stay", async (t) => {
  const url = `wss://${gaung.publicUrl.host}/app/${APP.key}?protocol=7`;
  const { send, heard } = await openSocket(t, url, [], { ca: await readFile(certificate) });
  assert.equal(await served(), "first");
  await renew("second");
  await until(async () => (await served()) === "second", "the new certificate is served", RENEWAL);
  send({ event: "pusher:ping", data: {} });
  await heard.event("pusher:pong");
});

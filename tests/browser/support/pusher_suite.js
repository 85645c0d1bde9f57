// What pusher-js' own integration tests want to find: the clusters of the hosted service, and a server that signs and
// publishes for the page. The tests themselves are bundled from the package as it is installed.

import { execFile } from "node:child_process";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { Agent } from "node:https";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";

import { build } from "esbuild";
import Pusher from "pusher";

import { startGaungWithApps } from "../../clients/support/gaung.js";
import { SCRIPT, startPageServer } from "./page_server.js";

const HERE = import.meta.dirname;
const PACKAGES = join(HERE, "..", "node_modules");
const PACKAGE = join(PACKAGES, "pusher-js");
const SPEC = join(PACKAGE, "spec", "javascripts");

/** The keys that stand in the tests, each that of an app on another cluster. */
const APPS = [
  { id: "1", key: "c49a449b916bb4246729", secret: "secret-of-mt1", client_events: true },
  { id: "2", key: "cb7d5e50f5669e5c9ae6", secret: "secret-of-eu", client_events: true },
];

/** The tests that talk to a server. Those of `integration/core` that are not named here talk to a transport made up. */
const TESTS = ["pusher_spec/index.js", "cluster_config_spec.js"];

const FILES = {
  "/": [join(HERE, "pusher_suite.html"), "text/html"],
  "/pusher_suite.page.js": [join(HERE, "pusher_suite.page.js"), SCRIPT],
  "/jasmine.js": [join(PACKAGES, "jasmine-core", "lib", "jasmine-core", "jasmine.js"), SCRIPT],
};

/** Two servers, one with TLS, which the browser takes for the hosted service when it is given the `flags`. */
export async function startHostedService() {
  const folder = await mkdtemp(join(tmpdir(), "gaung-suite-"));
  const [apps, certificate, key] = ["apps.json", "certificate.pem", "key.pem"].map((name) => join(folder, name));
  await writeFile(apps, JSON.stringify(APPS));
  const kind = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"];
  const subject = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:*.pusher.com,IP:127.0.0.1"];
  await promisify(execFile)("openssl", ["req", "-x509", ...kind, ...subject, "-keyout", key, "-out", certificate]);
  const [plain, tls] = await Promise.all([
    startGaungWithApps(apps),
    startGaungWithApps(apps, { GAUNG_TLS_CERT: certificate, GAUNG_TLS_KEY: key }),
  ]);
  const rules = [80, 443].map((port) => `MAP *.pusher.com:${port} 127.0.0.1:${(port === 80 ? plain : tls).port}`);
  const flags = [`--host-resolver-rules=${rules.join(", ")}`, "--ignore-certificate-errors"];
  const stop = async () => {
    await Promise.all([plain.stop(), tls.stop()]);
    await rm(folder, { recursive: true });
  };
  const agent = new Agent({ ca: await readFile(certificate) });
  return { plain: { server: plain }, tls: { server: tls, useTLS: true, agent }, flags, stop };
}

/** The page with the tests. Its address takes the transport and whether it is with TLS: `?transport=ws&tls`. */
export async function startSuite(service) {
  const bundle = await bundled();
  const backEnds = { plain: backEndsOf(service.plain), tls: backEndsOf(service.tls) };
  return startPageServer(FILES, (path, request) => {
    if (path === "/suite.js") return [200, bundle, SCRIPT];
    const [, kind, app, what] = /^\/(plain|tls)\/([01])\/(.*)$/.exec(path) ?? [];
    if (!kind) return [404, {}];
    return answer(backEnds[kind][app], what, new URL(request.url, "http://page").searchParams);
  });
}

function backEndsOf({ server, useTLS = false, agent }) {
  const address = { host: server.host, port: `${server.port}`, useTLS, agent };
  return APPS.map(({ id, key, secret }) => new Pusher({ appId: id, key, secret, ...address }));
}

/** The answers are scripts, since the tests ask by such. */
async function answer(backEnd, what, query) {
  if (what === "auth") {
    const socket = query.get("socket_id");
    const info = { name: `Integration ${socket}`, email: `integration-${socket}@example.com` };
    const signed = backEnd.authorizeChannel(socket, query.get("channel_name"), { user_id: socket, user_info: info });
    return [200, `${query.get("callback")}(${JSON.stringify(signed)})`, SCRIPT];
  }
  const [channel, event, data] = ["channel", "event", "data"].map((name) => atob(query.get(name)));
  await backEnd.trigger(channel, event, JSON.parse(data));
  const receiver = what.replace("v2/send/", "");
  return [200, `Pusher.Integration.ScriptReceivers[${receiver}](null, {})`, SCRIPT];
}

/** What the package's own bundler is told, in the words of another one that needs no more than itself. */
async function bundled() {
  const integration = join(SPEC, "helpers", "web", "integration.js");
  const load = (file) => `require(${JSON.stringify(file)})`;
  const tests = TESTS.map((file) => `${load(join(SPEC, "integration", "core", file))}(configs);`);
  const contents = `${load("core/pusher")}; Object.assign(${load(integration)}, urls); ${tests.join(" ")}`;
  const folders = ["src", "src/runtimes", "src/runtimes/web", "spec/javascripts/helpers"];
  const constants = ["CDN_HTTP", "CDN_HTTPS", "DEPENDENCY_SUFFIX"].map((name) => [name, '""']);
  const { outputFiles } = await build({
    stdin: { contents, resolveDir: PACKAGE },
    bundle: true,
    write: false,
    logLevel: "silent",
    alias: { integration },
    nodePaths: folders.map((folder) => join(PACKAGE, folder)),
    define: { ...Object.fromEntries(constants), global: "window", VERSION: '"8.6.0"', RUNTIME: '"web"' },
    tsconfigRaw: { compilerOptions: { useDefineForClassFields: false } },
    plugins: [{ name: "as the package has it", setup: resolve }],
  });
  return outputFiles[0].text;
}

/** The tests ask `testenv` where they run, and of two files with the name of this class that with its type is meant. */
function resolve(build) {
  build.onResolve({ filter: /^testenv$/ }, ({ path }) => ({ path, namespace: "testenv" }));
  build.onLoad({ filter: /.*/, namespace: "testenv" }, () => ({ contents: 'module.exports = "web"' }));
  const path = join(PACKAGE, "src", "core", "pusher.ts");
  build.onResolve({ filter: /(^core|^\.|src\/core)\/pusher$/ }, () => ({ path }));
}

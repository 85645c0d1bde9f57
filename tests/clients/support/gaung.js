// Starts the server that was built as an operator would: settings in the environment, addresses read from what it
// prints, stopped by SIGTERM.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";

import { Heard, until, within } from "./deadline.js";

/** The app that the tests use. The Python package accepts numeric ids only. */
export const APP = { id: "424242", key: "app-key", secret: "app-secret" };

const REPOSITORY = join(import.meta.dirname, "..", "..", "..");
const START_PATIENCE = 30_000;
const STOP_PATIENCE = 30_000;

/** The app's credentials as settings; a server with an apps file must not have them. */
const APP_SETTINGS = { GAUNG_APP_ID: APP.id, GAUNG_APP_KEY: APP.key, GAUNG_APP_SECRET: APP.secret };

/** A server on free ports with the test app and these settings. */
export function startGaung(settings = {}) {
  return start({ ...APP_SETTINGS, ...settings });
}

/** A server whose apps stand in a file. */
export function startGaungWithApps(file, settings = {}) {
  return start({ GAUNG_APPS_FILE: file, ...settings });
}

/** A server with these variables, which name the app, and no others. */
export function startGaungWith(settings) {
  return start(settings);
}

/** A server without any app configured, as the first command of the README starts it. */
export function startDevelopmentGaung(settings = {}) {
  return start(settings);
}

/** A command of the same binary, as its user's terminal shows it: `{ lines, exit }`, the lines as they are printed. */
export function runGaung(...parameters) {
  const child = spawn(builtBinary(), parameters, { env: environment(), stdio: ["ignore", "pipe", "pipe"] });
  const lines = new Heard();
  for (const stream of [child.stdout, child.stderr]) {
    createInterface({ input: stream }).on("line", (line) => lines.note({ event: "line", line }));
  }
  const exit = new Promise((resolve) => child.once("close", resolve));
  return { lines, exit: within(exit, `gaung ${parameters.join(" ")} ends`) };
}

async function start(settings) {
  const gaung = new Gaung({ GAUNG_PORT: "0", GAUNG_ADMIN_PORT: "0", GAUNG_DRAIN_SECONDS: "1", ...settings });
  try {
    await within(gaung.listening, "the server prints its addresses", START_PATIENCE);
  } catch (failure) {
    gaung.kill();
    throw new Error(`${failure.message}\n${gaung.log}`);
  }
  return gaung;
}

class Gaung {
  /** Everything that the server has printed. */
  log = "";
  #child;
  #exit;

  constructor(settings) {
    const binary = builtBinary();
    this.prefix = settings.GAUNG_PATH_PREFIX ?? "";
    this.#child = spawn(binary, [], { env: environment(settings), stdio: ["ignore", "pipe", "pipe"] });
    this.#exit = new Promise((resolve) => this.#child.once("exit", (code, signal) => resolve({ code, signal })));
    this.#child.stderr.on("data", (text) => (this.log += text));
    this.listening = this.#readAddresses();
  }

  /** Host and port of the public listener. */
  get host() {
    return this.publicUrl.hostname;
  }

  get port() {
    return Number(this.publicUrl.port);
  }

  /** Where a WebSocket client connects: the path stands behind the prefix. */
  socketUrl(path) {
    return `ws://${this.publicUrl.host}${this.prefix}${path}`;
  }

  /** Tells the server to go and expects it to go in order. */
  async stop() {
    this.terminate();
    await this.hasStopped();
  }

  terminate() {
    this.#child.kill("SIGTERM");
  }

  kill() {
    this.#child.kill("SIGKILL");
  }

  /** The exit's code and signal. */
  async exit(patience = STOP_PATIENCE) {
    return within(this.#exit, "the server exits", patience).catch((overdue) => {
      this.kill();
      throw new Error(`${overdue.message}\n${this.log}`);
    });
  }

  async hasStopped() {
    const exit = await this.exit();
    assert.deepEqual(exit, { code: 0, signal: null }, this.log);
    assert.ok(!this.log.includes("panicked"), this.log);
  }

  get isRunning() {
    return this.#child.exitCode === null && this.#child.signalCode === null;
  }

  /** Whether the server wants new sockets, as a load balancer asks it. */
  async isReady() {
    return this.admin("/readyz").then(
      ({ ok }) => ok,
      () => false,
    );
  }

  async becomesReady() {
    await until(() => this.isReady(), "the server is ready", START_PATIENCE).catch((overdue) => {
      throw new Error(`${overdue.message}\n${this.log}`);
    });
  }

  /** A page of the admin listener. */
  async admin(path) {
    return fetch(new URL(path, this.adminUrl));
  }

  async #readAddresses() {
    const gone = this.#exit.then(({ code, signal }) => {
      throw new Error(`the server ended at its start: code ${code}, signal ${signal}`);
    });
    gone.catch(() => {});
    const printed = new Promise((resolve) => {
      createInterface({ input: this.#child.stdout }).on("line", (line) => {
        this.log += `${line}\n`;
        const [name, address] = line.trim().split(/\s+/);
        if (name === "public") this.publicUrl = new URL(address);
        if (name === "admin") this.adminUrl = new URL(address);
        if (this.publicUrl && this.adminUrl) resolve();
      });
    });
    await Promise.race([printed, gone]);
  }
}

/** Nothing of the machine's own settings reaches the server. */
function environment(settings = {}) {
  return { PATH: process.env.PATH, HOME: process.env.HOME, ...settings };
}

function builtBinary() {
  const target = process.env.CARGO_TARGET_DIR ?? join(REPOSITORY, "target");
  const binary = process.env.GAUNG_BIN ?? join(target, "release", "gaung");
  if (!existsSync(binary)) throw new Error(`no server at ${binary}: run "cargo build --release" or set GAUNG_BIN`);
  return binary;
}

// A real nats-server that a test may kill, bring back at the same port, pause and resume.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";

import { until, within } from "./deadline.js";

const START_PATIENCE = 30_000;

/** Below the ports that systems give to connections, so that a port is still free when its server comes back. */
const PORTS = { first: 20_000, count: 12_000 };
const ATTEMPTS = 10;

/** A nats-server on a free port of loopback; with a folder for its streams it has JetStream. */
export async function startNats({ streams } = {}) {
  for (let attempt = 1; ; attempt += 1) {
    const nats = new NatsServer(PORTS.first + Math.floor(Math.random() * PORTS.count), streams);
    try {
      await nats.start();
      return nats;
    } catch (failure) {
      if (attempt === ATTEMPTS || !nats.log.includes("address already in use")) throw failure;
    }
  }
}

class NatsServer {
  /** Everything that the server has printed, under all its lives. */
  log = "";
  #options;
  #child;
  #exit;

  constructor(port, streams) {
    this.#options = ["-a", "127.0.0.1", "-p", `${port}`, ...(streams ? ["-js", "-sd", streams] : [])];
    this.url = `nats://127.0.0.1:${port}`;
  }

  /** Starts the server, or starts it again after a kill; returns when it takes connections. */
  async start() {
    const seen = this.log.length;
    this.#child = spawn("nats-server", this.#options, { stdio: ["ignore", "ignore", "pipe"] });
    this.#child.stderr.on("data", (text) => (this.log += text));
    this.#exit = new Promise((resolve) => {
      this.#child.once("exit", (code, signal) => resolve({ code, signal }));
      this.#child.once("error", (error) => resolve({ error: error.message }));
    });
    const gone = this.#exit.then((how) => Promise.reject(new Error(`nats-server ended: ${JSON.stringify(how)}`)));
    gone.catch(() => {});
    const listens = until(() => this.log.includes("Server is ready", seen), "nats-server listens", START_PATIENCE);
    listens.catch(() => {});
    await Promise.race([listens, gone]).catch((failure) => {
      this.#child.kill("SIGKILL");
      throw new Error(`${failure.message}\n${this.log}`);
    });
  }

  /** SIGKILL: nothing is said to anybody. */
  async kill() {
    this.#child.kill("SIGKILL");
    await within(this.#exit, "nats-server ends");
  }

  /** SIGSTOP: its connections stay open and nothing moves. Its threads stop some moments after the signal. */
  async pause() {
    assert.ok(this.#child.kill("SIGSTOP"), "nats-server runs");
    const threads = `/proc/${this.#child.pid}/task`;
    const isStopped = (thread) => / T /.test(readFileSync(`${threads}/${thread}/stat`, "utf8"));
    await until(() => readdirSync(threads).every(isStopped), "nats-server stands still");
  }

  /** SIGCONT. */
  resume() {
    assert.ok(this.#child.kill("SIGCONT"), "nats-server runs");
  }
}

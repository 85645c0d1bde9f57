// The Laravel application in tests/clients/laravel, run by PHP.

import { spawn } from "node:child_process";
import { join } from "node:path";
import { createInterface } from "node:readline";

import { Heard, within } from "./deadline.js";
import { APP } from "./gaung.js";

const INDEX = join(import.meta.dirname, "..", "laravel", "index.php");
const START_PATIENCE = 20_000;

/** How long forty requests to PHP may take. */
export const LARAVEL_PATIENCE = 60_000;

export async function startLaravel() {
  const laravel = new Laravel();
  await within(laravel.listening, "PHP says where it listens", START_PATIENCE).catch((failure) => {
    laravel.stop();
    throw new Error(`${failure.message}\n${laravel.log}`);
  });
  return laravel;
}

class Laravel {
  /** What it was asked: `{ event: path }`. */
  requests = new Heard();
  log = "";
  #child;

  constructor() {
    const env = { PATH: process.env.PATH, REVERB_APP_ID: APP.id, REVERB_APP_KEY: APP.key, REVERB_APP_SECRET: APP.secret };
    const options = ["-d", "opcache.enable_cli=1", "-S", "127.0.0.1:0", INDEX];
    this.#child = spawn("php", options, { env, stdio: ["ignore", "ignore", "pipe"] });
    const failed = new Promise((_, reject) => {
      this.#child.once("error", () => reject(new Error("php is missing: install php-cli and php-laravel-framework")));
      this.#child.once("exit", (code) => reject(new Error(`PHP ended at its start, code ${code}`)));
    });
    this.listening = Promise.race([this.#read(), failed]);
    this.listening.catch(() => {});
  }

  /** As a user of the application, whose token is their id. */
  user(id) {
    return { id, token: id };
  }

  /** The paths that it was asked for. */
  asked() {
    return this.requests.names();
  }

  stop() {
    this.#child.kill("SIGTERM");
  }

  #read() {
    return new Promise((resolve) => {
      createInterface({ input: this.#child.stderr }).on("line", (line) => {
        this.log += `${line}\n`;
        const address = /Server \((http:\S+)\) started/.exec(line)?.[1];
        if (address) resolve((this.url = address));
        const path = /^asked \w+ (\S+)/.exec(line)?.[1];
        if (path) this.requests.note({ event: path });
      });
    });
  }
}

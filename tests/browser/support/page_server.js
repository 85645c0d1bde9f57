// The web server of an application: it serves the files of a page, and answers all else with JSON or a script.

import { readFile } from "node:fs/promises";
import { createServer } from "node:http";

/**
 * `files`: by path, where the file lies and its type. `route(path, request)` returns a status and a body, and `SCRIPT`
 * if that is not to be sent as JSON.
 */
export async function startPageServer(files, route) {
  const server = new PageServer(files, route);
  await server.listen();
  return server;
}

export const SCRIPT = "text/javascript";

class PageServer {
  #files;
  #route;
  // After 5 s, which is Node's own, a client could send its next request into a connection that is just being closed.
  #server = createServer({ keepAliveTimeout: 600_000 }, (request, response) => this.#answer(request, response));

  constructor(files, route) {
    this.#files = files;
    this.#route = route;
  }

  async listen() {
    await new Promise((resolve) => this.#server.listen(0, "127.0.0.1", resolve));
    this.url = `http://127.0.0.1:${this.#server.address().port}`;
  }

  stop() {
    this.#server.closeAllConnections();
    this.#server.close();
  }

  async #answer(request, response) {
    const { pathname } = new URL(request.url, this.url);
    const answer = (status, type, body) => response.writeHead(status, { "content-type": type }).end(body);
    const [file, type] = this.#files[pathname] ?? [];
    if (file) return answer(200, type, await readFile(file));
    const [status, body, script] = await this.#route(pathname, request);
    answer(status, script ?? "application/json", script ? body : JSON.stringify(body));
  }
}

/** What a form in the request says. */
export async function readForm(request) {
  const chunks = [];
  for await (const chunk of request) chunks.push(chunk);
  return new URLSearchParams(Buffer.concat(chunks).toString());
}

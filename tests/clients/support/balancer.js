// A load balancer as a client sees one: a fixed address, and behind it whichever node is ready. Each connection goes to
// the first such node of the list and is cut when the node cuts it, or when the test does.

import { connect, createServer } from "node:net";

export async function startBalancer(t, ...nodes) {
  const balancer = new Balancer(nodes);
  t.after(() => balancer.stop());
  await balancer.listen();
  return balancer;
}

/** What stands between a client and its server does to a socket of which it has the first bytes. */
export const BLOCKADES = {
  "refused with 400": (client) => refuse(client, "400 Bad Request"),
  "refused with 502": (client) => refuse(client, "502 Bad Gateway"),
  "never answered": (client) => client.resume(),
  // One that is cut there makes pusher-js 8.6 try sockets for good.
  "silent behind the handshake": (client, upstream, head) => {
    upstream.write(head);
    upstream.once("data", (answer) => client.write(answer.subarray(0, answer.indexOf("\r\n\r\n") + 4)));
    upstream.resume();
    client.resume();
  },
};

class Balancer {
  host = "127.0.0.1";
  /** How many bytes the next connections carry to their client before they are cut, one entry for each. */
  budgets = [];
  /** What becomes of WebSockets, one of `BLOCKADES`; without it they are let through. */
  blockade;
  #nodes;
  #sockets = new Set();
  #opening = Promise.resolve();
  #server = createServer((client) => this.#carry(client));

  constructor(nodes) {
    this.#nodes = nodes;
  }

  async listen() {
    await new Promise((resolve) => this.#server.listen(0, this.host, resolve));
    this.port = this.#server.address().port;
  }

  stop() {
    this.#server.close();
    this.cut();
  }

  /** Cuts all connections, whatever is under way on them. */
  cut() {
    for (const socket of this.#sockets) socket.destroy();
  }

  /** Nothing gets through, and nobody is told, until the function that this returns is called: as without a network. */
  stall() {
    const release = this.hold();
    const stalled = [...this.#sockets];
    for (const socket of stalled) socket.pause();
    return () => {
      for (const socket of stalled) socket.resume();
      release();
    };
  }

  /** New connections wait until the function that this returns is called. */
  hold() {
    let release;
    this.#opening = new Promise((resolve) => (release = resolve));
    return release;
  }

  async #carry(client) {
    this.#keep(client);
    await this.#opening;
    const node = await firstReady(this.#nodes);
    if (!node || client.destroyed) return client.destroy();
    const upstream = this.#keep(connect(node.port, node.host));
    client.on("close", () => upstream.destroy());
    upstream.on("close", () => client.destroy());
    if (this.blockade) return this.#carryHttp(client, upstream);
    client.pipe(upstream);
    const budget = this.budgets.shift();
    if (budget === undefined) return upstream.pipe(client);
    this.#carryAtMost(budget, upstream, client);
  }

  /** Browsers open a connection of its own for each socket. */
  #carryHttp(client, upstream) {
    client.once("data", (head) => {
      const isHttp = /^[A-Z]+ \//.test(head) && !/^upgrade:/im.test(head);
      if (!isHttp) return BLOCKADES[this.blockade](client, upstream, head);
      upstream.write(head);
      client.pipe(upstream);
      upstream.pipe(client);
    });
  }

  /** Cuts behind exactly so many bytes, in the middle of a frame or not. */
  #carryAtMost(budget, upstream, client) {
    upstream.on("data", (bytes) => {
      if (bytes.length < budget) client.write(bytes);
      else if (budget > 0) client.end(bytes.subarray(0, budget), () => client.destroy());
      budget -= bytes.length;
    });
  }

  #keep(socket) {
    this.#sockets.add(socket);
    return socket.on("error", () => {}).on("close", () => this.#sockets.delete(socket));
  }
}

function refuse(client, status) {
  client.end(`HTTP/1.1 ${status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n`);
}

async function firstReady(nodes) {
  for (const node of nodes) {
    if (await node.isReady()) return node;
  }
}

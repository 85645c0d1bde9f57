// A network with a long way, in which a WebSocket takes longest: nothing comes to it before its page has asked its server
// over HTTP too. It then comes before the answer to that.

import { connect, createServer } from "node:net";

/** How long whatever goes over HTTP is on one way, in milliseconds. */
const LATENCY = 300;

export async function startSlowNetwork(t, node) {
  const network = new SlowNetwork(node);
  t.after(() => network.stop());
  await network.listen();
  return network;
}

class SlowNetwork {
  host = "127.0.0.1";
  #node;
  #sockets = new Set();
  #askedOverHttp;
  #hasAsked = new Promise((resolve) => (this.#askedOverHttp = resolve));
  #server = createServer((client) => this.#carry(client));

  constructor(node) {
    this.#node = node;
  }

  async listen() {
    await new Promise((resolve) => this.#server.listen(0, this.host, resolve));
    this.port = this.#server.address().port;
  }

  stop() {
    this.#server.close();
    for (const socket of this.#sockets) socket.destroy();
  }

  #carry(client) {
    const upstream = connect(this.#node.port, this.#node.host);
    for (const socket of [client, upstream]) {
      this.#sockets.add(socket);
      socket.on("error", () => {}).on("close", () => this.#sockets.delete(socket));
    }
    client.once("data", (head) => {
      const isSocket = /^upgrade:/im.test(head);
      const forth = isSocket ? (pass) => pass() : late;
      const back = isSocket ? (pass) => this.#hasAsked.then(pass) : late;
      const take = (bytes) => forth(() => this.#pass(bytes, upstream));
      client.on("data", take).on("end", () => forth(() => upstream.end()));
      upstream.on("data", (bytes) => back(() => client.write(bytes))).on("end", () => back(() => client.end()));
      take(head);
    });
  }

  #pass(bytes, upstream) {
    upstream.write(bytes);
    if (/^POST \S+\/xhr/.test(bytes)) setTimeout(this.#askedOverHttp, LATENCY / 2);
  }
}

const late = (pass) => setTimeout(pass, LATENCY);

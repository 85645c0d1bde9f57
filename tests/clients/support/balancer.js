// A load balancer as a client sees one: a fixed address, and behind it whichever node is ready. Each connection goes to
// the first such node of the list and is cut when the node cuts it.

import { connect, createServer } from "node:net";

export async function startBalancer(t, ...nodes) {
  const sockets = new Set();
  const server = createServer(async (client) => {
    keep(client);
    const node = await firstReady(nodes);
    if (!node || client.destroyed) return client.destroy();
    const upstream = keep(connect(node.port, node.host));
    client.on("close", () => upstream.destroy());
    upstream.on("close", () => client.destroy());
    client.pipe(upstream).pipe(client);
  });
  const keep = (socket) => {
    sockets.add(socket);
    return socket.on("error", () => {}).on("close", () => sockets.delete(socket));
  };
  t.after(() => {
    server.close();
    for (const socket of sockets) socket.destroy();
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  return { host: "127.0.0.1", port: server.address().port };
}

async function firstReady(nodes) {
  for (const node of nodes) {
    if (await node.isReady()) return node;
  }
}

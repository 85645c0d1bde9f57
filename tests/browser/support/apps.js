// Two apps in a file, and their clients on Node: a back end and a subscriber, as applications have them.

import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

import Pusher from "pusher";
import PusherJs from "pusher-js";

import { Heard, until } from "../../clients/support/deadline.js";
import { startGaungWithApps } from "../../clients/support/gaung.js";

export const SHOP = {
  id: "shop",
  key: "shop-key",
  secret: "secret-of-the-shop",
  max_connections: 40,
  client_events: true,
  history: [{ channels: "kept-*", seconds: 60, events: 10 }],
};
export const BLOG = { id: "blog", key: "blog-key", secret: "secret-of-the-blog" };

/** A server with both apps; `stop` ends it and removes the file, `forget` only removes the file. */
export async function startWithApps(settings = {}) {
  const folder = await mkdtemp(join(tmpdir(), "gaung-console-"));
  const file = join(folder, "apps.json");
  await writeFile(file, JSON.stringify([SHOP, BLOG]));
  const gaung = await startGaungWithApps(file, settings);
  const forget = () => rm(folder, { recursive: true });
  const stop = async () => {
    await gaung.stop();
    await forget();
  };
  return { gaung, file, stop, forget };
}

export function backEnd({ host, port }, { id, key, secret }) {
  return new Pusher({ appId: id, key, secret, host, port: `${port}`, useTLS: false });
}

/** A connected pusher-js. It takes part in channels of its own accord only where `admit` signs for it. */
export async function connect(t, gaung, app) {
  const signer = backEnd(gaung, app);
  const admit = ({ socketId, channelName }, callback) => {
    const member = channelName.startsWith("presence-") ? { user_id: socketId } : undefined;
    callback(null, signer.authorizeChannel(socketId, channelName, member));
  };
  const pusher = new PusherJs(app.key, {
    cluster: "",
    wsHost: gaung.host,
    wsPort: gaung.port,
    forceTLS: false,
    enabledTransports: ["ws"],
    channelAuthorization: { customHandler: admit },
  });
  t.after(() => pusher.disconnect());
  await until(() => pusher.connection.state === "connected", "pusher-js is connected");
  return pusher;
}

/** What is heard on a channel from its beginning. */
export async function subscribe(pusher, name) {
  const heard = new Heard();
  pusher.subscribe(name).bind_global((event, data) => heard.note({ event, data }));
  await heard.event("pusher:subscription_succeeded");
  return heard;
}

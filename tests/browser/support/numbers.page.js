// A page that names itself by a resume id, unless it is `?unnamed`, and notes the numbers that it hears on channels of
// all kinds. With `?plugin` it has gaung-history.js; with `?transports=` it connects over those, and does by itself
// what is to be done where it comes back out of the browser's cache.

import Echo from "/echo.js";
import { rememberAuthorizations } from "/gaung-authorizer.js";
import { withHistory } from "/gaung-history.js";

const parameters = new URLSearchParams(location.search);
if (parameters.has("plugin")) withHistory(Pusher);
const port = parameters.get("port");
const transports = parameters.get("transports");
const echo = new Echo({
  broadcaster: "reverb",
  key: parameters.get("key") + (parameters.has("unnamed") ? "" : `/${crypto.randomUUID()}`),
  wsHost: "127.0.0.1",
  wsPort: port,
  wssPort: port,
  httpHost: "127.0.0.1",
  httpPort: port,
  forceTLS: false,
  enabledTransports: transports?.split(",") ?? ["ws", "wss"],
});
const { pusher } = echo.connector;
rememberAuthorizations(pusher);
if (transports) addEventListener("pageshow", ({ persisted }) => persisted && (pusher.disconnect(), pusher.connect()));

window.state = () => echo.connectionStatus();
window.transport = () => pusher.connection.connection?.transport.name;
window.socketIds = [];
pusher.connection.bind("connected", ({ socket_id }) => socketIds.push(socket_id));
window.restored = 0;
window.frozen = 0;
document.addEventListener("freeze", () => (frozen += 1));
addEventListener("pageshow", ({ persisted }) => (restored += Number(persisted)));

window.heard = {};
const channels = {
  numbers: echo.channel("numbers"),
  "private-numbers": echo.private("numbers"),
  "presence-numbers": echo.join("numbers"),
  "private-encrypted-numbers": echo.encryptedPrivate("numbers"),
};
for (const [name, channel] of Object.entries(channels)) {
  const channelHeard = { subscribed: 0, numbers: [], resumed: [] };
  heard[name] = channelHeard;
  channel
    .subscribed(() => (channelHeard.subscribed += 1))
    .listen(".numbered", ({ n }) => channelHeard.numbers.push(n))
    .listen(".pusher:resumed", (how) => channelHeard.resumed.push(how));
}

window.whispers = [];
window.whisper = (text) => channels["presence-numbers"].whisper("said", { text });
channels["presence-numbers"].listenForWhisper("said", ({ text }) => whispers.push(text));

/** Subscribes and unsubscribes so often, and ends with what is said last. */
window.flip = (channel, times, last) => {
  const first = last === "subscribe" ? "unsubscribe" : "subscribe";
  for (let n = 0; n < times; n += 1) for (const say of [first, last]) pusher.send_event(`pusher:${say}`, { channel });
};

window.letters = [];
window.signIn = () => pusher.signin();
pusher.user.bind("letter", ({ text }) => letters.push(text));

// A page that names itself by a resume id, and notes the numbers that it hears on channels of all kinds. With `?plugin` it
// has gaung-history.js.

import Echo from "/echo.js";
import { rememberAuthorizations } from "/gaung-authorizer.js";
import { withHistory } from "/gaung-history.js";

const parameters = new URLSearchParams(location.search);
if (parameters.has("plugin")) withHistory(Pusher);
const port = parameters.get("port");
const echo = new Echo({
  broadcaster: "reverb",
  key: `${parameters.get("key")}/${crypto.randomUUID()}`,
  wsHost: "127.0.0.1",
  wsPort: port,
  wssPort: port,
  forceTLS: false,
  enabledTransports: ["ws", "wss"],
});
rememberAuthorizations(echo.connector.pusher);

window.state = () => echo.connectionStatus();
window.socketIds = [];
echo.connector.pusher.connection.bind("connected", ({ socket_id }) => socketIds.push(socket_id));
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

// The client libraries, configured as their documentation and Laravel's say, and pointed at a server under test.

import Echo from "laravel-echo";
import Pusher from "pusher";
import PusherJs from "pusher-js";
import { WebSocket } from "ws";

import { MASTER_KEY } from "./application.js";
import { Heard, PATIENCE, until, within } from "./deadline.js";
import { APP } from "./gaung.js";

/** What pusher-js and Echo connect over: WebSocket, or what GAUNG_TRANSPORT names. */
const TRANSPORTS = process.env.GAUNG_TRANSPORT?.split(",") ?? ["ws", "wss"];

/** How long it takes until a client is missed that has disconnected, between two polls or not, in milliseconds. */
export const LEAVING_PATIENCE = TRANSPORTS.includes("xhr_polling") ? 30_000 : PATIENCE;

/** The state of a request (of an XMLHttpRequest) to which nothing came yet. */
const HEADERS_RECEIVED = 2;

/** The `pusher` package of npm: a back end's side. */
export function backEnd(gaung, options = {}) {
  return new Pusher({
    appId: APP.id,
    key: APP.key,
    secret: APP.secret,
    host: gaung.host,
    port: gaung.port,
    useTLS: false,
    encryptionMasterKeyBase64: MASTER_KEY,
    ...options,
  });
}

/** A connected pusher-js, as `user` of `application` where one is given. */
export async function connectPusher(t, gaung, options = {}) {
  const pusher = openPusher(t, gaung, options);
  await hasState(pusher, "connected");
  return pusher;
}

/** A pusher-js that has begun to connect. */
export function openPusher(t, gaung, { key = APP.key, application, user, ...options } = {}) {
  const pusher = new PusherJs(key, { ...address(gaung), cluster: "", ...authorization(application, user), ...options });
  t.after(() => pusher.disconnect());
  return pusher;
}

/** The client disconnects, while the server would notice. */
export async function leave(pusher) {
  await isListening(pusher);
  pusher.disconnect();
}

/** Until a client that polls has a poll open: one that goes between two is missed only when its next is overdue. */
export async function isListening(pusher) {
  const { name, socket } = pusher.connection.connection.transport;
  if (name !== "xhr_polling") return;
  await until(() => socket.stream?.xhr?.readyState === HEADERS_RECEIVED, "a poll is open");
}

/** Laravel Echo with the options of Laravel's own `echo.js`. */
export function openEcho(t, gaung, { application, user, ...options } = {}) {
  const echo = new Echo({
    broadcaster: "reverb",
    key: APP.key,
    Pusher: PusherJs,
    ...address(gaung),
    wssPort: gaung.port,
    authEndpoint: `${application?.url}/broadcasting/auth`,
    // Echo writes the bearer token into these objects, which all its instances share unless they are given.
    auth: { headers: {} },
    userAuthentication: { endpoint: `${application?.url}/broadcasting/user-auth`, headers: {} },
    bearerToken: user?.token,
    ...options,
  });
  t.after(() => echo.disconnect());
  return echo;
}

/** Echo of a user as one of their tabs, and what its callbacks were given. */
export function openTab(t, gaung, application, { id = "42", name = "Ada", ...options } = {}) {
  const user = application.user({ id, info: { id, name } });
  const echo = openEcho(t, gaung, { application, user, ...options });
  const heard = new Heard();
  const note = (event) => (data) => heard.note({ event, data });
  return { echo, heard, note };
}

/** The tab enters a presence channel, and notes who is here, joins and leaves, and markers. */
export function enterRoom({ echo, note }, room) {
  return echo
    .join(room)
    .here(note("here"))
    .joining(note("joining"))
    .leaving(note("leaving"))
    .listen(".marker", note("marker"));
}

/** A WebSocket without any library on top: its frames are heard by `event`, or by `type` on a tenant socket. */
export async function openSocket(t, url, protocols = [], options = {}) {
  const socket = new WebSocket(url, protocols, options);
  const heard = new Heard();
  socket.on("message", (text) => heard.note(frame(String(text))));
  const closed = new Promise((resolve) =>
    socket.once("close", (code, reason) => resolve({ code, reason: String(reason) })),
  );
  t.after(() => socket.terminate());
  await within(
    new Promise((resolve, reject) => socket.once("open", resolve).once("error", reject)),
    "the socket opens",
  );
  return { socket, heard, closed, send: (message) => socket.send(JSON.stringify(message)) };
}

/** The events of a channel of pusher-js, the library's own included. */
export function hear(channel) {
  const heard = new Heard();
  channel.bind_global((event, data) => heard.note({ event, data }));
  return heard;
}

/** The messages that pusher-js receives, decoded by it. */
export function hearMessages(pusher) {
  const heard = new Heard();
  pusher.connection.bind("message", (message) => heard.note(message));
  return heard;
}

/** The problems that pusher-js reports: `{ event: code, message, error }`, once for each time that it does. */
export function hearErrors(pusher) {
  const heard = new Heard();
  pusher.connection.bind("error", (error) => {
    const { code, message } = (error.error ?? error).data ?? {};
    heard.note({ event: code, message, error });
  });
  return heard;
}

/** A subscribed channel of pusher-js and what has been heard on it from the beginning. */
export async function subscribe(pusher, name) {
  const channel = pusher.subscribe(name);
  const heard = hear(channel);
  await heard.event("pusher:subscription_succeeded");
  return { channel, heard };
}

export async function hasState(pusher, state, patience) {
  await until(() => pusher.connection.state === state, `pusher-js is ${state}`, patience);
}

/** Until pusher-js has the server's answer to its sign-in. */
export async function signIn(pusher) {
  pusher.signin();
  await until(() => pusher.user.user_data, "pusher-js is signed in");
  await until(() => pusher.user.serverToUserChannel?.subscribed, "pusher-js hears what is sent to its user");
}

/** Number of sockets that subscribe to the channel, as the API tells it. */
export async function subscriberCount(backEnd, channel) {
  const response = await backEnd.get({ path: `/channels/${channel}`, params: { info: "subscription_count" } });
  return (await response.json()).subscription_count;
}

/** Ids of a presence channel's members, as the API tells them. */
export async function memberIds(backEnd, channel) {
  const response = await backEnd.get({ path: `/channels/${channel}/users` });
  return (await response.json()).users.map(({ id }) => id).sort();
}

function address(gaung) {
  return {
    wsHost: gaung.host,
    wsPort: gaung.port,
    wsPath: gaung.prefix,
    httpHost: gaung.host,
    httpPort: gaung.port,
    // Without a prefix pusher-js puts `/pusher` before its paths.
    httpPath: gaung.prefix,
    forceTLS: false,
    enabledTransports: TRANSPORTS,
  };
}

function authorization(application, user) {
  if (!application) return {};
  const headers = user ? { Authorization: `Bearer ${user.token}` } : {};
  return {
    channelAuthorization: { transport: "ajax", endpoint: `${application.url}/broadcasting/auth`, headers },
    userAuthentication: { transport: "ajax", endpoint: `${application.url}/broadcasting/user-auth`, headers },
  };
}

function frame(text) {
  const message = JSON.parse(text);
  return { ...message, event: message.event ?? message.type, text };
}

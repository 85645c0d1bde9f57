// What pusher-js does on the wire, without the library, so that thousands of pages fit into one process: the URL with the
// page's id, a subscription to each channel, a pong at once, back at once after 4200 and otherwise after a second, never after
// 4000 to 4099. What the application signed is remembered for as long as the socket id stays.

import { WebSocket } from "ws";

import { APP } from "../gaung.js";

/** How long pusher-js waits after a socket that was lost, in milliseconds. */
const PAUSE = 1_000;

/** `authorize(socketId, channel)` is asked for channels that need a signature. Returns what ends it. */
export function openLight({ host, port }, page, authorize) {
  const light = new Light(`ws://${host}:${port}/app/${APP.key}/${page.name}?protocol=7&client=js&version=8.4.0`, page, authorize);
  light.connect();
  return () => light.stop();
}

class Light {
  #url;
  #page;
  #authorize;
  #isOn = true;
  #socket;
  #signed = { socketId: undefined, answers: new Map() };

  constructor(url, page, authorize) {
    this.#url = url;
    this.#page = page;
    this.#authorize = authorize;
  }

  connect() {
    const socket = new WebSocket(this.#url, { perMessageDeflate: false });
    this.#socket = socket;
    socket.on("error", () => {});
    socket.on("message", (text) => this.#receive(socket, JSON.parse(text)));
    socket.on("close", (code) => this.#comeBack(code));
  }

  stop() {
    this.#isOn = false;
    this.#socket.terminate();
  }

  #comeBack(code) {
    if (!this.#isOn || (code >= 4000 && code < 4100)) return;
    setTimeout(() => this.#isOn && this.connect(), code >= 4200 && code < 4300 ? 0 : PAUSE);
  }

  #receive(socket, { event, channel, data }) {
    const page = this.#page;
    const words = typeof data === "string" && data ? JSON.parse(data) : data;
    if (event === "pusher:ping") return send(socket, { event: "pusher:pong", data: {} });
    if (event === "pusher:connection_established") return this.#subscribe(socket, words.socket_id);
    if (event === "pusher_internal:subscription_succeeded") {
      if (words?.presence) page.sees(channel, words.presence.ids);
      page.isSubscribed(channel);
    }
    if (event === "pusher_internal:member_added") page.noteMember(channel, "added", words.user_id);
    if (event === "pusher_internal:member_removed") page.noteMember(channel, "removed", words.user_id);
    if (event === "numbered") page.note(channel, { n: words.n });
    if (event === "pusher:resumed" && !words.complete) page.note(channel, { missed: true });
  }

  #subscribe(socket, socketId) {
    this.#page.sockets.push({ at: performance.now(), socketId });
    if (socketId !== this.#signed.socketId) this.#signed = { socketId, answers: new Map() };
    for (const channel of this.#page.channels) this.#subscribeTo(socket, channel);
  }

  async #subscribeTo(socket, channel) {
    const needsNone = !/^(private|presence)-/.test(channel);
    send(socket, { event: "pusher:subscribe", data: { channel, ...(needsNone ? {} : await this.#signature(channel)) } });
  }

  /** The application's answer, asked for once by socket id and channel. */
  async #signature(channel) {
    const { socketId, answers } = this.#signed;
    if (!answers.has(channel)) answers.set(channel, this.#authorize(socketId, channel));
    return answers.get(channel);
  }
}

function send(socket, message) {
  if (socket.readyState === WebSocket.OPEN) socket.send(JSON.stringify(message));
}

// The way to the node: asks whether this browser may, opens the socket, opens it again, and pairs answers with
// questions. It knows nothing of what is shown.

const FIRST_PAUSE = 500;
const LONGEST_PAUSE = 5_000;

/** A socket that brings nothing for so long is dead: there is a snapshot each second. */
const LONGEST_SILENCE = 6_000;

/** Relative to this file, so that the console also works behind a proxy that serves it below a path. */
const at = (path) => new URL(path, import.meta.url);

export class Live {
  #on;
  #socket = null;
  #pause = FIRST_PAUSE;
  #timer;
  #silence;
  #lastQuery = 0;
  #asked = new Map();

  /** `on` has a function for each type of message, and `opened`, `lost`, `denied(answer)`. */
  constructor(on) {
    this.#on = on;
  }

  async connect() {
    clearTimeout(this.#timer);
    let denied;
    try {
      denied = await denial();
    } catch {
      return this.#retry();
    }
    if (!denied) return this.#open();
    this.#on.denied(denied);
    // Without a form to fill in, only the operator can change it.
    if (!denied.login) this.#retry();
  }

  get isOpen() {
    return this.#socket?.readyState === WebSocket.OPEN;
  }

  /** What is said while the socket is away is not said later. */
  send(message) {
    if (this.isOpen) this.#socket.send(JSON.stringify(message));
  }

  /** The answer to a question, or an error whose message is for the reader. */
  ask(message) {
    if (!this.isOpen) return Promise.reject(new Error("The node cannot be reached."));
    const query = ++this.#lastQuery;
    this.send({ ...message, query });
    return new Promise((resolve, reject) => this.#asked.set(query, { resolve, reject }));
  }

  #open() {
    const url = at("live");
    url.protocol = url.protocol.replace("http", "ws");
    const socket = new WebSocket(url);
    this.#socket = socket;
    socket.onopen = () => this.#on.opened();
    socket.onmessage = ({ data }) => {
      this.#pause = FIRST_PAUSE;
      this.#listen();
      this.#receive(JSON.parse(data));
    };
    socket.onclose = () => this.#lose(socket);
    this.#listen();
  }

  #listen() {
    clearTimeout(this.#silence);
    const socket = this.#socket;
    this.#silence = setTimeout(() => {
      socket.close();
      // A close is not answered either by a node that is gone.
      this.#lose(socket);
    }, LONGEST_SILENCE);
  }

  #receive(message) {
    const asked = this.#asked.get(message.query);
    if (!asked) return this.#on[message.type]?.(message);
    this.#asked.delete(message.query);
    if (message.type === "failed") asked.reject(new Error(message.message));
    else asked.resolve(message);
  }

  #lose(socket) {
    if (this.#socket !== socket) return;
    this.#socket = null;
    clearTimeout(this.#silence);
    for (const { reject } of this.#asked.values()) reject(new Error("The connection to the node was lost."));
    this.#asked.clear();
    this.#on.lost();
    this.#retry();
  }

  #retry() {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.connect(), this.#pause);
    this.#pause = Math.min(2 * this.#pause, LONGEST_PAUSE);
  }
}

/** Nothing if this browser may open the socket, else the node's answer: `{ error, login }`. */
async function denial() {
  const answer = await fetch(at("access"), { cache: "no-store" });
  if (answer.ok) return null;
  if (answer.status !== 401 && answer.status !== 403) throw new Error(`status ${answer.status}`);
  return answer.json();
}

/** Nothing if the token was right, else the sentence that says why not. */
export async function signIn(token) {
  const body = JSON.stringify({ token });
  const headers = { "content-type": "application/json" };
  try {
    const answer = await fetch(at("session"), { method: "POST", headers, body });
    return answer.ok ? null : (await answer.json()).error;
  } catch {
    return "The node cannot be reached.";
  }
}

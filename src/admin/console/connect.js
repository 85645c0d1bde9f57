// What an application needs to connect: Laravel's variables and Echo's options, for one app and without its secret.

import { byId, drawPairs, figure, setText } from "./elements.js";

const SECRET = "<the app's secret>";

/** Stands for the key of an app that has none. */
const NO_KEY = "<the app's key>";

/** What is told of an app and stands in the snippets. */
const IN_THE_SNIPPETS = ["id", "key"];

export class Connect {
  #hello = null;

  constructor() {
    byId("connect-app").addEventListener("change", () => this.show());
    byId("connect-form").addEventListener("submit", (event) => event.preventDefault());
    for (const copies of document.querySelectorAll("[data-copies]")) {
      copies.addEventListener("click", () => copy(byId(copies.dataset.copies)));
    }
  }

  hello(hello) {
    this.#hello = hello;
    this.show();
  }

  show() {
    const app = this.#hello?.apps.find(({ id }) => id === byId("connect-app").value);
    if (!app) return;
    const key = app.key ?? NO_KEY;
    setText(byId("env"), env({ ...app, key }, this.#hello.public));
    setText(byId("echo"), echo(key, this.#hello.public));
    drawPairs(byId("connect-limits"), properties(app));
  }
}

/** The public listener is on the host of the admin listener, for all that this page can know. */
const host = () => location.hostname;

function env({ id, key }, { port, tls }) {
  return `BROADCAST_CONNECTION=reverb
REVERB_APP_ID=${id}
REVERB_APP_KEY=${key}
REVERB_APP_SECRET="${SECRET}"
REVERB_HOST=${host()}
REVERB_PORT=${port}
REVERB_SCHEME=${tls ? "https" : "http"}

VITE_REVERB_APP_KEY="\${REVERB_APP_KEY}"
VITE_REVERB_HOST="\${REVERB_HOST}"
VITE_REVERB_PORT="\${REVERB_PORT}"
VITE_REVERB_SCHEME="\${REVERB_SCHEME}"
`;
}

function echo(key, { port, tls, path_prefix: prefix }) {
  const path = prefix ? `\n  wsPath: ${quoted(prefix)},` : "";
  return `import Echo from 'laravel-echo';
import Pusher from 'pusher-js';

window.Echo = new Echo({
  broadcaster: 'reverb',
  Pusher,
  key: ${quoted(key)},
  wsHost: ${quoted(host())},
  wsPort: ${port},
  wssPort: ${port},${path}
  forceTLS: ${Boolean(tls)},
  enabledTransports: ['ws', 'wss'],
});

window.Echo.channel('test')
  .listen('.console.test', (event) => console.log(event));
`;
}

const quoted = (text) => `'${text.replaceAll("\\", "\\\\").replaceAll("'", "\\'")}'`;

function properties(app) {
  const settings = Object.entries(app).filter(([name]) => !IN_THE_SNIPPETS.includes(name));
  return settings.map(([name, value]) => [title(name), word(value)]);
}

const title = (name) => name[0].toUpperCase() + name.slice(1).replaceAll("_", " ");

function word(value) {
  if (value === null) return "no limit";
  if (typeof value === "boolean") return value ? "yes" : "no";
  return typeof value === "number" ? figure(value, 1) : String(value);
}

/** Browsers give the clipboard only to pages from this machine or over TLS; elsewhere the text is selected to be copied. */
async function copy(source) {
  getSelection().selectAllChildren(source);
  try {
    await navigator.clipboard.writeText(source.textContent);
    byId("copied").textContent = "Copied.";
  } catch {
    byId("copied").textContent = document.execCommand("copy") ? "Copied." : "Selected: copy it with the keyboard.";
  }
}

// The shop's page: what it hears from its tenant's channels stands in its lists. `?spy=TENANT` also asks for the
// products of another.

import Echo from "/echo.js";

const settings = await (await fetch("/settings")).json();
const echo = new Echo({
  broadcaster: "reverb",
  key: settings.key,
  wsHost: settings.host,
  wsPort: settings.port,
  wssPort: settings.port,
  forceTLS: false,
  enabledTransports: ["ws", "wss"],
});

const list = (id) => document.getElementById(id);
const show = (id, texts) => list(id).replaceChildren(...texts.map(line));
const add = (id, text) => list(id).append(line(text));

function line(text) {
  return Object.assign(document.createElement("li"), { textContent: text });
}

echo.connector.onConnectionChange((status) => (list("status").textContent = status));

const entered = new Set();
function enter(channel) {
  entered.add(channel);
  document.body.dataset.entered = [...entered].join(" ");
}

function hearProducts(tenant) {
  echo
    .private(`products.${tenant}`)
    .subscribed(() => enter("products"))
    .listen("ProductSaved", ({ name }) => add("products", name))
    .error(({ status }) => add("denied", `products of ${tenant}: ${status}`));
}

let staff = [];
function atWork(now) {
  staff = now;
  show("staff", staff.map(({ name }) => name).sort());
}

hearProducts(settings.tenant);
echo
  .join(`staff.${settings.tenant}`)
  .here((all) => {
    atWork(all);
    enter("staff");
  })
  .joining((one) => atWork([...staff, one]))
  .leaving((one) => atWork(staff.filter(({ name }) => name !== one.name)));
echo
  .channel("announcements")
  .subscribed(() => enter("announcements"))
  .listen(".said", ({ text }) => add("announcements", text));

const spied = new URLSearchParams(location.search).get("spy");
if (spied) hearProducts(spied);

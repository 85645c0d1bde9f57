// Runs the tests of pusher-js in this page, over one transport: how each ended is in `ended`; `isOver` when all have.

const parameters = new URLSearchParams(location.search);
const kind = parameters.has("tls") ? "tls" : "plain";
window.configs = [{ transport: parameters.get("transport"), forceTLS: kind === "tls" }];
window.urls = { API_URL: `${location.origin}/${kind}/0`, API_EU_URL: `${location.origin}/${kind}/1` };

const core = jasmineRequire.core(jasmineRequire);
const env = core.getEnv();
Object.assign(window, jasmineRequire.interface(core, env));
// As the package has it: the tests build on each other.
env.configure({ random: false });

window.ended = [];
window.isOver = false;
env.addReporter({
  specDone: ({ fullName, status, failedExpectations }) =>
    ended.push({ name: fullName, status, failures: failedExpectations.map(({ message }) => message) }),
  jasmineDone: () => (isOver = true),
});

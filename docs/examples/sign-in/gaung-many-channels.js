// For pusher-js and Laravel Echo: channels that the page subscribes to at once are asked for in one request, which
// many-channels.php answers (docs/sign-in.md). Call it with the instance, before its first private channel: a
// `new Pusher`, or `echo.connector.pusher`. `headers` has what the application wants beside cookies.

const MAX_CHANNELS = 100; // Of one request; many-channels.php refuses more.

export function authorizeTogether(pusher, { endpoint = '/broadcasting/auth-many', headers = {} } = {}) {
  let waiting = [];

  pusher.config.channelAuthorizer = ({ socketId, channelName }, callback) => {
    if (waiting.push({ socketId, channelName, callback }) === 1) setTimeout(askAll);
  };

  function askAll() {
    // A socket that is gone wants no answer: its channels are asked for again for the next one.
    const questions = waiting.filter(({ socketId }) => socketId === pusher.connection.socket_id);
    waiting = [];
    while (questions.length) ask(questions.splice(0, MAX_CHANNELS));
  }

  async function ask(questions) {
    const answers = await post(questions).catch((error) => error);
    for (const { channelName, callback } of questions) {
      const answer = answers[channelName];
      if (answer) callback(null, answer);
      else callback(answers instanceof Error ? answers : new Error(`${channelName} was refused`), null);
    }
  }

  async function post(questions) {
    const [{ socketId }] = questions;
    const names = questions.map(({ channelName }) => channelName);
    const response = await fetch(endpoint, {
      method: 'POST',
      headers: { 'Content-Type': 'application/json', Accept: 'application/json', ...headers },
      body: JSON.stringify({ socket_id: socketId, channel_names: names }),
    });
    if (!response.ok) throw new Error(`${endpoint} answered ${response.status}`);
    return response.json();
  }
}

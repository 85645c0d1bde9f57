// A plain socket that subscribes to channels and reconnects. It pings every 30 s, and makes at most ten attempts to
// reconnect, each after a longer pause; a close code that rules out a retry ends it. `token`, if sockets need one, is a
// function that fetches it: for each socket, and before the socket's last one ends. Of channels with a history it gets
// what it missed meanwhile; of a channel that may have missed something it calls `onMissed`.

const PING_MS = 30_000;
const MAX_PAUSE_MS = 30_000;
const MAX_ATTEMPTS = 10;
const MAX_ORIGINS = 64;
const TOKEN_ENDED = 4015;

function tenantSocket(url, channels, { onEvent, onStatus = () => {}, onMissed = () => {}, token }) {
  let attempts = 0;
  const positions = tenantPositions();
  const retry = () => {
    if (attempts === MAX_ATTEMPTS) return;
    const pause = Math.min(1000 * 2 ** attempts++, MAX_PAUSE_MS) * (0.5 + Math.random() / 2);
    setTimeout(connect, pause);
  };
  const connect = async () => {
    let protocols = [];
    try {
      if (token) protocols = ['bearer', await token()];
    } catch (error) {
      onStatus(`no token: ${error.message}`);
      return retry();
    }
    const socket = new WebSocket(url, protocols);
    const send = (message) => socket.send(JSON.stringify(message));
    let pings;
    socket.onopen = () => {
      pings = setInterval(() => send({ type: 'ping' }), PING_MS);
      channels.forEach((channel) => send({ type: 'subscribe', channel, since: positions.since(channel) }));
    };
    socket.onmessage = ({ data }) => {
      const message = JSON.parse(data);
      if (message.type === 'subscribed') {
        attempts = 0;
        const missed = positions.has(message.channel) && !message.recovered;
        if (!message.recovered) positions.forget(message.channel);
        if (missed) onMissed(message.channel);
        onStatus(`subscribed to ${message.channel}`);
      }
      if (message.id) positions.note(message);
      // Events alone have data.
      if (message.data) onEvent(message);
      if (message.type === 'ping') send({ type: 'pong' }); // The receipt of a socket with &resume=.
      if (message.type === 'token_expires') renew(send);
      if (message.type === 'error') console.warn(message.code, message.message);
    };
    socket.onclose = ({ code }) => {
      clearInterval(pings);
      onStatus(`closed with ${code}`);
      const isFinal = code === 1000 || (code >= 4000 && code < 4100);
      if (!isFinal || (token && code === TOKEN_ENDED)) retry();
    };
  };
  // Where it fails the socket is closed in time, and the next one asks again.
  const renew = async (send) => {
    try {
      if (token) send({ type: 'token', token: await token() });
    } catch (error) {
      onStatus(`no token: ${error.message}`);
    }
  };
  connect();
}

// How far each channel was heard: the number of the last event of each origin.
function tenantPositions() {
  const positions = new Map();
  return {
    has: (channel) => positions.has(channel),
    forget: (channel) => positions.set(channel, new Map()),
    note({ channel, id }) {
      const position = positions.get(channel);
      for (const [origin, number] of id.split(',').map((part) => part.split('-'))) {
        const last = position.get(origin) ?? 0;
        position.delete(origin); // What was heard last stands at the end.
        position.set(origin, Math.max(last, number));
      }
    },
    // Without a position it is absent from the message.
    since(channel) {
      const parts = [...(positions.get(channel) ?? [])].slice(-MAX_ORIGINS).map((part) => part.join('-'));
      return parts.length ? parts.join() : undefined;
    },
  };
}

// A plain socket that subscribes to channels and reconnects. It pings every 30 s, and makes at most ten attempts to
// reconnect, each after a longer pause; a close code that rules out a retry ends it.

const PING_MS = 30_000;
const MAX_PAUSE_MS = 30_000;
const MAX_ATTEMPTS = 10;

function tenantSocket(url, channels, { onEvent, onStatus = () => {} }) {
  let attempts = 0;
  const connect = () => {
    const socket = new WebSocket(url);
    const send = (message) => socket.send(JSON.stringify(message));
    let pings;
    socket.onopen = () => {
      pings = setInterval(() => send({ type: 'ping' }), PING_MS);
      channels.forEach((channel) => send({ type: 'subscribe', channel }));
    };
    socket.onmessage = ({ data }) => {
      const message = JSON.parse(data);
      if (message.type === 'subscribed') {
        attempts = 0;
        onStatus(`subscribed to ${message.channel}`);
      }
      // Events alone have data.
      if (message.data) onEvent(message);
      if (message.type === 'error') console.warn(message.code, message.message);
    };
    socket.onclose = ({ code }) => {
      clearInterval(pings);
      onStatus(`closed with ${code}`);
      const isFinal = code === 1000 || (code >= 4000 && code < 4100);
      if (isFinal || attempts === MAX_ATTEMPTS) return;
      const pause = Math.min(1000 * 2 ** attempts++, MAX_PAUSE_MS) * (0.5 + Math.random() / 2);
      setTimeout(connect, pause);
    };
  };
  connect();
}

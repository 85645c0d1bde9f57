// A plugin of pusher-js, and so of Laravel Echo: after a reconnect the server is told how far each channel was heard,
// and sends what was missed. Call it with the class that the page uses, before its first `new Pusher` or `new Echo`.

const MAX_ORIGINS = 64;
const prepared = new WeakSet();

export function withHistory(Pusher) {
  if (prepared.has(Pusher.Runtime)) return;
  prepared.add(Pusher.Runtime);
  const { createWebSocket, HTTPFactory } = Pusher.Runtime;
  const { createSocket } = HTTPFactory;
  const { send_event: sendEvent } = Pusher.prototype;
  // The number of the last event of each origin, by channel. A channel that is left and subscribed again is a new object.
  const positions = new WeakMap();

  const note = (socketId, { id, event, channel: name, data }) => {
    const isOpen = ({ connection }) => connection.state === 'connected' && connection.socket_id === socketId;
    const channel = Pusher.instances.find(isOpen)?.channel(name);
    if (!channel) return;
    const isIncomplete = event === 'pusher:resumed' && !JSON.parse(data).complete;
    const beginsAnew = isIncomplete || event === 'pusher_internal:subscription_succeeded';
    const position = (!beginsAnew && positions.get(channel)) || new Map();
    for (const [origin, number] of id.split(',').map((part) => part.split('-'))) {
      const last = position.get(origin) ?? 0;
      position.delete(origin); // What was heard last stands at the end.
      position.set(origin, Math.max(last, number));
    }
    positions.set(channel, position);
  };

  const listen = (socket) => {
    let socketId, handle;
    const hear = (message) => {
      socketId ??= /socket_id\W+([\d.]+)/.exec(message.data)?.[1];
      if (`${message.data}`.startsWith('{"id":')) note(socketId, JSON.parse(message.data));
      handle?.(message);
    };
    // pusher-js sets its function here, and calls it itself where it has no WebSocket. It is called after the id was noted:
    // it may leave the channel, or throw.
    const get = () => (socket.addEventListener ? undefined : handle && hear);
    Object.defineProperty(socket, 'onmessage', { get, set: (next) => (handle = next) });
    socket.addEventListener?.('message', hear);
    return socket;
  };

  Pusher.Runtime.createWebSocket = function (url) {
    return listen(createWebSocket.call(this, url));
  };
  HTTPFactory.createSocket = function (hooks, url) {
    return listen(createSocket.call(this, hooks, url));
  };

  Pusher.prototype.send_event = function (event, data, channel) {
    const position = event === 'pusher:subscribe' && positions.get(this.channel(data.channel));
    if (!position) return sendEvent.call(this, event, data, channel);
    const since = [...position].slice(-MAX_ORIGINS).map((part) => part.join('-')).join();
    return sendEvent.call(this, event, { ...data, since }, channel);
  };

  // A page that comes back out of the browser's cache has a socket whose events were thrown away.
  globalThis.addEventListener?.('pageshow', ({ persisted }) => {
    for (const pusher of persisted ? Pusher.instances : []) {
      if (pusher.connection.state === 'disconnected') continue;
      pusher.disconnect();
      pusher.connect();
    }
  });
}

// For pusher-js and Laravel Echo, in pages that name themselves by a resume id (docs/history.md): such a page keeps its
// socket id over a reconnect, so that what its application has signed for a channel still holds. Call it with the
// instance, before its first private channel: a `new Pusher`, or `echo.connector.pusher`.

export function rememberAuthorizations(pusher) {
  const ask = pusher.config.channelAuthorizer;
  const answers = new Map();
  let owner; // The socket id that the answers are for.

  pusher.config.channelAuthorizer = (question, callback) => {
    const { socketId, channelName } = question;
    if (socketId !== owner) answers.clear();
    owner = socketId;
    // A copy each time: pusher-js takes `shared_secret` out of what it is given.
    if (answers.has(channelName)) return callback(null, { ...answers.get(channelName) });
    ask(question, (error, answer) => {
      if (!error && socketId === owner) answers.set(channelName, { ...answer });
      callback(error, answer);
    });
  };

  pusher.connection.bind('message', ({ event, channel }) => {
    if (['pusher:error', 'pusher:subscription_error'].includes(event)) answers.delete(channel);
  });
  // After `disconnect()` somebody else may be signed in.
  pusher.connection.bind('disconnected', () => answers.clear());
}

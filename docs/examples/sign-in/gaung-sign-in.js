// For pusher-js and Laravel Echo, with an application that names a user's channels when it signs the user in
// (docs/sign-in.md): those channels cost it no further request. Call it with the instance, before its first private
// channel: a `new Pusher`, or `echo.connector.pusher`. `covers` says which channels the sign-in is for; the others are
// asked for as before, and so are encrypted ones, whose secret comes with the answer.

export function signInForChannels(pusher, covers = () => true) {
  const { channelAuthorizer, userAuthenticator } = pusher.config;
  let owner, answer; // The socket id that the application has signed in, and its answer.

  // The server waits for the sign-in.
  pusher.config.channelAuthorizer = (question, callback) => {
    const { channelName } = question;
    const isAlone = channelName.startsWith('private-encrypted-') || !covers(channelName);
    if (isAlone) channelAuthorizer(question, callback);
    else callback(null, { auth: 'signin' });
  };

  // A page that names itself (docs/history.md) keeps its socket id over a reconnect, and so the answer still holds.
  pusher.config.userAuthenticator = ({ socketId }, callback) => {
    if (socketId === owner) return callback(null, answer);
    userAuthenticator({ socketId }, (error, signed) => {
      if (!error) [owner, answer] = [socketId, signed];
      callback(error, signed);
    });
  };

  const forget = () => (owner = undefined);
  // So a sign-in is refused; with a channel it would be a subscription.
  pusher.connection.bind('message', ({ event, channel, data }) => {
    if (event === 'pusher:error' && data?.code === 4009 && !channel) forget();
  });
  // After `disconnect()` somebody else may be signed in.
  pusher.connection.bind('disconnected', forget);
  pusher.signin();
}

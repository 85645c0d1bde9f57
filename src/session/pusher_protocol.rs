//! What a session does with the messages of a Pusher client (protocol.md §1.7 to §1.12).

mod subscribe;

use std::{mem, time::Instant};

use self::subscribe::Subscription;
use super::{connection::SessionConnection, waiting::Waiting};
use crate::{
    activity::ActivityKind,
    app::rate::{RateLimit, Window},
    metrics::MessageRefusal,
    protocol::{
        ChannelName, ChannelPattern, Close,
        close::{CLIENT_EVENT_REFUSED, UNAUTHORIZED},
        inbound::{self, ClientMessage},
        outbound,
        presence::{ChannelLimits, UserClaim},
        signature,
    },
    room::{ClientEvent, Dialect, SignIn, Watchlist},
};

/// `pusher:error` code of a message over the quota.
const OVER_QUOTA: u16 = 4301;

/// `pusher:error` code of a watchlist that was cut (protocol.md §1.12).
const WATCHLIST_CUT: u16 = 4302;

/// What a session remembers of its Pusher client.
pub(super) struct PusherProtocol {
    dialect: Dialect,
    user: Option<Box<UserClaim>>,
    /// Subscriptions for which the client has yet to sign in.
    waiting: Option<Box<Waiting>>,
    client_event_rate: RateLimit,
    /// What counts against the app's `message_quota`, if it has one.
    quota: Option<Box<Window>>,
}

impl PusherProtocol {
    /// A client that is not signed in.
    pub(super) fn new(dialect: Dialect) -> Self {
        Self { dialect, user: None, waiting: None, client_event_rate: RateLimit::default(), quota: None }
    }

    /// Handles one message. Whatever it is, the session stays, but for an app that wants those closed who send too many.
    pub(super) fn hear(&mut self, text: &str, connection: &mut SessionConnection) {
        if !self.is_within_quota(connection) {
            return;
        }
        match inbound::parse(text) {
            Ok(ClientMessage::Ping) => connection.outbox.send(&outbound::pong()),
            Ok(ClientMessage::Pong) => connection.hear_receipt(),
            Ok(_) if connection.has_departed() => {}
            Ok(ClientMessage::Ignored) => {}
            Ok(ClientMessage::Subscribe { channel, auth, channel_data, since }) => {
                let request = Subscription { auth, channel_data, since };
                self.subscribe(&channel, &request, connection);
            }
            Ok(ClientMessage::Unsubscribe { channel }) => {
                if let Ok(channel) = ChannelName::parse(&channel, usize::MAX) {
                    self.waiting.iter_mut().for_each(|waiting| waiting.forget(&channel));
                    connection.leave(&channel);
                }
            }
            Ok(ClientMessage::SignIn { auth, user_data }) => self.sign_in(&auth, &user_data, connection),
            Ok(ClientMessage::ClientEvent { name, channel, data }) => {
                self.publish_client_event(name, &channel, data, connection);
            }
            Err(malformed) => {
                let text = malformed.to_string();
                connection.count_refusal(MessageRefusal::Malformed, &text, None);
                connection.outbox.send(&outbound::error(None, &text, None));
            }
        }
    }

    /// Counts a message as Reverb does where it limits the rate, and refuses it as Reverb does.
    fn is_within_quota(&mut self, connection: &SessionConnection) -> bool {
        let settings = connection.app().settings();
        let Some(limit) = settings.message_quota else { return true };
        let window = self.quota.get_or_insert_default();
        let length = settings.message_quota_window;
        if window.count(limit, length, connection.clock()) {
            return true;
        }
        let seconds = length.as_secs();
        let text = format!("Rate limit exceeded: over {limit} messages in {seconds} s (app setting message_quota)");
        connection.count_refusal(MessageRefusal::OverQuota, &text, None);
        connection.outbox.send(&outbound::error(Some(OVER_QUOTA), &text, None));
        if settings.message_quota_closes {
            connection.close(Close::OverMessageQuota);
        }
        false
    }

    /// Whether the sign-in names channels of which one may match.
    pub(super) fn may_have(&self, patterns: &[ChannelPattern]) -> bool {
        self.user.as_ref().is_some_and(|user| user.channels.may_share(patterns))
    }

    /// Ends the sign-in of a session that is going. Returns who was signed in.
    pub(super) fn sign_out(&mut self, connection: &SessionConnection) -> Option<String> {
        let user = self.user.take()?;
        connection.services.shared.rooms.sign_out(connection.app(), &user.id, connection.id);
        Some(user.id)
    }

    fn sign_in(&mut self, auth: &str, user_data: &str, connection: &mut SessionConnection) {
        let mut claim = match self.check_sign_in(auth, user_data, connection) {
            Ok(claim) => claim,
            Err(text) => {
                connection.count_refusal(MessageRefusal::SignIn, &text, None);
                connection.outbox.send(&outbound::error(Some(UNAUTHORIZED), &text, None));
                return self.refuse_waiting(connection);
            }
        };
        connection.is_authorised = true;
        let mut welcome = vec![outbound::signin_success(&mem::take(&mut claim.echo))];
        if claim.truncated_watchlist {
            let text = "the watchlist has more than 100 users; the first 100 are watched";
            welcome.push(outbound::error(Some(WATCHLIST_CUT), text, None));
        }
        let (rooms, app) = (&connection.services.shared.rooms, connection.app());
        let is_repeated = self.user.is_some();
        let channels = mem::take(&mut claim.channels);
        let user = self.user.get_or_insert_with(|| Box::new(claim));
        // What was signed last holds: also that a channel is no longer named.
        user.channels = channels;
        let watched = mem::take(&mut user.watchlist);
        let is_watching = !is_repeated && app.settings().watchlists;
        let watchlist = is_watching.then(|| Watchlist::of(watched, app, rooms)).flatten();
        connection.report(|| ActivityKind::SignedIn { socket: connection.id, user: user.id.clone() });
        let socket = connection.as_subscriber(self.dialect.clone());
        rooms.sign_in(app, &user.id, socket, SignIn { welcome, watchlist });
        self.admit_waiting(connection);
    }

    fn check_sign_in(&self, auth: &str, user_data: &str, connection: &SessionConnection) -> Result<UserClaim, String> {
        let settings = connection.app().settings();
        if !settings.sign_in {
            return Err("sign-in is switched off (app setting sign_in)".to_owned());
        }
        signature::verify_user(&settings.keys, auth, connection.id, user_data).map_err(|error| {
            count_auth_failure("user", connection);
            error.to_string()
        })?;
        let limits = ChannelLimits { count: settings.max_subscriptions, length: settings.max_channel_name_length };
        let claim = UserClaim::parse(user_data, limits).map_err(|error| error.to_string())?;
        match &self.user {
            Some(user) if user.id != claim.id => Err("the connection is signed in as another user".to_owned()),
            _ => Ok(claim),
        }
    }

    fn publish_client_event(&self, name: String, channel: &str, data: String, connection: &SessionConnection) {
        let published = self.check_client_event(&name, channel, &data, connection).and_then(|channel| {
            let client_event = ClientEvent { sender: connection.as_subscriber(self.dialect.clone()), name, data };
            let rooms = &connection.services.shared.rooms;
            rooms
                .publish_client_event(connection.app(), channel, client_event)
                .map_err(|unpublished| unpublished.to_string())
        });
        if let Err(text) = published {
            connection.count_refusal(MessageRefusal::ClientEvent, &text, Some(channel));
            connection.outbox.send(&outbound::error(Some(CLIENT_EVENT_REFUSED), &text, Some(channel)));
        }
    }

    fn check_client_event(
        &self,
        name: &str,
        channel: &str,
        data: &str,
        connection: &SessionConnection,
    ) -> Result<ChannelName, String> {
        let settings = connection.app().settings();
        if !settings.client_events {
            return Err("the app does not have client messaging enabled (app setting client_events)".to_owned());
        }
        let channel =
            ChannelName::parse(channel, settings.max_channel_name_length).map_err(|invalid| invalid.to_string())?;
        let kind = channel.kind();
        if kind.is_server_to_user() || !(kind.needs_auth() || settings.public_client_events) {
            return Err("client events are allowed on private and presence channels only (app setting \
                        public_client_events)"
                .to_owned());
        }
        let (length, limit) = (name.chars().count(), settings.max_event_name_length);
        if length > limit {
            return Err(format!(
                "the event name has {length} characters, the limit is {limit} (app setting max_event_name_length)"
            ));
        }
        let (size, limit) = (data.len(), settings.max_event_bytes);
        if size > limit {
            return Err(format!(
                "the event has {size} bytes of data, the limit is {limit} (app setting max_event_bytes)"
            ));
        }
        if connection.app().charges() {
            let tenant = connection.app().tenants().of(&channel);
            let paid = connection.app().check_charged(tenant.as_deref(), Instant::now());
            paid.map_err(|reached| reached.to_string())?;
        }
        let Some(rate) = settings.client_events_per_second else { return Ok(channel) };
        match self.client_event_rate.take(1, rate, connection.clock()) {
            Ok(()) => Ok(channel),
            Err(_) => Err(format!("more than {rate} client events in a second (app setting client_events_per_second)")),
        }
    }
}

fn count_auth_failure(kind: &str, connection: &SessionConnection) {
    connection.app().counters.outcomes.auth_failures.count(kind);
}

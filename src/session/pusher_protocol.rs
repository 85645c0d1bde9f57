//! What a session does with the messages of a Pusher client (protocol.md §1.7 to §1.12).

use std::{fmt::Display, mem};

use super::connection::SessionConnection;
use crate::{
    activity::ActivityKind,
    app::rate::{RateLimit, Window},
    config::AppSettings,
    metrics::MessageRefusal,
    protocol::{
        ChannelKind, ChannelName, Close, Since,
        close::{CLIENT_EVENT_REFUSED, UNAUTHORIZED},
        inbound::{self, ClientMessage},
        outbound,
        presence::{MemberClaim, UserClaim},
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
    client_event_rate: RateLimit,
    /// What counts against the app's `message_quota`, if it has one.
    quota: Option<Box<Window>>,
}

/// What a subscription brings beside the channel's name, as the client sent it.
struct Subscription {
    auth: Option<String>,
    channel_data: Option<String>,
    since: Option<String>,
}

/// Why a subscription is refused: type, status and text of `pusher:subscription_error`, and the code of the
/// `pusher:error` beside it.
struct Refusal {
    kind: &'static str,
    status: u16,
    code: Option<u16>,
    text: String,
}

impl PusherProtocol {
    /// A client that is not signed in.
    pub(super) fn new(dialect: Dialect) -> Self {
        Self { dialect, user: None, client_event_rate: RateLimit::default(), quota: None }
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

    /// Ends the sign-in of a session that is going. Returns who was signed in.
    pub(super) fn sign_out(&mut self, connection: &SessionConnection) -> Option<String> {
        let user = self.user.take()?;
        connection.services.shared.rooms.sign_out(connection.app(), &user.id, connection.id);
        Some(user.id)
    }

    fn subscribe(&self, name: &str, request: &Subscription, connection: &mut SessionConnection) {
        let (channel, claim, since) = match self.check_subscription(name, request, connection) {
            Ok(checked) => checked,
            Err(refusal) => return refuse_subscription(name, &refusal, connection),
        };
        if channel.kind().is_server_to_user() {
            // Its events go to every socket of the user, subscribed or not: there is nothing to join.
            return connection.outbox.send(&outbound::subscription_succeeded(&channel));
        }
        connection.is_authorised |= channel.kind().needs_auth();
        connection.join(channel, self.dialect.clone(), claim, since);
    }

    /// The name comes first: only a valid one can stand in a string to sign (protocol.md §2.3).
    fn check_subscription(
        &self,
        name: &str,
        request: &Subscription,
        connection: &SessionConnection,
    ) -> Result<(ChannelName, Option<MemberClaim>, Option<Since>), Refusal> {
        let channel_data = request.channel_data.as_deref();
        let settings = connection.app().settings();
        let channel = ChannelName::parse(name, settings.max_channel_name_length).map_err(Refusal::invalid_channel)?;
        let kind = channel.kind();
        let is_new = !connection.subscriptions.contains(&channel);
        if is_new && connection.subscriptions.count() >= settings.max_subscriptions {
            return Err(Refusal::too_many_subscriptions(settings.max_subscriptions));
        }
        if kind.is_server_to_user() {
            let is_own = self.user.as_ref().is_some_and(|user| user.id == channel.without_prefix());
            return is_own
                .then_some((channel, None, None))
                .ok_or_else(|| Refusal::unauthorized("not signed in as this user"));
        }
        if kind.needs_auth() {
            let auth = request.auth.as_deref().ok_or_else(|| Refusal::unauthorized("the subscription has no auth"))?;
            signature::verify_channel(&settings.keys, auth, connection.id, &channel, channel_data)
                .inspect_err(|_| count_auth_failure("channel", connection))
                .map_err(Refusal::unauthorized)?;
        }
        let claim = self.claim(kind, channel_data, &settings)?;
        let since = request.since.as_deref().map(str::parse).transpose().map_err(Refusal::invalid_position)?;
        Ok((channel, claim, since.map(Since::Position)))
    }

    /// Who joins a presence channel: the member that `channel_data` names, else the session's signed-in user.
    fn claim(
        &self,
        kind: ChannelKind,
        channel_data: Option<&str>,
        settings: &AppSettings,
    ) -> Result<Option<MemberClaim>, Refusal> {
        if !kind.is_presence() {
            return Ok(None);
        }
        let claim = match (channel_data, &self.user) {
            (Some(channel_data), _) => MemberClaim::parse(channel_data).map_err(Refusal::unauthorized)?,
            (None, Some(user)) => MemberClaim { id: user.id.clone(), info: user.info.clone() },
            (None, None) => return Err(Refusal::unauthorized("a presence channel needs channel_data or a sign-in")),
        };
        let (size, limit) = (claim.info.len(), settings.max_presence_member_bytes);
        if size > limit {
            return Err(Refusal::member_too_large(size, limit));
        }
        Ok(Some(claim))
    }

    fn sign_in(&mut self, auth: &str, user_data: &str, connection: &mut SessionConnection) {
        let claim = match self.check_sign_in(auth, user_data, connection) {
            Ok(claim) => claim,
            Err(text) => {
                connection.count_refusal(MessageRefusal::SignIn, &text, None);
                return connection.outbox.send(&outbound::error(Some(UNAUTHORIZED), &text, None));
            }
        };
        connection.is_authorised = true;
        let mut welcome = vec![outbound::signin_success(&claim.echo)];
        if claim.truncated_watchlist {
            let text = "the watchlist has more than 100 users; the first 100 are watched";
            welcome.push(outbound::error(Some(WATCHLIST_CUT), text, None));
        }
        let (rooms, app) = (&connection.services.shared.rooms, connection.app());
        let is_repeated = self.user.is_some();
        let user = self.user.get_or_insert_with(|| Box::new(claim));
        let watched = mem::take(&mut user.watchlist);
        let is_watching = !is_repeated && app.settings().watchlists;
        let watchlist = is_watching.then(|| Watchlist::of(watched, app, rooms)).flatten();
        connection.report(|| ActivityKind::SignedIn { socket: connection.id, user: user.id.clone() });
        let socket = connection.as_subscriber(self.dialect.clone());
        rooms.sign_in(app, &user.id, socket, SignIn { welcome, watchlist });
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
        let claim = UserClaim::parse(user_data).map_err(|error| error.to_string())?;
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
        let Some(rate) = settings.client_events_per_second else { return Ok(channel) };
        match self.client_event_rate.take(1, rate, connection.clock()) {
            Ok(()) => Ok(channel),
            Err(_) => Err(format!("more than {rate} client events in a second (app setting client_events_per_second)")),
        }
    }
}

fn refuse_subscription(name: &str, refusal: &Refusal, connection: &SessionConnection) {
    let Refusal { kind, status, code, text } = refusal;
    connection.count_refusal(MessageRefusal::Subscription, text, Some(name));
    connection.outbox.send(&outbound::subscription_error(name, kind, text, *status));
    connection.outbox.send(&outbound::error(*code, text, Some(name)));
}

fn count_auth_failure(kind: &str, connection: &SessionConnection) {
    connection.app().counters.outcomes.auth_failures.count(kind);
}

impl Refusal {
    fn invalid_channel(problem: impl Display) -> Self {
        Self { kind: "InvalidChannel", status: 400, code: None, text: problem.to_string() }
    }

    fn invalid_position(problem: impl Display) -> Self {
        Self { kind: "InvalidPosition", status: 400, code: None, text: problem.to_string() }
    }

    fn unauthorized(problem: impl Display) -> Self {
        let text = format!("Connection is unauthorized: {problem}");
        Self { kind: "AuthError", status: 401, code: Some(UNAUTHORIZED), text }
    }

    fn too_many_subscriptions(limit: usize) -> Self {
        let text = format!("the connection has {limit} subscriptions already (app setting max_subscriptions)");
        Self { kind: "LimitReached", status: 4100, code: None, text }
    }

    fn member_too_large(size: usize, limit: usize) -> Self {
        let text = format!("user_info has {size} bytes, the limit is {limit} (app setting max_presence_member_bytes)");
        Self { kind: "LimitReached", status: 4301, code: None, text }
    }
}

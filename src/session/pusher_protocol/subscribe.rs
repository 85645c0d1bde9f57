//! Subscriptions of a Pusher client (protocol.md §1.7): by a signature of their own, by the sign-in of the socket, or once
//! that has come (protocol.md §1.12).

use std::{
    fmt::Display,
    time::{Duration, Instant},
};

use super::{PusherProtocol, count_auth_failure};
use crate::{
    app::usage::Reached,
    config::AppSettings,
    metrics::MessageRefusal,
    protocol::{ChannelKind, ChannelName, Since, close::UNAUTHORIZED, outbound, presence::MemberClaim, signature},
    session::{
        connection::SessionConnection,
        waiting::{Waiting, WantedChannel},
    },
};

/// `auth` of a client that signs in: its subscription needs no other signature, and waits for the sign-in.
const BY_SIGN_IN: &str = "signin";

/// Why a channel does not come with the sign-in.
const NOT_NAMED: &str = "the user_data of the sign-in does not name the channel";

/// What a subscription brings beside the channel's name, as the client sent it.
pub(super) struct Subscription {
    pub(super) auth: Option<String>,
    pub(super) channel_data: Option<String>,
    pub(super) since: Option<String>,
}

/// What becomes of a subscription that is not refused.
enum Admitted {
    /// The socket joins, of a presence channel as this member.
    Now(WantedChannel, Option<MemberClaim>),
    /// It is judged again when the socket is signed in.
    OnceSignedIn(WantedChannel),
}

/// Whether a channel that needs a signature has it.
enum Right {
    Given,
    /// The sign-in is to give it.
    Awaited,
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
    pub(super) fn subscribe(&mut self, name: &str, request: &Subscription, connection: &mut SessionConnection) {
        match self.check_subscription(name, request, connection) {
            Ok(Admitted::Now(wanted, claim)) => self.join(wanted, claim, connection),
            Ok(Admitted::OnceSignedIn(wanted)) => {
                let until = Instant::now() + connection.app().settings().sign_in_within;
                self.waiting.get_or_insert_default().add(wanted, until);
            }
            Err(refusal) => refuse_subscription(name, &refusal, connection),
        }
    }

    fn join(
        &self,
        WantedChannel { channel, since }: WantedChannel,
        claim: Option<MemberClaim>,
        connection: &mut SessionConnection,
    ) {
        if channel.kind().is_server_to_user() {
            // Its events go to every socket of the user, subscribed or not: there is nothing to join.
            return connection.outbox.send(&outbound::subscription_succeeded(&channel));
        }
        connection.is_authorised |= channel.kind().needs_auth();
        let name = channel.as_str().to_owned();
        if let Err(reached) = connection.join(channel, self.dialect.clone(), claim, since) {
            refuse_subscription(&name, &Refusal::limit_reached(reached), connection);
        }
    }

    /// The name comes first: only a valid one can stand in a string to sign (protocol.md §2.3).
    fn check_subscription(
        &self,
        name: &str,
        request: &Subscription,
        connection: &SessionConnection,
    ) -> Result<Admitted, Refusal> {
        let settings = connection.app().settings();
        let channel = ChannelName::parse(name, settings.max_channel_name_length).map_err(Refusal::invalid_channel)?;
        let kind = channel.kind();
        self.check_count(&channel, &settings, connection)?;
        if kind.is_server_to_user() {
            let is_own = self.user.as_ref().is_some_and(|user| user.id == channel.without_prefix());
            return is_own
                .then_some(Admitted::Now(WantedChannel { channel, since: None }, None))
                .ok_or_else(|| Refusal::unauthorized("not signed in as this user"));
        }
        let right =
            if kind.needs_auth() { self.right(&channel, request, &settings, connection)? } else { Right::Given };
        let since = request.since.as_deref().map(str::parse).transpose().map_err(Refusal::invalid_position)?;
        let wanted = WantedChannel { channel, since: since.map(Since::Position) };
        match right {
            Right::Given => Ok(Admitted::Now(wanted, self.claim(kind, request.channel_data.as_deref(), &settings)?)),
            Right::Awaited => Ok(Admitted::OnceSignedIn(wanted)),
        }
    }

    /// Those that wait count too.
    fn check_count(
        &self,
        channel: &ChannelName,
        settings: &AppSettings,
        connection: &SessionConnection,
    ) -> Result<(), Refusal> {
        let waiting = self.waiting.as_deref();
        let is_new =
            !connection.subscriptions.contains(channel) && !waiting.is_some_and(|waiting| waiting.contains(channel));
        let count = connection.subscriptions.count() + waiting.map_or(0, Waiting::count);
        if is_new && count >= settings.max_subscriptions {
            return Err(Refusal::too_many_subscriptions(settings.max_subscriptions));
        }
        Ok(())
    }

    /// A signature that is there decides. Without one the sign-in does.
    fn right(
        &self,
        channel: &ChannelName,
        request: &Subscription,
        settings: &AppSettings,
        connection: &SessionConnection,
    ) -> Result<Right, Refusal> {
        let channel_data = request.channel_data.as_deref();
        match request.auth.as_deref() {
            Some(BY_SIGN_IN) | None if self.is_signed_in_for(channel) && channel_data.is_none() => Ok(Right::Given),
            Some(BY_SIGN_IN) => self.awaited_right(channel, channel_data, settings).map_err(Refusal::unauthorized),
            Some(auth) => signature::verify_channel(&settings.keys, auth, connection.id, channel, channel_data)
                .inspect_err(|_| count_auth_failure("channel", connection))
                .map(|()| Right::Given)
                .map_err(Refusal::unauthorized),
            None => Err(Refusal::unauthorized("the subscription has no auth")),
        }
    }

    /// Whether the sign-in names the channel. The secret of an encrypted channel comes with a signature of its own.
    fn is_signed_in_for(&self, channel: &ChannelName) -> bool {
        let is_named = self.user.as_ref().is_some_and(|user| user.channels.match_any(channel));
        is_named && !channel.kind().is_encrypted()
    }

    /// Of a channel that the sign-in does not give to the socket, or not yet.
    fn awaited_right(
        &self,
        channel: &ChannelName,
        channel_data: Option<&str>,
        settings: &AppSettings,
    ) -> Result<Right, &'static str> {
        if channel.kind().is_encrypted() {
            return Err("an encrypted channel needs a signature of its own");
        }
        if channel_data.is_some() {
            return Err("channel_data needs a signature of its own");
        }
        if self.user.is_some() {
            return Err(NOT_NAMED);
        }
        if !settings.sign_in {
            return Err("sign-in is switched off (app setting sign_in)");
        }
        Ok(Right::Awaited)
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

    /// The socket is signed in: those that have waited for it are judged like all others.
    pub(super) fn admit_waiting(&mut self, connection: &mut SessionConnection) {
        let settings = connection.app().settings();
        for wanted in self.take_waiting() {
            let channel = &wanted.channel;
            let claim = if self.is_signed_in_for(channel) {
                self.claim(channel.kind(), None, &settings)
            } else {
                Err(Refusal::unauthorized(NOT_NAMED))
            };
            match claim {
                Ok(claim) => self.join(wanted, claim, connection),
                Err(refusal) => refuse_subscription(channel.as_str(), &refusal, connection),
            }
        }
    }

    /// The sign-in was refused, and so are those that have waited for it.
    pub(super) fn refuse_waiting(&mut self, connection: &SessionConnection) {
        let refusal = Refusal::unauthorized("the sign-in was refused");
        for wanted in self.take_waiting() {
            refuse_subscription(wanted.channel.as_str(), &refusal, connection);
        }
    }

    /// Refuses those for which the sign-in did not come in time.
    pub(in crate::session) fn refuse_overdue(&mut self, connection: &SessionConnection) {
        let Some(waiting) = &mut self.waiting else { return };
        let seconds = connection.app().settings().sign_in_within.as_secs();
        let text = format!("no sign-in came within {seconds} s (app setting sign_in_within_seconds)");
        let refusal = Refusal::unauthorized(text);
        for wanted in waiting.take_overdue(Instant::now()) {
            refuse_subscription(wanted.channel.as_str(), &refusal, connection);
        }
        self.waiting.take_if(|waiting| waiting.count() == 0);
    }

    /// After how long [`Self::refuse_overdue`] has something to do.
    pub(in crate::session) fn is_overdue_in(&self) -> Option<Duration> {
        let due = self.waiting.as_ref()?.due()?;
        Some(due.saturating_duration_since(Instant::now()))
    }

    fn take_waiting(&mut self) -> Vec<WantedChannel> {
        self.waiting.take().map(|mut waiting| waiting.take_all()).unwrap_or_default()
    }
}

fn refuse_subscription(name: &str, refusal: &Refusal, connection: &SessionConnection) {
    let Refusal { kind, status, code, text } = refusal;
    connection.count_refusal(MessageRefusal::Subscription, text, Some(name));
    connection.outbox.send(&outbound::subscription_error(name, kind, text, *status));
    connection.outbox.send(&outbound::error(*code, text, Some(name)));
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

    fn limit_reached(reached: Reached) -> Self {
        Self { kind: "LimitReached", status: 4100, code: None, text: reached.to_string() }
    }

    fn member_too_large(size: usize, limit: usize) -> Self {
        let text = format!("user_info has {size} bytes, the limit is {limit} (app setting max_presence_member_bytes)");
        Self { kind: "LimitReached", status: 4301, code: None, text }
    }
}

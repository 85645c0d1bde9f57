//! What a session does with the messages of a plain tenant socket.

use super::actor::Session;
use crate::{
    app::rate::RateLimit,
    metrics::MessageRefusal,
    protocol::{ChannelName, presence::MemberClaim},
    room::Dialect,
    tenant::{Grant, Problem, TenantMessage, inbound, outbound},
};

/// What a session remembers of its tenant client.
pub(super) struct TenantProtocol {
    grant: Grant,
    message_rate: RateLimit,
}

impl TenantProtocol {
    /// A client that was admitted with this grant.
    pub(super) fn new(grant: Grant) -> Self {
        Self { grant, message_rate: RateLimit::default() }
    }

    /// Handles one message. Whatever it is, the session stays.
    pub(super) fn hear(&mut self, text: &str, session: &mut Session) {
        if let Err(problem) = self.check_rate(session) {
            return refuse(&problem, None, session);
        }
        match inbound::parse(text) {
            Ok(TenantMessage::Ping) => session.outbox.send(&outbound::pong()),
            Ok(TenantMessage::Subscribe { channel }) => self.subscribe(&channel, session),
            Ok(TenantMessage::Unsubscribe { channel }) => unsubscribe(&channel, session),
            Err(malformed) => refuse(&Problem::Malformed(malformed), None, session),
        }
    }

    fn check_rate(&self, session: &Session) -> Result<(), Problem> {
        let limit = session.services.shared.tenant.messages_per_second;
        self.message_rate.take(1, limit, session.clock()).map_err(|_| Problem::TooManyMessages { limit })
    }

    fn subscribe(&self, name: &str, session: &mut Session) {
        let channel = match self.check_subscription(name, session) {
            Ok(channel) => channel,
            Err(problem) => return refuse(&problem, Some(name), session),
        };
        let member = self.grant.user_id.clone().filter(|_| channel.kind().is_presence());
        let claim = member.map(|id| MemberClaim { id, info: "{}".to_owned() });
        session.join(channel, Dialect::Tenant(self.grant.tenant.clone()), claim);
    }

    fn check_subscription(&self, name: &str, session: &Session) -> Result<ChannelName, Problem> {
        let settings = session.app().settings();
        let channel = ChannelName::parse(name, settings.max_channel_name_length).map_err(Problem::InvalidChannel)?;
        self.grant.check(&channel)?;
        let limit = settings.max_subscriptions;
        if session.subscriptions.count() >= limit && !session.subscriptions.contains(&channel) {
            return Err(Problem::TooManySubscriptions { limit });
        }
        Ok(channel)
    }
}

fn unsubscribe(name: &str, session: &mut Session) {
    if let Ok(channel) = ChannelName::parse(name, usize::MAX) {
        session.leave(&channel);
        session.outbox.send(&outbound::unsubscribed(&channel));
    }
}

fn refuse(problem: &Problem, channel: Option<&str>, session: &Session) {
    let text = problem.to_string();
    session.count_refusal(MessageRefusal::Tenant, &text, channel);
    session.outbox.send(&outbound::error(problem.code(), &text, channel));
}

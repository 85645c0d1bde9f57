//! What a session does with the messages of a plain tenant socket.

use super::connection::SessionConnection;
use crate::{
    app::rate::RateLimit,
    metrics::MessageRefusal,
    protocol::{ChannelName, Secret, Since, presence::MemberClaim},
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

    pub(super) fn grant(&self) -> &Grant {
        &self.grant
    }

    /// From now on this is granted. Channels that are not any more are left, and the client is told.
    pub(super) fn replace(&mut self, grant: Grant, connection: &mut SessionConnection) {
        self.grant = grant;
        let problem = |channel: &ChannelName| self.grant.check(channel).err().map(|problem| (channel.clone(), problem));
        let lost: Vec<_> = connection.subscriptions.channels().filter_map(problem).collect();
        for (channel, problem) in lost {
            refuse(&problem, Some(channel.as_str()), connection);
            connection.leave(&channel);
            connection.outbox.send(&outbound::unsubscribed(&channel));
        }
    }

    /// Handles one message. Whatever it is, the session stays. Returns a newer token, if it is one.
    pub(super) fn hear(&mut self, text: &str, connection: &mut SessionConnection) -> Option<Secret> {
        if let Err(problem) = self.check_rate(connection) {
            refuse(&problem, None, connection);
            return None;
        }
        match inbound::parse(text) {
            Ok(TenantMessage::Ping) => connection.outbox.send(&outbound::pong()),
            Ok(TenantMessage::Pong) => connection.hear_receipt(),
            Ok(_) if connection.has_departed() => {}
            Ok(TenantMessage::Token(token)) => return Some(token),
            Ok(TenantMessage::Subscribe { channel, since }) => self.subscribe(&channel, since.as_deref(), connection),
            Ok(TenantMessage::Unsubscribe { channel }) => unsubscribe(&channel, connection),
            Err(malformed) => refuse(&Problem::Malformed(malformed), None, connection),
        }
        None
    }

    fn check_rate(&self, connection: &SessionConnection) -> Result<(), Problem> {
        let limit = connection.services.shared.tenant.messages_per_second;
        self.message_rate.take(1, limit, connection.clock()).map_err(|_| Problem::TooManyMessages { limit })
    }

    fn subscribe(&self, name: &str, since: Option<&str>, connection: &mut SessionConnection) {
        let (channel, since) = match self.check_subscription(name, since, connection) {
            Ok(checked) => checked,
            Err(problem) => return refuse(&problem, Some(name), connection),
        };
        let member = self.grant.user_id.clone().filter(|_| channel.kind().is_presence());
        let claim = member.map(|id| MemberClaim { id, info: "{}".to_owned() });
        if let Err(reached) = connection.join(channel, Dialect::Tenant(self.grant.tenant.clone()), claim, since) {
            refuse(&Problem::LimitReached(reached.to_string()), Some(name), connection);
        }
    }

    fn check_subscription(
        &self,
        name: &str,
        since: Option<&str>,
        connection: &SessionConnection,
    ) -> Result<(ChannelName, Option<Since>), Problem> {
        let settings = connection.app().settings();
        let channel = ChannelName::parse(name, settings.max_channel_name_length).map_err(Problem::InvalidChannel)?;
        self.grant.check(&channel)?;
        let limit = settings.max_subscriptions;
        if connection.subscriptions.count() >= limit && !connection.subscriptions.contains(&channel) {
            return Err(Problem::TooManySubscriptions { limit });
        }
        let since = since.map(str::parse).transpose().map_err(Problem::InvalidPosition)?;
        Ok((channel, since.map(Since::Position)))
    }
}

fn unsubscribe(name: &str, connection: &mut SessionConnection) {
    if let Ok(channel) = ChannelName::parse(name, usize::MAX) {
        connection.leave(&channel);
        connection.outbox.send(&outbound::unsubscribed(&channel));
    }
}

/// Tells the client what was wrong; the socket stays.
pub(super) fn refuse(problem: &Problem, channel: Option<&str>, connection: &SessionConnection) {
    let text = problem.to_string();
    connection.count_refusal(MessageRefusal::Tenant, &text, channel);
    connection.outbox.send(&outbound::error(problem.code(), &text, channel));
}

//! What a session does for a client that hears server-sent events and says nothing: everything it wants was in its request.

use super::connection::SessionConnection;
use crate::{
    metrics::MessageRefusal,
    protocol::presence::MemberClaim,
    room::Dialect,
    tenant::{Grant, Problem, StreamRequest, outbound, stream},
};

/// What a session knows of the request until it has begun.
pub(super) struct StreamProtocol {
    grant: Grant,
    request: StreamRequest,
}

impl StreamProtocol {
    /// A client that was admitted with this grant to all the channels of its request.
    pub(super) fn new(grant: Grant, request: StreamRequest) -> Self {
        Self { grant, request }
    }

    pub(super) fn grant(&self) -> &Grant {
        &self.grant
    }

    /// How far the client has heard its channels.
    pub(super) fn request(&self) -> &StreamRequest {
        &self.request
    }

    /// Says when to come back after a cut, greets, and subscribes.
    pub(super) fn begin(&mut self, connection: &mut SessionConnection) {
        connection.outbox.send(&stream::retry(stream::pause(None, rand::random())));
        connection.outbox.send(&stream::message(&outbound::connected(connection.id)));
        for channel in std::mem::take(&mut self.request.channels) {
            let since = self.request.since(&channel);
            let member = self.grant.user_id.clone().filter(|_| channel.kind().is_presence());
            let claim = member.map(|id| MemberClaim { id, info: "{}".to_owned() });
            let name = channel.as_str().to_owned();
            if let Err(reached) = connection.join(channel, Dialect::Stream(self.grant.tenant.clone()), claim, since) {
                let text = reached.to_string();
                let code = Problem::LimitReached(text.clone()).code();
                connection.count_refusal(MessageRefusal::LimitReached, &text, Some(&name));
                connection.outbox.send(&stream::message(&outbound::error(code, &text, Some(&name))));
            }
        }
    }
}

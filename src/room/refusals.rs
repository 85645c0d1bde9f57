//! What a room refuses: joins and client events. Each is counted and shown to consoles like what a session refuses, and
//! the session learns of a join that failed.

use super::{
    Join, Subscriber, Unpublished,
    dialect::{Denial, Dialect},
    membership::JoinRefusal,
    perform::Room,
    shard::Services,
};
use crate::{
    activity::{Asked, Refusal},
    app::App,
    metrics::MessageRefusal,
    outbox::RefusedJoin,
    protocol::{ChannelName, close::CLIENT_EVENT_REFUSED, outbound},
};

impl Room {
    /// Tells a client that it may not join. Its session learns of it, unless the socket is in the channel already.
    pub(super) fn refuse_join(&self, join: &Join, refusal: &JoinRefusal, is_subscribed: bool) {
        let Join { subscriber, attempt, .. } = join;
        let limit = self.app.settings().max_presence_members;
        let Denial { text, frames } = subscriber.dialect.join_refused(self.state.channel(), refusal, limit);
        if !is_subscribed {
            subscriber.outbox.refuse_join(RefusedJoin { channel: self.state.channel().clone(), attempt: *attempt });
        }
        let reason = match subscriber.dialect {
            Dialect::Pusher | Dialect::Traced => MessageRefusal::Subscription,
            Dialect::Tenant(_) | Dialect::Stream(_) => MessageRefusal::Tenant,
        };
        self.app.refuse(reason, &self.services.metrics.activity, || {
            Refusal::new(Asked::Message, reason.label(), &text).by(subscriber.id, Some(self.state.channel().as_str()))
        });
        frames.iter().for_each(|frame| subscriber.outbox.send(frame));
    }

    /// Tells a client that its event could not be sent to the other nodes.
    pub(super) fn refuse_unpublished(&self, sender: &Subscriber, unpublished: Unpublished) {
        let text = unpublished.to_string();
        count_refusal(sender, self.state.channel(), &self.app, &self.services, &text);
        sender.outbox.send(&outbound::error(Some(CLIENT_EVENT_REFUSED), &text, Some(self.state.channel().as_str())));
    }
}

/// Tells a client that it may not publish where it is not subscribed.
pub(super) fn refuse_client_event(sender: &Subscriber, channel: &ChannelName, app: &App, services: &Services) {
    let text = format!("Cannot broadcast client event (connection not subscribed to channel {channel})");
    count_refusal(sender, channel, app, services, &text);
    sender.outbox.send(&outbound::error(None, &text, Some(channel.as_str())));
}

fn count_refusal(sender: &Subscriber, channel: &ChannelName, app: &App, services: &Services, text: &str) {
    let reason = MessageRefusal::ClientEvent;
    app.refuse(reason, &services.metrics.activity, || {
        Refusal::new(Asked::Message, reason.label(), text).by(sender.id, Some(channel.as_str()))
    });
}

//! What a room refuses: joins and client events. Each is counted and shown to consoles like what a session refuses, and
//! the session learns of a join that failed.

use std::sync::{Arc, atomic::Ordering::Relaxed};

use super::{
    Join, Subscriber, Unpublished,
    actor::Room,
    backlog::Permit,
    dialect::{Denial, Dialect},
    membership::JoinRefusal,
    messages::Whisper,
    shard::Services,
};
use crate::{
    activity::{Asked, Refusal},
    event::{self, Event},
    outbox::RefusedJoin,
    protocol::{ChannelName, close::CLIENT_EVENT_REFUSED, outbound},
    webhook::Change,
};

impl Room {
    /// Tells a client that it may not join. Its session learns of it, unless the socket is in the channel already.
    pub(super) fn refuse_join(&self, join: &Join, refusal: &JoinRefusal) {
        let Join { subscriber, attempt, .. } = join;
        let limit = self.app.settings().max_presence_members;
        let Denial { text, frames } = subscriber.dialect.join_refused(&self.channel, refusal, limit);
        if !self.fanout.contains(subscriber.id) {
            subscriber.outbox.refuse_join(RefusedJoin { channel: self.channel.clone(), attempt: *attempt });
        }
        let reason = match subscriber.dialect {
            Dialect::Pusher | Dialect::Traced => "subscription",
            Dialect::Tenant(_) => "tenant_message",
        };
        self.services.metrics.refuse(self.app.id(), reason, || {
            Refusal::new(Asked::Message, reason, &text).by(subscriber.id, Some(self.channel.as_str()))
        });
        frames.iter().for_each(|frame| subscriber.outbox.send(frame));
    }

    /// Publishes a client event on all nodes, or on none.
    pub(super) fn whisper(&mut self, whisper: Whisper, permit: Permit) {
        let Whisper { sender, name, data } = whisper;
        if !self.fanout.contains(sender.id) {
            return refuse_whisper(&sender, &self.channel, self.app.id(), &self.services);
        }
        let user = self.membership.user_of(sender.id).cloned();
        let user_id = user.as_ref().map(ToString::to_string);
        let change = Change::ClientEvent {
            event: name.clone(),
            data: data.clone(),
            socket_id: sender.id,
            user_id: user_id.clone(),
        };
        let event = Event::from_client(self.channel.clone(), name, data, (sender.id, user_id), event::now()).encode();
        if let Err(unpublished) = self.whisper_to_peers(&event) {
            return self.refuse_unpublished(&sender, unpublished);
        }
        if let Some(user) = user {
            // The others must know of a member before they hear it.
            self.tell_member_now(&user);
        }
        self.app.counters.client_events_in.fetch_add(1, Relaxed);
        self.tell_webhooks(change);
        self.announce_event(event, Some(permit));
    }

    fn refuse_unpublished(&self, sender: &Subscriber, unpublished: Unpublished) {
        let text = unpublished.to_string();
        count_whisper(sender, &self.channel, self.app.id(), &self.services, &text);
        sender.outbox.send(&outbound::error(Some(CLIENT_EVENT_REFUSED), &text, Some(self.channel.as_str())));
    }
}

/// Tells a client that it may not publish where it is not subscribed.
pub fn refuse_whisper(sender: &Subscriber, channel: &ChannelName, app_id: &Arc<str>, services: &Services) {
    let text = format!("Cannot broadcast client event (connection not subscribed to channel {channel})");
    count_whisper(sender, channel, app_id, services, &text);
    sender.outbox.send(&outbound::error(None, &text, Some(channel.as_str())));
}

fn count_whisper(sender: &Subscriber, channel: &ChannelName, app_id: &Arc<str>, services: &Services, text: &str) {
    const REASON: &str = "client_event";
    services
        .metrics
        .refuse(app_id, REASON, || Refusal::new(Asked::Message, REASON, text).by(sender.id, Some(channel.as_str())));
}

//! What is published, by back ends, clients and other nodes, and the event that a cache channel keeps.

use bytes::Bytes;
use gaung_cluster::{bus::PublishPermit, fact::CachedEvent};

use super::{Clock, Effect, PendingClientEvent, RoomState, Surroundings, Task};
use crate::{
    event::{Cached, EncodedEvent, Event, Origin, wire},
    protocol::WebhookDetail,
    room::{backlog::Permit, cached, dialect::Announcement, messages::ClientEvent},
};

impl RoomState {
    pub(super) fn publish(
        &mut self,
        event: EncodedEvent,
        permits: (Permit, Option<PublishPermit>),
        around: &Surroundings,
        effects: &mut Vec<Effect>,
    ) {
        let at = self.cache.date(event.accepted_at);
        self.publish_dated((event, at), permits, around, effects);
    }

    /// Publishes an event that is newer than those dated before `at`, in microseconds of the Unix epoch.
    pub(super) fn publish_dated(
        &mut self,
        (mut event, at): (EncodedEvent, u64),
        (permit, publish_permit): (Permit, Option<PublishPermit>),
        around: &Surroundings,
        effects: &mut Vec<Effect>,
    ) {
        self.remember(&mut event, around, effects);
        if self.kind.is_cached() && event.origin == Origin::BackEnd {
            let cached = self.cached_at(&event, at, around);
            if let (true, Some(publish_permit)) = (self.is_clustered, publish_permit) {
                effects.push(Effect::ShareCached(cached.record.clone(), event.trace, publish_permit));
            }
            self.keep(cached, around, effects);
        }
        self.announce_event(event, Some(permit), around, effects);
    }

    /// Publishes a client event on all nodes, or on none.
    pub(super) fn publish_client_event(
        &mut self,
        ClientEvent { sender, name, data }: ClientEvent,
        permit: Permit,
        around: &Surroundings,
        effects: &mut Vec<Effect>,
    ) {
        if !self.fanout.contains(sender.id) {
            return effects.push(Effect::RefuseClientEvent(sender));
        }
        let user = self.membership.user_of(sender.id).cloned();
        let user_id = user.as_ref().map(ToString::to_string);
        let detail = WebhookDetail::ClientEvent {
            event: name.clone(),
            data: data.clone(),
            socket_id: sender.id,
            user_id: user_id.clone(),
        };
        let source = (sender.id, user_id);
        let event = Event::from_client(self.channel.clone(), name, data, source, around.moment()).encode();
        let client_event = PendingClientEvent { sender, event, detail, user, permit };
        if self.is_clustered {
            effects.push(Effect::SendClientEvent(Box::new(client_event)));
        } else {
            self.accept_client_event(client_event, around, effects);
        }
    }

    pub(super) fn accept_client_event(
        &mut self,
        client_event: PendingClientEvent,
        around: &Surroundings,
        effects: &mut Vec<Effect>,
    ) {
        let PendingClientEvent { event, detail, user, permit, .. } = client_event;
        if let Some(user) = user {
            // The others must know of a member before they hear it.
            self.announce_member_now(&user, around);
        }
        effects.push(Effect::CountClientEvent);
        if self.is_clustered {
            around.charge(self.fanout.len() + self.remote, event.frame.len());
        }
        effects.push(Effect::Webhook(detail));
        self.announce_event(event, Some(permit), around, effects);
    }

    /// Announces an event to all sockets here but the excluded one.
    pub(super) fn announce_event(
        &mut self,
        event: EncodedEvent,
        permit: Option<Permit>,
        around: &Surroundings,
        effects: &mut Vec<Effect>,
    ) {
        let except = event.except;
        if event.trace.is_some() {
            let excluded = usize::from(except.is_some_and(|socket| self.fanout.contains(socket)));
            effects.push(Effect::Delivered(event.clone(), self.fanout.len() - excluded));
        }
        if self.fanout.len() == 0 {
            return effects.push(Effect::Unheard(event));
        }
        if !self.is_clustered {
            around.charge(self.fanout.len(), event.frame.len());
        }
        // An event may be about a member that came a moment ago.
        self.announce_due(around);
        self.announce(Announcement::Event(event), except, permit);
    }

    /// An event of another node, or one of this node that came back with its number. A client event of this node was
    /// announced when it was sent.
    pub(super) fn hear_event(
        &mut self,
        mut event: EncodedEvent,
        permit: Permit,
        around: &Surroundings,
        effects: &mut Vec<Effect>,
    ) {
        // Asked first: a room that keeps no history any longer takes the number away.
        let is_own = event.numbered.is_some_and(|numbered| numbered.id.origin == self.histories.origin());
        self.remember(&mut event, around, effects);
        if !(is_own && event.origin == Origin::Client) {
            self.announce_event(event, Some(permit), around, effects);
        }
    }

    pub(super) fn hear_cached(
        &mut self,
        mut cached: Cached,
        permit: Permit,
        around: &Surroundings,
        effects: &mut Vec<Effect>,
    ) {
        self.remember(&mut cached.event, around, effects);
        let event = cached.event.clone();
        self.keep(cached, around, effects);
        self.announce_event(event, Some(permit), around, effects);
    }

    /// Keeps an event for later subscribers unless a newer one is kept.
    pub(super) fn keep(&mut self, cached: Cached, around: &Surroundings, effects: &mut Vec<Effect>) {
        if !self.cache.is_behind(&cached.record) {
            return;
        }
        let shelve = Effect::Shelve { at: cached.record.at, bytes: cached.bytes(&self.channel) };
        let is_unwatched = self.cache.keep(cached);
        if !self.is_clustered {
            effects.push(shelve);
        }
        if is_unwatched {
            self.watch_expiry(around, effects);
        }
    }

    /// Forgets the cached event when its time has come, which a later event may have put off.
    pub(super) fn expire(&mut self, around: &Surroundings, effects: &mut Vec<Effect>) {
        if self.cache.fresh(around.now()).is_some() {
            return self.watch_expiry(around, effects);
        }
        self.cache.clear();
        self.cache.unwatch();
    }

    fn watch_expiry(&mut self, around: &Surroundings, effects: &mut Vec<Effect>) {
        match self.cache.rest(around.now()) {
            Some(rest) => effects.push(Effect::Schedule(Task::WakeAfter(Clock::Cache, rest))),
            None => self.cache.unwatch(),
        }
    }

    /// The event as a record that all nodes keep. The record and the room share its bytes.
    fn cached_at(&self, event: &EncodedEvent, at: u64, around: &Surroundings) -> Cached {
        let (mut event, ttl) = (event.clone(), around.app.settings().cache_ttl);
        let record = if self.is_clustered {
            let record = cached::record(&event, at, ttl);
            event.frame = record.payload.slice(wire::HEADER..);
            record
        } else {
            // Only its room compares it, by its date.
            CachedEvent { at, ttl: 0, payload: Bytes::new() }
        };
        Cached { event, record, expires: around.now() + ttl }
    }
}

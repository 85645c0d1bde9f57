//! What a room hears of its counterparts on other nodes, and what it tells them.
//!
//! Until the cluster says that nothing is missed any more, a new room lets everything wait that its sockets and back ends
//! tell it; so its first answer and all that follows come from one place in one order.

use std::{sync::Arc, time::Instant};

use actix::Context;
use gaung_cluster::fact::Member;

use super::{
    actor::{Cause, Room},
    backlog::Permit,
    cached::{Cache, Cached},
    dialect::Announcement,
    event::EncodedEvent,
    membership::Change,
    messages::{FromPeers, Opening, RoomMessage},
};
use crate::trail;

/// Whether a room knows how things stand on other nodes.
pub enum Phase {
    /// Not yet; what waits for it.
    Opening(Vec<RoomMessage>),
    /// It does, or there are no other nodes.
    Open,
}

impl Room {
    /// Takes what came from other nodes.
    pub(super) fn hear(&mut self, news: FromPeers, ctx: &mut Context<Self>) {
        match news {
            FromPeers::Opened(opening) => self.open(opening, ctx),
            FromPeers::Subscriptions(subscriptions) => {
                self.elsewhere = subscriptions;
                self.count_changed(Cause::Elsewhere, ctx);
            }
            FromPeers::Member(user, member) => self.hear_member(&user, member),
            FromPeers::Event(event, permit) => self.announce_event(event, Some(permit)),
            FromPeers::Cached(cached, permit) => self.hear_cached(cached, permit, ctx),
            FromPeers::CacheRepaired(cached) => self.keep(cached, ctx),
        }
    }

    fn open(&mut self, opening: Opening, ctx: &mut Context<Self>) {
        let Phase::Opening(waiting) = &mut self.phase else { return };
        let waiting = std::mem::take(waiting);
        self.phase = Phase::Open;
        self.elsewhere = opening.subscriptions;
        for member in opening.members {
            self.membership.set_elsewhere(&member.user.clone(), Some(member));
        }
        if let Some(cached) = opening.cached {
            self.keep(cached, ctx);
        }
        for message in waiting {
            match message {
                // It was published before what the room has just learnt was known here, and may be older.
                RoomMessage::Publish(event, permit) => {
                    let at = Cache::default().date(event.accepted_at);
                    self.publish_dated(event, permit, at, ctx);
                }
                message => self.take(message, ctx),
            }
        }
    }

    /// Before the room is open nobody is there to be told, and what is missing comes with the opening.
    fn hear_member(&mut self, user: &Arc<str>, member: Option<Member>) {
        let announcement = match self.membership.set_elsewhere(user, member) {
            Change::Added(info) => Announcement::MemberAdded(user.to_string(), info.to_string()),
            Change::Removed => Announcement::MemberRemoved(user.to_string()),
            Change::Stays => return,
        };
        self.announce(announcement, None, None);
    }

    fn hear_cached(&mut self, cached: Cached, permit: Permit, ctx: &mut Context<Self>) {
        let event = cached.event.clone();
        self.keep(cached, ctx);
        self.announce_event(event, Some(permit));
    }

    /// Keeps an event for later subscribers unless a newer one is kept.
    pub(super) fn keep(&mut self, cached: Cached, ctx: &mut Context<Self>) {
        if self.cache.keep(cached) {
            self.watch_expiry(ctx);
        }
    }

    /// Announces an event to all sockets here but the excluded one.
    pub(super) fn announce_event(&mut self, event: EncodedEvent, permit: Option<Permit>) {
        let except = event.except;
        if event.trace.is_some() {
            let excluded = usize::from(except.is_some_and(|socket| self.fanout.contains(socket)));
            trail::delivered(&self.app, &event, self.fanout.len() - excluded);
        }
        if self.fanout.len() == 0 {
            return self.tell_published(event, 0);
        }
        self.announce(Announcement::Event(event), except, permit);
    }

    /// Tells the other nodes how a user is in this channel here.
    pub(super) fn tell_member(&self, user: &Arc<str>) {
        if let Some(cluster) = &self.services.cluster {
            cluster.member(&self.app, &self.channel, self.membership.here(user));
        }
    }

    /// Tells the other nodes how many sockets are here, if that has changed.
    pub(super) fn tell_subscriptions(&mut self) {
        let count = self.fanout.len();
        if std::mem::replace(&mut self.told, count) == count {
            return;
        }
        if let Some(cluster) = &self.services.cluster {
            cluster.count(&self.app, &self.channel, count);
        }
    }

    /// Publishes a client's event on the other nodes; `false` if the way to them is full.
    pub(super) fn whisper_to_peers(&self, event: &EncodedEvent) -> bool {
        let Some(cluster) = &self.services.cluster else { return true };
        let Ok(places) = cluster.reserve(1) else { return false };
        places.for_each(|place| cluster.publish(&self.app, event, place));
        true
    }

    /// The event as a record that all nodes keep.
    pub(super) fn cached_at(&self, event: &EncodedEvent, at: u64) -> Cached {
        let ttl = self.app.settings().cache_ttl;
        let payload = self.services.cluster.as_ref().map(|_| crate::cluster::payload::event(event));
        let record = gaung_cluster::fact::CachedEvent {
            at,
            ttl: u64::try_from(ttl.as_micros()).unwrap_or(u64::MAX),
            payload: payload.unwrap_or_default(),
        };
        Cached { event: event.clone(), record, expires: Instant::now() + ttl }
    }
}

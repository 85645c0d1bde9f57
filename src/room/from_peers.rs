//! What a room hears of its counterparts on other nodes, and what it tells them.
//!
//! Until the cluster says that nothing is missed any more, a new room lets everything wait that its sockets and back ends
//! tell it; so its first answer and all that follows come from one place in one order.

use std::{sync::Arc, time::Instant};

use actix::{ActorFutureExt, AsyncContext, Context, WrapFuture};
use bytes::Bytes;
use gaung_cluster::fact::{CachedEvent, Member};
use tokio::task::yield_now;

use super::{
    Unpublished,
    actor::{Cause, Room},
    backlog::Permit,
    cached::{self, Cache},
    dialect::Announcement,
    held::Held,
    membership::Change,
    messages::{Forwarded, FromPeers, Join, Opening, RoomMessage},
};
use crate::{
    event::{Cached, EncodedEvent, wire},
    protocol::Close,
    trace_log, turn,
};

/// Whether a room knows how things stand on other nodes.
pub enum Phase {
    /// Not yet; what waits for it.
    Opening(Held),
    /// It does, and takes what has waited, so many messages a turn. The first of them waited for the opening.
    CatchingUp(Held, usize),
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
            FromPeers::Terminated(user) => self.close_member(&user),
            FromPeers::Event(event, permit) => self.announce_event(event, Some(permit)),
            FromPeers::Cached(cached, permit) => self.hear_cached(cached, permit, ctx),
            FromPeers::CacheRepaired(cached) => self.keep(cached, ctx),
            FromPeers::CacheEvicted(at) => self.cache.evict(at),
        }
    }

    fn open(&mut self, opening: Opening, ctx: &mut Context<Self>) {
        let Phase::Opening(held) = &mut self.phase else { return };
        let held = std::mem::take(held);
        let waited = held.len();
        self.phase = Phase::CatchingUp(held, waited);
        self.elsewhere = opening.subscriptions;
        for member in opening.members {
            self.membership.set_elsewhere(&member.user.clone(), Some(member));
        }
        if let Some(cached) = opening.cached {
            self.keep(cached, ctx);
        }
        self.catch_up(ctx);
    }

    fn catch_up(&mut self, ctx: &mut Context<Self>) {
        for _ in 0..turn::BUDGET {
            let Phase::CatchingUp(held, waited) = &mut self.phase else { return };
            let has_waited = *waited > 0;
            *waited = waited.saturating_sub(1);
            let Some(Forwarded { message, underway: _underway }) = held.pop() else {
                self.phase = Phase::Open;
                self.services.present.borrow_mut().has_opened(self.app.id(), &self.channel);
                continue;
            };
            match message {
                // It was published before what the room has just learnt was known here, and may be older.
                RoomMessage::Publish(event, permit, place) if has_waited => {
                    let at = Cache::default().date(event.accepted_at);
                    self.publish_dated(event, (permit, place), at, ctx);
                }
                message => {
                    self.act(message, ctx);
                }
            }
        }
        self.tell_members();
        let others = yield_now().into_actor(self);
        ctx.spawn(others.map(|(), room, ctx| {
            room.catch_up(ctx);
            room.settle(ctx);
        }));
    }

    /// Before the room is open nobody is there to be told. Of very many members the first come before the opening.
    fn hear_member(&mut self, user: &Arc<str>, member: Option<Member>) {
        let change = self.membership.set_elsewhere(user, member);
        if matches!(self.phase, Phase::Opening(_)) {
            return;
        }
        match change {
            Change::Added(info) => self.note_added(user, info, None),
            Change::Removed(info) => self.note_removed(user, info),
            Change::Stays => {}
        }
    }

    fn hear_cached(&mut self, cached: Cached, permit: Permit, ctx: &mut Context<Self>) {
        let event = cached.event.clone();
        self.keep(cached, ctx);
        self.announce_event(event, Some(permit));
    }

    /// Keeps an event for later subscribers unless a newer one is kept.
    pub(super) fn keep(&mut self, cached: Cached, ctx: &mut Context<Self>) {
        if !self.cache.is_behind(&cached.record) {
            return;
        }
        let is_alone = self.services.cluster.is_none();
        let put =
            || self.services.shelf.put(self.app.id(), &self.channel, cached.record.at, cached.bytes(&self.channel));
        let place = if is_alone { put() } else { None };
        if self.cache.keep(cached, place) {
            self.watch_expiry(ctx);
        }
    }

    /// Announces an event to all sockets here but the excluded one.
    pub(super) fn announce_event(&mut self, event: EncodedEvent, permit: Option<Permit>) {
        let except = event.except;
        if event.trace.is_some() {
            let excluded = usize::from(except.is_some_and(|socket| self.fanout.contains(socket)));
            trace_log::delivered(&self.app, &event, self.fanout.len() - excluded);
        }
        if self.fanout.len() == 0 {
            return self.tell_published(event, 0);
        }
        // An event may be about a member that came a moment ago.
        self.tell_members();
        self.announce(Announcement::Event(event), except, permit);
    }

    /// Tells the shard and the other nodes how a user is in this channel here.
    pub(super) fn tell_member(&self, user: &Arc<str>) {
        let member = self.membership.here(user);
        let mut present = self.services.present.borrow_mut();
        match member.sockets {
            0 => present.leave(self.app.id(), user, &self.channel),
            _ => present.enter(self.app.id(), user, &self.channel),
        }
        if let Some(cluster) = &self.services.cluster {
            cluster.member(&self.app, &self.channel, member);
        }
    }

    /// Closes the sockets that are in the channel as a user, or wait to join as one. They leave it when they are gone.
    fn close_member(&self, user: &str) {
        let is_user = |id| self.membership.user_of(id).is_some_and(|known| **known == *user);
        let is_claimed = |join: &&Join| join.claim.as_ref().is_some_and(|claim| *claim.id == *user);
        let held = match &self.phase {
            Phase::Opening(held) | Phase::CatchingUp(held, _) => Some(held),
            Phase::Open => None,
        };
        let waiting = held.into_iter().flat_map(Held::joins).filter(is_claimed).map(|join| &join.subscriber);
        let members = self.fanout.subscribers().filter(|subscriber| is_user(subscriber.id));
        for subscriber in members.chain(waiting) {
            subscriber.dialect.words().close(&subscriber.outbox, Close::Terminated);
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

    /// Publishes a client's event on the other nodes, if they can be sent it.
    pub(super) fn whisper_to_peers(&self, event: &EncodedEvent) -> Result<(), Unpublished> {
        let Some(cluster) = &self.services.cluster else { return Ok(()) };
        let (bytes, limit) = (event.frame.len(), cluster.max_frame());
        if bytes > limit {
            return Err(Unpublished::TooLarge { bytes, limit });
        }
        cluster.reserve(&[bytes])?.into_iter().for_each(|place| cluster.publish(&self.app, event, place));
        Ok(())
    }

    /// The event as a record that all nodes keep. The record and the room share its bytes.
    pub(super) fn cached_at(&self, event: &EncodedEvent, at: u64) -> Cached {
        let (mut event, ttl) = (event.clone(), self.app.settings().cache_ttl);
        let record = if self.services.cluster.is_some() {
            let record = cached::record(&event, at, ttl);
            event.frame = record.payload.slice(wire::HEADER..);
            record
        } else {
            // Only its room compares it, by its date.
            CachedEvent { at, ttl: 0, payload: Bytes::new() }
        };
        Cached { event, record, expires: Instant::now() + ttl }
    }
}

//! The actor of one channel of one app: decides who is in, keeps the cached event, and serves the subscribers.

use std::{
    rc::Rc,
    sync::{Arc, atomic::Ordering::Relaxed},
    time::Instant,
};

use actix::{Actor, ActorFutureExt, Addr, AsyncContext, Context, Handler, WrapFuture};
use futures_util::future::join_all;

use super::{
    CachedEvent, Counts, Event, Member, Origin,
    backlog::Permit,
    cached::Cache,
    carrier::{Carry, LARGE},
    count_notice::{CountNotice, Notice},
    dialect::Announcement,
    event::{self, EncodedEvent},
    fanout::{Completed, Fanout, Served, Subscriber},
    from_peers::Phase,
    membership::{self, Joined, Membership},
    messages::{Forwarded, ListMembers, ReadCache, Retire, RoomMessage, Whisper},
    shard::{Services, Shard, Tally},
};
use crate::{
    app::App,
    cluster::Cluster,
    happenings::{Happening, What},
    protocol::{ChannelKind, ChannelName, SocketId, outbound, presence::MemberClaim},
    session::Outbox,
    webhook::{Change, Edge},
};

/// One channel of one app on this node. It lives while it has subscribers, work or, where there are no other nodes to
/// keep it, a cached event.
pub struct Room {
    pub(super) app: Arc<App>,
    pub(super) channel: ChannelName,
    kind: ChannelKind,
    pub(super) phase: Phase,
    pub(super) fanout: Fanout,
    pub(super) membership: Membership,
    /// Subscribers on other nodes.
    pub(super) elsewhere: usize,
    /// The number of subscribers here that the other nodes were told.
    pub(super) told: usize,
    pub(super) cache: Cache,
    notice: CountNotice,
    /// Whether a change here is among those that were not told to subscribers yet.
    count_is_ours: bool,
    /// Whether a serving turn is scheduled.
    serving: bool,
    tally: Rc<Tally>,
    shard: Addr<Shard>,
    pub(super) services: Rc<Services>,
}

/// Where the number of subscribers changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// On this node, which tells the webhooks.
    Here,
    /// On another node.
    Elsewhere,
}

impl Room {
    /// A room without subscribers. `tally` is how it tells its shard what it holds.
    pub fn new(
        app: Arc<App>,
        channel: ChannelName,
        tally: Rc<Tally>,
        shard: Addr<Shard>,
        services: Rc<Services>,
    ) -> Self {
        let kind = channel.kind();
        let phase = if services.cluster.is_some() { Phase::Opening(Vec::new()) } else { Phase::Open };
        Self {
            app,
            channel,
            kind,
            phase,
            fanout: Fanout::default(),
            membership: Membership::default(),
            elsewhere: 0,
            told: 0,
            cache: Cache::default(),
            notice: CountNotice::default(),
            count_is_ours: false,
            serving: false,
            tally,
            shard,
            services,
        }
    }

    /// Takes a message; while the room opens, all but the news of other nodes waits.
    pub(super) fn take(&mut self, message: RoomMessage, ctx: &mut Context<Self>) {
        match (message, &mut self.phase) {
            (RoomMessage::FromPeers(news), _) => self.hear(news, ctx),
            (message, Phase::Opening(waiting)) => waiting.push(message),
            (RoomMessage::Join(subscriber, claim), Phase::Open) => self.join(subscriber, claim, ctx),
            (RoomMessage::Leave(socket), Phase::Open) => self.leave(socket, ctx),
            (RoomMessage::Publish(event, permit), Phase::Open) => self.publish(event, permit, ctx),
            (RoomMessage::Whisper(whisper), Phase::Open) => self.whisper(whisper),
        }
    }

    fn join(&mut self, subscriber: Subscriber, claim: Option<MemberClaim>, ctx: &mut Context<Self>) {
        let limit = self.app.settings().max_presence_members;
        let now = u64::try_from(event::now().1.as_millis()).unwrap_or(u64::MAX);
        let joined = claim.as_ref().map(|claim| self.membership.join(subscriber.id, claim, limit, now)).transpose();
        let joined = match joined {
            Ok(joined) => joined,
            Err(refusal) => {
                let frames = subscriber.dialect.join_refused(&self.channel, &refusal, limit);
                frames.iter().for_each(|frame| subscriber.outbox.send(frame));
                return;
            }
        };
        let id = subscriber.id;
        let is_new = self.fanout.insert(subscriber.clone());
        // Told before the answer, so that a question asked after it counts this subscriber.
        self.tell_subscriptions();
        if let (true, Some(user)) = (is_new, self.membership.user_of(id)) {
            self.tell_member(user);
        }
        self.welcome(&subscriber);
        if is_new {
            self.tell(|channel| What::Subscribed { socket: id, channel });
        }
        if is_new && self.fanout.len() == 1 {
            self.tell_edge(Change::Occupied);
        }
        if let (Some(Joined::Added), Some(claim)) = (joined, claim) {
            self.tell_edge(Change::MemberAdded(claim.id.clone()));
            self.fanout.announce(Announcement::MemberAdded(claim.id, claim.info), Some(id), None);
        }
        if is_new {
            self.count_changed(Cause::Here, ctx);
        }
    }

    /// Success first, then the cached event; nothing that is announced later can overtake them.
    fn welcome(&mut self, subscriber: &Subscriber) {
        let members = self.kind.is_presence().then(|| self.membership.snapshot());
        let frames = subscriber.dialect.subscribed(&self.channel, members.as_deref());
        frames.iter().for_each(|frame| subscriber.outbox.send(frame));
        if !self.kind.is_cached() {
            return;
        }
        let frame = match self.cache.fresh(Instant::now()) {
            Some(cached) => subscriber.dialect.event(&cached.event),
            None => {
                self.tell_webhooks(Change::CacheMiss);
                subscriber.dialect.cache_miss(&self.channel)
            }
        };
        frame.iter().for_each(|frame| subscriber.outbox.send(frame));
    }

    fn leave(&mut self, socket: SocketId, ctx: &mut Context<Self>) {
        if !self.fanout.remove(socket) {
            return;
        }
        self.tell(|channel| What::Unsubscribed { socket, channel });
        if self.services.cluster.as_ref().is_some_and(Cluster::is_leaving) {
            self.membership.hold(socket);
        } else if let Some(left) = self.membership.leave(socket) {
            self.tell_member(&left.user);
            if left.change == membership::Change::Removed {
                self.tell_edge(Change::MemberRemoved(left.user.to_string()));
                self.announce(Announcement::MemberRemoved(left.user.to_string()), None, None);
            }
        }
        self.count_changed(Cause::Here, ctx);
        if self.fanout.len() == 0 {
            self.tell_edge(Change::Vacated);
        }
    }

    fn publish(&mut self, event: EncodedEvent, permit: Permit, ctx: &mut Context<Self>) {
        let at = self.cache.date(event.accepted_at);
        self.publish_dated(event, permit, at, ctx);
    }

    /// Publishes an event that is newer than those dated before `at`, in microseconds of the Unix epoch.
    pub(super) fn publish_dated(&mut self, event: EncodedEvent, permit: Permit, at: u64, ctx: &mut Context<Self>) {
        if self.kind.is_cached() && event.origin == Origin::BackEnd {
            let cached = self.cached_at(&event, at);
            if let Some(cluster) = &self.services.cluster {
                cluster.cache(&self.app, &self.channel, cached.record.clone(), event.trace);
            }
            self.keep(cached, ctx);
        }
        self.announce_event(event, Some(permit));
    }

    /// Announces something to all sockets here; nothing waits where there are none.
    pub(super) fn announce(&mut self, announcement: Announcement, except: Option<SocketId>, permit: Option<Permit>) {
        if self.fanout.len() > 0 {
            self.fanout.announce(announcement, except, permit);
        }
    }

    fn whisper(&mut self, whisper: Whisper) {
        let Whisper { sender, name, data } = whisper;
        if !self.fanout.contains(sender.id) {
            return refuse_whisper(&sender, &self.channel);
        }
        let user_id = self.membership.user_of(sender.id).map(|user| user.to_string());
        let change = Change::ClientEvent {
            event: name.clone(),
            data: data.clone(),
            socket_id: sender.id,
            user_id: user_id.clone(),
        };
        let event = Event::from_client(self.channel.clone(), name, data, (sender.id, user_id), event::now()).encode();
        if !self.whisper_to_peers(&event) {
            let text = "the node has too many events on their way to other nodes (GAUNG_MAX_QUEUED_BUS_EVENTS)";
            return sender.outbox.send(&outbound::error(None, text, Some(self.channel.as_str())));
        }
        self.app.counters.client_events_in.fetch_add(1, Relaxed);
        self.tell_webhooks(change);
        self.announce_event(event, None);
    }

    /// Forgets the cached event when its time has come, which a later event may have put off.
    pub(super) fn watch_expiry(&self, ctx: &mut Context<Self>) {
        let Some(rest) = self.cache.rest(Instant::now()) else { return };
        ctx.run_later(rest, |room, ctx| {
            if room.cache.fresh(Instant::now()).is_some() {
                return room.watch_expiry(ctx);
            }
            room.cache.clear();
            room.settle(ctx);
        });
    }

    /// How many are subscribed on all nodes.
    fn subscriptions(&self) -> usize {
        self.fanout.len() + self.elsewhere
    }

    pub(super) fn count_changed(&mut self, cause: Cause, ctx: &mut Context<Self>) {
        if self.kind.is_presence() || !self.app.settings().subscription_counts {
            return;
        }
        self.count_is_ours |= cause == Cause::Here;
        match self.notice.changed(self.subscriptions(), Instant::now()) {
            Notice::Now => self.tell_count(),
            Notice::Waiting => {}
            Notice::After(pause) => {
                ctx.run_later(pause, |room, ctx| {
                    room.notice.told(Instant::now());
                    room.tell_count();
                    room.settle(ctx);
                });
            }
        }
    }

    /// Of a change the node tells the webhooks that it happened on, so that they hear of it once.
    fn tell_count(&mut self) {
        let count = self.subscriptions();
        if std::mem::take(&mut self.count_is_ours) {
            self.tell_webhooks(Change::SubscriptionCount(count));
        }
        self.announce(Announcement::SubscriptionCount(count), None, None);
    }

    /// In a cluster the edges of one node say nothing: webhooks hear of those of all nodes together.
    fn tell_edge(&self, change: Change) {
        if self.services.cluster.is_none() {
            self.tell_webhooks(change);
        }
    }

    fn tell_webhooks(&self, change: Change) {
        self.services.webhooks.notify(&self.app, Edge { channel: self.channel.clone(), change });
    }

    fn tell(&self, what: impl FnOnce(ChannelName) -> What) {
        let happenings = &self.services.metrics.happenings;
        happenings.tell(|| Happening::of(self.app.id().clone(), what(self.channel.clone())));
    }

    pub(super) fn tell_published(&self, event: EncodedEvent, sockets: usize) {
        let happenings = &self.services.metrics.happenings;
        happenings.tell(|| Happening::published(self.app.id().clone(), event, sockets));
    }

    /// Serves one slice of subscribers; the thread's other rooms have their turn before the next. A very large room is
    /// served whole, by all threads.
    fn serve(&mut self, ctx: &mut Context<Self>) {
        if self.fanout.len() >= LARGE && self.services.carriers.len() > 1 {
            return self.serve_by_all(ctx);
        }
        let served = self.fanout.serve(&self.channel);
        self.finish_turn(served, ctx);
    }

    fn serve_by_all(&mut self, ctx: &mut Context<Self>) {
        let (writes, served) = self.fanout.hand_over(&self.channel);
        let carriers = self.services.carriers.iter();
        let shares = writes.chunks(writes.len().div_ceil(carriers.len()).max(1));
        let carried = join_all(carriers.zip(shares).map(|(carrier, share)| carrier.send(Carry(share.to_vec()))));
        ctx.spawn(carried.into_actor(self).map(|_, room, ctx| room.finish_turn(served, ctx)));
    }

    fn finish_turn(&mut self, served: Served, ctx: &mut Context<Self>) {
        self.serving = false;
        self.app.counters.deliveries.fetch_add(served.deliveries, Relaxed);
        self.app.counters.bytes_out.fetch_add(served.bytes, Relaxed);
        for Completed { event, sockets } in served.completed {
            self.services.metrics.fan_out_seconds.observe(event.accepted.elapsed().as_secs_f64());
            self.tell_published(event, sockets);
        }
        if served.more || !served.crowded.is_empty() {
            self.serving = true;
            let others = others_turn(served.crowded).into_actor(self);
            ctx.spawn(others.map(|(), room, ctx| room.serve(ctx)));
        }
        self.settle(ctx);
    }

    /// After every change: schedules what waits, tells the shard what the room holds, and retires when that is nothing.
    /// A serving turn comes after all messages that wait now, so that what they announce shares one write.
    fn settle(&mut self, ctx: &mut Context<Self>) {
        if self.fanout.is_waiting() && !self.serving {
            self.serving = true;
            ctx.spawn(async {}.into_actor(self).map(|(), room, ctx| room.serve(ctx)));
        }
        self.tell_subscriptions();
        self.tally.counts.set(Counts { subscriptions: self.fanout.len(), users: self.membership.count_here() });
        let is_idle = self.fanout.len() == 0 && !self.fanout.is_waiting() && self.keeps_nothing();
        self.tally.idle.set(is_idle);
        if is_idle {
            self.shard.do_send(Retire { app_id: self.app.id().clone(), channel: self.channel.clone() });
        }
    }

    fn keeps_nothing(&self) -> bool {
        match &self.phase {
            Phase::Opening(waiting) => waiting.is_empty(),
            Phase::Open => self.services.cluster.is_some() || self.cache.is_empty(),
        }
    }
}

impl Actor for Room {
    type Context = Context<Self>;
}

impl Handler<Forwarded> for Room {
    type Result = ();

    fn handle(&mut self, Forwarded { message, underway: _underway }: Forwarded, ctx: &mut Context<Self>) {
        self.tally.in_flight.set(self.tally.in_flight.get() - 1);
        self.take(message, ctx);
        self.settle(ctx);
    }
}

impl Handler<ListMembers> for Room {
    type Result = Vec<Member>;

    fn handle(&mut self, _: ListMembers, _: &mut Context<Self>) -> Vec<Member> {
        let members = self.membership.snapshot();
        members.into_iter().map(|(id, info)| Member { id: id.to_owned(), info: info.to_owned() }).collect()
    }
}

impl Handler<ReadCache> for Room {
    type Result = Option<CachedEvent>;

    fn handle(&mut self, _: ReadCache, _: &mut Context<Self>) -> Option<CachedEvent> {
        let now = Instant::now();
        let data = self.cache.fresh(now)?.event.words()?.data.clone();
        Some(CachedEvent { data, ttl: self.cache.rest(now)? })
    }
}

/// Ends when the thread's other rooms had their turn, and sessions for which much waits had theirs.
async fn others_turn(crowded: Vec<Arc<Outbox>>) {
    tokio::task::yield_now().await;
    for outbox in crowded {
        outbox.offered().await;
    }
}

/// Tells a client that it may not publish where it is not subscribed.
pub fn refuse_whisper(sender: &Subscriber, channel: &ChannelName) {
    let text = format!("Cannot broadcast client event (connection not subscribed to channel {channel})");
    sender.outbox.send(&outbound::error(None, &text, Some(channel.as_str())));
}

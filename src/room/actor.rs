//! The actor of one channel of one app: decides who is in, keeps the cached event, and serves the subscribers.

use std::{rc::Rc, sync::Arc, time::Instant};

use actix::{Actor, Addr, AsyncContext, Context, Handler, WrapFuture};
use bytes::Bytes;
use gaung_cluster::bus::PublishPermit;
use tokio::task::yield_now;

use super::{
    Join,
    backlog::Permit,
    cached::Cache,
    count_notice::{CountNotice, Notice},
    dialect::Announcement,
    fanout::{Fanout, Subscriber},
    from_peers::Phase,
    held::Held,
    member_notices::MemberNotices,
    membership::{self, JoinRefusal, Joined, Membership},
    messages::{Forwarded, ListMembers, ReadCache, RoomMessage},
    registered::Tally,
    shard::{Services, Shard},
};
use crate::{
    activity::{Happening, What},
    app::App,
    cluster::Cluster,
    event::{self, CachedEvent, EncodedEvent, Member, Origin},
    protocol::{ChannelKind, ChannelName, SocketId},
    turn::Turn,
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
    /// What the subscribers were not told of the members yet.
    pub(super) notices: MemberNotices,
    /// Subscribers on other nodes.
    pub(super) elsewhere: usize,
    /// The number of subscribers here that the other nodes were told.
    pub(super) told: usize,
    pub(super) cache: Cache,
    notice: CountNotice,
    /// Whether a change here is among those that were not told to subscribers yet.
    count_is_ours: bool,
    /// Whether a serving turn is scheduled.
    pub(super) serving: bool,
    /// Until then the room waits for nobody who has fallen behind.
    pub(super) impatient_until: Option<Instant>,
    /// Whether a turn is scheduled that announces what is due of the members.
    pub(super) telling: bool,
    /// Whether the room looks again when a notice is due.
    pub(super) pausing: bool,
    turn: Turn,
    pub(super) tally: Rc<Tally>,
    pub(super) shard: Addr<Shard>,
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
        let phase = if services.cluster.is_some() { Phase::Opening(Held::default()) } else { Phase::Open };
        Self {
            app,
            channel,
            kind,
            phase,
            fanout: Fanout::new(services.batch_bytes),
            membership: Membership::default(),
            notices: MemberNotices::default(),
            elsewhere: 0,
            told: 0,
            cache: Cache::default(),
            notice: CountNotice::default(),
            count_is_ours: false,
            serving: false,
            impatient_until: None,
            telling: false,
            pausing: false,
            turn: Turn::default(),
            tally,
            shard,
            services,
        }
    }

    /// Takes a message; while the room opens, all but the news of other nodes waits. Returns how many bytes the one who
    /// sent it was written.
    fn take(&mut self, forwarded: Forwarded, ctx: &mut Context<Self>) -> usize {
        match (forwarded, &mut self.phase) {
            (Forwarded { message: RoomMessage::FromPeers(news), .. }, _) => self.hear(news, ctx),
            (forwarded, Phase::Opening(held)) => held.push(forwarded),
            (forwarded, Phase::CatchingUp(held, _)) => held.append(forwarded),
            (Forwarded { message, underway: _underway }, Phase::Open) => return self.act(message, ctx),
        }
        0
    }

    /// Does what a message says. Returns how many bytes the one who sent it was written.
    pub(super) fn act(&mut self, message: RoomMessage, ctx: &mut Context<Self>) -> usize {
        match message {
            RoomMessage::FromPeers(news) => self.hear(news, ctx),
            RoomMessage::Join(join) => return self.join(join, ctx),
            RoomMessage::Leave(socket) => self.leave(socket, ctx),
            RoomMessage::Publish(event, permit, place) => self.publish(event, (permit, place), ctx),
            RoomMessage::Whisper(whisper, permit) => self.whisper(whisper, permit),
        }
        0
    }

    fn join(&mut self, join: Join, ctx: &mut Context<Self>) -> usize {
        let joined = match self.admit(&join) {
            Ok(joined) => joined,
            Err(refusal) => {
                self.refuse_join(&join, &refusal);
                return 0;
            }
        };
        let Join { subscriber, claim, .. } = join;
        let id = subscriber.id;
        if let (Some(Joined::Known), Some(claim)) = (&joined, &claim) {
            // One more socket of a user must not be told later that this user has come.
            self.tell_member_now(&claim.id);
        }
        let is_new = self.fanout.insert(subscriber.clone());
        let user = self.membership.user_of(id).cloned();
        // Told before the answer, so that a question asked after it counts this subscriber.
        self.tell_subscriptions();
        if let (true, Some(user)) = (is_new, &user) {
            self.tell_member(user);
        }
        let bytes = self.welcome(&subscriber);
        if is_new {
            self.tell(|channel| What::Subscribed { socket: id, channel });
        }
        if is_new && self.fanout.len() == 1 {
            self.tell_edge(Change::Occupied);
        }
        if let (Some(Joined::Added), Some(claim), Some(user)) = (joined, claim, user) {
            self.tell_edge(Change::MemberAdded(claim.id));
            self.note_added(&user, claim.info.into(), Some(id));
        }
        if is_new {
            self.count_changed(Cause::Here, ctx);
        }
        bytes
    }

    /// Makes the socket a member, where the channel has members.
    fn admit(&mut self, join: &Join) -> Result<Option<Joined>, JoinRefusal> {
        let limit = self.app.settings().max_presence_members;
        let now = u64::try_from(event::now().1.as_millis()).unwrap_or(u64::MAX);
        let claim = join.claim.as_ref();
        claim.map(|claim| self.membership.join(join.subscriber.id, claim, limit, now)).transpose()
    }

    /// Success first, then the cached event; nothing that is announced later can overtake them. Returns their bytes.
    fn welcome(&mut self, subscriber: &Subscriber) -> usize {
        let own = self.membership.user_of(subscriber.id).map(|user| &**user);
        let members = || self.notices.as_told(self.membership.snapshot(), own);
        let members = self.kind.is_presence().then(members);
        let mut frames = subscriber.dialect.subscribed(&self.channel, members.as_deref());
        if self.kind.is_cached() {
            frames.extend(self.show_cached(subscriber));
        }
        frames.iter().for_each(|frame| subscriber.outbox.send(frame));
        frames.iter().map(Bytes::len).sum()
    }

    fn show_cached(&self, subscriber: &Subscriber) -> Option<Bytes> {
        match self.cache.fresh(Instant::now()) {
            Some(cached) => subscriber.dialect.event(&cached.event),
            None => {
                self.tell_webhooks(Change::CacheMiss);
                subscriber.dialect.cache_miss(&self.channel)
            }
        }
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
            if let membership::Change::Removed(info) = left.change {
                self.tell_edge(Change::MemberRemoved(left.user.to_string()));
                self.note_removed(&left.user, info);
            }
        }
        self.count_changed(Cause::Here, ctx);
        if self.fanout.len() == 0 {
            self.tell_edge(Change::Vacated);
        }
    }

    fn publish(&mut self, event: EncodedEvent, places: (Permit, Option<PublishPermit>), ctx: &mut Context<Self>) {
        let at = self.cache.date(event.accepted_at);
        self.publish_dated(event, places, at, ctx);
    }

    /// Publishes an event that is newer than those dated before `at`, in microseconds of the Unix epoch.
    pub(super) fn publish_dated(
        &mut self,
        event: EncodedEvent,
        (permit, place): (Permit, Option<PublishPermit>),
        at: u64,
        ctx: &mut Context<Self>,
    ) {
        if self.kind.is_cached() && event.origin == Origin::BackEnd {
            let cached = self.cached_at(&event, at);
            if let (Some(cluster), Some(place)) = (&self.services.cluster, place) {
                cluster.cache(&self.app, &self.channel, cached.record.clone(), (event.trace, place));
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

    /// Forgets the cached event when its time has come, which a later event may have put off.
    pub(super) fn watch_expiry(&mut self, ctx: &mut Context<Self>) {
        let Some(rest) = self.cache.rest(Instant::now()) else { return self.cache.unwatch() };
        ctx.run_later(rest, |room, ctx| {
            if room.cache.fresh(Instant::now()).is_some() {
                return room.watch_expiry(ctx);
            }
            room.cache.clear();
            room.cache.unwatch();
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

    pub(super) fn tell_webhooks(&self, change: Change) {
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
}

impl Actor for Room {
    type Context = Context<Self>;
}

impl Handler<Forwarded> for Room {
    type Result = ();

    fn handle(&mut self, forwarded: Forwarded, ctx: &mut Context<Self>) {
        self.tally.in_flight.set(self.tally.in_flight.get() - 1);
        let bytes = self.take(forwarded, ctx);
        self.settle(ctx);
        if self.turn.is_over(bytes) {
            // Who was answered is a member for all who come from now on.
            self.tell_members();
            ctx.wait(yield_now().into_actor(self));
        }
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

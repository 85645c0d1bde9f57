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
    carrier::{Carry, LARGE},
    count_notice::{CountNotice, Notice},
    dialect::Announcement,
    event::{self, EncodedEvent},
    fanout::{Fanout, Served, Subscriber},
    membership::{Joined, Left, Membership},
    messages::{ListMembers, ReadCache, Retire, RoomMessage, Whisper},
    shard::{Services, Shard, Tally},
};
use crate::{
    app::App,
    protocol::{ChannelKind, ChannelName, SocketId, outbound, presence::MemberClaim},
    webhook::{Change, Edge},
};

/// One channel of one app on this node. It lives while it has subscribers, a cached event or work.
pub struct Room {
    app: Arc<App>,
    channel: ChannelName,
    kind: ChannelKind,
    fanout: Fanout,
    membership: Membership,
    cached: Option<Cached>,
    notice: CountNotice,
    /// Whether a serving turn is scheduled.
    serving: bool,
    tally: Rc<Tally>,
    shard: Addr<Shard>,
    services: Rc<Services>,
}

struct Cached {
    event: EncodedEvent,
    expires: Instant,
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
        Self {
            app,
            channel,
            kind,
            fanout: Fanout::default(),
            membership: Membership::default(),
            cached: None,
            notice: CountNotice::default(),
            serving: false,
            tally,
            shard,
            services,
        }
    }

    fn join(&mut self, subscriber: Subscriber, claim: Option<MemberClaim>, ctx: &mut Context<Self>) {
        let limit = self.app.settings().max_presence_members;
        let joined = claim.as_ref().map(|claim| self.membership.join(subscriber.id, claim, limit)).transpose();
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
        self.welcome(&subscriber);
        if is_new && self.fanout.len() == 1 {
            self.tell_webhooks(Change::Occupied);
        }
        if let (Some(Joined::Added), Some(claim)) = (joined, claim) {
            self.tell_webhooks(Change::MemberAdded(claim.id.clone()));
            self.fanout.announce(Announcement::MemberAdded(claim.id, claim.info), Some(id), None);
        }
        if is_new {
            self.count_changed(ctx);
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
        match self.fresh_cache() {
            Some(cached) => subscriber.outbox.send(&subscriber.dialect.event(&cached.event)),
            None => {
                subscriber.dialect.cache_miss(&self.channel).iter().for_each(|frame| subscriber.outbox.send(frame));
                self.tell_webhooks(Change::CacheMiss);
            }
        }
    }

    fn leave(&mut self, socket: SocketId, ctx: &mut Context<Self>) {
        if !self.fanout.remove(socket) {
            return;
        }
        if let Some(Left::Removed(user)) = self.membership.leave(socket) {
            self.tell_webhooks(Change::MemberRemoved(user.to_string()));
            self.fanout.announce(Announcement::MemberRemoved(user.to_string()), None, None);
        }
        self.count_changed(ctx);
        if self.fanout.len() == 0 {
            self.tell_webhooks(Change::Vacated);
        }
    }

    fn publish(&mut self, event: EncodedEvent, permit: Option<Permit>, ctx: &mut Context<Self>) {
        if self.kind.is_cached() && event.origin == Origin::BackEnd {
            self.cache(event.clone(), ctx);
        }
        if self.fanout.len() > 0 {
            let except = event.except;
            self.fanout.announce(Announcement::Event(event), except, permit);
        }
    }

    fn whisper(&mut self, whisper: Whisper, ctx: &mut Context<Self>) {
        let Whisper { sender, name, data } = whisper;
        if !self.fanout.contains(sender.id) {
            return refuse_whisper(&sender, &self.channel);
        }
        let user_id = self.membership.user_of(sender.id).map(str::to_owned);
        self.app.counters.client_events_in.fetch_add(1, Relaxed);
        self.tell_webhooks(Change::ClientEvent {
            event: name.clone(),
            data: data.clone(),
            socket_id: sender.id,
            user_id: user_id.clone(),
        });
        let event = Event::from_client(self.channel.clone(), name, data, (sender.id, user_id), event::now());
        self.publish(event.encode(), None, ctx);
    }

    fn cache(&mut self, event: EncodedEvent, ctx: &mut Context<Self>) {
        let expires = Instant::now() + self.app.settings().cache_ttl;
        if self.cached.replace(Cached { event, expires }).is_none() {
            self.watch_expiry(ctx);
        }
    }

    /// Forgets the cached event when its time has come, which a later event may have put off.
    fn watch_expiry(&self, ctx: &mut Context<Self>) {
        let Some(cached) = &self.cached else { return };
        let rest = cached.expires.saturating_duration_since(Instant::now());
        ctx.run_later(rest, |room, ctx| {
            if room.fresh_cache().is_some() {
                return room.watch_expiry(ctx);
            }
            room.cached = None;
            room.settle(ctx);
        });
    }

    fn fresh_cache(&self) -> Option<&Cached> {
        self.cached.as_ref().filter(|cached| cached.expires > Instant::now())
    }

    fn count_changed(&mut self, ctx: &mut Context<Self>) {
        if self.kind.is_presence() || !self.app.settings().subscription_counts {
            return;
        }
        match self.notice.changed(self.fanout.len(), Instant::now()) {
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

    fn tell_count(&mut self) {
        let count = self.fanout.len();
        self.tell_webhooks(Change::SubscriptionCount(count));
        if count > 0 {
            self.fanout.announce(Announcement::SubscriptionCount(count), None, None);
        }
    }

    fn tell_webhooks(&self, change: Change) {
        self.services.webhooks.notify(&self.app, Edge { channel: self.channel.clone(), change });
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
        for accepted in served.completed {
            self.services.metrics.fan_out_seconds.observe(accepted.elapsed().as_secs_f64());
        }
        if served.more {
            self.serving = true;
            let others = tokio::task::yield_now().into_actor(self);
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
        self.tally.counts.set(Counts { subscriptions: self.fanout.len(), users: self.membership.len() });
        let is_idle = self.fanout.len() == 0 && !self.fanout.is_waiting() && self.cached.is_none();
        self.tally.idle.set(is_idle);
        if is_idle {
            self.shard.do_send(Retire { app_id: self.app.id().clone(), channel: self.channel.clone() });
        }
    }
}

impl Actor for Room {
    type Context = Context<Self>;
}

impl Handler<RoomMessage> for Room {
    type Result = ();

    fn handle(&mut self, message: RoomMessage, ctx: &mut Context<Self>) {
        self.tally.in_flight.set(self.tally.in_flight.get() - 1);
        match message {
            RoomMessage::Join(subscriber, claim) => self.join(subscriber, claim, ctx),
            RoomMessage::Leave(socket) => self.leave(socket, ctx),
            RoomMessage::Publish(event, permit) => self.publish(event, Some(permit), ctx),
            RoomMessage::Whisper(whisper) => self.whisper(whisper, ctx),
        }
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
        let cached = self.fresh_cache()?;
        let ttl = cached.expires.saturating_duration_since(Instant::now());
        Some(CachedEvent { data: cached.event.data.clone(), ttl })
    }
}

/// Tells a client that it may not publish where it is not subscribed.
pub fn refuse_whisper(sender: &Subscriber, channel: &ChannelName) {
    let text = format!("Cannot broadcast client event (connection not subscribed to channel {channel})");
    sender.outbox.send(&outbound::error(None, &text, Some(channel.as_str())));
}

//! How a room serves its subscribers: members that came and went, slices of batches, and the rest between them.

use std::{
    mem,
    sync::{Arc, atomic::Ordering::Relaxed},
    time::{Duration, Instant},
};

use actix::{ActorFutureExt, AsyncContext, Context, WrapFuture};
use futures_util::future::join_all;
use tokio::task::yield_now;

use super::{
    Counts,
    actor::Room,
    carrier::{Carry, LARGE},
    dialect::Announcement,
    fanout::{Completed, Served},
    from_peers::Phase,
    member_notices::Notice,
    messages::Retire,
};
use crate::{protocol::SocketId, session::Outbox};

/// How often a room looks whether those who read slowly have caught up with a burst, and how often at most: one who has
/// not read half of its outbox in a quarter of a second must not hold up the others.
const LOOK_EVERY: Duration = Duration::from_millis(5);
const LOOKS: u32 = 50;

impl Room {
    /// After every change: schedules what waits, tells the shard what the room holds, and retires when that is nothing.
    /// A serving turn comes after all messages that wait now, so that what they announce shares one write.
    pub(super) fn settle(&mut self, ctx: &mut Context<Self>) {
        if self.fanout.len() == 0 {
            // Nobody is there who could be told, and those who come are shown how it is.
            self.notices.forget();
        }
        self.schedule(ctx);
        self.tell_subscriptions();
        self.tally.counts.set(Counts { subscriptions: self.fanout.len(), users: self.membership.count_here() });
        let is_idle = self.fanout.len() == 0 && !self.fanout.is_waiting() && self.keeps_nothing();
        self.tally.idle.set(is_idle);
        if is_idle {
            self.shard.do_send(Retire { app_id: self.app.id().clone(), channel: self.channel.clone() });
        }
    }

    fn schedule(&mut self, ctx: &mut Context<Self>) {
        if self.fanout.is_waiting() && !mem::replace(&mut self.serving, true) {
            ctx.spawn(async {}.into_actor(self).map(|(), room, ctx| room.serve(ctx)));
        }
        let Some(next) = self.notices.next() else { return };
        let pause = next.saturating_duration_since(Instant::now());
        if pause.is_zero() && !mem::replace(&mut self.telling, true) {
            ctx.spawn(async {}.into_actor(self).map(|(), room, ctx| {
                room.telling = false;
                room.tell_members(Instant::now());
                room.settle(ctx);
            }));
        } else if !pause.is_zero() && !mem::replace(&mut self.pausing, true) {
            ctx.run_later(pause, |room, ctx| {
                room.pausing = false;
                room.settle(ctx);
            });
        }
    }

    fn keeps_nothing(&self) -> bool {
        match &self.phase {
            Phase::Opening(held) | Phase::CatchingUp(held, _) => held.len() == 0,
            Phase::Open => self.services.cluster.is_some() || self.cache.is_empty(),
        }
    }

    /// Serves one slice of subscribers; the thread's other rooms have their turn before the next. A very large room is
    /// served whole, by all threads.
    fn serve(&mut self, ctx: &mut Context<Self>) {
        self.tell_members(Instant::now());
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
            let looks = if served.is_large { LOOKS } else { 0 };
            let others = others_turn(served.crowded).into_actor(self);
            ctx.spawn(others.map(move |(), room, ctx| room.go_on(looks, ctx)));
        }
        self.settle(ctx);
    }

    /// Goes on when everybody has read most of what a burst has brought so far, or has had the time to.
    fn go_on(&mut self, looks: u32, ctx: &mut Context<Self>) {
        if looks > 0 && self.fanout.is_waiting() && self.fanout.is_anyone_behind() {
            ctx.run_later(LOOK_EVERY, move |room, ctx| room.go_on(looks - 1, ctx));
        } else {
            self.serve(ctx);
        }
    }

    /// A user came, by this socket if it was here.
    pub(super) fn note_added(&mut self, user: &Arc<str>, info: Arc<str>, except: Option<SocketId>) {
        self.notices.added(user, info, except, Instant::now());
    }

    /// A user went, of whom this `user_info` was shown.
    pub(super) fn note_removed(&mut self, user: &Arc<str>, info: Arc<str>) {
        self.notices.removed(user, info, Instant::now());
    }

    /// Announces the members whose change is due.
    pub(super) fn tell_members(&mut self, now: Instant) {
        let due = self.notices.take_due(now);
        self.announce_members(due);
    }

    /// Announces what was not told of one user yet.
    pub(super) fn tell_member_now(&mut self, user: &str) {
        let waiting = self.notices.take(user, Instant::now());
        self.announce_members(waiting);
    }

    fn announce_members(&mut self, notices: Vec<Notice>) {
        for notice in notices {
            match notice {
                Notice::Added(user, info, except) => {
                    self.announce(Announcement::MemberAdded(user, info), except, None);
                }
                Notice::Removed(user, except) => self.announce(Announcement::MemberRemoved(user), except, None),
            }
        }
    }
}

/// Ends when the thread's other rooms had their turn, and sessions for which much waits had theirs.
async fn others_turn(crowded: Vec<Arc<Outbox>>) {
    yield_now().await;
    for outbox in crowded {
        outbox.offered().await;
    }
}

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
    actor::Room,
    carrier::{Carry, LARGE},
    dialect::Announcement,
    fanout::{Completed, Served},
    from_peers::Phase,
    member_notices::Notice,
    messages::Retire,
};
use crate::{
    event::Counts,
    outbox::{Lag, Outbox},
    protocol::SocketId,
};

/// How often a room looks whether those who have fallen behind have caught up, and how often at most: half a second.
const LOOK_EVERY: Duration = Duration::from_millis(5);
const LOOKS: u32 = 100;

/// After it has waited in vain a room waits for nobody for so long, so that those who do not read hold up the others for a
/// small part of the time, however many they are.
const IMPATIENT: Duration = Duration::from_secs(5);

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
        self.tally.set_counts(Counts { subscriptions: self.fanout.len(), users: self.membership.count_here() });
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
                room.tell_members();
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
        self.tell_members();
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
        ctx.spawn(carried.into_actor(self).map(move |_, room, ctx| {
            let late = room.fanout.take_late();
            room.finish_turn(Served { late, ..served }, ctx);
        }));
    }

    fn finish_turn(&mut self, served: Served, ctx: &mut Context<Self>) {
        self.serving = false;
        self.app.counters.deliveries.fetch_add(served.deliveries, Relaxed);
        self.app.counters.bytes_out.fetch_add(served.bytes, Relaxed);
        for Completed { event, sockets } in served.completed {
            self.services.metrics.fan_out_seconds.observe(event.accepted.elapsed().as_secs_f64());
            self.tell_published(event, sockets);
        }
        if served.more || !served.crowded.is_empty() || !served.late.is_empty() {
            self.serving = true;
            let (late, others) = (served.late, others_turn(served.crowded).into_actor(self));
            ctx.spawn(others.map(|(), room, ctx| room.go_on(late, LOOKS, ctx)));
        }
        self.settle(ctx);
    }

    /// Goes on when those who had fallen behind have read most of what waited for them, or have had the time to.
    fn go_on(&mut self, mut late: Vec<Arc<Outbox>>, looks: u32, ctx: &mut Context<Self>) {
        late.retain(|outbox| outbox.lag() != Lag::Little);
        if late.is_empty() || self.impatient_until.is_some_and(|until| Instant::now() < until) {
            self.serve(ctx);
        } else if looks == 0 {
            self.impatient_until = Some(Instant::now() + IMPATIENT);
            self.serve(ctx);
        } else {
            ctx.run_later(LOOK_EVERY, move |room, ctx| room.go_on(late, looks - 1, ctx));
        }
    }

    /// A user came, by this socket if it was here.
    pub(super) fn note_added(&mut self, user: &Arc<str>, info: Arc<str>, except: Option<SocketId>) {
        self.notices.added(user, info, except, Instant::now());
    }

    /// A user went, after this `user_info` was shown.
    pub(super) fn note_removed(&mut self, user: &Arc<str>, info: Arc<str>) {
        self.notices.removed(user, info, Instant::now());
    }

    /// Announces the members whose change is due.
    pub(super) fn tell_members(&mut self) {
        if self.notices.next().is_some() {
            let due = self.notices.take_due(Instant::now());
            self.announce_members(due);
        }
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

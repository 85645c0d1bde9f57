//! How a room serves its subscribers: slices of batches, and the rest between them.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use actix::{ActorFutureExt, AsyncContext, Context, WrapFuture};
use futures_util::future::join_all;
use gaung_cluster::core::Input;
use tokio::task::yield_now;

use super::{
    actor::RoomActor,
    fanout::{Completed, Served},
    fanout_worker::{LARGE, WriteAll},
    perform::Room,
    state::{RoomInput, Serving, Task},
};
use crate::{
    event::{EncodedEvent, Sample},
    outbox::{Lag, Outbox},
    spans::Kind,
};

/// How often a room looks whether those who have fallen behind have caught up, and how often at most: half a second.
const LOOK_EVERY: Duration = Duration::from_millis(5);
const LOOKS: u32 = 100;

/// After it has waited in vain a room waits for nobody for so long, so that those who do not read hold up the others for a
/// small part of the time, however many they are.
const IMPATIENT: Duration = Duration::from_secs(5);

impl RoomActor {
    /// Serves one slice of subscribers; the thread's other rooms have their turn before the next. A very large room is
    /// served whole, by all threads.
    pub(super) fn serve(&mut self, ctx: &mut Context<Self>) {
        self.room.announce_due();
        if self.room.state.counts().subscriptions >= LARGE && self.room.services.fanout_workers.len() > 1 {
            return self.serve_by_all(ctx);
        }
        let served = self.room.state.serve();
        self.finish_turn(served, ctx);
    }

    fn serve_by_all(&mut self, ctx: &mut Context<Self>) {
        let (writes, served) = self.room.state.hand_over();
        let workers = self.room.services.fanout_workers.iter();
        let shares = writes.chunks(writes.len().div_ceil(workers.len()).max(1));
        let written = join_all(workers.zip(shares).map(|(worker, share)| worker.send(WriteAll(share.to_vec()))));
        ctx.spawn(written.into_actor(self).map(move |_, actor, ctx| {
            let late = actor.room.state.take_late();
            actor.finish_turn(Served { late, ..served }, ctx);
        }));
    }

    fn finish_turn(&mut self, mut served: Served, ctx: &mut Context<Self>) {
        self.room.count(&mut served);
        let mut serving = Serving::Ends;
        if served.more || !served.crowded.is_empty() || !served.late.is_empty() {
            serving = Serving::GoesOn;
            let (late, others) = (served.late, others_turn(served.crowded).into_actor(self));
            ctx.spawn(others.map(|(), actor, ctx| actor.go_on(late, LOOKS, ctx)));
        }
        self.step(RoomInput::Served(serving), ctx);
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
            ctx.run_later(LOOK_EVERY, move |actor, ctx| actor.go_on(late, looks - 1, ctx));
        }
    }
}

impl Room {
    /// Serves everybody in one turn.
    pub(super) fn serve_at_once(&mut self, tasks: &mut Vec<Task>) {
        let mut is_waiting = true;
        while is_waiting {
            let mut served = self.state.serve();
            self.count(&mut served);
            is_waiting = served.more;
        }
        self.step(RoomInput::Served(Serving::Ends), tasks);
    }

    /// Counts what a slice did, and shows the events that all have now.
    fn count(&mut self, served: &mut Served) {
        self.count_sent(served.deliveries, served.bytes);
        if served.completed.is_empty() {
            return;
        }
        let now = Instant::now();
        self.state.written(&served.completed, now);
        for Completed { event, sockets } in served.completed.drain(..) {
            let taken = now.saturating_duration_since(event.accepted);
            self.app.counters.outcomes.fan_out_seconds.observe(taken);
            self.acknowledge(&event, sockets, taken);
            self.record(&event, sockets);
            self.show_published(event, sockets);
        }
    }

    /// Tells the node that published an event, if it measures this one, for how long it was held here.
    fn acknowledge(&self, event: &EncodedEvent, sockets: usize, held: Duration) {
        let (Some(Sample { node, number }), Some(cluster)) = (event.sample, &self.services.cluster) else { return };
        if sockets > 0 {
            cluster.link().send(Input::Acknowledge { to: node, number, held });
        }
    }

    /// The span of an event that all its subscribers here were sent.
    fn record(&self, event: &EncodedEvent, sockets: usize) {
        let spans = &self.services.metrics.spans;
        let Some(span) = spans.follow(("fan out", Kind::Internal), event.trace, event.accepted) else { return };
        let span = span.text("gaung.app", &**self.app.id()).text("gaung.channel", event.channel.as_str());
        span.number("gaung.sockets", sockets).number("gaung.event.size", event.frame.len()).end();
    }
}

/// Ends when the thread's other rooms had their turn, and sessions for which much waits had theirs.
async fn others_turn(crowded: Vec<Arc<Outbox>>) {
    yield_now().await;
    for outbox in crowded {
        outbox.offered().await;
    }
}

//! The actor of one channel of one app: the mailbox of its [`Room`], and the turns that the room asks for.

use std::{rc::Rc, time::Instant};

use actix::{Actor, ActorFutureExt, Addr, AsyncContext, Context, Handler, MessageResult, SpawnHandle, WrapFuture};
use tokio::task::yield_now;

use super::{
    messages::{
        AnswerHistory, AwaitReturn, Forwarded, FromPeers, ListMembers, ReadCache, ReadHistory, ReadNewest, Retire,
        Retired, RoomMessage,
    },
    perform::Room,
    registered::Tally,
    shard::Shard,
    state::{Clock, RoomInput, Task},
};
use crate::{
    event::{CachedEvent, EncodedEvent, Member},
    turn::Turn,
};

/// One channel of one app on this node.
pub(super) struct RoomActor {
    pub(super) room: Room,
    /// Until then the room waits for nobody who has fallen behind.
    pub(super) impatient_until: Option<Instant>,
    turn: Turn,
    tally: Rc<Tally>,
    shard: Addr<Shard>,
    /// The only clock that may ring long after the room is gone.
    history_clock: Option<SpawnHandle>,
}

impl RoomActor {
    /// `tally` is how the room tells its shard what it holds.
    pub(super) fn new(room: Room, tally: Rc<Tally>, shard: Addr<Shard>) -> Self {
        Self { room, impatient_until: None, turn: Turn::default(), tally, shard, history_clock: None }
    }

    /// Hands the room an input. Returns how many bytes the one who sent it was written.
    pub(super) fn step(&mut self, input: RoomInput, ctx: &mut Context<Self>) -> usize {
        self.with_room(ctx, |room, tasks| room.step(input, tasks))
    }

    /// Has the room do something, schedules the turns that it asks for, and tells the shard what it holds then.
    fn with_room<T>(&mut self, ctx: &mut Context<Self>, act: impl FnOnce(&mut Room, &mut Vec<Task>) -> T) -> T {
        let mut tasks = self.room.services.tasks.take();
        let result = act(&mut self.room, &mut tasks);
        tasks.drain(..).for_each(|task| self.schedule(task, ctx));
        self.room.services.tasks.set(tasks);
        let (before, counts) = (self.tally.counts(), self.room.state.counts());
        if before != counts {
            self.tally.set_counts(counts);
            self.room.count_usage(before, counts);
        }
        self.tally.set_oldest(self.room.state.oldest_event());
        let is_idle = self.room.state.is_idle();
        self.tally.idle.set(is_idle);
        if is_idle {
            let (app_id, channel) = (self.room.app.id().clone(), self.room.state.channel().clone());
            self.shard.do_send(Retire { app_id, channel });
        }
        result
    }

    fn ask_peers(&mut self, ctx: &mut Context<Self>) {
        let (Some(cluster), Some(question)) = (&self.room.services.cluster, self.room.state.question()) else { return };
        let (app_id, channel) = (self.room.app.id().clone(), self.room.state.channel().clone());
        let answered = self.room.services.asking.ask(cluster.clone(), app_id, channel, question);
        ctx.spawn(answered.into_actor(self).map(|answered, actor, ctx| {
            let message = RoomMessage::FromPeers(FromPeers::History(answered));
            actor.step(RoomInput::Message(Forwarded { message, underway: None }), ctx);
        }));
    }

    fn schedule(&mut self, task: Task, ctx: &mut Context<Self>) {
        match task {
            Task::Replay => self.with_room(ctx, Room::replay),
            Task::ReplayLater => {
                let replay = |(), actor: &mut Self, ctx: &mut Context<Self>| actor.with_room(ctx, Room::replay);
                ctx.spawn(yield_now().into_actor(self).map(replay));
            }
            Task::Announce => {
                ctx.spawn(async {}.into_actor(self).map(|(), actor, ctx| _ = actor.step(RoomInput::Announce, ctx)));
            }
            Task::Serve => _ = ctx.spawn(async {}.into_actor(self).map(|(), actor, ctx| actor.serve(ctx))),
            Task::AskPeers => self.ask_peers(ctx),
            Task::AwaitReturn => {
                let (app_id, channel) = (self.room.app.id().clone(), self.room.state.channel().clone());
                self.shard.do_send(AwaitReturn { app_id, channel });
            }
            Task::WakeAfter(clock, pause) => {
                let handle = ctx.run_later(pause, move |actor, ctx| _ = actor.step(RoomInput::Woke(clock), ctx));
                if clock == Clock::History {
                    self.history_clock = Some(handle);
                }
            }
        }
    }
}

impl Actor for RoomActor {
    type Context = Context<Self>;
}

impl Handler<Forwarded> for RoomActor {
    type Result = ();

    fn handle(&mut self, forwarded: Forwarded, ctx: &mut Context<Self>) {
        self.tally.in_flight.set(self.tally.in_flight.get() - 1);
        let bytes = self.step(RoomInput::Message(forwarded), ctx);
        if self.turn.is_over(bytes) {
            // Who was answered is a member for all who come from now on.
            self.room.announce_due();
            ctx.wait(yield_now().into_actor(self));
        }
    }
}

impl Handler<Retired> for RoomActor {
    type Result = ();

    fn handle(&mut self, _: Retired, ctx: &mut Context<Self>) {
        if let Some(clock) = self.history_clock.take() {
            ctx.cancel_future(clock);
        }
    }
}

impl Handler<ListMembers> for RoomActor {
    type Result = Vec<Member>;

    fn handle(&mut self, _: ListMembers, _: &mut Context<Self>) -> Vec<Member> {
        let members = self.room.state.members();
        members.into_iter().map(|(id, info)| Member { id: id.to_owned(), info: info.to_owned() }).collect()
    }
}

impl Handler<ReadHistory> for RoomActor {
    type Result = MessageResult<ReadHistory>;

    fn handle(&mut self, asked: ReadHistory, _: &mut Context<Self>) -> Self::Result {
        MessageResult(self.room.state.history(asked.since.as_ref(), asked.limit))
    }
}

impl Handler<AnswerHistory> for RoomActor {
    type Result = ();

    fn handle(&mut self, asked: AnswerHistory, _: &mut Context<Self>) {
        asked.answer(Some(&self.room.state), Instant::now());
    }
}

impl Handler<ReadNewest> for RoomActor {
    type Result = Vec<EncodedEvent>;

    fn handle(&mut self, ReadNewest(limit): ReadNewest, _: &mut Context<Self>) -> Vec<EncodedEvent> {
        self.room.state.newest_events(limit)
    }
}

impl Handler<ReadCache> for RoomActor {
    type Result = Option<CachedEvent>;

    fn handle(&mut self, _: ReadCache, _: &mut Context<Self>) -> Option<CachedEvent> {
        let (now, cache) = (Instant::now(), self.room.state.cache());
        let data = cache.fresh(now)?.event.words()?.data.clone();
        Some(CachedEvent { data, ttl: cache.rest(now)? })
    }
}

//! The actor of one channel of one app: a mailbox for its [`RoomState`].

use std::{rc::Rc, sync::Arc, time::Instant};

use actix::{Actor, Addr, AsyncContext, Context, Handler, WrapFuture};
use tokio::task::yield_now;

use super::{
    messages::{Forwarded, ListMembers, ReadCache},
    registered::Tally,
    shard::{Services, Shard},
    state::{Effect, RoomInput, RoomState},
};
use crate::{
    app::App,
    event::{CachedEvent, Member},
    protocol::ChannelName,
    turn::Turn,
};

/// One channel of one app on this node.
pub struct Room {
    pub(super) app: Arc<App>,
    pub(super) state: RoomState,
    /// Empty; kept so that a step allocates none.
    pub(super) effects: Vec<Effect>,
    /// Until then the room waits for nobody who has fallen behind.
    pub(super) impatient_until: Option<Instant>,
    turn: Turn,
    pub(super) tally: Rc<Tally>,
    pub(super) shard: Addr<Shard>,
    pub(super) services: Rc<Services>,
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
        let state = RoomState::new(channel, services.reach(), services.batch_bytes);
        let (effects, impatient_until, turn) = (Vec::new(), None, Turn::default());
        Self { app, state, effects, impatient_until, turn, tally, shard, services }
    }
}

impl Actor for Room {
    type Context = Context<Self>;
}

impl Handler<Forwarded> for Room {
    type Result = ();

    fn handle(&mut self, forwarded: Forwarded, ctx: &mut Context<Self>) {
        self.tally.in_flight.set(self.tally.in_flight.get() - 1);
        let bytes = self.step(RoomInput::Message(forwarded), ctx);
        if self.turn.is_over(bytes) {
            // Who was answered is a member for all who come from now on.
            self.act(RoomInput::AnnounceDue, ctx);
            ctx.wait(yield_now().into_actor(self));
        }
    }
}

impl Handler<ListMembers> for Room {
    type Result = Vec<Member>;

    fn handle(&mut self, _: ListMembers, _: &mut Context<Self>) -> Vec<Member> {
        let members = self.state.members();
        members.into_iter().map(|(id, info)| Member { id: id.to_owned(), info: info.to_owned() }).collect()
    }
}

impl Handler<ReadCache> for Room {
    type Result = Option<CachedEvent>;

    fn handle(&mut self, _: ReadCache, _: &mut Context<Self>) -> Option<CachedEvent> {
        let (now, cache) = (Instant::now(), self.state.cache());
        let data = cache.fresh(now)?.event.words()?.data.clone();
        Some(CachedEvent { data, ttl: cache.rest(now)? })
    }
}

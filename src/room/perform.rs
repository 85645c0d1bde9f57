//! How a room's actor does what its state wants done.

use std::{mem, sync::atomic::Ordering::Relaxed};

use actix::{ActorFutureExt, AsyncContext, Context, WrapFuture};
use bytes::Bytes;
use gaung_cluster::fact::Member;
use tokio::task::yield_now;

use super::{
    Unpublished,
    actor::Room,
    messages::Retire,
    refusals::refuse_client_event,
    state::{Effect, PendingClientEvent, RoomInput, Surroundings},
};
use crate::{
    activity::{ActivityEvent, ActivityKind},
    cluster::Cluster,
    event::{self, EncodedEvent},
    protocol::{ChannelName, Close, WebhookDetail, WebhookEvent},
    trace_log, turn,
};

impl Room {
    /// Takes an input, and tells the shard what the room holds then. Returns how many bytes the one who sent it was
    /// written.
    pub(super) fn step(&mut self, input: RoomInput, ctx: &mut Context<Self>) -> usize {
        let bytes = self.act(input, ctx);
        self.tally.set_counts(self.state.counts());
        let is_idle = self.state.is_idle();
        self.tally.idle.set(is_idle);
        if is_idle {
            self.shard.do_send(Retire { app_id: self.app.id().clone(), channel: self.state.channel().clone() });
        }
        bytes
    }

    /// Takes an input. Returns how many bytes the one who sent it was written.
    pub(super) fn act(&mut self, input: RoomInput, ctx: &mut Context<Self>) -> usize {
        let is_leaving = self.services.cluster.as_ref().is_some_and(Cluster::is_leaving);
        let around = Surroundings::new(&self.app, is_leaving, event::now);
        let mut effects = mem::take(&mut self.effects);
        self.state.step(input, &around, &mut effects);
        let bytes = effects.drain(..).map(|effect| self.perform(effect, ctx)).sum();
        self.effects = effects;
        bytes
    }

    fn perform(&mut self, effect: Effect, ctx: &mut Context<Self>) -> usize {
        match effect {
            Effect::Answer(outbox, frames) => {
                frames.iter().for_each(|frame| outbox.send(frame));
                return frames.iter().map(Bytes::len).sum();
            }
            Effect::RefuseJoin { join, refusal, is_subscribed } => self.refuse_join(&join, &refusal, is_subscribed),
            Effect::RefuseClientEvent(sender) => {
                refuse_client_event(&sender, self.state.channel(), self.app.id(), &self.services);
            }
            Effect::Close(subscriber) => {
                subscriber.dialect.client_protocol().close(&subscriber.outbox, Close::Terminated);
            }
            Effect::Webhook(detail) => self.notify(detail),
            Effect::Subscribed(socket) => self.show(|channel| ActivityKind::Subscribed { socket, channel }),
            Effect::Unsubscribed(socket) => self.show(|channel| ActivityKind::Unsubscribed { socket, channel }),
            Effect::Unheard(event) => self.show_published(event, 0),
            Effect::Delivered(event, sockets) => trace_log::delivered(&self.app, &event, sockets),
            Effect::CountClientEvent => _ = self.app.counters.client_events_in.fetch_add(1, Relaxed),
            Effect::SendClientEvent(client_event) => self.send_client_event(client_event, ctx),
            Effect::Shelve { at, bytes } => self.shelve(at, bytes, ctx),
            Effect::Replay => self.replay(ctx),
            Effect::ReplayLater => _ = ctx.spawn(yield_now().into_actor(self).map(|(), room, ctx| room.replay(ctx))),
            Effect::Opened => self.services.present.borrow_mut().has_opened(self.app.id(), self.state.channel()),
            Effect::Announce => {
                ctx.spawn(async {}.into_actor(self).map(|(), room, ctx| _ = room.step(RoomInput::Announce, ctx)));
            }
            Effect::Serve => _ = ctx.spawn(async {}.into_actor(self).map(|(), room, ctx| room.serve(ctx))),
            Effect::WakeAfter(clock, pause) => {
                ctx.run_later(pause, move |room, ctx| _ = room.step(RoomInput::Woke(clock), ctx));
            }
            Effect::Handled(underway) => drop(underway),
            Effect::ShareMember(member) => self.share_member(member),
            Effect::ShareCount(sockets) => {
                self.share(|cluster| cluster.count(&self.app, self.state.channel(), sockets));
            }
            Effect::ShareCached(record, trace, publish_permit) => {
                self.share(|cluster| cluster.cache(&self.app, self.state.channel(), record, (trace, publish_permit)));
            }
        }
        0
    }

    fn share(&self, tell: impl FnOnce(&Cluster)) {
        if let Some(cluster) = &self.services.cluster {
            tell(cluster);
        }
    }

    fn share_member(&self, member: Member) {
        let mut present = self.services.present.borrow_mut();
        match member.sockets {
            0 => present.leave(self.app.id(), &member.user, self.state.channel()),
            _ => present.enter(self.app.id(), &member.user, self.state.channel()),
        }
        self.share(|cluster| cluster.member(&self.app, self.state.channel(), member));
    }

    fn shelve(&mut self, at: u64, bytes: usize, ctx: &mut Context<Self>) {
        if let Some(place) = self.services.shelf.put(self.app.id(), self.state.channel(), at, bytes) {
            self.act(RoomInput::Shelved(at, place), ctx);
        }
    }

    fn send_client_event(&mut self, client_event: Box<PendingClientEvent>, ctx: &mut Context<Self>) {
        match self.publish_to_peers(&client_event.event) {
            Ok(()) => _ = self.act(RoomInput::ClientEventSent(client_event), ctx),
            Err(unpublished) => self.refuse_unpublished(&client_event.sender, unpublished),
        }
    }

    /// Publishes a client's event on the other nodes, if they can be sent it.
    fn publish_to_peers(&self, event: &EncodedEvent) -> Result<(), Unpublished> {
        let Some(cluster) = &self.services.cluster else { return Ok(()) };
        let (bytes, limit) = (event.frame.len(), cluster.max_frame());
        if bytes > limit {
            return Err(Unpublished::TooLarge { bytes, limit });
        }
        cluster.reserve(&[bytes])?.into_iter().for_each(|permit| cluster.publish(&self.app, event, permit));
        Ok(())
    }

    /// A turn of what waited for the opening.
    fn replay(&mut self, ctx: &mut Context<Self>) {
        for _ in 0..turn::BUDGET {
            if !self.state.is_catching_up() {
                break;
            }
            self.act(RoomInput::Replay, ctx);
        }
        self.step(RoomInput::EndReplay, ctx);
    }

    fn notify(&self, detail: WebhookDetail) {
        self.services.webhooks.notify(&self.app, WebhookEvent { channel: self.state.channel().clone(), detail });
    }

    fn show(&self, kind: impl FnOnce(ChannelName) -> ActivityKind) {
        let activity = &self.services.metrics.activity;
        activity.report(|| ActivityEvent::of(self.app.id().clone(), kind(self.state.channel().clone())));
    }

    pub(super) fn show_published(&self, event: EncodedEvent, sockets: usize) {
        let activity = &self.services.metrics.activity;
        activity.report(|| ActivityEvent::published(self.app.id().clone(), event, sockets));
    }
}

//! A room: its state, and how what the state wants done is done.

use std::{
    iter,
    rc::Rc,
    sync::{Arc, atomic::Ordering::Relaxed},
    time::Instant,
};

use bytes::Bytes;
use gaung_cluster::{bus::PublishPermit, fact::Member};

use super::{
    Unpublished,
    history::Completeness,
    refusals::refuse_client_event,
    shard::Services,
    state::{Effect, PendingClientEvent, RoomInput, RoomState, Surroundings, Task, keeps},
};
use crate::{
    activity::{ActivityEvent, ActivityKind},
    app::{
        App,
        tenants::Tenant,
        usage::{Resource, Usage},
    },
    cluster::Cluster,
    event::{self, Counts, EncodedEvent},
    protocol::{ChannelName, WebhookDetail, WebhookEvent},
    trace_log, turn,
};

/// One channel of one app on this node. Its owner gives it the turns that it asks for.
pub(super) struct Room {
    pub(super) app: Arc<App>,
    /// Scope channel it is, if it is anybody's.
    tenant: Option<Arc<Tenant>>,
    pub(super) state: RoomState,
    pub(super) services: Rc<Services>,
}

/// Publishes an event to the other nodes. Where the channel keeps a history it is numbered first, and comes back to this
/// node's room with its number.
pub fn publish_on_bus(cluster: &Cluster, app: &App, event: &EncodedEvent, permit: PublishPermit) {
    match keeps(app, &event.channel, true) {
        Some(_) => cluster.publish_numbered(app, event, permit),
        None => cluster.publish(app, event, permit),
    }
}

impl Room {
    /// A room without subscribers.
    pub(super) fn new(app: Arc<App>, channel: ChannelName, services: Rc<Services>) -> Self {
        let tenant = app.tenants().of(&channel);
        let state = RoomState::new(channel, services.reach(), services.batch_bytes, services.histories.clone());
        Self { app, tenant, state, services }
    }

    /// Takes an input; adds the turns that the room asks for. Returns how many bytes the one who sent it was written.
    pub(super) fn step(&mut self, input: RoomInput, tasks: &mut Vec<Task>) -> usize {
        let is_leaving = self.services.cluster.as_ref().is_some_and(Cluster::is_leaving);
        let around = Surroundings::new(&self.app, is_leaving, event::now).of_tenant(self.tenant.as_deref());
        let mut effects = self.services.effects.take();
        self.state.step(input, &around, &mut effects);
        let bytes = effects.drain(..).map(|effect| self.perform(effect, tasks)).sum();
        if self.state.has_answered_pages() {
            self.state.answered(Instant::now());
        }
        self.services.effects.set(effects);
        bytes
    }

    fn usages(&self) -> impl Iterator<Item = &Usage> {
        iter::once(&self.app.counters.usage).chain(self.tenant.as_ref().map(|tenant| &tenant.usage))
    }

    /// What it holds counts among what the app and its tenant have.
    pub(super) fn count_usage(&self, before: Counts, now: Counts) {
        if self.state.channel().kind().is_server_to_user() {
            return;
        }
        let occupied = |counts: Counts| usize::from(counts.subscriptions > 0);
        for usage in self.usages() {
            usage.replace(Resource::Channels, occupied(before), occupied(now));
            usage.replace(Resource::Members, before.users, now.users);
        }
    }

    /// Counts what sockets were sent.
    pub(super) fn count_sent(&self, deliveries: u64, bytes: u64) {
        for usage in self.usages() {
            usage.deliveries.fetch_add(deliveries, Relaxed);
            usage.bytes_out.fetch_add(bytes, Relaxed);
        }
    }

    /// Announces what is due of the members before what comes next.
    pub(super) fn announce_due(&mut self) {
        self.step(RoomInput::AnnounceDue, &mut Vec::new());
    }

    /// A turn of what waited for the opening.
    pub(super) fn replay(&mut self, tasks: &mut Vec<Task>) {
        for _ in 0..turn::BUDGET {
            if !self.state.is_catching_up() {
                break;
            }
            self.step(RoomInput::Replay, tasks);
        }
        self.step(RoomInput::EndReplay, tasks);
    }

    fn perform(&mut self, effect: Effect, tasks: &mut Vec<Task>) -> usize {
        match effect {
            Effect::Answer(outbox, frames) => {
                frames.iter().for_each(|frame| outbox.send(frame));
                return frames.iter().map(Bytes::len).sum();
            }
            Effect::RefuseJoin { join, refusal, is_subscribed } => self.refuse_join(&join, &refusal, is_subscribed),
            Effect::RefuseClientEvent(sender) => {
                refuse_client_event(&sender, self.state.channel(), &self.app, &self.services);
            }
            Effect::Close(subscriber, close) => {
                subscriber.dialect.client_protocol().close(&subscriber.outbox, close);
            }
            Effect::Revoke(subscriber, patterns) => subscriber.outbox.revoke(patterns),
            Effect::Webhook(detail) => self.notify(detail),
            Effect::Subscribed(socket) => self.show(|channel| ActivityKind::Subscribed { socket, channel }),
            Effect::Unsubscribed(socket) => self.show(|channel| ActivityKind::Unsubscribed { socket, channel }),
            Effect::BeginWatch(socket, watchlist) => self.services.watchlists.borrow_mut().begin(&socket, watchlist),
            Effect::EndWatch(socket) => self.services.watchlists.borrow_mut().end(socket),
            Effect::Unheard(event) => self.show_published(event, 0),
            Effect::Delivered(event, sockets) => trace_log::delivered(&self.app, &event, sockets),
            Effect::CountClientEvent => _ = self.app.counters.client_events_in.fetch_add(1, Relaxed),
            Effect::SendClientEvent(client_event) => self.send_client_event(client_event, tasks),
            Effect::Shelve { at, bytes } => self.shelve(at, bytes, tasks),
            Effect::AskPositions => {
                self.share(|cluster| cluster.serve(self.app.id(), self.state.channel().as_str()));
            }
            Effect::Opened => self.services.present.borrow_mut().has_opened(self.app.id(), self.state.channel()),
            Effect::CountGap(_) => self.services.metrics.history_gaps.inc(),
            Effect::AskPeers => self.await_peers(),
            Effect::CountQuestion(outcome) => {
                self.services.metrics.history_questions.with_label_values(&[outcome.text()]).inc();
            }
            Effect::CountWaited(time) => self.services.metrics.history_wait_seconds.observe(time.as_secs_f64()),
            Effect::CountRecovery(completeness, events) => self.count_recovery(completeness, events),
            Effect::CountEvicted(events) => self.services.metrics.history_evictions.inc_by(events as u64),
            Effect::Parted(visit, heard) => self.services.pages.part(visit, self.state.channel().clone(), heard),
            Effect::Handled(underway) => drop(underway),
            Effect::ShareMember(member) => self.share_member(member),
            Effect::ShareUser(sockets) => self.share_user(sockets),
            Effect::ShareCount(sockets) => {
                self.share(|cluster| cluster.count(&self.app, self.state.channel(), sockets));
            }
            Effect::ShareCached(record, trace, publish_permit) => {
                self.share(|cluster| cluster.cache(&self.app, self.state.channel(), record, (trace, publish_permit)));
            }
            Effect::Schedule(task) => tasks.push(task),
        }
        0
    }

    /// Sockets that wait may be of any user, as in a room that opens.
    fn await_peers(&self) {
        if self.state.channel().kind().is_presence() {
            self.services.present.borrow_mut().opens(self.app.id(), self.state.channel());
        }
    }

    fn share(&self, tell: impl FnOnce(&Cluster)) {
        if let Some(cluster) = &self.services.cluster {
            tell(cluster);
        }
    }

    fn share_user(&self, sockets: usize) {
        let (app_id, user_id) = (self.app.id(), self.state.channel().without_prefix());
        let is_leaving = self.services.cluster.as_ref().is_some_and(Cluster::is_leaving);
        self.services.watchlists.borrow_mut().set_here(app_id, user_id, sockets, is_leaving);
        self.share(|cluster| cluster.user(app_id, user_id, sockets));
    }

    fn share_member(&self, member: Member) {
        let mut present = self.services.present.borrow_mut();
        match member.sockets {
            0 => present.leave(self.app.id(), &member.user, self.state.channel()),
            _ => present.enter(self.app.id(), &member.user, self.state.channel()),
        }
        self.share(|cluster| cluster.member(&self.app, self.state.channel(), member));
    }

    fn shelve(&mut self, at: u64, bytes: usize, tasks: &mut Vec<Task>) {
        if let Some(place) = self.services.shelf.put(self.app.id(), self.state.channel(), at, bytes) {
            self.step(RoomInput::Shelved(at, place), tasks);
        }
    }

    fn send_client_event(&mut self, client_event: Box<PendingClientEvent>, tasks: &mut Vec<Task>) {
        match self.publish_to_peers(&client_event.event) {
            Ok(()) => _ = self.step(RoomInput::ClientEventSent(client_event), tasks),
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
        let permit = cluster.reserve(1, bytes)?;
        publish_on_bus(cluster, &self.app, event, permit);
        Ok(())
    }

    fn count_recovery(&self, completeness: Completeness, events: usize) {
        let metrics = &self.services.metrics;
        metrics.recoveries.with_label_values(&[completeness.outcome()]).inc();
        metrics.replayed_events.inc_by(events as u64);
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

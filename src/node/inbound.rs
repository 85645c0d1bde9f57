//! What comes from the other nodes, on its way to this node's rooms, users and webhooks. Runs on the bus's thread and
//! waits for nobody.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use gaung_cluster::{
    NodeId, Room, TraceContext,
    core::{Input, Output},
    delivery::Sampling,
    fact::{CachedEvent, Generation},
    frame::{Gap, Numbering, RoomEvent},
    history::HistoryStream,
    remote::{RemoteChange, RemoteState},
};

use super::last_events;
use crate::{
    app::Registry,
    cluster::{Cluster, MEMBERS_CHANNEL, Question, Reply, travels},
    event::{
        self, EncodedEvent, Sample, UserAction,
        wire::{self, Message},
    },
    metrics::Metrics,
    protocol::{ChannelName, Position, WebhookDetail, WebhookEvent},
    repeats::Repeats,
    revocations::Revocations,
    room::{FromPeers, HistoryReply, Rooms},
    session::xhr::XhrSessions,
    spans::OpenSpan,
    webhook::{Ack, Webhooks, ids},
};

/// Where what other nodes send goes.
pub(crate) struct Inbound {
    /// The rooms of this node. They are addressed by the id of their app: a room that opens, or whose members come and
    /// go, while its app is gone for a moment, would never learn of it otherwise.
    pub rooms: Rooms,
    /// The apps of this node, for what only an app that is there can have.
    pub registry: Registry,
    /// What was published under which key.
    pub repeats: Repeats,
    /// Posts the webhook events that this node is to post.
    pub webhooks: Webhooks,
    /// Hears what became of a webhook, and carries questions and answers.
    pub cluster: Cluster,
    /// Which tokens hold no more.
    pub revocations: Revocations,
    /// Sessions over HTTP, whose clients may ask other nodes.
    pub xhr: Arc<XhrSessions>,
    pub metrics: Metrics,
    /// Which events of other nodes are acknowledged.
    pub sampling: Sampling,
    /// The moment from which it measures time.
    pub started: Instant,
}

impl Inbound {
    /// Dispatches one output of the core.
    pub(crate) fn dispatch(&mut self, output: Output) {
        match output {
            Output::Serving(opening) => self.open(opening),
            Output::Store(room, number, bytes) => self.store(|stream| stream.store(room, number, bytes)),
            Output::Mark(number) => self.store(|stream| stream.mark(number)),
            Output::ReadStored(node, unheard_for) => self.read_stored(node, unheard_for),
            Output::Deliver(node, event, numbering) => self.deliver(node, event, numbering),
            Output::Cached(_, room, record, trace) => self.deliver_cached(&room, record, trace),
            Output::CacheRepaired(room, record) => self.repair_cache(&room, record),
            Output::CacheEvicted(room, at) => self.rooms.evict(&room, at),
            Output::Published(publication) => self.repeats.hear(publication),
            Output::Remote(change) => self.pass_on(change),
            Output::Asked { from, number, question } => self.answer(from, number, question),
            Output::Answered { from, number, answer } => self.cluster.take_answer(from, number, answer),
            Output::Post(generation) => self.post(generation),
            // The core counts it.
            Output::Lost { origin, gap, room, .. } => self.lose(origin, gap, room),
            Output::Acknowledged(took) => self.metrics.cluster_delivery_seconds.observe(took.as_secs_f64()),
            Output::PageTaken(page) => self.rooms.pages().be_claimed(page),
            // What the bus does itself.
            Output::Publish(..) | Output::Subscribe(_) | Output::Unsubscribe(_) => {}
        }
    }

    fn store(&self, store: impl FnOnce(&HistoryStream)) {
        if let Some(stream) = self.cluster.stream() {
            store(stream);
        }
    }

    fn read_stored(&self, node: NodeId, unheard_for: Duration) {
        if let Some(stream) = self.cluster.stream() {
            tokio::spawn(last_events::hear(stream.clone(), self.cluster.link().clone(), node, unheard_for));
        }
    }

    fn open(&self, opening: RemoteState) {
        let Some(channel) = channel(&opening.room) else { return };
        let app_id = opening.room.app().clone();
        let opened = FromPeers::opened(&channel, opening, event::now());
        self.rooms.hear(&app_id, channel, opened);
    }

    fn lose(&self, node: NodeId, gap: Gap, room: Option<Room>) {
        let Some(room) = room else { return };
        if let Some(channel) = channel(&room) {
            self.rooms.hear(room.app(), channel, FromPeers::lost(node, gap.through));
        }
    }

    fn deliver(&mut self, node: NodeId, RoomEvent { room, payload, trace }: RoomEvent, numbering: Numbering) {
        let Some(channel) = channel(&room) else { return };
        match wire::read(payload) {
            Some(Message::Event(payload)) => {
                let Some(permit) = self.rooms.admit(payload.frame.len()) else {
                    self.rooms.hear(room.app(), channel, FromPeers::lost(node, numbering.number));
                    return self.refuse("rooms_full");
                };
                let span = travels::receive(&self.metrics.spans, &room, payload.frame.len(), trace);
                let trace = travels::carried(span.as_ref(), trace);
                let mut event = EncodedEvent::from_peer(channel.clone(), payload, trace, Instant::now());
                if node == self.cluster.link().node() {
                    event.come_back(event::now());
                } else if self.sampling.chooses(node, self.started.elapsed()) {
                    event.sample = Some(Sample { node, number: numbering.number });
                }
                self.rooms.hear(room.app(), channel, FromPeers::event(event, node, numbering, permit));
                span.into_iter().for_each(OpenSpan::end);
            }
            Some(Message::User(action)) if channel.kind().is_server_to_user() => {
                let user = channel.without_prefix().into();
                self.rooms.hear(room.app(), channel, FromPeers::Acted(user, action));
            }
            Some(Message::Member(user, action)) if room.channel().as_ref() == MEMBERS_CHANNEL => {
                self.act_on_member(room.app(), &user, &action);
            }
            Some(Message::User(_) | Message::Member(..)) | None => self.refuse("payload"),
        }
    }

    /// Of an app that is gone nobody is a member.
    fn act_on_member(&self, app_id: &str, user_id: &str, action: &UserAction) {
        if let Some(app) = self.registry.by_id(app_id) {
            self.rooms.act_on_member_here(&app, user_id, action);
        }
    }

    fn deliver_cached(&self, room: &Room, record: CachedEvent, trace: Option<TraceContext>) {
        let Some(channel) = channel(room) else { return };
        let Some(permit) = self.rooms.admit(record.payload.len()) else { return self.refuse("rooms_full") };
        let span = travels::receive(&self.metrics.spans, room, record.payload.len(), trace);
        let trace = travels::carried(span.as_ref(), trace);
        match FromPeers::cached(&channel, record, (trace, permit), event::now()) {
            Some(from_peers) => self.rooms.hear(room.app(), channel, from_peers),
            None => self.refuse("payload"),
        }
        span.into_iter().for_each(OpenSpan::end);
    }

    fn repair_cache(&self, room: &Room, record: CachedEvent) {
        let Some(channel) = channel(room) else { return };
        match FromPeers::cache_repaired(&channel, record, event::now()) {
            Some(from_peers) => self.rooms.hear(room.app(), channel, from_peers),
            None => self.refuse("payload"),
        }
    }

    fn pass_on(&self, change: RemoteChange) {
        let (room, message) = match change {
            RemoteChange::User { app, user, sockets } => return self.rooms.set_user_remote(&app, &user, sockets),
            RemoteChange::Subscriptions { room, sockets } => (room, FromPeers::subscriptions(sockets)),
            RemoteChange::Member { room, user, member } => (room, FromPeers::Member(user, member)),
        };
        if let Some(channel) = channel(&room) {
            self.rooms.hear(room.app(), channel, message);
        }
    }

    /// A question of another node: each kind has one who answers it.
    fn answer(&self, from: NodeId, number: u64, question: Bytes) {
        let reply = self.cluster.reply(from, number);
        match Question::read(question) {
            Some(Question::History { app, channel, since }) => {
                tokio::spawn(answer_history(self.rooms.clone(), self.cluster.clone(), (app, channel, since), reply));
            }
            Some(Question::Page(page)) => self.rooms.pages().ask(page, reply),
            Some(Question::LeftPages(pages)) => self.rooms.pages().keep(from, pages, reply),
            Some(Question::XhrSend(send)) => self.xhr.answer_send(send, reply),
            Some(Question::XhrPoll(poll)) => self.xhr.answer_poll(poll, reply),
            Some(Question::XhrMoved(session)) => self.xhr.answer_moved(session, reply),
            Some(Question::Revoke(told)) => reply.send(self.revocations.hear(&told)),
            Some(Question::Revocations { digest, after }) => reply.send(self.revocations.answer(digest, &after)),
            None => reply.nothing(),
        }
    }

    /// Where nobody knows the app any more there is nobody to post to.
    fn post(&self, generation: Generation) {
        let (link, posted) = (self.cluster.link().clone(), generation.clone());
        let ack = Ack::new(move || link.send(Input::Posted(posted)));
        let room = &generation.occupancy.room;
        let (Some(app), Some(channel)) = (self.registry.by_id(room.app()), channel(room)) else {
            return ack.confirm();
        };
        let id = id(&generation);
        self.webhooks.post(&app, WebhookEvent { channel, detail: detail(&generation) }, id, ack);
    }

    fn refuse(&self, reason: &str) {
        self.metrics.cluster_events_refused.with_label_values(&[reason]).inc();
    }
}

/// The core is asked before the room, which then knows of everything that the core knows of.
async fn answer_history(
    rooms: Rooms,
    cluster: Cluster,
    (app_id, channel, since): (Arc<str>, ChannelName, Position),
    reply: Reply,
) {
    match cluster.published_in(&app_id, &channel).await {
        Some(published) => {
            let reply = HistoryReply { node: cluster.link().node(), published, reply };
            rooms.answer_history(app_id, channel, since, reply);
        }
        None => reply.nothing(),
    }
}

/// The channel of a room. How long a name may be was decided where it came in.
fn channel(room: &Room) -> Option<ChannelName> {
    ChannelName::parse(room.channel(), usize::MAX).ok()
}

fn id(Generation { occupancy, number, .. }: &Generation) -> String {
    ids::of_generation(occupancy.room.app(), occupancy.room.channel(), occupancy.user.as_deref(), *number)
}

/// What a generation says of its occupancy: odd numbers are arrivals.
fn detail(generation: &Generation) -> WebhookDetail {
    let has_come = generation.number % 2 == 1;
    match (&generation.occupancy.user, has_come) {
        (None, true) => WebhookDetail::ChannelOccupied,
        (None, false) => WebhookDetail::ChannelVacated,
        (Some(user), true) => WebhookDetail::MemberAdded { user_id: user.to_string() },
        (Some(user), false) => WebhookDetail::MemberRemoved { user_id: user.to_string() },
    }
}

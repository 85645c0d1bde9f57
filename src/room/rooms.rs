//! The rooms of this node as sessions, back ends and other nodes use them: every call finds its shard, and waits for no
//! socket.

use std::{
    cell::{Cell, RefCell},
    sync::Arc,
    time::Instant,
};

use actix::{Actor, Addr, Arbiter};
use gaung_cluster::bus::PublishPermit;

use super::{
    ClientEvent, FromPeers, HistoryReply, Inflow, Join, Parting, SignIn, Unpublished,
    asking::Asking,
    backlog::{Backlog, Full, Limits, Permit},
    fanout::Subscriber,
    fanout_worker::FanoutWorker,
    history::Histories,
    inflow::{self, Underway},
    interest::{ChannelHash, Interest},
    messages::{AboutUsers, AnswerHistory, FromPeersForRoom, JoinAs, RoomMessage, ToRoom, UserMessage},
    perform::publish_on_bus,
    shard::{Services, Shard},
    shelf::Shelf,
    state::keeps,
};
use crate::{
    activity::{Activity, ActivityEvent},
    app::{App, usage::Waiting},
    cluster::Cluster,
    config::LimitsConfig,
    event::{EncodedEvent, Event, Origin, UserAction, wire},
    metrics::{
        Metrics,
        lag::{self, ActorThread},
    },
    outbox::Outbox,
    page::Pages,
    protocol::{ChannelName, Position, SocketId},
    webhook::Webhooks,
};

/// How many full batches an outbox can hold: so many bursts may come upon a client before it has read the first.
const BATCHES_IN_OUTBOX: usize = 4;

/// All rooms of this node. Cheap to clone; every call may come from any thread.
///
/// What sessions send (`join`, `leave`, `publish_client_event`, …) is counted by the inflow, which they ask before they
/// read on. What back ends, clients and other nodes publish is bounded by the backlog, in events and in bytes.
#[derive(Clone)]
pub struct Rooms {
    pub(super) shards: Arc<[Addr<Shard>]>,
    pub(super) backlog: Arc<Backlog>,
    pub(super) inflow: Arc<Inflow>,
    pub(super) interest: Interest,
    pub(super) cluster: Option<Cluster>,
    pub(super) shelf: Shelf,
    pub(super) activity: Activity,
    pub(super) pages: Pages,
}

impl Rooms {
    /// Starts one shard on each of `threads` new threads. `cluster` is the way to the other nodes, if this one is not
    /// alone; `pages` are told how far pages have heard the rooms that let them go.
    pub fn start(
        threads: usize,
        limits: &LimitsConfig,
        webhooks: &Webhooks,
        metrics: &Metrics,
        cluster: Option<Cluster>,
        pages: Pages,
    ) -> Self {
        let interest = Interest::new();
        let threads: Vec<_> = (0..threads).map(|_| Arbiter::new().handle()).collect();
        for thread in &threads {
            thread.spawn(lag::watch(metrics.clone(), ActorThread::Rooms));
        }
        let shelf = Shelf::new(limits.cache_bounds());
        let node = cluster.as_ref().map_or_else(rand::random, |cluster| cluster.link().node().bits());
        let histories = Histories::new(node, limits.max_history_mb << 20);
        let has_stream = cluster.as_ref().is_some_and(|cluster| cluster.stream().is_some());
        let histories = if has_stream { histories.with_stream() } else { histories };
        let asking = Asking::default();
        let fanout_workers: Arc<[_]> =
            threads.iter().map(|thread| FanoutWorker::start_in_arbiter(thread, |_| FanoutWorker)).collect();
        let shard = |thread| {
            let batch_bytes = limits.max_outbox_bytes / BATCHES_IN_OUTBOX;
            let services = Services {
                webhooks: webhooks.clone(),
                metrics: metrics.clone(),
                fanout_workers: fanout_workers.clone(),
                cluster: cluster.clone(),
                present: RefCell::default(),
                watchlists: RefCell::default(),
                pages: pages.clone(),
                shelf: shelf.clone(),
                histories: histories.clone(),
                asking: asking.clone(),
                batch_bytes,
                effects: Cell::default(),
                tasks: Cell::default(),
            };
            let interest = interest.clone();
            Shard::start_in_arbiter(thread, |_| Shard::new(services, interest))
        };
        let shards = threads.iter().map(shard).collect();
        shelf.serve(&shards);
        let waiting = Limits { events: limits.max_queued_events, bytes: limits.max_queued_event_bytes };
        let (backlog, activity) = (Backlog::new(waiting), metrics.activity.clone());
        let inflow = Inflow::new(inflow::LIMIT, cluster.clone());
        Self { shards, backlog, inflow, interest, cluster, shelf, activity, pages }
    }

    /// Answers another node that asks for what is kept of a channel.
    pub fn answer_history(&self, app_id: Arc<str>, channel: ChannelName, since: Position, reply: HistoryReply) {
        let shard = self.shard(&app_id, channel.as_str());
        shard.do_send(AnswerHistory { app_id: app_id.clone(), channel, since, reply });
    }

    /// Whether sockets are to be read on.
    pub fn inflow(&self) -> &Arc<Inflow> {
        &self.inflow
    }

    /// Hands events to their rooms here and on the other nodes, all or none; does not wait for sockets.
    pub fn publish(&self, app: &Arc<App>, events: Vec<Event>) -> Result<(), Unpublished> {
        let publications: Vec<_> = events.into_iter().map(|event| self.publication(app, event)).collect();
        let mut permits = self.reserve(app, publications.iter().filter(|publication| publication.is_wanted))?;
        let mut publish_permits = self.reserve_on_bus(&publications)?;
        for Publication { event, bytes, is_wanted } in publications {
            let permit = is_wanted.then(|| permits.split(bytes));
            let publish_permit = publish_permits.as_mut().map(|permits| permits.split(bytes));
            self.hand_out(app, event, permit, publish_permit);
        }
        Ok(())
    }

    fn publication(&self, app: &App, event: Event) -> Publication {
        Publication { bytes: event.frame_bytes(), is_wanted: self.wants(app, &event.channel), event }
    }

    /// A permit for the rooms of this node. What is for channels of several tenants counts as the app's.
    fn reserve<'a>(
        &self,
        app: &App,
        publications: impl Iterator<Item = &'a Publication> + Clone,
    ) -> Result<Permit, Full> {
        let owner = owner(app, publications.clone().map(|publication| &publication.event.channel));
        let (events, bytes) = publications.fold((0, 0), |(events, bytes), next| (events + 1, bytes + next.bytes));
        self.backlog.reserve(&owner, events, bytes)
    }

    /// A permit for the other nodes; none where this node is alone.
    fn reserve_on_bus(&self, publications: &[Publication]) -> Result<Option<PublishPermit>, Unpublished> {
        let Some(cluster) = &self.cluster else { return Ok(None) };
        let limit = cluster.max_frame();
        let sizes = publications.iter().map(|publication| publication.bytes);
        match sizes.clone().find(|bytes| *bytes > limit) {
            Some(bytes) => Err(Unpublished::TooLarge { bytes, limit }),
            None => Ok(Some(cluster.reserve(publications.len(), sizes.sum())?)),
        }
    }

    /// Hands an event to its room here, by the one permit, and to the other nodes, by the other. Where neither is to have
    /// it, it is encoded for those who watch alone.
    fn hand_out(&self, app: &Arc<App>, event: Event, permit: Option<Permit>, publish_permit: Option<PublishPermit>) {
        if permit.is_none() && publish_permit.is_none() && !self.activity.is_watched() {
            return;
        }
        let event = event.encode();
        self.charge(app, &event);
        let (alone, by_its_room) = if travels_alone(&event) { (publish_permit, None) } else { (None, publish_permit) };
        match permit {
            // It comes back to the room with its number.
            Some(_) if self.cluster.is_some() && keeps(app, &event.channel, true).is_some() => {}
            Some(permit) => {
                let message = RoomMessage::Publish(event.clone(), permit, by_its_room);
                self.send(app, event.channel.clone(), message, None);
            }
            None => self.activity.report(|| ActivityEvent::published(app.id().clone(), event.clone(), 0)),
        }
        if let (Some(cluster), Some(permit)) = (&self.cluster, alone) {
            publish_on_bus(cluster, app, &event, permit);
        }
    }

    /// Charges an event in a cluster, where subscribers may be anywhere. A node that is alone leaves that to its rooms.
    fn charge(&self, app: &Arc<App>, event: &EncodedEvent) {
        let Some(cluster) = self.cluster.as_ref().filter(|_| app.charges()) else { return };
        let (charged, bytes, channel) = (app.clone(), event.frame.len(), event.channel.clone());
        cluster.count_subscriptions(app, &event.channel, move |sockets| {
            let tenant = charged.tenants().of(&channel);
            charged.charge(tenant.as_deref(), sockets, bytes, Instant::now());
        });
    }

    /// Subscribes a socket. The room answers it, also if it refuses; repeating a subscription is harmless.
    pub fn join(&self, app: &Arc<App>, channel: ChannelName, join: Join) {
        self.send(app, channel, RoomMessage::Join(join), Some(self.inflow.begin()));
    }

    /// Ends a subscription; unknown ones are ignored.
    pub fn leave(&self, app: &Arc<App>, channel: ChannelName, socket: SocketId) {
        self.send(app, channel, RoomMessage::Leave(socket), Some(self.inflow.begin()));
    }

    /// Publishes a client event; the room refuses it if the sender is not subscribed or the other nodes cannot be told.
    pub fn publish_client_event(
        &self,
        app: &Arc<App>,
        channel: ChannelName,
        client_event: ClientEvent,
    ) -> Result<(), Unpublished> {
        let bytes = channel.as_str().len() + client_event.name.len() + client_event.data.len();
        let permit = self.backlog.reserve(&owner(app, [&channel]), 1, bytes)?;
        self.send(app, channel, RoomMessage::ClientEvent(client_event, permit), Some(self.inflow.begin()));
        Ok(())
    }

    /// A socket signed in as a user: it subscribes to the user's channel, which answers it.
    pub fn sign_in(&self, app: &Arc<App>, user_id: &str, subscriber: Subscriber, sign_in: SignIn) {
        if let Some(channel) = user_channel(user_id) {
            self.join(
                app,
                channel,
                Join { subscriber, claim: Some(JoinAs::User(sign_in)), since: None, page: None, attempt: 0 },
            );
        }
    }

    /// A signed-in socket is gone.
    pub fn sign_out(&self, app: &Arc<App>, user_id: &str, socket: SocketId) {
        if let Some(channel) = user_channel(user_id) {
            self.leave(app, channel, socket);
        }
    }

    /// A socket hears from now on when these users come and go, and at once who of them is here.
    pub(super) fn watch(&self, app: &Arc<App>, user_ids: &[String], socket: SocketId, outbox: &Arc<Outbox>) {
        for (shard, user_ids) in self.by_shard(app, user_ids) {
            let message = UserMessage::Watch(user_ids, socket, outbox.clone());
            shard.do_send(AboutUsers { app_id: app.id().clone(), message });
        }
    }

    /// A watching socket is gone.
    pub(super) fn unwatch(&self, app: &Arc<App>, user_ids: &[String], socket: SocketId) {
        for (shard, user_ids) in self.by_shard(app, user_ids) {
            let message = UserMessage::Unwatch(user_ids, socket);
            shard.do_send(AboutUsers { app_id: app.id().clone(), message });
        }
    }

    /// Acts on every session signed in as the user, on any node, and on those that are in a presence channel as the user
    /// where the app wants it.
    pub fn act_on_user(&self, app: &Arc<App>, user_id: &str, action: &UserAction) -> Result<(), Unpublished> {
        let channel = user_channel(user_id);
        if let Some(cluster) = &self.cluster {
            let bytes = [wire::user(action), wire::member(user_id, action)].map(|bytes| bytes.len());
            let mut permit = cluster.reserve(2, bytes.iter().sum())?;
            let of_member = permit.split(bytes[1]);
            if let Some(channel) = &channel {
                cluster.act_on_user(app, channel, action, permit);
            }
            cluster.act_on_member(app, user_id, action, of_member);
        }
        if let Some(channel) = channel {
            self.hear(app.id(), channel, FromPeers::Acted(user_id.into(), action.clone()));
        }
        self.act_on_member_here(app, user_id, action);
        Ok(())
    }

    /// The same for every session of this node that is in a presence channel as the user, where the app wants it.
    pub fn act_on_member_here(&self, app: &Arc<App>, user_id: &str, action: &UserAction) {
        if !app.settings().terminate_members {
            return;
        }
        for shard in self.shards.iter() {
            let message = UserMessage::ActOnMember(user_id.into(), action.clone());
            shard.do_send(AboutUsers { app_id: app.id().clone(), message });
        }
    }

    /// The session of a page is over: its rooms let it go, and say how far it has heard them.
    pub fn part(&self, app: &Arc<App>, channel: ChannelName, parting: Parting) {
        self.send(app, channel, RoomMessage::Part(parting), Some(self.inflow.begin()));
    }

    /// What becomes of pages.
    pub fn pages(&self) -> &Pages {
        &self.pages
    }

    /// Something came from the other nodes for a room here; where there is none, nobody wants to know.
    pub fn hear(&self, app_id: &Arc<str>, channel: ChannelName, from_peers: FromPeers) {
        self.shard(app_id, channel.as_str()).do_send(FromPeersForRoom { app_id: app_id.clone(), channel, from_peers });
    }

    /// So many sockets are signed in as the user on all other nodes.
    pub fn set_user_remote(&self, app_id: &Arc<str>, user_id: &Arc<str>, sockets: u64) {
        let shard = &self.shards[self.shard_of_user(app_id, user_id)];
        shard.do_send(AboutUsers { app_id: app_id.clone(), message: UserMessage::Remote(user_id.clone(), sockets) });
    }

    /// A place in the backlog for an event that another node has accepted already. Such events may fill it beyond its
    /// limits, up to four times of them, so that it is the back ends that are held up first; `None` beyond that.
    pub fn admit(&self, bytes: usize) -> Option<Permit> {
        self.backlog.admit(bytes).ok()
    }

    /// Whether an event for the channel may find a subscriber, or is to be kept for one.
    fn wants(&self, app: &App, channel: &ChannelName) -> bool {
        channel.kind().is_cached() || self.interest.is_possible(ChannelHash::of(app.id(), channel.as_str()))
    }

    fn send(&self, app: &Arc<App>, channel: ChannelName, message: RoomMessage, underway: Option<Underway>) {
        self.shard(app.id(), channel.as_str()).do_send(ToRoom { app: app.clone(), channel, message, underway });
    }

    fn by_shard(&self, app: &App, user_ids: &[String]) -> Vec<(&Addr<Shard>, Vec<String>)> {
        let mut groups: Vec<(&Addr<Shard>, Vec<String>)> = self.shards.iter().map(|shard| (shard, vec![])).collect();
        for user_id in user_ids {
            groups[self.shard_of_user(app.id(), user_id)].1.push(user_id.clone());
        }
        groups.retain(|(_, user_ids)| !user_ids.is_empty());
        groups
    }

    /// The shard of a user is that of the user's channel.
    fn shard_of_user(&self, app_id: &str, user_id: &str) -> usize {
        self.position(app_id, &format!("#server-to-user-{user_id}"))
    }

    pub(super) fn shard(&self, app_id: &str, channel: &str) -> &Addr<Shard> {
        &self.shards[self.position(app_id, channel)]
    }

    fn position(&self, app_id: &str, channel: &str) -> usize {
        ChannelHash::of(app_id, channel).shard(self.shards.len())
    }
}

/// An event that is about to be published.
struct Publication {
    event: Event,
    /// What its frame will have.
    bytes: usize,
    /// Whether somebody here may hear it, or is to be shown it later.
    is_wanted: bool,
}

/// Whether an event goes to the other nodes by itself. What back ends publish to cache channels travels as state, told
/// by its room.
pub fn travels_alone(event: &EncodedEvent) -> bool {
    !(event.channel.kind().is_cached() && event.origin == Origin::BackEnd)
}

/// Who waits with events for these channels: their tenant if it is one, else the app.
fn owner<'a>(app: &App, channels: impl IntoIterator<Item = &'a ChannelName>) -> Arc<Waiting> {
    let mut tenants = channels.into_iter().map(|channel| app.tenants().id_of(channel));
    let only = tenants.next().flatten().filter(|first| tenants.all(|other| other == Some(first)));
    match only {
        Some(id) => app.tenants().get(id).usage.waiting.clone(),
        None => app.counters.usage.waiting.clone(),
    }
}

/// The channel whose events go to a user's sockets; `None` for ids that nobody can sign in with.
fn user_channel(user_id: &str) -> Option<ChannelName> {
    ChannelName::of_user(user_id).ok()
}

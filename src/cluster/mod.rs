//! What this node's rooms publish to the other nodes of the cluster and ask about them. The crate `gaung-cluster` carries
//! it; what comes in goes through `node::inbound` to the rooms.

mod asking;
mod question;
pub mod text;
pub mod travels;

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use gaung_cluster::{
    NodeId, Room, TraceContext,
    bus::{self, Bus, Full, InvalidServer, Link, PublishPermit},
    core::{Core, Input, Published},
    fact::{CachedEvent, Fact, Member},
    frame::{self, RoomEvent},
    history::HistoryStream,
    page::{PageChange, PageHash, PageWhere},
};

pub use asking::Reply;
pub use question::{Question, XhrSend};

use asking::Outstanding;

use crate::{
    app::App,
    config::ClusterConfig,
    event::{self, Counts, EncodedEvent, UserAction, wire},
    protocol::ChannelName,
    spans::{OpenSpan, Spans},
};

/// The release, as peers and the NATS servers see it.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The name of the thread that talks to NATS, as the system shows it.
pub const BUS_THREAD: &str = "gaung-bus";

/// The name of the thread that stores events in the history stream.
pub const HISTORY_THREAD: &str = "gaung-history";

/// Rooms, or members of one, that the bus thread lists for one page: about a millisecond's work.
const PAGE: usize = 1024;

/// The user channel that belongs to no user. What concerns users in presence channels, signed in or not, is published
/// there; every node that has served a presence channel of the app receives it.
pub const MEMBERS_CHANNEL: &str = "#server-to-user-";

/// Where a page is.
#[derive(Debug, Clone, Copy)]
pub struct FoundPage {
    pub place: PageWhere,
    /// For how long all pages have been known: those that went before are not.
    pub known_for: Duration,
    /// For how long all nodes have been heard: what was published before, this one may have missed.
    pub heard_for: Duration,
}

impl FoundPage {
    /// Where a page is, as far as a node's core knows.
    pub fn of(core: &Core, page: PageHash) -> Self {
        Self { place: core.page(page), known_for: core.pages_known_for(), heard_for: core.heard_for() }
    }
}

/// The handle that rooms hold. Cheap to clone; nothing here but [`Cluster::ask`] and [`Cluster::ask_all`] waits for another
/// node.
#[derive(Debug, Clone)]
pub struct Cluster {
    link: Link,
    is_leaving: Arc<AtomicBool>,
    outstanding: Arc<Outstanding>,
    stream: Option<HistoryStream>,
    spans: Spans,
}

impl Cluster {
    /// This node's handle, and the bus, which is to run on a thread of its own. `name` is drawn at random: a process that
    /// starts again is another node.
    pub fn open(config: &ClusterConfig, name: u64) -> Result<(Self, Bus), InvalidServer> {
        let (link, bus) = bus::open(config.bus_settings(NodeId::from_bits(name), VERSION))?;
        let (is_leaving, outstanding, spans) = (Arc::default(), Arc::default(), Spans::default());
        Ok((Self { link, is_leaving, outstanding, stream: None, spans }, bus))
    }

    /// The same with a stream that keeps events behind the nodes' memory.
    pub fn with_stream(self, stream: HistoryStream) -> Self {
        Self { stream: Some(stream), ..self }
    }

    /// The same with spans of what is published.
    pub fn with_spans(self, spans: Spans) -> Self {
        Self { spans, ..self }
    }

    /// The stream that keeps events behind the nodes' memory, if the cluster has one.
    pub fn stream(&self) -> Option<&HistoryStream> {
        self.stream.as_ref()
    }

    /// The handle of the bus, for its status and for questions about the whole cluster.
    pub fn link(&self) -> &Link {
        &self.link
    }

    /// This node is about to leave: the others are to keep its members for so long after its last heartbeat.
    pub fn say_bye(&self, hold: Duration) {
        self.is_leaving.store(true, Ordering::Release);
        self.link.send(Input::Bye { hold });
    }

    /// Whether this node is leaving: then its members are not to be seen leaving.
    pub fn is_leaving(&self) -> bool {
        self.is_leaving.load(Ordering::Acquire)
    }

    /// Events of a channel are wanted here from now on. The room is told when no event is missed any more.
    pub fn serve(&self, app_id: &str, channel: &str) {
        if let Ok(room) = Room::new(app_id, channel) {
            self.link.send(Input::Serve(room));
        }
    }

    /// Events of a channel are not wanted any longer.
    pub fn leave(&self, app_id: &str, channel: &str) {
        if let Ok(room) = Room::new(app_id, channel) {
            self.link.send(Input::Leave(room));
        }
    }

    /// How many sockets an app has on this node.
    pub fn connections(&self, app_id: &Arc<str>, sockets: usize) {
        self.link.send(Input::Fact(Fact::Connections { app: app_id.clone(), sockets: clamp(sockets) }));
    }

    /// How many sockets of a tenant this node has.
    pub fn tenant_connections(&self, app_id: &Arc<str>, tenant: &Arc<str>, sockets: usize) {
        let (app, tenant, sockets) = (app_id.clone(), tenant.clone(), clamp(sockets));
        self.link.send(Input::Fact(Fact::Tenant { app, tenant, sockets }));
    }

    /// Tells how many sockets are subscribed to a channel on all nodes.
    pub fn count_subscriptions(&self, app: &App, channel: &ChannelName, tell: impl FnOnce(usize) + Send + 'static) {
        let Ok(room) = Room::new(app.id(), channel.as_str()) else { return };
        self.link.look(move |core| tell(usize::try_from(core.subscriptions(&room)).unwrap_or(usize::MAX)));
    }

    /// How many sockets of this node are subscribed to a channel.
    pub fn count(&self, app: &App, channel: &ChannelName, sockets: usize) {
        let sockets = clamp(sockets);
        self.about(app, channel.as_str(), |room| Input::Fact(Fact::Count { room, sockets }));
    }

    /// How a user is in a presence channel on this node.
    pub fn member(&self, app: &App, channel: &ChannelName, member: Member) {
        self.about(app, channel.as_str(), |room| Input::Fact(Fact::Member { room, member }));
    }

    /// How many sockets of this node are signed in as a user.
    pub fn user(&self, app_id: &Arc<str>, user: &str, sockets: usize) {
        let fact = Fact::User { app: app_id.clone(), user: user.into(), sockets: clamp(sockets) };
        self.link.send(Input::Fact(fact));
    }

    /// What happens to a page of this node, which all nodes are to know.
    pub fn share_page(&self, page: PageHash, change: PageChange) {
        self.link.send(Input::Page(page, change));
    }

    /// Where a page is, as far as this node knows.
    pub async fn find_page(&self, page: PageHash) -> Option<FoundPage> {
        self.link.ask(move |core| FoundPage::of(core, page)).await
    }

    /// The last event of a cache channel; it reaches the other nodes as state.
    pub fn cache(
        &self,
        app: &App,
        channel: &ChannelName,
        event: CachedEvent,
        (trace, permit): (Option<TraceContext>, PublishPermit),
    ) {
        if let Ok(room) = Room::new(app.id(), channel.as_str()) {
            let span = travels::publish(&self.spans, &room, event.payload.len(), trace);
            self.link.cache(room, event, travels::carried(span.as_ref(), trace), permit);
            span.into_iter().for_each(OpenSpan::end);
        }
    }

    /// Tells the other nodes that events were published here under a key.
    pub fn published(&self, publication: frame::Publication) {
        self.link.send(Input::Published(publication));
    }

    /// A permit for so many events with so many bytes together, unless the way to the other nodes is full.
    pub fn reserve(&self, events: usize, bytes: usize) -> Result<PublishPermit, Full> {
        self.link.reserve(events, bytes)
    }

    /// Publishes an event that this node's own sockets have already.
    pub fn publish(&self, app: &App, event: &EncodedEvent, permit: PublishPermit) {
        self.send(app, event.channel.as_str(), (wire::event(event), event.trace), permit);
    }

    /// Publishes an event that is numbered first, and then heard by this node's room as well, in the order of the numbers.
    pub fn publish_numbered(&self, app: &App, event: &EncodedEvent, permit: PublishPermit) {
        if let Ok(room) = Room::new(app.id(), event.channel.as_str()) {
            let payload = wire::event(event);
            let span = travels::publish(&self.spans, &room, payload.len(), event.trace);
            let trace = travels::carried(span.as_ref(), event.trace);
            self.link.publish_numbered(RoomEvent { room, payload, trace }, permit);
            span.into_iter().for_each(OpenSpan::end);
        }
    }

    /// Acts on a user's connections on all other nodes. `channel` is the user's.
    pub fn act_on_user(&self, app: &App, channel: &ChannelName, action: &UserAction, permit: PublishPermit) {
        self.send(app, channel.as_str(), (wire::user(action), None), permit);
    }

    /// Acts, on all other nodes, on the connections that are in a presence channel as a user.
    pub fn act_on_member(&self, app: &App, user: &str, action: &UserAction, permit: PublishPermit) {
        self.send(app, MEMBERS_CHANNEL, (wire::member(user, action), None), permit);
    }

    /// Bytes that an event's frame may have, so that the bus carries it.
    pub fn max_frame(&self) -> usize {
        self.link.max_payload().saturating_sub(wire::HEADER)
    }

    /// Counts of the given channels over all nodes, in their order; `None`, here and below, if the bus has ended.
    pub async fn counts(&self, app: &App, channels: &[ChannelName]) -> Option<Vec<Counts>> {
        let rooms: Vec<_> = channels.iter().map(|channel| Room::new(app.id(), channel.as_str()).ok()).collect();
        let counts = |core: &Core, room: &Option<Room>| {
            room.as_ref().map_or_else(Counts::default, |room| of(core, room, core.subscriptions(room)))
        };
        self.link.ask(move |core| rooms.iter().map(|room| counts(core, room)).collect()).await
    }

    /// A page of the channels with subscribers on any node whose name starts with `prefix` and comes after `after`. The
    /// bus thread has more to do than to list a million rooms.
    pub async fn occupied(&self, app: &App, prefix: &str, after: Option<Arc<str>>) -> Option<event::Page> {
        let (app_id, prefix) = (app.id().clone(), prefix.to_owned());
        let list = move |core: &Core| -> Vec<(Arc<str>, Counts)> {
            let rooms = core.rooms_after(&app_id, &prefix, after.as_deref()).take(PAGE);
            rooms.map(|(room, sockets)| (room.channel().clone(), of(core, room, sockets))).collect()
        };
        let rooms = self.link.ask(list).await?;
        let next = if rooms.len() == PAGE { rooms.last().map(|(name, _)| name.clone()) } else { None };
        let limit = app.settings().max_channel_name_length;
        let named = |(name, counts): (Arc<str>, Counts)| Some((ChannelName::parse(&name, limit).ok()?, counts));
        Some(event::Page { channels: rooms.into_iter().filter_map(named).collect(), next })
    }

    /// The last event of a cache channel, if it has one.
    pub async fn cached(&self, app: &App, channel: &ChannelName) -> Option<Option<event::CachedEvent>> {
        let Ok(room) = Room::new(app.id(), channel.as_str()) else { return Some(None) };
        let record = self.link.ask(move |core| core.cached(&room).cloned()).await?;
        Some(record.and_then(|record| shown(channel, record)))
    }

    /// The members of a presence channel on all nodes: page by page, because the bus thread has more to do than to list a
    /// hundred thousand. Those who join or leave meanwhile may be among them or not.
    pub async fn members(&self, app: &App, channel: &ChannelName) -> Option<Vec<event::Member>> {
        let Ok(room) = Room::new(app.id(), channel.as_str()) else { return Some(Vec::new()) };
        let mut members = Vec::new();
        while let Some(page) = self.link.ask(members_page(room.clone(), members.last())).await {
            let is_last = page.len() < PAGE;
            members.extend(page);
            if is_last {
                return Some(members);
            }
        }
        None
    }

    /// Whether there are other nodes that this one can talk to.
    pub async fn has_peers(&self) -> bool {
        self.link.ask(|core| core.peers_to_ask().next().is_some()).await.unwrap_or(false)
    }

    /// What this node's core knows of a channel's events.
    pub async fn published_in(&self, app_id: &str, channel: &ChannelName) -> Option<Published> {
        let room = Room::new(app_id, channel.as_str()).ok()?;
        self.link.ask(move |core| core.published_in(&room)).await
    }

    fn send(&self, app: &App, channel: &str, (payload, trace): (Bytes, Option<TraceContext>), permit: PublishPermit) {
        if let Ok(room) = Room::new(app.id(), channel) {
            let span = travels::publish(&self.spans, &room, payload.len(), trace);
            let trace = travels::carried(span.as_ref(), trace);
            self.link.publish(RoomEvent { room, payload, trace }, permit);
            span.into_iter().for_each(OpenSpan::end);
        }
    }

    /// Every channel name that an app may have is one on the bus too; anything else has no subscribers.
    fn about(&self, app: &App, channel: &str, input: impl FnOnce(Room) -> Input) {
        if let Ok(room) = Room::new(app.id(), channel) {
            self.link.send(input(room));
        }
    }
}

/// The members that come after this one, as many as make a page.
fn members_page(room: Room, after: Option<&event::Member>) -> impl FnOnce(&Core) -> Vec<event::Member> + use<> {
    let after = after.map(|member| Arc::from(member.id.as_str()));
    let shown = |member: &Member| event::Member { id: member.user.to_string(), info: member.info.to_string() };
    move |core| core.members_after(&room, after.as_ref()).take(PAGE).map(shown).collect()
}

fn of(core: &Core, room: &Room, sockets: u64) -> Counts {
    Counts { subscriptions: usize::try_from(sockets).unwrap_or(usize::MAX), users: core.population(room) }
}

fn shown(channel: &ChannelName, record: CachedEvent) -> Option<event::CachedEvent> {
    let cached = event::cached(channel.clone(), record, event::now())?;
    let ttl = cached.expires.saturating_duration_since(cached.event.accepted);
    Some(event::CachedEvent { data: cached.event.words()?.data.clone(), ttl })
}

fn clamp(sockets: usize) -> u32 {
    u32::try_from(sockets).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use gaung_cluster::core::{Moment, Settings};

    use super::*;

    #[test]
    fn the_members_of_a_large_channel_come_in_full_pages_each_once_and_in_order() {
        const COUNT: usize = PAGE * 2 + 7;
        let mut core = Core::new(Settings::new(NodeId::from_bits(1), VERSION, 1));
        let room = Room::new("app", "presence-a").unwrap();
        for number in 0..COUNT {
            let member = Member { user: format!("{number:05}").into(), info: "{}".into(), since: 1, sockets: 1 };
            let fact = Fact::Member { room: room.clone(), member };
            core.step(Input::Fact(fact), Moment { up: Duration::ZERO, wall: Duration::ZERO });
        }
        let (mut listed, mut sizes) = (Vec::<event::Member>::new(), Vec::new());
        while sizes.last().is_none_or(|size| *size == PAGE) {
            let page = members_page(room.clone(), listed.last())(&core);
            sizes.push(page.len());
            listed.extend(page);
        }
        assert_eq!(sizes, [PAGE, PAGE, 7]);
        assert!(listed.iter().map(|member| &*member.id).eq((0..COUNT).map(|number| format!("{number:05}"))));
    }
}

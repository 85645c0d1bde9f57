//! What comes from the other nodes, on its way to this node's rooms, users and webhooks. Runs on the bus's thread and
//! waits for nobody.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use gaung_cluster::{
    Room, TraceContext,
    bus::Link,
    core::{Input, Output},
    elsewhere::{Elsewhere, Opening},
    fact::{CachedEvent, Generation},
    frame::RoomEvent,
};

use super::payload::{self, Message};
use crate::{
    app::{App, Registry},
    metrics::Metrics,
    protocol::ChannelName,
    room::{self, Cached, EncodedEvent, FromPeers, Rooms, event},
    webhook::{Change, Edge, Receipt, Webhooks, ids},
};

/// Where news goes.
pub struct News {
    /// The rooms of this node.
    pub rooms: Rooms,
    /// The apps of this node; what concerns others is dropped.
    pub registry: Registry,
    /// Posts the edges that this node is to tell.
    pub webhooks: Webhooks,
    /// Hears what became of a webhook.
    pub link: Link,
    /// Counts.
    pub metrics: Metrics,
}

impl News {
    /// Passes on one piece of news.
    pub fn tell(&self, output: Output) {
        match output {
            Output::Serving(opening) => self.open(opening),
            Output::Deliver(_, event) => self.deliver(event),
            Output::Cached(_, room, record, trace) => self.deliver_cached(&room, record, trace),
            Output::CacheRepaired(room, record) => self.repair_cache(&room, record),
            Output::Elsewhere(elsewhere) => self.pass_on(elsewhere),
            Output::Post(generation) => self.post(generation),
            // Counted by the core.
            Output::Lost { .. } => {}
            // What the bus does itself.
            Output::Publish(..) | Output::Subscribe(_) | Output::Unsubscribe(_) => {}
        }
    }

    fn open(&self, opening: Opening) {
        let Some((app, channel)) = self.place(&opening.room) else { return };
        if channel.kind().is_server_to_user() {
            return self.rooms.open_user(&app, channel.without_prefix());
        }
        let cached = opening.cached.and_then(|record| cached(channel.clone(), record, event::now()));
        let subscriptions = usize::try_from(opening.sockets).unwrap_or(usize::MAX);
        let opening = room::Opening { subscriptions, members: opening.members, cached };
        self.rooms.hear(&app, channel, FromPeers::Opened(opening));
    }

    fn deliver(&self, RoomEvent { room, payload, trace }: RoomEvent) {
        let Some((app, channel)) = self.place(&room) else { return };
        let is_line = channel.kind().is_server_to_user();
        match payload::read(payload) {
            Some(Message::Event(payload)) if is_line => {
                self.rooms.hear_for_user(&app, EncodedEvent::from_peer(channel, payload, trace, Instant::now()));
            }
            Some(Message::Event(payload)) => {
                let Some(permit) = self.rooms.admit() else { return self.refuse("rooms_full") };
                let event = EncodedEvent::from_peer(channel.clone(), payload, trace, Instant::now());
                self.rooms.hear(&app, channel, FromPeers::Event(event, permit));
            }
            Some(Message::Terminate) if is_line => self.rooms.terminate_here(&app, channel.without_prefix()),
            Some(Message::Terminate) | None => self.refuse("payload"),
        }
    }

    fn deliver_cached(&self, room: &Room, record: CachedEvent, trace: Option<TraceContext>) {
        let Some((app, channel)) = self.place(room) else { return };
        let Some(permit) = self.rooms.admit() else { return self.refuse("rooms_full") };
        match cached(channel.clone(), record, event::now()) {
            Some(mut cached) => {
                cached.event.trace = trace;
                self.rooms.hear(&app, channel, FromPeers::Cached(cached, permit));
            }
            None => self.refuse("payload"),
        }
    }

    fn repair_cache(&self, room: &Room, record: CachedEvent) {
        let Some((app, channel)) = self.place(room) else { return };
        match cached(channel.clone(), record, event::now()) {
            Some(cached) => self.rooms.hear(&app, channel, FromPeers::CacheRepaired(cached)),
            None => self.refuse("payload"),
        }
    }

    fn pass_on(&self, elsewhere: Elsewhere) {
        let (room, news) = match elsewhere {
            Elsewhere::User { app, user, sockets } => return self.rooms.set_user_elsewhere(&app, &user, sockets),
            Elsewhere::Subscriptions { room, sockets } => {
                (room, FromPeers::Subscriptions(usize::try_from(sockets).unwrap_or(usize::MAX)))
            }
            Elsewhere::Member { room, user, member } => (room, FromPeers::Member(user, member)),
        };
        if let Some((app, channel)) = self.place(&room) {
            self.rooms.hear(&app, channel, news);
        }
    }

    /// Where nobody knows the app any more there is nobody to post to.
    fn post(&self, generation: Generation) {
        let (link, posted) = (self.link.clone(), generation.clone());
        let receipt = Receipt::new(move || link.tell(Input::Posted(posted)));
        let Some((app, channel)) = self.place(&generation.edge.room) else { return receipt.redeem() };
        let id = id(&generation);
        self.webhooks.post(&app, Edge { channel, change: change(&generation) }, id, receipt);
    }

    fn place(&self, room: &Room) -> Option<(Arc<App>, ChannelName)> {
        let app = self.registry.by_id(room.app())?;
        // How long a name may be was decided where it came in.
        let channel = ChannelName::parse(room.channel(), usize::MAX).ok()?;
        Some((app, channel))
    }

    fn refuse(&self, reason: &str) {
        self.metrics.cluster_events_refused.with_label_values(&[reason]).inc();
    }
}

/// A record as this node's sockets see it; `None` if it is none or its time is over.
pub fn cached(channel: ChannelName, record: CachedEvent, (now, wall): (Instant, Duration)) -> Option<Cached> {
    let Message::Event(payload) = payload::read(record.payload.clone())? else { return None };
    let expires = now + Duration::from_micros(record.ends()).checked_sub(wall)?;
    Some(Cached { event: EncodedEvent::from_peer(channel, payload, None, now), record, expires })
}

fn id(Generation { edge, number, .. }: &Generation) -> String {
    ids::of_generation(edge.room.app(), edge.room.channel(), edge.user.as_deref(), *number)
}

/// What a generation says of its edge: odd numbers are arrivals.
fn change(generation: &Generation) -> Change {
    let has_come = generation.number % 2 == 1;
    match (&generation.edge.user, has_come) {
        (None, true) => Change::Occupied,
        (None, false) => Change::Vacated,
        (Some(user), true) => Change::MemberAdded(user.to_string()),
        (Some(user), false) => Change::MemberRemoved(user.to_string()),
    }
}

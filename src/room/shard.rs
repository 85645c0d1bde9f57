//! The registry of the rooms of one thread, and of the signed-in users that belong to it.
//!
//! Invariant: every message to a room passes through its shard, and a room goes only when its shard has seen that
//! nothing is under way to it. So no join can fall into a dying room.

use std::{
    cell::Cell,
    collections::HashMap,
    rc::Rc,
    sync::{Arc, atomic::Ordering::Relaxed},
};

use actix::{Actor, Addr, AsyncContext, Context, Handler, MessageResult};

use super::{
    AppTotals, Counts, Origin,
    actor::{Room, refuse_whisper},
    carrier::Carrier,
    event::EncodedEvent,
    interest::{Interest, Place},
    messages::{
        Answer, Count, Find, Forwarded, ListOccupied, Retire, RoomMessage, Sum, ToRoom, ToUsers, UserElsewhere,
        UserMessage,
    },
    users::Users,
};
use crate::{
    app::App, cluster::Cluster, happenings::Happening, metrics::Metrics, protocol::ChannelName, trail,
    webhook::Webhooks,
};

/// Rooms by app and channel.
pub struct Shard {
    rooms: HashMap<Arc<str>, HashMap<ChannelName, Entry>>,
    users: Users,
    services: Rc<Services>,
    interest: Interest,
}

/// What rooms use besides their subscribers.
pub struct Services {
    /// Hears of edges.
    pub webhooks: Webhooks,
    /// Counts.
    pub metrics: Metrics,
    /// One for each room thread.
    pub carriers: Arc<[Addr<Carrier>]>,
    /// The other nodes, if this one is not alone.
    pub cluster: Option<Cluster>,
}

struct Entry {
    room: Addr<Room>,
    tally: Rc<Tally>,
}

/// What a room holds, written by the room and read by its shard on the same thread.
#[derive(Debug, Default)]
pub struct Tally {
    /// Subscriptions and users.
    pub counts: Cell<Counts>,
    /// Whether the room has nothing left to keep.
    pub idle: Cell<bool>,
    /// Messages that the shard has forwarded and the room has not handled; the shard's only field.
    pub in_flight: Cell<usize>,
}

impl Shard {
    /// A shard without rooms.
    pub fn new(services: Services, interest: Interest) -> Self {
        let users = Users::new(interest.clone(), services.cluster.clone());
        Self { rooms: HashMap::new(), users, services: Rc::new(services), interest }
    }

    fn entry(&self, app: &App, channel: &ChannelName) -> Option<&Entry> {
        self.rooms.get(app.id())?.get(channel)
    }

    fn open(&mut self, app: &Arc<App>, channel: &ChannelName, ctx: &mut Context<Self>) -> &Entry {
        let rooms = self.rooms.entry(app.id().clone()).or_default();
        rooms.entry(channel.clone()).or_insert_with(|| {
            self.interest.begin(Place::of(app.id(), channel.as_str()));
            let tally = Rc::new(Tally::default());
            let services = self.services.clone();
            if let Some(cluster) = &services.cluster {
                cluster.serve(app, channel.as_str());
            }
            let room = Room::new(app.clone(), channel.clone(), tally.clone(), ctx.address(), services).start();
            Entry { room, tally }
        })
    }

    fn deliver_to_user(&mut self, app: &App, event: &EncodedEvent) {
        let receivers = self.users.deliver(app, event.channel.without_prefix(), event);
        trail::delivered(app, event, receivers);
        app.counters.deliveries.fetch_add(receivers as u64, Relaxed);
        app.counters.bytes_out.fetch_add((receivers * event.frame.len()) as u64, Relaxed);
        self.services.metrics.fan_out_seconds.observe(event.accepted.elapsed().as_secs_f64());
        self.tell_published(app, event, receivers);
    }

    fn tell_published(&self, app: &App, event: &EncodedEvent, sockets: usize) {
        let happenings = &self.services.metrics.happenings;
        happenings.tell(|| Happening::published(app.id().clone(), event.clone(), sockets));
    }
}

impl Actor for Shard {
    type Context = Context<Self>;
}

impl Handler<ToRoom> for Shard {
    type Result = ();

    fn handle(&mut self, ToRoom { app, channel, message, underway }: ToRoom, ctx: &mut Context<Self>) {
        let entry = match (&message, self.entry(&app, &channel)) {
            (RoomMessage::Publish(event, _), _) if channel.kind().is_server_to_user() => {
                return self.deliver_to_user(&app, event);
            }
            (_, Some(entry)) => entry,
            (message, None) if opens_room(message, &channel) => self.open(&app, &channel, ctx),
            (RoomMessage::Whisper(whisper), None) => return refuse_whisper(&whisper.sender, &channel),
            (RoomMessage::Publish(event, _), None) => return self.tell_published(&app, event, 0),
            (RoomMessage::Join(..) | RoomMessage::Leave(_) | RoomMessage::FromPeers(_), None) => return,
        };
        entry.tally.in_flight.set(entry.tally.in_flight.get() + 1);
        entry.room.do_send(Forwarded { message, underway });
    }
}

/// Whether a message is reason enough for a room: a subscriber, or an event to be kept for later subscribers.
fn opens_room(message: &RoomMessage, channel: &ChannelName) -> bool {
    match message {
        RoomMessage::Join(..) => true,
        RoomMessage::Publish(event, _) => channel.kind().is_cached() && event.origin == Origin::BackEnd,
        RoomMessage::Leave(_) | RoomMessage::Whisper(_) | RoomMessage::FromPeers(_) => false,
    }
}

impl Handler<Retire> for Shard {
    type Result = ();

    fn handle(&mut self, Retire { app_id, channel }: Retire, _: &mut Context<Self>) {
        let Some(rooms) = self.rooms.get_mut(&app_id) else { return };
        if rooms.get(&channel).is_some_and(|entry| entry.tally.idle.get() && entry.tally.in_flight.get() == 0) {
            rooms.remove(&channel);
            if let Some(cluster) = &self.services.cluster {
                cluster.leave(&app_id, channel.as_str());
            }
            self.interest.end(Place::of(&app_id, channel.as_str()));
        }
        if rooms.is_empty() {
            self.rooms.remove(&app_id);
        }
    }
}

impl Handler<ToUsers> for Shard {
    type Result = ();

    fn handle(&mut self, ToUsers { app, message, underway: _underway }: ToUsers, _: &mut Context<Self>) {
        match message {
            UserMessage::SignIn(user_id, sign_in) => self.users.sign_in(&app, &user_id, sign_in),
            UserMessage::SignOut(user_id, socket, watchlist) => {
                self.users.sign_out(&app, &user_id, socket);
                watchlist.end(socket);
            }
            UserMessage::Watch(user_ids, socket, outbox) => self.users.watch(&app, &user_ids, socket, &outbox),
            UserMessage::Unwatch(user_ids, socket) => self.users.unwatch(&app, &user_ids, socket),
            UserMessage::Terminate(user_id) => self.users.terminate(&app, &user_id),
            UserMessage::Opened(user_id) => self.users.open(&app, &user_id),
            UserMessage::Event(event) => self.deliver_to_user(&app, &event),
        }
    }
}

impl Handler<UserElsewhere> for Shard {
    type Result = ();

    fn handle(&mut self, UserElsewhere { app_id, user_id, sockets }: UserElsewhere, _: &mut Context<Self>) {
        self.users.set_elsewhere(&app_id, &user_id, sockets);
    }
}

impl Handler<Count> for Shard {
    type Result = Vec<Counts>;

    fn handle(&mut self, Count { app, channels }: Count, _: &mut Context<Self>) -> Vec<Counts> {
        let counts = |channel| self.entry(&app, channel).map(|entry| entry.tally.counts.get());
        channels.iter().map(|channel| counts(channel).unwrap_or_default()).collect()
    }
}

impl Handler<ListOccupied> for Shard {
    type Result = Vec<(ChannelName, Counts)>;

    fn handle(&mut self, ListOccupied { app, prefix }: ListOccupied, _: &mut Context<Self>) -> Self::Result {
        let rooms = self.rooms.get(app.id()).into_iter().flatten();
        rooms
            .map(|(channel, entry)| (channel, entry.tally.counts.get()))
            .filter(|(channel, counts)| counts.subscriptions > 0 && channel.as_str().starts_with(&prefix))
            .map(|(channel, counts)| (channel.clone(), counts))
            .collect()
    }
}

impl Handler<Find> for Shard {
    type Result = Option<Addr<Room>>;

    fn handle(&mut self, Find { app, channel }: Find, _: &mut Context<Self>) -> Self::Result {
        self.entry(&app, &channel).map(|entry| entry.room.clone())
    }
}

impl Handler<Answer> for Shard {
    type Result = ();

    fn handle(&mut self, _: Answer, _: &mut Context<Self>) {}
}

impl Handler<Sum> for Shard {
    type Result = MessageResult<Sum>;

    fn handle(&mut self, _: Sum, _: &mut Context<Self>) -> MessageResult<Sum> {
        let sum = |rooms: &HashMap<ChannelName, Entry>| {
            rooms.values().fold(AppTotals::default(), |totals, entry| totals.with_room(entry.tally.counts.get()))
        };
        MessageResult(self.rooms.iter().map(|(app_id, rooms)| (app_id.clone(), sum(rooms))).collect())
    }
}

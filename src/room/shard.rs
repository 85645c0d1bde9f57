//! The registry of the rooms of one thread.
//!
//! Invariant: every message to a room passes through its shard, and a room goes only when its shard has seen that
//! nothing is under way to it. So no join can fall into a dying room.

use std::{
    cell::{Cell, RefCell},
    collections::{HashMap, HashSet},
    rc::Rc,
    sync::Arc,
    time::Instant,
};

use actix::{Actor, Addr, AsyncContext, Context, Handler, MessageResult, WrapFuture};
use tokio::task::yield_now;

use super::{
    actor::RoomActor,
    asking::Asking,
    awaiting::{Awaiting, MAX_AWAITING},
    cached::unserved_record,
    fanout_worker::FanoutWorker,
    history::Histories,
    interest::{ChannelHash, Interest},
    messages::{
        AboutUsers, Answer, AnswerHistory, AwaitReturn, Count, Find, Forwarded, FromPeers, FromPeersForRoom,
        ListOccupied, Retire, Retired, RoomMessage, Sum, ToRoom, UserMessage,
    },
    perform::Room,
    present::Present,
    questions::PAGE,
    refusals::refuse_client_event,
    registered::{Registered, Tally},
    routing::{Route, route},
    shelf::Shelf,
    state::{Effect, Reach, Task},
    users::{Outcome, UserRooms},
    watchlists::Watchlists,
};
use crate::{
    activity::ActivityEvent,
    app::App,
    cluster::{Cluster, MEMBERS_CHANNEL},
    event::{Counts, EncodedEvent, UserAction},
    metrics::Metrics,
    page::Pages,
    protocol::ChannelName,
    turn::Turn,
    webhook::Webhooks,
};

/// Rooms by app and channel: those of users, which it serves itself, and actors for all others.
pub(super) struct Shard {
    rooms: HashMap<Arc<str>, Registered<Addr<RoomActor>>>,
    users: UserRooms,
    services: Rc<Services>,
    interest: Interest,
    turn: Turn,
    /// Apps whose members' connections may be ended from other nodes.
    hearing: HashSet<Arc<str>>,
    awaiting: Awaiting,
}

/// What rooms use besides their subscribers.
pub(super) struct Services {
    /// Gets the webhook events.
    pub webhooks: Webhooks,
    /// Counts.
    pub metrics: Metrics,
    /// One for each room thread.
    pub fanout_workers: Arc<[Addr<FanoutWorker>]>,
    /// The other nodes, if this one is not alone.
    pub cluster: Option<Cluster>,
    /// Who is in the presence channels of this thread.
    pub present: RefCell<Present>,
    /// Which users of this thread are online, and who watches them.
    pub watchlists: RefCell<Watchlists>,
    /// Gives pages that come back what they had.
    pub pages: Pages,
    /// Bounds the cached events, if the node is alone.
    pub shelf: Shelf,
    /// Numbers events, and bounds what is kept of them.
    pub histories: Histories,
    /// Asks the other nodes for what they keep.
    pub asking: Asking,
    /// How many bytes a room writes to a subscriber at once.
    pub batch_bytes: usize,
    /// Empty; kept so that no step allocates one.
    pub effects: Cell<Vec<Effect>>,
    /// The same.
    pub tasks: Cell<Vec<Task>>,
}

impl Services {
    /// Whether rooms have counterparts on other nodes.
    pub(super) fn reach(&self) -> Reach {
        if self.cluster.is_some() { Reach::Cluster } else { Reach::Alone }
    }
}

impl Shard {
    /// A shard without rooms.
    pub(super) fn new(services: Services, interest: Interest) -> Self {
        let awaiting = Awaiting::new(MAX_AWAITING / services.fanout_workers.len().max(1));
        Self {
            rooms: HashMap::new(),
            users: UserRooms::default(),
            awaiting,
            services: Rc::new(services),
            interest,
            turn: Turn::default(),
            hearing: HashSet::new(),
        }
    }

    /// After every message from a session, a back end or another node: the rooms have their turn, however much there is
    /// to pass on.
    fn rest(&mut self, ctx: &mut Context<Self>) {
        if self.turn.is_over(0) {
            ctx.wait(yield_now().into_actor(self));
        }
    }

    fn entry(&self, app_id: &str, channel: &ChannelName) -> Option<(&Addr<RoomActor>, &Rc<Tally>)> {
        self.rooms.get(app_id)?.get(channel)
    }

    fn has_room(&self, app_id: &Arc<str>, channel: &ChannelName) -> bool {
        if channel.kind().is_server_to_user() {
            return self.users.contains(app_id, channel);
        }
        self.entry(app_id, channel).is_some()
    }

    fn open(&mut self, app: &Arc<App>, channel: &ChannelName, ctx: &mut Context<Self>) {
        if channel.kind().is_presence() {
            self.hear_of_members(app.id());
        }
        self.interest.begin(ChannelHash::of(app.id(), channel.as_str()));
        let services = self.services.clone();
        if let Some(cluster) = &services.cluster {
            cluster.serve(app.id(), channel.as_str());
            if channel.kind().is_presence() {
                services.present.borrow_mut().opens(app.id(), channel);
            }
        }
        let room = Room::new(app.clone(), channel.clone(), services);
        if channel.kind().is_server_to_user() {
            return self.users.add(room);
        }
        let rooms = self.rooms.entry(app.id().clone()).or_default();
        let tally = rooms.tally();
        rooms.add(channel.clone(), RoomActor::new(room, tally.clone(), ctx.address()).start(), tally);
    }

    /// After a room has gone.
    fn close(&self, app_id: &Arc<str>, channel: &ChannelName) {
        if let Some(cluster) = &self.services.cluster {
            cluster.leave(app_id, channel.as_str());
            self.services.present.borrow_mut().has_opened(app_id, channel);
        }
        self.interest.end(ChannelHash::of(app_id, channel.as_str()));
    }

    fn forward(&mut self, app_id: &Arc<str>, channel: &ChannelName, forwarded: Forwarded) {
        if channel.kind().is_server_to_user() {
            if self.users.forward(app_id, channel, forwarded) == Outcome::Retired {
                self.close(app_id, channel);
            }
        } else if let Some((room, tally)) = self.entry(app_id, channel) {
            tally.in_flight.set(tally.in_flight.get() + 1);
            room.do_send(forwarded);
        }
    }

    fn act_on_member(&mut self, app_id: &Arc<str>, user_id: &Arc<str>, action: &UserAction) {
        let channels = self.services.present.borrow().channels(app_id, user_id);
        for channel in channels {
            let message = RoomMessage::FromPeers(FromPeers::Acted(user_id.clone(), action.clone()));
            self.forward(app_id, &channel, Forwarded { message, underway: None });
        }
    }

    /// Before the first presence channel of an app is served here, so that the end of its members' connections is heard
    /// as soon as it has any. What is heard for them costs next to nothing, and is never given up.
    fn hear_of_members(&mut self, app_id: &Arc<str>) {
        if let Some(cluster) = &self.services.cluster
            && self.hearing.insert(app_id.clone())
        {
            cluster.serve(app_id, MEMBERS_CHANNEL);
        }
    }

    /// An event of a cache channel that nobody here is subscribed to. The cluster keeps it, and a room that opens for a
    /// later subscriber learns it from there: what is told of one channel is told in order.
    fn publish_kept(&self, app: &App, message: RoomMessage) {
        let (Some(cluster), RoomMessage::Publish(event, _, Some(publish_permit))) = (&self.services.cluster, message)
        else {
            return;
        };
        let record = unserved_record(&event, app.settings().cache_ttl);
        cluster.cache(app, &event.channel, record, (event.trace, publish_permit));
        self.tell_published(app, &event, 0);
    }

    fn tell_published(&self, app: &App, event: &EncodedEvent, sockets: usize) {
        let activity = &self.services.metrics.activity;
        activity.report(|| ActivityEvent::published(app.id().clone(), event.clone(), sockets));
    }
}

impl Actor for Shard {
    type Context = Context<Self>;
}

impl Handler<ToRoom> for Shard {
    type Result = ();

    fn handle(&mut self, ToRoom { app, channel, message, underway }: ToRoom, ctx: &mut Context<Self>) {
        self.rest(ctx);
        if !self.has_room(app.id(), &channel) {
            match route(&message, self.services.reach()) {
                Route::Open => self.open(&app, &channel, ctx),
                Route::Share => return self.publish_kept(&app, message),
                Route::Refuse(sender) => return refuse_client_event(sender, &channel, &app, &self.services),
                Route::Unheard(event) => return self.tell_published(&app, event, 0),
                Route::Parted(visit) => return self.services.pages.part(visit.clone(), channel, None),
                Route::Drop => return,
            }
        }
        self.forward(app.id(), &channel, Forwarded { message, underway });
    }
}

impl Handler<FromPeersForRoom> for Shard {
    type Result = ();

    /// Where no room is, nobody wants to know.
    fn handle(&mut self, FromPeersForRoom { app_id, channel, from_peers }: FromPeersForRoom, ctx: &mut Context<Self>) {
        self.rest(ctx);
        let message = RoomMessage::FromPeers(from_peers);
        self.forward(&app_id, &channel, Forwarded { message, underway: None });
    }
}

impl Handler<Retire> for Shard {
    type Result = ();

    fn handle(&mut self, Retire { app_id, channel }: Retire, _: &mut Context<Self>) {
        let Some(rooms) = self.rooms.get_mut(&app_id) else { return };
        let Some((room, tally)) = rooms.get(&channel) else { return };
        if tally.idle.get() && tally.in_flight.get() == 0 {
            room.do_send(Retired);
            rooms.remove(&channel);
            if rooms.is_empty() {
                self.rooms.remove(&app_id);
            }
            self.close(&app_id, &channel);
        }
    }
}

impl Handler<AwaitReturn> for Shard {
    type Result = ();

    fn handle(&mut self, AwaitReturn { app_id, channel }: AwaitReturn, _: &mut Context<Self>) {
        let Some((_, tally)) = self.entry(&app_id, &channel) else { return };
        let tally = tally.clone();
        tally.wait.set(self.awaiting.begin(app_id, channel));
        let still_waits = |app_id: &str, channel: &ChannelName, number| {
            let room = self.rooms.get(app_id).and_then(|rooms| rooms.get(channel));
            room.is_some_and(|(_, tally)| tally.wait.get() == number && tally.counts().subscriptions == 0)
        };
        for (app_id, channel) in self.awaiting.excess(still_waits) {
            self.forward(&app_id, &channel, Forwarded { message: RoomMessage::StopAwaiting, underway: None });
        }
    }
}

impl Handler<AboutUsers> for Shard {
    type Result = ();

    fn handle(&mut self, AboutUsers { app_id, message }: AboutUsers, ctx: &mut Context<Self>) {
        self.rest(ctx);
        let watchlists = &self.services.watchlists;
        match message {
            UserMessage::Watch(users, socket, outbox) => {
                watchlists.borrow_mut().watch(&app_id, &users, socket, &outbox);
            }
            UserMessage::Unwatch(users, socket) => watchlists.borrow_mut().unwatch(&app_id, &users, socket),
            UserMessage::Remote(user, sockets) => watchlists.borrow_mut().set_remote(&app_id, &user, sockets),
            UserMessage::ActOnMember(user, action) => self.act_on_member(&app_id, &user, &action),
        }
    }
}

impl Handler<Count> for Shard {
    type Result = Vec<Counts>;

    fn handle(&mut self, Count { app, channels }: Count, _: &mut Context<Self>) -> Vec<Counts> {
        let counts = |channel| self.entry(app.id(), channel).map(|(_, tally)| tally.counts());
        channels.iter().map(|channel| counts(channel).unwrap_or_default()).collect()
    }
}

impl Handler<ListOccupied> for Shard {
    type Result = MessageResult<ListOccupied>;

    fn handle(&mut self, ListOccupied { app, prefix, after }: ListOccupied, _: &mut Context<Self>) -> Self::Result {
        let rooms = self.rooms.get(app.id());
        MessageResult(rooms.map(|rooms| rooms.occupied(&prefix, after.as_deref(), PAGE)).unwrap_or_default())
    }
}

impl Handler<Find> for Shard {
    type Result = Option<Addr<RoomActor>>;

    fn handle(&mut self, Find { app, channel }: Find, _: &mut Context<Self>) -> Self::Result {
        self.entry(app.id(), &channel).map(|(room, _)| room.clone())
    }
}

impl Handler<AnswerHistory> for Shard {
    type Result = ();

    /// The room answers, after what it was told before; where no room is, only what the node published itself is known.
    fn handle(&mut self, asked: AnswerHistory, _: &mut Context<Self>) {
        match self.entry(&asked.app_id, &asked.channel) {
            Some((room, _)) => room.do_send(asked),
            None => asked.answer(None, Instant::now()),
        }
    }
}

impl Handler<Answer> for Shard {
    type Result = ();

    fn handle(&mut self, _: Answer, _: &mut Context<Self>) {}
}

impl Handler<Sum> for Shard {
    type Result = MessageResult<Sum>;

    fn handle(&mut self, _: Sum, _: &mut Context<Self>) -> MessageResult<Sum> {
        let now = Instant::now();
        MessageResult(self.rooms.iter().map(|(app_id, rooms)| (app_id.clone(), rooms.totals(now))).collect())
    }
}

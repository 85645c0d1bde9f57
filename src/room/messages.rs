//! What rooms and shards are told and asked.

use std::{collections::HashMap, fmt, sync::Arc};

use actix::{Addr, Message};
use bytes::Bytes;
use gaung_cluster::{bus::PublishPermit, fact::Member};

use super::{Rooms, actor::RoomActor, backlog::Permit, fanout::Subscriber, inflow::Underway};
use crate::{
    app::App,
    event::{AppTotals, Cached, CachedEvent, Counts, EncodedEvent, Page},
    outbox::Outbox,
    protocol::{ChannelName, SocketId, presence::MemberClaim},
};

/// Something for one room, through its shard, which finds or starts the room.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct ToRoom {
    /// Whose room.
    pub app: Arc<App>,
    /// Which room.
    pub channel: ChannelName,
    /// What.
    pub message: RoomMessage,
    /// The count of it, if a socket sent it.
    pub underway: Option<Underway>,
}

/// The same as its room gets it.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct Forwarded {
    /// What.
    pub message: RoomMessage,
    /// Over when the room has handled it.
    pub underway: Option<Underway>,
}

/// Something from the other nodes for one room. They know no apps, only ids; and the room must hear it also while its app
/// is gone for a moment.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct FromPeersForRoom {
    /// Whose room.
    pub app_id: Arc<str>,
    /// Which room.
    pub channel: ChannelName,
    /// What.
    pub from_peers: FromPeers,
}

/// What a room is told.
#[derive(Debug)]
pub enum RoomMessage {
    /// A socket subscribes.
    Join(Join),
    /// A socket unsubscribes or is gone.
    Leave(SocketId),
    /// A back end publishes. In a cluster the last event of a cache channel has a permit of the bus too.
    Publish(EncodedEvent, Permit, Option<PublishPermit>),
    /// A subscriber publishes.
    ClientEvent(ClientEvent, Permit),
    /// Something came from the other nodes.
    FromPeers(FromPeers),
}

/// What a room hears of its counterparts on other nodes. Values are absolute: what all of them add up to.
#[derive(Debug)]
pub enum FromPeers {
    /// Nothing that they publish is missed any more; how things stand there.
    Opened(Opening),
    /// They have so many subscribers.
    Subscriptions(usize),
    /// A user is in the channel there like this, or not at all.
    Member(Arc<str>, Option<Member>),
    /// A back end, there or here, ends the connections that are in the channel as this user.
    Terminated(Arc<str>),
    /// They published an event.
    Event(EncodedEvent, Permit),
    /// They published an event of a cache channel.
    Cached(Cached, Permit),
    /// A newer cached event than the one that was known, published while this node did not hear them.
    CacheRepaired(Cached),
    /// The cached event that was published at this time had to go for newer ones of other channels.
    CacheEvicted(u64),
}

/// How things stand on the other nodes when a room opens.
#[derive(Debug)]
pub struct Opening {
    /// Their subscribers.
    pub subscriptions: usize,
    /// Their members, each once.
    pub members: Vec<Member>,
    /// The last event of the channel, whoever published it.
    pub cached: Option<Cached>,
}

/// A socket that wants to subscribe.
#[derive(Debug)]
pub struct Join {
    /// Who.
    pub subscriber: Subscriber,
    /// As which member; only on presence channels.
    pub claim: Option<MemberClaim>,
    /// Tells this attempt of the socket from all its others, so that a refusal that comes late undoes no later one.
    pub attempt: u32,
}

/// A client event whose sender is not yet known to be a subscriber.
#[derive(Debug)]
pub struct ClientEvent {
    /// Who sends, and where a refusal goes.
    pub sender: Subscriber,
    /// `client-…`
    pub name: String,
    /// The payload, stringified.
    pub data: String,
}

/// Something about a signed-in user, for the shard that knows the user.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct ToUsers {
    /// Whose user.
    pub app_id: Arc<str>,
    /// What.
    pub message: UserMessage,
    /// The count of it, if a socket sent it.
    pub underway: Option<Underway>,
}

/// What the index of signed-in users is told.
#[derive(Debug)]
pub enum UserMessage {
    /// A socket signed in as this user.
    SignIn(String, SignIn),
    /// A signed-in socket is gone, and its interest in others.
    SignOut(String, SocketId, Watchlist),
    /// A socket wants to hear when these users come and go.
    Watch(Vec<String>, SocketId, Arc<Outbox>),
    /// A watching socket is gone.
    Unwatch(Vec<String>, SocketId),
    /// A back end ends this user's connections.
    Terminate(String),
    /// A back end ends the connections that are in a presence channel as this user.
    TerminateMember(Arc<str>),
    /// Nothing that other nodes publish for this user is missed any more.
    Opened(String),
    /// So many sockets are signed in as this user on all other nodes.
    Remote(Arc<str>, u64),
    /// Another node published an event for a user of this app.
    Event(Arc<App>, EncodedEvent, Permit),
}

/// A sign-in that was found good.
#[derive(Debug)]
pub struct SignIn {
    /// The socket.
    pub socket: Subscriber,
    /// What it is answered.
    pub welcome: Vec<Bytes>,
    /// Whom it watches from then on.
    pub watchlist: Watchlist,
}

/// Users of whose coming and going a socket wants to hear. They may belong to other shards, which hear of it from the
/// shard of the watching user alone: so an end never overtakes its beginning.
#[derive(Clone)]
pub struct Watchlist {
    /// The way to all shards.
    pub rooms: Rooms,
    /// Whose users.
    pub app: Arc<App>,
    /// Which.
    pub user_ids: Vec<String>,
}

impl Watchlist {
    /// The socket hears of them from now on, and at once who of them is there.
    pub fn begin(&self, socket: &Subscriber) {
        self.rooms.watch(&self.app, &self.user_ids, socket.id, &socket.outbox);
    }

    /// The socket hears of them no more.
    pub fn end(&self, socket: SocketId) {
        self.rooms.unwatch(&self.app, &self.user_ids, socket);
    }
}

impl fmt::Debug for Watchlist {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Watchlist").field(&self.user_ids).finish()
    }
}

/// How many hold these channels? Answered in their order.
#[derive(Message)]
#[rtype(result = "Vec<Counts>")]
pub struct Count {
    /// Whose channels.
    pub app: Arc<App>,
    /// Which.
    pub channels: Vec<ChannelName>,
}

/// Which channels have subscribers? A page of them.
#[derive(Message)]
#[rtype(result = "Page")]
pub struct ListOccupied {
    /// Whose channels.
    pub app: Arc<App>,
    /// Only names that start so.
    pub prefix: String,
    /// Only names that come after this one.
    pub after: Option<Arc<str>>,
}

/// Which actor serves the channel, if one does?
#[derive(Message)]
#[rtype(result = "Option<Addr<RoomActor>>")]
pub struct Find {
    /// Whose channel.
    pub app: Arc<App>,
    /// Which.
    pub channel: ChannelName,
}

/// Asks whether the thread still takes messages.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Answer;

/// What do the rooms of this shard add up to, by app id?
#[derive(Message)]
#[rtype(result = "HashMap<Arc<str>, AppTotals>")]
pub struct Sum;

/// Who is in the presence channel?
#[derive(Message)]
#[rtype(result = "Vec<crate::event::Member>")]
pub struct ListMembers;

/// What was the last event?
#[derive(Message)]
#[rtype(result = "Option<CachedEvent>")]
pub struct ReadCache;

/// A room has nothing left to keep; its shard decides whether it goes.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Retire {
    /// Whose room.
    pub app_id: Arc<str>,
    /// Which.
    pub channel: ChannelName,
}

//! What rooms and shards are told and asked.

use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};

use actix::{Addr, Message};
use bytes::Bytes;
use gaung_cluster::{bus::PublishPermit, fact::Member};

use super::{
    HistoryPage, actor::RoomActor, asking::HistoryReply, backlog::Permit, fanout::Subscriber, inflow::Underway,
    inquiry::Answered, watchlists::Watchlist,
};
use crate::{
    app::App,
    event::{AppTotals, Cached, CachedEvent, Counts, EncodedEvent, Page, UserAction},
    outbox::Outbox,
    page::PageVisit,
    protocol::{ChannelName, EventId, Position, Since, SocketId, presence::MemberClaim},
};

/// Something for one room, through its shard, which finds or starts the room.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub(super) struct ToRoom {
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
pub(super) struct FromPeersForRoom {
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
    /// The session of a page is over, and the page may come back.
    Part(Parting),
    /// Too many rooms await subscribers: it is one of the oldest of them.
    StopAwaiting,
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
    /// A back end, there or here, acts on the connections that are in the channel as this user.
    Acted(Arc<str>, UserAction),
    /// They published an event.
    Event(EncodedEvent, Permit),
    /// They published an event of a cache channel.
    Cached(Cached, Permit),
    /// A newer cached event than the one that was known, published while this node did not hear them.
    CacheRepaired(Cached),
    /// The cached event that was published at this time had to go for newer ones of other channels.
    CacheEvicted(u64),
    /// What a node published up to this event is lost for this node.
    Lost(EventId),
    /// What they answered that were asked for what came after the room's [question](super::state::RoomState::question).
    History(Answered),
}

/// How things stand on the other nodes when a room opens.
#[derive(Debug)]
pub struct Opening {
    /// Their subscribers.
    pub subscriptions: usize,
    /// Their members, each once.
    pub members: Vec<Member>,
    /// The last event of the channel, from any publisher.
    pub cached: Option<Cached>,
    /// Of each node, this one included, the event after which none of the channel is missed here.
    pub positions: Vec<EventId>,
}

/// A socket that wants to subscribe.
#[derive(Debug)]
pub struct Join {
    /// Who.
    pub subscriber: Subscriber,
    /// As what, where that matters.
    pub claim: Option<JoinAs>,
    /// How far the client has heard the channel before; on a history, what came since is sent.
    pub since: Option<Since>,
    /// Whether the client is a page whose receipts say how far it has heard the channel.
    pub page: Option<PageJoin>,
    /// Tells this attempt of the socket from all its others, so that a refusal that comes late undoes no later one.
    pub attempt: u32,
}

/// A page that subscribes: the room notes what it is sent.
#[derive(Debug, Clone, Copy)]
pub struct PageJoin {
    /// The socket that the page had before, if that was another one: what excluded it is not replayed.
    pub was: Option<SocketId>,
}

/// A page whose session is over.
#[derive(Debug)]
pub struct Parting {
    /// Its socket.
    pub socket: SocketId,
    /// Who is told how far the page has heard the room.
    pub visit: PageVisit,
    /// When that was asked of the page to which it has answered, so that it has heard everything from before.
    pub proven: Option<Instant>,
    /// For how long its user stays a member.
    pub grace: Duration,
}

/// As what a socket subscribes, where that matters.
#[derive(Debug)]
pub enum JoinAs {
    /// As a member of a presence channel.
    Member(MemberClaim),
    /// As the user whose channel it is.
    User(SignIn),
}

/// A sign-in that was found good.
#[derive(Debug)]
pub struct SignIn {
    /// What the socket is answered.
    pub welcome: Vec<Bytes>,
    /// Of which users it wants to hear.
    pub watchlist: Option<Box<Watchlist>>,
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

/// Something about users of an app, for their shard.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub(super) struct AboutUsers {
    /// Whose users.
    pub app_id: Arc<str>,
    /// What.
    pub message: UserMessage,
}

/// What a shard is told of users.
#[derive(Debug)]
pub(super) enum UserMessage {
    /// A socket wants to hear when these users come and go.
    Watch(Vec<String>, SocketId, Arc<Outbox>),
    /// A watching socket is gone.
    Unwatch(Vec<String>, SocketId),
    /// So many sockets are signed in as this user on all other nodes.
    Remote(Arc<str>, u64),
    /// A back end acts on the connections that are in a presence channel as this user.
    ActOnMember(Arc<str>, UserAction),
}

/// How many hold these channels? Answered in their order.
#[derive(Message)]
#[rtype(result = "Vec<Counts>")]
pub(super) struct Count {
    /// Whose channels.
    pub app: Arc<App>,
    /// Which.
    pub channels: Vec<ChannelName>,
}

/// Which channels have subscribers? A page of them.
#[derive(Message)]
#[rtype(result = "Page")]
pub(super) struct ListOccupied {
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
pub(super) struct Find {
    /// Whose channel.
    pub app: Arc<App>,
    /// Which.
    pub channel: ChannelName,
}

/// Asks whether the thread still takes messages.
#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct Answer;

/// What do the rooms of this shard add up to, by app id?
#[derive(Message)]
#[rtype(result = "HashMap<Arc<str>, AppTotals>")]
pub(super) struct Sum;

/// Who is in the presence channel?
#[derive(Message)]
#[rtype(result = "Vec<crate::event::Member>")]
pub(super) struct ListMembers;

/// What was the last event?
#[derive(Message)]
#[rtype(result = "Option<CachedEvent>")]
pub(super) struct ReadCache;

/// What is kept of the channel's events?
#[derive(Message)]
#[rtype(result = "HistoryPage")]
pub(super) struct ReadHistory {
    /// Only what came after this.
    pub since: Option<Position>,
    /// How many events at most.
    pub limit: usize,
}

/// What does this node know of the channel's events? Asked by another node.
#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct AnswerHistory {
    /// Whose channel.
    pub app_id: Arc<str>,
    /// Which.
    pub channel: ChannelName,
    /// Only what came after this.
    pub since: Position,
    /// Where the answer goes.
    pub reply: HistoryReply,
}

/// What are the newest events that are kept, so many at most?
#[derive(Message)]
#[rtype(result = "Vec<EncodedEvent>")]
pub(super) struct ReadNewest(pub usize);

/// A room is gone: its actor must not live until its last clock rings.
#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct Retired;

/// A room lives on without subscribers.
#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct AwaitReturn {
    /// Whose room.
    pub(super) app_id: Arc<str>,
    /// Which.
    pub(super) channel: ChannelName,
}

/// A room has nothing left to keep; its shard decides whether it goes.
#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct Retire {
    /// Whose room.
    pub app_id: Arc<str>,
    /// Which.
    pub channel: ChannelName,
}

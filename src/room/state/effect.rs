//! What a room wants done. Pure.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use gaung_cluster::{
    TraceContext,
    bus::PublishPermit,
    fact::{CachedEvent, Member},
};

use super::QuestionOutcome;
use crate::{
    event::EncodedEvent,
    outbox::Outbox,
    page::{Heard, PageVisit},
    protocol::{ChannelPattern, Close, EventOrigin, SocketId, WebhookDetail},
    room::{
        Join, Subscriber, backlog::Permit, history::Completeness, inflow::Underway, membership::JoinRefusal,
        watchlists::Watchlist,
    },
};

/// What is to be done, in order. Events for subscribers are no effects: they wait in the fan-out for [`Task::Serve`].
#[derive(Debug)]
pub enum Effect {
    /// Write these frames to a socket that subscribed.
    Answer(Arc<Outbox>, Vec<Bytes>),
    /// Refuse a subscription.
    RefuseJoin {
        /// What was wanted.
        join: Join,
        /// Why not.
        refusal: JoinRefusal,
        /// Whether the socket is in the channel all the same.
        is_subscribed: bool,
    },
    /// Refuse a client event of a socket that is not subscribed.
    RefuseClientEvent(Subscriber),
    /// Close a session on whose user a back end acts.
    Close(Subscriber, Close),
    /// Close a session if it is subscribed to a channel that one of these matches.
    Revoke(Subscriber, Arc<[ChannelPattern]>),
    /// Tell the webhooks.
    Webhook(WebhookDetail),
    /// Show that a socket has subscribed.
    Subscribed(SocketId),
    /// Show that a socket has unsubscribed.
    Unsubscribed(SocketId),
    /// A socket that signed in wants to hear of users.
    BeginWatch(Subscriber, Box<Watchlist>),
    /// A socket that had signed in is gone.
    EndWatch(SocketId),
    /// Show an event that nobody here is subscribed to.
    Unheard(EncodedEvent),
    /// Log that an event with a trace goes to so many sockets.
    Delivered(EncodedEvent, usize),
    /// Count a client event.
    CountClientEvent,
    /// Send a client event to the other nodes; answer with
    /// [`RoomInput::ClientEventSent`](super::RoomInput::ClientEventSent), or refuse it.
    SendClientEvent(Box<PendingClientEvent>),
    /// Tell the other nodes how many are subscribed here.
    ShareCount(usize),
    /// Tell watchers and the other nodes how many are signed in here as the user whose channel it is.
    ShareUser(usize),
    /// Tell the shard and the other nodes how a user is in the channel here.
    ShareMember(Member),
    /// Send the last event of a cache channel to the other nodes.
    ShareCached(CachedEvent, Option<TraceContext>, PublishPermit),
    /// Find a place for the cached event of this time and size among all that a node keeps which is alone; answer with
    /// [`RoomInput::Shelved`](super::RoomInput::Shelved).
    Shelve {
        /// When it was published.
        at: u64,
        /// What it takes.
        bytes: usize,
    },
    /// Ask the cluster anew how things stand; it answers as it does when a room begins.
    AskPositions,
    /// Subscribers wait for what other nodes know.
    AskPeers,
    /// Nobody waits for the opening or for other nodes any more.
    Opened,
    /// Count what became of the events that a subscriber missed.
    CountRecovery(Completeness, usize),
    /// Count events that left the history before their time, for lack of memory.
    CountEvicted(usize),
    /// Tell how far a page has heard the channel whose session is over, where that is known.
    Parted(PageVisit, Option<Heard>),
    /// Count that events of a node never came, which others may have heard.
    CountGap(EventOrigin),
    /// Count what came of a question to other nodes.
    CountQuestion(QuestionOutcome),
    /// Count how long a subscriber waited for it.
    CountWaited(Duration),
    /// What a socket sent is handled.
    Handled(Underway),
    /// Take another turn.
    Schedule(Task),
}

/// What a room does in a turn of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Task {
    /// Replay what waited for the opening, now.
    Replay,
    /// Go on with it when the thread's other rooms had their turn.
    ReplayLater,
    /// After the messages that wait now: [`RoomInput::Announce`](super::RoomInput::Announce).
    Announce,
    /// After the messages that wait now: serve the subscribers.
    Serve,
    /// Ask the other nodes for what came after the room's [question](super::RoomState::question), and answer with
    /// [`FromPeers::History`](crate::room::FromPeers::History) within [`PATIENCE`](crate::room::inquiry::PATIENCE).
    AskPeers,
    /// The room lives on without subscribers: it may have to make room for others that do.
    AwaitReturn,
    /// After this time: [`RoomInput::Woke`](super::RoomInput::Woke).
    WakeAfter(Clock, Duration),
}

/// What a room waits for. Of each clock one rings at most.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Clock {
    /// A change of a member is due.
    Members,
    /// The number of subscribers is due.
    Count,
    /// The time of the cached event is over.
    Cache,
    /// A member is waited for no longer whose page lost its socket. A wait that ends earlier has a bell of its own.
    Grace,
    /// The oldest event of the history goes, or nobody is awaited any longer.
    History,
}

/// A client event that the other nodes must be sent before anybody hears it.
#[derive(Debug)]
pub struct PendingClientEvent {
    /// Who sends, and where a refusal goes.
    pub sender: Subscriber,
    /// The event.
    pub event: EncodedEvent,
    /// What the webhooks are told of it.
    pub detail: WebhookDetail,
    /// The sender's user on a presence channel.
    pub user: Option<Arc<str>>,
    /// Its place in the backlog.
    pub permit: Permit,
}

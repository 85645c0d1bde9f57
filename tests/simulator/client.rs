//! A client: one socket at a time, and what it believes of its channels. It hears the frames that the product writes.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    sync::Arc,
};

use gaung::{
    outbox::Outbox,
    protocol::{ChannelKind, ChannelName, Position, Since, SocketId, presence::MemberClaim},
    room::{Dialect, Join, JoinAs, Subscriber},
};
use gaung_cluster::NodeId;
use gaung_simulator::Party;
use serde_json::Value;

use crate::pages::Page;

/// Who publishes or hears.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Speaker {
    pub node: NodeId,
    /// 0 for the back ends.
    pub socket: u64,
}

/// A client; some are pages that name themselves.
pub struct Client {
    /// Its user in presence channels.
    pub user: String,
    pub socket: Option<Socket>,
    pub channels: BTreeMap<ChannelName, Subscription>,
    /// How far it has heard the channels that keep a history, over all its sockets.
    pub progress: BTreeMap<ChannelName, Progress>,
    /// The channels that it joins once it has a socket again.
    pub rejoins: Vec<ChannelName>,
    /// When it connects again.
    pub returns_at: u64,
    /// What it has as a page that names itself.
    pub page: Option<Page>,
    /// Whether it goes away for minutes.
    pub sleeps: bool,
}

/// How far a client has heard a channel, as a plugin keeps it, and what it should hear next.
#[derive(Default)]
pub struct Progress {
    position: Option<Position>,
    /// The number of each publisher's last event.
    pub last: BTreeMap<Speaker, u64>,
    /// The last number of each publisher when this began.
    pub before: BTreeMap<Speaker, u64>,
    /// The nodes where it was subscribed since then.
    pub nodes: BTreeSet<NodeId>,
    /// What a page has heard over its newest socket, and what of that it has proven since and may not hear again.
    pub here: BTreeMap<Speaker, u64>,
    pub proven: BTreeMap<Speaker, u64>,
    /// Nodes that its own had not met yet: what they published is not for it.
    pub unmet: BTreeSet<NodeId>,
    /// Whether it went on from an older copy of what was known of the page, where nodes did not hear one another.
    pub is_stale: bool,
}

/// Its connection.
#[derive(Clone)]
pub struct Socket {
    pub slot: usize,
    pub speaker: Speaker,
    pub outbox: Arc<Outbox>,
}

/// What it believes of a channel.
#[derive(Default)]
pub struct Subscription {
    pub stage: Stage,
    pub members: BTreeSet<String>,
    /// The last count of subscriptions that it was told.
    pub count: Option<u64>,
    /// What a cache channel has shown it after success: nothing, or the data of its last event, which may be known from a
    /// subscription before.
    pub shown: Option<String>,
    kind: Option<ChannelKind>,
}

/// How far a subscription is.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// It was asked for.
    #[default]
    Asked,
    /// It has succeeded.
    Joined,
    /// It was given up; what comes is not for it.
    Left,
}

/// What a client makes of a message.
pub enum Heard {
    /// Nothing that is counted.
    Nothing,
    /// An event: who published it, and its number.
    Event(Speaker, u64),
    /// A member went.
    Removed(String),
}

impl Party for Speaker {
    fn node(self) -> NodeId {
        self.node
    }
}

impl fmt::Display for Speaker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.node, self.socket)
    }
}

impl Speaker {
    /// The data of an event says who published it and which of its events it is.
    pub fn data(self, number: u64) -> String {
        format!("{} {} {number}", self.node.bits(), self.socket)
    }

    pub fn read(data: &str) -> Option<(Self, u64)> {
        let mut numbers = data.split(' ').map(|number| number.parse().ok());
        let mut next = || numbers.next().flatten();
        Some((Self { node: NodeId::from_bits(next()?), socket: next()? }, next()?))
    }
}

impl Client {
    pub fn new(user: String, returns_at: u64) -> Self {
        let (channels, progress, rejoins) = (BTreeMap::new(), BTreeMap::new(), Vec::new());
        Self { user, socket: None, channels, progress, rejoins, returns_at, page: None, sleeps: false }
    }

    /// How it subscribes.
    pub fn join(&self, socket: &Socket, channel: &ChannelName) -> Join {
        let claim = || JoinAs::Member(MemberClaim { id: self.user.clone(), info: "{}".to_owned() });
        let claim = channel.kind().is_presence().then(claim);
        let since = self.progress.get(channel).and_then(|progress| progress.position.clone());
        Join { subscriber: socket.subscriber(), claim, since: since.map(Since::Position), page: None, attempt: 1 }
    }

    /// Its connection is gone; it comes back, and joins these channels.
    pub fn disconnect(&mut self, rejoins: Vec<ChannelName>, returns_at: u64) {
        self.channels.clear();
        self.socket = None;
        (self.rejoins, self.returns_at) = (rejoins, returns_at);
    }

    /// The channels that it wants to be in.
    pub fn wanted(&self) -> impl Iterator<Item = &ChannelName> {
        self.channels.iter().filter(|(_, known)| known.stage != Stage::Left).map(|(channel, _)| channel)
    }

    /// The channels where it was answered.
    pub fn joined(&self) -> impl Iterator<Item = &ChannelName> {
        self.channels.iter().filter(|(_, known)| known.stage == Stage::Joined).map(|(channel, _)| channel)
    }

    /// Whether it is subscribed to a channel, as far as it knows.
    pub fn is_in(&self, channel: &ChannelName) -> bool {
        self.channels.get(channel).is_some_and(|known| known.stage == Stage::Joined)
    }

    /// Hears a message; what is wrong with it.
    pub fn hear(&mut self, channel: &ChannelName, message: &Value) -> Result<Heard, String> {
        let Some(known) = self.channels.get_mut(channel) else { return Err("it is not subscribed".to_owned()) };
        match known.stage {
            Stage::Left => Ok(Heard::Nothing),
            Stage::Asked if message["event"] != "pusher_internal:subscription_succeeded" => {
                Err("nothing comes before success".to_owned())
            }
            Stage::Asked | Stage::Joined => {
                if channel.as_str().contains("history") {
                    self.progress.entry(channel.clone()).or_default().note(message, self.page.is_some())?;
                }
                known.hear(message)
            }
        }
    }
}

impl Progress {
    /// Notes how far a message moves the position.
    fn note(&mut self, message: &Value, is_page: bool) -> Result<(), String> {
        let id = message["id"].as_str().map(str::parse::<Position>).transpose().map_err(|error| error.to_string())?;
        match message["event"].as_str().unwrap_or_default() {
            "pusher_internal:subscription_succeeded" if self.position.is_none() && !is_page => {
                self.position = Some(id.ok_or("who is new is told no position")?);
            }
            "pusher:resumed" if message["data"].as_str().is_some_and(|data| data.contains("false")) => {
                *self = Self { position: id, ..Self::default() };
            }
            _ => {
                let position = self.position.get_or_insert_default();
                id.iter().flat_map(Position::events).for_each(|event| position.note(event));
            }
        }
        Ok(())
    }

    /// Notes an event of a back end; what is wrong with its number. Where some node lost events of the publisher, one may
    /// be missing.
    pub fn hear(&mut self, origin: Speaker, number: u64, may_miss: bool, is_page: bool) -> Option<String> {
        // A page that missed some of a publisher's events has not heard those after them, as far as its room knows.
        let is_unproven = may_miss || self.proven.get(&origin).is_none_or(|proven| number > *proven);
        let may_repeat = is_page && is_unproven;
        self.here.insert(origin, number);
        if may_repeat && self.before.get(&origin).is_some_and(|before| number <= *before) {
            return None;
        }
        let last = self.last.get(&origin).copied();
        self.last.insert(origin, last.map_or(number, |last| last.max(number)));
        let last = last?;
        let is_right = number == last + 1 || (may_miss && number > last) || (may_repeat && number <= last);
        (!is_right).then(|| format!("{number} of {origin} came after {last} on a channel with a history"))
    }
}

impl Socket {
    pub fn subscriber(&self) -> Subscriber {
        let id = SocketId::from_bits(self.speaker.socket);
        Subscriber { id, outbox: self.outbox.clone(), dialect: Dialect::Pusher }
    }
}

impl Subscription {
    pub fn new(channel: &ChannelName) -> Self {
        Self { kind: Some(channel.kind()), ..Self::default() }
    }

    /// Whether the next event is not new, but what the channel keeps.
    fn is_shown_cached(&self) -> bool {
        self.shown.is_none() && self.kind.is_some_and(ChannelKind::is_cached)
    }

    fn hear(&mut self, message: &Value) -> Result<Heard, String> {
        let text = message["data"].as_str().unwrap_or_default();
        let data = || serde_json::from_str::<Value>(text).unwrap_or_default();
        let user = || data()["user_id"].as_str().unwrap_or_default().to_owned();
        match message["event"].as_str().unwrap_or_default() {
            "pusher_internal:subscription_succeeded" => return self.succeed(&data()),
            "pusher_internal:member_added" if !self.members.insert(user()) => {
                return Err("it knew the member".to_owned());
            }
            "pusher_internal:member_added" => {}
            "pusher_internal:member_removed" if !self.members.remove(&user()) => {
                return Err("it did not know the member".to_owned());
            }
            "pusher_internal:member_removed" => return Ok(Heard::Removed(user())),
            "pusher_internal:subscription_count" => self.count = data()["subscription_count"].as_u64(),
            "pusher:resumed" => {}
            "pusher:cache_miss" => self.shown = Some(String::new()),
            _ if self.is_shown_cached() => self.shown = Some(text.to_owned()),
            _ => {
                let (origin, number) = Speaker::read(text).ok_or("nobody published it")?;
                return Ok(Heard::Event(origin, number));
            }
        }
        Ok(Heard::Nothing)
    }

    fn succeed(&mut self, data: &Value) -> Result<Heard, String> {
        if self.stage == Stage::Joined {
            return Err("it had succeeded already".to_owned());
        }
        self.stage = Stage::Joined;
        let ids = data["presence"]["ids"].as_array().cloned().unwrap_or_default();
        self.members = ids.iter().filter_map(|id| id.as_str().map(ToOwned::to_owned)).collect();
        Ok(Heard::Nothing)
    }
}

/// The messages in WebSocket frames, which are all shorter than 64 KiB.
pub fn messages(mut frames: &[u8]) -> Vec<Value> {
    let mut messages = Vec::new();
    while let [_, length, rest @ ..] = frames {
        let (length, rest) = match (length, rest) {
            (126, [high, low, rest @ ..]) => (usize::from(u16::from_be_bytes([*high, *low])), rest),
            (length, rest) => (usize::from(*length), rest),
        };
        let (message, others) = rest.split_at(length);
        messages.push(serde_json::from_slice(message).expect("a frame holds a message"));
        frames = others;
    }
    messages
}

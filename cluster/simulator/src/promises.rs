//! What was promised of events, and whether it was kept: of one publisher each receiver gets a room's events in order, none
//! twice, and none is missing that was not reported lost.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Display,
    mem,
};

use gaung_cluster::{NodeId, Room, frame::Stream};

/// Who publishes or receives: a node, or somebody on it.
pub trait Party: Copy + Ord + Display {
    /// The node.
    fn node(self) -> NodeId;
}

impl Party for NodeId {
    fn node(self) -> NodeId {
        self
    }
}

/// The account of one run.
pub struct Promises<P> {
    /// By receiver, publisher and room.
    tracks: BTreeMap<(P, P, Room), Track>,
    /// How many events of a stream were reported lost, by receiver and publisher.
    lost: BTreeMap<(NodeId, NodeId, Stream), u64>,
}

/// One room of one publisher, as one receiver gets it.
#[derive(Default)]
struct Track {
    last: u64,
    promised: BTreeSet<u64>,
}

impl<P> Default for Promises<P> {
    fn default() -> Self {
        Self { tracks: BTreeMap::new(), lost: BTreeMap::new() }
    }
}

impl<P: Party> Promises<P> {
    /// A receiver will get this event of a publisher.
    pub fn promise(&mut self, receiver: P, origin: P, room: &Room, number: u64) {
        self.track(receiver, origin, room).promised.insert(number);
    }

    /// A receiver got an event; what is wrong with that.
    pub fn deliver(&mut self, receiver: P, origin: P, room: &Room, number: u64) -> Option<String> {
        let track = self.track(receiver, origin, room);
        let last = mem::replace(&mut track.last, number);
        track.promised.remove(&number);
        let is_wrong = number <= last;
        is_wrong.then(|| format!("{receiver} received {number} after {last} from {origin} in {room:?}"))
    }

    /// A node was told that it lost so many events of a stream.
    pub fn lose(&mut self, receiver: NodeId, origin: NodeId, stream: Stream, events: u64) {
        *self.lost.entry((receiver, origin, stream)).or_default() += events;
    }

    /// A receiver no longer wants a room: nothing more is promised to it.
    pub fn leave(&mut self, receiver: P, room: &Room) {
        for ((party, _, place), track) in &mut self.tracks {
            if *party == receiver && place == room {
                track.promised.clear();
            }
        }
    }

    /// Nothing is promised to those who were on a dead node, or of what they published.
    pub fn forget(&mut self, node: NodeId) {
        self.tracks.retain(|(receiver, origin, _), _| receiver.node() != node && origin.node() != node);
    }

    /// Promises that were not kept: the event neither arrived nor was reported lost.
    pub fn broken(&self) -> Vec<String> {
        let broken = |((receiver, origin, room), track): (&(P, P, Room), &Track)| {
            let losses = (receiver.node(), origin.node(), stream(room));
            let (misses, lost) = (&track.promised, self.lost.get(&losses).copied().unwrap_or_default());
            let is_broken = misses.len() as u64 > lost;
            is_broken.then(|| format!("{receiver} misses {misses:?} of {origin} in {room:?}, and counts {lost}"))
        };
        self.tracks.iter().filter_map(broken).collect()
    }

    /// How many events each stream lost between two nodes that both lived to the end.
    pub fn losses_among(&self, living: &BTreeSet<NodeId>) -> impl Iterator<Item = u64> {
        let lived = |receiver, origin| living.contains(receiver) && living.contains(origin);
        self.lost.iter().filter(move |((receiver, origin, _), _)| lived(receiver, origin)).map(|(_, lost)| *lost)
    }

    fn track(&mut self, receiver: P, origin: P, room: &Room) -> &mut Track {
        self.tracks.entry((receiver, origin, room.clone())).or_default()
    }
}

/// The stream in which a room's events travel: those of a cache channel are state.
fn stream(room: &Room) -> Stream {
    if room.channel().starts_with("cache") { Stream::STATE } else { Stream::of(room) }
}

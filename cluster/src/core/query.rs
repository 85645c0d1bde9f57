//! What a node can be asked: everything about the whole cluster, answered from memory.

use std::{collections::BTreeSet, ops::Bound, sync::Arc, time::Duration};

use super::{Core, PeerStatus};
use crate::{
    counters::Counters,
    fact::{CachedEvent, FactKey, Member, Record},
    frame::{Gap, Readiness, Stream},
    peer::{CATCH_UP_AFTER, Peer, Stage},
    room::{NodeId, Room},
    totals::RemoteUsage,
};

/// What a node knows of a room's events without the room.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Published {
    /// The node itself published none in the room after this number,
    pub after: u64,
    /// up to this one.
    pub last: u64,
    /// Of each node that is known, this one included, the event after which none of the room is missed here.
    pub positions: Vec<(NodeId, u64)>,
    /// Those of them that publish nothing any more: they are dead, or have said that they leave and gone silent.
    pub ended: BTreeSet<NodeId>,
    /// Nodes that have left in order and of whose events in the room none was missed here, also such as are not known as
    /// peers any more.
    pub left: BTreeSet<NodeId>,
    /// Those that have said that they leave, and may not have ended yet.
    pub leaving: BTreeSet<NodeId>,
}

impl Published {
    /// Those of the nodes that may still publish, with their positions.
    pub fn living(&self) -> impl Iterator<Item = (NodeId, u64)> {
        self.positions.iter().filter(|(node, _)| !self.ended.contains(node)).copied()
    }
}

impl Core {
    /// Whether this node has received every peer's snapshot and takes part in decisions. Once ready it stays so until
    /// it leaves.
    pub fn readiness(&self) -> Readiness {
        self.readiness
    }

    /// The members of a presence channel, ordered by id; of each the eldest.
    pub fn members(&self, room: &Room) -> impl Iterator<Item = &Member> {
        self.view.members(room)
    }

    /// Of these members those whose id comes after another. Those before them cost nothing.
    pub fn members_after(&self, room: &Room, after: Option<&Arc<str>>) -> impl Iterator<Item = &Member> {
        self.view.members_after(room, after)
    }

    /// How many distinct users are in a presence channel.
    pub fn population(&self, room: &Room) -> usize {
        self.view.population(room)
    }

    pub fn subscriptions(&self, room: &Room) -> u64 {
        self.view.sockets(&FactKey::Count(room.clone()))
    }

    /// What this node knows of a room's events without the room.
    pub fn published_in(&self, room: &Room) -> Published {
        let has_ended = |peer: &Peer| {
            let is_silent = self.now.up.saturating_sub(peer.spoke) >= CATCH_UP_AFTER;
            peer.stage == Stage::Dead || (peer.readiness == Readiness::Leaving && is_silent)
        };
        Published {
            after: self.outgoing.last_in(Stream::of(room)),
            last: self.outgoing.last(),
            positions: self.positions(room).collect(),
            ended: self.peers.iter().filter(|(_, peer)| has_ended(peer)).map(|(node, _)| *node).collect(),
            left: self.left(Stream::of(room), has_ended).chain(self.forgotten.left()).collect(),
            leaving: self.leaving().collect(),
        }
    }

    fn leaving(&self) -> impl Iterator<Item = NodeId> {
        let is_leaving = |peer: &Peer| peer.stage == Stage::Live && peer.readiness == Readiness::Leaving;
        self.peers.iter().filter(move |(_, peer)| is_leaving(peer)).map(|(node, _)| *node)
    }

    /// The peers that have left in order and of which nothing of a stream is missing here.
    fn left(&self, stream: Stream, has_ended: impl Fn(&Peer) -> bool) -> impl Iterator<Item = NodeId> {
        let has_left = move |peer: &Peer| has_ended(peer) && peer.has_left() && !peer.sequencer.lacks(stream);
        self.peers.iter().filter(move |(_, peer)| has_left(peer)).map(|(node, _)| *node)
    }

    /// An app's occupied rooms and their subscriptions, ordered by channel.
    pub fn rooms(&self, app: &str) -> impl Iterator<Item = (&Room, u64)> {
        self.rooms_after(app, "", None)
    }

    /// Of an app's occupied rooms those whose channel starts so and, if one is given, comes after another. Those before
    /// them cost nothing.
    pub fn rooms_after(&self, app: &str, prefix: &str, after: Option<&str>) -> impl Iterator<Item = (&Room, u64)> {
        let from = match after {
            Some(channel) => Room::new(app, channel).map(Bound::Excluded),
            None if prefix.is_empty() => Ok(Bound::Included(Room::first_of(app))),
            None => Room::new(app, prefix).map(Bound::Included),
        };
        // Where the prefix is no name, no name starts with it.
        let rooms = from.into_iter().flat_map(|from| self.view.rooms_from(from));
        rooms.take_while(move |(room, _)| **room.app() == *app && room.channel().starts_with(prefix))
    }

    pub fn connections(&self, app: &Arc<str>) -> u64 {
        self.view.sockets(&FactKey::Connections(app.clone()))
    }

    /// What an app has on other nodes only.
    pub fn remote_usage(&self, app: &str) -> RemoteUsage {
        self.view.totals().remote(app)
    }

    /// What each tenant of an app has on other nodes only; none is left out that has anything on any node.
    pub fn remote_usage_of_tenants(&self, app: &str) -> impl Iterator<Item = (&Arc<str>, RemoteUsage)> {
        self.view.totals().tenants(app)
    }

    /// Whether a user is signed in anywhere.
    pub fn is_online(&self, app: &Arc<str>, user: &Arc<str>) -> bool {
        self.view.sockets(&FactKey::User(app.clone(), user.clone())) > 0
    }

    /// The last event of a cache channel.
    pub fn cached(&self, room: &Room) -> Option<&CachedEvent> {
        self.cache.get(room, self.wall())
    }

    /// The bytes of all cached events.
    pub fn cached_bytes(&self) -> usize {
        self.cache.bytes()
    }

    /// Everything that belongs to no node: cached events, and how far webhooks have come.
    pub fn records(&self) -> impl Iterator<Item = Record> {
        self.records_after(None)
    }

    /// All peers that are known.
    pub fn peers(&self) -> impl Iterator<Item = PeerStatus> {
        self.peers.iter().map(|(node, peer)| PeerStatus {
            node: *node,
            stage: peer.stage,
            readiness: peer.readiness,
            age: self.now.up.saturating_sub(peer.liveness.last_beat()),
            sessions: self.view.sessions(*node),
            pages: self.claims.count(*node),
            version: peer.version.clone(),
        })
    }

    /// How long ago a heartbeat of our own came back; `None` before the first.
    pub fn loopback_age(&self) -> Option<Duration> {
        self.echo.map(|echo| self.now.up.saturating_sub(echo))
    }

    /// The round trip of the last heartbeat that came back; `None` before the first.
    pub fn round_trip(&self) -> Option<Duration> {
        self.round_trip
    }

    /// The nodes that share the cluster's work: peers that are live and ready, and this node if it is ready.
    pub fn ready_nodes(&self) -> BTreeSet<NodeId> {
        self.voters()
    }

    /// The number of the last frame that this node published.
    pub fn published(&self) -> u64 {
        self.outgoing.last()
    }

    /// The number up to which the bus is known to have taken this node's frames.
    pub fn confirmed(&self) -> u64 {
        self.outgoing.confirmed()
    }

    /// Whether a part of what this node published could be sent again.
    pub fn remembers(&self, gap: Gap) -> bool {
        self.outgoing.remembers(gap)
    }

    /// For how long this node keeps what the bus has not taken, if as much is published as lately.
    pub fn ring_lasts(&self) -> Duration {
        self.outgoing.lasts(self.now.up)
    }

    pub fn counters(&self) -> &Counters {
        &self.counters
    }
}

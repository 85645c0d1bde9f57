//! Who is where, over all nodes: one slice of facts per node, and their union. Every change returns what it changed in
//! the union, so that a join, a late copy, a snapshot and the death of a node all take the same road.
//!
//! Invariant: the union holds exactly the facts of the slices that are shown.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use crate::{
    codec::fact_hash,
    fact::{Edge, Fact, Key, Member},
    room::{NodeId, Room},
};

/// All slices and their union.
#[derive(Debug, Default)]
pub struct View {
    slices: BTreeMap<NodeId, Slice>,
    union: BTreeMap<Key, BTreeMap<NodeId, Fact>>,
    populations: BTreeMap<Room, usize>,
}

/// One node's part.
#[derive(Debug, Default)]
struct Slice {
    facts: BTreeMap<Key, Fact>,
    hash: u64,
    shown: bool,
}

/// What changed in the union.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Difference {
    /// A room has its first subscriber in the cluster.
    Occupied(Room),
    /// A room lost its last subscriber in the cluster.
    Vacated(Room),
    /// A room has another number of subscribers, in the cluster.
    Counted(Room, u64),
    /// A user came.
    MemberAdded {
        /// Where.
        room: Room,
        /// Who.
        user: Arc<str>,
        /// `user_info` as JSON text.
        info: Arc<str>,
    },
    /// A user's last socket anywhere left.
    MemberRemoved {
        /// Where.
        room: Room,
        /// Who.
        user: Arc<str>,
    },
    /// A user's first socket anywhere signed in.
    Online {
        /// The app's id.
        app: Arc<str>,
        /// Who.
        user: Arc<str>,
    },
    /// A user's last socket anywhere is gone.
    Offline {
        /// The app's id.
        app: Arc<str>,
        /// Who.
        user: Arc<str>,
    },
}

impl View {
    /// Takes a node's fact.
    pub fn set(&mut self, node: NodeId, fact: Fact) -> Vec<Difference> {
        let slice = self.slices.entry(node).or_default();
        slice.set(fact.clone());
        if slice.shown { self.unite(node, &fact) } else { Vec::new() }
    }

    /// Puts these facts in the place of all that a node said before.
    pub fn replace(&mut self, node: NodeId, facts: Vec<Fact>) -> Vec<Difference> {
        let keys: BTreeSet<Key> = facts.iter().map(Fact::key).collect();
        let old = self.slices.get(&node).into_iter().flat_map(|slice| slice.facts.values());
        let gone: Vec<Fact> = old.filter(|fact| !keys.contains(&fact.key())).map(Fact::withdrawn).collect();
        facts.into_iter().chain(gone).flat_map(|fact| self.set(node, fact)).collect()
    }

    /// A node's facts count from now on.
    pub fn show(&mut self, node: NodeId) -> Vec<Difference> {
        let slice = self.slices.entry(node).or_default();
        if std::mem::replace(&mut slice.shown, true) {
            return Vec::new();
        }
        let facts: Vec<Fact> = slice.facts.values().cloned().collect();
        facts.iter().flat_map(|fact| self.unite(node, fact)).collect()
    }

    /// A node's facts are kept and count no more.
    pub fn hide(&mut self, node: NodeId) -> Vec<Difference> {
        let Some(slice) = self.slices.get_mut(&node) else { return Vec::new() };
        if !std::mem::replace(&mut slice.shown, false) {
            return Vec::new();
        }
        let facts: Vec<Fact> = slice.facts.values().map(Fact::withdrawn).collect();
        facts.iter().flat_map(|fact| self.unite(node, fact)).collect()
    }

    /// A node's facts are not kept any longer.
    pub fn forget(&mut self, node: NodeId) -> Vec<Difference> {
        let differences = self.hide(node);
        self.slices.remove(&node);
        differences
    }

    /// The hash of a node's facts.
    pub fn hash(&self, node: NodeId) -> u64 {
        self.slices.get(&node).map_or(0, |slice| slice.hash)
    }

    /// A node's facts.
    pub fn facts(&self, node: NodeId) -> impl Iterator<Item = &Fact> {
        self.slices.get(&node).into_iter().flat_map(|slice| slice.facts.values())
    }

    /// A node's fact about one thing.
    pub fn fact(&self, node: NodeId, key: &Key) -> Option<&Fact> {
        self.slices.get(&node)?.facts.get(key)
    }

    /// Sockets behind a key, in the cluster: an app's connections, a room's subscriptions, a user's sign-ins.
    pub fn sockets(&self, key: &Key) -> u64 {
        self.union.get(key).map_or(0, sum)
    }

    /// The members of a room with the oldest `user_info` of each, ordered by id.
    pub fn members(&self, room: &Room) -> impl Iterator<Item = &Member> {
        let first = Key::Member(room.clone(), "".into());
        let members = self.union.range(first..).map_while(|(_, facts)| oldest(facts));
        members.take_while(move |(place, _)| *place == room).map(|(_, member)| member)
    }

    /// How many distinct users are in a room.
    pub fn population(&self, room: &Room) -> usize {
        self.populations.get(room).copied().unwrap_or_default()
    }

    /// An app's occupied rooms and their subscriptions, ordered by channel.
    pub fn rooms(&self, app: &str) -> impl Iterator<Item = (&Room, u64)> {
        // An app without a channel sorts before all its channels and after every other app.
        let rooms = self.union.range(Key::first_room_of(app)..).map_while(|(key, facts)| match key {
            Key::Count(room) => Some((room, sum(facts))),
            Key::Connections(_) | Key::Member(..) | Key::User(..) => None,
        });
        rooms.take_while(move |(room, _)| **room.app() == *app)
    }

    /// Whether an edge is odd: the room has subscribers, or the user is in it.
    pub fn holds(&self, room: &Room, user: Option<&Arc<str>>) -> bool {
        let key = match user {
            Some(user) => Key::Member(room.clone(), user.clone()),
            None => Key::Count(room.clone()),
        };
        self.union.contains_key(&key)
    }

    /// All edges that somebody holds.
    pub fn edges(&self) -> impl Iterator<Item = Edge> {
        self.union.keys().filter_map(|key| match key {
            Key::Count(room) => Some(Edge { room: room.clone(), user: None }),
            Key::Member(room, user) => Some(Edge { room: room.clone(), user: Some(user.clone()) }),
            Key::Connections(_) | Key::User(..) => None,
        })
    }

    fn unite(&mut self, node: NodeId, fact: &Fact) -> Vec<Difference> {
        let key = fact.key();
        let facts = self.union.entry(key.clone()).or_default();
        let before = sum(facts);
        if fact.sockets() > 0 {
            facts.insert(node, fact.clone());
        } else {
            facts.remove(&node);
        }
        let after = sum(facts);
        if facts.is_empty() {
            self.union.remove(&key);
        }
        self.differences(fact, before, after)
    }

    fn differences(&mut self, fact: &Fact, before: u64, after: u64) -> Vec<Difference> {
        let edge = match (before, after) {
            (0, 1..) => Some(true),
            (1.., 0) => Some(false),
            _ => None,
        };
        match fact {
            Fact::Connections { .. } => Vec::new(),
            Fact::Count { room, .. } => {
                let edge = edge.map(|up| if up { Difference::Occupied } else { Difference::Vacated }(room.clone()));
                let counted = (before != after).then(|| Difference::Counted(room.clone(), after));
                edge.into_iter().chain(counted).collect()
            }
            Fact::Member { room, member } => edge.map(|up| self.member_moved(room, member, up)).into_iter().collect(),
            Fact::User { app, user, .. } => {
                let (app, user) = (app.clone(), user.clone());
                let difference =
                    |up| if up { Difference::Online { app, user } } else { Difference::Offline { app, user } };
                edge.map(difference).into_iter().collect()
            }
        }
    }

    fn member_moved(&mut self, room: &Room, member: &Member, has_come: bool) -> Difference {
        let population = self.populations.entry(room.clone()).or_default();
        if has_come {
            *population += 1;
            return Difference::MemberAdded {
                room: room.clone(),
                user: member.user.clone(),
                info: member.info.clone(),
            };
        }
        *population -= 1;
        if *population == 0 {
            self.populations.remove(room);
        }
        Difference::MemberRemoved { room: room.clone(), user: member.user.clone() }
    }
}

impl Slice {
    fn set(&mut self, fact: Fact) {
        let key = fact.key();
        let added = if fact.sockets() > 0 { fact_hash(&fact) } else { 0 };
        let old = if fact.sockets() > 0 { self.facts.insert(key, fact) } else { self.facts.remove(&key) };
        let removed = old.as_ref().map_or(0, fact_hash);
        self.hash = self.hash.wrapping_sub(removed).wrapping_add(added);
    }
}

fn sum(facts: &BTreeMap<NodeId, Fact>) -> u64 {
    facts.values().map(|fact| u64::from(fact.sockets())).sum()
}

fn oldest(facts: &BTreeMap<NodeId, Fact>) -> Option<(&Room, &Member)> {
    let members = facts.values().filter_map(|fact| match fact {
        Fact::Member { room, member } => Some((room, member)),
        Fact::Connections { .. } | Fact::Count { .. } | Fact::User { .. } => None,
    });
    // Among equals the first, which is that of the smallest node: every node decides alike.
    members.min_by_key(|(_, member)| member.since)
}

#[cfg(test)]
mod tests;

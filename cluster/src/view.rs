//! Who is where, over all nodes: one slice of facts per node, and their union. Every change returns what it changed in
//! the union, so that a join, a late copy, a snapshot and the death of a node all take the same path.
//!
//! Invariant: the union holds exactly the facts of the slices that are shown.

mod slice;

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Bound,
    sync::Arc,
};

use crate::{
    fact::{Fact, FactKey, Member, Occupancy},
    frame::{Rest, SnapshotPage},
    remote::RemoteChange,
    room::{NodeId, Room},
    totals::{Change, Tenancy, Totals},
};

use slice::{Shows, Slice};

#[derive(Debug)]
pub struct View {
    own: NodeId,
    pace: usize,
    updating: BTreeSet<NodeId>,
    slices: BTreeMap<NodeId, Slice>,
    union: BTreeMap<FactKey, BTreeMap<NodeId, Fact>>,
    populations: BTreeMap<Room, usize>,
    totals: Totals,
    /// Facts of nodes that are forgotten, which are dropped a few at a time.
    retired: Vec<BTreeMap<FactKey, Fact>>,
}

/// A change of the union.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Difference {
    /// A room has its first subscriber in the cluster, or a member has come to it.
    Occupied(Occupancy),
    /// A room has lost its last subscriber in the cluster, or a member has left it everywhere.
    Vacated(Occupancy),
    Remote(RemoteChange),
}

/// How far a page is applied, and what that changed.
#[derive(Debug, PartialEq, Eq)]
pub enum Replaced {
    /// Facts that it does not have went, and more of them are left.
    Part(Vec<Difference>),
    /// All of it is applied.
    Whole(Vec<Difference>),
}

impl View {
    /// Nothing but this node, whose own facts count. Of other nodes not more than `pace` facts are shown or hidden at
    /// once.
    pub fn new(own: NodeId, pace: usize, tenancy: Tenancy) -> Self {
        let slices = BTreeMap::from([(own, Slice { shown: true, shows: Shows::All, ..Slice::default() })]);
        Self {
            own,
            pace,
            updating: BTreeSet::new(),
            slices,
            union: BTreeMap::new(),
            populations: BTreeMap::new(),
            totals: Totals::new(tenancy),
            retired: Vec::new(),
        }
    }

    /// Takes a node's fact.
    pub fn set(&mut self, node: NodeId, fact: Fact) -> Vec<Difference> {
        let slice = self.slices.entry(node).or_default();
        slice.set(fact.clone());
        if slice.shows(&fact.key()) { self.unite(node, &fact) } else { Vec::new() }
    }

    /// Replaces a node's facts about the keys of a page, except those with `newer` facts. Where many facts are to go,
    /// only some of them go at once, and nothing else is done.
    pub fn replace(&mut self, node: NodeId, page: &SnapshotPage<Fact>, newer: &BTreeSet<FactKey>) -> Replaced {
        let keys: Vec<FactKey> = page.facts.iter().map(Fact::key).collect();
        let from = page.after.as_ref().map_or(Bound::Unbounded, Bound::Excluded);
        let through = keys.last().filter(|_| page.rest == Rest::More).map_or(Bound::Unbounded, Bound::Included);
        let old = self.slices.get(&node).into_iter().flat_map(|slice| slice.facts.range::<FactKey, _>((from, through)));
        let gone = old.filter(|(key, _)| keys.binary_search(key).is_err() && !newer.contains(key));
        let gone: Vec<Fact> = gone.take(self.pace).map(|(_, fact)| fact.withdrawn()).collect();
        let is_part = gone.len() == self.pace;
        let mut differences: Vec<Difference> = gone.into_iter().flat_map(|fact| self.set(node, fact)).collect();
        if is_part {
            return Replaced::Part(differences);
        }
        let current = page.facts.iter().zip(&keys).filter(|(_, key)| !newer.contains(key));
        differences.extend(current.flat_map(|(fact, _)| self.set(node, fact.clone())));
        Replaced::Whole(differences)
    }

    /// A node's facts count from now on; where they are many, [`View::continue_work`] does the rest.
    pub fn show(&mut self, node: NodeId) -> Vec<Difference> {
        self.set_shown(node, true)
    }

    /// A node's facts are kept and count no more; where they are many, [`View::continue_work`] does the rest.
    pub fn hide(&mut self, node: NodeId) -> Vec<Difference> {
        self.set_shown(node, false)
    }

    /// Shows or hides the next facts of a node that has so many that it was not done at once.
    pub fn continue_work(&mut self) -> Vec<Difference> {
        self.updating.first().copied().map_or_else(Vec::new, |node| self.update_some(node, self.pace))
    }

    /// Whether there is more to do in steps.
    pub fn is_behind(&self) -> bool {
        self.is_updating() || !self.retired.is_empty()
    }

    /// Whether the facts of a node count in part.
    pub fn is_updating(&self) -> bool {
        !self.updating.is_empty()
    }

    fn set_shown(&mut self, node: NodeId, shown: bool) -> Vec<Difference> {
        let slice = self.slices.entry(node).or_default();
        if slice.shown == shown {
            return Vec::new();
        }
        slice.shown = shown;
        self.updating.insert(node);
        self.update_some(node, self.pace)
    }

    fn update_some(&mut self, node: NodeId, most: usize) -> Vec<Difference> {
        let Some(slice) = self.slices.get_mut(&node) else { return Vec::new() };
        let updated = if slice.shown { slice.show(most) } else { slice.hide(most) };
        if slice.is_updated() {
            self.updating.remove(&node);
        }
        updated.iter().flat_map(|fact| self.unite(node, fact)).collect()
    }

    /// A node's facts are not kept any longer.
    pub fn forget(&mut self, node: NodeId) -> Vec<Difference> {
        let mut differences = self.hide(node);
        differences.extend(self.update_some(node, usize::MAX));
        self.retired.extend(self.slices.remove(&node).map(|slice| slice.facts));
        differences
    }

    /// Drops the next facts of forgotten nodes: dropping a million at once would block everything else.
    pub fn clear_away(&mut self) {
        for _ in 0..self.pace {
            let Some(facts) = self.retired.last_mut() else { return };
            if facts.pop_first().is_none() {
                self.retired.pop();
            }
        }
    }

    /// The hash of a node's facts.
    pub fn hash(&self, node: NodeId) -> u64 {
        self.slices.get(&node).map_or(0, |slice| slice.hash)
    }

    /// A node's facts, ordered by key.
    pub fn facts(&self, node: NodeId) -> impl Iterator<Item = &Fact> {
        self.facts_after(node, None)
    }

    /// A node's facts after a key, ordered.
    pub fn facts_after(&self, node: NodeId, after: Option<&FactKey>) -> impl Iterator<Item = &Fact> {
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        let slice = self.slices.get(&node).into_iter();
        slice.flat_map(move |slice| slice.facts.range::<FactKey, _>((from, Bound::Unbounded))).map(|(_, fact)| fact)
    }

    /// A node's fact about one thing.
    pub fn fact(&self, node: NodeId, key: &FactKey) -> Option<&Fact> {
        self.slices.get(&node)?.facts.get(key)
    }

    /// Sockets behind a key, in the cluster: an app's connections, a room's subscriptions, a user's sign-ins.
    pub fn sockets(&self, key: &FactKey) -> u64 {
        self.union.get(key).map_or(0, |facts| sum(facts.values()))
    }

    /// Sockets behind a key on all nodes but this one.
    pub fn remote_sockets(&self, key: &FactKey) -> u64 {
        self.union.get(key).map_or(0, |facts| sum(others(facts, self.own)))
    }

    /// The sockets that are connected to a node, over all apps.
    pub fn sessions(&self, node: NodeId) -> u64 {
        // Connections sort before everything else.
        let connections = self.facts(node).map_while(|fact| match fact {
            Fact::Connections { sockets, .. } => Some(u64::from(*sockets)),
            Fact::Count { .. } | Fact::Member { .. } | Fact::User { .. } | Fact::Tenant { .. } => None,
        });
        connections.sum()
    }

    /// The members of a room with the oldest `user_info` of each, ordered by id.
    pub fn members(&self, room: &Room) -> impl Iterator<Item = &Member> {
        self.members_after(room, None)
    }

    /// Of these members those whose id comes after another. Those before them cost nothing.
    pub fn members_after(&self, room: &Room, after: Option<&Arc<str>>) -> impl Iterator<Item = &Member> {
        self.people(room, behind(after)).filter_map(|facts| eldest(facts.values()))
    }

    /// The members that a room has on other nodes and whose id comes after another, with the oldest `user_info` of each
    /// there, ordered by id.
    pub fn remote_members(&self, room: &Room, after: Option<&Arc<str>>) -> impl Iterator<Item = &Member> {
        self.people(room, behind(after)).filter_map(|facts| eldest(others(facts, self.own)))
    }

    /// What apps and tenants have.
    pub fn totals(&self) -> &Totals {
        &self.totals
    }

    /// How many distinct users are in a room.
    pub fn population(&self, room: &Room) -> usize {
        self.populations.get(room).copied().unwrap_or_default()
    }

    /// All occupied rooms from one on, and their subscriptions, ordered.
    pub fn rooms_from(&self, from: Bound<Room>) -> impl Iterator<Item = (&Room, u64)> {
        self.union.range((from.map(FactKey::Count), Bound::Unbounded)).map_while(|(key, facts)| match key {
            FactKey::Count(room) => Some((room, sum(facts.values()))),
            FactKey::Connections(_) | FactKey::Member(..) | FactKey::User(..) | FactKey::Tenant(..) => None,
        })
    }

    /// Whether the room has subscribers, or the user is in it.
    pub fn holds(&self, room: &Room, user: Option<&Arc<str>>) -> bool {
        let key = match user {
            Some(user) => FactKey::Member(room.clone(), user.clone()),
            None => FactKey::Count(room.clone()),
        };
        self.union.contains_key(&key)
    }

    /// The keys of all facts after a key, in order.
    pub fn keys_after(&self, after: Option<&FactKey>) -> impl Iterator<Item = &FactKey> {
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        self.union.range::<FactKey, _>((from, Bound::Unbounded)).map(|(key, _)| key)
    }

    /// What is known of each user of a room.
    fn people(&self, room: &Room, from: Bound<Arc<str>>) -> impl Iterator<Item = &BTreeMap<NodeId, Fact>> {
        let from = from.map(|user| FactKey::Member(room.clone(), user));
        let users = self.union.range((from, Bound::Unbounded));
        let is_here = move |key: &FactKey| matches!(key, FactKey::Member(other, _) if other == room);
        users.take_while(move |(key, _)| is_here(key)).map(|(_, facts)| facts)
    }

    fn unite(&mut self, node: NodeId, fact: &Fact) -> Vec<Difference> {
        let key = fact.key();
        let facts = self.union.entry(key.clone()).or_default();
        let (was_held, before) = (!facts.is_empty(), remote(fact, facts, self.own));
        let (was_held_locally, sockets) = (facts.contains_key(&self.own), facts.get(&node).map_or(0, Fact::sockets));
        if fact.sockets() > 0 {
            facts.insert(node, fact.clone());
        } else {
            facts.remove(&node);
        }
        let (is_held, after) = (!facts.is_empty(), remote(fact, facts, self.own));
        let change = Change {
            is_own: node == self.own,
            sockets: (sockets, fact.sockets()),
            held: (was_held, is_held),
            held_locally: (was_held_locally, facts.contains_key(&self.own)),
        };
        self.totals.add(&key, change);
        if !is_held {
            self.union.remove(&key);
        }
        let occupancy = if was_held == is_held { None } else { self.transition(key, is_held) };
        let remote = if before == after { None } else { after.map(Difference::Remote) };
        occupancy.into_iter().chain(remote).collect()
    }

    /// The first came, or the last left.
    fn transition(&mut self, key: FactKey, is_held: bool) -> Option<Difference> {
        let occupancy = Occupancy::of(key)?;
        if occupancy.user.is_some() {
            self.count_member(&occupancy.room, is_held);
        }
        Some(if is_held { Difference::Occupied(occupancy) } else { Difference::Vacated(occupancy) })
    }

    fn count_member(&mut self, room: &Room, has_come: bool) {
        let population = self.populations.entry(room.clone()).or_default();
        if has_come {
            *population += 1;
            return;
        }
        *population -= 1;
        if *population == 0 {
            self.populations.remove(room);
        }
    }
}

/// What all nodes but `own` hold of the subject of `fact`; connections and tenants' are not reported.
fn remote(fact: &Fact, facts: &BTreeMap<NodeId, Fact>, own: NodeId) -> Option<RemoteChange> {
    let sockets = || sum(others(facts, own));
    match fact {
        Fact::Connections { .. } | Fact::Tenant { .. } => None,
        Fact::Count { room, .. } => Some(RemoteChange::Subscriptions { room: room.clone(), sockets: sockets() }),
        Fact::User { app, user, .. } => {
            Some(RemoteChange::User { app: app.clone(), user: user.clone(), sockets: sockets() })
        }
        Fact::Member { room, member } => {
            let (room, user) = (room.clone(), member.user.clone());
            Some(RemoteChange::Member { room, user, member: eldest(others(facts, own)).cloned() })
        }
    }
}

fn behind(user: Option<&Arc<str>>) -> Bound<Arc<str>> {
    user.map_or(Bound::Included("".into()), |user| Bound::Excluded(user.clone()))
}

fn others(facts: &BTreeMap<NodeId, Fact>, own: NodeId) -> impl Iterator<Item = &Fact> {
    facts.iter().filter(move |(node, _)| **node != own).map(|(_, fact)| fact)
}

fn sum<'a>(facts: impl Iterator<Item = &'a Fact>) -> u64 {
    facts.map(|fact| u64::from(fact.sockets())).sum()
}

fn eldest<'a>(facts: impl Iterator<Item = &'a Fact>) -> Option<&'a Member> {
    let members = facts.filter_map(|fact| match fact {
        Fact::Member { member, .. } => Some(member),
        Fact::Connections { .. } | Fact::Count { .. } | Fact::User { .. } | Fact::Tenant { .. } => None,
    });
    members.min_by_key(|member| member.seniority())
}

#[cfg(test)]
mod tests;

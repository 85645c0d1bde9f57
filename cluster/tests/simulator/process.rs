//! One run of a node: the core under test, the truth about its own sockets, and clients that believe what they are told.

use std::collections::{BTreeMap, BTreeSet};

use gaung_cluster::{
    NodeId, Room,
    core::{Core, Settings},
    fact::{Fact, Generation, Key},
};

pub struct Process {
    pub id: NodeId,
    pub core: Core,
    /// What is true of its own sockets.
    pub facts: BTreeMap<Key, Fact>,
    /// The rooms whose subjects it listens to.
    pub subscribed: BTreeSet<Room>,
    /// The rooms of which it was promised every event.
    pub serving: BTreeSet<Room>,
    /// How many events it published in each room.
    pub published: BTreeMap<Room, u64>,
    /// The webhooks that it is posting, by the time at which that is done.
    pub posting: Vec<(u64, Generation)>,
}

impl Process {
    pub fn new(settings: Settings) -> Self {
        Self {
            id: settings.node,
            core: Core::new(settings),
            facts: BTreeMap::new(),
            subscribed: BTreeSet::new(),
            serving: BTreeSet::new(),
            published: BTreeMap::new(),
            posting: Vec::new(),
        }
    }
}

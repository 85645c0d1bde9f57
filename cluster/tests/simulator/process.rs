//! One run of a node: the core under test, the truth about its own sockets, and its rooms.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use gaung_cluster::{
    NodeId, Room,
    core::{Core, Settings},
    fact::{CachedEvent, Fact, FactKey, Generation, Member},
    page::{PageHash, Standing},
    remote::{RemoteChange, RemoteState},
};
use gaung_simulator as simulator;

use crate::replica::{Notified, Replica};

pub struct Process {
    pub id: NodeId,
    pub core: Core,
    /// What is true of its own sockets.
    pub facts: BTreeMap<FactKey, Fact>,
    /// The rooms whose subjects it listens to.
    pub subscribed: BTreeSet<Room>,
    /// The rooms that its clients want, served or about to be.
    pub rooms: BTreeMap<Room, Replica>,
    /// How many events it published in each room.
    pub published: BTreeMap<Room, u64>,
    /// The webhooks that it is posting, by the time at which that is done.
    pub posting: Vec<(u64, Generation)>,
    /// The pages that it has.
    pub pages: BTreeMap<PageHash, Standing>,
    /// Sockets that are signed in on other nodes, by user.
    users: BTreeMap<Arc<str>, u64>,
}

impl simulator::Process for Process {
    fn id(&self) -> NodeId {
        self.id
    }

    fn core(&self) -> &Core {
        &self.core
    }

    fn listens(&self, room: &Room) -> bool {
        self.subscribed.contains(room)
    }
}

impl Process {
    pub fn new(settings: Settings) -> Self {
        Self {
            id: settings.node,
            core: Core::new(settings),
            facts: BTreeMap::new(),
            subscribed: BTreeSet::new(),
            rooms: BTreeMap::new(),
            published: BTreeMap::new(),
            posting: Vec::new(),
            pages: BTreeMap::new(),
            users: BTreeMap::new(),
        }
    }

    /// Whether it was promised every event of a room.
    pub fn serves(&self, room: &Room) -> bool {
        self.rooms.get(room).is_some_and(|replica| replica.is_open)
    }

    /// Clients want a room; returns whether it has to be asked for.
    pub fn want(&mut self, room: &Room) -> bool {
        if self.rooms.contains_key(room) {
            return false;
        }
        let mut replica = Replica::default();
        for fact in self.facts.values().filter(|fact| room_of(fact) == Some(room)) {
            replica.set_own(fact).expect("a room without clients misleads no client");
        }
        self.rooms.insert(room.clone(), replica);
        true
    }

    /// Something is true of its own sockets from now on.
    pub fn set_fact(&mut self, fact: &Fact) -> Result<Notified, String> {
        if fact.sockets() > 0 {
            self.facts.insert(fact.key(), fact.clone());
        } else {
            self.facts.remove(&fact.key());
        }
        let replica = room_of(fact).and_then(|room| self.rooms.get_mut(room));
        replica.map_or(Ok(Notified::Nothing), |replica| replica.set_own(fact))
    }

    /// A room that was wanted is served; it may have become unwanted meanwhile.
    pub fn open(&mut self, state: RemoteState) -> Result<(), String> {
        match self.rooms.get_mut(&state.room) {
            Some(replica) => replica.open(state),
            None => Ok(()),
        }
    }

    pub fn receive(&mut self, remote: RemoteChange) -> Result<Notified, String> {
        if let RemoteChange::User { user, sockets, .. } = &remote {
            let known = self.users.insert(user.clone(), *sockets).unwrap_or_default();
            let is_news = known != *sockets;
            return if is_news {
                Ok(Notified::Nothing)
            } else {
                Err(format!("a repeated change was reported: {remote:?}"))
            };
        }
        let Some(room) = remote.room().filter(|room| self.subscribed.contains(room)) else {
            return Err(format!("a change was reported for a room that it does not serve: {remote:?}"));
        };
        match self.rooms.get_mut(room) {
            Some(replica) => replica.receive(remote),
            None => Ok(Notified::Nothing),
        }
    }

    pub fn keep(&mut self, room: &Room, event: &CachedEvent, wall: u64) {
        if let Some(replica) = self.rooms.get_mut(room) {
            replica.keep(event, wall);
        }
    }

    pub fn evict(&mut self, room: &Room, at: u64) {
        if let Some(replica) = self.rooms.get_mut(room) {
            replica.evict(at);
        }
    }

    /// Where a room, or the known sign-ins, differ from the core.
    pub fn contradictions(&self, app: &Arc<str>, wall: u64) -> Vec<String> {
        let mut faults = Vec::new();
        let mut expect = |what: String, seen: String, expected: String| {
            if seen != expected {
                faults.push(format!("{} on {} {seen} where its core has {expected}", what, self.id));
            }
        };
        for (room, replica) in self.rooms.iter().filter(|(_, replica)| replica.is_open) {
            let named = |what: &str| format!("{what} of {room:?} are");
            let core = &self.core;
            expect(named("subscriptions"), replica.sockets().to_string(), core.subscriptions(room).to_string());
            expect(named("members"), names(replica.members()), names(core.members(room)));
            let (kept, known) = (replica.cached(wall), core.cached(room));
            expect(named("last events"), format!("{kept:?}"), format!("{known:?}"));
            expect(named("misled clients"), replica.misled().to_string(), "0".to_owned());
        }
        for (user, sockets) in &self.users {
            let own = self.facts.contains_key(&FactKey::User(app.clone(), user.clone()));
            if self.core.is_online(app, user) != (own || *sockets > 0) {
                faults.push(format!("{} got {sockets} as the sign-ins of user {user} on other nodes", self.id));
            }
        }
        faults
    }
}

fn room_of(fact: &Fact) -> Option<&Room> {
    match fact {
        Fact::Count { room, .. } | Fact::Member { room, .. } => Some(room),
        Fact::Connections { .. } | Fact::User { .. } | Fact::Tenant { .. } => None,
    }
}

fn names<'a>(members: impl Iterator<Item = &'a Member>) -> String {
    members.map(|member| format!("{} {}, ", member.user, member.info)).collect()
}

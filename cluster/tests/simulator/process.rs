//! One run of a node: the core under test, the truth about its own sockets, and clients that believe what they are told.

use std::collections::{BTreeMap, BTreeSet};

use gaung_cluster::{
    NodeId, Room,
    core::{Core, Settings},
    fact::{Fact, Generation, Key},
    view::Difference,
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
    clients: Vec<Client>,
}

/// A client of a presence channel.
struct Client {
    room: Room,
    members: BTreeSet<String>,
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
            clients: Vec::new(),
        }
    }

    /// A client subscribes to a presence channel: it is given a snapshot, and hears of every change from here on.
    pub fn admit(&mut self, room: &Room) {
        let members = self.members(room);
        self.clients.push(Client { room: room.clone(), members });
    }

    /// Tells the clients; returns what is wrong with what they heard.
    pub fn tell(&mut self, difference: &Difference) -> Option<String> {
        let (room, user, is_added) = match difference {
            Difference::MemberAdded { room, user, .. } => (room, user, true),
            Difference::MemberRemoved { room, user } => (room, user, false),
            Difference::Occupied(_)
            | Difference::Vacated(_)
            | Difference::Counted(..)
            | Difference::Online { .. }
            | Difference::Offline { .. } => return None,
        };
        let mut fault = None;
        for client in self.clients.iter_mut().filter(|client| client.room == *room) {
            let fits = if is_added { client.members.insert(user.to_string()) } else { client.members.remove(&**user) };
            if !fits {
                fault = Some(format!("a client on {} heard {difference:?} at the wrong time", self.id));
            }
        }
        fault
    }

    /// What is wrong with what the clients believe now.
    pub fn misled_client(&self) -> Option<String> {
        let misled = self.clients.iter().find(|client| client.members != self.members(&client.room));
        misled.map(|client| format!("a client on {} is wrong about {:?}", self.id, client.room))
    }

    fn members(&self, room: &Room) -> BTreeSet<String> {
        self.core.members(room).map(|member| member.user.to_string()).collect()
    }
}

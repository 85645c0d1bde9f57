//! A room as a node has it: its own sockets merged with the remote state, and clients that believe what they are sent.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use gaung_cluster::{
    fact::{CachedEvent, Fact, Member},
    remote::{RemoteChange, RemoteState},
};

#[derive(Default)]
pub struct Replica {
    /// Whether it is served: subscribers are answered.
    pub is_open: bool,
    own: Part,
    remote: Part,
    cached: Option<CachedEvent>,
    clients: Vec<BTreeSet<Arc<str>>>,
}

#[derive(Default)]
struct Part {
    sockets: u64,
    members: BTreeMap<Arc<str>, Member>,
}

/// What the clients of a room were notified of.
#[derive(Debug, PartialEq, Eq)]
pub enum Notified {
    Nothing,
    Added(Arc<str>),
    Removed(Arc<str>),
}

impl Replica {
    /// The room may answer subscribers from here on; its first client comes.
    pub fn open(&mut self, state: RemoteState) -> Result<(), String> {
        if std::mem::replace(&mut self.is_open, true) {
            return Err(format!("{:?} was opened twice", state.room));
        }
        self.remote.sockets = state.sockets;
        state.members.into_iter().for_each(|member| self.remote.set(&member.user.clone(), Some(member)));
        self.cached = state.cached;
        self.admit();
        Ok(())
    }

    /// A client subscribes: it gets a snapshot, and every change from here on.
    pub fn admit(&mut self) {
        if self.is_open {
            let members = self.members().map(|member| member.user.clone()).collect();
            self.clients.push(members);
        }
    }

    pub fn set_own(&mut self, fact: &Fact) -> Result<Notified, String> {
        match fact {
            Fact::Count { sockets, .. } => self.own.sockets = u64::from(*sockets),
            Fact::Member { member, .. } => {
                let present = (member.sockets > 0).then(|| member.clone());
                return self.change(&member.user, |replica| replica.own.set(&member.user, present));
            }
            Fact::Connections { .. } | Fact::User { .. } | Fact::Tenant { .. } => {}
        }
        Ok(Notified::Nothing)
    }

    /// Before the room is open there are no clients to notify; some members are reported before, the others when it
    /// opens.
    pub fn receive(&mut self, remote: RemoteChange) -> Result<Notified, String> {
        if !self.is_open {
            if let RemoteChange::Member { user, member, .. } = remote {
                self.remote.set(&user, member);
            }
            return Ok(Notified::Nothing);
        }
        let known = match &remote {
            RemoteChange::Subscriptions { sockets, .. } => self.remote.sockets == *sockets,
            RemoteChange::Member { user, member, .. } => self.remote.members.get(user) == member.as_ref(),
            RemoteChange::User { .. } => false,
        };
        if known {
            return Err(format!("a repeated change was reported: {remote:?}"));
        }
        match remote {
            RemoteChange::Subscriptions { sockets, .. } => self.remote.sockets = sockets,
            RemoteChange::Member { user, member, .. } => {
                return self.change(&user, |replica| replica.remote.set(&user, member));
            }
            RemoteChange::User { .. } => {}
        }
        Ok(Notified::Nothing)
    }

    /// Keeps an event of a cache channel if it is greater than the one it has; neither counts once it has ended.
    pub fn keep(&mut self, event: &CachedEvent, wall: u64) {
        if self.is_open && event.ends() > wall && self.cached(wall).is_none_or(|known| known < event) {
            self.cached = Some(event.clone());
        }
    }

    /// Forgets its event if that is the one published `at`.
    pub fn evict(&mut self, at: u64) {
        self.cached.take_if(|event| event.at == at);
    }

    pub fn cached(&self, wall: u64) -> Option<&CachedEvent> {
        self.cached.as_ref().filter(|event| event.ends() > wall)
    }

    /// The time of the next event of this cache channel.
    pub fn next_at(&self, wall: u64) -> u64 {
        self.cached.as_ref().map_or(0, |event| event.at + 1).max(wall)
    }

    pub fn sockets(&self) -> u64 {
        self.own.sockets + self.remote.sockets
    }

    /// The members, ordered by id; of each the eldest.
    pub fn members(&self) -> impl Iterator<Item = &Member> {
        let users: BTreeSet<&Arc<str>> = self.own.members.keys().chain(self.remote.members.keys()).collect();
        users.into_iter().filter_map(|user| {
            let parts = [&self.own, &self.remote];
            parts.into_iter().filter_map(|part| part.members.get(user)).min_by_key(|member| member.seniority())
        })
    }

    /// How many clients believe what is not so.
    pub fn misled(&self) -> usize {
        let members: BTreeSet<Arc<str>> = self.members().map(|member| member.user.clone()).collect();
        self.clients.iter().filter(|client| **client != members).count()
    }

    fn change(&mut self, user: &Arc<str>, change: impl FnOnce(&mut Self)) -> Result<Notified, String> {
        let was_there = self.has(user);
        change(self);
        let notified = match (was_there, self.has(user)) {
            (false, true) => Notified::Added(user.clone()),
            (true, false) => Notified::Removed(user.clone()),
            (true, true) | (false, false) => return Ok(Notified::Nothing),
        };
        let fits = |client: &mut BTreeSet<Arc<str>>| match notified {
            Notified::Added(_) => client.insert(user.clone()),
            Notified::Removed(_) => client.remove(user),
            Notified::Nothing => true,
        };
        let misled = self.clients.iter_mut().filter_map(|client| (!fits(client)).then_some(())).count();
        if misled == 0 { Ok(notified) } else { Err(format!("a client was notified at the wrong time: {notified:?}")) }
    }

    fn has(&self, user: &Arc<str>) -> bool {
        self.own.members.contains_key(user) || self.remote.members.contains_key(user)
    }
}

impl Part {
    fn set(&mut self, user: &Arc<str>, member: Option<Member>) {
        match member {
            Some(member) => _ = self.members.insert(user.clone(), member),
            None => _ = self.members.remove(user),
        }
    }
}

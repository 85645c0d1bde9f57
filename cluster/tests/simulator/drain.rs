//! A node that leaves: it sends Bye, its clients move to others, and its process ends while the others still hold its
//! facts.

use gaung_cluster::{
    Room,
    core::Input,
    fact::{Fact, Member},
    frame::Readiness,
};

use crate::{
    process::Process,
    world::{World, room},
};

/// What a node that leaves still has to do.
pub struct Drain {
    /// When its process ends; `None` once it has.
    ends_at: Option<u64>,
    /// Its sockets close one by one.
    closings: Vec<(u64, Fact)>,
    /// Users who always have a socket somewhere reconnect to another node.
    returns: Vec<(u64, Member)>,
}

/// How many users there are who never leave.
const MOVERS: u64 = 6;

/// Where they are.
pub fn lobby() -> Room {
    room("presence", 0)
}

/// Whether a user is one of those.
pub fn is_mover(user: &str) -> bool {
    user.starts_with("mover")
}

impl World {
    /// Users who never leave come to their first nodes.
    pub fn seat_movers(&mut self) {
        for number in 0..MOVERS {
            let slot = self.net.random.below(self.net.slots.len() as u64) as usize;
            let member =
                Member { user: format!("mover-{number}").into(), info: "{}".into(), since: self.net.now, sockets: 1 };
            self.set_fact(slot, Fact::Member { room: lobby(), member });
        }
    }

    /// Makes a node leave.
    pub fn drain(&mut self, slot: usize) {
        let lasts = self.net.random.between(2_000, 6_000);
        let Some(process) = self.net.slots[slot].process.as_ref().filter(|_| self.drains[slot].is_none()) else {
            return;
        };
        if process.core.readiness() != Readiness::Ready {
            return;
        }
        let facts: Vec<Fact> = process.facts.values().cloned().collect();
        let (now, random) = (self.net.now, &mut self.net.random);
        let closings: Vec<(u64, Fact)> =
            facts.iter().map(|fact| (now + random.below(lasts), fact.withdrawn())).collect();
        let movers = closings.iter().filter_map(|(at, fact)| Some((*at, mover(fact)?)));
        let returns = movers.map(|(at, member)| (at + random.between(50, 6_000), member)).collect();
        self.drains[slot] = Some(Drain { ends_at: Some(now + lasts), closings, returns });
        let hold = std::time::Duration::from_millis(lasts + 10_000);
        self.step(slot, Input::Bye { hold });
        self.judge.tally.drains += 1;
        self.judge.disturbed();
    }

    /// What is due of a node's leaving.
    pub fn go_on_draining(&mut self, slot: usize) {
        let now = self.net.now;
        let Some(drain) = &mut self.drains[slot] else { return };
        let closings: Vec<(u64, Fact)> = drain.closings.extract_if(.., |(at, _)| *at <= now).collect();
        let returns: Vec<(u64, Member)> = drain.returns.extract_if(.., |(at, _)| *at <= now).collect();
        let ends = drain.ends_at.take_if(|at| *at <= now).is_some();
        let is_over = drain.ends_at.is_none() && drain.returns.is_empty();
        closings.into_iter().for_each(|(_, fact)| self.set_fact(slot, fact));
        returns.into_iter().for_each(|(_, member)| self.come_back(member));
        if ends {
            self.end(slot);
        }
        if is_over {
            self.drains[slot] = None;
        }
    }

    /// A user comes back on a node that stays.
    fn come_back(&mut self, member: Member) {
        let is_ready = |slot: usize| self.net.slots[slot].process.as_ref().is_some_and(is_ready);
        let stays = |slot: &usize| self.drains[*slot].is_none() && is_ready(*slot);
        let staying: Vec<usize> = (0..self.net.slots.len()).filter(stays).collect();
        let slot = staying[self.net.random.below(staying.len() as u64) as usize];
        let member = Member { since: self.net.now, sockets: 1, ..member };
        self.set_fact(slot, Fact::Member { room: lobby(), member });
    }
}

fn is_ready(process: &Process) -> bool {
    process.core.readiness() == Readiness::Ready
}

fn mover(fact: &Fact) -> Option<Member> {
    match fact {
        Fact::Member { member, .. } if is_mover(&member.user) => Some(member.clone()),
        Fact::Member { .. }
        | Fact::Connections { .. }
        | Fact::Count { .. }
        | Fact::User { .. }
        | Fact::Tenant { .. } => None,
    }
}

//! What clients, back ends and fate do, at random.

use gaung_cluster::fact::{Fact, FactKey, Member, Occupancy};
use gaung_simulator::{Fault, Slot};

use crate::{
    drain::lobby,
    process::Process,
    replica::Replica,
    world::{Trouble, World, room},
};

impl World {
    /// Something happens to one node's clients.
    pub fn act(&mut self, slot: usize) {
        match self.net.random.below(18) {
            0..=3 => self.move_member(slot),
            4 => {
                let fact = Fact::Count { room: room("room", self.net.random.below(6)), sockets: self.sockets() };
                self.set_fact(slot, fact);
            }
            5 => {
                let user = self.net.random.below(6).to_string().into();
                let fact = Fact::User { app: "shop".into(), user, sockets: self.sockets() };
                self.set_fact(slot, fact);
            }
            6 => {
                let sockets = self.sockets();
                self.set_fact(slot, Fact::Connections { app: "shop".into(), sockets });
                let tenant = (sockets % 6).to_string().into();
                self.set_fact(slot, Fact::Tenant { app: "shop".into(), tenant, sockets });
            }
            7..=10 => {
                let room = room("room", self.net.random.below(4));
                self.publish_event(slot, room);
            }
            11 => {
                let room = room("cache", self.net.random.below(3));
                self.cache_event(slot, room);
            }
            12 | 13 => self.serve_or_leave(slot),
            14 => self.visit(slot),
            15 | 16 => self.move_page(slot),
            _ => {
                let room = room("presence", self.net.random.below(3));
                self.with(slot, |process| process.rooms.get_mut(&room).into_iter().for_each(Replica::admit));
            }
        }
    }

    /// A user joins a room of their own and leaves again between two checks.
    fn visit(&mut self, slot: usize) {
        let is_fair = self.scenario.trouble == Trouble::Leaving && self.all_are_here();
        let room = room("visit", self.net.random.bits());
        for sockets in [1, 0] {
            self.set_fact(slot, Fact::Count { room: room.clone(), sockets });
        }
        if is_fair {
            self.judge.visited(Occupancy { room, user: None });
        }
    }

    /// Few or none: occupancies are what is hard.
    fn sockets(&mut self) -> u32 {
        [0, 0, 1, 2, 3][self.net.random.below(5) as usize]
    }

    fn move_member(&mut self, slot: usize) {
        let (room, user) = (room("presence", self.net.random.below(3)), self.net.random.below(5).to_string());
        let sockets = self.sockets();
        let fresh = Member {
            user: user.as_str().into(),
            info: format!("{{\"since\":{}}}", self.net.now).into(),
            since: self.net.now,
            sockets,
        };
        let mut member = fresh;
        self.with(slot, |process| {
            let key = FactKey::Member(room.clone(), user.as_str().into());
            if let Some(Fact::Member { member: known, .. }) = process.facts.get(&key) {
                member = Member { sockets, ..known.clone() };
            }
        });
        self.set_fact(slot, Fact::Member { room, member });
    }

    fn serve_or_leave(&mut self, slot: usize) {
        let kind = ["room", "presence", "cache"][self.net.random.below(3) as usize];
        let room = room(kind, self.net.random.below(4));
        if self.net.random.chance(7000) {
            self.want(slot, room);
        } else if self.scenario.trouble != Trouble::Leaving || room != lobby() {
            self.leave(slot, room);
        }
    }

    /// Carries out what breaks, if something does.
    pub fn suffer(&mut self, fault: Option<Fault>) {
        match fault {
            None => {}
            Some(Fault::Kill(slot)) => self.kill(slot),
            Some(Fault::Cut(slot, until)) => self.cut(slot, until),
            Some(Fault::CutAll(until)) => (0..self.net.slots.len()).for_each(|slot| self.cut(slot, until)),
            Some(Fault::Drain(slot)) => self.drain(slot),
        }
    }

    /// Whether no node is about to leave, and all know one another.
    fn all_are_here(&self) -> bool {
        let count = self.net.slots.len();
        let knows_all = |slot: &Slot<Process>| {
            slot.process.as_ref().is_some_and(|process| process.core.ready_nodes().len() == count)
        };
        self.drains.iter().all(Option::is_none) && self.net.slots.iter().all(knows_all)
    }

    /// Once in some seconds, while all are there, one leaves.
    pub fn let_one_leave(&mut self) {
        if self.net.now == 10_000 {
            self.seat_movers();
        }
        if self.net.now > 12_000 && self.all_are_here() && self.net.random.chance(10) {
            let slot = self.net.random.below(self.net.slots.len() as u64) as usize;
            self.drain(slot);
        }
    }
}

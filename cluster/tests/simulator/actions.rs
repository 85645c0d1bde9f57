//! What clients, back ends and fate do, at random.

use gaung_cluster::fact::{Fact, FactKey, Member, Occupancy};

use crate::{
    drain::lobby,
    replica::Replica,
    world::{Slot, Trouble, World, room},
};

impl World {
    /// Something happens to one node's clients.
    pub fn act(&mut self, slot: usize) {
        match self.random.below(16) {
            0..=3 => self.move_member(slot),
            4 => {
                let fact = Fact::Count { room: room("room", self.random.below(6)), sockets: self.sockets() };
                self.set_fact(slot, fact);
            }
            5 => {
                let user = self.random.below(6).to_string().into();
                let fact = Fact::User { app: "shop".into(), user, sockets: self.sockets() };
                self.set_fact(slot, fact);
            }
            6 => {
                let fact = Fact::Connections { app: "shop".into(), sockets: self.sockets() };
                self.set_fact(slot, fact);
            }
            7..=10 => {
                let room = room("room", self.random.below(4));
                self.publish_event(slot, room);
            }
            11 => {
                let room = room("cache", self.random.below(3));
                self.cache_event(slot, room);
            }
            12 | 13 => self.serve_or_leave(slot),
            14 => self.visit(slot),
            _ => {
                let room = room("presence", self.random.below(3));
                self.with(slot, |process| process.rooms.get_mut(&room).into_iter().for_each(Replica::admit));
            }
        }
    }

    /// A user joins a room of their own and leaves again between two checks.
    fn visit(&mut self, slot: usize) {
        let is_fair = self.scenario.trouble == Trouble::Leaving && self.all_are_here();
        let room = room("visit", self.random.bits());
        for sockets in [1, 0] {
            self.set_fact(slot, Fact::Count { room: room.clone(), sockets });
        }
        if is_fair {
            self.judge.visited(Occupancy { room, user: None });
        }
    }

    /// Few or none: occupancies are what is hard.
    fn sockets(&mut self) -> u32 {
        [0, 0, 1, 2, 3][self.random.below(5) as usize]
    }

    fn move_member(&mut self, slot: usize) {
        let (room, user) = (room("presence", self.random.below(3)), self.random.below(5).to_string());
        let sockets = self.sockets();
        let fresh = Member {
            user: user.as_str().into(),
            info: format!("{{\"since\":{}}}", self.now).into(),
            since: self.now,
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
        let kind = ["room", "presence", "cache"][self.random.below(3) as usize];
        let room = room(kind, self.random.below(4));
        if self.random.chance(7000) {
            self.want(slot, room);
        } else if self.scenario.trouble != Trouble::Leaving || room != lobby() {
            self.leave(slot, room);
        }
    }

    /// Once in some seconds something breaks.
    pub fn break_something(&mut self) {
        if !self.random.chance(2) {
            return;
        }
        let slot = self.random.below(self.slots.len() as u64) as usize;
        match self.random.below(10) {
            0 | 1 => self.kill(slot),
            2..=4 => {
                let until = self.now + self.random.between(100, 12_000);
                self.cut(slot, until);
            }
            5 => {
                let until = self.now + self.random.between(100, 8_000);
                (0..self.slots.len()).for_each(|slot| self.cut(slot, until));
            }
            6 if self.slots[slot].away_until <= self.now => {
                self.slots[slot].stopped_at = self.now;
                self.slots[slot].stopped_until = self.now + self.random.between(1_000, 10_000);
            }
            6 | 7 => (0..self.slots.len()).for_each(|slot| self.slots[slot].side = self.random.below(2)),
            8 => self.slots.iter_mut().for_each(|slot| slot.side = 0),
            _ => self.drain(slot),
        }
    }

    /// Once in some seconds a node is cut off for long.
    pub fn cut_off_a_node(&mut self) {
        if !self.random.chance(3) {
            return;
        }
        let slot = self.random.below(self.slots.len() as u64) as usize;
        let until = self.now + self.random.between(1_000, 40_000);
        match self.random.below(6) {
            0..=2 => self.cut(slot, until),
            3 => (0..self.slots.len()).for_each(|slot| self.cut(slot, until)),
            4 if self.slots[slot].away_until <= self.now => {
                self.slots[slot].stopped_at = self.now;
                self.slots[slot].stopped_until = until;
            }
            _ => (0..self.slots.len()).for_each(|slot| self.slots[slot].side = self.random.below(2)),
        }
    }

    /// Whether no node is about to leave, and all know one another.
    fn all_are_here(&self) -> bool {
        let count = self.slots.len();
        let knows_all =
            |slot: &Slot| slot.process.as_ref().is_some_and(|process| process.core.ready_nodes().len() == count);
        self.slots.iter().all(|slot| slot.drain.is_none() && knows_all(slot))
    }

    /// Once in some seconds, while all are there, one leaves.
    pub fn let_one_leave(&mut self) {
        if self.now == 10_000 {
            self.seat_movers();
        }
        if self.now > 12_000 && self.all_are_here() && self.random.chance(10) {
            let slot = self.random.below(self.slots.len() as u64) as usize;
            self.drain(slot);
        }
    }
}

//! What clients, back ends and fate do, at random.

use bytes::Bytes;
use gaung_cluster::{
    core::Input,
    fact::{CachedEvent, Fact, Key, Member},
};

use crate::world::{EPOCH, World, room};

impl World {
    /// Something happens to one node's clients.
    pub fn act(&mut self, slot: usize) {
        match self.random.below(13) {
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
            11 => self.cache(slot),
            _ => self.serve_or_leave(slot),
        }
    }

    /// Few or none: edges are what is hard.
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
            let key = Key::Member(room.clone(), user.as_str().into());
            if let Some(Fact::Member { member: known, .. }) = process.facts.get(&key) {
                member = Member { sockets, ..known.clone() };
            }
        });
        self.set_fact(slot, Fact::Member { room, member });
    }

    fn cache(&mut self, slot: usize) {
        let payload = Bytes::from(self.now.to_string());
        let event = CachedEvent { at: EPOCH + self.now, ttl: self.random.between(2_000, 300_000), payload };
        let room = room("cache", self.random.below(3));
        self.step(slot, Input::Cache { room, event });
    }

    fn serve_or_leave(&mut self, slot: usize) {
        let room = room("room", self.random.below(4));
        if self.random.chance(7000) {
            self.step(slot, Input::Serve(room));
        } else {
            self.leave(slot, room);
        }
    }

    /// Once in some seconds something breaks.
    pub fn trouble(&mut self) {
        if !self.random.chance(2) {
            return;
        }
        let slot = self.random.below(self.slots.len() as u64) as usize;
        match self.random.below(9) {
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
                self.slots[slot].stopped_until = self.now + self.random.between(1_000, 10_000);
            }
            6 | 7 => (0..self.slots.len()).for_each(|slot| self.slots[slot].side = self.random.below(2)),
            _ => self.slots.iter_mut().for_each(|slot| slot.side = 0),
        }
    }
}

//! What goes wrong, and how it heals.

use crate::network::{Network, Process};

/// What a program is to do to its world.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Kill a slot's process: [`Network::kill`].
    Kill(usize),
    /// Cut a slot from the bus until then: [`Network::cut`].
    Cut(usize, u64),
    /// The bus is gone for all until then.
    CutAll(u64),
    /// Make a slot's node leave.
    Drain(usize),
}

impl<P: Process> Network<P> {
    /// Once in some seconds something breaks.
    pub fn break_something(&mut self) -> Option<Fault> {
        if !self.random.chance(2) {
            return None;
        }
        let slot = self.random.below(self.slots.len() as u64) as usize;
        match self.random.below(10) {
            0 | 1 => return Some(Fault::Kill(slot)),
            2..=4 => return Some(Fault::Cut(slot, self.now + self.random.between(100, 12_000))),
            5 => return Some(Fault::CutAll(self.now + self.random.between(100, 8_000))),
            6 if !self.is_away(slot) => {
                let until = self.now + self.random.between(1_000, 10_000);
                self.stop(slot, until);
            }
            6 | 7 => self.split(),
            8 => self.slots.iter_mut().for_each(|slot| slot.side = 0),
            _ => return Some(Fault::Drain(slot)),
        }
        None
    }

    /// Once in some seconds a node is cut off for long.
    pub fn cut_off_a_node(&mut self) -> Option<Fault> {
        if !self.random.chance(3) {
            return None;
        }
        let slot = self.random.below(self.slots.len() as u64) as usize;
        let until = self.now + self.random.between(1_000, 40_000);
        match self.random.below(6) {
            0..=2 => return Some(Fault::Cut(slot, until)),
            3 => return Some(Fault::CutAll(until)),
            4 if !self.is_away(slot) => self.stop(slot, until),
            _ => self.split(),
        }
        None
    }

    /// Cuts a slot from the bus. Returns whether its core is to be told: it was connected.
    pub fn cut(&mut self, slot: usize, until: u64) -> bool {
        let place = &mut self.slots[slot];
        place.stopped_until = place.stopped_until.min(self.now);
        let was_here = place.away_until <= self.now;
        place.away_until = place.away_until.max(until);
        let is_news = was_here && place.process.is_some();
        if is_news {
            self.bus.cut(slot, &mut self.random);
        }
        is_news
    }

    /// Kills a process: half of what its connection held is lost.
    pub fn kill(&mut self, slot: usize) -> Option<P> {
        self.bus.cut(slot, &mut self.random);
        self.end(slot)
    }

    /// A process is gone; what it gave to the bus is on its way. Another starts there after some seconds.
    pub fn end(&mut self, slot: usize) -> Option<P> {
        let process = self.slots[slot].process.take()?;
        self.slots[slot].stopped_until = self.now;
        self.slots[slot].starts_at = self.now + self.random.between(500, 10_000);
        Some(process)
    }

    /// Nothing is wrong any more, but that the bus still loses and duplicates a little.
    pub fn heal(&mut self) {
        self.bus.weather.loss = self.bus.weather.loss.min(100);
        self.bus.weather.duplicates = self.bus.weather.duplicates.min(100);
        for (slot, place) in self.slots.iter_mut().enumerate() {
            place.side = 0;
            if place.stopped_until > self.now {
                self.bus.release(slot, self.now);
            }
            place.stopped_until = place.stopped_until.min(self.now);
            if place.away_until > self.now {
                place.away_until = self.now + 1;
            }
        }
    }

    fn stop(&mut self, slot: usize, until: u64) {
        self.slots[slot].stopped_at = self.now;
        self.slots[slot].stopped_until = until;
    }

    fn split(&mut self) {
        for slot in 0..self.slots.len() {
            self.slots[slot].side = self.random.below(2);
        }
    }
}

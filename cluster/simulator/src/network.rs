//! The nodes' places, and what they can reach.

use std::time::Duration;

use bytes::Bytes;
use gaung_cluster::{
    NodeId, Room, Subject,
    core::{Core, Input, Moment, PeerStatus},
    frame::Readiness,
    peer::Stage,
};

use crate::{
    bus::{Bus, Weather},
    random::Random,
};

/// After so many milliseconds nodes take a silent one for dead.
pub const SILENCE: u64 = 5_000;

/// When a run begins, in milliseconds of the Unix epoch.
pub const EPOCH: u64 = 1_700_000_000_000;

/// One run of a node, as the network sees it.
pub trait Process {
    /// Its name.
    fn id(&self) -> NodeId;
    /// Its core.
    fn core(&self) -> &Core;
    /// Whether it listens to a room's subject.
    fn listens(&self, room: &Room) -> bool;
}

/// All nodes, the bus between them, and the time in milliseconds since the start.
pub struct Network<P> {
    /// The time.
    pub now: u64,
    /// What decides everything that is left to chance.
    pub random: Random,
    /// The nodes' places.
    pub slots: Vec<Slot<P>>,
    pub(crate) bus: Bus,
}

/// A place for a process.
pub struct Slot<P> {
    /// The process that is there now.
    pub process: Option<P>,
    /// Until when it has no connection to the bus.
    pub away_until: u64,
    /// Since when its process is stopped, or was last.
    pub stopped_at: u64,
    /// Until when its process is stopped and reads nothing.
    pub stopped_until: u64,
    /// Which side of a split it is on.
    pub side: u64,
    /// When a killed process starts again.
    pub starts_at: u64,
}

/// What a slot is about to do in a millisecond.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Its process is stopped.
    Stopped,
    /// Nothing runs there.
    Empty,
    /// A process starts.
    Starts,
    /// Its connection to the bus is back.
    Reconnects,
    /// Its process runs.
    Runs,
}

impl<P> Slot<P> {
    fn new(starts_at: u64) -> Self {
        Self { process: None, away_until: 0, stopped_at: 0, stopped_until: 0, side: 0, starts_at }
    }
}

impl<P: Process> Network<P> {
    /// Three to five places, and a bus that loses and duplicates less than `worst` in ten thousand messages.
    pub fn new(seed: u64, worst: u64) -> Self {
        let mut random = Random::new(seed);
        let weather = Weather { loss: random.below(worst), duplicates: random.below(worst) };
        let slots = (0..random.between(3, 6)).map(|_| Slot::new(random.below(3000))).collect();
        Self { now: 0, random, slots, bus: Bus::new(weather) }
    }

    /// The next message that has come to a process which reads; what comes to one that is stopped waits.
    pub fn arrived(&mut self) -> Option<(usize, Input)> {
        while let Some(delivery) = self.bus.arrived(self.now) {
            let stopped_until = self.slots[delivery.to].stopped_until;
            if stopped_until <= self.now {
                return Some((delivery.to, Input::Received { subject: delivery.subject, bytes: delivery.bytes }));
            }
            self.bus.delay(delivery, stopped_until);
        }
        None
    }

    /// What a slot is about to do.
    pub fn phase(&self, slot: usize) -> Phase {
        let place = &self.slots[slot];
        match place.process {
            _ if place.stopped_until > self.now => Phase::Stopped,
            None if place.starts_at <= self.now => Phase::Starts,
            None => Phase::Empty,
            Some(_) if place.away_until == self.now => Phase::Reconnects,
            Some(_) => Phase::Runs,
        }
    }

    /// Whether a slot's core is to be told now that time passes.
    pub fn ticks(&self, slot: usize) -> bool {
        (self.now + 11 * slot as u64).is_multiple_of(50)
    }

    /// Whether a slot has time now for what was too much for one step: sooner or later it has.
    pub fn continues(&mut self, slot: usize) -> bool {
        let is_behind = self.slots[slot].process.as_ref().is_some_and(|process| process.core().is_behind());
        is_behind && self.random.chance(1_000)
    }

    /// Gives a message to the bus, for all who listen and can be reached.
    pub fn publish(&mut self, from: usize, subject: &Subject, bytes: &Bytes) {
        for to in 0..self.slots.len() {
            if self.reaches(from, to) && self.listens(to, subject) {
                self.bus.send(self.now, &mut self.random, (from, to), (subject, bytes));
            }
        }
    }

    /// Whether a slot has no connection to the bus.
    pub fn is_away(&self, slot: usize) -> bool {
        self.slots[slot].away_until > self.now
    }

    /// Whether what a slot publishes now may come to another.
    pub fn reaches(&self, from: usize, to: usize) -> bool {
        let is_here = |slot: usize| self.slots[slot].process.is_some() && !self.is_away(slot);
        is_here(from) && is_here(to) && self.slots[from].side == self.slots[to].side
    }

    /// The other processes that a slot can hear. One that has been stopped for so long that it is taken for dead is as good
    /// as cut off.
    pub fn others_in_reach(&self, slot: usize) -> impl Iterator<Item = &P> {
        let is_silent = |slot: &Slot<P>| slot.stopped_until > self.now && slot.stopped_at + SILENCE <= self.now;
        let others = (0..self.slots.len()).filter(move |other| *other != slot && !is_silent(&self.slots[*other]));
        let reachable = others.filter(move |other| self.reaches(slot, *other));
        reachable.filter_map(|other| self.slots[other].process.as_ref())
    }

    /// The processes that run or are stopped.
    pub fn processes(&self) -> impl Iterator<Item = &P> {
        self.slots.iter().filter_map(|slot| slot.process.as_ref())
    }

    /// The time on both clocks of a core.
    pub fn moment(&self) -> Moment {
        Moment { up: Duration::from_millis(self.now), wall: Duration::from_millis(EPOCH + self.now) }
    }

    /// The time of day in microseconds of the Unix epoch.
    pub fn wall(&self) -> u64 {
        1000 * (EPOCH + self.now)
    }

    fn listens(&self, slot: usize, subject: &Subject) -> bool {
        let Some(process) = &self.slots[slot].process else { return false };
        match subject {
            Subject::State => true,
            Subject::Node(node) => *node == process.id(),
            Subject::Room(room) => process.listens(room),
        }
    }
}

/// Whether a node takes part, and knows another one well enough to miss none of its events from now on.
pub fn meets(core: &Core, other: NodeId) -> bool {
    let knows = |peer: PeerStatus| peer.node == other && peer.stage != Stage::Meeting;
    core.readiness() == Readiness::Ready && core.peers().any(knows)
}

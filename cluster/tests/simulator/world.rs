//! One run: nodes, their clients, and everything that goes wrong for a minute; then eighty seconds to heal.

use std::{collections::BTreeSet, sync::Arc};

use bytes::Bytes;
use gaung_cluster::{
    NodeId, Room,
    core::{Bounds, Input, Settings},
    detector::Inbound,
    fact::{CachedEvent, Fact, Generation, Occupancy, Record},
    frame::{Readiness, RoomEvent},
    newest::CacheBounds,
    peer::Stage,
    ring::Retention,
};

use crate::{
    bus::{Bus, Weather},
    drain::Drain,
    judge::{Judge, Tally},
    process::Process,
    random::Random,
};

pub const TROUBLE: u64 = 60_000;
/// What follows a gap of one who died or left at the end of the trouble is held back for a minute, for as long as its
/// ring would have reached; then all have to learn of it.
const END: u64 = 140_000;
/// After so many milliseconds nodes take a silent one for dead.
const SILENCE: u64 = 5_000;
pub const EPOCH: u64 = 1_700_000_000_000;
pub const APP: &str = "shop";

/// What differs between kinds of runs.
#[derive(Clone, Copy)]
pub struct Scenario {
    pub seed: u64,
    pub retention: Retention,
    pub bounds: Bounds,
    pub trouble: Trouble,
}

/// What goes wrong.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Trouble {
    /// Everything.
    All,
    /// The bus loses and duplicates a little, and one node after the other leaves.
    Leaving,
    /// Events are many and large, and nodes are cut off for long; no node dies.
    Outages,
}

pub struct World {
    pub now: u64,
    pub random: Random,
    pub judge: Judge,
    pub slots: Vec<Slot>,
    pub scenario: Scenario,
    pub bus: Bus,
}

/// A place for a process.
pub struct Slot {
    pub process: Option<Process>,
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
    /// What a node that leaves still has to do.
    pub drain: Option<Drain>,
}

/// Runs a scenario to its end; returns what happened, or what was wrong.
pub fn run(scenario: Scenario) -> Result<Tally, Vec<String>> {
    let mut world = World::new(scenario);
    while world.now < END && world.judge.faults.is_empty() {
        world.pass();
    }
    world.resolve();
    let World { judge, .. } = world;
    if judge.faults.is_empty() { Ok(judge.tally) } else { Err(judge.faults) }
}

pub fn room(kind: &str, number: u64) -> Room {
    Room::new(APP, &format!("{kind}-{number}")).expect("a plain name is a room's")
}

impl Slot {
    fn new(starts_at: u64) -> Self {
        Self { process: None, away_until: 0, stopped_at: 0, stopped_until: 0, side: 0, starts_at, drain: None }
    }
}

impl World {
    fn new(scenario: Scenario) -> Self {
        let mut random = Random::new(scenario.seed);
        let worst = if scenario.trouble == Trouble::Leaving { 201 } else { 601 };
        let weather = Weather { loss: random.below(worst), duplicates: random.below(worst) };
        let slots = (0..random.between(3, 6)).map(|_| Slot::new(random.below(3000))).collect();
        Self { now: 0, random, judge: Judge::default(), slots, scenario, bus: Bus::new(weather) }
    }

    /// One millisecond.
    fn pass(&mut self) {
        self.now += 1;
        match self.scenario.trouble {
            Trouble::All if self.now < TROUBLE => self.break_something(),
            Trouble::Outages if self.now < TROUBLE => self.cut_off_a_node(),
            Trouble::All | Trouble::Outages if self.now == TROUBLE => self.heal(),
            Trouble::Leaving if self.now < TROUBLE => self.let_one_leave(),
            Trouble::All | Trouble::Leaving | Trouble::Outages => {}
        }
        while let Some(delivery) = self.bus.arrived(self.now) {
            let stopped_until = self.slots[delivery.to].stopped_until;
            if stopped_until > self.now {
                self.bus.delay(delivery, stopped_until);
                continue;
            }
            let input = Input::Received { subject: delivery.subject, bytes: delivery.bytes };
            self.step(delivery.to, input);
        }
        for slot in 0..self.slots.len() {
            self.live(slot);
        }
    }

    fn live(&mut self, slot: usize) {
        let place = &mut self.slots[slot];
        if place.stopped_until > self.now {
            return;
        }
        if place.process.is_none() && place.starts_at <= self.now {
            self.start(slot);
        } else if place.away_until == self.now && place.process.is_some() {
            self.step(slot, Input::Connected);
        }
        self.finish_posts(slot);
        self.go_on_draining(slot);
        if (self.now + 11 * slot as u64).is_multiple_of(50) {
            self.step(slot, Input::Tick(Inbound::Drained));
        }
        self.continue_work(slot);
        if self.now < TROUBLE && self.slots[slot].drain.is_none() && self.random.chance(self.bustle()) {
            self.act(slot);
        }
    }

    /// Sooner or later a node has time for what was too much for one step.
    fn continue_work(&mut self, slot: usize) {
        let is_behind = self.slots[slot].process.as_ref().is_some_and(|process| process.core.is_behind());
        if is_behind && self.random.chance(1_000) {
            self.step(slot, Input::Continue);
        }
    }

    /// How often something happens on a node, in ten-thousandths of all milliseconds.
    fn bustle(&self) -> u64 {
        if self.scenario.trouble == Trouble::Outages { 300 } else { 120 }
    }

    fn start(&mut self, slot: usize) {
        let settings = Settings {
            retention: self.scenario.retention,
            page: 200,
            bounds: Bounds { cache: self.cache_bounds(), ..self.scenario.bounds },
            ..Settings::new(NodeId::from_bits(self.random.bits()), "1.0.0", self.slots.len())
        };
        self.slots[slot].process = Some(Process::new(settings));
        self.step(slot, Input::Webhooks(BTreeSet::from([Arc::from(APP)])));
        (0..3).for_each(|number| self.want(slot, room("presence", number)));
        if self.slots[slot].away_until <= self.now {
            self.step(slot, Input::Connected);
        }
    }

    /// Every second world has room for two of the last events of its three cache channels.
    fn cache_bounds(&self) -> CacheBounds {
        let two = CacheBounds { app: 1_200, node: 1_200 };
        if self.scenario.seed % 2 == 1 { two } else { CacheBounds::default() }
    }

    fn finish_posts(&mut self, slot: usize) {
        let Some(process) = &mut self.slots[slot].process else { return };
        let now = self.now;
        let done: Vec<Generation> =
            process.posting.extract_if(.., |(at, _)| *at <= now).map(|(_, post)| post).collect();
        done.into_iter().for_each(|post| self.step(slot, Input::Posted(post)));
    }

    /// The time of day in microseconds of the Unix epoch.
    pub fn wall(&self) -> u64 {
        1000 * (EPOCH + self.now)
    }

    /// The highest generation of an occupancy that any other node knows which a node could hear. One that has been
    /// stopped for so long that it is taken for dead is as good as cut off.
    pub fn known_to_others(&self, slot: usize, occupancy: &Occupancy) -> u64 {
        let is_silent = |slot: &Slot| slot.stopped_until > self.now && slot.stopped_at + SILENCE <= self.now;
        let others = (0..self.slots.len()).filter(|other| *other != slot && !is_silent(&self.slots[*other]));
        let reachable = others.filter(|other| self.reaches(slot, *other));
        let processes = reachable.filter_map(|other| self.slots[other].process.as_ref());
        processes.map(|process| generation(process, occupancy)).max().unwrap_or_default()
    }

    pub fn with(&mut self, slot: usize, act: impl FnOnce(&mut Process)) {
        if let Some(process) = &mut self.slots[slot].process {
            act(process);
        }
    }

    pub fn set_fact(&mut self, slot: usize, fact: Fact) {
        let Some(process) = &mut self.slots[slot].process else { return };
        let notified = process.set_fact(&fact);
        self.note(slot, notified);
        self.step(slot, Input::Fact(fact));
    }

    /// Clients want a room.
    pub fn want(&mut self, slot: usize, room: Room) {
        if self.slots[slot].process.as_mut().is_some_and(|process| process.want(&room)) {
            self.step(slot, Input::Serve(room));
        }
    }

    /// Publishes the next event of a room.
    pub fn publish_event(&mut self, slot: usize, room: Room) {
        let Some(payload) = self.next_event(slot, &room) else { return };
        self.step(slot, Input::Publish(RoomEvent { room, payload, trace: None }));
    }

    /// Publishes the next event of a cache channel.
    pub fn cache_event(&mut self, slot: usize, room: Room) {
        let Some(payload) = self.next_event(slot, &room) else { return };
        let (wall, ttl) = (self.wall(), 1000 * self.random.between(2_000, 300_000));
        let Some(process) = &mut self.slots[slot].process else { return };
        let at = process.rooms.get(&room).map_or(wall, |replica| replica.next_at(wall));
        let event = CachedEvent { at, ttl, payload };
        process.keep(&room, &event, wall);
        self.step(slot, Input::Cache { room, event, trace: None });
    }

    /// The payload of the next event of a room begins with its number. Notes which nodes it is promised to.
    fn next_event(&mut self, slot: usize, room: &Room) -> Option<Bytes> {
        let process = self.slots[slot].process.as_mut()?;
        let (origin, is_ready) = (process.id, process.core.readiness() == Readiness::Ready);
        let number = process.published.entry(room.clone()).or_default();
        *number += 1;
        let number = *number;
        let others = self.slots.iter().filter_map(|slot| slot.process.as_ref()).filter(|other| other.id != origin);
        let promised = others.filter(|other| is_ready && is_promised(other, origin, room)).map(|other| other.id);
        let promised: Vec<NodeId> = promised.collect();
        promised.into_iter().for_each(|receiver| self.judge.promise(receiver, origin, room, number));
        let most = if self.scenario.trouble == Trouble::Outages { 1_500 } else { 1 };
        let filling = vec![0; self.random.below(most) as usize];
        Some([&number.to_be_bytes()[..], &filling].concat().into())
    }

    pub fn leave(&mut self, slot: usize, room: Room) {
        let Some(process) = &mut self.slots[slot].process else { return };
        if process.rooms.remove(&room).is_none() {
            return;
        }
        let id = process.id;
        self.judge.left(id, &room);
        self.step(slot, Input::Leave(room));
    }

    pub fn kill(&mut self, slot: usize) {
        self.bus.cut(slot, &mut self.random);
        self.slots[slot].drain = None;
        self.end(slot);
    }

    /// A process is gone; what it gave to the bus is on its way.
    pub fn end(&mut self, slot: usize) {
        let Some(process) = self.slots[slot].process.take() else { return };
        self.judge.killed(process.id);
        self.slots[slot].stopped_until = self.now;
        self.slots[slot].starts_at = self.now + self.random.between(500, 10_000);
        let forgotten: Vec<Occupancy> = self.forgotten().collect();
        forgotten.into_iter().for_each(|occupancy| self.judge.forget(occupancy));
    }

    /// Occupancies whose last webhook no living node knows of.
    fn forgotten(&self) -> impl Iterator<Item = Occupancy> {
        let is_known = |occupancy: &Occupancy, number: u64| {
            self.processes().any(|process| generation(process, occupancy) >= number)
        };
        let posts = self.judge.last_posts().iter();
        posts.filter(move |(occupancy, number)| !is_known(occupancy, **number)).map(|(occupancy, _)| occupancy.clone())
    }

    /// Cuts a node from the bus.
    pub fn cut(&mut self, slot: usize, until: u64) {
        let place = &mut self.slots[slot];
        place.stopped_until = place.stopped_until.min(self.now);
        let was_here = place.away_until <= self.now;
        place.away_until = place.away_until.max(until);
        if was_here && self.slots[slot].process.is_some() {
            self.bus.cut(slot, &mut self.random);
            self.step(slot, Input::Disconnected);
        }
    }

    fn heal(&mut self) {
        self.bus.weather.loss = self.bus.weather.loss.min(100);
        self.bus.weather.duplicates = self.bus.weather.duplicates.min(100);
        for slot in 0..self.slots.len() {
            self.slots[slot].side = 0;
            self.slots[slot].stopped_until = self.slots[slot].stopped_until.min(self.now);
            if self.slots[slot].away_until > self.now {
                self.slots[slot].away_until = self.now + 1;
            }
        }
    }

    pub fn processes(&self) -> impl Iterator<Item = &Process> {
        self.slots.iter().filter_map(|slot| slot.process.as_ref())
    }
}

fn is_promised(receiver: &Process, origin: NodeId, room: &Room) -> bool {
    let knows = |peer: gaung_cluster::core::PeerStatus| peer.node == origin && peer.stage != Stage::Meeting;
    receiver.serves(room) && receiver.core.readiness() == Readiness::Ready && receiver.core.peers().any(knows)
}

fn generation(process: &Process, occupancy: &Occupancy) -> u64 {
    let numbers = process.core.records().filter_map(|record| match record {
        Record::Generation(generation) if generation.occupancy == *occupancy => Some(generation.number),
        Record::Generation(_) | Record::Cached { .. } | Record::Floor { .. } => None,
    });
    numbers.max().unwrap_or_default()
}

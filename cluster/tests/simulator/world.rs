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
    ring::Retention,
};
use gaung_simulator::{Network, Phase, meets};

use crate::{
    drain::Drain,
    judge::{Judge, Tally},
    pages::Pages,
    process::Process,
    truth::tenancy,
};

pub const TROUBLE: u64 = 60_000;
/// What follows a gap of one who died or left at the end of the trouble is held back for a minute, for as long as its
/// ring would have reached; then all have to learn of it.
const END: u64 = 140_000;
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
    pub net: Network<Process>,
    pub judge: Judge,
    /// The nodes that leave, by slot.
    pub drains: Vec<Option<Drain>>,
    pub pages: Pages,
    pub scenario: Scenario,
}

/// Runs a scenario to its end; returns what happened, or what was wrong.
pub fn run(scenario: Scenario) -> Result<Tally, Vec<String>> {
    let mut world = World::new(scenario);
    while world.net.now < END && world.judge.faults.is_empty() {
        world.pass();
    }
    world.resolve();
    let World { judge, .. } = world;
    if judge.faults.is_empty() { Ok(judge.tally) } else { Err(judge.faults) }
}

pub fn room(kind: &str, number: u64) -> Room {
    Room::new(APP, &format!("{kind}-{number}")).expect("a plain name is a room's")
}

impl World {
    fn new(scenario: Scenario) -> Self {
        let worst = if scenario.trouble == Trouble::Leaving { 201 } else { 601 };
        let net = Network::new(scenario.seed, worst);
        let drains = net.slots.iter().map(|_| None).collect();
        Self { net, judge: Judge::default(), drains, pages: Pages::default(), scenario }
    }

    /// One millisecond.
    fn pass(&mut self) {
        self.net.now += 1;
        match self.scenario.trouble {
            Trouble::All if self.net.now < TROUBLE => {
                let fault = self.net.break_something();
                self.suffer(fault);
            }
            Trouble::Outages if self.net.now < TROUBLE => {
                let fault = self.net.cut_off_a_node();
                self.suffer(fault);
            }
            Trouble::All | Trouble::Outages if self.net.now == TROUBLE => self.net.heal(),
            Trouble::Leaving if self.net.now < TROUBLE => self.let_one_leave(),
            Trouble::All | Trouble::Leaving | Trouble::Outages => {}
        }
        while let Some((slot, input)) = self.net.arrived() {
            self.step(slot, input);
        }
        for slot in 0..self.net.slots.len() {
            self.live(slot);
        }
    }

    fn live(&mut self, slot: usize) {
        match self.net.phase(slot) {
            Phase::Stopped => return,
            Phase::Starts => self.start(slot),
            Phase::Reconnects => self.step(slot, Input::Connected),
            Phase::Empty | Phase::Runs => {}
        }
        self.finish_posts(slot);
        self.go_on_draining(slot);
        if self.net.ticks(slot) {
            self.step(slot, Input::Tick(Inbound::Drained));
        }
        if self.net.continues(slot) {
            self.step(slot, Input::Continue);
        }
        if self.net.now < TROUBLE && self.drains[slot].is_none() && self.net.random.chance(self.bustle()) {
            self.act(slot);
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
            tenancy: tenancy(),
            bounds: Bounds { cache: self.cache_bounds(), ..self.scenario.bounds },
            ..Settings::new(NodeId::from_bits(self.net.random.bits()), "1.0.0", self.net.slots.len())
        };
        self.net.slots[slot].process = Some(Process::new(settings));
        self.step(slot, Input::Webhooks(BTreeSet::from([Arc::from(APP)])));
        (0..3).for_each(|number| self.want(slot, room("presence", number)));
        if !self.net.is_away(slot) {
            self.step(slot, Input::Connected);
        }
    }

    /// Every second world has room for two of the last events of its three cache channels.
    fn cache_bounds(&self) -> CacheBounds {
        let two = CacheBounds { app: 1_200, node: 1_200 };
        if self.scenario.seed % 2 == 1 { two } else { CacheBounds::default() }
    }

    fn finish_posts(&mut self, slot: usize) {
        let Some(process) = &mut self.net.slots[slot].process else { return };
        let now = self.net.now;
        let done: Vec<Generation> =
            process.posting.extract_if(.., |(at, _)| *at <= now).map(|(_, post)| post).collect();
        done.into_iter().for_each(|post| self.step(slot, Input::Posted(post)));
    }

    /// The highest generation of an occupancy that any other node knows which a node could hear.
    pub fn known_to_others(&self, slot: usize, occupancy: &Occupancy) -> u64 {
        let numbers = self.net.others_in_reach(slot).map(|process| generation(process, occupancy));
        numbers.max().unwrap_or_default()
    }

    pub fn with(&mut self, slot: usize, act: impl FnOnce(&mut Process)) {
        if let Some(process) = &mut self.net.slots[slot].process {
            act(process);
        }
    }

    pub fn set_fact(&mut self, slot: usize, fact: Fact) {
        let Some(process) = &mut self.net.slots[slot].process else { return };
        let notified = process.set_fact(&fact);
        self.note(slot, notified);
        self.step(slot, Input::Fact(fact));
    }

    /// Clients want a room.
    pub fn want(&mut self, slot: usize, room: Room) {
        if self.net.slots[slot].process.as_mut().is_some_and(|process| process.want(&room)) {
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
        let (wall, ttl) = (self.net.wall(), 1000 * self.net.random.between(2_000, 300_000));
        let Some(process) = &mut self.net.slots[slot].process else { return };
        let at = process.rooms.get(&room).map_or(wall, |replica| replica.next_at(wall));
        let event = CachedEvent { at, ttl, payload };
        process.keep(&room, &event, wall);
        self.step(slot, Input::Cache { room, event, trace: None });
    }

    /// The payload of the next event of a room begins with its number. Notes which nodes it is promised to.
    fn next_event(&mut self, slot: usize, room: &Room) -> Option<Bytes> {
        let process = self.net.slots[slot].process.as_mut()?;
        let (origin, is_ready) = (process.id, process.core.readiness() == Readiness::Ready);
        let number = process.published.entry(room.clone()).or_default();
        *number += 1;
        let number = *number;
        let others = self.net.slots.iter().filter_map(|slot| slot.process.as_ref()).filter(|other| other.id != origin);
        let promised = others.filter(|other| is_ready && is_promised(other, origin, room)).map(|other| other.id);
        let promised: Vec<NodeId> = promised.collect();
        promised.into_iter().for_each(|receiver| self.judge.promise(receiver, origin, room, number));
        let most = if self.scenario.trouble == Trouble::Outages { 1_500 } else { 1 };
        let filling = vec![0; self.net.random.below(most) as usize];
        Some([&number.to_be_bytes()[..], &filling].concat().into())
    }

    pub fn leave(&mut self, slot: usize, room: Room) {
        let Some(process) = &mut self.net.slots[slot].process else { return };
        if process.rooms.remove(&room).is_none() {
            return;
        }
        let id = process.id;
        self.judge.left(id, &room);
        self.step(slot, Input::Leave(room));
    }

    pub fn kill(&mut self, slot: usize) {
        self.drains[slot] = None;
        let process = self.net.kill(slot);
        process.into_iter().for_each(|process| self.forget_process(&process));
    }

    /// A process is gone; what it gave to the bus is on its way.
    pub fn end(&mut self, slot: usize) {
        let process = self.net.end(slot);
        process.into_iter().for_each(|process| self.forget_process(&process));
    }

    fn forget_process(&mut self, process: &Process) {
        self.judge.killed(process.id);
        self.lose_pages(process);
        let forgotten: Vec<Occupancy> = self.forgotten().collect();
        forgotten.into_iter().for_each(|occupancy| self.judge.forget(occupancy));
    }

    /// Occupancies whose last webhook no living node knows of.
    fn forgotten(&self) -> impl Iterator<Item = Occupancy> {
        let is_known = |occupancy: &Occupancy, number: u64| {
            self.net.processes().any(|process| generation(process, occupancy) >= number)
        };
        let posts = self.judge.last_posts().iter();
        posts.filter(move |(occupancy, number)| !is_known(occupancy, **number)).map(|(occupancy, _)| occupancy.clone())
    }

    /// Cuts a node from the bus.
    pub fn cut(&mut self, slot: usize, until: u64) {
        if self.net.cut(slot, until) {
            self.step(slot, Input::Disconnected);
        }
    }
}

fn is_promised(receiver: &Process, origin: NodeId, room: &Room) -> bool {
    receiver.serves(room) && meets(&receiver.core, origin)
}

fn generation(process: &Process, occupancy: &Occupancy) -> u64 {
    let numbers = process.core.records().filter_map(|record| match record {
        Record::Generation(generation) if generation.occupancy == *occupancy => Some(generation.number),
        Record::Generation(_) | Record::Cached { .. } | Record::Floor { .. } => None,
    });
    numbers.max().unwrap_or_default()
}

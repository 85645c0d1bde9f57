//! One run: nodes, their clients, and everything that goes wrong for a minute; then fifty seconds to heal.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use bytes::Bytes;
use gaung_cluster::{
    NodeId, Room, Subject,
    core::{Input, Moment, Output, Settings},
    detector::Inbound,
    fact::{Edge, Fact, Generation, Key, Record},
    frame::{Readiness, RoomEvent},
    peer::Stage,
    ring::Reach,
};

use crate::{
    bus::{Bus, Weather},
    judge::{Judge, Tally},
    process::Process,
    random::Random,
    truth::{Truth, disagreements},
};

const TROUBLE: u64 = 60_000;
const END: u64 = 110_000;
pub const EPOCH: u64 = 1_700_000_000_000;
pub const APP: &str = "shop";

/// What differs between kinds of runs.
#[derive(Clone, Copy)]
pub struct Scenario {
    pub seed: u64,
    pub reach: Reach,
}

pub struct World {
    pub now: u64,
    pub random: Random,
    pub judge: Judge,
    pub slots: Vec<Slot>,
    scenario: Scenario,
    bus: Bus,
}

/// A place for a process.
pub struct Slot {
    pub process: Option<Process>,
    /// Until when it has no connection to the bus.
    pub away_until: u64,
    /// Until when its process is stopped and reads nothing.
    pub stopped_until: u64,
    /// Which side of a split it is on.
    pub side: u64,
    /// When a killed process starts again.
    pub starts_at: u64,
}

/// Runs a scenario to its end; returns what happened, or what was wrong.
pub fn run(scenario: Scenario) -> Result<Tally, Vec<String>> {
    let mut world = World::new(scenario);
    while world.now < END && world.judge.faults.is_empty() {
        world.pass();
    }
    world.settle();
    let World { judge, .. } = world;
    if judge.faults.is_empty() { Ok(judge.tally) } else { Err(judge.faults) }
}

pub fn room(kind: &str, number: u64) -> Room {
    Room::new(APP, &format!("{kind}-{number}")).expect("a plain name is a room's")
}

impl World {
    fn new(scenario: Scenario) -> Self {
        let mut random = Random::new(scenario.seed);
        let weather = Weather { loss: random.below(601), doubles: random.below(601) };
        let slots = (0..random.between(3, 6))
            .map(|_| Slot { process: None, away_until: 0, stopped_until: 0, side: 0, starts_at: random.below(3000) })
            .collect();
        Self { now: 0, random, judge: Judge::default(), slots, scenario, bus: Bus::new(weather) }
    }

    /// One millisecond.
    fn pass(&mut self) {
        self.now += 1;
        if self.now < TROUBLE {
            self.trouble();
        } else if self.now == TROUBLE {
            self.heal();
        }
        while let Some(delivery) = self.bus.arrived(self.now) {
            let stopped_until = self.slots[delivery.to].stopped_until;
            if stopped_until > self.now {
                self.bus.delay(delivery, stopped_until);
                continue;
            }
            let input = Input::Heard { subject: delivery.subject, bytes: delivery.bytes };
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
        if (self.now + 11 * slot as u64).is_multiple_of(50) {
            self.step(slot, Input::Tick(Inbound::Drained));
        }
        if self.now < TROUBLE && self.random.chance(120) {
            self.act(slot);
        }
    }

    fn start(&mut self, slot: usize) {
        let settings = Settings {
            node: NodeId::from_bits(self.random.bits()),
            version: "1.0.0".into(),
            expected_nodes: self.slots.len(),
            reach: self.scenario.reach,
            page: 200,
        };
        self.slots[slot].process = Some(Process::new(settings));
        self.step(slot, Input::Webhooks(BTreeSet::from([Arc::from(APP)])));
        if self.slots[slot].away_until <= self.now {
            self.step(slot, Input::Connected);
        }
    }

    fn finish_posts(&mut self, slot: usize) {
        let Some(process) = &mut self.slots[slot].process else { return };
        let now = self.now;
        let done: Vec<Generation> =
            process.posting.extract_if(.., |(at, _)| *at <= now).map(|(_, post)| post).collect();
        done.into_iter().for_each(|post| self.step(slot, Input::Posted(post)));
    }

    /// Gives a process an input, and does what it wants.
    pub fn step(&mut self, slot: usize, input: Input) {
        let moment = Moment { up: Duration::from_millis(self.now), wall: Duration::from_millis(EPOCH + self.now) };
        let Some(process) = &mut self.slots[slot].process else { return };
        let outputs = process.core.step(input, moment);
        for output in outputs {
            self.carry_out(slot, output);
        }
    }

    fn carry_out(&mut self, slot: usize, output: Output) {
        let now = self.now;
        let Some(process) = &mut self.slots[slot].process else { return };
        let id = process.id;
        match output {
            Output::Publish(subject, bytes) => self.publish(slot, &subject, &bytes),
            Output::Subscribe(room) => _ = process.subscribed.insert(room),
            Output::Unsubscribe(room) => _ = process.subscribed.remove(&room),
            Output::Serving(opening) => _ = process.serving.insert(opening.room),
            Output::Deliver(origin, event) => {
                let number = event.payload.as_ref().try_into().map(u64::from_be_bytes).expect("a payload is a number");
                self.judge.delivered(id, origin, &event.room, number);
            }
            Output::Elsewhere(_) | Output::Cached(..) | Output::CacheRepaired(..) => {}
            Output::Post(generation) => {
                process.posting.push((now + self.random.between(20, 200), generation.clone()));
                let known = self.known(slot, &generation.edge);
                self.judge.posted(&generation, known);
            }
            Output::Lost(origin, stream) => self.judge.lost(id, origin, stream),
        }
    }

    fn publish(&mut self, from: usize, subject: &Subject, bytes: &Bytes) {
        if self.slots[from].away_until > self.now {
            self.judge.faults.push("something was published while the bus was away".to_owned());
        }
        for to in 0..self.slots.len() {
            if self.reaches(from, to) && self.listens(to, subject) {
                self.bus.send(self.now, &mut self.random, (from, to), (subject, bytes));
            }
        }
    }

    fn reaches(&self, from: usize, to: usize) -> bool {
        let is_here = |slot: &Slot| slot.process.is_some() && slot.away_until <= self.now;
        is_here(&self.slots[from]) && is_here(&self.slots[to]) && self.slots[from].side == self.slots[to].side
    }

    fn listens(&self, slot: usize, subject: &Subject) -> bool {
        let Some(process) = &self.slots[slot].process else { return false };
        match subject {
            Subject::State => true,
            Subject::Node(node) => *node == process.id,
            Subject::Room(room) => process.subscribed.contains(room),
        }
    }

    /// The highest generation of an edge that anybody knows whom a node could hear.
    fn known(&self, slot: usize, edge: &Edge) -> u64 {
        let reachable = (0..self.slots.len()).filter(|other| *other == slot || self.reaches(slot, *other));
        let processes = reachable.filter_map(|other| self.slots[other].process.as_ref());
        processes.map(|process| generation(process, edge)).max().unwrap_or_default()
    }

    pub fn with(&mut self, slot: usize, act: impl FnOnce(&mut Process)) {
        if let Some(process) = &mut self.slots[slot].process {
            act(process);
        }
    }

    pub fn set_fact(&mut self, slot: usize, fact: Fact) {
        let key = fact.key();
        self.with(slot, |process| {
            if fact.sockets() > 0 {
                process.facts.insert(key, fact.clone());
            } else {
                process.facts.remove(&key);
            }
        });
        self.step(slot, Input::Fact(fact));
    }

    /// Publishes the next event of a room, and notes to whom it is promised.
    pub fn publish_event(&mut self, slot: usize, room: Room) {
        let Some(process) = &mut self.slots[slot].process else { return };
        let (origin, is_ready) = (process.id, process.core.readiness() == Readiness::Ready);
        let number = process.published.entry(room.clone()).or_default();
        *number += 1;
        let number = *number;
        let others = self.slots.iter().filter_map(|slot| slot.process.as_ref()).filter(|other| other.id != origin);
        let promised = others.filter(|other| is_ready && is_promised(other, origin, &room)).map(|other| other.id);
        let promised: Vec<NodeId> = promised.collect();
        promised.into_iter().for_each(|receiver| self.judge.promise(receiver, origin, &room, number));
        let payload = Bytes::copy_from_slice(&number.to_be_bytes());
        self.step(slot, Input::Publish(RoomEvent { room, except: None, payload }));
    }

    pub fn leave(&mut self, slot: usize, room: Room) {
        let Some(process) = &mut self.slots[slot].process else { return };
        process.serving.remove(&room);
        let id = process.id;
        self.judge.left(id, &room);
        self.step(slot, Input::Leave(room));
    }

    pub fn kill(&mut self, slot: usize) {
        let Some(process) = self.slots[slot].process.take() else { return };
        self.bus.cut(slot, &mut self.random);
        self.judge.killed(process.id);
        self.slots[slot].stopped_until = self.now;
        self.slots[slot].starts_at = self.now + self.random.between(500, 10_000);
        let forgotten: Vec<Edge> = self.forgotten().collect();
        forgotten.into_iter().for_each(|edge| self.judge.forget(edge));
    }

    /// Edges whose last webhook no living node knows of.
    fn forgotten(&self) -> impl Iterator<Item = Edge> {
        let is_known = |edge: &Edge, number: u64| self.processes().any(|process| generation(process, edge) >= number);
        let posts = self.judge.last_posts().iter();
        posts.filter(move |(edge, number)| !is_known(edge, **number)).map(|(edge, _)| edge.clone())
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
        self.bus.weather.doubles = self.bus.weather.doubles.min(100);
        for slot in 0..self.slots.len() {
            self.slots[slot].side = 0;
            self.slots[slot].stopped_until = self.slots[slot].stopped_until.min(self.now);
            if self.slots[slot].away_until > self.now {
                self.slots[slot].away_until = self.now + 1;
            }
        }
    }

    fn processes(&self) -> impl Iterator<Item = &Process> {
        self.slots.iter().filter_map(|slot| slot.process.as_ref())
    }

    /// After the healing: everybody agrees with everybody and with the truth.
    fn settle(&mut self) {
        // All look at the same clock, or an event that ends right now is over for some and not for others.
        (0..self.slots.len()).for_each(|slot| self.step(slot, Input::Tick(Inbound::Drained)));
        let truth = self.truth();
        let mut faults = Vec::new();
        for process in self.processes() {
            faults.extend(disagreements(process, &truth));
        }
        let caches: BTreeSet<Vec<String>> = self.processes().map(cached).collect();
        if caches.len() > 1 {
            faults.push(format!("cached events differ: {caches:?}"));
        }
        if faults.is_empty() && self.judge.faults.is_empty() {
            let held = truth.keys().filter_map(edge).collect();
            self.judge.compare_edges(&held);
            let living = self.processes().map(|process| process.id).collect();
            self.judge.compare_events(&living);
        }
        for process in self.slots.iter().filter_map(|slot| slot.process.as_ref()) {
            self.judge.tally.snapshots += process.core.counters().snapshots;
            self.judge.tally.mismatches += process.core.counters().mismatches;
        }
        self.judge.faults.extend(faults);
    }

    /// All facts of the living, by key.
    fn truth(&self) -> Truth {
        let mut truth = Truth::new();
        for process in self.processes() {
            for (key, fact) in &process.facts {
                truth.entry(key.clone()).or_default().push((process.id, fact.clone()));
            }
        }
        truth
    }
}

fn is_promised(receiver: &Process, origin: NodeId, room: &Room) -> bool {
    let knows = |peer: gaung_cluster::core::PeerStatus| peer.node == origin && peer.stage != Stage::Meeting;
    receiver.serving.contains(room) && receiver.core.readiness() == Readiness::Ready && receiver.core.peers().any(knows)
}

fn generation(process: &Process, edge: &Edge) -> u64 {
    let numbers = process.core.records().filter_map(|record| match record {
        Record::Generation(generation) if generation.edge == *edge => Some(generation.number),
        Record::Generation(_) | Record::Cached { .. } | Record::Floor { .. } => None,
    });
    numbers.max().unwrap_or_default()
}

fn edge(key: &Key) -> Option<Edge> {
    match key {
        Key::Count(room) => Some(Edge { room: room.clone(), user: None }),
        Key::Member(room, user) => Some(Edge { room: room.clone(), user: Some(user.clone()) }),
        Key::Connections(_) | Key::User(..) => None,
    }
}

fn cached(process: &Process) -> Vec<String> {
    let rooms = (0..3).map(|number| room("cache", number));
    rooms.map(|room| format!("{:?}", process.core.cached(&room))).collect()
}

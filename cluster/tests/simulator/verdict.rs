//! The judgement at the end of a run.

use std::collections::BTreeSet;

use gaung_cluster::{
    core::Input,
    detector::Inbound,
    fact::{FactKey, Occupancy},
};

use crate::{
    process::Process,
    truth::{Truth, disagreements},
    world::{APP, World, room},
};

impl World {
    /// After recovery: all nodes agree with one another and with the truth.
    pub fn resolve(&mut self) {
        // All look at the same clock, or an event that ends right now is over for some and not for others.
        (0..self.net.slots.len()).for_each(|slot| self.step(slot, Input::Tick(Inbound::Drained)));
        let truth = self.truth();
        let mut faults = Vec::new();
        let wall = self.net.wall();
        for process in self.net.processes() {
            faults.extend(process.contradictions(&APP.into(), wall));
            faults.extend(disagreements(process, &truth));
        }
        faults.extend(self.page_faults());
        let caches: BTreeSet<Vec<String>> = self.net.processes().map(cached).collect();
        if caches.len() > 1 {
            faults.push(format!("cached events differ: {caches:?}"));
        }
        if faults.is_empty() && self.judge.faults.is_empty() {
            let held = truth.keys().filter_map(occupancy).collect();
            self.judge.compare_occupancys(&held);
            self.judge.compare_visits();
            let living = self.net.processes().map(|process| process.id).collect();
            self.judge.compare_events(&living);
        }
        for process in self.net.slots.iter().filter_map(|slot| slot.process.as_ref()) {
            self.judge.tally.snapshots += process.core.counters().snapshots;
            self.judge.tally.mismatches += process.core.counters().mismatches;
        }
        (self.judge.tally.pages, self.judge.tally.lost_pages) = self.page_counts();
        self.judge.faults.extend(faults);
    }

    /// All facts of the living, by key.
    fn truth(&self) -> Truth {
        let mut truth = Truth::new();
        for process in self.net.processes() {
            for (key, fact) in &process.facts {
                truth.entry(key.clone()).or_default().push((process.id, fact.clone()));
            }
        }
        truth
    }
}

fn occupancy(key: &FactKey) -> Option<Occupancy> {
    match key {
        FactKey::Count(room) => Some(Occupancy { room: room.clone(), user: None }),
        FactKey::Member(room, user) => Some(Occupancy { room: room.clone(), user: Some(user.clone()) }),
        FactKey::Connections(_) | FactKey::User(..) | FactKey::Tenant(..) => None,
    }
}

fn cached(process: &Process) -> Vec<String> {
    let rooms = (0..3).map(|number| room("cache", number));
    rooms.map(|room| format!("{:?}", process.core.cached(&room))).collect()
}

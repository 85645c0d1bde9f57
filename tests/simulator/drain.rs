//! A node that leaves: it says so, its sockets close one by one and come back on nodes that stay, and its process ends while
//! the others still hold its facts.

use std::time::Duration;

use gaung::page::messages::BookInput;
use gaung_cluster::{core::Input, frame::Readiness};
use gaung_simulator::Fault;

use crate::{
    client::Client,
    world::{World, channel},
};

/// What a node that leaves still has to do.
pub struct Drain {
    ends_at: u64,
    /// When its clients are told to go.
    closings: Vec<(u64, usize)>,
}

/// No node leaves later, so that somebody is left who knows those that have.
const LAST_LEAVES: u64 = 50_000;

/// How many clients there are who leave their channel with their node only.
const MOVERS: u64 = 6;

/// Whether a user is one of those.
pub fn is_mover(user: &str) -> bool {
    user.starts_with("mover")
}

impl World {
    /// Users who never leave, where nodes are to leave.
    pub fn invite_movers(&mut self) {
        if !self.moves_members() {
            return;
        }
        for number in 0..MOVERS {
            let returns_at = self.net.random.between(5_000, 8_000);
            let mut mover = Client::new(format!("mover-{number}"), returns_at);
            mover.rejoins.push(channel("presence-0"));
            self.clients.push(mover);
        }
    }

    pub fn is_ready(&self, slot: usize) -> bool {
        self.process(slot).is_some_and(|node| node.core.readiness() == Readiness::Ready)
    }

    /// Once in some seconds, while all are there and know one another, one leaves.
    pub fn let_one_leave(&mut self) -> Option<Fault> {
        let count = self.net.slots.len();
        let knows_all = |slot: usize| self.process(slot).is_some_and(|node| node.core.ready_nodes().len() == count);
        let all_are_here = self.drains.iter().all(Option::is_none) && (0..count).all(knows_all);
        if !(12_000..LAST_LEAVES).contains(&self.net.now) || !all_are_here || !self.net.random.chance(10) {
            return None;
        }
        Some(Fault::Drain(self.net.random.below(count as u64) as usize))
    }

    /// Makes a node leave.
    pub fn drain(&mut self, slot: usize) {
        let lasts = self.net.random.between(2_000, 6_000);
        if self.drains[slot].is_some() || !self.is_ready(slot) {
            return;
        }
        let Some(node) = self.process(slot) else { return };
        node.cluster.say_bye(Duration::from_millis(lasts + 10_000));
        let mut closings = Vec::new();
        for (number, client) in self.clients.iter().enumerate() {
            if client.socket.as_ref().is_some_and(|socket| socket.slot == slot) {
                closings.push((self.net.now + self.net.random.below(lasts), number));
            }
        }
        self.drains[slot] = Some(Drain { ends_at: self.net.now + lasts, closings });
        self.tally.drains += 1;
    }

    /// What is due of a node's leaving.
    pub fn continue_draining(&mut self, slot: usize) {
        let now = self.net.now;
        let Some(drain) = &mut self.drains[slot] else { return };
        let closings: Vec<(u64, usize)> = drain.closings.extract_if(.., |(at, _)| *at <= now).collect();
        let ends = drain.ends_at <= now;
        for (_, client) in closings {
            let returns_at = now + self.net.random.between(50, 6_000);
            let is_here = self.clients[client].socket.as_ref().is_some_and(|socket| socket.slot == slot);
            if is_here && self.is_page(client) {
                self.send_page_away(client);
            } else if is_here {
                self.disconnect(client, returns_at);
            }
        }
        if ends {
            self.drains[slot] = None;
            self.tell_book(slot, BookInput::End);
            while let Some(input) = self.process_mut(slot).and_then(|node| node.bus.next_input()) {
                self.take_input(slot, input);
            }
            self.step(slot, Input::Confirm);
            if let Some(node) = self.net.end(slot) {
                let id = node.id;
                self.store_rest(slot, node);
                self.forget(slot, id);
            }
        }
    }
}

//! What goes wrong with nodes, and what it means for their clients.

use gaung_cluster::{NodeId, core::Input};
use gaung_simulator::Fault;

use crate::world::{Trouble, World};

impl World {
    /// Carries out what breaks, if something does.
    pub fn suffer(&mut self) {
        let fault = match self.trouble {
            Trouble::All => self.net.break_something(),
            Trouble::Leaving => self.let_one_leave(),
        };
        match fault {
            None => {}
            Some(Fault::Kill(slot)) => self.kill(slot),
            Some(Fault::Cut(slot, until)) => self.cut(slot, until),
            Some(Fault::CutAll(until)) => (0..self.net.slots.len()).for_each(|slot| self.cut(slot, until)),
            Some(Fault::Drain(slot)) => self.drain(slot),
        }
    }

    fn cut(&mut self, slot: usize, until: u64) {
        if self.net.cut(slot, until) {
            self.step(slot, Input::Disconnected);
        }
    }

    fn kill(&mut self, slot: usize) {
        self.drains[slot] = None;
        if let Some(node) = self.net.kill(slot) {
            self.store_first(node.unstored);
            self.forget(slot, node.id);
        }
    }

    /// A process is gone, and with it the sockets that were left.
    pub fn forget(&mut self, slot: usize, node: NodeId) {
        self.tally.kills += 1;
        self.promises.forget(node);
        self.forget_sessions(slot);
        for client in 0..self.clients.len() {
            if self.clients[client].socket.as_ref().is_some_and(|socket| socket.slot == slot) {
                let returns_at = self.net.now + self.net.random.between(10, 3_000);
                self.cut_off(client, returns_at);
            }
        }
    }
}

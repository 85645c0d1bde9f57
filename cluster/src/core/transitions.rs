//! Webhooks: compares occupancies with their announcements, and publishes the transitions.

use std::{cmp::Reverse, collections::BTreeSet, sync::Arc};

use super::{Core, Output, own::chunk};
use crate::{
    announcements::{Action, Truth, Vote},
    codec::record_size,
    fact::{FactKey, Generation, Occupancy, Record},
    frame::{Numbered, Stream},
    peer::{Peer, Stage},
    subject::Subject,
    view::View,
};

/// Occupancies that are compared in one step at most.
const MAX_PER_STEP: usize = 1000;

impl Core {
    /// A record may announce that an occupancy's webhook is in progress or done.
    pub(super) fn merge_generation(&mut self, record: &Record) {
        if let Some(occupancy) = self.announcements.merge(record, self.now.up) {
            self.compare(&occupancy);
        }
    }

    pub(super) fn set_webhooks(&mut self, apps: BTreeSet<Arc<str>>) {
        self.webhooks = apps;
        self.comparing = Some(None);
        self.compare_some();
    }

    /// Compares the next occupancies, after the set of apps with webhooks has changed.
    pub(super) fn compare_some(&mut self) {
        let Some(after) = self.comparing.take() else { return };
        let keys: Vec<FactKey> = self.view.keys_after(after.as_ref()).take(MAX_PER_STEP).cloned().collect();
        keys.iter().cloned().filter_map(Occupancy::of).for_each(|occupancy| self.compare(&occupancy));
        self.comparing = keys.into_iter().last().map(Some);
    }

    /// Notes whether an occupancy's last webhook is still true.
    pub(super) fn compare(&mut self, occupancy: &Occupancy) {
        if self.webhooks.contains(occupancy.room.app()) {
            self.announcements.compare(occupancy, truth(&self.view, occupancy), self.now.up);
        }
    }

    pub(super) fn act_on_transitions(&mut self) {
        if self.announcements.set_voters(self.voters(), self.now.up) == Vote::Changed {
            // Others may know records of a node that is gone by now, or that this one missed.
            self.ask_all_for_records();
        }
        if !self.may_decide() {
            return;
        }
        let node = self.settings.node;
        if let Some(floor) = self.announcements.floor_to_publish(node, self.now.wall.as_secs(), self.now.up) {
            self.record(floor);
            self.announcements.floor_published(self.outgoing.state());
        }
        let view = &self.view;
        let mut actions =
            self.announcements.act(node, |occupancy| truth(view, occupancy), self.seen_by_enough(), self.now.up);
        actions.extend(self.announcements.retirements(node, self.now.up));
        self.perform(actions);
    }

    pub(super) fn finish_post(&mut self, generation: &Generation) {
        if let Some(done) = self.announcements.posted(&generation.occupancy, generation.number) {
            self.record(Record::Generation(done));
        }
    }

    /// Records are published together: a frame for each would cost every node much more.
    fn perform(&mut self, actions: Vec<Action>) {
        let (mut published, mut announced) = (Vec::new(), Vec::new());
        for action in actions {
            match action {
                Action::Announce(generation) => {
                    announced.push(generation.clone());
                    published.push(Record::Generation(generation));
                }
                Action::Post(generation) => self.outputs.push(Output::Post(generation)),
                Action::Retire(generation) => published.push(Record::Generation(generation)),
            }
        }
        published.iter().for_each(|record| self.merge_generation(record));
        let mut published = published.into_iter().peekable();
        while published.peek().is_some() {
            let records = chunk(&mut published, record_size, self.settings.page);
            self.publish_numbered(Stream::STATE, Subject::State, Numbered::Records(records, None));
        }
        let number = self.outgoing.state();
        announced.iter().for_each(|generation| self.announcements.announced(generation, number));
    }

    fn record(&mut self, record: Record) {
        self.merge_generation(&record);
        self.publish_numbered(Stream::STATE, Subject::State, Numbered::Records(vec![record], None));
    }

    /// Whether this node may decide: it sees more than half of the expected nodes, itself included, is connected, and
    /// is not known to have missed anything of its peers.
    fn may_decide(&self) -> bool {
        let is_caught_up = self.peers.values().filter(|peer| peer.stage != Stage::Dead).all(Peer::is_caught_up);
        if !is_caught_up || self.view.is_updating() {
            return false;
        }
        let is_reachable = self.is_connected() || self.is_alone();
        is_reachable && self.voters().len() > self.settings.expected_nodes / 2
    }

    /// Up to where so many other voters have followed us that, with this node, they are more than half of the expected:
    /// then any node that decides later knows our records. One other voter at least; `None` if there is none.
    fn seen_by_enough(&self) -> Option<u64> {
        let (node, voters) = (self.settings.node, self.voters());
        let others = self.peers.iter().filter(|(other, peer)| peer.stage == Stage::Live && voters.contains(other));
        let mut seen: Vec<u64> = others.map(|(_, peer)| peer.seen.get(&node).copied().unwrap_or_default()).collect();
        seen.sort_unstable_by_key(|number| Reverse(*number));
        let enough = (self.settings.expected_nodes / 2).max(1) - 1;
        seen.get(enough).or(seen.last()).copied()
    }
}

fn truth(view: &View, occupancy: &Occupancy) -> Truth {
    if view.holds(&occupancy.room, occupancy.user.as_ref()) { Truth::Occupied } else { Truth::Vacant }
}

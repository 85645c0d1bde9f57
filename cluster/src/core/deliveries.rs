//! Acknowledgements of single events, by which the node that published them measures how long they take. They are lost
//! without harm; releases that do not know them are sent none, and send none.

use std::time::Duration;

use super::{Core, Output};
use crate::{
    codec::DELIVERIES,
    delivery,
    frame::Unnumbered,
    peer::{Peer, Stage},
    room::NodeId,
    subject::Subject,
};

impl Core {
    /// Says for how long the next input has waited before the core had it.
    pub fn note_wait(&mut self, waited: Duration) {
        self.waited = waited;
    }

    pub(super) fn acknowledge(&mut self, to: NodeId, number: u64, held: Duration) {
        let measures = |peer: &Peer| peer.stage != Stage::Dead && peer.minor >= DELIVERIES;
        if self.peers.get(&to).is_some_and(measures) {
            self.send(Subject::Node(to), Unnumbered::Delivered { number, held });
        }
    }

    /// An event that the ring has no more took too long to be of interest.
    pub(super) fn take_acknowledgement(&mut self, number: u64, held: Duration) {
        let Some(sent) = self.outgoing.sent(number) else { return };
        let round_trip = self.now.up.saturating_sub(sent.at);
        self.outputs.extend(delivery::time(sent.waited, round_trip, held).map(Output::Acknowledged));
    }
}

//! What single nodes are asked and answer, beside the streams: carried once, and not repaired. Who asks keeps the time.

use bytes::Bytes;

use super::{Core, Output, own::MAX_ITEM};
use crate::{
    codec::QUESTIONS,
    frame::{Readiness, Unnumbered},
    peer::{Peer, Stage},
    room::NodeId,
    subject::Subject,
};

impl Core {
    /// The peers that live and whose releases answer questions, those that are leaving included.
    pub fn peers_to_ask(&self) -> impl Iterator<Item = NodeId> {
        self.peers.iter().filter(|(_, peer)| answers(peer)).map(|(node, _)| *node)
    }

    /// Those of them that are ready, and not leaving.
    pub fn nodes_that_stay(&self) -> impl Iterator<Item = NodeId> {
        let stays = |peer: &Peer| answers(peer) && peer.stage == Stage::Live && peer.readiness == Readiness::Ready;
        self.peers.iter().filter(move |(_, peer)| stays(peer)).map(|(node, _)| *node)
    }

    /// A question that cannot reach its node is answered at once, with nothing: nobody is to wait for it.
    pub(super) fn ask_peer(&mut self, to: NodeId, number: u64, question: Bytes) {
        let is_reachable = self.is_connected() && self.peers.get(&to).is_some_and(answers);
        if is_reachable && self.fits(&question) {
            self.send(Subject::Node(to), Unnumbered::Question { number, question });
        } else {
            self.outputs.push(Output::Answered { from: to, number, answer: Bytes::new() });
        }
    }

    pub(super) fn answer_peer(&mut self, to: NodeId, number: u64, answer: Bytes) {
        let answer = if self.fits(&answer) { answer } else { Bytes::new() };
        self.send(Subject::Node(to), Unnumbered::Answer { number, answer });
    }

    fn fits(&mut self, text: &Bytes) -> bool {
        let fits = text.len() <= MAX_ITEM;
        self.counters.oversized += u64::from(!fits);
        fits
    }
}

fn answers(peer: &Peer) -> bool {
    peer.stage != Stage::Dead && peer.minor >= QUESTIONS
}

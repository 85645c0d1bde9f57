//! The table of peers: how one is added, and what is left of one that is forgotten.
//!
//! Any client of the bus may send a frame under a new node id. Such a peer is proven only once it has sent its facts,
//! which takes an answer to a request: when the table is full, unproven peers are evicted first, so that a real node is
//! always added.

use std::{
    collections::{BTreeMap, VecDeque},
    time::Duration,
};

use super::Core;
use crate::{
    frame::{Body, Frame},
    peer::{Peer, Stage},
    room::NodeId,
    sequencer::{Sequencer, SequencerBounds, Teardown},
};

/// Peers known at once at most.
const MAX_PEERS: usize = 1024;

/// Streams of a forgotten peer that are dropped in one step at most.
const MAX_PER_STEP: usize = 1024;

/// Forgotten peers whose number is kept, at most.
const MAX_FORGOTTEN: usize = 4096;

/// The last numbers of forgotten peers. One that returns is asked for what it published since; of one that has left in order
/// it is known that nothing came after.
#[derive(Debug, Default)]
pub(super) struct ForgottenPeers {
    peers: BTreeMap<NodeId, Forgotten>,
    order: VecDeque<NodeId>,
}

#[derive(Debug)]
struct Forgotten {
    last: u64,
    has_left: bool,
}

impl Core {
    /// Adds the origin if it is not known yet; `false` if there are too many peers already.
    pub(super) fn ensure_peer(&mut self, frame: &Frame) -> bool {
        if self.peers.contains_key(&frame.origin) {
            return true;
        }
        if self.peers.len() >= MAX_PEERS && !self.evict_peer() {
            return false;
        }
        let now = self.now.up;
        // What was published before we knew the peer was not for us; this frame is.
        let first = frame.number - u64::from(matches!(frame.body, Body::Numbered { .. }));
        let known = self.forgotten.take(frame.origin);
        let bounds = SequencerBounds { held: self.settings.bounds.held, step: self.settings.page };
        let mut peer = Peer::new(Sequencer::new(known.unwrap_or(first), bounds), now);
        peer.ask_heads = known.map(|_| now);
        // What one published that is back is asked for.
        peer.met = if known.is_some() { Duration::ZERO } else { now };
        peer.note_sign(now.saturating_sub(self.unread_for()), Duration::ZERO, now);
        self.peers.insert(frame.origin, peer);
        self.ask_one(frame.origin);
        true
    }

    /// Forgets a peer; of a proven one its last number is kept.
    pub(super) fn forget(&mut self, node: NodeId) {
        if let Some(peer) = self.peers.remove(&node) {
            if peer.is_proven {
                self.forgotten.add(node, Forgotten { last: peer.sequencer.last(), has_left: peer.has_left() });
            }
            let silence = self.steady_silence(&peer);
            self.claims.forget(node, peer.is_proven.then(|| self.now.up.saturating_sub(silence)));
            self.retired.push(peer.sequencer);
        }
        self.view.forget(node);
    }

    /// Drops a part of what is left of peers that are forgotten.
    pub(super) fn drop_retired(&mut self) {
        if let Some(sequencer) = self.retired.last_mut()
            && sequencer.tear_down(MAX_PER_STEP) == Teardown::Whole
        {
            self.retired.pop();
        }
    }

    /// Evicts an unproven peer, or else a dead one; of these the one that was silent for longest. `false` if there is
    /// none.
    fn evict_peer(&mut self) -> bool {
        let matters = |peer: &Peer| peer.is_proven && peer.stage != Stage::Dead;
        let others = self.peers.iter().filter(|(_, peer)| !matters(peer));
        let least = others.min_by_key(|(_, peer)| (peer.is_proven, peer.spoke)).map(|(node, _)| *node);
        least.into_iter().for_each(|node| self.forget(node));
        least.is_some()
    }
}

impl ForgottenPeers {
    /// Those that have left in order.
    pub(super) fn left(&self) -> impl Iterator<Item = NodeId> {
        self.peers.iter().filter(|(_, forgotten)| forgotten.has_left).map(|(node, _)| *node)
    }

    fn add(&mut self, node: NodeId, forgotten: Forgotten) {
        if self.peers.insert(node, forgotten).is_none() {
            self.order.push_back(node);
        }
        if self.order.len() > MAX_FORGOTTEN
            && let Some(oldest) = self.order.pop_front()
        {
            self.peers.remove(&oldest);
        }
    }

    fn take(&mut self, node: NodeId) -> Option<u64> {
        let number = self.peers.remove(&node)?.last;
        self.order.retain(|other| *other != node);
        Some(number)
    }
}

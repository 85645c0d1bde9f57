//! What happens as time passes: heartbeats, requests, deaths.

use std::time::Duration;

use super::Core;
use crate::{
    coalescer::Due,
    codec::MINOR,
    detector::Inbound,
    frame::{Beat, Gap, Readiness, Unnumbered},
    peer::{CATCH_UP_AFTER, Peer, Stage},
    room::NodeId,
    snapshot::ASK_AGAIN,
    subject::Subject,
};

/// The interval of heartbeats.
pub(super) const BEAT: Duration = Duration::from_secs(1);

/// How long a new node listens before it can be ready.
const LISTEN: Duration = Duration::from_millis(2500);

/// Frames that are republished per tick after a reconnect, at most, and their bytes: more than can come in that time, or
/// the backlog would never end.
const REPUBLISHED_FRAMES: usize = 8192;
const REPUBLISHED_BYTES: usize = 4 << 20;

/// Gaps in one request at most.
const GAPS_PER_REQUEST: usize = 256;

/// Gaps that are given up in one step at most.
const GAPS_GIVEN_UP: usize = 64;

/// How long what follows a gap is held back for a silent peer, which may return and fill it; longer where its ring keeps
/// frames for longer.
const SILENT_PEER_GRACE: Duration = Duration::from_secs(30);

/// How long a dead peer is remembered at least.
const DEAD_PEER_RETENTION: Duration = Duration::from_secs(120);

/// By how much that exceeds the age of a ring's frames at least, so that a peer is remembered for longer than its gaps.
const BEYOND_RETENTION: Duration = Duration::from_secs(10);

/// The interval of expiry sweeps.
const SWEEP: Duration = Duration::from_secs(1);

impl Core {
    /// Peers may have published while we were disconnected.
    pub(super) fn connect(&mut self) {
        self.outgoing.connect();
        self.detector.connect(self.now.up);
        self.next_beat = self.now.up;
        self.catch_up();
    }

    pub(super) fn disconnect(&mut self) {
        self.outgoing.disconnect();
        self.detector.disconnect();
        self.pass_barriers();
    }

    pub(super) fn tick(&mut self, inbound: Inbound) {
        if self.detector.tick(self.now.up) {
            self.catch_up();
        }
        if self.now.up >= self.next_sweep {
            self.next_sweep = self.now.up + SWEEP;
            self.sweep();
            self.give_up();
        }
        self.mark_stored();
        self.continue_work();
        self.flush_claims();
        if self.coalescer.tick(self.now.up) == Due::Now {
            self.flush();
        }
        if self.is_connected() {
            self.republish();
            self.expire_peers(inbound);
            self.ask();
            self.become_ready();
            self.announce_number();
            if self.now.up >= self.next_beat {
                self.beat();
            } else if self.outgoing.has_more_heads() {
                self.announce_heads();
            }
        } else {
            self.pass_barriers();
        }
        self.announcements.give_up_visits(self.now.up);
        self.act_on_transitions();
    }

    /// Continues what is too much for one step.
    pub(super) fn continue_work(&mut self) {
        if self.view.is_updating() {
            let differences = self.view.continue_work();
            self.report(differences);
        }
        if let Some(node) = self.behind.pop_first()
            && let Some(peer) = self.peers.get_mut(&node)
        {
            let bodies = peer.sequencer.next_released(self.now.up);
            self.take_released(node, bodies);
        }
        self.open_some();
        self.view.clear_away();
        self.claims.clear_away();
        self.drop_retired();
        self.compare_some();
    }

    /// Whether something was too much for one step.
    pub fn is_behind(&self) -> bool {
        let is_clearing = !self.retired.is_empty();
        let is_opening = !self.opening.is_empty();
        self.view.is_behind()
            || self.claims.is_behind()
            || !self.behind.is_empty()
            || is_clearing
            || is_opening
            || self.comparing.is_some()
    }

    pub(super) fn beat(&mut self) {
        self.flush();
        self.next_beat = self.now.up + BEAT;
        self.beats += 1;
        let (bucket, cached) = self.cached_hash();
        let seen = self.peers.iter().filter_map(|(node, peer)| Some((*node, peer.followed()?))).collect();
        let beat = Beat {
            count: self.beats,
            readiness: self.readiness,
            state: self.outgoing.state(),
            facts: self.view.hash(self.settings.node),
            bucket,
            cached,
            generations: self.announcements.hash(),
            seen,
            version: self.settings.version.clone(),
            minor: MINOR,
            claims: self.claims.hash(self.settings.node),
        };
        self.outgoing.beat(self.beats, self.now.up);
        self.send(Subject::State, Unnumbered::Beat(beat));
        if self.readiness == Readiness::Leaving {
            self.send(Subject::State, Unnumbered::Bye { hold: self.hold });
        }
        self.announce_heads();
    }

    fn announce_heads(&mut self) {
        if !self.outgoing.is_current() {
            return;
        }
        let heads = self.outgoing.due_heads(self.now.up);
        if !heads.is_empty() {
            self.send(Subject::State, Unnumbered::Heads(heads));
        }
    }

    fn catch_up(&mut self) {
        self.announcements.disturb(self.now.up);
        for peer in self.peers.values_mut() {
            peer.sequencer.resume(self.now.up);
            if peer.stage != Stage::Dead || !peer.has_left() {
                peer.ask_heads = Some(self.now.up);
            }
            // A node that was disconnected may have missed announcements; it decides nothing until the answers are in.
            peer.want_records(self.now.up);
        }
    }

    /// Announces our last number, if only some nodes received it: a node that begins to follow a room begins there, and
    /// does not request what was published before.
    fn announce_number(&mut self) {
        if self.outgoing.last() > self.announced && self.outgoing.is_current() {
            self.announced = self.outgoing.last();
            self.send(Subject::State, Unnumbered::Heads(Vec::new()));
        }
    }

    fn republish(&mut self) {
        for frame in self.outgoing.republish(REPUBLISHED_FRAMES, REPUBLISHED_BYTES) {
            self.counters.republished += 1;
            self.publish(frame);
        }
    }

    /// Marks peers as dead that were silent for too long.
    fn expire_peers(&mut self, inbound: Inbound) {
        let may_die = |stage| stage != Stage::Dead;
        let dead: Vec<NodeId> = self
            .peers
            .iter()
            .filter(|(_, peer)| may_die(peer.stage) && self.detector.is_dead(&peer.liveness, inbound, self.now.up))
            .map(|(node, _)| *node)
            .collect();
        dead.into_iter().for_each(|node| self.expire_peer(node));
    }

    fn expire_peer(&mut self, node: NodeId) {
        // Even one that never sent its facts is remembered: if it were met anew, its frames would be received twice.
        if let Some(peer) = self.peers.get_mut(&node) {
            peer.stage = Stage::Dead;
            self.counters.deaths += 1;
        }
        self.want_stored(node);
        let differences = self.view.hide(node);
        self.report(differences);
        self.ask_all_for_records();
    }

    /// Asks peers for what is missing.
    fn ask(&mut self) {
        let living = self.peers.iter().filter(|(_, peer)| peer.stage != Stage::Dead);
        let living: Vec<NodeId> = living.map(|(node, _)| *node).collect();
        living.into_iter().for_each(|node| self.ask_one(node));
        self.repeat_barriers();
    }

    pub(super) fn ask_one(&mut self, node: NodeId) {
        let now = self.now.up;
        let Some(peer) = self.peers.get_mut(&node).filter(|_| self.detector.connected_since().is_some()) else {
            return;
        };
        let gaps = peer.sequencer.asks(now);
        self.counters.gaps += peer.sequencer.take_noticed();
        self.counters.asked += gaps.len() as u64;
        let mut questions: Vec<Unnumbered> =
            gaps.chunks(GAPS_PER_REQUEST).map(|gaps| Unnumbered::AskResend(gaps.to_vec())).collect();
        let snapshot = peer.snapshot.as_mut().and_then(|fetch| fetch.ask(now));
        questions.extend(snapshot.map(|after| Unnumbered::AskSnapshot { after }));
        questions.extend(peer.claims.ask(now));
        questions.extend(peer.records.as_mut().and_then(|fetch| fetch.ask(now)));
        if peer.ask_heads.is_some_and(|at| at <= now) {
            peer.ask_heads = Some(now + ASK_AGAIN);
            questions.push(Unnumbered::AskHeads);
        }
        questions.into_iter().for_each(|body| self.send(Subject::Node(node), body));
    }

    /// Gives up the gaps that were not filled in time, and those that appear behind them.
    fn give_up(&mut self) {
        let mut most = GAPS_GIVEN_UP;
        while most > 0 && self.is_connected() {
            let gaps = self.given_up(most);
            if gaps.is_empty() {
                return;
            }
            most -= gaps.len();
            gaps.into_iter().for_each(|(node, gap)| self.mark_lost(node, gap, None));
        }
    }

    fn given_up(&self, most: usize) -> Vec<(NodeId, Gap)> {
        let (now, retention) = (self.now.up, self.settings.retention.age);
        let of_peer = |(node, peer): (&NodeId, &Peer)| {
            let gaps = if now.saturating_sub(peer.liveness.last_beat()) <= CATCH_UP_AFTER {
                peer.sequencer.overdue(now)
            } else if now.saturating_sub(peer.spoke) <= SILENT_PEER_GRACE.max(retention) {
                // It may return and answer, or is about to: its first word may come before its first beat.
                Vec::new()
            } else {
                peer.sequencer.all_gaps()
            };
            let node = *node;
            gaps.into_iter().map(move |gap| (node, gap))
        };
        self.peers.iter().flat_map(of_peer).take(most).collect()
    }

    fn become_ready(&mut self) {
        let has_listened =
            self.detector.connected_since().is_some_and(|since| self.now.up.saturating_sub(since) >= LISTEN);
        let knows_all = !self.peers.values().any(Peer::is_unread);
        if self.is_learning() && has_listened && knows_all && !self.view.is_updating() {
            self.readiness = Readiness::Ready;
        }
    }

    fn sweep(&mut self) {
        self.outgoing.expire(self.now.up);
        self.cache.expire(self.wall());
        self.claims.expire(self.now.up);
        self.unsubscribe_unwanted();
        let remembered = DEAD_PEER_RETENTION.max(self.settings.retention.age + BEYOND_RETENTION);
        let is_forgotten = |last_beat: Duration| self.now.up.saturating_sub(last_beat) > remembered;
        let dead =
            self.peers.iter().filter(|(_, peer)| peer.stage == Stage::Dead && is_forgotten(peer.liveness.last_beat()));
        let dead: Vec<NodeId> = dead.map(|(node, _)| *node).collect();
        dead.into_iter().for_each(|node| self.forget(node));
    }
}

//! What passing time asks for: beats, questions, deaths.

use std::time::Duration;

use super::Core;
use crate::{
    detector::Inbound,
    frame::{Beat, Body, Hole, Readiness},
    peer::{GAP, Peer, Stage},
    room::NodeId,
    snapshot::ASK_AGAIN,
    subject::Subject,
    untold::Due,
};

/// The distance of beats.
const BEAT: Duration = Duration::from_secs(1);

/// How long a new node listens before it takes itself to know who is there.
const LISTEN: Duration = Duration::from_millis(2500);

/// Frames that go out again at one tick after a reconnect, at most, and bytes: faster than anybody publishes, or what
/// waits would never come to its end.
const PACE: usize = 8192;
const PACE_BYTES: usize = 4 << 20;

/// Holes in one question.
const HOLES: usize = 256;

/// Holes that are given up in one step at most.
const HOLES_GIVEN_UP: usize = 64;

/// How long what follows a hole is held back at least for a silent peer that may return and fill it; at most for as long
/// as its ring may reach back.
const WAIT: Duration = Duration::from_secs(30);

/// How long a dead peer is remembered for its return at least; always for longer than its holes are.
const REMEMBER: Duration = Duration::from_secs(120);
const REMEMBER_LONGER: Duration = Duration::from_secs(10);

/// The distance of looks at what has become too old.
const SWEEP: Duration = Duration::from_secs(1);

impl Core {
    /// Everybody may have spoken while we were away.
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
        self.go_on();
        if self.untold.tick(self.now.up) == Due::Now {
            self.flush();
        }
        if self.is_connected() {
            self.pump();
            self.bury(inbound);
            self.ask();
            self.become_ready();
            self.tell_number();
            if self.now.up >= self.next_beat {
                self.beat();
            } else if self.outgoing.owes_tails() {
                self.tell_tails();
            }
        } else {
            self.pass_barriers();
        }
        self.announcements.give_up_visits(self.now.up);
        self.act_on_edges();
    }

    /// Does a part of what is too much for one step.
    pub(super) fn go_on(&mut self) {
        if self.view.is_turning() {
            let differences = self.view.go_on();
            self.tell(differences);
        }
        if let Some(node) = self.behind.pop_first()
            && let Some(peer) = self.peers.get_mut(&node)
        {
            let bodies = peer.lane.next_freed(self.now.up);
            self.take_freed(node, bodies);
        }
        self.open_some();
        self.view.clear_away();
        self.clear_away_lanes();
        self.compare_some();
    }

    /// Whether something was too much for one step.
    pub fn is_behind(&self) -> bool {
        let is_clearing = !self.debris.is_empty();
        let is_opening = !self.opening.is_empty();
        self.view.is_behind() || !self.behind.is_empty() || is_clearing || is_opening || self.comparing.is_some()
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
        };
        self.outgoing.beat(self.beats, self.now.up);
        self.say(Subject::State, Body::Beat(beat));
        if self.readiness == Readiness::Leaving {
            self.say(Subject::State, Body::Bye { hold: self.hold });
        }
        self.tell_tails();
    }

    fn tell_tails(&mut self) {
        if !self.outgoing.is_current() {
            return;
        }
        let tails = self.outgoing.due_tails(self.now.up);
        if !tails.is_empty() {
            self.say(Subject::State, Body::Tails(tails));
        }
    }

    fn catch_up(&mut self) {
        self.announcements.disturb(self.now.up);
        for peer in self.peers.values_mut() {
            peer.lane.resume(self.now.up);
            peer.ask_tails = Some(self.now.up);
            // Who was away may have missed what was announced; until the answers are in, it does not speak.
            peer.want_records(self.now.up);
        }
    }

    /// Says what number we have come to, if only some nodes heard it: a node that begins to listen to a room begins
    /// there, and has nothing sent again that was said before.
    fn tell_number(&mut self) {
        if self.outgoing.last() > self.told && self.outgoing.is_current() {
            self.told = self.outgoing.last();
            self.say(Subject::State, Body::Tails(Vec::new()));
        }
    }

    fn pump(&mut self) {
        for post in self.outgoing.pump(PACE, PACE_BYTES) {
            self.counters.republished += 1;
            self.post(post);
        }
    }

    /// Takes away those who were silent for too long.
    fn bury(&mut self, inbound: Inbound) {
        let may_die = |stage| stage != Stage::Dead;
        let dead: Vec<NodeId> = self
            .peers
            .iter()
            .filter(|(_, peer)| may_die(peer.stage) && self.detector.is_dead(&peer.pulse, inbound, self.now.up))
            .map(|(node, _)| *node)
            .collect();
        dead.into_iter().for_each(|node| self.bury_one(node));
    }

    fn bury_one(&mut self, node: NodeId) {
        // Even one that never told its facts is remembered: were it met anew, what it said before would be heard twice.
        if let Some(peer) = self.peers.get_mut(&node) {
            peer.stage = Stage::Dead;
            self.counters.deaths += 1;
        }
        let differences = self.view.hide(node);
        self.tell(differences);
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
        let Some(peer) = self.peers.get_mut(&node).filter(|_| self.detector.hearing_since().is_some()) else { return };
        let holes = peer.lane.asks(now);
        self.counters.gaps += peer.lane.take_noticed();
        self.counters.asked += holes.len() as u64;
        let mut questions: Vec<Body> = holes.chunks(HOLES).map(|holes| Body::AskResend(holes.to_vec())).collect();
        questions.extend(peer.snapshot.as_mut().and_then(|assembly| assembly.ask(now)));
        questions.extend(peer.records.as_mut().and_then(|inquiry| inquiry.ask(now)));
        if peer.ask_tails.is_some_and(|at| at <= now) {
            peer.ask_tails = Some(now + ASK_AGAIN);
            questions.push(Body::AskTails);
        }
        questions.into_iter().for_each(|body| self.say(Subject::Node(node), body));
    }

    /// Declares the holes that were not filled in time, and those that appear behind them.
    fn give_up(&mut self) {
        let mut most = HOLES_GIVEN_UP;
        while most > 0 && self.is_connected() {
            let holes = self.given_up(most);
            if holes.is_empty() {
                return;
            }
            most -= holes.len();
            holes.into_iter().for_each(|(node, hole)| self.lose(node, hole, None));
        }
    }

    fn given_up(&self, most: usize) -> Vec<(NodeId, Hole)> {
        let (now, reach) = (self.now.up, self.settings.reach.age);
        let of_peer = |(node, peer): (&NodeId, &Peer)| {
            let holes = if now.saturating_sub(peer.pulse.heard()) <= GAP {
                peer.lane.overdue(now)
            } else if now.saturating_sub(peer.spoke) <= WAIT.max(reach) {
                // It may return and answer, or is about to: its first word may come before its first beat.
                Vec::new()
            } else {
                peer.lane.hopeless()
            };
            let node = *node;
            holes.into_iter().map(move |hole| (node, hole))
        };
        self.peers.iter().flat_map(of_peer).take(most).collect()
    }

    fn become_ready(&mut self) {
        let has_listened =
            self.detector.hearing_since().is_some_and(|since| self.now.up.saturating_sub(since) >= LISTEN);
        let knows_all = !self.peers.values().any(Peer::is_unread);
        if self.is_learning() && has_listened && knows_all && !self.view.is_turning() {
            self.readiness = Readiness::Ready;
        }
    }

    fn sweep(&mut self) {
        self.outgoing.expire(self.now.up);
        self.cache.expire(self.wall());
        self.end_services();
        let remembered = REMEMBER.max(self.settings.reach.age + REMEMBER_LONGER);
        let is_forgotten = |heard: Duration| self.now.up.saturating_sub(heard) > remembered;
        let dead = self.peers.iter().filter(|(_, peer)| peer.stage == Stage::Dead && is_forgotten(peer.pulse.heard()));
        let dead: Vec<NodeId> = dead.map(|(node, _)| *node).collect();
        dead.into_iter().for_each(|node| self.forget(node));
    }
}

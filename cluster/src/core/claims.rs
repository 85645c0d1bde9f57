//! Which node has which page: what this node tells the others of its pages, and what it hears of theirs.

use std::{collections::BTreeMap, time::Duration};

use super::{
    Core, Moment, Output,
    own::{FACTS_FRAME, chunk, page},
    peers::BEAT,
};
use crate::{
    claims::{Applied, Found, MAX_CLAIMS},
    codec::{CLAIM, LOST_CLAIM},
    detector::STOPPED,
    frame::{Beat, LostClaimsPage, Numbered, SnapshotPage, Stream, Unnumbered},
    page::{Claim, LastSeen, PageChange, PageClaim, PageHash, PageWhere, Standing},
    peer::{Peer, Stage},
    room::NodeId,
    subject::Subject,
};

/// Silence after which a peer may be dead: a heartbeat was lost.
const SILENT: Duration = Duration::from_millis(1500);

/// Claims of this node that wait at most; usually they go with the next tick.
const MAX_PENDING: usize = 4096;

impl Core {
    /// Where a page is, as far as this node knows.
    pub fn page(&self, page: PageHash) -> PageWhere {
        let now = self.now.up;
        let Some(Found { node, claim, lost_for }) = self.claims.find(page, now) else { return PageWhere::Unknown };
        let seen = |silent_for| LastSeen { silent_for, standing: claim.standing() };
        match (lost_for, self.peers.get(&node)) {
            (Some(silent_for), _) => PageWhere::Lost(seen(silent_for)),
            (None, Some(peer)) => {
                let seen = seen(self.steady_silence(peer));
                if peer.stage == Stage::Dead { PageWhere::Lost(seen) } else { PageWhere::On(node, seen) }
            }
            // This node's own.
            (None, None) => PageWhere::On(node, seen(Duration::ZERO)),
        }
    }

    /// All pages that a node has, as far as this node knows.
    pub fn claims(&self, node: NodeId) -> impl Iterator<Item = PageClaim> {
        self.claims.after(node, None)
    }

    /// For how long all pages that came to any node are known here: since this node runs, or a peer that has said what it has
    /// and what it remembers, and since the last sign of life of a node that has gone silent without a word. Not at all
    /// while this node is cut off or has only begun to listen, or lacks what a peer has said.
    pub fn pages_known_for(&self) -> Duration {
        let is_cut_off = !self.is_connected() && !self.peers.is_empty();
        if is_cut_off || self.is_listening() || self.peers.values().any(lacks_claims) {
            return Duration::ZERO;
        }
        let knowing = self.peers.values().filter(|peer| peer.stage != Stage::Dead && peer.claims.is_settled());
        let known_for = knowing.map(|peer| BEAT * peer.beats()).max().unwrap_or_default().max(self.now.up);
        let unknown = self.peers.values().filter(|peer| !(peer.has_left() && knows_claims(peer)));
        let silent = unknown.map(|peer| self.silence(peer)).filter(|silence| *silence > SILENT).min();
        silent.map_or(known_for, |silent| silent.min(known_for))
    }

    /// For how long this node has heard all nodes that it knows: what one of them had published before, it may have missed.
    pub fn heard_for(&self) -> Duration {
        let met = self.peers.values().map(|peer| self.now.up.saturating_sub(peer.met));
        met.min().map_or(self.now.up, |since| since.min(self.now.up))
    }

    /// Whether there may be nodes of which this one has not heard yet.
    fn is_listening(&self) -> bool {
        self.is_learning() && !self.is_alone()
    }

    /// How long ago a peer gave its last sign of life, at least.
    pub(super) fn silence(&self, peer: &Peer) -> Duration {
        self.now.up.saturating_sub(peer.last_sign)
    }

    /// The same, and surely was not behind with what it had missed.
    pub(super) fn steady_silence(&self, peer: &Peer) -> Duration {
        self.now.up.saturating_sub(peer.steady_sign)
    }

    /// How old what is read now may be: after this node was stopped, as old as that was long.
    pub(super) fn unread_for(&self) -> Duration {
        let latest = self.stopped.filter(|(end, _)| self.now.up.saturating_sub(*end) <= SILENT);
        latest.map(|(_, length)| length).unwrap_or_default()
    }

    /// Takes the time. Ticks come so often that after a longer pause this node was stopped.
    pub(super) fn note_time(&mut self, now: Moment) {
        let pause = now.up.saturating_sub(self.now.up);
        if pause > STOPPED {
            self.stopped = Some((now.up, pause));
        }
        self.now = now;
    }

    /// How many pages a node has.
    pub fn pages_of(&self, node: NodeId) -> usize {
        self.claims.count(node)
    }

    pub(super) fn change_page(&mut self, page: PageHash, change: PageChange) {
        let own = self.settings.node;
        let known = self.claims.of(own, page);
        let claim = match change {
            PageChange::Came => Some(Claim::new(self.next_since(page), Standing::UpToDate)),
            PageChange::Stands(standing) => known.map(|claim| claim.with(standing)),
            PageChange::Gone => None,
        };
        let is_too_many = known.is_none() && self.claims.count(own) >= MAX_CLAIMS;
        if claim == known || is_too_many {
            return;
        }
        self.claims.set(own, &PageClaim { page, claim });
        self.unsaid.insert(page);
        if self.unsaid.len() >= MAX_PENDING {
            self.flush_claims();
        }
    }

    /// Publishes what changed of this node's claims.
    pub(super) fn flush_claims(&mut self) {
        let own = self.settings.node;
        let pages = std::mem::take(&mut self.unsaid).into_iter();
        let claims: Vec<PageClaim> = pages.map(|page| PageClaim { page, claim: self.claims.of(own, page) }).collect();
        let mut claims = claims.into_iter().peekable();
        while claims.peek().is_some() {
            let claims = chunk(&mut claims, |_| CLAIM, self.settings.page.min(FACTS_FRAME));
            self.publish_numbered(Stream::STATE, Subject::State, Numbered::Claims(claims));
        }
    }

    pub(super) fn take_claims(&mut self, origin: NodeId, claims: Vec<PageClaim>) {
        let Some(peer) = self.peers.get_mut(&origin) else { return };
        peer.claims.note(&claims, peer.sequencer.last_released(Stream::STATE), self.now.up);
        for claim in claims {
            self.claims.set(origin, &claim);
            self.compare_claims_of(origin, &claim);
        }
    }

    pub(super) fn compare_claims(&mut self, origin: NodeId, beat: &Beat) {
        let (ours, now) = (self.claims.hash(origin), self.now.up);
        let Some(peer) = self.peers.get_mut(&origin).filter(|peer| peer.has_claims()) else { return };
        peer.claims.begin(now);
        if peer.claims.known_at(peer.sequencer.last_released(Stream::STATE)) == Some(beat.state) && ours != beat.claims
        {
            self.counters.mismatches += 1;
            peer.claims.want(beat.state, now);
        }
    }

    /// Answers a peer that asks for our claims.
    pub(super) fn send_claims(&mut self, subject: Subject, after: Option<PageHash>) {
        self.flush();
        let (facts, rest) = page(self.claims.after(self.settings.node, after), |_| CLAIM, self.settings.page);
        let part = SnapshotPage { state: self.outgoing.state(), after, rest, facts };
        self.send(subject, Unnumbered::Claims(part));
    }

    /// Answers a peer that asks what we remember of dead nodes, also of those that are about to be: it may never have met
    /// them. If one lives after all, it will.
    pub(super) fn send_lost_claims(&mut self, subject: Subject, after: Option<(NodeId, PageHash)>) {
        let now = self.now.up;
        let silent = self.peers.iter().filter(|(_, peer)| self.silence(peer) > SILENT);
        let silent: BTreeMap<NodeId, Duration> =
            silent.map(|(node, peer)| (*node, self.steady_silence(peer))).collect();
        let (claims, rest) = page(self.claims.lost_after(&silent, after, now), |_| LOST_CLAIM, self.settings.page);
        self.send(subject, Unnumbered::LostClaims(LostClaimsPage { after, rest, claims }));
    }

    pub(super) fn receive_claims(&mut self, origin: NodeId, part: SnapshotPage<PageClaim>) {
        let fetch = self.peers.get_mut(&origin).and_then(|peer| peer.claims.snapshot_mut());
        fetch.into_iter().for_each(|fetch| fetch.take(part.clone()));
        self.place_claims(origin);
    }

    /// Applies a part of a peer's snapshot once the frames that it covers were received.
    pub(super) fn place_claims(&mut self, origin: NodeId) {
        let now = self.now.up;
        let Some(peer) = self.peers.get_mut(&origin) else { return };
        let Some((part, newer)) =
            peer.placeable_claims(now).and_then(|fetch| Some((fetch.page()?.clone(), fetch.newer().clone())))
        else {
            return;
        };
        match self.claims.replace(origin, &part, &newer) {
            Applied::Part => _ = self.behind.insert(origin),
            Applied::Whole => {
                peer.claims.finish_page(peer.sequencer.last_released(Stream::STATE), now);
                part.facts.iter().for_each(|claim| self.compare_claims_of(origin, claim));
                self.ask_one(origin);
            }
        }
    }

    /// What this node knows of a peer itself is better.
    pub(super) fn receive_lost_claims(&mut self, origin: NodeId, part: &LostClaimsPage) {
        let (now, unread_for) = (self.now.up, self.unread_for());
        let Some(peer) = self.peers.get_mut(&origin) else { return };
        if !peer.claims.take_lost(part, now) {
            return;
        }
        let strangers =
            part.claims.iter().filter(|lost| lost.node != self.settings.node && !self.peers.contains_key(&lost.node));
        strangers.for_each(|lost| self.claims.learn_lost(lost, now.saturating_sub(unread_for)));
        self.ask_one(origin);
    }

    /// A page that another node has since later than this one is not here any more.
    fn compare_claims_of(&mut self, origin: NodeId, PageClaim { page, claim }: &PageClaim) {
        let (Some(theirs), Some(ours)) = (claim, self.claims.of(self.settings.node, *page)) else { return };
        if (theirs.since(), origin) > (ours.since(), self.settings.node) {
            self.outputs.push(Output::PageTaken(*page));
        }
    }

    /// A claim that is newer than all that are known of the page, whatever the clocks of the others say.
    fn next_since(&self, page: PageHash) -> u64 {
        let newest = self.claims.find(page, self.now.up).map_or(0, |found| found.claim.since());
        (self.wall() / 1000).max(newest + 1)
    }
}

/// Whether a peer that lives may have said of pages what is not known here yet.
fn lacks_claims(peer: &Peer) -> bool {
    peer.is_unread() || (peer.stage != Stage::Dead && peer.has_claims() && !knows_claims(peer))
}

/// Whether all is known that a peer has said of pages, as far as that is known.
fn knows_claims(peer: &Peer) -> bool {
    peer.claims.known_at(0).is_some() && !peer.sequencer.lacks(Stream::STATE)
}

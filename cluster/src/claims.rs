//! Which node has which page, and which pages dead nodes had. A page costs its hash and eight bytes with each node that
//! claims it, and nothing else: the nodes that may have it are few enough to be asked one by one.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Bound,
    time::Duration,
};

use crate::{
    codec::claim_hash,
    frame::{Rest, SnapshotPage},
    page::{Claim, LostClaim, PageClaim, PageHash},
    room::NodeId,
};

/// Pages of one node at most; what it claims beyond is not known to others.
pub const MAX_CLAIMS: usize = 1 << 20;

/// Pages of all dead nodes that are remembered at most. The node that died first is forgotten first, as a whole.
const MAX_LOST: usize = 1 << 20;

/// How long the pages of a node are remembered after its last sign of life.
pub const LOST_KEPT: Duration = Duration::from_secs(600);

#[derive(Debug)]
pub struct Claims {
    slices: BTreeMap<NodeId, Slice>,
    lost: BTreeMap<NodeId, LostSlice>,
    /// Pages that are forgotten, which are dropped a few at a time.
    retired: Vec<BTreeMap<PageHash, Claim>>,
    pace: usize,
    max_lost: usize,
}

/// The pages of a node that is known.
#[derive(Debug, Default)]
struct Slice {
    claims: BTreeMap<PageHash, Claim>,
    hash: u64,
}

/// The pages of a node that is gone.
#[derive(Debug)]
struct LostSlice {
    claims: BTreeMap<PageHash, Claim>,
    /// When it is forgotten; so long after its last sign of life as [`LOST_KEPT`].
    ends: Duration,
}

/// Who has a page, by the newest claim.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Found {
    pub node: NodeId,
    pub claim: Claim,
    /// How long ago the node gave its last sign of life, if it is gone.
    pub lost_for: Option<Duration>,
}

/// How far a page of a snapshot is applied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Applied {
    /// Claims that it does not have went, and more of them are left.
    Part,
    Whole,
}

impl Claims {
    /// Nobody has a page. Not more than `pace` claims are dropped at once.
    pub fn new(pace: usize) -> Self {
        Self { slices: BTreeMap::new(), lost: BTreeMap::new(), retired: Vec::new(), pace, max_lost: MAX_LOST }
    }

    /// Takes what a node says of a page.
    pub fn set(&mut self, node: NodeId, claim: &PageClaim) {
        self.revive(node);
        self.slices.entry(node).or_default().set(claim);
    }

    /// Replaces a node's claims about the pages of a part of a snapshot, except those with `newer` claims. Where many are
    /// to go, only some of them go at once, and nothing else is done.
    pub fn replace(&mut self, node: NodeId, part: &SnapshotPage<PageClaim>, newer: &BTreeSet<PageHash>) -> Applied {
        self.revive(node);
        let pages: Vec<PageHash> = part.facts.iter().map(|claim| claim.page).collect();
        let from = part.after.map_or(Bound::Unbounded, Bound::Excluded);
        let through =
            pages.last().filter(|_| part.rest == Rest::More).map_or(Bound::Unbounded, |last| Bound::Included(*last));
        let old = self.slices.get(&node).into_iter().flat_map(|slice| slice.claims.range((from, through)));
        let gone = old.filter(|(page, _)| pages.binary_search(page).is_err() && !newer.contains(page));
        let gone: Vec<PageHash> = gone.take(self.pace).map(|(page, _)| *page).collect();
        gone.iter().for_each(|page| self.set(node, &PageClaim { page: *page, claim: None }));
        if gone.len() == self.pace {
            return Applied::Part;
        }
        part.facts.iter().filter(|claim| !newer.contains(&claim.page)).for_each(|claim| self.set(node, claim));
        Applied::Whole
    }

    /// A node's claim of a page.
    pub fn of(&self, node: NodeId, page: PageHash) -> Option<Claim> {
        self.slices.get(&node)?.claims.get(&page).copied()
    }

    /// How many pages a node has.
    pub fn count(&self, node: NodeId) -> usize {
        self.slices.get(&node).map_or(0, |slice| slice.claims.len())
    }

    /// The hash of a node's claims.
    pub fn hash(&self, node: NodeId) -> u64 {
        self.slices.get(&node).map_or(0, |slice| slice.hash)
    }

    /// A node's claims after a page, ordered.
    pub fn after(&self, node: NodeId, after: Option<PageHash>) -> impl Iterator<Item = PageClaim> {
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        let claims =
            self.slices.get(&node).into_iter().flat_map(move |slice| slice.claims.range((from, Bound::Unbounded)));
        claims.map(|(page, claim)| PageClaim { page: *page, claim: Some(*claim) })
    }

    /// Who has a page: the newest claim, and of two that are equally new that of the higher node id.
    pub fn find(&self, page: PageHash, now: Duration) -> Option<Found> {
        let known = self
            .slices
            .iter()
            .filter_map(|(node, slice)| Some(Found { node: *node, claim: *slice.claims.get(&page)?, lost_for: None }));
        let lost = self.lost.iter().filter_map(|(node, slice)| {
            Some(Found { node: *node, claim: *slice.claims.get(&page)?, lost_for: Some(slice.silent_for(now)) })
        });
        known.chain(lost).max_by_key(|found| (found.claim.since(), found.node))
    }

    /// A node is not known any longer. If its claims were its own, they are remembered as those of a dead node.
    pub fn forget(&mut self, node: NodeId, last_beat: Option<Duration>) {
        let Some(Slice { claims, .. }) = self.slices.remove(&node) else { return };
        match last_beat {
            Some(last_beat) if !claims.is_empty() => {
                self.lost.insert(node, LostSlice { claims, ends: last_beat + LOST_KEPT });
                self.make_room();
            }
            Some(_) | None => self.retired.push(claims),
        }
    }

    /// Takes what another node remembers of one that is not known here.
    pub fn learn_lost(&mut self, lost: &LostClaim, now: Duration) {
        let Some(left) = LOST_KEPT.checked_sub(lost.silent_for) else { return };
        let ends = now + left;
        let slice = self.lost.entry(lost.node).or_insert_with(|| LostSlice { claims: BTreeMap::new(), ends });
        slice.ends = slice.ends.max(ends);
        slice.claims.insert(lost.page, lost.claim);
        self.make_room();
    }

    /// The claims of dead nodes after one, ordered by node and page. `silent` are those that are still known as peers, with
    /// how long ago they gave their last sign of life.
    pub fn lost_after(
        &self,
        silent: &BTreeMap<NodeId, Duration>,
        after: Option<(NodeId, PageHash)>,
        now: Duration,
    ) -> impl Iterator<Item = LostClaim> {
        let first = after.map_or(NodeId::from_bits(0), |(node, _)| node);
        let silent =
            silent.range(first..).filter_map(|(node, silent)| Some((*node, (&self.slices.get(node)?.claims, *silent))));
        let lost = self.lost.range(first..).map(|(node, slice)| (*node, (&slice.claims, slice.silent_for(now))));
        let nodes: BTreeMap<NodeId, (&BTreeMap<PageHash, Claim>, Duration)> = silent.chain(lost).collect();
        nodes.into_iter().flat_map(move |(node, (claims, silent_for))| {
            let from = match after {
                Some((last, page)) if last == node => Bound::Excluded(page),
                Some(_) | None => Bound::Unbounded,
            };
            let claims = claims.range((from, Bound::Unbounded));
            claims.map(move |(page, claim)| LostClaim { node, page: *page, claim: *claim, silent_for })
        })
    }

    /// Forgets dead nodes whose time is over.
    pub fn expire(&mut self, now: Duration) {
        let ended = self.lost.extract_if(.., |_, slice| slice.ends <= now);
        self.retired.extend(ended.map(|(_, slice)| slice.claims));
    }

    /// Drops the next claims that are forgotten: dropping a million at once would block everything else.
    pub fn clear_away(&mut self) {
        for _ in 0..self.pace {
            let Some(claims) = self.retired.last_mut() else { return };
            if claims.pop_first().is_none() {
                self.retired.pop();
            }
        }
    }

    /// Whether there is more to drop.
    pub fn is_behind(&self) -> bool {
        !self.retired.is_empty()
    }

    /// A node lives: it says itself what it has.
    fn revive(&mut self, node: NodeId) {
        self.retired.extend(self.lost.remove(&node).map(|lost| lost.claims));
    }

    fn make_room(&mut self) {
        while self.lost.values().map(|slice| slice.claims.len()).sum::<usize>() > self.max_lost {
            let oldest = self.lost.iter().min_by_key(|(_, slice)| slice.ends).map(|(node, _)| *node);
            let Some(slice) = oldest.and_then(|node| self.lost.remove(&node)) else { return };
            self.retired.push(slice.claims);
        }
    }
}

impl Slice {
    fn set(&mut self, PageClaim { page, claim }: &PageClaim) {
        let old = match claim {
            Some(_) if self.claims.len() >= MAX_CLAIMS && !self.claims.contains_key(page) => return,
            Some(claim) => self.claims.insert(*page, *claim),
            None => self.claims.remove(page),
        };
        let hash = |claim: Option<Claim>| claim.map_or(0, |_| claim_hash(&PageClaim { page: *page, claim }));
        self.hash = self.hash.wrapping_sub(hash(old)).wrapping_add(hash(*claim));
    }
}

impl LostSlice {
    fn silent_for(&self, now: Duration) -> Duration {
        (now + LOST_KEPT).saturating_sub(self.ends)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::page::Standing;

    const A: NodeId = NodeId::from_bits(1);
    const B: NodeId = NodeId::from_bits(2);
    const NOW: Duration = Duration::from_secs(1_000);

    fn page(number: u8) -> PageHash {
        PageHash([number; 16])
    }

    fn claim(number: u8, since: u64) -> PageClaim {
        PageClaim { page: page(number), claim: Some(Claim::new(since, Standing::UpToDate)) }
    }

    fn lost(node: NodeId, number: u8, silent: u64) -> LostClaim {
        let claim = Claim::new(5, Standing::Owing);
        LostClaim { node, page: page(number), claim, silent_for: Duration::from_secs(silent) }
    }

    fn who(claims: &Claims, number: u8) -> Option<(NodeId, Option<Duration>)> {
        claims.find(page(number), NOW).map(|found| (found.node, found.lost_for))
    }

    #[test]
    fn the_newest_claim_wins_and_a_withdrawn_one_never() {
        let mut claims = Claims::new(10);
        assert_eq!(who(&claims, 7), None);
        claims.set(A, &claim(7, 20));
        claims.set(B, &claim(7, 10));
        assert_eq!(who(&claims, 7), Some((A, None)));
        claims.set(A, &PageClaim { page: page(7), claim: None });
        assert_eq!(who(&claims, 7), Some((B, None)));
        claims.set(B, &PageClaim { page: page(7), claim: None });
        assert_eq!((who(&claims, 7), claims.hash(A), claims.hash(B)), (None, 0, 0));
    }

    #[test]
    fn the_pages_of_a_dead_node_are_remembered_for_ten_minutes_after_its_last_sign_of_life() {
        let mut claims = Claims::new(10);
        claims.set(A, &claim(7, 20));
        claims.set(B, &claim(8, 20));
        claims.forget(A, Some(NOW - Duration::from_secs(130)));
        claims.forget(B, None);
        assert_eq!(who(&claims, 7), Some((A, Some(Duration::from_secs(130)))));
        assert_eq!(who(&claims, 8), None);
        claims.expire(NOW + Duration::from_secs(469));
        assert!(who(&claims, 7).is_some());
        claims.expire(NOW + Duration::from_secs(470));
        assert_eq!(who(&claims, 7), None);
        assert!(claims.is_behind());
        claims.clear_away();
        assert!(!claims.is_behind());
    }

    #[test]
    fn a_node_that_is_back_is_not_dead_any_more() {
        let mut claims = Claims::new(10);
        claims.learn_lost(&lost(A, 7, 100), NOW);
        assert_eq!(who(&claims, 7), Some((A, Some(Duration::from_secs(100)))));
        claims.set(A, &claim(8, 20));
        assert_eq!((who(&claims, 7), who(&claims, 8)), (None, Some((A, None))));
    }

    #[test]
    fn of_too_many_pages_those_of_the_node_that_died_first_go() {
        let mut claims = Claims { max_lost: 2, ..Claims::new(10) };
        claims.learn_lost(&lost(A, 7, 200), NOW);
        claims.learn_lost(&lost(B, 8, 100), NOW);
        assert!(who(&claims, 7).is_some());
        claims.learn_lost(&lost(B, 9, 100), NOW);
        assert_eq!((who(&claims, 7), who(&claims, 8).is_some(), who(&claims, 9).is_some()), (None, true, true));
        claims.learn_lost(&lost(A, 7, 600), NOW);
        claims.expire(NOW);
        assert_eq!(who(&claims, 7), None, "that is over");
    }

    #[test]
    fn what_is_remembered_is_listed_node_by_node_and_page_by_page() {
        let mut claims = Claims::new(10);
        [7, 8].into_iter().for_each(|number| claims.learn_lost(&lost(B, number, 100), NOW));
        claims.set(A, &claim(9, 20));
        let dead = BTreeMap::from([(A, Duration::from_secs(6))]);
        let listed = |after| -> Vec<_> {
            claims.lost_after(&dead, after, NOW).map(|lost| (lost.node, lost.page.0[0])).collect()
        };
        assert_eq!(listed(None), [(A, 9), (B, 7), (B, 8)]);
        assert_eq!(listed(Some((A, page(9)))), [(B, 7), (B, 8)]);
        assert_eq!(listed(Some((B, page(7)))), [(B, 8)]);
        assert_eq!(claims.lost_after(&BTreeMap::new(), None, NOW).count(), 2, "who lives has lost nothing");
    }

    #[test]
    fn a_snapshot_replaces_what_it_covers_but_what_is_newer() {
        let mut claims = Claims::new(2);
        (1..=6).for_each(|number| claims.set(A, &claim(number, 20)));
        let facts = vec![claim(2, 30), claim(5, 30)];
        let part = SnapshotPage { state: 1, after: Some(page(1)), rest: Rest::More, facts };
        let newer = BTreeSet::from([page(5)]);
        assert_eq!(claims.replace(A, &part, &newer), Applied::Part);
        assert_eq!(claims.replace(A, &part, &newer), Applied::Whole);
        let left: Vec<_> =
            claims.after(A, None).filter_map(|kept| Some((kept.page.0[0], kept.claim?.since()))).collect();
        assert_eq!(left, [(1, 20), (2, 30), (5, 20), (6, 20)]);
        let hash = left.iter().map(|(number, since)| claim_hash(&claim(*number, *since))).fold(0, u64::wrapping_add);
        assert_eq!(claims.hash(A), hash);
    }
}

//! Finds what the other nodes know of a page that arrives here: which node to ask, and what follows from its answer, or
//! from none. Pure.

use std::time::{Duration, Instant};

use bytes::Bytes;
use gaung_cluster::{
    NodeId,
    page::{LastSeen, PageWhere, Standing},
};

use super::{handed::HandedPage, messages::Finding};
use crate::{cluster::FoundPage, protocol::Since};

/// A node that has just given the page away says nothing; a moment later it is known which node has it.
const ONCE_MORE_AFTER: Duration = Duration::from_millis(150);

/// What became of a page that came from another node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Handover {
    /// The node has handed it over.
    HandedOver(NodeId),
    /// The node does not answer.
    Unanswered,
    /// The node is gone.
    Lost,
}

/// The search for one page.
#[derive(Debug)]
pub struct Search {
    own: NodeId,
    lookback: Duration,
    /// The node that was asked last, and how far the page had heard its channels if that says nothing.
    asked: Option<(NodeId, Since)>,
}

/// How a search goes on.
#[derive(Debug, PartialEq, Eq)]
pub enum SearchStep {
    /// Ask this node's own bus where the page is, after a pause: [`Search::look`].
    Look(Duration),
    /// Ask a node for the page: [`Search::hear`].
    Ask(NodeId),
    /// The search is over: what is known of the page, and what that was in a cluster.
    End(Finding, Option<Handover>),
}

impl Handover {
    /// As metrics show it.
    pub(super) fn outcome(self) -> &'static str {
        match self {
            Self::HandedOver(_) => "handed_over",
            Self::Unanswered => "unanswered",
            Self::Lost => "lost",
        }
    }
}

impl Search {
    /// A search of this node. `lookback` is how long before its node's last sign of life a page that was up to date had
    /// heard everything. It begins with a look.
    pub fn new(own: NodeId, lookback: Duration) -> Self {
        Self { own, lookback, asked: None }
    }

    /// Takes where the page is, as far as this node knows; `None` if its bus does not answer.
    pub fn look(&mut self, found: Option<FoundPage>, now: Instant) -> SearchStep {
        let Some(FoundPage { place, known_for, heard_for }) = found else { return nothing(Duration::ZERO) };
        let lost = |since, handover| SearchStep::End(Finding::Lost(since), Some(handover));
        match (place, self.asked.take()) {
            // The node has handed it over, and the answer has not come.
            (PageWhere::Unknown, Some((_, since))) => lost(since, Handover::Unanswered),
            (PageWhere::Unknown, None) => nothing(known_for),
            (PageWhere::Lost(seen), _) => lost(self.heard(seen, heard_for, now), Handover::Lost),
            // It was forgotten here since.
            (PageWhere::On(node, _), _) if node == self.own => nothing(Duration::ZERO),
            (PageWhere::On(node, _), Some((asked, since))) if asked == node => lost(since, Handover::Unanswered),
            (PageWhere::On(node, seen), _) => {
                self.asked = Some((node, self.heard(seen, heard_for, now)));
                SearchStep::Ask(node)
            }
        }
    }

    /// Takes what the node has answered that was asked; `None` if it has nothing to say, or does not say it in time.
    pub fn hear(&self, answer: Option<Bytes>, now: Instant) -> SearchStep {
        let page = answer.and_then(|answer| HandedPage::read(answer, now));
        match (&self.asked, page) {
            (Some((node, _)), Some(page)) => SearchStep::End(Finding::Handed(page), Some(Handover::HandedOver(*node))),
            (_, _) => SearchStep::Look(ONCE_MORE_AFTER),
        }
    }

    /// How far a page has heard all its channels whose node can say no more; unknown if this node has heard a shorter time.
    fn heard(&self, seen: LastSeen, heard_for: Duration, now: Instant) -> Since {
        let age = seen.silent_for + self.lookback;
        match seen.standing {
            Standing::UpToDate if age < heard_for => now.checked_sub(age).map_or(Since::Unknown, Since::Moment),
            Standing::UpToDate | Standing::Owing => Since::Unknown,
        }
    }
}

/// Whether a page that this node claims was on another one later, which may be gone or not yet be back.
pub fn is_elsewhere(found: FoundPage, own: NodeId) -> bool {
    match found.place {
        PageWhere::On(node, _) => node != own,
        PageWhere::Lost(_) => true,
        PageWhere::Unknown => false,
    }
}

fn nothing(known_for: Duration) -> SearchStep {
    SearchStep::End(Finding::Nothing { known_for }, None)
}

#[cfg(test)]
mod tests {
    use super::*;

    const OWN: NodeId = NodeId::from_bits(1);
    const OTHER: NodeId = NodeId::from_bits(2);
    const THIRD: NodeId = NodeId::from_bits(3);
    const SECOND: Duration = Duration::from_secs(1);

    fn seen(standing: Standing) -> LastSeen {
        LastSeen { silent_for: 2 * SECOND, standing }
    }

    fn at(place: PageWhere) -> Option<FoundPage> {
        Some(FoundPage { place, known_for: 7 * SECOND, heard_for: 18 * SECOND })
    }

    fn on(node: NodeId) -> Option<FoundPage> {
        at(PageWhere::On(node, seen(Standing::UpToDate)))
    }

    fn search() -> (Search, Instant) {
        (Search::new(OWN, 15 * SECOND), Instant::now() + 100 * SECOND)
    }

    fn lost(since: Since, handover: Handover) -> SearchStep {
        SearchStep::End(Finding::Lost(since), Some(handover))
    }

    #[test]
    fn a_page_that_nobody_knows_is_new_as_long_as_that_can_be_said() {
        let (mut search, now) = search();
        assert_eq!(search.look(at(PageWhere::Unknown), now), nothing(7 * SECOND));
        assert_eq!(search.look(None, now), nothing(Duration::ZERO));
        assert_eq!(search.look(on(OWN), now), nothing(Duration::ZERO));
    }

    #[test]
    fn a_node_is_asked_and_once_more_looked_for_when_it_says_nothing() {
        let (mut search, now) = search();
        assert_eq!(search.look(on(OTHER), now), SearchStep::Ask(OTHER));
        assert_eq!(search.hear(None, now), SearchStep::Look(ONCE_MORE_AFTER));
        // The page has moved on meanwhile.
        assert_eq!(search.look(on(THIRD), now), SearchStep::Ask(THIRD));
        assert_eq!(search.hear(Some(Bytes::from_static(b"no page")), now), SearchStep::Look(ONCE_MORE_AFTER));
        assert_eq!(search.look(on(THIRD), now + SECOND), lost(Since::Moment(now - 17 * SECOND), Handover::Unanswered));
    }

    #[test]
    fn a_page_whose_handover_never_comes_is_not_new_although_nobody_has_it_any_more() {
        let (mut search, now) = search();
        search.look(on(OTHER), now);
        search.hear(None, now + SECOND / 2);
        let since = Since::Moment(now - 17 * SECOND);
        assert_eq!(search.look(at(PageWhere::Unknown), now + SECOND), lost(since, Handover::Unanswered));
    }

    #[test]
    fn a_page_that_is_handed_over_is_what_its_node_says() {
        let (mut search, now) = search();
        let socket = crate::protocol::SocketId::from_bits(7);
        let positions = Default::default();
        let page = HandedPage { socket, keeps_id: true, given_for: SECOND, user: None, positions };
        search.look(on(OTHER), now);
        let expected = SearchStep::End(Finding::Handed(page.clone()), Some(Handover::HandedOver(OTHER)));
        assert_eq!(search.hear(Some(page.encode(now)), now), expected);
    }

    #[test]
    fn a_page_whose_node_is_gone_has_heard_everything_from_before_its_last_sign_of_life_unless_it_owed_a_receipt() {
        let (mut search, now) = search();
        let mut look = |standing| search.look(at(PageWhere::Lost(seen(standing))), now);
        assert_eq!(look(Standing::UpToDate), lost(Since::Moment(now - 17 * SECOND), Handover::Lost));
        assert_eq!(look(Standing::Owing), lost(Since::Unknown, Handover::Lost));
    }

    #[test]
    fn a_page_is_elsewhere_that_another_node_claims_since_later_whether_that_lives_or_not() {
        let is_elsewhere = |place| is_elsewhere(at(place).unwrap(), OWN);
        let seen = seen(Standing::Owing);
        assert!(is_elsewhere(PageWhere::On(OTHER, seen)) && is_elsewhere(PageWhere::Lost(seen)));
        assert!(!is_elsewhere(PageWhere::On(OWN, seen)) && !is_elsewhere(PageWhere::Unknown));
    }

    #[test]
    fn where_a_node_was_met_since_nobody_knows_what_the_page_missed_of_it() {
        let (mut search, now) = search();
        let found =
            at(PageWhere::Lost(seen(Standing::UpToDate))).map(|found| FoundPage { heard_for: 17 * SECOND, ..found });
        assert_eq!(search.look(found, now), lost(Since::Unknown, Handover::Lost));
    }
}

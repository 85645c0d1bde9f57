//! All facts of one peer, requested page by page while it goes on publishing. Each page is applied as it comes.
//!
//! Pages are of different moments. Once the peer's state stream was received up to the moment of a page, the facts
//! published since the page was requested are the newest about their keys, and the page about all others: facts are
//! absolute, and the stream is complete and in order.

use std::{collections::BTreeSet, time::Duration};

use crate::{
    fact::Keyed,
    frame::{Rest, SnapshotPage},
};

/// How long to wait for an answer before the request is repeated.
pub const ASK_AGAIN: Duration = Duration::from_secs(1);

/// Keys that a peer may change while one page is in transit.
const MAX_NEWER: usize = 1 << 20;

/// A snapshot that is being requested.
#[derive(Debug)]
pub struct SnapshotFetch<T: Keyed> {
    ask_at: Duration,
    /// Pages of earlier moments lack something that we missed, or that we received before they were requested.
    least: u64,
    /// The latest moment of a page.
    latest: u64,
    after: Option<T::Key>,
    /// A page that has come and is not applied yet.
    page: Option<SnapshotPage<T>>,
    newer: BTreeSet<T::Key>,
}

/// How far a snapshot has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// There is more to ask for.
    Part,
    /// All of it is applied, as of this number of the peer's state stream.
    Whole(u64),
}

impl<T: Keyed> SnapshotFetch<T> {
    /// A snapshot that covers the peer's state stream at least up to `least`; to be asked for at once.
    pub fn new(least: u64, now: Duration) -> Self {
        Self { ask_at: now, least, latest: 0, after: None, page: None, newer: BTreeSet::new() }
    }

    /// After which key the next page begins, if it is time to ask for it.
    pub fn ask(&mut self, now: Duration) -> Option<Option<T::Key>> {
        if self.ask_at > now || self.page.is_some() {
            return None;
        }
        self.ask_at = now + ASK_AGAIN;
        Some(self.after.clone())
    }

    /// Something of the peer's state stream is lost, up to a number: only what is newer helps.
    pub fn restart(&mut self, least: u64, now: Duration) {
        *self = Self::new(least.max(self.least), now);
    }

    /// Takes a page if it is the one that was asked for.
    pub fn take(&mut self, page: SnapshotPage<T>) {
        let is_next = self.page.is_none() && page.after == self.after && page.state >= self.least;
        if is_next && is_sound(&page) {
            self.latest = self.latest.max(page.state);
            self.page = Some(page);
        }
    }

    /// Notes the facts that the peer published meanwhile, up to number `through`.
    pub fn note(&mut self, facts: &[T], through: u64, now: Duration) {
        self.newer.extend(facts.iter().map(T::key));
        if self.newer.len() > MAX_NEWER {
            self.restart(through, now + ASK_AGAIN);
        }
    }

    /// The page that has come.
    pub fn page(&self) -> Option<&SnapshotPage<T>> {
        self.page.as_ref()
    }

    /// The keys that the peer changed since the page was requested.
    pub fn newer(&self) -> &BTreeSet<T::Key> {
        &self.newer
    }

    /// The page is applied, with the peer's state stream received up to number `through`. The next is to be requested
    /// at once.
    pub fn finish_page(&mut self, through: u64, now: Duration) -> Progress {
        self.newer.clear();
        self.least = self.least.max(through);
        self.ask_at = now;
        let Some(page) = self.page.take() else { return Progress::Part };
        self.after = page.facts.last().map(T::key).or(page.after);
        if page.rest == Rest::Nothing { Progress::Whole(self.latest) } else { Progress::Part }
    }
}

/// Whether the keys of a page are in order, and continue those of the page before it. A page that is not the last has
/// some.
fn is_sound<T: Keyed>(page: &SnapshotPage<T>) -> bool {
    let keys: Vec<T::Key> = page.facts.iter().map(T::key).collect();
    let Some(first) = keys.first() else { return page.rest == Rest::Nothing };
    keys.is_sorted_by(|one, other| one < other) && page.after.as_ref().is_none_or(|after| after < first)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        fact::{Fact, FactKey},
        room::Room,
    };

    const NOW: Duration = Duration::ZERO;

    fn fact(channel: &str) -> Fact {
        Fact::Count { room: Room::new("shop", channel).expect("the name is short"), sockets: 1 }
    }

    fn page(state: u64, after: Option<&str>, rest: Rest, channels: &[&str]) -> SnapshotPage<Fact> {
        let after = after.map(|channel| fact(channel).key());
        SnapshotPage { state, after, rest, facts: channels.iter().map(|channel| fact(channel)).collect() }
    }

    fn takes(fetch: &mut SnapshotFetch<Fact>, page: SnapshotPage<Fact>) -> bool {
        fetch.take(page.clone());
        fetch.page() == Some(&page)
    }

    fn asks(fetch: &mut SnapshotFetch<Fact>) -> Option<Option<FactKey>> {
        fetch.ask(NOW)
    }

    #[test]
    fn page_after_page_is_asked_for_and_put_in_place() {
        let mut fetch = SnapshotFetch::new(0, NOW);
        assert_eq!((asks(&mut fetch), asks(&mut fetch)), (Some(None), None));
        assert!(takes(&mut fetch, page(5, None, Rest::More, &["a", "b"])));
        assert!(!takes(&mut fetch, page(5, None, Rest::More, &["a", "c"])), "one that is in its way");
        assert_eq!((fetch.ask(ASK_AGAIN), fetch.finish_page(5, NOW)), (None, Progress::Part));
        assert_eq!(asks(&mut fetch), Some(Some(fact("b").key())));
        assert!(!takes(&mut fetch, page(6, None, Rest::More, &["a", "b"])), "one that came before");
        assert!(takes(&mut fetch, page(4 + 2, Some("b"), Rest::Nothing, &[])));
        assert_eq!(fetch.finish_page(7, NOW), Progress::Whole(6));
    }

    #[test]
    fn a_page_older_than_what_was_received_before_its_request_is_ignored() {
        let mut fetch = SnapshotFetch::new(3, NOW);
        assert!(!takes(&mut fetch, page(2, None, Rest::More, &["a"])));
        assert!(takes(&mut fetch, page(3, None, Rest::More, &["a"])));
        fetch.note(&[fact("b")], 8, NOW);
        assert_eq!(fetch.newer().len(), 1);
        fetch.finish_page(8, NOW);
        assert!(fetch.newer().is_empty());
        assert!(!takes(&mut fetch, page(7, Some("a"), Rest::Nothing, &["b"])));
        assert!(takes(&mut fetch, page(8, Some("a"), Rest::Nothing, &["b"])));
    }

    #[test]
    fn a_page_out_of_order_or_without_an_end_is_not_taken() {
        let mut fetch = SnapshotFetch::new(0, NOW);
        for facts in [&["b", "a"][..], &["a", "a"], &[]] {
            assert!(!takes(&mut fetch, page(1, None, Rest::More, facts)), "{facts:?}");
        }
        assert!(takes(&mut fetch, page(1, None, Rest::More, &["b"])));
        fetch.finish_page(1, NOW);
        assert!(!takes(&mut fetch, page(1, Some("b"), Rest::Nothing, &["a"])), "it goes back");
    }
}

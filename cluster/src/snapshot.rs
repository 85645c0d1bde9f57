//! All facts of one peer, fetched page by page while it goes on telling news. Pages may be of different moments: what
//! was heard meanwhile is laid over them, and since facts are absolute and news is complete and in order, the result is
//! the peer's state at the last number heard.

use std::{collections::BTreeMap, time::Duration};

use crate::{
    codec::fact_size,
    fact::{Fact, Key},
    frame::{Body, Rest, SnapshotPage},
};

/// How long an answer is waited for before it is asked for again.
pub const ASK_AGAIN: Duration = Duration::from_secs(1);

/// Bytes of one peer's facts at most, and of its news until all pages are here.
const MAX_BYTES: usize = 256 << 20;

/// A snapshot that is being asked for.
#[derive(Debug)]
pub struct Assembly {
    ask_at: Duration,
    /// Pages of earlier moments lack something that we missed.
    least: u64,
    /// The latest moment of a page.
    latest: u64,
    after: Option<Key>,
    rest: Rest,
    facts: Vec<Fact>,
    news: Vec<Fact>,
    bytes: usize,
}

impl Assembly {
    /// A snapshot that covers the peer's state stream at least up to `least`; to be asked for at once.
    pub fn new(least: u64, now: Duration) -> Self {
        Self {
            ask_at: now,
            least,
            latest: 0,
            after: None,
            rest: Rest::More,
            facts: Vec::new(),
            news: Vec::new(),
            bytes: 0,
        }
    }

    /// The question for the next page, if it is time for it.
    pub fn ask(&mut self, now: Duration) -> Option<Body> {
        if self.ask_at > now || self.rest == Rest::Nothing {
            return None;
        }
        self.ask_at = now + ASK_AGAIN;
        Some(Body::AskSnapshot { after: self.after.clone() })
    }

    /// Something of the peer's state stream is lost, up to a number: only what is newer helps.
    pub fn restart(&mut self, least: u64, now: Duration) {
        *self = Self::new(least.max(self.least), now);
    }

    /// Takes a page if it is the one that was asked for; the next is to be asked for at once.
    pub fn take(&mut self, page: SnapshotPage, now: Duration) {
        let is_next = self.rest == Rest::More && page.after == self.after && page.state >= self.least;
        if !is_next {
            return;
        }
        self.latest = self.latest.max(page.state);
        self.rest = page.rest;
        self.after = page.facts.last().map(Fact::key).or(page.after);
        self.ask_at = now;
        self.bytes += size(&page.facts);
        self.facts.extend(page.facts);
        self.stay_within(self.latest, now);
    }

    /// Keeps what the peer told meanwhile, as far as number `through`.
    pub fn note(&mut self, facts: Vec<Fact>, through: u64, now: Duration) {
        self.bytes += size(&facts);
        self.news.extend(facts);
        self.stay_within(through, now);
    }

    /// The last number up to which the stream must have been heard before the pages make sense; `None` before all of
    /// them are here.
    pub fn latest(&self) -> Option<u64> {
        (self.rest == Rest::Nothing).then_some(self.latest)
    }

    /// The pages with the news over them.
    pub fn finish(self) -> Vec<Fact> {
        let mut facts = BTreeMap::new();
        for fact in self.facts.into_iter().chain(self.news) {
            facts.insert(fact.key(), fact);
        }
        facts.into_values().filter(|fact| fact.sockets() > 0).collect()
    }

    /// Begins anew where a peer would fill our memory.
    fn stay_within(&mut self, through: u64, now: Duration) {
        if self.bytes > MAX_BYTES {
            self.restart(through, now + ASK_AGAIN);
        }
    }
}

fn size(facts: &[Fact]) -> usize {
    facts.iter().map(fact_size).sum()
}

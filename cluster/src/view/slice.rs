//! The facts of one node, and which of them count.

use std::{collections::BTreeMap, ops::Bound};

use crate::{
    codec::fact_hash,
    fact::{Fact, FactKey},
};

/// One node's part.
#[derive(Debug, Default)]
pub(super) struct Slice {
    pub(super) facts: BTreeMap<FactKey, Fact>,
    pub(super) hash: u64,
    /// Whether all of it is to be shown, or nothing.
    pub(super) shown: bool,
    pub(super) shows: Shows,
}

/// Which facts of a slice count: showing goes on from there, hiding goes back.
#[derive(Debug, Default)]
pub(super) enum Shows {
    #[default]
    Nothing,
    /// Those up to this key.
    Through(FactKey),
    All,
}

impl Slice {
    pub(super) fn shows(&self, key: &FactKey) -> bool {
        match &self.shows {
            Shows::Nothing => false,
            Shows::Through(last) => key <= last,
            Shows::All => true,
        }
    }

    /// Shows the next facts; returns them.
    pub(super) fn show(&mut self, most: usize) -> Vec<Fact> {
        let from = match &self.shows {
            Shows::Nothing => Bound::Unbounded,
            Shows::Through(last) => Bound::Excluded(last),
            Shows::All => return Vec::new(),
        };
        let next = self.facts.range::<FactKey, _>((from, Bound::Unbounded)).take(most);
        let facts: Vec<Fact> = next.map(|(_, fact)| fact.clone()).collect();
        self.shows = match facts.last() {
            Some(last) if facts.len() == most => Shows::Through(last.key()),
            Some(_) | None => Shows::All,
        };
        facts
    }

    /// Hides the last facts that are shown; returns them, taken back.
    pub(super) fn hide(&mut self, most: usize) -> Vec<Fact> {
        let through = match &self.shows {
            Shows::Nothing => return Vec::new(),
            Shows::Through(last) => Bound::Included(last),
            Shows::All => Bound::Unbounded,
        };
        let mut last = self.facts.range::<FactKey, _>((Bound::Unbounded, through)).rev();
        let facts = last.by_ref().take(most).map(|(_, fact)| fact.withdrawn()).collect();
        self.shows = last.next().map_or(Shows::Nothing, |(key, _)| Shows::Through(key.clone()));
        facts
    }

    pub(super) fn is_updated(&self) -> bool {
        matches!((self.shown, &self.shows), (true, Shows::All) | (false, Shows::Nothing))
    }

    pub(super) fn set(&mut self, fact: Fact) {
        let key = fact.key();
        let added = if fact.sockets() > 0 { fact_hash(&fact) } else { 0 };
        let old = if fact.sockets() > 0 { self.facts.insert(key, fact) } else { self.facts.remove(&key) };
        let removed = old.as_ref().map_or(0, fact_hash);
        self.hash = self.hash.wrapping_sub(removed).wrapping_add(added);
    }
}

//! Pages that are away and have positions, by when these are too old, and how many positions that are. Pure.

use std::{collections::BTreeMap, time::Instant};

use super::PageKey;

/// Ordered by when positions are too old, and by the number of the visit that left them.
#[derive(Debug, Default)]
pub(super) struct Ages {
    pages: BTreeMap<(Instant, u64), (PageKey, usize)>,
    positions: usize,
}

impl Ages {
    /// A page is away, with so many positions.
    pub(super) fn insert(&mut self, end: Instant, visit: u64, page: PageKey, positions: usize) {
        self.positions += positions;
        self.pages.insert((end, visit), (page, positions));
    }

    /// It is back, or gone.
    pub(super) fn remove(&mut self, end: Instant, visit: u64) {
        if let Some((_, positions)) = self.pages.remove(&(end, visit)) {
            self.positions -= positions;
        }
    }

    /// The page whose positions are too old first.
    pub(super) fn pop_oldest(&mut self) -> Option<PageKey> {
        let (_, (page, positions)) = self.pages.pop_first()?;
        self.positions -= positions;
        Some(page)
    }

    /// Whether the first is too old now.
    pub(super) fn is_over(&self, now: Instant) -> bool {
        self.pages.first_key_value().is_some_and(|((end, _), _)| *end <= now)
    }

    /// How many pages there are.
    pub(super) fn len(&self) -> usize {
        self.pages.len()
    }

    /// How many positions they have together.
    pub(super) fn positions(&self) -> usize {
        self.positions
    }
}

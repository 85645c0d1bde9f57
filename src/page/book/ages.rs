//! Pages that are away, by when something of them ends, and how many positions they have. Pure.
//!
//! Where there are too many, the app with the most gives its oldest: no app pushes out another's pages.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
    time::Instant,
};

use super::PageKey;

/// When something ends, and the number of the visit that left the page.
type End = (Instant, u64);

/// Ordered by when something ends.
#[derive(Debug, Default)]
pub(super) struct Ages {
    pages: BTreeMap<End, Aging>,
    apps: HashMap<Arc<str>, OfApp>,
    positions: usize,
}

#[derive(Debug)]
struct Aging {
    page: PageKey,
    positions: usize,
    app: Arc<str>,
}

/// The pages of one app.
#[derive(Debug, Default)]
struct OfApp {
    ends: BTreeSet<End>,
    positions: usize,
}

impl Ages {
    /// A page of an app is away, with so many positions.
    pub(super) fn insert(&mut self, end: End, page: PageKey, positions: usize, app: &Arc<str>) {
        let of_app = self.apps.entry(app.clone()).or_default();
        of_app.ends.insert(end);
        of_app.positions += positions;
        self.positions += positions;
        self.pages.insert(end, Aging { page, positions, app: app.clone() });
    }

    /// It is back, or gone.
    pub(super) fn remove(&mut self, end: End) -> Option<PageKey> {
        let Aging { page, positions, app } = self.pages.remove(&end)?;
        self.positions -= positions;
        if let Some(of_app) = self.apps.get_mut(&app) {
            of_app.ends.remove(&end);
            of_app.positions -= positions;
            if of_app.ends.is_empty() {
                self.apps.remove(&app);
            }
        }
        Some(page)
    }

    /// A page for which it is over, if there is one.
    pub(super) fn pop_ended(&mut self, now: Instant) -> Option<PageKey> {
        let end = *self.pages.first_key_value()?.0;
        if end.0 <= now { self.remove(end) } else { None }
    }

    /// The oldest page of the app that has most pages and positions.
    pub(super) fn pop_excess(&mut self) -> Option<PageKey> {
        let largest = self.apps.values().max_by_key(|of_app| of_app.ends.len() + of_app.positions)?;
        let oldest = *largest.ends.first()?;
        self.remove(oldest)
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

//! How far one peer's claims are known, and what it remembers of nodes that are dead. Requested page by page.

use std::time::Duration;

use crate::{
    frame::{LostClaimsPage, Rest, Unnumbered},
    page::{LostClaim, PageClaim, PageHash},
    room::NodeId,
    snapshot::{ASK_AGAIN, Progress, SnapshotFetch},
};

/// A node that dies about when this one starts is not known to be dead yet when the peers are first asked: they are asked
/// once more when it is.
const ONCE_MORE_AFTER: Duration = Duration::from_secs(6);

#[derive(Debug, Default)]
pub struct ClaimFetch {
    snapshot: Option<SnapshotFetch<PageClaim>>,
    lost: Option<LostFetch>,
    /// Up to where a snapshot covered the state stream.
    covered: u64,
    /// Whether all claims came at least once.
    is_complete: bool,
    /// Whether what it remembers of dead nodes came at least once.
    is_lost_complete: bool,
}

#[derive(Debug)]
struct LostFetch {
    ask_at: Duration,
    after: Option<(NodeId, PageHash)>,
    /// When to ask for everything once more after this.
    again: Option<Duration>,
}

impl ClaimFetch {
    /// Asks for all claims anew, as they are at number `least` of the state stream or later.
    pub fn want(&mut self, least: u64, now: Duration) {
        match &mut self.snapshot {
            Some(fetch) => fetch.restart(least, now),
            None => self.snapshot = Some(SnapshotFetch::new(least, now)),
        }
    }

    /// Asks for what the peer remembers of dead nodes.
    pub fn want_lost(&mut self, now: Duration) {
        self.lost = Some(LostFetch { ask_at: now, after: None, again: Some(now + ONCE_MORE_AFTER) });
    }

    /// Its first beat has come.
    pub fn begin(&mut self, now: Duration) {
        if !self.is_complete && self.snapshot.is_none() {
            self.want(0, now);
            self.want_lost(now);
        }
    }

    /// What is to be asked now.
    pub fn ask(&mut self, now: Duration) -> Vec<Unnumbered> {
        let claims = self.snapshot.as_mut().and_then(|fetch| fetch.ask(now));
        let lost = self.lost.as_mut().and_then(|fetch| fetch.ask(now));
        claims.map(|after| Unnumbered::AskClaims { after }).into_iter().chain(lost).collect()
    }

    /// Notes the claims that the peer published meanwhile, up to number `through`.
    pub fn note(&mut self, claims: &[PageClaim], through: u64, now: Duration) {
        if let Some(fetch) = &mut self.snapshot {
            fetch.note(claims, through, now);
        }
    }

    /// The snapshot that is being requested.
    pub fn snapshot(&self) -> Option<&SnapshotFetch<PageClaim>> {
        self.snapshot.as_ref()
    }

    pub fn snapshot_mut(&mut self) -> Option<&mut SnapshotFetch<PageClaim>> {
        self.snapshot.as_mut()
    }

    /// The next page is applied, with the state stream received up to number `through`.
    pub fn finish_page(&mut self, through: u64, now: Duration) {
        let Some(fetch) = &mut self.snapshot else { return };
        if let Progress::Whole(latest) = fetch.finish_page(through, now) {
            self.covered = self.covered.max(latest);
            self.is_complete = true;
            self.snapshot = None;
        }
    }

    /// Claims of dead nodes have come; whether they are those that were asked for.
    pub fn take_lost(&mut self, page: &LostClaimsPage, now: Duration) -> bool {
        let Some(fetch) = self.lost.as_mut().filter(|fetch| fetch.after == page.after) else { return false };
        fetch.after = page.claims.last().map(LostClaim::key).or(fetch.after);
        fetch.ask_at = now;
        if page.rest == Rest::Nothing {
            self.is_lost_complete = true;
            self.lost = fetch.again.map(|ask_at| LostFetch { ask_at, after: None, again: None });
        }
        true
    }

    /// Whether everything came at least once.
    pub fn is_known(&self) -> bool {
        self.is_complete && self.is_lost_complete
    }

    /// Whether it has also been asked once more for what it remembers, when those were dead that died about then.
    pub fn is_settled(&self) -> bool {
        self.is_known() && self.lost.is_none()
    }

    /// The number of the state stream, released up to `released`, at which the claims are known; `None` while they are not.
    pub fn known_at(&self, released: u64) -> Option<u64> {
        (self.is_complete && self.snapshot.is_none()).then(|| released.max(self.covered))
    }
}

impl LostFetch {
    fn ask(&mut self, now: Duration) -> Option<Unnumbered> {
        if self.ask_at > now {
            return None;
        }
        self.ask_at = now + ASK_AGAIN;
        Some(Unnumbered::AskLostClaims { after: self.after })
    }
}

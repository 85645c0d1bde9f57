//! What a session knows of a page that names itself by a resume id: how far it had heard its channels, what it has proven
//! since, how it stands with its node, and what is told at its end. Pure.

use std::{
    mem,
    sync::Arc,
    time::{Duration, Instant},
};

use gaung_cluster::page::Standing;

use super::receipts::{self, Receipts};
use crate::{
    page::{Departure, OwedReceipt, PageStart, PageVisit, Positions},
    protocol::{ChannelName, Close, Since, SocketId},
    room::PageJoin,
};

/// How long a page that is sent away may take to answer that it has heard everything.
pub const LAST_RECEIPT: Duration = Duration::from_millis(300);

/// How long its rooms may take before that to let it go.
pub const LAST_ROOMS: Duration = Duration::from_secs(1);

/// A page that comes back subscribes within this time to what it still wants.
const RECLAIMED: Duration = Duration::from_secs(60);

/// A page that claims a channel has been sent what it missed there by then, or been told.
const REPLAYED_WITHIN: Duration = Duration::from_secs(12);

/// For how long a member stays whose page was woken, or left: a page that was frozen is back after a second.
const SHORT_GRACE: Duration = Duration::from_secs(2);

/// The page behind a session.
#[derive(Debug)]
pub struct PageSession {
    visit: PageVisit,
    began: Instant,
    /// When it is looked next whether it is to be asked for a receipt.
    receipt_at: Instant,
    /// What it had before, if anything.
    before: Option<Box<Before>>,
    receipts: Receipts,
    standing: Standing,
    /// Whether it was sent away, or its session is over: the rooms are given back.
    has_departed: bool,
}

/// What a page had that has come back.
#[derive(Debug, Default, PartialEq, Eq)]
struct Before {
    /// The socket that it had, if that was another one.
    was: Option<SocketId>,
    /// Who was signed in on it.
    user: Option<String>,
    /// How far it had heard its channels.
    positions: Positions,
    /// When all that it missed in the channels that it has claimed was sent to it: only a receipt that it is asked for later
    /// proves that it has heard it.
    replayed_at: Option<Instant>,
}

/// How the session of a page ends.
#[derive(Debug)]
pub struct PageEnd {
    /// Whose page.
    pub app: Arc<str>,
    /// When.
    pub at: Instant,
    /// Who is signed in on it.
    pub user: Option<String>,
    /// With what it is closed, if it is.
    pub close: Option<Close>,
    /// For how long its channels keep events at most.
    pub window: Duration,
}

impl PageSession {
    /// A session of this visit begins. What a page missed before is not proven to be heard: it owes a receipt for that.
    pub fn new(
        visit: PageVisit,
        PageStart { was, user, positions, .. }: PageStart,
        interval: Duration,
        now: Instant,
    ) -> Self {
        let standing = if positions.is_empty() { Standing::UpToDate } else { Standing::Owing };
        let before = Some(Before { was, user, positions, replayed_at: None });
        Self {
            visit,
            began: now,
            receipt_at: now + receipts::pause(Duration::ZERO, interval),
            before: before.filter(|before| *before != Before::default()).map(Box::new),
            receipts: Receipts::default(),
            standing,
            has_departed: false,
        }
    }

    /// Which visit of the page it is.
    pub fn visit(&self) -> &PageVisit {
        &self.visit
    }

    /// What it has proven to have heard.
    pub fn receipts(&self) -> &Receipts {
        &self.receipts
    }

    /// After how long it is to be looked whether it owes a receipt, or is to be asked for one.
    pub fn is_due_in(&self, now: Instant) -> Duration {
        self.receipt_at.saturating_duration_since(now)
    }

    /// It is looked now.
    pub fn look(&mut self, now: Instant, interval: Duration) {
        self.receipt_at = now + receipts::pause(now.saturating_duration_since(self.began), interval);
        if self.is_settled_in(now) {
            self.let_claimed_go();
        }
    }

    /// Its subscription to a channel, which begins where it has heard it.
    pub fn claim(&mut self, channel: &ChannelName, now: Instant) -> (Option<Since>, PageJoin) {
        let is_settled = self.is_settled_in(now);
        let Some(before) = &mut self.before else { return (None, PageJoin { was: None }) };
        if is_settled {
            before.positions.others = None;
        }
        let since = before.positions.claim(channel);
        before.replayed_at = since.as_ref().map(|_| now + REPLAYED_WITHIN).or(before.replayed_at);
        (since, PageJoin { was: before.was })
    }

    /// It is asked for a receipt; `sends` is how often something had been sent before.
    pub fn ask_receipt(&mut self, now: Instant, sends: u64, owed: OwedReceipt) {
        self.receipts.ask(now, sends, owed);
    }

    /// It gives one.
    pub fn hear_receipt(&mut self) {
        self.receipts.answer();
    }

    /// It wants no more of a channel.
    pub fn forget(&mut self, channel: &ChannelName) {
        if let Some(before) = &mut self.before {
            before.positions.forget(channel);
        }
    }

    /// Whether nothing that it says is heard any more but its receipts.
    pub fn has_departed(&self) -> bool {
        self.has_departed
    }

    /// How it stands with its node.
    pub fn standing(&self) -> Standing {
        self.standing
    }

    /// How it stands from now on, if that is a change: it owes a receipt if it was asked at least one interval ago, or has
    /// not proven yet that it has heard what it missed.
    pub fn restand(&mut self, asked: Standing, now: Instant) -> Option<(PageVisit, Standing)> {
        let is_settled = self.receipts.is_settled() && self.has_caught_up(now);
        let standing = if is_settled { Standing::UpToDate } else { asked };
        (mem::replace(&mut self.standing, standing) != standing).then(|| (self.visit.clone(), standing))
    }

    /// Its end, told once.
    pub fn depart(&mut self, channels: Vec<ChannelName>, end: PageEnd) -> Option<Departure> {
        if mem::replace(&mut self.has_departed, true) {
            return None;
        }
        let PageEnd { app, at, user, close, window } = end;
        let is_settled = self.is_settled_in(at);
        let Before { user: old_user, positions, .. } = self.before.take().map(|before| *before).unwrap_or_default();
        let is_another = old_user.is_some() && user.is_some() && old_user != user;
        let user = user.or(old_user);
        let gives_up_id = is_another || close.is_some_and(ends_rights);
        let before = if is_settled { Positions::default() } else { positions };
        Some(Departure { app, visit: self.visit.clone(), channels, before, user, gives_up_id, window })
    }

    /// Whether it has subscribed to all that it still wanted of what it had.
    fn is_settled_in(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.began) > RECLAIMED
    }

    /// Whether it is to be asked for a receipt, having been sent so often something.
    pub fn is_to_be_asked(&self, sends: u64, now: Instant) -> bool {
        let has_been_replayed = |before: &Before| before.replayed_at.is_some_and(|at| at <= now);
        let owes_proof =
            || self.before.as_ref().is_some_and(|before| has_been_replayed(before)) && !self.has_caught_up(now);
        self.receipts.is_due(sends) || (self.receipts.is_settled() && owes_proof())
    }

    /// Whether it has claimed all that it had, and proven since that it has heard it.
    fn has_caught_up(&self, now: Instant) -> bool {
        let Some(before) = &self.before else { return true };
        (before.positions.are_claimed() || self.is_settled_in(now)) && before.is_proven_by(&self.receipts)
    }

    /// Once the page has had its time to come back to its channels, those that it has claimed are not kept any longer.
    fn let_claimed_go(&mut self) {
        let Some(before) = &mut self.before else { return };
        before.positions.let_claimed_go();
        let is_proven = before.is_proven_by(&self.receipts);
        if before.positions.is_empty() && before.was.is_none() && before.user.is_none() && is_proven {
            self.before = None;
        }
    }
}

impl Before {
    /// Whether a receipt proves that what was missed has been heard.
    fn is_proven_by(&self, receipts: &Receipts) -> bool {
        self.replayed_at.is_none_or(|replayed_at| receipts.proven().is_some_and(|proven| proven >= replayed_at))
    }
}

/// Whether a close takes a right away: what the page was authorised for holds no longer.
fn ends_rights(close: Close) -> bool {
    matches!(
        close,
        Close::Terminated | Close::RightsChanged | Close::NotAuthorisedInTime | Close::AppDisabled | Close::AppUnknown
    )
}

/// For how long a page's user stays a member after its session ended so.
pub(super) fn grace_after(close: Option<Close>, grace: Duration) -> Duration {
    match close {
        Some(Close::Echo(Some(1000))) => Duration::ZERO,
        Some(Close::Echo(_)) => SHORT_GRACE.min(grace),
        Some(close) if ends_rights(close) => Duration::ZERO,
        Some(_) | None => grace,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        page::{OutstandingReceipts, PageKey},
        protocol::EventId,
    };

    const SECOND: Duration = Duration::from_secs(1);

    fn channel() -> ChannelName {
        ChannelName::parse("orders", 200).unwrap()
    }

    /// A page that had heard this of its channels, and one that is new.
    fn session(had: bool, now: Instant) -> PageSession {
        let mut positions = Positions::default();
        if had {
            positions.channels.insert(channel(), Since::Position(std::iter::empty::<EventId>().collect()));
        }
        let socket = SocketId::from_bits(1);
        let start = PageStart { is_new: !had, socket, given: now, was: None, user: None, positions };
        let page = PageKey(gaung_cluster::page::PageHash([1; 16]));
        PageSession::new(PageVisit { page, number: 1 }, start, 5 * SECOND, now)
    }

    fn receipt(page: &mut PageSession, asked: Instant) {
        page.ask_receipt(asked, 1, OutstandingReceipts::default().owe());
        page.hear_receipt();
    }

    #[test]
    fn a_new_page_owes_nothing() {
        let now = Instant::now();
        let mut page = session(false, now);
        assert_eq!((page.standing(), page.restand(Standing::Owing, now)), (Standing::UpToDate, None));
        assert!(!page.is_to_be_asked(0, now + 20 * SECOND));
    }

    #[test]
    fn a_page_that_missed_something_owes_a_receipt_that_it_is_asked_for_after_it_was_sent_that() {
        let now = Instant::now();
        let mut page = session(true, now);
        assert_eq!(page.standing(), Standing::Owing);
        // It has not come back to its channel yet.
        receipt(&mut page, now + SECOND);
        assert_eq!(page.restand(Standing::Owing, now + SECOND), None);
        page.claim(&channel(), now + SECOND);
        receipt(&mut page, now + 2 * SECOND);
        assert_eq!(page.restand(Standing::Owing, now + 2 * SECOND), None);
        // It is asked though nothing was sent since.
        assert!(!page.is_to_be_asked(2, now + 12 * SECOND) && page.is_to_be_asked(2, now + 13 * SECOND));
        receipt(&mut page, now + 13 * SECOND);
        let change = page.restand(Standing::Owing, now + 13 * SECOND);
        assert_eq!(change.map(|(_, standing)| standing), Some(Standing::UpToDate));
        assert!(!page.is_to_be_asked(2, now + 20 * SECOND));
    }

    #[test]
    fn a_page_that_does_not_come_back_to_a_channel_owes_nothing_for_it_after_a_while() {
        let now = Instant::now();
        let mut page = session(true, now);
        assert_eq!(page.restand(Standing::Owing, now + 60 * SECOND), None);
        assert!(page.restand(Standing::Owing, now + 61 * SECOND).is_some());
    }

    #[test]
    fn a_member_stays_as_long_as_its_page_is_likely_to_come_back() {
        let seconds = |close| grace_after(close, Duration::from_secs(10)).as_secs();
        assert_eq!(seconds(None), 10);
        assert_eq!(seconds(Some(Close::Draining)), 10);
        assert_eq!(seconds(Some(Close::Echo(None))), 2);
        assert_eq!(seconds(Some(Close::Echo(Some(1001)))), 2);
        assert_eq!(seconds(Some(Close::Echo(Some(1000)))), 0);
        assert_eq!(seconds(Some(Close::Terminated)), 0);
        assert_eq!(seconds(Some(Close::RightsChanged)), 0);
    }
}

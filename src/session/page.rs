//! What a session does for a page that names itself by a resume id: begins with what the page had, asks it for receipts, and
//! gives back the rooms so that the page can come back.

use std::{
    mem,
    sync::Arc,
    time::{Duration, Instant},
};

use actix::{ActorFutureExt, AsyncContext, Context, Handler, Message, WrapFuture};

use gaung_cluster::page::Standing;

use super::{
    actor::Session,
    receipts::{self, Receipts},
};
use crate::{
    page::{Departure, PageKey, PageNotice, PageStart, PageVisit, Pages, Positions},
    protocol::{ChannelName, Close, Since, SocketId},
    room::PageJoin,
};

/// How long a page that is sent away may take to answer that it has heard everything.
const LAST_RECEIPT: Duration = Duration::from_millis(300);

/// How long its rooms may take before that to let it go.
const LAST_ROOMS: Duration = Duration::from_secs(1);

/// A page that comes back subscribes within this time to what it still wants.
const RECLAIMED: Duration = Duration::from_secs(60);

/// For how long a member stays whose page was woken, or left: a page that was frozen is back after a second.
const SHORT_GRACE: Duration = Duration::from_secs(2);

/// For how long what a page heard is kept where no channel has a history.
const USUAL_WINDOW: Duration = Duration::from_secs(120);

/// The page behind a session.
#[derive(Debug)]
pub(super) struct PageSession {
    visit: PageVisit,
    began: Instant,
    /// When it is looked next whether it is to be asked for a receipt.
    receipt_at: Instant,
    /// What it had before, if anything.
    before: Option<Box<Before>>,
    pub(super) receipts: Receipts,
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
}

/// The node goes away: prove what was heard, then close.
#[derive(Message)]
#[rtype(result = "()")]
pub struct SendAway;

impl PageSession {
    fn new(visit: PageVisit, PageStart { was, user, positions, .. }: PageStart, interval: Duration) -> Self {
        let (began, receipts, standing) = (Instant::now(), Receipts::default(), Standing::UpToDate);
        let receipt_at = began + receipts::pause(Duration::ZERO, interval);
        let before = Some(Before { was, user, positions }).filter(|before| *before != Before::default()).map(Box::new);
        Self { visit, began, receipt_at, before, receipts, standing, has_departed: false }
    }

    /// Where it is time to look whether it is to be asked for a receipt, after how long it is time again.
    fn pause(&mut self, now: Instant, interval: Duration) -> Option<Duration> {
        let pause = receipts::pause(now.saturating_duration_since(self.began), interval);
        (self.receipt_at <= now).then(|| {
            self.receipt_at = now + pause;
            pause
        })
    }

    /// Its subscription to a channel, which begins where it has heard it.
    pub(super) fn claim(&mut self, channel: &ChannelName) -> (Option<Since>, PageJoin) {
        let Some(before) = &mut self.before else { return (None, PageJoin { was: None }) };
        if self.began.elapsed() > RECLAIMED {
            before.positions.others = None;
        }
        (before.positions.claim(channel), PageJoin { was: before.was })
    }

    /// Once the page has had its time to come back to its channels, those that it has claimed are not kept any longer.
    fn let_claimed_go(&mut self) {
        let is_over = self.began.elapsed() > RECLAIMED;
        let Some(before) = self.before.as_mut().filter(|_| is_over) else { return };
        before.positions.let_claimed_go();
        if **before == Before::default() {
            self.before = None;
        }
    }

    /// It is asked for a receipt; `sends` is how often something had been sent before.
    pub(super) fn ask_receipt(&mut self, now: Instant, sends: u64, pages: &Pages) {
        self.receipts.ask(now, sends, pages.owe_receipt());
    }

    /// It gives one.
    pub(super) fn hear_receipt(&mut self) {
        self.receipts.answer();
    }

    /// It wants no more of a channel.
    pub(super) fn forget(&mut self, channel: &ChannelName) {
        if let Some(before) = &mut self.before {
            before.positions.forget(channel);
        }
    }

    /// Whether nothing that it says is heard any more but its receipts.
    pub(super) fn has_departed(&self) -> bool {
        self.has_departed
    }

    /// How it stands from now on, if that is a change: it owes a receipt if it was asked at least one interval ago.
    fn restand(&mut self, asked: Standing) -> Option<(PageVisit, Standing)> {
        let standing = if self.receipts.is_settled() { Standing::UpToDate } else { asked };
        (mem::replace(&mut self.standing, standing) != standing).then(|| (self.visit.clone(), standing))
    }

    /// Its end, told once.
    fn depart(
        &mut self,
        app: Arc<str>,
        channels: Vec<ChannelName>,
        user: Option<String>,
        close: Option<Close>,
        window: Duration,
    ) -> Option<Departure> {
        if mem::replace(&mut self.has_departed, true) {
            return None;
        }
        let Before { user: old_user, positions, .. } = self.before.take().map(|before| *before).unwrap_or_default();
        let is_another = old_user.is_some() && user.is_some() && old_user != user;
        let user = user.or(old_user);
        let gives_up_id = is_another || close.is_some_and(ends_rights);
        let before = if self.began.elapsed() > RECLAIMED { Positions::default() } else { positions };
        let visit = self.visit.clone();
        Some(Departure { app, visit, channels, before, user, gives_up_id, window })
    }
}

impl Session {
    /// Begins once it is known what the page had.
    pub(super) fn await_start(&mut self, page: PageKey, ctx: &mut Context<Self>) {
        let shared = &self.connection.services.shared;
        let (pages, interval) = (shared.rooms.pages(), shared.pages.receipt_interval);
        let app_id = self.connection.app().id().clone();
        let (visit, start) = pages.arrive(app_id, page, ctx.address().downgrade().recipient());
        let begin = move |start: Result<PageStart, _>, session: &mut Self, ctx: &mut Context<Self>| match start {
            Ok(start) => {
                session.connection.id = start.socket;
                session.connection.page = Some(Box::new(PageSession::new(visit, start, interval)));
                session.begin(ctx);
            }
            Err(_) => session.connection.close(Close::Superseded),
        };
        ctx.wait(start.into_actor(self).map(begin));
    }

    /// Now and then asks the page whether it has heard what it was sent. Returns after how long it is to be called again.
    pub(super) fn await_receipt(&mut self) -> Duration {
        let (now, interval) = (Instant::now(), self.connection.services.shared.pages.receipt_interval);
        let Some(page) = &mut self.connection.page else { return Duration::MAX };
        let Some(pause) = page.pause(now, interval) else { return page.receipt_at - now };
        page.let_claimed_go();
        self.restand(Standing::Owing);
        let page = self.connection.page.as_ref();
        if page.is_some_and(|page| page.receipts.is_due(self.connection.outbox.sends())) {
            self.connection.ask_receipt();
        }
        pause
    }

    /// The other nodes know of a page that owes a receipt: if this node died, nobody could tell what it has heard.
    pub(super) fn restand(&mut self, asked: Standing) {
        let change = self.connection.page.as_mut().and_then(|page| page.restand(asked));
        if let Some((visit, standing)) = change {
            self.connection.services.shared.rooms.pages().stand(visit, standing);
        }
    }

    /// After each message of a page: it may have been the receipt that it owed.
    pub(super) fn restand_after_receipt(&mut self) {
        let standing = self.connection.page.as_ref().map(|page| page.standing);
        standing.into_iter().for_each(|standing| self.restand(standing));
    }

    /// Gives back what the session of a page holds; its rooms say how far the page has heard them.
    pub(super) fn give_back_page(&mut self) {
        let user = self.protocol.sign_out(&self.connection);
        let connection = &mut self.connection;
        let (close, grace) = (connection.outbox.closing(), connection.services.shared.pages.member_grace);
        let app = connection.app();
        let (app_id, window) = (app.id().clone(), app.settings().history.longest().unwrap_or(USUAL_WINDOW));
        connection
            .depart(grace_after(close, grace), |page, channels| page.depart(app_id, channels, user, close, window));
    }

    /// The rooms have let the page go: if it answers one last question, it has heard everything.
    fn ask_last_receipt(&mut self, ctx: &mut Context<Self>) {
        self.connection.ask_receipt();
        ctx.run_later(LAST_RECEIPT, |session, _| session.close_away());
    }

    /// After each message of a page that was sent away.
    pub(super) fn settle_away(&mut self) {
        let Some(page) = self.connection.page.as_ref().filter(|page| page.receipts.is_settled()) else { return };
        self.connection.services.shared.rooms.pages().prove(page.visit.clone());
        self.close_away();
    }

    fn close_away(&self) {
        self.connection.close(self.connection.client_protocol.going_away());
    }
}

impl Handler<SendAway> for Session {
    type Result = ();

    fn handle(&mut self, _: SendAway, ctx: &mut Context<Self>) {
        if self.connection.page.is_none() {
            return self.close_away();
        }
        self.give_back_page();
        ctx.run_later(LAST_ROOMS, |session, _| {
            if !session.is_sent_away {
                session.close_away();
            }
        });
    }
}

impl Handler<PageNotice> for Session {
    type Result = ();

    fn handle(&mut self, notice: PageNotice, ctx: &mut Context<Self>) {
        match notice {
            PageNotice::Superseded => {
                self.connection.close(Close::Superseded);
                self.give_back_page();
            }
            PageNotice::RoomsLeft if self.connection.outbox.closing().is_none() => {
                self.is_sent_away = true;
                self.ask_last_receipt(ctx);
            }
            PageNotice::RoomsLeft => {}
        }
    }
}

/// Whether a close takes a right away: what the page was authorised for holds no longer.
fn ends_rights(close: Close) -> bool {
    matches!(close, Close::Terminated | Close::NotAuthorisedInTime | Close::AppDisabled | Close::AppUnknown)
}

/// For how long a page's user stays a member after its session ended so.
fn grace_after(close: Option<Close>, grace: Duration) -> Duration {
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

    #[test]
    fn a_member_stays_as_long_as_its_page_is_likely_to_come_back() {
        let seconds = |close| grace_after(close, Duration::from_secs(10)).as_secs();
        assert_eq!(seconds(None), 10);
        assert_eq!(seconds(Some(Close::Draining)), 10);
        assert_eq!(seconds(Some(Close::Echo(None))), 2);
        assert_eq!(seconds(Some(Close::Echo(Some(1001)))), 2);
        assert_eq!(seconds(Some(Close::Echo(Some(1000)))), 0);
        assert_eq!(seconds(Some(Close::Terminated)), 0);
    }
}

//! What a session does for a page that names itself by a resume id: begins with what the page had, asks it for receipts, and
//! gives back the rooms so that the page can come back.

use std::time::{Duration, Instant};

use actix::{ActorFutureExt, AsyncContext, Context, Handler, Message, WrapFuture};

use gaung_cluster::page::Standing;

use super::{
    actor::Session,
    page_session::{LAST_RECEIPT, LAST_ROOMS, PageEnd, PageSession, grace_after},
};
use crate::{
    outbox::closing::SentAway,
    page::{PageKey, PageNotice, PageStart},
    protocol::Close,
};

/// For how long what a page heard is kept where no channel has a history.
const USUAL_WINDOW: Duration = Duration::from_secs(120);

/// For how long a socket stays open whose page has a newer one. A client that tries two ways at once must hear that it is
/// connected on the one before the other is closed, or it would begin anew.
const SUCCESSION: Duration = Duration::from_secs(1);

/// The session is to come back to another node: prove what was heard, then close.
#[derive(Message)]
#[rtype(result = "()")]
pub struct SendAway(pub SentAway);

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
                session.connection.page = Some(Box::new(PageSession::new(visit, start, interval, Instant::now())));
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
        if page.is_due_in(now) > Duration::ZERO {
            return page.is_due_in(now);
        }
        page.look(now, interval);
        self.restand(Standing::Owing);
        let page = self.connection.page.as_ref();
        if page.is_some_and(|page| page.is_to_be_asked(self.connection.outbox.sends(), now)) {
            self.connection.ask_receipt();
        }
        self.connection.page.as_ref().map_or(Duration::MAX, |page| page.is_due_in(now))
    }

    /// The other nodes know of a page that owes a receipt: if this node died, nobody could tell what it has heard.
    pub(super) fn restand(&mut self, asked: Standing) {
        let change = self.connection.page.as_mut().and_then(|page| page.restand(asked, Instant::now()));
        if let Some((visit, standing)) = change {
            self.connection.services.shared.rooms.pages().stand(visit, standing);
        }
    }

    /// After each message of a page: it may have been the receipt that it owed.
    pub(super) fn restand_after_receipt(&mut self) {
        let standing = self.connection.page.as_ref().map(|page| page.standing());
        standing.into_iter().for_each(|standing| self.restand(standing));
    }

    /// Gives back what the session of a page holds; its rooms say how far the page has heard them.
    pub(super) fn give_back_page(&mut self) {
        let user = self.protocol.sign_out(&self.connection);
        let connection = &mut self.connection;
        let (close, grace) = (connection.outbox.closing(), connection.services.shared.pages.member_grace);
        let app = connection.app();
        let window = app.settings().history.longest().unwrap_or(USUAL_WINDOW);
        let end = PageEnd { app: app.id().clone(), at: Instant::now(), user, close, window };
        connection.depart(grace_after(close, grace), |page, channels| page.depart(channels, end));
    }

    /// The rooms have let the page go: if it answers one last question, it has heard everything.
    fn ask_last_receipt(&mut self, ctx: &mut Context<Self>) {
        self.connection.ask_receipt();
        ctx.run_later(LAST_RECEIPT, |session, _| session.close_away());
    }

    /// After each message of a page that was sent away.
    pub(super) fn settle_away(&mut self) {
        let Some(page) = self.connection.page.as_ref().filter(|page| page.receipts().is_settled()) else { return };
        self.connection.services.shared.rooms.pages().prove(page.visit().clone());
        self.close_away();
    }

    fn close_away(&self) {
        self.connection.close(self.connection.client_protocol.sent_away(self.why_sent_away));
    }
}

impl Handler<SendAway> for Session {
    type Result = ();

    fn handle(&mut self, SendAway(why): SendAway, ctx: &mut Context<Self>) {
        self.why_sent_away = why;
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
                self.why_sent_away = SentAway::Superseded;
                self.give_back_page();
                ctx.run_later(SUCCESSION, |session, _| session.close_away());
            }
            PageNotice::RoomsLeft if self.why_sent_away == SentAway::Superseded => {}
            PageNotice::RoomsLeft if self.connection.outbox.closing().is_none() => {
                self.is_sent_away = true;
                self.ask_last_receipt(ctx);
            }
            PageNotice::RoomsLeft => {}
        }
    }
}

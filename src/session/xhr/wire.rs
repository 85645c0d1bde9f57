//! What the actor of a session hears of it: messages in order, at the pace of a socket, and the end.

use std::{
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use futures_util::Stream;
use tokio::time::{Instant, Sleep, sleep, sleep_until};

use super::{
    GAP, XhrKey,
    sessions::XhrSessions,
    shared::{Phase, XhrSession},
};
use crate::session::{pace::Pace, reader::Incoming};

/// What waits so long, while the client's answers are given nothing, was refused by its connection.
const REFUSED_AFTER: Duration = Duration::from_millis(50);

pub(super) struct XhrWire {
    key: XhrKey,
    session: Arc<XhrSession>,
    sessions: Arc<XhrSessions>,
    pace: Pace,
    /// Until when the next answer is awaited, or the last one may take.
    gap: Option<Pin<Box<Sleep>>>,
    /// When to look again for messages that are held.
    held: Option<Pin<Box<Sleep>>>,
    /// When to look again for what waits, and how often something was taken before.
    waiting: Option<(u64, Pin<Box<Sleep>>)>,
    is_closing: bool,
}

impl XhrWire {
    pub(super) fn new(key: XhrKey, session: Arc<XhrSession>, sessions: Arc<XhrSessions>, pace: Pace) -> Self {
        Self { key, session, sessions, pace, gap: None, held: None, waiting: None, is_closing: false }
    }

    /// Ready when the client is gone, or has been told that its session is over.
    fn poll_gone(&mut self, ctx: &mut Context<'_>) -> Poll<()> {
        match self.session.phase(ctx) {
            Phase::Lost => return Poll::Ready(()),
            Phase::Awaited(_) if self.is_closing && self.session.taken_of_more().is_none() => return Poll::Ready(()),
            Phase::Awaited(since) if !self.is_closing => {
                let until = since + GAP;
                let gap = self.gap.get_or_insert_with(|| Box::pin(sleep_until(until)));
                if gap.deadline() != until {
                    gap.as_mut().reset(until);
                }
            }
            Phase::Attached if !self.is_closing => self.gap = None,
            Phase::Awaited(_) | Phase::Attached => {}
        }
        self.gap.as_mut().map_or(Poll::Pending, |gap| gap.as_mut().poll(ctx))
    }

    fn poll_message(&mut self, ctx: &mut Context<'_>) -> Poll<Incoming> {
        if let Err(held) = ready!(self.pace.poll_take(ctx)) {
            return Poll::Ready(Incoming::Held(held));
        }
        loop {
            match self.session.pop() {
                Ok(incoming) => {
                    self.pace.count();
                    return Poll::Ready(incoming);
                }
                Err(None) => return Poll::Pending,
                Err(Some(due)) => {
                    let held = self.held.insert(Box::pin(sleep_until(due)));
                    ready!(held.as_mut().poll(ctx));
                }
            }
        }
    }

    /// Tells the outbox of a client that takes nothing: HTTP cannot say so itself.
    fn watch_waiting(&mut self, ctx: &mut Context<'_>) {
        let Some(taken) = self.session.taken_of_more() else {
            self.waiting = None;
            return;
        };
        let (before, timer) = self.waiting.get_or_insert_with(|| (taken, Box::pin(sleep(REFUSED_AFTER))));
        while timer.as_mut().poll(ctx).is_ready() {
            if *before == taken {
                self.session.outbox.refuse();
            }
            *before = taken;
            timer.as_mut().reset(Instant::now() + REFUSED_AFTER);
        }
    }
}

impl Stream for XhrWire {
    type Item = Incoming;

    fn poll_next(mut self: Pin<&mut Self>, ctx: &mut Context<'_>) -> Poll<Option<Incoming>> {
        let this = &mut *self;
        if this.poll_gone(ctx).is_ready() {
            return Poll::Ready(None);
        }
        if this.is_closing {
            return Poll::Pending;
        }
        if this.session.outbox.poll_closing(ctx).is_ready() {
            this.is_closing = true;
            this.gap = Some(Box::pin(sleep(GAP)));
            ctx.waker().wake_by_ref();
            return Poll::Ready(Some(Incoming::Closing));
        }
        let revoked = this.session.outbox.take_revoked();
        if !revoked.is_empty() {
            return Poll::Ready(Some(Incoming::Revoked(revoked)));
        }
        this.watch_waiting(ctx);
        this.poll_message(ctx).map(Some)
    }
}

impl Drop for XhrWire {
    fn drop(&mut self) {
        self.sessions.remove(&self.key, &self.session);
        self.session.end();
    }
}

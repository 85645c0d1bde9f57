//! The outbox of a session whose client hears it in the body of an HTTP answer. The server of HTTP takes from it what it can
//! send, and cannot be asked why it takes nothing; so the session looks after it, behind it: what is left in the queue then
//! was refused.

use std::{
    sync::{Arc, Mutex},
    task::{Context, Poll},
};

use bytes::Bytes;

use super::{Framing, Outbox, Queue, State};
use crate::protocol::deflate::Encoding;

impl Outbox {
    /// An outbox of server-sent events that may hold `limit` bytes.
    pub fn of_events(limit: usize) -> Arc<Self> {
        let queue = Queue { framing: Framing::Events, ..Queue::default() };
        Arc::new(Self { direct: None, encoding: Encoding::Plain, limit, queue: Mutex::new(queue) })
    }

    /// The next part of the body: one or more whole messages. `None` at its end.
    pub fn poll_part(&self, ctx: &mut Context<'_>) -> Poll<Option<Bytes>> {
        let mut queue = self.lock();
        if let Some(part) = queue.chunks.front().cloned() {
            queue.advance(part.len());
            if queue.chunks.is_empty() {
                queue.is_refused = false;
            }
            queue.wake_senders();
            return Poll::Ready(Some(part));
        }
        if queue.state != State::Open {
            return Poll::Ready(None);
        }
        queue.waker = Some(ctx.waker().clone());
        Poll::Pending
    }

    /// Ready when the outbox closes. Its task must run behind the one that takes the parts, and is woken with it.
    pub fn poll_end(&self, ctx: &mut Context<'_>) -> Poll<()> {
        let end = self.poll_closing(ctx);
        if end.is_pending() {
            self.refuse();
        }
        end
    }

    /// Ready when the outbox closes. Its task is woken with the one that takes the parts.
    pub fn poll_closing(&self, ctx: &mut Context<'_>) -> Poll<()> {
        let mut queue = self.lock();
        if queue.state != State::Open {
            return Poll::Ready(());
        }
        queue.session = Some(ctx.waker().clone());
        Poll::Pending
    }

    /// What waits was offered, and the client does not take it.
    pub fn refuse(&self) {
        let mut queue = self.lock();
        if !queue.chunks.is_empty() {
            queue.is_refused = true;
            queue.wake_senders();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::task::Waker;

    use super::*;
    use crate::protocol::Close;

    const PART: Bytes = Bytes::from_static(b"data: {}\n\n");

    fn poll<T>(poll: impl FnOnce(&mut Context<'_>) -> Poll<T>) -> Poll<T> {
        poll(&mut Context::from_waker(Waker::noop()))
    }

    fn take(outbox: &Outbox) -> Poll<Option<Bytes>> {
        poll(|ctx| outbox.poll_part(ctx))
    }

    #[test]
    fn parts_are_taken_in_order_and_the_last_one_says_when_to_come_back() {
        let outbox = Outbox::of_events(100);
        assert_eq!(take(&outbox), Poll::Pending);
        outbox.send(&PART);
        outbox.close(Close::GoingAway);
        outbox.send(&PART);
        assert_eq!(take(&outbox), Poll::Ready(Some(PART)));
        let Poll::Ready(Some(last)) = take(&outbox) else { panic!("the last part is missing") };
        assert!(last.starts_with(b"retry: ") && last.ends_with(b"\n\n"), "{last:?}");
        assert_eq!(take(&outbox), Poll::Ready(None));
        assert_eq!(outbox.closing(), Some(Close::GoingAway));
    }

    #[test]
    fn what_nobody_takes_counts_as_refused_once_the_session_has_looked() {
        let outbox = Outbox::of_events(100);
        (0..12).for_each(|_| outbox.send(&PART));
        assert!(outbox.is_crowded());
        assert_eq!((outbox.closing(), poll(|ctx| outbox.poll_end(ctx))), (None, Poll::Pending));
        assert!(!outbox.is_crowded());
        outbox.send(&PART);
        assert_eq!((outbox.closing(), poll(|ctx| outbox.poll_end(ctx))), (Some(Close::SlowConsumer), Poll::Ready(())));
    }

    #[test]
    fn a_client_that_has_taken_everything_may_be_sent_more_at_once() {
        let outbox = Outbox::of_events(100);
        outbox.send(&PART);
        assert_eq!(poll(|ctx| outbox.poll_end(ctx)), Poll::Pending);
        assert_eq!(take(&outbox), Poll::Ready(Some(PART)));
        (0..12).for_each(|_| outbox.send(&PART));
        assert_eq!(outbox.closing(), None);
    }
}

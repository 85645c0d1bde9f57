//! Outboxes and the sockets that they fill, one after the other.

use std::{io, pin::Pin};

use futures_util::FutureExt;

use super::*;

/// A socket that takes `room` bytes and then no more.
#[derive(Default)]
struct Narrow {
    room: usize,
    taken: Vec<u8>,
}

impl AsyncWrite for Narrow {
    fn poll_write(mut self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let count = bytes.len().min(self.room);
        if count == 0 {
            return Poll::Pending;
        }
        self.room -= count;
        self.taken.extend_from_slice(&bytes[..count]);
        Poll::Ready(Ok(count))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

async fn flush(outbox: &Outbox, socket: &mut Narrow) -> Flushed {
    poll_fn(|ctx| Poll::Ready(outbox.flush(socket, ctx))).await
}

#[actix::test]
async fn what_the_socket_refuses_is_written_later_in_order() {
    let outbox = Outbox::new(100);
    let mut socket = Narrow { room: 4, ..Narrow::default() };
    outbox.send(&frame::text("one"));
    outbox.send(&frame::text("two"));
    assert_eq!(flush(&outbox, &mut socket).await, Flushed::Open);
    socket.room = 100;
    assert_eq!(flush(&outbox, &mut socket).await, Flushed::Open);
    assert_eq!(socket.taken, b"\x81\x03one\x81\x03two");
}

#[actix::test]
async fn a_slow_consumer_gets_the_frame_it_had_begun_and_a_close_frame() {
    let outbox = Outbox::new(20);
    let mut socket = Narrow { room: 3, ..Narrow::default() };
    outbox.send(&frame::text("begun"));
    assert_eq!(flush(&outbox, &mut socket).await, Flushed::Open);
    outbox.send(&frame::text("dropped"));
    outbox.send(&frame::text("this is too much"));
    outbox.send(&frame::text("late"));
    socket.room = 1_000;
    assert_eq!(flush(&outbox, &mut socket).await, Flushed::Closed);
    let expected = [&frame::text("begun")[..], &Framing::WebSocket.last(Close::SlowConsumer)[..]].concat();
    assert_eq!(socket.taken, expected);
}

#[actix::test]
async fn what_no_socket_has_refused_yet_makes_nobody_a_slow_consumer() {
    let outbox = Outbox::new(20);
    let mut socket = Narrow { room: 1_000, ..Narrow::default() };
    for _ in 0..5 {
        outbox.send(&frame::text("ten bytes."));
    }
    assert_eq!(outbox.closing(), None);
    assert_eq!(flush(&outbox, &mut socket).await, Flushed::Open);
    assert_eq!(socket.taken, frame::text("ten bytes.").repeat(5));
}

#[actix::test]
async fn what_is_not_offered_has_a_bound_too() {
    let outbox = Outbox::new(20);
    for _ in 0..7 {
        outbox.send(&frame::text("ten bytes."));
    }
    assert_eq!(outbox.closing(), Some(Close::SlowConsumer));
}

#[actix::test]
async fn rooms_wait_until_the_socket_was_offered_what_waits() {
    let outbox = Outbox::new(20);
    outbox.offered().await;
    outbox.send(&frame::text("ten bytes."));
    assert!(outbox.is_crowded());
    let mut offered = std::pin::pin!(outbox.offered());
    assert!(offered.as_mut().now_or_never().is_none());
    // It takes little, which is the client's matter from now on, and no reason to wait.
    let mut socket = Narrow { room: 3, ..Narrow::default() };
    assert_eq!(flush(&outbox, &mut socket).await, Flushed::Open);
    assert!(offered.as_mut().now_or_never().is_some());
    assert!(!outbox.is_crowded());
}

#[actix::test]
async fn rooms_do_not_wait_for_a_session_that_is_over() {
    let outbox = Outbox::new(20);
    outbox.send(&frame::text("ten bytes."));
    let mut offered = std::pin::pin!(outbox.offered());
    assert!(offered.as_mut().now_or_never().is_none());
    outbox.abandon();
    assert!(offered.as_mut().now_or_never().is_some());
}

#[actix::test]
async fn the_end_of_a_session_does_not_change_why_it_closed() {
    let outbox = Outbox::new(20);
    outbox.close(Close::Silent);
    outbox.abandon();
    assert_eq!(outbox.closing(), Some(Close::Silent));
}

#[actix::test]
async fn nothing_follows_a_close_frame() {
    let outbox = Outbox::new(100);
    let mut socket = Narrow { room: 1_000, ..Narrow::default() };
    outbox.close(Close::Echo(Some(1000)));
    outbox.close(Close::Draining);
    outbox.send(&frame::text("late"));
    assert_eq!(flush(&outbox, &mut socket).await, Flushed::Closed);
    assert_eq!(socket.taken, b"\x88\x02\x03\xe8");
}

#[actix::test]
async fn one_frame_larger_than_the_limit_passes_while_nothing_waits() {
    let outbox = Outbox::new(10);
    let mut socket = Narrow { room: 1_000, ..Narrow::default() };
    outbox.send(&frame::text("longer than ten bytes"));
    assert_eq!(flush(&outbox, &mut socket).await, Flushed::Open);
    assert_eq!(socket.taken, frame::text("longer than ten bytes"));
}

#[actix::test]
async fn a_client_that_was_given_up_stays_so_although_its_socket_breaks_then() {
    let outbox = Outbox::new(20);
    let mut socket = Narrow::default();
    outbox.send(&frame::text("begun"));
    assert_eq!(flush(&outbox, &mut socket).await, Flushed::Open);
    outbox.send(&frame::text("this is too much, and more"));
    let (mut broken, other_end) = tokio::io::duplex(1);
    drop(other_end);
    assert_eq!(poll_fn(|ctx| Poll::Ready(outbox.flush(&mut broken, ctx))).await, Flushed::Dead);
    assert_eq!(outbox.closing(), Some(Close::SlowConsumer));
}

#[actix::test]
async fn a_task_without_a_share_of_the_thread_left_refuses_nothing_and_asks_again() {
    let outbox = Outbox::new(20);
    outbox.send(&frame::text("more than half of it"));
    let mut turns = 0;
    poll_fn(|ctx| {
        turns += 1;
        if turns == 1 {
            while coop::has_budget_remaining() {
                std::task::ready!(coop::poll_proceed(ctx)).made_progress();
            }
        }
        outbox.flush(&mut Narrow::default(), ctx);
        assert_eq!(outbox.is_crowded(), turns == 1);
        if turns == 1 { Poll::Pending } else { Poll::Ready(()) }
    })
    .await;
}

//! The bounded write half of one session's socket. Rooms on any thread write to it; it never blocks them.
//!
//! Invariant: bytes reach the socket in the order of `send`, whole frames only, and nothing follows a close frame.

use std::{
    collections::VecDeque,
    io::{self, ErrorKind},
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard},
    task::{Context, Poll, Waker, ready},
};

use bytes::{Buf, Bytes};
use tokio::{io::AsyncWrite, net::TcpStream};

use crate::protocol::{Close, frame};

/// Shared by a session and its rooms. `send` writes at once while the kernel takes everything; what it refuses waits,
/// bounded in bytes, for the session's task. TLS sockets always queue.
#[derive(Debug)]
pub struct Outbox {
    direct: Option<Arc<TcpStream>>,
    limit: usize,
    queue: Mutex<Queue>,
}

#[derive(Debug, Default)]
struct Queue {
    chunks: VecDeque<Bytes>,
    bytes: usize,
    state: State,
    waker: Option<Waker>,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum State {
    #[default]
    Open,
    /// A close frame is the last chunk; nothing is accepted any more.
    Closing(Close),
    /// The socket failed or is done.
    Dead,
}

/// What a flush left behind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flushed {
    /// Everything is written, or the socket takes no more now.
    Open,
    /// A close frame waits behind what the socket does not take.
    Closing,
    /// The close frame is written; no more will come.
    Closed,
    /// The socket does not work any more.
    Dead,
}

impl Outbox {
    /// An outbox that may hold `limit` bytes. `direct` is the socket if frames may be written to it as they are.
    pub fn new(direct: Option<Arc<TcpStream>>, limit: usize) -> Arc<Self> {
        Arc::new(Self { direct, limit, queue: Mutex::default() })
    }

    /// Sends whole frames. Once something waits and the limit is reached, the client is a slow consumer: what waits is
    /// dropped and the session closes.
    pub fn send(&self, frames: &Bytes) {
        let mut queue = self.lock();
        if queue.state != State::Open {
            return;
        }
        let written = match &self.direct {
            Some(socket) if queue.chunks.is_empty() => match socket.try_write(frames) {
                Ok(written) => written,
                Err(error) if error.kind() == ErrorKind::WouldBlock => 0,
                Err(_) => return queue.die(),
            },
            _ => 0,
        };
        if written == frames.len() {
            return;
        }
        if queue.bytes > 0 && queue.bytes + frames.len() > self.limit {
            queue.give_up();
        } else {
            queue.push(frames.slice(written..));
        }
    }

    /// Sends a close frame after what waits; whatever is sent later is dropped. The first call wins.
    pub fn close(&self, close: Close) {
        let mut queue = self.lock();
        if queue.state == State::Open {
            queue.close(close);
        }
    }

    /// Why the session is closing, once it is.
    pub fn closing(&self) -> Option<Close> {
        match self.lock().state {
            State::Closing(close) => Some(close),
            State::Open | State::Dead => None,
        }
    }

    /// Writes what waits, as far as the socket takes it. The task is woken when the socket takes more, when something
    /// is queued and when the outbox closes.
    pub fn flush<S: AsyncWrite + Unpin>(&self, socket: &mut S, ctx: &mut Context<'_>) -> Flushed {
        let mut queue = self.lock();
        queue.waker = Some(ctx.waker().clone());
        let written = queue.poll_write(socket, ctx);
        if let Poll::Ready(Err(_)) = written {
            queue.die();
        }
        match (queue.state, written.is_ready()) {
            (State::Open, _) => Flushed::Open,
            (State::Closing(_), false) => Flushed::Closing,
            (State::Closing(_), true) => Flushed::Closed,
            (State::Dead, _) => Flushed::Dead,
        }
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().expect("no thread panics while it holds an outbox")
    }
}

impl Queue {
    /// Queues a chunk. The task that flushes is woken only by the first one: it watches the socket while more wait.
    fn push(&mut self, chunk: Bytes) {
        self.bytes += chunk.len();
        self.chunks.push_back(chunk);
        if self.chunks.len() == 1 {
            self.wake();
        }
    }

    fn poll_write<S: AsyncWrite + Unpin>(&mut self, socket: &mut S, ctx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while let Some(chunk) = self.chunks.front() {
            match ready!(Pin::new(&mut *socket).poll_write(ctx, chunk))? {
                0 => return Poll::Ready(Err(ErrorKind::WriteZero.into())),
                written => self.advance(written),
            }
        }
        Pin::new(socket).poll_flush(ctx)
    }

    fn advance(&mut self, written: usize) {
        self.bytes -= written;
        let head = self.chunks.front_mut().expect("what was written stood at the head");
        head.advance(written);
        if head.is_empty() {
            self.chunks.pop_front();
        }
        if self.chunks.is_empty() {
            // An idle session keeps no queue.
            self.chunks = VecDeque::new();
        }
    }

    /// Ends the stream of a client that does not read. The head stays: a part of it may be on the wire already.
    fn give_up(&mut self) {
        self.chunks.truncate(1);
        self.bytes = self.chunks.front().map_or(0, Bytes::len);
        self.close(Close::SlowConsumer);
    }

    fn close(&mut self, close: Close) {
        self.push(close_frame(close));
        self.state = State::Closing(close);
        self.wake();
    }

    fn die(&mut self) {
        self.chunks = VecDeque::new();
        self.bytes = 0;
        self.state = State::Dead;
        self.wake();
    }

    fn wake(&mut self) {
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }
}

fn close_frame(close: Close) -> Bytes {
    match close {
        Close::Echo(code) => frame::close(code, ""),
        close => frame::close(Some(close.code()), close.text()),
    }
}

#[cfg(test)]
mod tests {
    use futures_util::future::poll_fn;

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
        let outbox = Outbox::new(None, 100);
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
        let outbox = Outbox::new(None, 20);
        let mut socket = Narrow { room: 3, ..Narrow::default() };
        outbox.send(&frame::text("begun"));
        assert_eq!(flush(&outbox, &mut socket).await, Flushed::Open);
        outbox.send(&frame::text("dropped"));
        outbox.send(&frame::text("this is too much"));
        outbox.send(&frame::text("late"));
        socket.room = 1_000;
        assert_eq!(flush(&outbox, &mut socket).await, Flushed::Closed);
        let expected = [&frame::text("begun")[..], &close_frame(Close::SlowConsumer)[..]].concat();
        assert_eq!(socket.taken, expected);
    }

    #[actix::test]
    async fn nothing_follows_a_close_frame() {
        let outbox = Outbox::new(None, 100);
        let mut socket = Narrow { room: 1_000, ..Narrow::default() };
        outbox.close(Close::Echo(Some(1000)));
        outbox.close(Close::Draining);
        outbox.send(&frame::text("late"));
        assert_eq!(flush(&outbox, &mut socket).await, Flushed::Closed);
        assert_eq!(socket.taken, b"\x88\x02\x03\xe8");
    }

    #[actix::test]
    async fn one_frame_larger_than_the_limit_passes_while_nothing_waits() {
        let outbox = Outbox::new(None, 10);
        let mut socket = Narrow { room: 1_000, ..Narrow::default() };
        outbox.send(&frame::text("longer than ten bytes"));
        assert_eq!(flush(&outbox, &mut socket).await, Flushed::Open);
        assert_eq!(socket.taken, frame::text("longer than ten bytes"));
    }
}

//! The bounded write half of one session's socket. Rooms on any thread write to it; it never blocks them.
//!
//! Invariants: bytes reach the socket in the order of `send`, whole frames only, and nothing follows a close frame.
//!
//! What waits is bounded. Once the socket has refused bytes, at most `limit` wait: a client over it reads too slowly. What
//! was not offered to a socket yet, because it is the body of an answer and the server of HTTP had no turn, says nothing
//! about the client: from half of the limit on rooms wait for that turn (see [`Outbox::offered`]) before they send another
//! batch. Nobody else sends much, but what does not wait may be up to `UNOFFERED` limits. All this is shared by those who
//! get the same, so that a burst takes its own size once, not once per socket; but for some that is encrypted already.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard},
    task::{Context, Poll, Waker},
};

use bytes::{Buf, Bytes};
use futures_util::future::poll_fn;
use tokio::{io::AsyncWrite, net::TcpStream, task::coop};

use crate::{
    protocol::{ChannelName, ChannelPattern, Close, deflate::Encoding, frame},
    tenant::stream,
    tls_stream::Tls,
};

mod answer;
pub mod closing;
mod transport;

pub use transport::Transport;

/// How many limits may wait for a socket that was not asked whether it takes them.
const UNOFFERED: usize = 4;

/// Shared by a session and its rooms. `send` writes at once while the kernel takes everything; what it refuses waits,
/// bounded in bytes, for the session's task.
#[derive(Debug)]
pub struct Outbox {
    direct: Option<Arc<TcpStream>>,
    encoding: Encoding,
    limit: usize,
    queue: Mutex<Queue>,
}

/// A room did not take the socket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefusedJoin {
    /// Which channel.
    pub channel: ChannelName,
    /// Which attempt.
    pub attempt: u32,
}

/// What the bytes are that the outbox is sent, as far as it adds some of its own.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Framing {
    /// Frames of WebSocket.
    #[default]
    WebSocket,
    /// Server-sent events in the answer to a request.
    Events,
}

#[derive(Debug, Default)]
struct Queue {
    framing: Framing,
    /// What encrypts for the socket, where its client speaks TLS.
    tls: Option<Box<Tls>>,
    chunks: VecDeque<Bytes>,
    bytes: usize,
    /// How often something was sent.
    sends: u64,
    state: State,
    /// Whether the socket has refused what stands at the head.
    is_refused: bool,
    waker: Option<Waker>,
    /// The session of an answer, which is told what its answer cannot tell: see [`Outbox::poll_end`].
    session: Option<Waker>,
    /// Rooms that wait until the socket was offered what waits.
    senders: Vec<Waker>,
    /// Joins that rooms refused and the session does not know of yet: so many as it has sent since it looked last.
    refused: Vec<RefusedJoin>,
    /// Channels that a back end takes from the user, and the session does not know of yet.
    revoked: Vec<Arc<[ChannelPattern]>>,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum State {
    #[default]
    Open,
    /// A close frame is the last chunk; nothing is accepted any more.
    Closing(Close),
    /// The socket failed or is done, after this close if it was decided before.
    Dead(Option<Close>),
}

/// How far a client is behind, by what waits for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lag {
    /// At most a quarter of what may wait, or nothing is sent to it any more.
    Little,
    /// Up to a half.
    Some,
    /// More.
    Much,
}

/// What a flush left behind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flushed {
    /// Everything is written, or the socket takes no more now.
    Open,
    /// The same, and some channels were [revoked](Outbox::take_revoked).
    Revoked,
    /// A close frame waits behind what the socket does not take.
    Closing,
    /// The close frame is written; no more will come.
    Closed,
    /// The socket does not work any more.
    Dead,
}

impl Outbox {
    /// An outbox that may hold `limit` bytes, of which the session's task writes all.
    pub fn new(limit: usize) -> Arc<Self> {
        Arc::new(Self { direct: None, encoding: Encoding::Plain, limit, queue: Mutex::default() })
    }

    /// How the client wants its events.
    pub fn encoding(&self) -> Encoding {
        self.encoding
    }

    /// Sends whole frames. Once the socket has refused some and the limit is reached, the client is a slow consumer: what
    /// waits is dropped and the session closes.
    pub fn send(&self, frames: &Bytes) {
        self.write(frames);
    }

    /// Sends whole frames, and returns how far the client is behind then.
    pub fn write(&self, frames: &Bytes) -> Lag {
        let mut queue = self.lock();
        if queue.state == State::Open {
            queue.sends += 1;
            self.write_to(&mut queue, frames);
        }
        queue.lag(self.limit)
    }

    fn write_to(&self, queue: &mut Queue, frames: &Bytes) {
        let waiting = queue.waiting();
        let written = match &self.direct {
            Some(socket) if waiting == 0 => match queue.try_write(socket, frames) {
                Ok(written) => written,
                Err(_) => return queue.die(),
            },
            _ => 0,
        };
        if written == frames.len() && queue.waiting() == 0 {
            return;
        }
        queue.is_refused |= self.direct.is_some();
        let limit = if queue.is_refused { self.limit } else { self.limit.saturating_mul(UNOFFERED) };
        if waiting > 0 && waiting + frames.len() > limit {
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

    /// Whether so much waits for its first offer to the socket that it is better to send no more; never where frames are
    /// offered as they are sent.
    pub fn is_crowded(&self) -> bool {
        self.direct.is_none() && self.lock().is_crowded(self.limit)
    }

    /// Ends when the outbox is not crowded.
    pub async fn offered(&self) {
        poll_fn(|ctx| {
            let mut queue = self.lock();
            if !queue.is_crowded(self.limit) {
                return Poll::Ready(());
            }
            queue.senders.push(ctx.waker().clone());
            Poll::Pending
        })
        .await;
    }

    /// Nobody writes to the socket any longer.
    pub fn abandon(&self) {
        self.lock().abandon();
    }

    /// Why the session is closing, once it is, also where its client did not wait for the end of it.
    pub fn closing(&self) -> Option<Close> {
        self.lock().closing()
    }

    /// How far the client is behind.
    pub fn lag(&self) -> Lag {
        self.lock().lag(self.limit)
    }

    /// How often something was sent.
    pub fn sends(&self) -> u64 {
        self.lock().sends
    }

    /// Bytes that wait for the socket.
    pub fn waiting(&self) -> usize {
        self.lock().waiting()
    }

    /// A room did not take the socket. Its session learns of it before it hears its client again.
    pub fn refuse_join(&self, refused: RefusedJoin) {
        self.lock().refused.push(refused);
    }

    /// Closes the session if it is subscribed to a channel that one of these matches.
    pub fn revoke(&self, patterns: Arc<[ChannelPattern]>) {
        let mut queue = self.lock();
        queue.revoked.push(patterns);
        queue.wake();
    }

    /// The channels that were revoked since the last call.
    pub fn take_revoked(&self) -> Vec<Arc<[ChannelPattern]>> {
        std::mem::take(&mut self.lock().revoked)
    }

    /// The joins that were refused since the last call.
    pub fn take_refused(&self) -> Vec<RefusedJoin> {
        std::mem::take(&mut self.lock().refused)
    }

    /// Writes what waits, as far as the socket takes it. The task is woken when the socket takes more, when something
    /// is queued and when the outbox closes.
    pub fn flush<S: AsyncWrite + Unpin>(&self, socket: &mut S, ctx: &mut Context<'_>) -> Flushed {
        let mut queue = self.lock();
        match &mut queue.waker {
            Some(waker) => waker.clone_from(ctx.waker()),
            None => queue.waker = Some(ctx.waker().clone()),
        }
        let written = queue.poll_write(socket, ctx);
        if let Poll::Ready(Err(_)) = written {
            queue.die();
        }
        // A task that has had its share of the thread is stopped in the same way, whatever its socket would take: it asks
        // again in its next turn, or rooms would wait for an answer that nobody gives.
        let is_stopped = written.is_pending() && !coop::has_budget_remaining();
        if is_stopped {
            ctx.waker().wake_by_ref();
        }
        queue.is_refused = written.is_pending() && (queue.is_refused || !is_stopped);
        queue.wake_senders();
        match (queue.state, written.is_ready()) {
            (State::Open, _) if !queue.revoked.is_empty() => Flushed::Revoked,
            (State::Open, _) => Flushed::Open,
            (State::Closing(_), false) => Flushed::Closing,
            (State::Closing(_), true) => Flushed::Closed,
            (State::Dead(_), _) => Flushed::Dead,
        }
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().expect("no thread panics while it holds an outbox")
    }
}

impl Queue {
    /// Queues a chunk, of which nothing may be left but what is encrypted. The task that flushes is woken only by the first
    /// one: it watches the socket while more wait.
    fn push(&mut self, chunk: Bytes) {
        if self.chunks.is_empty() {
            self.wake();
        }
        if !chunk.is_empty() {
            self.bytes += chunk.len();
            self.chunks.push_back(chunk);
        }
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

    fn lag(&self, limit: usize) -> Lag {
        match self.waiting() {
            _ if self.state != State::Open => Lag::Little,
            bytes if bytes <= limit / 4 => Lag::Little,
            bytes if bytes <= limit / 2 => Lag::Some,
            _ => Lag::Much,
        }
    }

    fn is_crowded(&self, limit: usize) -> bool {
        self.state == State::Open && !self.is_refused && self.bytes >= limit / 2
    }

    /// Ends the stream of a client that does not read. The head stays: a part of it may be on the wire already.
    fn give_up(&mut self) {
        self.chunks.truncate(1);
        self.bytes = self.chunks.front().map_or(0, Bytes::len);
        self.close(Close::SlowConsumer);
    }

    fn close(&mut self, close: Close) {
        self.push(self.framing.last(close));
        self.state = State::Closing(close);
        self.wake();
        self.wake_senders();
    }

    fn die(&mut self) {
        self.state = State::Dead(self.closing());
        self.abandon();
        self.wake();
    }

    fn closing(&self) -> Option<Close> {
        match self.state {
            State::Closing(close) => Some(close),
            State::Dead(closing) => closing,
            State::Open => None,
        }
    }

    /// Forgets what waits, and remembers why it closed.
    fn abandon(&mut self) {
        self.chunks = VecDeque::new();
        self.bytes = 0;
        self.tls = None;
        if self.state == State::Open {
            self.state = State::Dead(None);
        }
        self.wake_senders();
    }

    fn wake_senders(&mut self) {
        std::mem::take(&mut self.senders).into_iter().for_each(Waker::wake);
    }

    /// The answer is asked first whether it takes something; its session looks then what is left.
    fn wake(&mut self) {
        self.waker.take().into_iter().chain(self.session.take()).for_each(Waker::wake);
    }
}

impl Framing {
    /// What is sent last.
    fn last(self, close: Close) -> Bytes {
        match (self, close) {
            (Self::WebSocket, Close::Echo(code)) => frame::close(code, ""),
            (Self::WebSocket, close) => frame::close(Some(close.code()), close.text()),
            (Self::Events, close) => stream::retry(stream::pause(Some(close), rand::random())),
        }
    }
}

#[cfg(test)]
mod tests;

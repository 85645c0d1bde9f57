//! What the answers, the requests and the actor of one session share, on whatever threads they are.

use std::{
    mem,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker},
    time::Duration,
};

use bytes::Bytes;
use futures_util::future::poll_fn;
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{Instant, timeout},
};

use super::sends::Sends;
use crate::{
    outbox::{Outbox, closing::ClientProtocol},
    protocol::{Close, frame, xhr::Lines},
    session::reader::Incoming,
};

/// What a message takes beside its bytes.
const OVERHEAD: usize = 64;

/// How many connections may count as a session's and not as connections of HTTP: one that is given an answer, and one that
/// has still to take its last.
const CONNECTIONS: usize = 2;

/// How long a request may wait until its messages are taken: they come no faster than a socket would be read.
const PATIENCE: Duration = Duration::from_secs(30);

/// One session.
pub(super) struct XhrSession {
    pub(super) outbox: Arc<Outbox>,
    /// The longest message.
    max_message: usize,
    /// Bytes that may wait to be heard.
    room: Arc<Semaphore>,
    window: usize,
    connections: Arc<Semaphore>,
    state: Mutex<State>,
}

struct State {
    sends: Sends<Sent>,
    /// Counts the answers: only the last one is given something.
    receive: u64,
    /// Frames that the answers have not begun with.
    rest: Bytes,
    /// How often the answers were given something.
    taken: u64,
    phase: Phase,
    wire: Option<Waker>,
    body: Option<Waker>,
}

/// Where a session stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// Its client is given an answer.
    Attached,
    /// The last answer has ended; the next is awaited since then.
    Awaited(Instant),
    /// The client has gone in the middle of an answer.
    Lost,
}

/// A message, and what it has of the bytes that may wait.
type Sent = (Incoming, OwnedSemaphorePermit);

/// The messages of a request were not taken in time.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Held;

impl XhrSession {
    /// A session whose first answer is that to the request of this number.
    pub(super) fn new(outbox: Arc<Outbox>, max_message: usize, first: Option<u64>) -> Arc<Self> {
        let window = max_message.saturating_mul(2).saturating_add(1 << 16).min(Semaphore::MAX_PERMITS);
        let state = State {
            sends: Sends::after(first),
            receive: 0,
            rest: Bytes::new(),
            taken: 0,
            phase: Phase::Awaited(Instant::now()),
            wire: None,
            body: None,
        };
        let (room, connections) = (Arc::new(Semaphore::new(window)), Arc::new(Semaphore::new(CONNECTIONS)));
        Arc::new(Self { outbox, max_message, room, window, connections, state: Mutex::new(state) })
    }

    /// Another answer goes on with what waits; an earlier one ends. Returns its number.
    pub(super) fn attach(&self, request: Option<u64>) -> u64 {
        let mut state = self.lock();
        state.receive += 1;
        state.phase = Phase::Attached;
        state.sends.take(request, Vec::new(), Instant::now());
        state.wake();
        state.receive
    }

    /// The answer has ended, or its client has.
    pub(super) fn detach(&self, receive: u64, phase: Phase) {
        let mut state = self.lock();
        if state.receive == receive && state.phase == Phase::Attached {
            state.phase = phase;
            state.wake();
        }
    }

    /// Adds what waits to an answer, up to some bytes. Ready when nothing more will come to it: it is full, another one has
    /// taken its place, or the session is over.
    pub(super) fn poll_lines(&self, receive: u64, lines: &mut Lines, most: usize, ctx: &mut Context<'_>) -> Poll<()> {
        let mut state = self.lock();
        if state.receive != receive {
            return Poll::Ready(());
        }
        while !lines.are_full() {
            if lines.text.len() >= most {
                return Poll::Pending;
            }
            if state.rest.is_empty() {
                match self.outbox.poll_part(ctx) {
                    Poll::Ready(Some(part)) => state.rest = part,
                    Poll::Ready(None) => break,
                    Poll::Pending => {
                        state.body = Some(ctx.waker().clone());
                        return Poll::Pending;
                    }
                }
            }
            state.taken += 1;
            lines.take_frame(&mut state.rest);
        }
        Poll::Ready(())
    }

    /// What waits for the client, as one answer, as soon as there is something. Nothing of it is lost where nobody waits for it.
    pub(super) async fn next_lines(self: &Arc<Self>, request: Option<u64>, most: usize) -> String {
        let answer = Attached { session: self.clone(), number: self.attach(request) };
        let mut lines = Lines::default();
        poll_fn(|ctx| match self.poll_lines(answer.number, &mut lines, most, ctx) {
            Poll::Pending if lines.text.is_empty() => Poll::Pending,
            _ => Poll::Ready(()),
        })
        .await;
        lines.text
    }

    /// Takes the messages of a request, as soon as there is room for them.
    pub(super) async fn take(&self, request: Option<u64>, messages: Vec<String>) -> Result<(), Held> {
        let incoming = self.incoming_of(messages);
        let room = self.room.clone().acquire_many_owned(self.cost(&incoming));
        let Ok(Ok(room)) = timeout(PATIENCE, room).await else {
            ClientProtocol::Pusher.close(&self.outbox, Close::OverMessageRate);
            return Err(Held);
        };
        self.queue(request, incoming, room);
        Ok(())
    }

    /// The same, if there is room for them now.
    pub(super) fn take_at_once(&self, request: Option<u64>, messages: Vec<String>) -> bool {
        let incoming = self.incoming_of(messages);
        let room = self.room.clone().try_acquire_many_owned(self.cost(&incoming));
        room.map(|room| self.queue(request, incoming, room)).is_ok()
    }

    fn queue(&self, request: Option<u64>, incoming: Vec<Incoming>, mut room: OwnedSemaphorePermit) {
        let asks = incoming.contains(&Incoming::Part);
        let sent = incoming.into_iter().map(|incoming| {
            let own = cost_of(&incoming).min(room.num_permits());
            (incoming, room.split(own).expect("no more than there are"))
        });
        let sent = sent.collect();
        let mut state = self.lock();
        state.sends.take(request, sent, Instant::now());
        state.wire.take().into_iter().for_each(Waker::wake);
        drop(state);
        if asks {
            self.outbox.send(&frame::ping(&[]));
        }
    }

    /// A request without messages asks for a sign of life.
    fn incoming_of(&self, messages: Vec<String>) -> Vec<Incoming> {
        if messages.is_empty() {
            return vec![Incoming::Part];
        }
        let is_long = |message: &String| message.len() > self.max_message;
        let incoming = |message| match is_long(&message) {
            true => Incoming::Broken(Close::TooLarge),
            false => Incoming::Text(message),
        };
        messages.into_iter().map(incoming).collect()
    }

    fn cost(&self, incoming: &[Incoming]) -> u32 {
        let cost = incoming.iter().map(cost_of).sum::<usize>().min(self.window);
        u32::try_from(cost).unwrap_or(u32::MAX)
    }

    /// Where the session stands; the task is woken when that changes, and when something was sent.
    pub(super) fn phase(&self, ctx: &mut Context<'_>) -> Phase {
        let mut state = self.lock();
        state.wire = Some(ctx.waker().clone());
        state.phase
    }

    /// Whether the client is still there.
    pub(super) fn is_wanted(&self) -> bool {
        self.lock().phase != Phase::Lost
    }

    /// The next message of the client, or when what is held is heard at the latest.
    pub(super) fn pop(&self) -> Result<Incoming, Option<Instant>> {
        let mut state = self.lock();
        match state.sends.pop(Instant::now()) {
            Some((incoming, _room)) => Ok(incoming),
            None => Err(state.sends.due()),
        }
    }

    /// How often its answers were given something, where something else waits.
    pub(super) fn taken_of_more(&self) -> Option<u64> {
        let state = self.lock();
        (!state.rest.is_empty() || self.outbox.waiting() > 0).then_some(state.taken)
    }

    /// The client goes on with another node.
    pub(super) fn lose(&self) {
        let mut state = self.lock();
        state.receive += 1;
        state.phase = Phase::Lost;
        state.wake();
    }

    /// The right of one more connection to count as this session's alone.
    pub(super) fn connection_permit(&self) -> Option<OwnedSemaphorePermit> {
        self.connections.clone().try_acquire_owned().ok()
    }

    /// The session is over: an answer that is still given ends.
    pub(super) fn end(&self) {
        self.outbox.abandon();
        self.lock().wake();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An answer that somebody else gives; the next one is awaited when it is dropped.
struct Attached {
    session: Arc<XhrSession>,
    number: u64,
}

impl Drop for Attached {
    fn drop(&mut self) {
        self.session.detach(self.number, Phase::Awaited(Instant::now()));
    }
}

fn cost_of(incoming: &Incoming) -> usize {
    let bytes = if let Incoming::Text(text) = incoming { text.len() } else { 0 };
    bytes + OVERHEAD
}

impl State {
    fn wake(&mut self) {
        mem::take(&mut self.wire).into_iter().chain(mem::take(&mut self.body)).for_each(Waker::wake);
    }
}

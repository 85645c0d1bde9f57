//! The NATS client as the bus thread uses it: nothing here ever waits.
//!
//! A frame that the client's queue has no room for is dropped and counted: gaps and heads repair it. A subscription for
//! which there is no room waits for its turn, and until then all frames are dropped, so that no barrier can pass it. What
//! waits is among the rooms that are listened to: there is never more of it than of those.

use std::{
    collections::{BTreeMap, HashMap},
    pin::Pin,
    sync::{Arc, atomic::Ordering::Relaxed},
    task::{Context, Poll, ready},
    time::Duration,
};

use async_nats::{Client, Subscriber, connection::State};
use bytes::Bytes;
use futures_util::{
    FutureExt, Stream, StreamExt,
    stream::{AbortHandle, Abortable, SelectAll, abortable},
};
use tokio::task::unconstrained;

use super::{permits, status::Gauges};
use crate::{
    room::Room,
    subject::{Subject, Subjects},
};

/// How long the last words may take to leave.
pub(super) const LAST_WORDS: Duration = Duration::from_millis(500);

/// Orders or messages taken at once at most, before the client's own tasks have their turn.
pub(super) const BATCH: usize = 256;

/// Bytes of messages taken at once, exceeded by one message at most: of facts these are some 2,000, which take several
/// milliseconds on a node that knows a million.
pub(super) const BATCH_BYTES: usize = 64 << 10;

/// Subscriptions that may have ended and are still held.
const MAX_ENDED: usize = 256;

/// A client and what we listen to.
pub(super) struct Wire {
    client: Client,
    subjects: Subjects,
    gauges: Arc<Gauges>,
    streams: SelectAll<Abortable<Subscription>>,
    rooms: HashMap<Room, Listening>,
    /// Subscriptions for which the client had no room yet, in their order.
    waiting: BTreeMap<u64, Subject>,
    asked: u64,
}

/// Messages that are taken at once.
#[derive(Default)]
pub(super) struct Batch {
    messages: Vec<(Subject, Bytes)>,
    bytes: usize,
}

/// How a room is listened to.
enum Listening {
    /// Its subscription waits for its turn.
    Waiting(u64),
    /// It is subscribed.
    Subscribed(AbortHandle),
}

/// One subject's messages. It is no pattern, so all of them are of this subject.
struct Subscription {
    subject: Subject,
    subscriber: Subscriber,
}

impl Wire {
    pub fn new(client: Client, subjects: Subjects, gauges: Arc<Gauges>) -> Self {
        let (streams, rooms, waiting) = (SelectAll::new(), HashMap::new(), BTreeMap::new());
        Self { client, subjects, gauges, streams, rooms, waiting, asked: 0 }
    }

    /// Which connection stands, counted from the start; `None` if there is none.
    pub fn connection(&self) -> Option<u64> {
        let count = self.client.statistics().connects.load(Relaxed);
        match self.client.connection_state() {
            State::Connected => Some(count),
            State::Pending | State::Disconnected => None,
        }
    }

    /// Bytes of one message at most, as the server said when it greeted us.
    pub fn max_message(&self) -> usize {
        self.client.max_payload()
    }

    /// Publishes a frame, or drops it.
    pub fn publish(&mut self, subject: &Subject, bytes: Bytes) {
        self.subscribe_waiting();
        let bytes = permits::until_written(bytes, &self.gauges);
        let publish = self.client.publish(self.subjects.write(subject), bytes);
        let is_taken = self.waiting.is_empty() && matches!(at_once(publish), Some(Ok(())));
        if !is_taken {
            self.gauges.dropped.fetch_add(1, Relaxed);
        }
    }

    /// Listens to a subject.
    pub fn subscribe(&mut self, subject: Subject) {
        self.asked += 1;
        if let Subject::Room(room) = &subject {
            self.rooms.insert(room.clone(), Listening::Waiting(self.asked));
        }
        self.waiting.insert(self.asked, subject);
        self.subscribe_waiting();
    }

    /// Subscribes what waits for its turn.
    pub fn subscribe_waiting(&mut self) {
        while let Some(first) = self.waiting.first_entry() {
            let text = self.subjects.write(first.get());
            let Some(Ok(subscriber)) = at_once(self.client.subscribe(text)) else { return };
            let subject = first.remove();
            self.listen(subject, subscriber);
        }
    }

    /// Listens to a room no more.
    pub fn unsubscribe(&mut self, room: &Room) {
        match self.rooms.remove(room) {
            Some(Listening::Subscribed(handle)) => handle.abort(),
            Some(Listening::Waiting(turn)) => drop(self.waiting.remove(&turn)),
            None => {}
        }
    }

    /// Adds messages to a batch; ready once there is one.
    pub fn poll_heard(&mut self, ctx: &mut Context<'_>, heard: &mut Batch) -> Poll<()> {
        while !heard.is_full() {
            // Without subscriptions the streams are at their end, but more are to come.
            let Poll::Ready(Some(message)) = self.streams.poll_next_unpin(ctx) else { break };
            heard.push(message);
        }
        if heard.messages.is_empty() { Poll::Pending } else { Poll::Ready(()) }
    }

    /// The messages that wait, as many as one batch has.
    pub fn heard(&mut self) -> Batch {
        let mut heard = Batch::default();
        while !heard.is_full()
            && let Some(message) = self.next_waiting()
        {
            heard.push(message);
        }
        heard
    }

    /// The next message, if one waits.
    pub fn next_waiting(&mut self) -> Option<(Subject, Bytes)> {
        if self.streams.is_empty() {
            return None;
        }
        at_once(self.streams.next()).flatten()
    }

    /// Whether many subscriptions have ended that are still held: a few KiB each, until the streams are polled.
    pub fn is_littered(&self) -> bool {
        self.streams.len() > self.rooms.len() + MAX_ENDED
    }

    /// Makes the connection anew.
    pub fn reconnect(&self) {
        // Without room in the queue nothing is lost: the silence goes on, and we are asked again.
        let _ = at_once(self.client.force_reconnect());
    }

    /// Takes leave of the servers.
    pub async fn end(self) {
        drop(self.streams);
        let _ = tokio::time::timeout(LAST_WORDS, self.client.flush()).await;
    }

    fn listen(&mut self, subject: Subject, subscriber: Subscriber) {
        let (stream, handle) = abortable(Subscription { subject: subject.clone(), subscriber });
        self.streams.push(stream);
        match subject {
            Subject::Room(room) => drop(self.rooms.insert(room, Listening::Subscribed(handle))),
            Subject::State | Subject::Node(_) => {}
        }
    }
}

impl Batch {
    fn push(&mut self, message: (Subject, Bytes)) {
        self.bytes += message.1.len();
        self.messages.push(message);
    }

    /// Whether there is no room for more.
    pub fn is_full(&self) -> bool {
        self.messages.len() >= BATCH || self.bytes >= BATCH_BYTES
    }

    /// Takes all of them out.
    pub fn drain(&mut self) -> impl Iterator<Item = (Subject, Bytes)> {
        self.bytes = 0;
        self.messages.drain(..)
    }
}

impl Stream for Subscription {
    type Item = (Subject, Bytes);

    fn poll_next(mut self: Pin<&mut Self>, ctx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let Some(message) = ready!(self.subscriber.poll_next_unpin(ctx)) else { return Poll::Ready(None) };
        // The client cuts payloads from its read buffer: one that is kept, held back or cached would keep 64 KiB alive.
        let bytes = Bytes::copy_from_slice(&message.payload);
        Poll::Ready(Some((self.subject.clone(), bytes)))
    }
}

/// What a future gives when it is asked once. Without tokio's budget, which would make a queue look full that is not.
fn at_once<F: Future>(future: F) -> Option<F::Output> {
    unconstrained(future).now_or_never()
}

//! Publishes and subscribes through the NATS client without ever waiting for it.
//!
//! A frame is dropped and counted when the client's queue is full: peers notice the gap and ask again. A subscription
//! waits for space instead, and until then all frames are dropped, so that no barrier can overtake it. At most the
//! subscribed rooms wait.

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

/// How long the final flush may take.
pub(super) const FLUSH_TIMEOUT: Duration = Duration::from_millis(500);

/// Commands or messages taken at once at most, before the client's own tasks have their turn.
pub(super) const BATCH: usize = 256;

/// Bytes of messages taken at once, exceeded by one message at most: of facts these are some 2,000, which take several
/// milliseconds on a node that knows a million.
pub(super) const BATCH_BYTES: usize = 64 << 10;

/// Subscriptions that may have ended and are still held.
const MAX_ENDED: usize = 256;

/// The client and its subscriptions.
pub(super) struct NatsClient {
    client: Client,
    subjects: Subjects,
    gauges: Arc<Gauges>,
    streams: SelectAll<Abortable<Subscription>>,
    rooms: HashMap<Room, RoomSubscription>,
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

/// The state of a room's subscription.
enum RoomSubscription {
    /// Waits until the client's queue has space.
    Waiting(u64),
    Subscribed(AbortHandle),
}

/// One subject's messages. It is no pattern, so all of them are of this subject.
struct Subscription {
    subject: Subject,
    subscriber: Subscriber,
}

impl NatsClient {
    pub(super) fn new(client: Client, subjects: Subjects, gauges: Arc<Gauges>) -> Self {
        let (streams, rooms, waiting) = (SelectAll::new(), HashMap::new(), BTreeMap::new());
        Self { client, subjects, gauges, streams, rooms, waiting, asked: 0 }
    }

    /// The number of the current connection, counted from the start; `None` while disconnected.
    pub(super) fn connection(&self) -> Option<u64> {
        let count = self.client.statistics().connects.load(Relaxed);
        match self.client.connection_state() {
            State::Connected => Some(count),
            State::Pending | State::Disconnected => None,
        }
    }

    /// The server's `max_payload`, in bytes.
    pub(super) fn max_message(&self) -> usize {
        self.client.max_payload()
    }

    /// Publishes a frame, or drops it.
    pub(super) fn publish(&mut self, subject: &Subject, bytes: Bytes) {
        self.subscribe_waiting();
        let bytes = permits::until_written(bytes, &self.gauges);
        let publish = self.client.publish(self.subjects.write(subject), bytes);
        let is_taken = self.waiting.is_empty() && matches!(at_once(publish), Some(Ok(())));
        if !is_taken {
            self.gauges.dropped.fetch_add(1, Relaxed);
        }
    }

    /// Subscribes to a subject.
    pub(super) fn subscribe(&mut self, subject: Subject) {
        self.asked += 1;
        if let Subject::Room(room) = &subject {
            self.rooms.insert(room.clone(), RoomSubscription::Waiting(self.asked));
        }
        self.waiting.insert(self.asked, subject);
        self.subscribe_waiting();
    }

    /// Subscribes what waits for its turn.
    pub(super) fn subscribe_waiting(&mut self) {
        while let Some(first) = self.waiting.first_entry() {
            let text = self.subjects.write(first.get());
            let Some(Ok(subscriber)) = at_once(self.client.subscribe(text)) else { return };
            let subject = first.remove();
            self.add(subject, subscriber);
        }
    }

    /// Unsubscribes from a room.
    pub(super) fn unsubscribe(&mut self, room: &Room) {
        match self.rooms.remove(room) {
            Some(RoomSubscription::Subscribed(handle)) => handle.abort(),
            Some(RoomSubscription::Waiting(turn)) => drop(self.waiting.remove(&turn)),
            None => {}
        }
    }

    /// Adds messages to a batch; ready once there is one.
    pub(super) fn poll_messages(&mut self, ctx: &mut Context<'_>, batch: &mut Batch) -> Poll<()> {
        while !batch.is_full() {
            // Without subscriptions the streams are at their end, but more are to come.
            let Poll::Ready(Some(message)) = self.streams.poll_next_unpin(ctx) else { break };
            batch.push(message);
        }
        if batch.messages.is_empty() { Poll::Pending } else { Poll::Ready(()) }
    }

    /// The messages that wait, as many as one batch has.
    pub(super) fn batch(&mut self) -> Batch {
        let mut batch = Batch::default();
        while !batch.is_full()
            && let Some(message) = self.next_waiting()
        {
            batch.push(message);
        }
        batch
    }

    /// The next message, if one waits.
    pub(super) fn next_waiting(&mut self) -> Option<(Subject, Bytes)> {
        if self.streams.is_empty() {
            return None;
        }
        at_once(self.streams.next()).flatten()
    }

    /// Whether many subscriptions have ended that are still held: a few KiB each, until the streams are polled.
    pub(super) fn has_ended_subscriptions(&self) -> bool {
        self.streams.len() > self.rooms.len() + MAX_ENDED
    }

    /// Reconnects.
    pub(super) fn reconnect(&self) {
        // If the queue is full, nothing is lost: the probe stays silent, and this is called again.
        let _ = at_once(self.client.force_reconnect());
    }

    /// Flushes and disconnects.
    pub(super) async fn close(self) {
        drop(self.streams);
        let _ = tokio::time::timeout(FLUSH_TIMEOUT, self.client.flush()).await;
    }

    fn add(&mut self, subject: Subject, subscriber: Subscriber) {
        let (stream, handle) = abortable(Subscription { subject: subject.clone(), subscriber });
        self.streams.push(stream);
        match subject {
            Subject::Room(room) => drop(self.rooms.insert(room, RoomSubscription::Subscribed(handle))),
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
    pub(super) fn is_full(&self) -> bool {
        self.messages.len() >= BATCH || self.bytes >= BATCH_BYTES
    }

    /// Takes all of them out.
    pub(super) fn drain(&mut self) -> impl Iterator<Item = (Subject, Bytes)> {
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

/// The output of a future that is ready at once. Without tokio's budget, which would make a queue look full that is
/// not.
fn at_once<F: Future>(future: F) -> Option<F::Output> {
    unconstrained(future).now_or_never()
}

//! What waits for one endpoint, in order: posts, the last of which may still be an open batch. Decides what is tried
//! again and what is given up. Pure: time is an argument.

use std::{
    collections::VecDeque,
    sync::Arc,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use bytes::Bytes;

use super::{payload, pending::PendingPermit, settings::Timing};
use crate::config::WebhookEndpoint;

/// Bytes that wait for one endpoint at most, and never more than nobody else holds: however many endpoints are dead,
/// each has the same share, and one such share is left for those that live. Beyond it the newest event is dropped.
const MAX_BYTES: usize = 16 * 1024 * 1024;
/// Bytes at which a batch is closed early: a web server's usual limit for a body is 1 MB.
const MAX_BATCH_BYTES: usize = 512 * 1024;
/// What an event takes beside its text, as a post of its own: the post, its list, its permit, the places that queues keep
/// free.
const OVERHEAD: usize = 384;

/// One moment on both clocks: the one that never jumps, and the one that the receiver knows.
#[derive(Debug, Clone, Copy)]
pub struct Moment {
    /// For ages and pauses.
    pub instant: Instant,
    /// Milliseconds since the Unix epoch, for `time_ms`.
    pub unix_ms: u64,
}

/// One event for one endpoint.
#[derive(Debug)]
pub struct Item {
    /// The endpoint's settings when the event happened, shared by all its events.
    pub endpoint: Arc<WebhookEndpoint>,
    /// The event as JSON, shared by all endpoints.
    pub event: Arc<str>,
    /// Counts it as waiting, with its [`Item::cost`].
    pub permit: PendingPermit,
}

/// One request to be made.
#[derive(Debug)]
pub struct Post {
    /// The endpoint's settings when the events happened.
    pub endpoint: Arc<WebhookEndpoint>,
    unix_ms: u64,
    events: Vec<Event>,
    cost: usize,
    created: Instant,
    attempts: u32,
}

/// The endpoint's queue is full and the event was dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Full {
    /// The first one since the queue was half empty: worth a line in the log.
    First,
    /// One more of the same burst.
    Again,
}

/// What follows a failed attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AfterFailure {
    /// The same post again after a pause.
    Retry(Duration),
    /// The post was dropped; the next one may go at once.
    GivenUp(GivenUp),
    /// All its events are another node's by now; the next one may go at once.
    Revoked,
}

/// Posts that were dropped together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GivenUp {
    /// Requests that will not be made again.
    pub posts: usize,
    /// The events in them.
    pub events: usize,
    /// Age of the oldest.
    pub age: Duration,
    /// How often the oldest was tried.
    pub attempts: u32,
}

/// The queue of one endpoint.
pub struct Backlog {
    timing: Timing,
    posts: VecDeque<Post>,
    batch: Option<Batch>,
    bytes: usize,
    overflowing: bool,
    /// Whether that has ended, and nobody was told yet.
    is_relieved: bool,
}

struct Batch {
    endpoint: Arc<WebhookEndpoint>,
    events: Vec<Event>,
    cost: usize,
}

#[derive(Debug)]
struct Event {
    text: Arc<str>,
    permit: PendingPermit,
}

impl Item {
    /// The bytes that an event takes while it waits for one endpoint.
    pub fn cost(event: &str) -> usize {
        event.len() + OVERHEAD
    }
}

impl Moment {
    /// Now, on both clocks.
    pub fn now() -> Self {
        let unix = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self { instant: Instant::now(), unix_ms: unix.as_millis() as u64 }
    }
}

impl Backlog {
    /// An empty queue.
    pub fn new(timing: Timing) -> Self {
        Self { timing, posts: VecDeque::new(), batch: None, bytes: 0, overflowing: false, is_relieved: false }
    }

    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.posts.is_empty() && self.batch.is_none()
    }

    /// Whether a batch waits to be closed.
    pub fn has_open_batch(&self) -> bool {
        self.batch.is_some()
    }

    /// The post to be made next, or that is being made.
    pub fn head(&self) -> Option<&Post> {
        self.posts.front()
    }

    /// Takes an event: into the open batch where its endpoint batches, else as a post of its own. One that is refused is
    /// given up.
    pub fn accept(&mut self, item: Item, now: Moment) -> Result<(), Full> {
        let cost = item.permit.bytes();
        if self.bytes + cost > MAX_BYTES.min(item.permit.room()) {
            item.permit.confirm();
            return Err(self.refuse());
        }
        self.bytes += cost;
        if self.batch.as_ref().is_some_and(|batch| batch.endpoint != item.endpoint) {
            self.close_batch(now);
        }
        let batch = self.batch.get_or_insert_with(|| Batch::new(item.endpoint));
        batch.events.push(Event { text: item.event, permit: item.permit });
        batch.cost += cost;
        if !batch.endpoint.batching || batch.cost > MAX_BATCH_BYTES {
            self.close_batch(now);
        }
        Ok(())
    }

    /// Makes a post of the open batch, if there is one.
    pub fn close_batch(&mut self, now: Moment) {
        let Some(batch) = self.batch.take() else { return };
        self.posts.push_back(Post {
            endpoint: batch.endpoint,
            unix_ms: now.unix_ms,
            events: batch.events,
            cost: batch.cost,
            created: now.instant,
            attempts: 0,
        });
    }

    /// Whether events were refused that would be taken now. True once after each [`Full::First`].
    pub fn has_room_again(&mut self) -> bool {
        std::mem::take(&mut self.is_relieved)
    }

    /// The head was delivered.
    pub fn delivered(&mut self) {
        self.confirm_head();
    }

    /// Drops posts at the head whose events are all another node's by now.
    pub fn skip_revoked(&mut self) {
        while self.head().is_some_and(Post::is_revoked) {
            self.drop_head();
        }
    }

    /// The head failed. It is tried again with growing pauses, the last time when its time is over, and then dropped.
    ///
    /// What became too old behind it is not lost for that: it gets one try, because the head alone may be at fault.
    /// Where that try fails too the endpoint is, and all that is too old is dropped.
    pub fn failed(&mut self, now: Instant) -> AfterFailure {
        let Some(head) = self.posts.front_mut() else { return AfterFailure::Retry(self.timing.first_retry) };
        if head.is_revoked() {
            self.drop_head();
            return AfterFailure::Revoked;
        }
        head.attempts += 1;
        let attempts = head.attempts;
        let age = now - head.created;
        let left = self.timing.give_up.saturating_sub(age);
        if !left.is_zero() {
            return AfterFailure::Retry(self.pause(attempts).min(left));
        }
        let mut given_up = GivenUp { posts: 0, events: 0, age, attempts };
        self.give_up_head(&mut given_up);
        let give_up = self.timing.give_up;
        while attempts == 1 && self.head().is_some_and(|post| now - post.created >= give_up) {
            self.give_up_head(&mut given_up);
        }
        AfterFailure::GivenUp(given_up)
    }

    /// Drops everything and says what that was. No ack is confirmed: another node may post it.
    pub fn abandon(&mut self, now: Moment) -> Option<GivenUp> {
        self.close_batch(now);
        let head = self.head()?;
        let mut given_up = GivenUp { posts: 0, events: 0, age: now.instant - head.created, attempts: head.attempts };
        while !self.posts.is_empty() {
            given_up.posts += 1;
            given_up.events += self.drop_head().len();
        }
        Some(given_up)
    }

    fn pause(&self, attempts: u32) -> Duration {
        let doublings = attempts.saturating_sub(1).min(16);
        (self.timing.first_retry * (1 << doublings)).min(self.timing.longest_retry)
    }

    fn refuse(&mut self) -> Full {
        self.is_relieved = false;
        if std::mem::replace(&mut self.overflowing, true) { Full::Again } else { Full::First }
    }

    fn give_up_head(&mut self, given_up: &mut GivenUp) {
        given_up.posts += 1;
        given_up.events += self.confirm_head();
    }

    /// Forgets the head, which is done with, and returns how many events it held.
    fn confirm_head(&mut self) -> usize {
        self.drop_head().into_iter().map(|event| event.permit.confirm()).count()
    }

    /// Forgets the head and returns its events.
    fn drop_head(&mut self) -> Vec<Event> {
        let Some(post) = self.posts.pop_front() else { return Vec::new() };
        self.bytes -= post.cost;
        if self.overflowing && self.bytes <= MAX_BYTES / 2 {
            (self.overflowing, self.is_relieved) = (false, true);
        }
        post.events
    }
}

impl Post {
    /// What is signed and sent, the same bytes at each try. Made for each: what waits is held once for all endpoints.
    pub fn body(&self) -> Bytes {
        let events: Vec<&str> = self.events.iter().map(|event| &*event.text).collect();
        payload::body(self.unix_ms, &events).into()
    }

    /// When it was made of its events.
    pub fn created(&self) -> Instant {
        self.created
    }

    /// How often it has failed.
    pub fn attempts(&self) -> u32 {
        self.attempts
    }

    /// How many events it has.
    pub fn events(&self) -> usize {
        self.events.len()
    }

    fn is_revoked(&self) -> bool {
        self.events.iter().all(|event| event.permit.is_revoked())
    }
}

impl Batch {
    fn new(endpoint: Arc<WebhookEndpoint>) -> Self {
        // Many posts of one event each may wait, and lists that grow begin with four places.
        let events = if endpoint.batching { Vec::new() } else { Vec::with_capacity(1) };
        Self { endpoint, events, cost: 0 }
    }
}

#[cfg(test)]
mod tests;

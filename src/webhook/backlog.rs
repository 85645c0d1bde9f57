//! What waits for one endpoint, in order: posts, the last of which may still be an open batch. Decides what is tried
//! again and what is given up. Pure: time is an argument.

use std::{
    collections::VecDeque,
    sync::Arc,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use bytes::Bytes;

use super::{Timing, notice::Ticket, payload};
use crate::app::WebhookEndpoint;

/// Bytes that wait for one endpoint at most. Beyond it the newest event is dropped.
const MAX_BYTES: usize = 16 * 1024 * 1024;
/// Bytes at which a batch is closed early: a web server's usual limit for a body is 1 MB.
const MAX_BATCH_BYTES: usize = 512 * 1024;
/// What an event costs beside its text.
const OVERHEAD: usize = 64;

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
    /// The endpoint's settings when the event happened.
    pub endpoint: WebhookEndpoint,
    /// The event as JSON, shared by all endpoints.
    pub event: Arc<str>,
    /// Counts it as waiting.
    pub ticket: Ticket,
}

/// One request to be made, the same bytes at each try.
#[derive(Debug)]
pub struct Post {
    /// What is signed and sent.
    pub body: Bytes,
    /// The endpoint's settings when the events happened.
    pub endpoint: WebhookEndpoint,
    tickets: Vec<Ticket>,
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
pub enum Verdict {
    /// The same post again after a pause.
    Retry(Duration),
    /// The post was dropped; the next one may go at once.
    GivenUp(GivenUp),
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
}

struct Batch {
    endpoint: WebhookEndpoint,
    events: Vec<Arc<str>>,
    tickets: Vec<Ticket>,
    cost: usize,
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
        Self { timing, posts: VecDeque::new(), batch: None, bytes: 0, overflowing: false }
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

    /// Takes an event: into the open batch where its endpoint batches, else as a post of its own.
    pub fn accept(&mut self, item: Item, now: Moment) -> Result<(), Full> {
        let cost = item.event.len() + OVERHEAD;
        if self.bytes + cost > MAX_BYTES {
            return Err(self.refuse());
        }
        self.bytes += cost;
        if self.batch.as_ref().is_some_and(|batch| batch.endpoint != item.endpoint) {
            self.close_batch(now);
        }
        let batch = self.batch.get_or_insert_with(|| Batch::new(item.endpoint));
        batch.events.push(item.event);
        batch.tickets.push(item.ticket);
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
            body: payload::body(now.unix_ms, &batch.events).into(),
            endpoint: batch.endpoint,
            tickets: batch.tickets,
            cost: batch.cost,
            created: now.instant,
            attempts: 0,
        });
    }

    /// The head was delivered.
    pub fn delivered(&mut self) {
        self.drop_head();
    }

    /// The head failed. It is tried again with growing pauses, the last time when its time is over, and then dropped.
    ///
    /// What became too old behind it is not lost for that: it gets one try, because the head alone may be at fault.
    /// Where that try fails too the endpoint is, and all that is too old is dropped.
    pub fn failed(&mut self, now: Instant) -> Verdict {
        let Some(head) = self.posts.front_mut() else { return Verdict::Retry(self.timing.first_retry) };
        head.attempts += 1;
        let attempts = head.attempts;
        let age = now - head.created;
        let left = self.timing.give_up.saturating_sub(age);
        if !left.is_zero() {
            return Verdict::Retry(self.pause(attempts).min(left));
        }
        let mut given_up = GivenUp { posts: 0, events: 0, age, attempts };
        self.give_up_head(&mut given_up);
        let give_up = self.timing.give_up;
        while attempts == 1 && self.head().is_some_and(|post| now - post.created >= give_up) {
            self.give_up_head(&mut given_up);
        }
        Verdict::GivenUp(given_up)
    }

    /// Drops everything and says what that was.
    pub fn abandon(&mut self, now: Moment) -> Option<GivenUp> {
        self.close_batch(now);
        let head = self.head()?;
        let mut given_up = GivenUp { posts: 0, events: 0, age: now.instant - head.created, attempts: head.attempts };
        while !self.posts.is_empty() {
            self.give_up_head(&mut given_up);
        }
        Some(given_up)
    }

    fn pause(&self, attempts: u32) -> Duration {
        let doublings = attempts.saturating_sub(1).min(16);
        (self.timing.first_retry * (1 << doublings)).min(self.timing.longest_retry)
    }

    fn refuse(&mut self) -> Full {
        if std::mem::replace(&mut self.overflowing, true) { Full::Again } else { Full::First }
    }

    fn give_up_head(&mut self, given_up: &mut GivenUp) {
        given_up.posts += 1;
        given_up.events += self.drop_head();
    }

    /// Forgets the head and returns how many events it held.
    fn drop_head(&mut self) -> usize {
        let Some(post) = self.posts.pop_front() else { return 0 };
        self.bytes -= post.cost;
        self.overflowing &= self.bytes > MAX_BYTES / 2;
        post.tickets.len()
    }
}

impl Batch {
    fn new(endpoint: WebhookEndpoint) -> Self {
        Self { endpoint, events: Vec::new(), tickets: Vec::new(), cost: 0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::webhook::notice::Waiting;

    fn endpoint(batching: bool) -> WebhookEndpoint {
        WebhookEndpoint {
            url: "http://localhost/".to_owned(),
            events: Vec::new(),
            headers: Vec::new(),
            channel_prefix: None,
            channel_suffix: None,
            batching,
        }
    }

    struct Scene {
        start: Moment,
        backlog: Backlog,
        waiting: Waiting,
    }

    impl Scene {
        fn new() -> Self {
            let start = Moment { instant: Instant::now(), unix_ms: 5 };
            Self { start, backlog: Backlog::new(Timing::default()), waiting: Waiting::default() }
        }

        fn at(&self, seconds: u64) -> Moment {
            Moment { instant: self.start.instant + Duration::from_secs(seconds), ..self.start }
        }

        fn accept(&mut self, endpoint: WebhookEndpoint, event: &str, seconds: u64) -> Result<(), Full> {
            let item = Item { endpoint, event: event.into(), ticket: self.waiting.ticket() };
            self.backlog.accept(item, self.at(seconds))
        }

        fn fail(&mut self, seconds: u64) -> Verdict {
            self.backlog.failed(self.at(seconds).instant)
        }

        /// Delivers all and returns the bodies.
        fn bodies(&mut self) -> Vec<String> {
            let mut bodies = Vec::new();
            while let Some(post) = self.backlog.head() {
                bodies.push(String::from_utf8(post.body.to_vec()).unwrap());
                self.backlog.delivered();
            }
            bodies
        }
    }

    fn retry(seconds: u64) -> Verdict {
        Verdict::Retry(Duration::from_secs(seconds))
    }

    #[test]
    fn without_batching_each_event_is_a_post_in_order() {
        let mut scene = Scene::new();
        scene.accept(endpoint(false), "1", 0).unwrap();
        scene.accept(endpoint(false), "2", 0).unwrap();
        assert_eq!(scene.bodies(), [r#"{"time_ms":5,"events":[1]}"#, r#"{"time_ms":5,"events":[2]}"#]);
        assert_eq!(scene.waiting.count(), 0);
    }

    #[test]
    fn a_batch_is_posted_when_it_is_closed() {
        let mut scene = Scene::new();
        scene.accept(endpoint(true), "1", 0).unwrap();
        scene.accept(endpoint(true), "2", 0).unwrap();
        assert!(scene.backlog.head().is_none() && scene.backlog.has_open_batch());
        scene.backlog.close_batch(scene.start);
        assert_eq!(scene.bodies(), [r#"{"time_ms":5,"events":[1,2]}"#]);
        assert!(scene.backlog.is_empty());
    }

    #[test]
    fn events_for_other_settings_of_the_endpoint_do_not_share_a_batch() {
        let mut scene = Scene::new();
        let other = WebhookEndpoint { headers: vec![("A".to_owned(), "b".to_owned())], ..endpoint(true) };
        scene.accept(endpoint(true), "1", 0).unwrap();
        scene.accept(other, "2", 0).unwrap();
        scene.backlog.close_batch(scene.start);
        assert_eq!(scene.bodies().len(), 2);
    }

    #[test]
    fn a_large_batch_is_closed_early() {
        let mut scene = Scene::new();
        let event = "1".repeat(MAX_BATCH_BYTES / 2);
        scene.accept(endpoint(true), &event, 0).unwrap();
        assert!(scene.backlog.has_open_batch());
        scene.accept(endpoint(true), &event, 0).unwrap();
        assert!(!scene.backlog.has_open_batch());
    }

    #[test]
    fn a_full_queue_drops_the_newest_and_reports_one_burst() {
        let mut scene = Scene::new();
        let event = "1".repeat(MAX_BYTES / 4 - OVERHEAD);
        for _ in 0..4 {
            scene.accept(endpoint(false), &event, 0).unwrap();
        }
        assert_eq!(scene.accept(endpoint(false), "2", 0), Err(Full::First));
        assert_eq!(scene.accept(endpoint(false), "3", 0), Err(Full::Again));
        assert_eq!(scene.waiting.count(), 4);
        scene.backlog.delivered();
        scene.accept(endpoint(false), &event, 0).unwrap();
        assert_eq!(scene.accept(endpoint(false), "4", 0), Err(Full::Again));
        scene.backlog.delivered();
        scene.backlog.delivered();
        scene.accept(endpoint(false), &event, 0).unwrap();
        scene.accept(endpoint(false), &event, 0).unwrap();
        assert_eq!(scene.accept(endpoint(false), "5", 0), Err(Full::First));
    }

    #[test]
    fn pauses_double_up_to_a_minute_and_end_when_the_time_is_over() {
        let mut scene = Scene::new();
        scene.accept(endpoint(false), "1", 0).unwrap();
        for (at, pause) in [(0, 1), (1, 2), (3, 4), (7, 8), (15, 16), (31, 32), (63, 60), (123, 60), (250, 50)] {
            assert_eq!(scene.fail(at), retry(pause), "failed after {at} s");
        }
        let given_up = GivenUp { posts: 1, events: 1, age: Duration::from_secs(300), attempts: 10 };
        assert_eq!(scene.fail(300), Verdict::GivenUp(given_up));
        assert_eq!((scene.backlog.is_empty(), scene.waiting.count()), (true, 0));
    }

    #[test]
    fn a_post_that_is_always_refused_does_not_take_those_behind_it_along() {
        let mut scene = Scene::new();
        scene.accept(endpoint(false), "1", 0).unwrap();
        scene.accept(endpoint(false), "2", 0).unwrap();
        scene.accept(endpoint(false), "3", 0).unwrap();
        assert_eq!(scene.fail(299), retry(1));
        assert!(matches!(scene.fail(301), Verdict::GivenUp(GivenUp { posts: 1, .. })));
        assert_eq!(scene.bodies(), [r#"{"time_ms":5,"events":[2]}"#, r#"{"time_ms":5,"events":[3]}"#]);
    }

    #[test]
    fn a_dead_endpoint_loses_all_that_is_too_old_and_nothing_else() {
        let mut scene = Scene::new();
        for (event, at) in [("1", 0), ("2", 1), ("3", 2), ("4", 100)] {
            scene.accept(endpoint(false), event, at).unwrap();
        }
        assert_eq!(scene.fail(299), retry(1));
        assert!(matches!(scene.fail(300), Verdict::GivenUp(GivenUp { posts: 1, .. })));
        let given_up = GivenUp { posts: 2, events: 2, age: Duration::from_secs(309), attempts: 1 };
        assert_eq!(scene.fail(310), Verdict::GivenUp(given_up));
        assert_eq!(scene.fail(310), retry(1));
        assert_eq!(scene.bodies(), [r#"{"time_ms":5,"events":[4]}"#]);
    }

    #[test]
    fn abandoning_counts_the_open_batch_too() {
        let mut scene = Scene::new();
        assert_eq!(scene.backlog.abandon(scene.start), None);
        scene.accept(endpoint(false), "1", 0).unwrap();
        scene.accept(endpoint(true), "2", 0).unwrap();
        scene.accept(endpoint(true), "3", 0).unwrap();
        let given_up = GivenUp { posts: 2, events: 3, age: Duration::from_secs(4), attempts: 0 };
        assert_eq!(scene.backlog.abandon(scene.at(4)), Some(given_up));
        assert_eq!(scene.waiting.count(), 0);
    }
}

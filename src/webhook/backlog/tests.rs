//! What waits for one endpoint, over time.

use std::sync::atomic::{AtomicBool, Ordering};

use gaung_cluster::ack::Ack;

use super::*;
use crate::webhook::pending::Waiting;

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
        Self { start, backlog: Backlog::new(Timing::default()), waiting: Waiting::new(4 * MAX_BYTES) }
    }

    fn at(&self, seconds: u64) -> Moment {
        Moment { instant: self.start.instant + Duration::from_secs(seconds), ..self.start }
    }

    fn accept(&mut self, endpoint: WebhookEndpoint, event: &str, seconds: u64) -> Result<(), Full> {
        let permit = self.waiting.permit_beyond(&"1".into(), Item::cost(event));
        let item = Item { endpoint: Arc::new(endpoint), event: event.into(), permit };
        self.backlog.accept(item, self.at(seconds))
    }

    /// Accepts an event that may become another node's. Returns the way to make it so, and whether it was confirmed.
    fn accept_revocable(&mut self, event: &str) -> (Arc<AtomicBool>, Arc<AtomicBool>) {
        let (revoked, confirmed) = (Arc::<AtomicBool>::default(), Arc::<AtomicBool>::default());
        let its_confirmed = confirmed.clone();
        let ack = Ack::revocable(revoked.clone(), move || its_confirmed.store(true, Ordering::Relaxed));
        let permit = self.waiting.permit_beyond(&"1".into(), Item::cost(event)).with(ack);
        let item = Item { endpoint: Arc::new(endpoint(false)), event: event.into(), permit };
        self.backlog.accept(item, self.start).expect("there is room");
        (revoked, confirmed)
    }

    fn fail(&mut self, seconds: u64) -> AfterFailure {
        self.backlog.failed(self.at(seconds).instant)
    }

    /// Delivers all and returns the bodies.
    fn bodies(&mut self) -> Vec<String> {
        let mut bodies = Vec::new();
        while let Some(post) = self.backlog.head() {
            bodies.push(String::from_utf8(post.body().to_vec()).unwrap());
            self.backlog.delivered();
        }
        bodies
    }
}

fn retry(seconds: u64) -> AfterFailure {
    AfterFailure::Retry(Duration::from_secs(seconds))
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
    assert!(!scene.backlog.has_room_again());
    scene.backlog.delivered();
    assert!(scene.backlog.has_room_again() && !scene.backlog.has_room_again());
    scene.accept(endpoint(false), &event, 0).unwrap();
    scene.accept(endpoint(false), &event, 0).unwrap();
    assert_eq!(scene.accept(endpoint(false), "5", 0), Err(Full::First));
}

#[test]
fn an_endpoint_holds_no_more_than_nobody_else_does() {
    let mut scene = Scene::new();
    let others = scene.waiting.permit(&"1".into(), 3 * MAX_BYTES + MAX_BYTES / 2).unwrap();
    let event = "1".repeat(MAX_BYTES / 4 - OVERHEAD);
    scene.accept(endpoint(false), &event, 0).unwrap();
    assert_eq!(scene.accept(endpoint(false), &event, 0), Err(Full::First));
    drop(others);
    scene.accept(endpoint(false), &event, 0).unwrap();
}

#[test]
fn pauses_double_up_to_a_minute_and_end_when_the_time_is_over() {
    let mut scene = Scene::new();
    scene.accept(endpoint(false), "1", 0).unwrap();
    for (at, pause) in [(0, 1), (1, 2), (3, 4), (7, 8), (15, 16), (31, 32), (63, 60), (123, 60), (250, 50)] {
        assert_eq!(scene.fail(at), retry(pause), "failed after {at} s");
    }
    let given_up = GivenUp { posts: 1, events: 1, age: Duration::from_secs(300), attempts: 10 };
    assert_eq!(scene.fail(300), AfterFailure::GivenUp(given_up));
    assert_eq!((scene.backlog.is_empty(), scene.waiting.count()), (true, 0));
}

#[test]
fn a_post_that_is_always_refused_does_not_take_those_behind_it_along() {
    let mut scene = Scene::new();
    scene.accept(endpoint(false), "1", 0).unwrap();
    scene.accept(endpoint(false), "2", 0).unwrap();
    scene.accept(endpoint(false), "3", 0).unwrap();
    assert_eq!(scene.fail(299), retry(1));
    assert!(matches!(scene.fail(301), AfterFailure::GivenUp(GivenUp { posts: 1, .. })));
    assert_eq!(scene.bodies(), [r#"{"time_ms":5,"events":[2]}"#, r#"{"time_ms":5,"events":[3]}"#]);
}

#[test]
fn a_dead_endpoint_loses_all_that_is_too_old_and_nothing_else() {
    let mut scene = Scene::new();
    for (event, at) in [("1", 0), ("2", 1), ("3", 2), ("4", 100)] {
        scene.accept(endpoint(false), event, at).unwrap();
    }
    assert_eq!(scene.fail(299), retry(1));
    assert!(matches!(scene.fail(300), AfterFailure::GivenUp(GivenUp { posts: 1, .. })));
    let given_up = GivenUp { posts: 2, events: 2, age: Duration::from_secs(309), attempts: 1 };
    assert_eq!(scene.fail(310), AfterFailure::GivenUp(given_up));
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

#[test]
fn posts_that_became_another_nodes_are_dropped_unconfirmed() {
    let mut scene = Scene::new();
    let (revoked, confirmed) = scene.accept_revocable("1");
    scene.accept(endpoint(false), "2", 0).unwrap();
    scene.backlog.skip_revoked();
    assert_eq!(scene.waiting.count(), 2);
    revoked.store(true, Ordering::Relaxed);
    scene.backlog.skip_revoked();
    assert_eq!(
        (scene.bodies(), confirmed.load(Ordering::Relaxed)),
        (vec![r#"{"time_ms":5,"events":[2]}"#.to_owned()], false)
    );
}

#[test]
fn a_post_that_became_another_nodes_while_it_was_made_is_not_tried_again() {
    let mut scene = Scene::new();
    let (revoked, confirmed) = scene.accept_revocable("1");
    revoked.store(true, Ordering::Relaxed);
    assert_eq!(scene.fail(0), AfterFailure::Revoked);
    assert_eq!((scene.waiting.count(), confirmed.load(Ordering::Relaxed)), (0, false));
}

#[test]
fn a_queue_that_is_lost_confirms_nothing_and_counts_nothing_any_more() {
    let mut scene = Scene::new();
    let (_, delivered) = scene.accept_revocable("1");
    let (_, lost) = scene.accept_revocable("2");
    scene.backlog.delivered();
    let Scene { backlog, waiting, .. } = scene;
    let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(move || {
        let _backlog = backlog;
        panic!("the endpoint is lost");
    }));
    assert!(panicked.is_err());
    assert!(delivered.load(Ordering::Relaxed) && !lost.load(Ordering::Relaxed));
    assert_eq!(waiting.count(), 0);
}

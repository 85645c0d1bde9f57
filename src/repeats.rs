//! What was published under an idempotency key (`idempotency_key` in `events` and `batch_events`), so that a second post
//! with it is answered as the first and delivers nothing.
//!
//! Held: on a node from the moment at which the first post is taken, so that of two posts at the same instant one waits
//! for the other; on the other nodes of a cluster from the moment at which they hear of it, milliseconds after its
//! events. Two posts that reach two nodes within that time, or while NATS is away, are both delivered; and a node that has
//! just started does not know the keys from before.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use bytes::Bytes;
use gaung_cluster::{
    frame::Publication,
    newest::{CacheBounds, Newest, OfApp},
};
use tokio::sync::watch;

use crate::{cluster::Cluster, metrics::Metrics};

/// For how long a key is known.
pub const KNOWN_FOR: Duration = Duration::from_secs(120);

/// How often what is too old is forgotten, also where no post comes.
const SWEEP: Duration = Duration::from_secs(10);

/// What a key takes beside its texts.
const OVERHEAD: usize = 512;

/// A key of an app. Cheap to clone.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    app: Arc<str>,
    text: Arc<str>,
}

/// A post that is to be published once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Post {
    pub key: Key,
    /// A hash of where it was posted and of its body.
    pub body: u128,
}

/// The key was used for another post.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Differs;

/// Whose turn it is.
#[derive(Debug)]
pub enum Turn {
    First(Claim),
    /// It repeats one that was published; how that was answered.
    Repeat(Bytes),
}

/// What this node knows. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Repeats(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    keys: Mutex<Keys>,
    cluster: Option<Cluster>,
    metrics: Metrics,
    started: Instant,
}

/// The right to publish under a key. Those who wait for its end go on when it is dropped: where nothing was published,
/// as the first.
#[derive(Debug)]
pub struct Claim {
    repeats: Repeats,
    post: Post,
    /// Dropped with the claim, which tells those who wait.
    _ended: watch::Sender<()>,
}

/// The keys, by time. Pure: time is an argument, in microseconds since any moment.
#[derive(Debug)]
struct Keys {
    newest: Newest<Key>,
    published: HashMap<Key, (u128, Bytes)>,
    underway: HashMap<Key, (u128, watch::Receiver<()>)>,
}

/// What is known of a post.
#[derive(Debug)]
enum Known {
    Nothing,
    UnderWay(watch::Receiver<()>),
    Published(Bytes),
}

impl Key {
    /// A key as an app chose it.
    pub fn new(app: &Arc<str>, text: &str) -> Self {
        Self { app: app.clone(), text: text.into() }
    }
}

impl OfApp for Key {
    fn app(&self) -> &Arc<str> {
        &self.app
    }
}

impl Repeats {
    /// Nothing is known yet. All keys together may take `max_bytes`, those of one app half of it.
    pub fn new(max_bytes: usize, cluster: Option<Cluster>, metrics: Metrics) -> Self {
        let keys = Mutex::new(Keys::new(CacheBounds { app: max_bytes / 2, node: max_bytes }));
        Self(Arc::new(Inner { keys, cluster, metrics, started: Instant::now() }))
    }

    /// What was published under the key of a post, if that is known at once.
    pub fn published(&self, post: &Post) -> Result<Option<Bytes>, Differs> {
        Ok(match self.keys().look(post, self.now())? {
            Known::Published(answer) => Some(answer),
            Known::Nothing | Known::UnderWay(_) => None,
        })
    }

    /// Waits until no other post with the key is under way here, and says whether one was published.
    pub async fn claim(&self, post: Post) -> Result<Turn, Differs> {
        loop {
            let mut other = {
                let mut keys = self.keys();
                match keys.look(&post, self.now())? {
                    Known::Published(answer) => return Ok(Turn::Repeat(answer)),
                    Known::Nothing => return Ok(Turn::First(self.begin(&mut keys, post))),
                    Known::UnderWay(other) => other,
                }
            };
            // It fails when the other's claim is dropped, which is what is waited for.
            let _ = other.changed().await;
        }
    }

    /// Another node published something.
    pub fn hear(&self, publication: Publication) {
        let Publication { app, key, body, answer } = publication;
        let post = Post { key: Key { app, text: key }, body };
        // Where this node has published under the key as well, its own answer stays.
        let mut keys = self.keys();
        if let Ok(Known::Nothing) = keys.look(&post, self.now()) {
            self.keep(&mut keys, post, answer);
        }
    }

    /// Forgets what is too old, for ever.
    pub async fn sweep(self) {
        loop {
            tokio::time::sleep(SWEEP).await;
            self.keys().expire(self.now());
        }
    }

    fn begin(&self, keys: &mut Keys, post: Post) -> Claim {
        let (ended, end) = watch::channel(());
        keys.underway.insert(post.key.clone(), (post.body, end));
        Claim { repeats: self.clone(), post, _ended: ended }
    }

    fn keep(&self, keys: &mut Keys, post: Post, answer: Bytes) {
        let evicted = keys.keep(post, answer, self.now());
        self.0.metrics.repeat_keys_evicted.inc_by(evicted as u64);
    }

    fn now(&self) -> u64 {
        u64::try_from(self.0.started.elapsed().as_micros()).unwrap_or(u64::MAX)
    }

    fn keys(&self) -> MutexGuard<'_, Keys> {
        self.0.keys.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Claim {
    /// The rooms have the events, and this is the answer: from here on a repeat gets it and delivers nothing.
    pub fn published(self, answer: Bytes) {
        let post = self.post.clone();
        self.repeats.keep(&mut self.repeats.keys(), post.clone(), answer.clone());
        if let Some(cluster) = &self.repeats.0.cluster {
            let Post { key: Key { app, text }, body } = post;
            cluster.published(Publication { app, key: text, body, answer });
        }
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        self.repeats.keys().underway.remove(&self.post.key);
    }
}

impl Keys {
    fn new(bounds: CacheBounds) -> Self {
        Self { newest: Newest::new(bounds), published: HashMap::new(), underway: HashMap::new() }
    }

    fn look(&mut self, post: &Post, now: u64) -> Result<Known, Differs> {
        self.expire(now);
        let is_same = |body: &u128| if *body == post.body { Ok(()) } else { Err(Differs) };
        if let Some((body, answer)) = self.published.get(&post.key) {
            return is_same(body).map(|()| Known::Published(answer.clone()));
        }
        let Some((body, end)) = self.underway.get(&post.key) else { return Ok(Known::Nothing) };
        is_same(body).map(|()| Known::UnderWay(end.clone()))
    }

    /// Remembers a post; returns how many had to be forgotten early for it.
    fn keep(&mut self, post: Post, answer: Bytes, now: u64) -> usize {
        let bytes = OVERHEAD + post.key.text.len() + answer.len();
        let evicted = self.newest.put(&post.key, now, bytes);
        self.published.insert(post.key, (post.body, answer));
        evicted.iter().for_each(|(key, _)| _ = self.published.remove(key));
        evicted.len()
    }

    fn expire(&mut self, now: u64) {
        let known_for = KNOWN_FOR.as_micros() as u64;
        while let Some((_, key)) = self.newest.oldest().filter(|(at, _)| at.saturating_add(known_for) <= now).cloned() {
            self.newest.remove(&key);
            self.published.remove(&key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOUNDS: CacheBounds = CacheBounds { app: 2_000, node: 3_000 };
    const SECOND: u64 = 1_000_000;

    fn post(app: &str, key: &str, body: u128) -> Post {
        Post { key: Key::new(&app.into(), key), body }
    }

    fn answer(keys: &mut Keys, post: &Post, now: u64) -> Option<Bytes> {
        match keys.look(post, now).expect("it is the same post") {
            Known::Published(answer) => Some(answer),
            Known::Nothing | Known::UnderWay(_) => None,
        }
    }

    #[test]
    fn a_key_is_known_for_two_minutes_to_its_app_alone() {
        let mut keys = Keys::new(BOUNDS);
        keys.keep(post("1", "a", 7), "{}".into(), 5);
        assert_eq!(answer(&mut keys, &post("1", "a", 7), 120 * SECOND + 4), Some("{}".into()));
        assert_eq!(keys.look(&post("1", "a", 8), 6).unwrap_err(), Differs);
        assert_eq!(answer(&mut keys, &post("2", "a", 8), 6), None);
        assert_eq!(answer(&mut keys, &post("1", "a", 8), 120 * SECOND + 5), None);
        assert_eq!((keys.published.len(), keys.newest.bytes()), (0, 0));
    }

    #[test]
    fn over_the_bound_the_oldest_keys_are_forgotten_and_counted() {
        let mut keys = Keys::new(BOUNDS);
        let evicted: usize =
            (0..10).map(|number| keys.keep(post("1", &number.to_string(), 1), Bytes::new(), number)).sum();
        assert_eq!((keys.published.len(), evicted), (3, 7));
        assert_eq!(answer(&mut keys, &post("1", "6", 1), 10), None);
        assert_eq!(answer(&mut keys, &post("1", "7", 1), 10), Some(Bytes::new()));
    }

    fn repeats() -> Repeats {
        Repeats::new(1 << 20, None, Metrics::new())
    }

    async fn first(repeats: &Repeats, body: u128) -> Claim {
        match repeats.claim(post("1", "a", body)).await {
            Ok(Turn::First(claim)) => claim,
            other => panic!("it is the first: {other:?}"),
        }
    }

    #[tokio::test]
    async fn of_two_at_once_the_second_waits_for_the_answer_of_the_first() {
        let repeats = repeats();
        let claim = first(&repeats, 7).await;
        let second = tokio::spawn({
            let repeats = repeats.clone();
            async move { repeats.claim(post("1", "a", 7)).await }
        });
        assert_eq!(repeats.claim(post("1", "a", 8)).await.unwrap_err(), Differs);
        assert_eq!(repeats.published(&post("1", "a", 7)), Ok(None));
        claim.published("{}".into());
        assert!(matches!(second.await.unwrap(), Ok(Turn::Repeat(answer)) if answer == "{}"));
        assert_eq!(repeats.published(&post("1", "a", 7)), Ok(Some("{}".into())));
    }

    #[tokio::test]
    async fn what_was_refused_may_be_tried_again_with_its_key() {
        let repeats = repeats();
        drop(first(&repeats, 7).await);
        drop(first(&repeats, 8).await);
    }

    #[tokio::test]
    async fn what_another_node_published_is_known_here_and_does_not_replace_what_this_one_did() {
        let repeats = repeats();
        let heard = |key: &str, answer: &'static str| Publication {
            app: "1".into(),
            key: key.into(),
            body: 7,
            answer: answer.into(),
        };
        repeats.hear(heard("a", "{}"));
        repeats.hear(heard("a", "{\"channels\":{}}"));
        assert_eq!(repeats.published(&post("1", "a", 7)), Ok(Some("{}".into())));
    }
}

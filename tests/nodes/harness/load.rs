//! Numbered events at a steady rate, from back ends that each talk to one node.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use actix::spawn;
use serde_json::json;
use tokio::{
    sync::watch,
    task::JoinHandle,
    time::{MissedTickBehavior, interval},
};

use super::{
    back_end::BackEnd,
    collector::Collector,
    tally::{self, NUMBERED, Stream, judge},
};

/// A publisher at work. Each tick it sends one batch with the next number in each channel.
pub struct Load {
    stop: watch::Sender<bool>,
    task: JoinHandle<Published>,
}

/// What one publisher has sent.
pub struct Published {
    publisher: usize,
    channels: Vec<String>,
    /// Bytes that each event has beside its number.
    padding: usize,
    /// When each number was sent and when the node had taken it.
    pub taken: Vec<(Instant, Instant)>,
    /// How often a node did not take a batch: the status, or 0 for no answer.
    pub refused: BTreeMap<u16, u64>,
}

impl Load {
    /// Publishes so many events a second through what listens at an origin, evenly in all channels.
    pub fn start(publisher: usize, origin: &str, channels: &[String], per_second: u32) -> Self {
        Self::start_padded(publisher, origin, channels, (per_second, 0))
    }

    /// As [`Self::start`], with so many bytes beside the number of each event.
    pub fn start_padded(
        publisher: usize,
        origin: &str,
        channels: &[String],
        (per_second, padding): (u32, usize),
    ) -> Self {
        let (stop, stopped) = watch::channel(false);
        let tick = Duration::from_secs(1) * channels.len() as u32 / per_second;
        let published =
            Published { publisher, channels: channels.to_vec(), padding, taken: Vec::new(), refused: BTreeMap::new() };
        let task = spawn(publish(published, tick, origin.to_owned(), stopped));
        Self { stop, task }
    }

    /// Ends after the batch that is under way.
    pub async fn finish(self) -> Published {
        self.stop.send_replace(true);
        self.task.await.expect("the publisher does not panic")
    }
}

async fn publish(
    mut published: Published,
    tick: Duration,
    origin: String,
    stopped: watch::Receiver<bool>,
) -> Published {
    let back_end = BackEnd::of_the_app();
    let mut ticks = interval(tick);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
    while !*stopped.borrow() {
        ticks.tick().await;
        let batch = published.next_batch();
        let sent = Instant::now();
        match back_end.try_post(&origin, "/batch_events", &batch).await {
            Some((200, _)) => published.taken.push((sent, Instant::now())),
            answer => *published.refused.entry(answer.map_or(0, |(status, _)| status)).or_default() += 1,
        }
    }
    published
}

impl Published {
    fn next_batch(&self) -> serde_json::Value {
        let data = tally::padded(self.publisher, self.count(), self.padding);
        let event = |channel| json!({"name": NUMBERED, "channel": channel, "data": data});
        json!({"batch": self.channels.iter().map(event).collect::<Vec<_>>()})
    }

    /// How many events it sent to each channel.
    pub fn count(&self) -> u64 {
        self.taken.len() as u64
    }

    /// The streams that it wrote to.
    pub fn streams(&self) -> impl Iterator<Item = Stream> {
        self.channels.iter().map(|channel| (channel.clone(), self.publisher))
    }

    /// Waits until a client has heard the last event of each channel.
    pub async fn reached(&self, client: &Collector) {
        let Some(last) = self.count().checked_sub(1) else { return };
        client
            .until("the last events arrive", |client| {
                let heard = tally::numbers(&client.heard());
                self.streams().all(|stream| heard.get(&stream).is_some_and(|numbers| numbers.contains(&last)))
            })
            .await;
    }

    /// Waits for the last events, and fails unless the client heard every event once and in order.
    pub async fn check(&self, who: &str, client: &Collector) {
        self.reached(client).await;
        let heard = tally::numbers(&client.heard());
        for stream in self.streams() {
            let came = heard.get(&stream).map_or(&[][..], Vec::as_slice);
            let verdict = judge(came, self.count());
            assert!(verdict.is_clean(), "{who} of {stream:?}, {} published: {verdict}", self.count());
        }
    }

    /// The longest that a request took.
    pub fn slowest(&self) -> Duration {
        self.taken.iter().map(|(sent, taken)| *taken - *sent).max().unwrap_or_default()
    }

    /// The longest that events which were sent after a moment took from the node's answer to a client.
    pub fn longest_way(&self, client: &Collector, since: Instant) -> Duration {
        let heard = client.heard();
        let numbered = heard.iter().filter(|heard| heard.message["event"] == NUMBERED);
        let ways = numbered.filter_map(|heard| {
            let mut data = heard.message["data"].as_str()?.split('/');
            let is_own = data.next()?.parse() == Ok(self.publisher);
            let (sent, taken) = *self.taken.get(data.next()?.parse::<usize>().ok()?)?;
            (is_own && sent >= since).then(|| heard.at.saturating_duration_since(taken))
        });
        ways.max().unwrap_or_default()
    }

    /// The longest time between two of these events at one client.
    pub fn longest_gap(&self, client: &Collector) -> Duration {
        let own = tally::data(self.publisher, 0);
        let own = own.strip_suffix('0').unwrap_or_default();
        let heard = client.heard();
        let is_own = |data: Option<&str>| data.is_some_and(|data| data.starts_with(own));
        let times: Vec<_> =
            heard.iter().filter(|heard| is_own(heard.message["data"].as_str())).map(|heard| heard.at).collect();
        times.windows(2).map(|pair| pair[1] - pair[0]).max().unwrap_or_default()
    }
}

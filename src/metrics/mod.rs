//! What the node counts while it works. Gauges are not here: `admin` derives them from owned state at each scrape.

pub mod catalogue;
pub mod labelled;
pub mod lag;
mod outcomes;
mod refusals;
pub mod soketi;
pub mod time_histogram;

use std::sync::Arc;

use prometheus::{Histogram, HistogramVec, IntCounter, IntCounterVec, Registry};

use self::{catalogue::Description, lag::ActorThread};
pub use self::{
    outcomes::Outcomes,
    refusals::{MessageRefusal, RequestRefusal},
};
use crate::{activity::Activity, spans::Spans};

/// How a page comes from another node, as `outcome` says it.
const HANDOVER_OUTCOMES: [&str; 4] = ["handed_over", "unanswered", "lost", "left"];

/// What becomes of what a subscriber missed that comes back: all of it is replayed, or why not.
const RECOVERY_OUTCOMES: [&str; 7] = ["whole", "window", "memory", "node_lost", "stream_away", "too_much", "unknown"];

/// What is known of a page that comes: nothing, what it had, or only that it was here before.
const PAGE_STARTS: [&str; 3] = ["new", "resumed", "unknown"];

/// What comes of a question to other nodes: nothing is missing any more, or something is; some node did not answer in time;
/// too many channels were asked for.
const QUESTION_OUTCOMES: [&str; 6] = ["whole", "stream", "part", "stream_away", "silent", "busy"];

/// The node's counters and histograms, shared by all its threads.
#[derive(Debug, Clone)]
pub struct Metrics {
    /// What became of requests and sockets before their app was known, or of none.
    pub without_app: Arc<Outcomes>,
    /// Times that a socket was not read for a moment, by `reason`: `rate`, `node`.
    pub reading_pauses: IntCounterVec,
    /// Seconds that a timer was late, by `thread`: `http`, `rooms`, `webhooks`.
    pub thread_lag: HistogramVec,
    /// Posts that were answered as an earlier one with their key.
    pub repeats: IntCounter,
    /// Keys that were forgotten early.
    pub repeat_keys_evicted: IntCounter,
    /// Events of other nodes that this one did not take, by `reason`: `rooms_full`, `payload`.
    pub cluster_events_refused: IntCounterVec,
    /// Seconds from the acceptance of an event to the sockets of another node.
    pub cluster_delivery_seconds: Histogram,
    /// Reloads of the apps file and of certificates, by `outcome`: `applied`, `refused`.
    pub reloads: IntCounterVec,
    /// Changes of apps that the admin API was asked for, by `outcome`: `applied`, `conflict`, `refused`, `failed`.
    pub app_changes: IntCounterVec,
    /// What became of what subscribers missed that came back, by outcome.
    pub recoveries: IntCounterVec,
    /// Sockets of pages that named themselves, by what was known of the page.
    pub page_starts: IntCounterVec,
    /// Pages that were forgotten early, or what they had was.
    pub page_evictions: IntCounter,
    /// Pages that came from another node, by `outcome`.
    pub page_handovers: IntCounterVec,
    /// Missed events sent to them.
    pub replayed_events: IntCounter,
    /// Events that left a history early.
    pub history_evictions: IntCounter,
    /// Questions to other nodes for what channels kept, by outcome.
    pub history_questions: IntCounterVec,
    /// Times that events were found missing which no other node has reported as lost.
    pub history_gaps: IntCounter,
    /// Seconds that subscribers waited for them.
    pub history_wait_seconds: Histogram,
    /// Spans of requests, by `outcome`: `exported`, `dropped`.
    pub traces_spans: IntCounterVec,
    /// What happens in a request that is traced is recorded here too.
    pub spans: Spans,
    /// What is counted is reported here too, to consoles that watch, because the code that counts a thing saw it happen.
    pub activity: Activity,
}

impl Metrics {
    /// All at zero. Values of labels that are known beforehand are there from the start, so that a rate over them sees
    /// the first count too.
    pub fn new() -> Self {
        Self {
            without_app: Arc::default(),
            reading_pauses: counters(&catalogue::READING_PAUSES, &["rate", "node"]),
            thread_lag: lags(&catalogue::THREAD_LAG),
            repeats: counter(&catalogue::REPEATS),
            repeat_keys_evicted: counter(&catalogue::REPEAT_KEYS_EVICTED),
            cluster_events_refused: counters(&catalogue::CLUSTER_EVENTS_REFUSED, &["rooms_full", "payload"]),
            cluster_delivery_seconds: times(&catalogue::CLUSTER_DELIVERY_SECONDS),
            reloads: counters(&catalogue::RELOADS, &["applied", "refused"]),
            app_changes: counters(&catalogue::APP_CHANGES, &["applied", "conflict", "refused", "failed"]),
            recoveries: counters(&catalogue::RECOVERIES, &RECOVERY_OUTCOMES),
            page_starts: counters(&catalogue::PAGE_STARTS, &PAGE_STARTS),
            page_evictions: counter(&catalogue::PAGE_EVICTIONS),
            page_handovers: counters(&catalogue::PAGE_HANDOVERS, &HANDOVER_OUTCOMES),
            replayed_events: counter(&catalogue::REPLAYED_EVENTS),
            history_evictions: counter(&catalogue::HISTORY_EVICTIONS),
            history_questions: counters(&catalogue::HISTORY_QUESTIONS, &QUESTION_OUTCOMES),
            history_gaps: counter(&catalogue::HISTORY_GAPS),
            history_wait_seconds: times(&catalogue::HISTORY_WAIT_SECONDS),
            traces_spans: counters(&catalogue::TRACES_SPANS, &["exported", "dropped"]),
            spans: Spans::default(),
            activity: Activity::default(),
        }
    }

    /// Adds to a scrape what every node counts.
    pub fn register(&self, registry: &Registry) -> prometheus::Result<()> {
        registry.register(Box::new(self.reading_pauses.clone()))?;
        registry.register(Box::new(self.thread_lag.clone()))?;
        registry.register(Box::new(self.repeats.clone()))?;
        registry.register(Box::new(self.repeat_keys_evicted.clone()))?;
        registry.register(Box::new(self.app_changes.clone()))?;
        registry.register(Box::new(self.recoveries.clone()))?;
        registry.register(Box::new(self.page_starts.clone()))?;
        registry.register(Box::new(self.page_evictions.clone()))?;
        registry.register(Box::new(self.replayed_events.clone()))?;
        registry.register(Box::new(self.history_evictions.clone()))?;
        registry.register(Box::new(self.traces_spans.clone()))?;
        registry.register(Box::new(self.reloads.clone()))
    }

    /// Adds what only a node in a cluster counts.
    pub fn register_cluster(&self, registry: &Registry) -> prometheus::Result<()> {
        registry.register(Box::new(self.history_questions.clone()))?;
        registry.register(Box::new(self.history_gaps.clone()))?;
        registry.register(Box::new(self.history_wait_seconds.clone()))?;
        registry.register(Box::new(self.page_handovers.clone()))?;
        registry.register(Box::new(self.cluster_delivery_seconds.clone()))?;
        registry.register(Box::new(self.cluster_events_refused.clone()))
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

fn counters(description: &Description, values: &[&str]) -> IntCounterVec {
    let counters = IntCounterVec::new(description.opts(), description.labels).expect("name and label are valid");
    for value in values {
        counters.with_label_values(&[value]);
    }
    counters
}

fn counter(description: &Description) -> IntCounter {
    IntCounter::with_opts(description.opts()).expect("the name is valid")
}

fn lags(description: &Description) -> HistogramVec {
    let lags = HistogramVec::new(description.lag_opts(), description.labels).expect("name and label are valid");
    for thread in ActorThread::ALL {
        lags.with_label_values(&[thread.label()]);
    }
    lags
}

fn times(description: &Description) -> Histogram {
    Histogram::with_opts(description.time_opts()).expect("the name is valid")
}

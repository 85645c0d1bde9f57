//! What the node counts while it works. Gauges are not here: `admin` derives them from owned state at each scrape.

pub mod catalogue;
pub mod lag;
mod refusals;
pub mod soketi;

use std::sync::Arc;

use actix_web::http::StatusCode;
use prometheus::{Histogram, HistogramVec, IntCounter, IntCounterVec, Registry};

pub use self::refusals::{MessageRefusal, RequestRefusal};
use self::{catalogue::Description, lag::ActorThread};
use crate::{
    activity::{Activity, ActivityEvent, ActivityKind, Refusal},
    protocol::Close,
    spans::Spans,
};

/// How a page comes from another node, as `outcome` says it.
const HANDOVER_OUTCOMES: [&str; 4] = ["handed_over", "unanswered", "lost", "left"];

/// What becomes of what a subscriber missed that comes back: all of it is replayed, or why not.
const RECOVERY_OUTCOMES: [&str; 7] = ["whole", "window", "memory", "node_lost", "stream_away", "too_much", "unknown"];

/// What is known of a page that comes: nothing, what it had, or only that it was here before.
const PAGE_STARTS: [&str; 3] = ["new", "resumed", "unknown"];

/// What comes of a question to other nodes: nothing is missing any more, or something is; some node did not answer in time;
/// too many channels were asked for.
const QUESTION_OUTCOMES: [&str; 6] = ["whole", "stream", "part", "stream_away", "silent", "busy"];

/// Answers by the class of their status code.
const CODES: [&str; 3] = ["2xx", "4xx", "5xx"];

/// The node's counters and histograms, shared by all its threads.
#[derive(Debug, Clone)]
pub struct Metrics {
    /// Sockets, their messages and requests turned away, by `reason`.
    pub refusals: IntCounterVec,
    /// Sessions closed by the server or the client, by `reason` (the names of [`Close`], or `lost`).
    pub closes: IntCounterVec,
    /// Failed signatures and tokens, by `kind`: `channel`, `user`, `request`, `tenant`.
    pub auth_failures: IntCounterVec,
    /// Sessions closed because they did not read.
    pub slow_consumers: IntCounter,
    /// Times that a socket was not read for a moment, by `reason`: `rate`, `node`.
    pub reading_pauses: IntCounterVec,
    /// Seconds from a trigger's first byte to its answer.
    pub trigger_seconds: Histogram,
    /// Seconds from an event's acceptance to its last socket write.
    pub fan_out_seconds: Histogram,
    /// Answers of the API to back ends, by `code`: `2xx`, `4xx`, `5xx`.
    api_responses: IntCounterVec,
    /// Its counters, so that no answer has to look for its own.
    responses: [IntCounter; 3],
    /// Seconds that a timer was late, by `thread`: `http`, `rooms`, `webhooks`.
    pub thread_lag: HistogramVec,
    /// Webhook posts tried, by `outcome`: `delivered`, `retried`, `dropped`.
    pub webhook_attempts: IntCounterVec,
    /// Webhook events that were given up.
    pub webhook_drops: IntCounter,
    /// Posts that were answered as an earlier one with their key.
    pub repeats: IntCounter,
    /// Keys that were forgotten early.
    pub repeat_keys_evicted: IntCounter,
    /// Events of other nodes that this one did not take, by `reason`: `rooms_full`, `payload`.
    pub cluster_events_refused: IntCounterVec,
    /// Reloads of the apps file and of certificates, by `outcome`: `applied`, `refused`.
    pub reloads: IntCounterVec,
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
        let closes = [&Close::ALL.map(Close::name)[..], &["lost"]].concat();
        let api_responses = counters(&catalogue::API_RESPONSES, &CODES);
        Self {
            refusals: counters(&catalogue::REFUSALS, &refusals::all()),
            closes: counters(&catalogue::CLOSES, &closes),
            auth_failures: counters(&catalogue::AUTH_FAILURES, &["channel", "user", "request", "tenant"]),
            slow_consumers: counter(&catalogue::SLOW_CONSUMERS),
            reading_pauses: counters(&catalogue::READING_PAUSES, &["rate", "node"]),
            trigger_seconds: times(&catalogue::TRIGGER_SECONDS),
            fan_out_seconds: times(&catalogue::FAN_OUT_SECONDS),
            responses: CODES.map(|code| api_responses.with_label_values(&[code])),
            api_responses,
            thread_lag: lags(&catalogue::THREAD_LAG),
            webhook_attempts: counters(&catalogue::WEBHOOK_ATTEMPTS, &["delivered", "retried", "dropped"]),
            webhook_drops: counter(&catalogue::WEBHOOK_DROPS),
            repeats: counter(&catalogue::REPEATS),
            repeat_keys_evicted: counter(&catalogue::REPEAT_KEYS_EVICTED),
            cluster_events_refused: counters(&catalogue::CLUSTER_EVENTS_REFUSED, &["rooms_full", "payload"]),
            reloads: counters(&catalogue::RELOADS, &["applied", "refused"]),
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
        registry.register(Box::new(self.refusals.clone()))?;
        registry.register(Box::new(self.closes.clone()))?;
        registry.register(Box::new(self.auth_failures.clone()))?;
        registry.register(Box::new(self.slow_consumers.clone()))?;
        registry.register(Box::new(self.reading_pauses.clone()))?;
        registry.register(Box::new(self.trigger_seconds.clone()))?;
        registry.register(Box::new(self.fan_out_seconds.clone()))?;
        registry.register(Box::new(self.api_responses.clone()))?;
        registry.register(Box::new(self.thread_lag.clone()))?;
        registry.register(Box::new(self.webhook_attempts.clone()))?;
        registry.register(Box::new(self.webhook_drops.clone()))?;
        registry.register(Box::new(self.repeats.clone()))?;
        registry.register(Box::new(self.repeat_keys_evicted.clone()))?;
        registry.register(Box::new(self.recoveries.clone()))?;
        registry.register(Box::new(self.page_starts.clone()))?;
        registry.register(Box::new(self.page_evictions.clone()))?;
        registry.register(Box::new(self.replayed_events.clone()))?;
        registry.register(Box::new(self.history_evictions.clone()))?;
        registry.register(Box::new(self.traces_spans.clone()))?;
        registry.register(Box::new(self.reloads.clone()))
    }

    /// Counts a message of a socket that is refused, and tells consoles what the client is told.
    pub fn refuse(&self, app_id: &Arc<str>, reason: MessageRefusal, refusal: impl FnOnce() -> Refusal) {
        let reason = reason.label();
        self.refusals.with_label_values(&[reason]).inc();
        self.activity.report(|| ActivityEvent::of(app_id.clone(), ActivityKind::Refused(refusal())));
        tracing::debug!(app = %app_id, reason, "message refused");
    }

    /// Counts an answer of the API.
    pub fn count_response(&self, status: StatusCode) {
        let [good, refused, failed] = &self.responses;
        let counter = match status.as_u16() {
            ..400 => good,
            400..500 => refused,
            500.. => failed,
        };
        counter.inc();
    }

    /// Adds what only a node in a cluster counts.
    pub fn register_cluster(&self, registry: &Registry) -> prometheus::Result<()> {
        registry.register(Box::new(self.history_questions.clone()))?;
        registry.register(Box::new(self.history_gaps.clone()))?;
        registry.register(Box::new(self.history_wait_seconds.clone()))?;
        registry.register(Box::new(self.page_handovers.clone()))?;
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

//! What became of an app's sockets, requests, events and webhooks. Each app holds its own, so that whoever counts has
//! nothing to look up; what comes before its app is known, or of none, is counted in [`super::Metrics::without_app`].

use std::sync::{
    LazyLock,
    atomic::{AtomicU64, Ordering::Relaxed},
};

use actix_web::http::StatusCode;

use super::{labelled::LabelledCounts, refusals, time_histogram::TimeHistogram};
use crate::protocol::Close;

/// Invalid signatures and tokens, by what they were for.
const AUTH_FAILURES: [&str; 4] = ["channel", "user", "request", "tenant"];

/// Answers by the class of their status code.
const CODES: [&str; 3] = ["2xx", "4xx", "5xx"];

/// The limits of an app and those of each of its tenants.
const LIMITS: [&str; 17] = [
    "connections",
    "subscriptions",
    "channels",
    "members",
    "events_per_second",
    "deliveries_per_second",
    "bytes_per_second",
    "joins_per_second",
    "tenant_connections",
    "tenant_subscriptions",
    "tenant_channels",
    "tenant_members",
    "tenant_event_bytes",
    "tenant_events_per_second",
    "tenant_deliveries_per_second",
    "tenant_bytes_per_second",
    "tenant_joins_per_second",
];

const WEBHOOK_OUTCOMES: [&str; 3] = ["delivered", "retried", "dropped"];

static REFUSALS: LazyLock<Vec<&'static str>> = LazyLock::new(refusals::all);

/// The names of [`Close`], and of a connection that was lost.
static CLOSES: LazyLock<Vec<&'static str>> = LazyLock::new(|| [&Close::ALL.map(Close::name)[..], &[LOST]].concat());

/// How a session ends that nobody has closed.
const LOST: &str = "lost";

/// Shared by all threads; every field may be read at any time.
#[derive(Debug)]
pub struct Outcomes {
    /// Sockets, their messages and requests turned away, by `reason`.
    pub refusals: LabelledCounts,
    /// What was refused because a limit of the app or of a tenant was reached, by `limit`.
    pub limits: LabelledCounts,
    /// Sessions closed by the server or the client, by `reason`.
    pub closes: LabelledCounts,
    /// Failed signatures and tokens, by `kind`.
    pub auth_failures: LabelledCounts,
    /// Sessions closed because they did not read.
    pub slow_consumers: AtomicU64,
    /// Answers of the API to back ends, by `code`.
    pub api_responses: LabelledCounts,
    /// From a trigger's first byte to its answer.
    pub trigger_seconds: TimeHistogram,
    /// From an event's acceptance to its last socket write.
    pub fan_out_seconds: TimeHistogram,
    /// Webhook posts tried, by `outcome`.
    pub webhook_attempts: LabelledCounts,
    /// Webhook events that were given up.
    pub webhook_drops: AtomicU64,
}

impl Default for Outcomes {
    fn default() -> Self {
        Self {
            refusals: LabelledCounts::new(&REFUSALS),
            limits: LabelledCounts::new(&LIMITS),
            closes: LabelledCounts::new(&CLOSES),
            auth_failures: LabelledCounts::new(&AUTH_FAILURES),
            slow_consumers: AtomicU64::new(0),
            api_responses: LabelledCounts::new(&CODES),
            trigger_seconds: TimeHistogram::default(),
            fan_out_seconds: TimeHistogram::default(),
            webhook_attempts: LabelledCounts::new(&WEBHOOK_OUTCOMES),
            webhook_drops: AtomicU64::new(0),
        }
    }
}

impl Outcomes {
    /// Counts a session that has ended; `None` if its connection was lost.
    pub fn count_close(&self, close: Option<Close>) {
        self.closes.count(close.map_or(LOST, Close::name));
        if close == Some(Close::SlowConsumer) {
            self.slow_consumers.fetch_add(1, Relaxed);
        }
    }

    /// Counts an answer of the API.
    pub fn count_response(&self, status: StatusCode) {
        let [good, refused, failed] = CODES;
        self.api_responses.count(match status.as_u16() {
            ..400 => good,
            400..500 => refused,
            500.. => failed,
        });
    }

    /// Counts webhook events that are given up.
    pub fn drop_webhooks(&self, events: usize) {
        self.webhook_drops.fetch_add(events as u64, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn no_value_of_a_label_is_shown_twice() {
        let outcomes = Outcomes::default();
        for counts in [&outcomes.refusals, &outcomes.closes, &outcomes.auth_failures, &outcomes.api_responses] {
            let values: Vec<_> = counts.rows().map(|(value, _)| value).collect();
            assert_eq!(values.iter().collect::<HashSet<_>>().len(), values.len(), "{values:?}");
        }
    }

    #[test]
    fn every_end_of_a_session_is_counted_and_slow_consumers_a_second_time() {
        let outcomes = Outcomes::default();
        Close::ALL.into_iter().map(Some).chain([None]).for_each(|close| outcomes.count_close(close));
        assert!(outcomes.closes.rows().all(|(_, count)| count == 1));
        assert_eq!(outcomes.slow_consumers.load(Relaxed), 1);
    }

    #[test]
    fn answers_are_counted_by_the_class_of_their_status() {
        let outcomes = Outcomes::default();
        for status in [200, 304, 401, 429, 503] {
            outcomes.count_response(StatusCode::from_u16(status).unwrap());
        }
        assert_eq!(outcomes.api_responses.rows().collect::<Vec<_>>(), [("2xx", 2), ("4xx", 2), ("5xx", 1)]);
    }
}

//! What the node counts while it works. Gauges are not here: `admin` derives them from owned state at each scrape.

use prometheus::{Histogram, HistogramOpts, IntCounter, IntCounterVec, Opts};

/// The node's counters and histograms, shared by all its threads.
#[derive(Debug, Clone)]
pub struct Metrics {
    /// Sockets and requests turned away, by `reason`.
    pub refusals: IntCounterVec,
    /// Sessions closed by the server or the client, by `reason` (the names of [`crate::protocol::Close`], or `lost`).
    pub closes: IntCounterVec,
    /// Failed signatures and tokens, by `kind`: `channel`, `user`, `request`, `tenant`.
    pub auth_failures: IntCounterVec,
    /// Sessions closed because they did not read.
    pub slow_consumers: IntCounter,
    /// Seconds from a trigger's first byte to its answer.
    pub trigger_seconds: Histogram,
    /// Seconds from an event's acceptance to its last socket write.
    pub fan_out_seconds: Histogram,
    /// Webhook posts tried, by `outcome`: `delivered`, `retried`, `dropped`.
    pub webhook_attempts: IntCounterVec,
    /// Webhook events that were given up.
    pub webhook_drops: IntCounter,
    /// Reloads of the apps file and of certificates, by `outcome`: `applied`, `refused`.
    pub reloads: IntCounterVec,
}

impl Metrics {
    /// All at zero.
    pub fn new() -> Self {
        let seconds = vec![0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5];
        Self {
            refusals: counters("gaung_refusals_total", "Sockets and requests turned away", "reason"),
            closes: counters("gaung_closes_total", "Sessions closed", "reason"),
            auth_failures: counters("gaung_auth_failures_total", "Failed signatures and tokens", "kind"),
            slow_consumers: IntCounter::new("gaung_slow_consumers_total", "Sessions closed because they did not read")
                .expect("the name is valid"),
            trigger_seconds: histogram(
                "gaung_trigger_seconds",
                "Time from a trigger's arrival to its answer",
                &seconds,
            ),
            fan_out_seconds: histogram(
                "gaung_fan_out_seconds",
                "Time from an event's acceptance to its last socket write",
                &seconds,
            ),
            webhook_attempts: counters("gaung_webhook_attempts_total", "Webhook posts tried", "outcome"),
            webhook_drops: IntCounter::new("gaung_webhook_drops_total", "Webhook events given up")
                .expect("the name is valid"),
            reloads: counters("gaung_reloads_total", "Reloads of the apps file and of certificates", "outcome"),
        }
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

fn counters(name: &str, help: &str, label: &str) -> IntCounterVec {
    IntCounterVec::new(Opts::new(name, help), &[label]).expect("name and label are valid")
}

fn histogram(name: &str, help: &str, buckets: &[f64]) -> Histogram {
    Histogram::with_opts(HistogramOpts::new(name, help).buckets(buckets.to_vec())).expect("the name is valid")
}

//! The metrics of a node, read back from their text.

/// Events of other nodes that could not be had again.
pub const LOST: &str = "gaung_cluster_events_lost_total";
/// Requests to peers to fill a hole.
pub const ASKED: &str = "gaung_cluster_frames_asked_again_total";
/// For how long the node keeps what NATS has not taken.
pub const RING: &str = "gaung_cluster_ring_seconds";
/// Messages from NATS that were not taken.
pub const REFUSED: &str = "gaung_cluster_refused_frames_total";

/// 1 while the node hears its own beats through NATS, else 0.
pub const CONNECTED: &str = "gaung_cluster_connected";

/// One reading.
pub struct Metrics(String);

impl Metrics {
    pub fn new(text: String) -> Self {
        Self(text)
    }

    /// The sum of a metric over its labels. A metric that is not there is a mistake of the test or of the node.
    pub fn sum(&self, name: &str) -> f64 {
        self.sum_with(name, "")
    }

    /// Looks at the threads of actors, and how many of them came more than 20 ms late: so long did somebody's step take.
    pub fn late_looks(&self) -> (f64, f64) {
        let looks = self.sum("gaung_thread_lag_seconds_count");
        (looks, looks - self.sum_with("gaung_thread_lag_seconds_bucket", r#"le="0.02""#))
    }

    /// The same over those with this label.
    pub fn sum_with(&self, name: &str, label: &str) -> f64 {
        let lines = self.0.lines().filter(|line| line.contains(label));
        let values: Vec<f64> = lines.filter_map(|line| value(line, name)).collect();
        assert!(!values.is_empty(), "no metric {name} {label} in:\n{}", self.0);
        values.iter().sum()
    }
}

/// The value of a line `name{labels} value` or `name value`.
fn value(line: &str, name: &str) -> Option<f64> {
    let rest = line.strip_prefix(name)?;
    let value = match rest.strip_prefix('{') {
        Some(labelled) => labelled.split_once("} ")?.1,
        None => rest.strip_prefix(' ')?,
    };
    value.trim().parse().ok()
}

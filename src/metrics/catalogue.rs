//! Every metric that the node shows, with its meaning: the one table from which the help texts at `/metrics` come, and
//! which docs/operations.md repeats.

use prometheus::{HistogramOpts, Opts};

/// One metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Description {
    /// The name, with its unit where it has one.
    pub name: &'static str,
    pub kind: Kind,
    /// What its value is divided by; empty for the node as a whole.
    pub labels: &'static [&'static str],
    /// What it tells, in one sentence without a full stop.
    pub meaning: &'static str,
}

/// How a metric's value moves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Only grows, from zero at the start of the process.
    Counter,
    /// Is what it is at the moment of the scrape.
    Gauge,
    /// Counts observations by size.
    Histogram,
    /// Always 1; its labels tell.
    Info,
}

/// Names the descriptions and lists them in [`ALL`].
macro_rules! catalogue {
    ($($constant:ident: $kind:ident $name:literal $labels:expr, $meaning:literal;)*) => {
        $(
            #[doc = $meaning]
            pub const $constant: Description =
                Description { name: $name, kind: Kind::$kind, labels: &$labels, meaning: $meaning };
        )*
        /// The whole table, in the order in which docs/operations.md shows it.
        pub const ALL: &[Description] = &[$($constant),*];
    };
}

catalogue! {
    CONNECTIONS: Gauge "gaung_connections" ["app"], "Open sockets";
    ROOMS: Gauge "gaung_rooms" ["app"], "Channels with a subscriber or a cached event";
    SUBSCRIPTIONS: Gauge "gaung_subscriptions" ["app"], "Subscriptions: pairs of a socket and a channel";
    MEMBERS: Gauge "gaung_members" ["app"], "Members of presence channels: pairs of a user and a channel";
    CONNECTIONS_OPENED: Counter "gaung_connections_opened_total" ["app"], "Sockets opened";
    EVENTS_IN: Counter "gaung_events_in_total" ["app"], "Events accepted from back ends, counted once per channel";
    CLIENT_EVENTS_IN: Counter "gaung_client_events_in_total" ["app"], "Client events accepted";
    DELIVERIES: Counter "gaung_deliveries_total" ["app"], "Events handed to sockets: one per event and subscriber";
    BYTES_IN: Counter "gaung_bytes_in_total" ["app"], "WebSocket payload bytes read from sockets";
    BYTES_OUT: Counter "gaung_bytes_out_total" ["app"], "WebSocket bytes handed to sockets by events";
    APP_LIMIT: Gauge "gaung_app_limit" ["app", "limit"], "What the app may have, or use in a second, on all nodes together; absent where it has no such limit";
    APP_USAGE: Gauge "gaung_app_usage" ["app", "limit"], "What the app has of it on all nodes; of its history on this one";
    APP_RATE_USAGE: Counter "gaung_app_rate_usage_total" ["app", "limit"], "What the app used of its limits by the second";
    TENANTS_NEAR_LIMIT: Gauge "gaung_tenants_near_limit" ["app", "limit"], "Tenants that have nine tenths or more of what a limit grants them, on all nodes";
    TOP_TENANTS: Gauge "gaung_top_tenants" ["app", "tenant", "by"], "The five tenants of the node that have or do the most, of late, in each respect";
    REFUSALS: Counter "gaung_refusals_total" ["app", "reason"], "Sockets, their messages and requests turned away";
    LIMITS_REACHED: Counter "gaung_limits_reached_total" ["app", "limit"], "What was refused because the app, or one of its tenants, had reached a limit";
    CLOSES: Counter "gaung_closes_total" ["app", "reason"], "Sessions ended by either side, or lost";
    AUTH_FAILURES: Counter "gaung_auth_failures_total" ["app", "kind"], "Invalid signatures and tokens";
    SLOW_CONSUMERS: Counter "gaung_slow_consumers_total" ["app"], "Sessions closed because they did not read";
    READING_PAUSES: Counter "gaung_reading_pauses_total" ["reason"], "Times that a socket was not read: it had sent more than its rate, or the node was behind";
    TRIGGER_SECONDS: Histogram "gaung_trigger_seconds" ["app"], "Time from a trigger's arrival to its answer";
    FAN_OUT_SECONDS: Histogram "gaung_fan_out_seconds" ["app"], "Time from an event's acceptance to its last socket write";
    API_RESPONSES: Counter "gaung_api_responses_total" ["app", "code"], "Answers of the API to back ends, by class of their status code";
    THREAD_LAG: Histogram "gaung_thread_lag_seconds" ["thread"], "How late a timer of an actor thread was: how long others on it kept it waiting";
    WEBHOOK_OLDEST_AGE: Gauge "gaung_webhook_oldest_age_seconds" ["app"], "Age of the oldest webhook event that waits; 0 if none does";
    WEBHOOK_QUEUE: Gauge "gaung_webhook_queue" ["app"], "Webhook events that wait to be posted or posted again";
    WEBHOOK_ATTEMPTS: Counter "gaung_webhook_attempts_total" ["app", "outcome"], "Webhook posts tried";
    WEBHOOK_DROPS: Counter "gaung_webhook_drops_total" ["app"], "Webhook events given up";
    WEBHOOK_STREAM_UP: Gauge "gaung_webhook_stream_up" [], "1 while the stream that keeps webhook events can be used, else 0; absent without GAUNG_WEBHOOK_STREAM, like the next";
    WEBHOOK_STREAM_STORED: Counter "gaung_webhook_stream_stored_total" [], "Webhook events of this node that the stream has stored";
    REPEATS: Counter "gaung_idempotent_repeats_total" [], "Posts answered as an earlier one with their idempotency key";
    REPEAT_KEYS_EVICTED: Counter "gaung_idempotency_keys_evicted_total" [], "Idempotency keys forgotten before their time, for newer ones";
    CACHE_BYTES: Gauge "gaung_cache_bytes" [], "Bytes of the last events of cache channels";
    CACHE_EVICTIONS: Counter "gaung_cache_evictions_total" [], "Last events of cache channels forgotten before their time, for newer ones";
    HISTORY_BYTES: Gauge "gaung_history_bytes" ["app"], "Bytes of the events that channels keep for subscribers that come back";
    HISTORY_OLDEST_AGE: Gauge "gaung_history_oldest_age_seconds" ["app"], "Age of the oldest event that channels keep for subscribers that come back; 0 if they keep none";
    HISTORY_EVICTIONS: Counter "gaung_history_evictions_total" [], "Events that left a channel's history before their time, for lack of memory";
    RECOVERIES: Counter "gaung_recoveries_total" ["outcome"], "Subscribers that came back, by whether all that they missed could be replayed";
    PAGE_HANDOVERS: Counter "gaung_page_handovers_total" ["outcome"], "Pages with a resume id that came from another node: handed_over by it, unanswered, lost with it, or left here, away, when it ended";
    REPLAYED_EVENTS: Counter "gaung_replayed_events_total" [], "Missed events sent to subscribers that came back";
    PAGES: Gauge "gaung_pages" ["state"], "Pages that name themselves by a resume id: with a socket, away with what they are to be given, and known alone";
    PAGE_STARTS: Counter "gaung_page_starts_total" ["outcome"], "Sockets of pages, by what was known of the page: nothing, what it had, or only that it was here before";
    PAGE_EVICTIONS: Counter "gaung_page_evictions_total" [], "Pages that were forgotten, or how far they had heard their channels, before their time, for newer ones";
    RECEIPTS_OUTSTANDING: Gauge "gaung_receipts_outstanding" [], "Pages that have not answered yet whether they heard what they were sent";
    HISTORY_QUESTIONS: Counter "gaung_history_questions_total" ["outcome"], "Questions to all other nodes for what they keep of a channel that was opened here later";
    HISTORY_GAPS: Counter "gaung_history_gaps_total" [], "Times that a channel's history found events of another node missing, which it published before this node knew it";
    HISTORY_WAIT_SECONDS: Histogram "gaung_history_wait_seconds" [], "Time for which subscribers that came back waited for what other nodes keep";
    HISTORY_STREAM_UP: Gauge "gaung_history_stream_up" [], "1 while the stream behind the nodes' memory takes what it is given, else 0; absent without GAUNG_HISTORY_STREAM, like all below it";
    HISTORY_STREAM_STORED: Counter "gaung_history_stream_stored_total" [], "Events of this node that the stream has stored";
    HISTORY_STREAM_DROPPED: Counter "gaung_history_stream_dropped_total" [], "Events of this node that the stream will never have: it was away for long, or they are too large for NATS";
    HISTORY_STREAM_WAITING: Gauge "gaung_history_stream_waiting" [], "Events of this node that the stream has not stored yet";
    HISTORY_STREAM_READS: Counter "gaung_history_stream_reads_total" [], "Channels read from the stream, because no node knew all that was missed";
    REBALANCE_STAGE: Gauge "gaung_rebalance_stage" ["stage"], "1 for how the node's sockets stand to the mean of all nodes: even, waiting, moving to others, or futile, because they come back; absent without GAUNG_REBALANCE_ABOVE";
    ISSUER_KEYS: Gauge "gaung_issuer_keys" [], "Public keys in force for tokens that others sign; absent without GAUNG_TENANT_JWKS_URL, like the next two";
    ISSUER_KEYS_AGE: Gauge "gaung_issuer_keys_age_seconds" [], "Time since the keys at GAUNG_TENANT_JWKS_URL were read, or since the start if they never were";
    ISSUER_KEY_READS: Counter "gaung_issuer_key_reads_total" ["outcome"], "Attempts to read these keys: read, or failed";
    RELOADS: Counter "gaung_reloads_total" ["outcome"], "Reloads of the apps file and of certificates";
    APP_CHANGES: Counter "gaung_apps_changes_total" ["outcome"], "Changes of apps that the admin port was asked for: applied, conflict with another change, refused, or failed";
    APPS_STORE_UP: Gauge "gaung_apps_store_up" [], "1 while the apps in NATS can be followed and changed, else 0; absent without GAUNG_APPS_STORE=nats, like the next";
    APPS_STORE_BROKEN: Gauge "gaung_apps_store_broken_records" [], "Apps whose newest record in NATS cannot be used: they stay as they were";
    LOG_LINES_DROPPED: Counter "gaung_log_lines_dropped_total" [], "Log lines dropped: what reads the log did not keep up or refused them";
    TRACES_SPANS: Counter "gaung_traces_spans_total" ["outcome"], "Spans that were exported, or dropped: the collector did not take them, or too many waited";
    CLUSTER_EVENTS_REFUSED: Counter "gaung_cluster_events_refused_total" ["reason"], "Events of other nodes not taken: the rooms' queue was full, or the payload was invalid";
    MAX_CONNECTIONS: Gauge "gaung_max_connections" [], "Sockets that the node may have: GAUNG_MAX_CONNECTIONS, or fewer where file descriptors reach for fewer";
    HTTP_CONNECTIONS: Gauge "gaung_http_connections" [], "Open connections that are no sockets: of HTTP, before their upgrade, and of sockets that were refused until they have gone";
    MAX_MEMORY: Gauge "gaung_max_memory_bytes" [], "Resident memory above which the node is not ready; absent without GAUNG_MAX_MEMORY_MB";
    DRAIN_AGE: Gauge "gaung_drain_age_seconds" [], "Time since the node was asked to shut down; 0 until then";
    DRAIN_LIMIT: Gauge "gaung_drain_limit_seconds" [], "Time that a shutdown may take: GAUNG_DRAIN_LAG_SECONDS, GAUNG_DRAIN_SECONDS and 17 s";
    READY: Gauge "gaung_ready" [], "1 while the node wants new sockets and its threads answer, else 0";
    BUILD: Info "gaung_build_info" ["version"], "Always 1; the version that runs";
    DESCRIPTOR_LIMIT: Gauge "gaung_file_descriptor_limit" [], "File descriptors that may be open, raised at the start";
    CLUSTER_CONNECTED: Gauge "gaung_cluster_connected" [], "1 while NATS brings this node's own beats back, else 0";
    CLUSTER_PEERS: Gauge "gaung_cluster_peers" ["stage"], "Other nodes, by how well they are known";
    CLUSTER_OWN_BEAT_AGE: Gauge "gaung_cluster_own_beat_age_seconds" [], "Time since this node's own beat was last heard through NATS";
    CLUSTER_BEAT_ROUND_TRIP: Gauge "gaung_cluster_beat_round_trip_seconds" [], "Time that this node's last beat took through NATS and back";
    CLUSTER_DELIVERY_SECONDS: Histogram "gaung_cluster_delivery_seconds" [], "Time from an event's acceptance here to its last socket on another node, of one event a second and node";
    CLUSTER_QUEUED_EVENTS: Gauge "gaung_cluster_queued_events" [], "Events that wait for the thread that talks to NATS";
    CLUSTER_QUEUED_BYTES: Gauge "gaung_cluster_queued_bytes" [], "Bytes of these events and of what NATS has not taken yet";
    CLUSTER_RING: Gauge "gaung_cluster_ring_seconds" [], "Time for which this node still keeps what NATS has not taken, if as much is published as lately";
    CLUSTER_GAPS: Counter "gaung_cluster_gaps_total" [], "Gaps noticed in what peers published";
    CLUSTER_ASKED_AGAIN: Counter "gaung_cluster_frames_asked_again_total" [], "Requests to peers to fill a gap, repeated until it is filled";
    CLUSTER_SENT_AGAIN: Counter "gaung_cluster_frames_sent_again_total" [], "Frames sent again to peers that missed them";
    CLUSTER_REPUBLISHED: Counter "gaung_cluster_republished_total" [], "Frames published again since NATS may have lost them";
    CLUSTER_GIVEN_UP: Counter "gaung_cluster_frames_given_up_total" [], "Gaps in what peers published that could not be filled";
    CLUSTER_EVENTS_RECOVERED: Counter "gaung_cluster_events_recovered_total" [], "Events of nodes that were killed, for this node's rooms, that came from the history stream alone";
    CLUSTER_EVENTS_LOST: Counter "gaung_cluster_events_lost_total" [], "Events of other nodes for this node's rooms that could not be had again";
    CLUSTER_DUPLICATES: Counter "gaung_cluster_duplicates_total" [], "Frames heard twice and dropped";
    CLUSTER_SNAPSHOTS: Counter "gaung_cluster_snapshots_total" [], "Views of a peer replaced by its snapshot";
    CLUSTER_VIEW_MISMATCHES: Counter "gaung_cluster_view_mismatches_total" [], "Views of a peer that were not what the peer says they are";
    CLUSTER_REFUSED_FRAMES: Counter "gaung_cluster_refused_frames_total" ["reason"], "Messages from NATS that were not taken";
    CLUSTER_DROPPED_PUBLISHES: Counter "gaung_cluster_dropped_publishes_total" ["reason"], "Frames that were not given to NATS";
    CLUSTER_BYTES_IN: Counter "gaung_cluster_bytes_in_total" [], "Bytes taken from NATS";
    CLUSTER_BYTES_OUT: Counter "gaung_cluster_bytes_out_total" [], "Bytes given to NATS";
    CLUSTER_RECONNECTS: Counter "gaung_cluster_reconnects_total" [], "Connections to NATS after the first";
    CLUSTER_SLOW_CONSUMERS: Counter "gaung_cluster_slow_consumers_total" [], "Messages from NATS dropped because they were not read in time; they are asked for again";
    CLUSTER_DEATHS: Counter "gaung_cluster_deaths_total" [], "Peers taken for dead";
    RESIDENT_BYTES: Gauge "process_resident_memory_bytes" [], "Resident memory";
    CPU_SECONDS: Counter "process_cpu_seconds_total" [], "CPU time used, user and system";
    OPEN_DESCRIPTORS: Gauge "process_open_fds" [], "File descriptors open";
    MAX_DESCRIPTORS: Gauge "process_max_fds" [], "File descriptors that the process may open";
    START_TIME: Gauge "process_start_time_seconds" [], "When the process started, in seconds since 1970";
}

impl Description {
    /// The library's form of it.
    pub(crate) fn opts(&self) -> Opts {
        Opts::new(self.name, self.meaning)
    }

    /// The library's form of a histogram of times in seconds.
    pub(super) fn time_opts(&self) -> HistogramOpts {
        HistogramOpts::from(self.opts())
            .buckets(vec![0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5])
    }

    /// The same for how late timers are, which the runtime does not know finer than to a millisecond.
    pub(super) fn lag_opts(&self) -> HistogramOpts {
        HistogramOpts::from(self.opts()).buckets(vec![0.0025, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5])
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_name_occurs_once() {
        let names: HashSet<_> = ALL.iter().map(|description| description.name).collect();
        assert_eq!(names.len(), ALL.len());
    }

    #[test]
    fn counters_and_only_counters_are_totals() {
        for description in ALL {
            let total = description.name.ends_with("_total");
            assert_eq!(total, description.kind == Kind::Counter, "{}", description.name);
        }
    }

    #[test]
    fn only_what_tells_by_its_labels_is_named_so() {
        for description in ALL {
            assert_eq!(description.name.ends_with("_info"), description.kind == Kind::Info, "{}", description.name);
        }
    }

    #[test]
    fn a_meaning_needs_no_escapes() {
        for description in ALL {
            assert!(!description.meaning.contains(['\\', '"', '\n']), "{}", description.name);
        }
    }
}

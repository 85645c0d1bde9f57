//! The node's own part of `/metrics`: its limits, its drain, what waits, and what the system knows of the process.

use std::time::{Duration, Instant};

use gaung_cluster::{
    history::{self, HistoryStream},
    queue,
};

use super::{exposition::Exposition, shown::Admin};
use crate::{
    app_store::StoreStatus,
    issuer, log,
    metrics::catalogue,
    process::{self, Process},
    rebalance::{SharedStage, Stage},
    room::CacheUse,
};

/// What the node knows of itself without asking anybody.
pub(super) struct NodeFigures {
    version: &'static str,
    max_connections: Option<u64>,
    http_connections: usize,
    max_memory: Option<u64>,
    drain_age: Duration,
    drain_limit: Duration,
    /// Of the stream that keeps webhook events, if there is one.
    webhook_stream: Option<queue::Status>,
    /// Of a node that is alone; a cluster's core knows better.
    cache: Option<CacheUse>,
    /// Here, away, and known alone.
    pages: [usize; 3],
    receipts_outstanding: usize,
    /// How the sockets are spread over the nodes, where they are moved.
    rebalance: Option<Stage>,
    /// Of the stream behind the nodes' memory, if there is one.
    stream: Option<history::Status>,
    /// Of the apps in NATS, if they are kept there.
    apps: Option<StoreStatus>,
    /// Of the keys that an issuer publishes, if they are read.
    issuer: Option<issuer::Status>,
}

impl NodeFigures {
    pub(super) fn of(admin: &Admin) -> Self {
        let capacity = admin.readiness.capacity();
        Self {
            version: admin.version,
            max_connections: capacity.sockets().map(|fill| fill.limit),
            http_connections: admin.permits.taken(),
            max_memory: capacity.memory().map(|fill| fill.limit),
            drain_age: admin.readiness.leaving_for(Instant::now()),
            drain_limit: admin.drain_limit,
            webhook_stream: admin.webhooks.stream(),
            cache: admin.rooms.cache_use(),
            pages: admin.rooms.pages().counts(),
            receipts_outstanding: admin.rooms.pages().outstanding_receipts(),
            rebalance: admin.rebalance.as_ref().map(SharedStage::get),
            stream: admin.stream.as_ref().map(HistoryStream::status),
            apps: admin.apps.status(),
            issuer: admin.issuer.status(),
        }
    }
}

impl Exposition {
    pub(super) fn node(&mut self, node: &NodeFigures) {
        self.values(&catalogue::BUILD, [([node.version], 1.0)]);
        self.values(&catalogue::LOG_LINES_DROPPED, [([], log::dropped_lines() as f64)]);
        self.values(&catalogue::MAX_CONNECTIONS, node.max_connections.map(|limit| ([], limit as f64)));
        self.values(&catalogue::MAX_MEMORY, node.max_memory.map(|limit| ([], limit as f64)));
        self.values(&catalogue::HTTP_CONNECTIONS, [([], node.http_connections as f64)]);
        self.values(&catalogue::DRAIN_AGE, [([], node.drain_age.as_secs_f64())]);
        self.values(&catalogue::DRAIN_LIMIT, [([], node.drain_limit.as_secs_f64())]);
        node.webhook_stream.iter().for_each(|stream| self.webhook_stream(stream));
        let [here, away, known] = node.pages;
        let pages = [(["here"], here as f64), (["away"], away as f64), (["known"], known as f64)];
        self.values(&catalogue::PAGES, pages);
        self.values(&catalogue::RECEIPTS_OUTSTANDING, [([], node.receipts_outstanding as f64)]);
        node.rebalance.into_iter().for_each(|now| self.rebalance(now));
        node.cache.into_iter().for_each(|cache| self.cache(cache));
        node.stream.iter().for_each(|stream| self.history_stream(stream));
        node.apps.iter().for_each(|apps| self.apps_store(apps));
        node.issuer.iter().for_each(|keys| self.issuer(keys));
        self.values(&catalogue::DESCRIPTOR_LIMIT, process::max_descriptors().map(|limit| ([], limit as f64)));
    }

    fn apps_store(&mut self, apps: &StoreStatus) {
        self.values(&catalogue::APPS_STORE_UP, [([], f64::from(u8::from(apps.works)))]);
        self.values(&catalogue::APPS_STORE_BROKEN, [([], apps.broken as f64)]);
    }

    fn rebalance(&mut self, now: Stage) {
        let stages = Stage::ALL.map(|stage| ([stage.name()], f64::from(u8::from(stage == now))));
        self.values(&catalogue::REBALANCE_STAGE, stages);
    }

    fn webhook_stream(&mut self, stream: &queue::Status) {
        self.values(&catalogue::WEBHOOK_STREAM_UP, [([], f64::from(u8::from(stream.error.is_none())))]);
        self.values(&catalogue::WEBHOOK_STREAM_STORED, [([], stream.stored as f64)]);
    }

    fn history_stream(&mut self, stream: &history::Status) {
        self.values(&catalogue::HISTORY_STREAM_UP, [([], f64::from(u8::from(stream.works)))]);
        self.values(&catalogue::HISTORY_STREAM_STORED, [([], stream.stored as f64)]);
        self.values(&catalogue::HISTORY_STREAM_DROPPED, [([], stream.dropped as f64)]);
        self.values(&catalogue::HISTORY_STREAM_WAITING, [([], stream.waiting as f64)]);
        self.values(&catalogue::HISTORY_STREAM_READS, [([], stream.reads as f64)]);
    }

    fn issuer(&mut self, keys: &issuer::Status) {
        self.values(&catalogue::ISSUER_KEYS, [([], keys.keys as f64)]);
        self.values(&catalogue::ISSUER_KEYS_AGE, [([], keys.age.as_secs_f64())]);
        let attempts = [(["read"], keys.reads as f64), (["failed"], keys.failures as f64)];
        self.values(&catalogue::ISSUER_KEY_READS, attempts);
    }

    /// What cached events take, wherever they are kept.
    pub(super) fn cache(&mut self, cache: CacheUse) {
        self.values(&catalogue::CACHE_BYTES, [([], cache.bytes as f64)]);
        self.values(&catalogue::CACHE_EVICTIONS, [([], cache.evicted as f64)]);
    }

    pub(super) fn process(&mut self) {
        let Some(process) = Process::observe() else { return };
        self.values(&catalogue::RESIDENT_BYTES, [([], process.resident_bytes as f64)]);
        self.values(&catalogue::CPU_SECONDS, [([], process.cpu_seconds)]);
        self.values(&catalogue::START_TIME, [([], process.start_seconds)]);
        self.values(&catalogue::OPEN_DESCRIPTORS, [([], process.open_descriptors as f64)]);
        self.values(&catalogue::MAX_DESCRIPTORS, [([], process.max_descriptors as f64)]);
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A node that has everything.
    pub(in crate::admin) fn node() -> NodeFigures {
        NodeFigures {
            version: "1.2.3",
            max_connections: Some(5_000),
            http_connections: 7,
            max_memory: Some(1_048_576),
            drain_age: Duration::from_millis(1_500),
            drain_limit: Duration::from_secs(40),
            webhook_stream: Some(queue::Status { stored: 17, dropped: 18, error: Some("no JetStream".to_owned()) }),
            cache: None,
            pages: [9, 10, 11],
            receipts_outstanding: 12,
            rebalance: Some(Stage::Moving),
            stream: Some(history::Status { stored: 13, dropped: 14, waiting: 15, reads: 16, works: true, error: None }),
            apps: Some(StoreStatus { works: true, broken: 3 }),
            issuer: Some(issuer::Status { keys: 2, age: Duration::from_secs(61), reads: 18, failures: 19 }),
        }
    }

    fn show(node: &NodeFigures) -> String {
        let mut exposition = Exposition::default();
        exposition.node(node);
        exposition.finish()
    }

    #[test]
    fn what_the_node_knows_of_itself_is_shown() {
        let text = show(&node());
        for line in [
            r#"gaung_build_info{version="1.2.3"} 1"#,
            "gaung_max_connections 5000",
            "gaung_http_connections 7",
            "gaung_max_memory_bytes 1048576",
            "gaung_drain_age_seconds 1.5",
            "gaung_drain_limit_seconds 40",
            "gaung_webhook_stream_up 0",
            "gaung_webhook_stream_stored_total 17",
            r#"gaung_pages{state="here"} 9"#,
            r#"gaung_pages{state="away"} 10"#,
            r#"gaung_pages{state="known"} 11"#,
            "gaung_receipts_outstanding 12",
            r#"gaung_rebalance_stage{stage="even"} 0"#,
            r#"gaung_rebalance_stage{stage="moving"} 1"#,
            "gaung_apps_store_up 1",
            "gaung_apps_store_broken_records 3",
            "gaung_history_stream_up 1",
            "gaung_history_stream_stored_total 13",
            "gaung_history_stream_dropped_total 14",
            "gaung_history_stream_waiting 15",
            "gaung_history_stream_reads_total 16",
            "gaung_issuer_keys 2",
            "gaung_issuer_keys_age_seconds 61",
            r#"gaung_issuer_key_reads_total{outcome="read"} 18"#,
            r#"gaung_issuer_key_reads_total{outcome="failed"} 19"#,
        ] {
            assert!(text.lines().any(|shown| shown == line), "{line:?} is not in:\n{text}");
        }
    }

    #[test]
    fn a_node_that_is_alone_shows_what_its_rooms_cache() {
        let text = show(&NodeFigures { cache: Some(CacheUse { bytes: 7, evicted: 8 }), ..node() });
        assert!(text.contains("gaung_cache_bytes 7\n") && text.contains("gaung_cache_evictions_total 8\n"), "{text}");
    }

    #[test]
    fn limits_that_are_not_set_are_absent() {
        let text = show(&NodeFigures { max_connections: None, max_memory: None, ..node() });
        assert!(!text.contains("gaung_max_"), "{text}");
    }
}

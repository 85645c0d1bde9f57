//! The cluster that the node belongs to, and the NATS servers that carry it.

mod auth;
mod check;
mod servers;
#[cfg(test)]
mod tests;
mod variables;

use std::{path::PathBuf, time::Duration};

use gaung_cluster::{
    NodeId, Subjects,
    bus::{Auth, BusSettings, BusTls, Limits},
    core,
    newest::CacheBounds,
    ring::Retention,
    totals::Tenancy,
};
use serde::Deserialize;

use super::{Problems, environment::Environment, fields};
use crate::{protocol::Secret, tenant::TenantChannels};

pub use check::read_nodes;
pub(super) use check::warning;
pub(super) use servers::Servers;

const MIB: usize = 1_048_576;

/// What a node needs to be one of many. Without `GAUNG_NATS_URL` there is none, and the node is alone.
#[derive(Debug, Clone)]
pub struct ClusterConfig {
    /// `GAUNG_CLUSTER_NAME` (gaung): nodes of other clusters on the same NATS servers are not heard.
    pub name: String,
    /// `GAUNG_NATS_URL`: the NATS servers, without credentials; at least one.
    pub servers: Vec<String>,
    /// `GAUNG_NATS_USER` and `GAUNG_NATS_PASSWORD`, `GAUNG_NATS_TOKEN`, `GAUNG_NATS_CREDENTIALS` or what the URL says.
    pub auth: Auth,
    /// `GAUNG_NATS_TLS` (false), `GAUNG_NATS_CA`, `GAUNG_NATS_CERT` and `GAUNG_NATS_KEY`.
    pub tls: BusTls,
    /// `GAUNG_NATS_SUBJECT_PREFIX` (gaung) and the name: the subjects of this cluster.
    pub subjects: Subjects,
    /// `GAUNG_CLUSTER_NODES` (1), or what the file says: how many nodes the cluster is meant to have.
    pub expected_nodes: usize,
    /// `GAUNG_CLUSTER_NODES_FILE`: the file that says so, and is followed.
    pub nodes_file: Option<PathBuf>,
    /// `GAUNG_CLUSTER_RING_SECONDS` (300) and `GAUNG_CLUSTER_RING_MB` (64): how far back peers may ask.
    pub retention: Retention,
    /// `GAUNG_MAX_CACHE_BYTES` and `GAUNG_MAX_APP_CACHE_BYTES`: how many bytes of cached events all nodes keep.
    pub cache: CacheBounds,
    /// `GAUNG_MAX_QUEUED_BUS_EVENTS` (65,536) and `GAUNG_MAX_QUEUED_BUS_EVENT_BYTES` (33,554,432): events on their way to
    /// NATS.
    pub queued: Limits,
    /// `GAUNG_WEBHOOK_STREAM`: the JetStream stream that keeps webhooks until they are posted.
    pub webhook_stream: Option<String>,
    /// `GAUNG_WEBHOOK_STREAM_REPLICAS` (1): how many NATS servers keep it, where this node makes it.
    pub webhook_stream_replicas: usize,
    /// `GAUNG_REBALANCE_ABOVE` (0): when sockets move to nodes that have fewer; `None` is never.
    pub rebalance: Option<RebalanceConfig>,
    /// `GAUNG_HISTORY_STREAM` (false): the JetStream stream that keeps events behind the nodes' memory.
    pub history_stream: Option<HistoryStreamConfig>,
    /// `GAUNG_TENANT_CHANNELS`: whose what the nodes have is counted as.
    pub tenant_channels: TenantChannels,
}

/// When a node closes sockets because others have fewer, and how fast.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RebalanceConfig {
    /// `GAUNG_REBALANCE_ABOVE`: how many times the mean of all nodes one may have.
    pub above: f64,
    /// `GAUNG_REBALANCE_PERCENT` (1), as a part of one: how many of its sockets it closes in a second.
    pub per_second: f64,
}

/// The stream that keeps events, where this node makes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HistoryStreamConfig {
    /// `GAUNG_HISTORY_STREAM_REPLICAS` (1): how many NATS servers keep it.
    pub replicas: usize,
    /// `GAUNG_HISTORY_STREAM_MB` (256), in bytes: what it keeps.
    pub max_bytes: usize,
}

/// The variables as they are read, before they are checked together.
#[derive(Debug, Clone, Deserialize)]
#[serde(default)]
struct Form {
    #[serde(deserialize_with = "fields::nats_servers")]
    nats_url: Servers,
    cluster_name: String,
    cluster_nodes: usize,
    cluster_nodes_file: Option<PathBuf>,
    nats_subject_prefix: String,
    nats_user: Option<String>,
    nats_password: Option<Secret>,
    nats_token: Option<Secret>,
    nats_credentials: Option<PathBuf>,
    nats_tls: bool,
    nats_ca: Option<PathBuf>,
    nats_cert: Option<PathBuf>,
    nats_key: Option<PathBuf>,
    #[serde(deserialize_with = "fields::seconds")]
    cluster_ring_seconds: Duration,
    cluster_ring_mb: usize,
    max_queued_bus_events: usize,
    max_queued_bus_event_bytes: usize,
    webhook_stream: Option<String>,
    webhook_stream_replicas: usize,
    rebalance_above: f64,
    rebalance_percent: u32,
    history_stream: bool,
    history_stream_replicas: usize,
    history_stream_mb: usize,
}

impl Default for Form {
    fn default() -> Self {
        let retention = Retention::default();
        Self {
            nats_url: Servers::default(),
            cluster_name: "gaung".to_owned(),
            cluster_nodes: 1,
            cluster_nodes_file: None,
            nats_subject_prefix: "gaung".to_owned(),
            nats_user: None,
            nats_password: None,
            nats_token: None,
            nats_credentials: None,
            nats_tls: false,
            nats_ca: None,
            nats_cert: None,
            nats_key: None,
            cluster_ring_seconds: retention.age,
            cluster_ring_mb: retention.bytes / MIB,
            max_queued_bus_events: 65_536,
            max_queued_bus_event_bytes: 32 * MIB,
            webhook_stream: None,
            webhook_stream_replicas: 1,
            rebalance_above: 0.0,
            rebalance_percent: 1,
            history_stream: false,
            history_stream_replicas: 1,
            history_stream_mb: 256,
        }
    }
}

impl ClusterConfig {
    /// Reads the variables and tells what is wrong with them; `None` without `GAUNG_NATS_URL`.
    pub(super) fn read(environment: &Environment, cache: CacheBounds, problems: &mut Problems) -> Option<Self> {
        let form: Form = environment.read("GAUNG_", problems)?;
        if environment.foreign("GAUNG_NATS_URL").is_none() {
            check::alone(environment, problems);
            return None;
        }
        check::files(&form, problems);
        check::tls(&form, problems);
        let auth = auth::choose(&form, problems);
        let expected_nodes = check::nodes(&form, environment, problems);
        (!form.nats_url.addresses.is_empty()).then(|| form.with(auth, cache, expected_nodes))
    }

    /// What the bus of a node of this name and release is opened with.
    pub fn bus_settings(&self, node: NodeId, version: &'static str) -> BusSettings {
        BusSettings {
            servers: self.servers.clone(),
            auth: self.auth.clone(),
            tls: self.tls.clone(),
            subjects: self.subjects.clone(),
            core: core::Settings {
                retention: self.retention,
                bounds: core::Bounds { cache: self.cache, ..core::Bounds::default() },
                stores_events: self.history_stream.is_some(),
                tenancy: self.tenancy(),
                ..core::Settings::new(node, version, self.expected_nodes)
            },
            version,
            limits: self.queued,
        }
    }

    fn tenancy(&self) -> Tenancy {
        let channels = self.tenant_channels.clone();
        Tenancy::new(move |channel| channels.tenant_of(channel))
    }
}

impl Form {
    fn with(self, auth: Auth, cache: CacheBounds, expected_nodes: usize) -> ClusterConfig {
        let subjects = Subjects::new(&self.nats_subject_prefix, &self.cluster_name);
        ClusterConfig {
            subjects: subjects.expect("each of the two obeys its rule"),
            name: self.cluster_name,
            servers: self.nats_url.addresses,
            auth,
            tls: BusTls { required: self.nats_tls, ca: self.nats_ca, cert: self.nats_cert, key: self.nats_key },
            expected_nodes,
            nodes_file: self.cluster_nodes_file,
            retention: Retention {
                age: self.cluster_ring_seconds,
                bytes: self.cluster_ring_mb * MIB,
                ..Retention::default()
            },
            cache,
            queued: Limits { events: self.max_queued_bus_events, bytes: self.max_queued_bus_event_bytes },
            webhook_stream: self.webhook_stream,
            webhook_stream_replicas: self.webhook_stream_replicas,
            rebalance: (self.rebalance_above > 0.0).then(|| RebalanceConfig {
                above: self.rebalance_above,
                per_second: f64::from(self.rebalance_percent) / 100.0,
            }),
            history_stream: self.history_stream.then_some(HistoryStreamConfig {
                replicas: self.history_stream_replicas,
                max_bytes: self.history_stream_mb * MIB,
            }),
            tenant_channels: TenantChannels::default(),
        }
    }
}

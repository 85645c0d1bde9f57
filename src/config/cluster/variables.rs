//! The rows of the cluster's variables.

use std::fmt::Display;

use super::{ClusterConfig, Form, MIB, check::MANY_NODES};
use crate::config::{
    Rule::{ClusterName, NatsUrls, Number, Path, Ratio, Secret, StreamName, SubjectPrefix, Switch, Text},
    Variable,
};

impl ClusterConfig {
    pub(in crate::config) fn variables() -> Vec<Variable> {
        let default = Form::default();
        let groups = [cluster_variables, rebalance_variables, stream_variables, nats_variables];
        groups.iter().flat_map(|variables| variables(&default)).collect()
    }
}

fn cluster_variables(default: &Form) -> Vec<Variable> {
    let rows: [(_, &dyn Display, _, _); 8] = [
        ("GAUNG_NATS_URL", &"", NatsUrls, "NATS servers, comma-separated; a node without any is alone"),
        (
            "GAUNG_CLUSTER_NAME",
            &default.cluster_name,
            ClusterName,
            "name of the cluster; nodes with the same name are one server",
        ),
        (
            "GAUNG_CLUSTER_NODES",
            &default.cluster_nodes,
            Number(MANY_NODES),
            "expected number of nodes; a node posts webhooks only while it sees more than half of them",
        ),
        ("GAUNG_CLUSTER_NODES_FILE", &"", Path, "a file with that number, which may be changed while the node runs"),
        (
            "GAUNG_CLUSTER_RING_SECONDS",
            &default.cluster_ring_seconds.as_secs(),
            Number(1..=3_600),
            "how long an event is kept for nodes that missed it",
        ),
        (
            "GAUNG_CLUSTER_RING_MB",
            &default.cluster_ring_mb,
            Number(1..=4_096),
            "most MiB of events that are kept for that",
        ),
        (
            "GAUNG_MAX_QUEUED_BUS_EVENTS",
            &default.max_queued_bus_events,
            Number(1..=MIB as u64),
            "events between the trigger API and NATS; over it the API answers 503",
        ),
        (
            "GAUNG_MAX_QUEUED_BUS_EVENT_BYTES",
            &default.max_queued_bus_event_bytes,
            Number(MIB as u64..=68_719_476_736),
            "bytes of these events and of what NATS has not taken yet; over it the API answers 503",
        ),
    ];
    rows.map(Variable::from).into()
}

fn stream_variables(default: &Form) -> Vec<Variable> {
    let rows: [(_, &dyn Display, _, _); 5] = [
        ("GAUNG_WEBHOOK_STREAM", &"", StreamName, "JetStream stream that keeps webhooks until they are posted"),
        (
            "GAUNG_WEBHOOK_STREAM_REPLICAS",
            &default.webhook_stream_replicas,
            Number(1..=5),
            "replicas of the stream if the node creates it; an existing stream stays as it is",
        ),
        (
            "GAUNG_HISTORY_STREAM",
            &default.history_stream,
            Switch,
            "whether a JetStream stream keeps the events of channels with a history behind the nodes' memory",
        ),
        (
            "GAUNG_HISTORY_STREAM_REPLICAS",
            &default.history_stream_replicas,
            Number(1..=5),
            "replicas of that stream if the node creates it; an existing stream stays as it is",
        ),
        (
            "GAUNG_HISTORY_STREAM_MB",
            &default.history_stream_mb,
            Number(1..=1_048_576),
            "MiB that it keeps if the node creates it; beyond it the oldest events go",
        ),
    ];
    rows.map(Variable::from).into()
}

fn rebalance_variables(default: &Form) -> Vec<Variable> {
    let rows: [(_, &dyn Display, _, _); 2] = [
        (
            "GAUNG_REBALANCE_ABOVE",
            &default.rebalance_above,
            Ratio(1.05..=10.0),
            "how many times the mean of all nodes a node may have in sockets; one with more for 30 s closes some, which come \
             back to any node",
        ),
        (
            "GAUNG_REBALANCE_PERCENT",
            &default.rebalance_percent,
            Number(1..=100),
            "percent of its sockets that it closes in a second for that",
        ),
    ];
    rows.map(Variable::from).into()
}

fn nats_variables(default: &Form) -> Vec<Variable> {
    let rows: [(_, &dyn Display, _, _); 9] = [
        ("GAUNG_NATS_SUBJECT_PREFIX", &default.nats_subject_prefix, SubjectPrefix, "prefix of all subjects in NATS"),
        ("GAUNG_NATS_USER", &"", Text, "user in NATS; excludes token and credentials"),
        ("GAUNG_NATS_PASSWORD", &"", Secret, "its password"),
        ("GAUNG_NATS_TOKEN", &"", Secret, "token for NATS"),
        ("GAUNG_NATS_CREDENTIALS", &"", Path, "credentials file for NATS, with a JWT and its seed"),
        ("GAUNG_NATS_TLS", &default.nats_tls, Switch, "whether NATS requires TLS; tls:// in the URL says so too"),
        ("GAUNG_NATS_CA", &"", Path, "PEM file with the CA certificates of NATS"),
        ("GAUNG_NATS_CERT", &"", Path, "PEM file with the node's own certificate chain for NATS"),
        ("GAUNG_NATS_KEY", &"", Path, "PEM file with its private key"),
    ];
    rows.map(Variable::from).into()
}

//! What the cluster's variables become together.

use std::{path::PathBuf, time::Duration};

use super::*;
use crate::config::{
    describe,
    tests::{good, refused},
    variables,
};

const URL: (&str, &str) = ("GAUNG_NATS_URL", "nats://127.0.0.1");

/// A file that is there.
const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml");

fn cluster(pairs: &[(&str, &str)]) -> ClusterConfig {
    good(&[&[URL], pairs].concat()).config.cluster.expect("a URL makes a cluster")
}

#[test]
fn a_url_alone_makes_a_cluster_of_the_default_name() {
    let cluster = cluster(&[]);
    assert_eq!((cluster.name.as_str(), cluster.expected_nodes, cluster.queued.events), ("gaung", 1, 65_536));
    assert_eq!((cluster.servers, cluster.auth), (vec!["nats://127.0.0.1:4222".to_owned()], Auth::None));
    assert_eq!(cluster.subjects, Subjects::new("gaung", "gaung").unwrap());
    assert_eq!((cluster.retention.age, cluster.retention.bytes), (Duration::from_secs(300), 64 << 20));
    assert_eq!((cluster.webhook_stream, cluster.history_stream, cluster.rebalance), (None, None, None));
}

#[test]
fn without_a_url_the_node_is_alone() {
    assert!(good(&[]).config.cluster.is_none());
}

#[test]
fn every_variable_of_the_cluster_reaches_its_field() {
    let cluster = cluster(&[
        ("GAUNG_NATS_URL", "tls://a,nats://b:1"),
        ("GAUNG_CLUSTER_NAME", "eu-1"),
        ("GAUNG_CLUSTER_NODES", "3"),
        ("GAUNG_NATS_SUBJECT_PREFIX", "acme.live"),
        ("GAUNG_NATS_USER", "me"),
        ("GAUNG_NATS_PASSWORD", "s3cret"),
        ("GAUNG_NATS_TLS", "true"),
        ("GAUNG_NATS_CA", FILE),
        ("GAUNG_NATS_CERT", FILE),
        ("GAUNG_NATS_KEY", FILE),
        ("GAUNG_CLUSTER_RING_SECONDS", "7"),
        ("GAUNG_CLUSTER_RING_MB", "8"),
        ("GAUNG_MAX_APP_CACHE_BYTES", "2097162"),
        ("GAUNG_MAX_QUEUED_BUS_EVENTS", "9"),
        ("GAUNG_MAX_QUEUED_BUS_EVENT_BYTES", "1048577"),
        ("GAUNG_WEBHOOK_STREAM", "HOOKS"),
        ("GAUNG_WEBHOOK_STREAM_REPLICAS", "3"),
        ("GAUNG_REBALANCE_ABOVE", "1.25"),
        ("GAUNG_REBALANCE_PERCENT", "5"),
        ("GAUNG_HISTORY_STREAM", "true"),
        ("GAUNG_HISTORY_STREAM_REPLICAS", "5"),
        ("GAUNG_HISTORY_STREAM_MB", "10"),
    ]);
    let file = Some(PathBuf::from(FILE));
    let expected = ClusterConfig {
        name: "eu-1".to_owned(),
        servers: vec!["tls://a:4222".to_owned(), "nats://b:1".to_owned()],
        auth: Auth::User { user: "me".to_owned(), password: "s3cret".to_owned() },
        tls: BusTls { required: true, ca: file.clone(), cert: file.clone(), key: file },
        subjects: Subjects::new("acme.live", "eu-1").unwrap(),
        expected_nodes: 3,
        nodes_file: None,
        retention: Retention { age: Duration::from_secs(7), bytes: 8 << 20, ..Retention::default() },
        cache: CacheBounds { app: 2_097_162, node: 128 << 20 },
        queued: Limits { events: 9, bytes: 1_048_577 },
        webhook_stream: Some("HOOKS".to_owned()),
        webhook_stream_replicas: 3,
        rebalance: Some(RebalanceConfig { above: 1.25, per_second: 0.05 }),
        tenant_channels: TenantChannels::default(),
        history_stream: Some(HistoryStreamConfig { replicas: 5, max_bytes: 10 << 20 }),
    };
    assert_eq!(format!("{cluster:?}"), format!("{expected:?}"));
    assert_eq!(cluster.auth, expected.auth);
}

#[test]
fn the_number_of_nodes_may_stand_in_a_file() {
    let file = std::env::temp_dir().join(format!("gaung-nodes-{}", std::process::id()));
    let path = file.to_str().unwrap();
    let of_file = |text: &str| {
        std::fs::write(&file, text).unwrap();
        read_nodes(&file)
    };
    assert_eq!(of_file(" 5\n"), Ok(5));
    let found = cluster(&[("GAUNG_CLUSTER_NODES_FILE", path)]);
    assert_eq!((found.expected_nodes, found.nodes_file.as_ref()), (5, Some(&file)));
    for text in ["", "0", "1001", "five", "5 6"] {
        assert_eq!(of_file(text), Err(format!("it must hold a whole number from 1 to 1000, and holds {text:?}")));
    }
    refused(
        &[URL, ("GAUNG_CLUSTER_NODES_FILE", path), ("GAUNG_CLUSTER_NODES", "3")],
        &[
            "GAUNG_CLUSTER_NODES and GAUNG_CLUSTER_NODES_FILE are both set: set the one that is to be used",
            &format!(
                "GAUNG_CLUSTER_NODES_FILE is {file:?}; it must hold a whole number from 1 to 1000, and holds \"5 6\""
            ),
        ],
    );
    std::fs::remove_file(&file).unwrap();
    assert!(read_nodes(&file).unwrap_err().starts_with("it cannot be read: "));
}

#[test]
fn the_bus_is_opened_with_what_was_configured() {
    let cluster = cluster(&[("GAUNG_CLUSTER_NODES", "3"), ("GAUNG_NATS_TOKEN", "s3cret"), ("GAUNG_NATS_TLS", "true")]);
    assert!(!cluster.bus_settings(NodeId::from_bits(7), "1.2.3").core.stores_events);
    let settings = cluster.bus_settings(NodeId::from_bits(7), "1.2.3");
    assert_eq!((settings.servers, settings.auth), (cluster.servers, Auth::Token("s3cret".to_owned())));
    let limits = Limits { events: 65_536, bytes: 32 << 20 };
    assert_eq!((settings.subjects, settings.limits), (cluster.subjects, limits));
    assert!(settings.tls.required);
    assert_eq!(settings.core.bounds.cache, CacheBounds::default());
    assert_eq!((settings.core.node, settings.core.expected_nodes), (NodeId::from_bits(7), 3));
    assert_eq!((settings.version, &*settings.core.version), ("1.2.3", "1.2.3"));
}

#[test]
fn each_way_to_log_in_is_taken() {
    let token = || Auth::Token("s3cret".to_owned());
    assert_eq!(cluster(&[("GAUNG_NATS_TOKEN", "s3cret")]).auth, token());
    assert_eq!(cluster(&[("GAUNG_NATS_URL", "nats://s3cret@a")]).auth, token());
    assert_eq!(cluster(&[("GAUNG_NATS_CREDENTIALS", FILE)]).auth, Auth::Credentials(FILE.into()));
    let user = Auth::User { user: "me".to_owned(), password: "s3cret".to_owned() };
    assert_eq!(cluster(&[("GAUNG_NATS_URL", "nats://me:s3cret@a")]).auth, user);
}

#[test]
fn ways_to_log_in_exclude_one_another() {
    refused(
        &[
            ("GAUNG_NATS_URL", "nats://me:s3cret@a"),
            ("GAUNG_NATS_USER", "me"),
            ("GAUNG_NATS_PASSWORD", "s3cret"),
            ("GAUNG_NATS_TOKEN", "s3cret"),
            ("GAUNG_NATS_CREDENTIALS", FILE),
        ],
        &[
            "GAUNG_NATS_USER cannot be combined with credentials in GAUNG_NATS_URL; choose one way to log in to NATS",
            "GAUNG_NATS_TOKEN cannot be combined with credentials in GAUNG_NATS_URL; choose one way to log in to NATS",
            "GAUNG_NATS_CREDENTIALS cannot be combined with credentials in GAUNG_NATS_URL; choose one way to log in to NATS",
        ],
    );
}

#[test]
fn halves_of_a_pair_and_missing_files_are_told_together() {
    refused(
        &[URL, ("GAUNG_NATS_USER", "me"), ("GAUNG_NATS_CERT", FILE), ("GAUNG_NATS_CA", "/none")],
        &[
            "GAUNG_NATS_CA is \"/none\"; it cannot be read: No such file or directory (os error 2)",
            "GAUNG_NATS_KEY is not set; the node's certificate needs both GAUNG_NATS_CERT and GAUNG_NATS_KEY",
            "GAUNG_NATS_PASSWORD is not set; GAUNG_NATS_USER and GAUNG_NATS_PASSWORD belong together",
        ],
    );
    refused(
        &[URL, ("GAUNG_NATS_PASSWORD", "s3cret")],
        &["GAUNG_NATS_USER is not set; GAUNG_NATS_USER and GAUNG_NATS_PASSWORD belong together"],
    );
}

#[test]
fn a_url_that_is_wrong_is_told_without_its_password_and_is_not_called_unset() {
    refused(
        &[("GAUNG_NATS_URL", "http://me:s3cret@a"), ("GAUNG_CLUSTER_NAME", "eu")],
        &["GAUNG_NATS_URL is \"********\"; each of its URLs must begin with nats:// or tls://"],
    );
}

#[test]
fn every_other_variable_of_the_cluster_needs_the_url() {
    for variable in ClusterConfig::variables().into_iter().filter(|variable| variable.name != URL.0) {
        let value = if variable.default.is_empty() { FILE.replace(['/', '.'], "_") } else { variable.default.clone() };
        let value = value.chars().take(64).collect::<String>();
        let name = variable.name;
        let expected = format!("{name} is set but GAUNG_NATS_URL is not; without it the node is alone");
        refused(&[(name, &value)], &[&expected]);
    }
}

#[test]
fn nats_elsewhere_without_a_login_is_warned_of() {
    let warnings = |pairs: &[(&str, &str)]| good(pairs).warnings;
    assert_eq!(
        warnings(&[("GAUNG_NATS_URL", "nats://localhost,nats://nats.example")]),
        ["the node does not log in to nats://nats.example:4222 (GAUNG_NATS_URL): anybody who reaches it may read and \
              forge every event; set GAUNG_NATS_USER and GAUNG_NATS_PASSWORD, GAUNG_NATS_TOKEN or \
              GAUNG_NATS_CREDENTIALS"]
    );
    let elsewhere = ("GAUNG_NATS_URL", "nats://nats.example");
    for known in [
        &[("GAUNG_NATS_URL", "nats://localhost,nats://127.0.0.2:1,tls://[::1]")][..],
        &[("GAUNG_NATS_URL", "nats://token@nats.example")],
        &[elsewhere, ("GAUNG_NATS_TOKEN", "token")],
        &[elsewhere, ("GAUNG_NATS_CERT", FILE), ("GAUNG_NATS_KEY", FILE)],
    ] {
        assert_eq!(warnings(known), [""; 0], "{known:?}");
    }
}

#[test]
fn no_secret_of_the_cluster_is_shown() {
    let in_url = good(&[("GAUNG_NATS_URL", "nats://me:s3cret@a:1,nats://b")]);
    assert!(describe(&in_url).contains("GAUNG_NATS_URL=nats://********@a:1,nats://b  # environment\n"));
    let with_password = good(&[URL, ("GAUNG_NATS_USER", "me"), ("GAUNG_NATS_PASSWORD", "s3cret")]);
    assert!(describe(&with_password).contains("GAUNG_NATS_PASSWORD=********  # environment\n"));
    let with_token = good(&[URL, ("GAUNG_NATS_TOKEN", "s3cret")]);
    for loaded in [in_url, with_password, with_token] {
        assert!(!format!("{}{loaded:?}", describe(&loaded)).contains("s3cret"));
    }
}

#[test]
fn every_variable_of_the_cluster_is_in_the_table() {
    let all: Vec<_> = variables().into_iter().map(|variable| variable.name).collect();
    assert!(ClusterConfig::variables().iter().all(|variable| all.contains(&variable.name)));
}

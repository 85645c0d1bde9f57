//! The configuration as a whole: every variable, all problems at once.

use std::{net::IpAddr, path::PathBuf, time::Duration};

use crate::{protocol::Secret, tenant::TenantChannels};

use super::*;

pub(in crate::config) const APP: [(&str, &str); 3] =
    [("GAUNG_APP_ID", "1"), ("GAUNG_APP_KEY", "k"), ("GAUNG_APP_SECRET", "s3cret")];

pub(in crate::config) fn load_pairs(pairs: &[(&str, &str)]) -> Result<Loaded, Problems> {
    load(pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())))
}

pub(in crate::config) fn good(pairs: &[(&str, &str)]) -> Loaded {
    load_pairs(pairs).unwrap_or_else(|problems| panic!("{problems}"))
}

pub(in crate::config) fn app(pairs: &[(&str, &str)]) -> (String, AppSettings) {
    good(pairs).apps.apps()[0].clone()
}

pub(in crate::config) fn refused(pairs: &[(&str, &str)], expected: &[&str]) {
    assert_eq!(load_pairs(pairs).unwrap_err().lines(), expected, "{pairs:?}");
}

/// A certificate of nobody's in a file of its own.
fn authority_file() -> PathBuf {
    const CERTIFICATE: &str = include_str!("../../tests/common/authority.pem");
    let path = std::env::temp_dir().join(format!("gaung-authority-{}.pem", std::process::id()));
    std::fs::write(&path, CERTIFICATE).unwrap();
    path
}

#[test]
fn without_variables_the_defaults_hold_for_the_development_app_and_open_tenant_sockets() {
    let loaded = good(&[]);
    let mut expected = Config::default();
    expected.tenant.access = TenantAccess::Open;
    assert_eq!(format!("{:?}", loaded.config), format!("{expected:?}"));
    let history = HistoryRules::parse("*=120s:1000").unwrap();
    let settings = AppSettings { client_events: true, history, ..AppSettings::new("gaung-key", "gaung-secret") };
    assert!(matches!(&loaded.apps, AppsSource::Development(apps) if apps == &[("gaung".to_owned(), settings)]));
    assert_eq!(loaded.warnings, [""; 0]);
}

#[test]
fn every_variable_reaches_its_field() {
    let ca = authority_file();
    let ca_variable = [("GAUNG_CA", ca.to_str().unwrap())];
    let (variables, expected) = every_variable();
    let expected = Config { outgoing: OutgoingConfig { ca: Some(ca.clone()) }, ..expected };
    let loaded = good(&[&ca_variable[..], &variables].concat());
    assert_eq!(format!("{:?}", loaded.config), format!("{expected:?}"));
}

/// Every variable but those of `issuer.rs` and the one of a file that is read, with a value that is not its default, and where they go.
fn every_variable() -> (Vec<(&'static str, &'static str)>, Config) {
    let (server_variables, server) = every_server_variable();
    let (admin_variables, admin) = every_admin_variable();
    let (limits_variables, limits) = every_limit();
    let (http_variables, http) = every_http_variable();
    let (tenant_variables, tenant) = every_tenant_variable();
    let (pages_variables, pages) = every_pages_variable();
    let variables = [
        &server_variables[..],
        &admin_variables,
        &limits_variables,
        &http_variables,
        &tenant_variables,
        &pages_variables,
        &[("GAUNG_TLS_CERT", "/cert.pem"), ("GAUNG_TLS_KEY", "/key.pem")],
        &[("GAUNG_DRAIN_LAG_SECONDS", "19"), ("GAUNG_DRAIN_SECONDS", "18"), ("GAUNG_DRAIN_REFUSES_UPGRADES", "true")],
        &[("GAUNG_LOG", "debug"), ("GAUNG_LOG_FORMAT", "json")],
    ];
    let config = Config {
        server,
        admin,
        limits,
        http,
        tenant,
        issuer: IssuerConfig::default(),
        pages,
        tls: TlsConfig { cert: Some("/cert.pem".into()), key: Some("/key.pem".into()) },
        outgoing: OutgoingConfig::default(),
        cluster: None,
        drain: DrainConfig { lag: Duration::from_secs(19), window: Duration::from_secs(18), refuses_upgrades: true },
        log: LogConfig { filter: "debug".to_owned(), format: LogFormat::Json },
        traces: TracesConfig::default(),
    };
    (variables.concat(), config)
}

fn every_server_variable() -> ([(&'static str, &'static str); 6], ServerConfig) {
    let variables = [
        ("GAUNG_HOST", "::1"),
        ("GAUNG_PORT", "0"),
        ("GAUNG_REUSE_PORT", "true"),
        ("GAUNG_PATH_PREFIX", "real/time/"),
        ("GAUNG_HTTP_THREADS", "3"),
        ("GAUNG_ROOM_THREADS", "4"),
    ];
    let config = ServerConfig {
        host: "::1".parse().unwrap(),
        port: 0,
        reuse_port: true,
        path_prefix: "/real/time".to_owned(),
        http_threads: 3,
        room_threads: 4,
    };
    (variables, config)
}

fn every_admin_variable() -> ([(&'static str, &'static str); 6], AdminConfig) {
    let variables = [
        ("GAUNG_ADMIN_HOST", "localhost"),
        ("GAUNG_ADMIN_PORT", "1"),
        ("GAUNG_READY_WITHOUT_NATS", "false"),
        ("GAUNG_SOKETI_METRICS_PREFIX", "soketi_"),
        ("GAUNG_ADMIN_TOKEN", "open sesame"),
        ("GAUNG_CONSOLE_PAYLOADS", "true"),
    ];
    let config = AdminConfig {
        host: "127.0.0.1".parse().unwrap(),
        port: 1,
        ready_without_nats: false,
        soketi_metrics_prefix: Some("soketi_".to_owned()),
        token: Some(Secret::new("open sesame")),
        console_payloads: true,
    };
    (variables, config)
}

fn every_limit() -> ([(&'static str, &'static str); 21], LimitsConfig) {
    let variables = [
        ("GAUNG_MAX_FRAME_BYTES", "2001"),
        ("GAUNG_MAX_OUTBOX_BYTES", "70002"),
        ("GAUNG_MAX_BODY_BYTES", "2003"),
        ("GAUNG_MAX_QUEUED_EVENTS", "2004"),
        ("GAUNG_MAX_QUEUED_EVENT_BYTES", "20000004"),
        ("GAUNG_MAX_WEBHOOK_BYTES", "2000008"),
        ("GAUNG_MAX_CACHE_BYTES", "3000009"),
        ("GAUNG_MAX_APP_CACHE_BYTES", "3000010"),
        ("GAUNG_HISTORY_MB", "12"),
        ("GAUNG_MAX_IDEMPOTENCY_BYTES", "3000011"),
        ("GAUNG_MAX_CONNECTIONS", "2006"),
        ("GAUNG_MAX_MEMORY_MB", "2007"),
        ("GAUNG_MAX_CONNECTIONS_PER_IP", "2005"),
        ("GAUNG_MAX_CONNECTION_RATE", "2014"),
        ("GAUNG_MAX_CONNECTION_RATE_PER_IP", "2015"),
        ("GAUNG_IPV6_CLIENT_PREFIX", "56"),
        ("GAUNG_TRUSTED_PROXIES", "10.0.0.0/8, ::1"),
        ("GAUNG_HANDSHAKE_SECONDS", "11"),
        ("GAUNG_PING_SECONDS", "12"),
        ("GAUNG_PONG_SECONDS", "13"),
        ("GAUNG_SIGNATURE_SECONDS", "14"),
    ];
    let config = LimitsConfig {
        max_frame_bytes: 2_001,
        max_outbox_bytes: 70_002,
        max_body_bytes: 2_003,
        max_queued_events: 2_004,
        max_queued_event_bytes: 20_000_004,
        max_webhook_bytes: 2_000_008,
        max_cache_bytes: 3_000_009,
        max_app_cache_bytes: 3_000_010,
        max_history_mb: 12,
        max_idempotency_bytes: 3_000_011,
        max_connections: Some(2_006),
        max_memory_mb: Some(2_007),
        max_connections_per_ip: 2_005,
        max_connection_rate: 2_014,
        max_connection_rate_per_ip: 2_015,
        ipv6_client_prefix: 56,
        trusted_proxies: vec!["10.0.0.0/8".parse().unwrap(), "::1/128".parse().unwrap()],
        handshake_timeout: Duration::from_secs(11),
        ping_interval: Duration::from_secs(12),
        pong_timeout: Duration::from_secs(13),
        signature_window: Duration::from_secs(14),
    };
    (variables, config)
}

fn every_http_variable() -> ([(&'static str, &'static str); 5], HttpConfig) {
    let variables = [
        ("GAUNG_MAX_HELD_BODY_BYTES", "2000008"),
        ("GAUNG_MAX_HTTP_CONNECTIONS", "2009"),
        ("GAUNG_KEEP_ALIVE_SECONDS", "20"),
        ("GAUNG_ANSWER_SECONDS", "21"),
        ("GAUNG_CORS_ORIGINS", "*.example.com, localhost"),
    ];
    let config = HttpConfig {
        max_held_body_bytes: 2_000_008,
        max_http_connections: 2_009,
        keep_alive: Duration::from_secs(20),
        answer_timeout: Duration::from_secs(21),
        cors_origins: vec!["*.example.com".to_owned(), "localhost".to_owned()],
    };
    (variables, config)
}

fn every_pages_variable() -> ([(&'static str, &'static str); 4], PagesConfig) {
    let variables = [
        ("GAUNG_RECEIPT_SECONDS", "3"),
        ("GAUNG_MEMBER_GRACE_SECONDS", "4"),
        ("GAUNG_SOCKET_ID_SECONDS", "5"),
        ("GAUNG_PAGE_DOUBT_SECONDS", "6"),
    ];
    let config = PagesConfig {
        receipt_interval: Duration::from_secs(3),
        member_grace: Duration::from_secs(4),
        socket_id_lifetime: Duration::from_secs(5),
        doubt: Duration::from_secs(6),
    };
    (variables, config)
}

fn every_tenant_variable() -> ([(&'static str, &'static str); 8], TenantConfig) {
    let variables = [
        ("GAUNG_TENANT_ACCESS", "callback"),
        ("GAUNG_TENANT_APP", "gaung"),
        ("GAUNG_TENANT_CHANNELS", "{tenant}.*"),
        ("GAUNG_TENANT_CALLBACK_URL", "http://app/may"),
        ("GAUNG_TENANT_CALLBACK_SECONDS", "15"),
        ("GAUNG_TENANT_CALLBACK_CACHE_SECONDS", "16"),
        ("GAUNG_TENANT_MESSAGES_PER_SECOND", "17"),
        ("GAUNG_TENANT_HEARTBEAT_SECONDS", "18"),
    ];
    let config = TenantConfig {
        access: TenantAccess::Callback,
        app: Some("gaung".to_owned()),
        channels: TenantChannels::parse("{tenant}.*").unwrap(),
        callback_url: Some("http://app/may".to_owned()),
        callback_timeout: Duration::from_secs(15),
        callback_cache: Duration::from_secs(16),
        messages_per_second: 17,
        heartbeat: Duration::from_secs(18),
    };
    (variables, config)
}

#[test]
fn the_ends_of_every_range_can_be_read() {
    for variable in variables() {
        let (Rule::Number(range) | Rule::Quota(range)) = &variable.rule else { continue };
        for value in [range.start(), range.end()] {
            good(&[("GAUNG_NATS_URL", "nats://127.0.0.1"), (variable.name, &value.to_string())]);
        }
    }
}

#[test]
fn all_problems_are_told_at_once_and_no_secret_is() {
    refused(
        &[
            ("GAUNG_PORT", "70000"),
            ("GAUNG_PROT", "1"),
            ("GAUNG_HOST", "example.com"),
            ("GAUNG_HTTP_THREADS", "513"),
            ("GAUNG_LOG_FORMAT", "xml"),
            ("GAUNG_APP_ID", "1"),
            ("GAUNG_APP_SECRET", "s3cret"),
            ("GAUNG_APP_WEBHOOKS", r#"[{"url":"http://u:s3cret@x"}]"#),
            ("GAUNG_TLS_KEY", "/key.pem"),
        ],
        &[
            "GAUNG_APP_KEY is not set; GAUNG_APP_ID, GAUNG_APP_KEY and GAUNG_APP_SECRET belong together",
            "GAUNG_APP_WEBHOOKS is \"********\"; webhooks[0]: url must be an http:// or https:// URL without user \
             and password",
            "GAUNG_HOST is \"example.com\"; it must be an IP address, for example 127.0.0.1, 0.0.0.0 or ::, or \
             localhost",
            "GAUNG_HTTP_THREADS is \"513\"; it must be a whole number from 1 to 512",
            "GAUNG_LOG_FORMAT is \"xml\"; it must be text or json",
            "GAUNG_PORT is \"70000\"; it must be a whole number from 0 to 65535",
            "GAUNG_PROT is unknown; did you mean GAUNG_PORT?",
            "GAUNG_TLS_CERT is not set; TLS needs both GAUNG_TLS_CERT and GAUNG_TLS_KEY",
        ],
    );
}

#[test]
fn an_empty_variable_counts_as_unset_and_space_around_a_value_is_dropped() {
    let loaded = good(&[("GAUNG_PORT", ""), ("GAUNG_TYPO", " "), ("GAUNG_ADMIN_PORT", " 7\n")]);
    assert_eq!((loaded.config.server.port, loaded.config.admin.port), (6001, 7));
}

#[test]
fn variables_of_a_kubernetes_service_are_refused_with_their_cause() {
    refused(
        &[("GAUNG_SERVICE_HOST", "10.0.0.1")],
        &["GAUNG_SERVICE_HOST is unknown; if Kubernetes set it, set enableServiceLinks: false for the pod"],
    );
}

#[test]
fn reverbs_server_variables_stand_in_for_ours() {
    let reverb = [("REVERB_SERVER_HOST", "::1"), ("REVERB_SERVER_PORT", "8080"), ("REVERB_SERVER_PATH", "/ws")];
    let server = good(&reverb).config.server;
    assert_eq!(server.host, "::1".parse::<IpAddr>().unwrap());
    assert_eq!((server.port, server.path_prefix.as_str()), (8_080, "/ws"));
    let ours = [("GAUNG_PORT", "1"), ("GAUNG_HOST", "127.0.0.1"), ("GAUNG_PATH_PREFIX", "/")];
    let server = good(&[&reverb[..], &ours].concat()).config.server;
    assert_eq!(server.host, "127.0.0.1".parse::<IpAddr>().unwrap());
    assert_eq!((server.port, server.path_prefix.as_str()), (1, ""));
    refused(
        &[("REVERB_SERVER_PORT", "x")],
        &["REVERB_SERVER_PORT is \"x\"; it must be a whole number from 0 to 65535"],
    );
}

//! The admin port over real sockets: what its routes answer. The console has files of its own.

use std::{net::SocketAddr, time::Duration};

use gaung::{
    config::{AdminConfig, AppSettings, AppsSource, Config, ServerConfig},
    node::Node,
};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

const PATIENCE: Duration = Duration::from_secs(20);

async fn node() -> Node {
    let config = Config {
        server: ServerConfig { port: 0, ..ServerConfig::default() },
        admin: AdminConfig { port: 0, ..AdminConfig::default() },
        ..Config::default()
    };
    let apps = AppsSource::Fixed(vec![("1".to_owned(), AppSettings::new("key", "secret"))]);
    Node::start(config, apps).await.unwrap()
}

/// Sends one request (`METHOD path`) and returns all that comes back.
async fn exchange(admin: SocketAddr, request: &str, body: &str) -> String {
    let exchange = async {
        let mut stream = TcpStream::connect(admin).await.unwrap();
        let length = body.len();
        let head =
            format!("{request} HTTP/1.1\r\nHost: {admin}\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n");
        stream.write_all(format!("{head}{body}").as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    };
    tokio::time::timeout(PATIENCE, exchange).await.expect("an answer in time")
}

fn status(answer: &str) -> &str {
    answer.split(' ').nth(1).expect("a status line")
}

fn head(answer: &str) -> String {
    answer.split_once("\r\n\r\n").expect("a head").0.to_ascii_lowercase()
}

fn body(answer: &str) -> &str {
    answer.split_once("\r\n\r\n").expect("a head").1
}

#[actix_web::test]
async fn a_live_process_says_so() {
    let node = node().await;
    let answer = exchange(node.admin, "GET /livez", "").await;
    assert_eq!((status(&answer), body(&answer)), ("200", "ok"));
    node.stop().await;
}

#[actix_web::test]
async fn a_probe_by_head_gets_the_status_without_a_body() {
    let node = node().await;
    for path in ["/livez", "/readyz", "/metrics", "/"] {
        let answer = exchange(node.admin, &format!("HEAD {path}"), "").await;
        assert_eq!((status(&answer), body(&answer)), ("200", ""), "{path}");
    }
    node.stop().await;
}

#[actix_web::test]
async fn a_fresh_node_is_ready_and_tells_its_state() {
    let node = node().await;
    let answer = exchange(node.admin, "GET /readyz", "").await;
    assert_eq!(status(&answer), "200");
    let mut report: Value = serde_json::from_str(body(&answer)).unwrap();
    report.as_object_mut().unwrap().remove("uptime_seconds").expect("the uptime is told");
    let version = env!("CARGO_PKG_VERSION");
    assert_eq!(
        report,
        json!({"ready": true, "draining": false, "version": version, "connections": 0,
            "checks": {"rooms": "ok", "connections": "ok"}})
    );
    node.stop().await;
}

#[actix_web::test]
async fn answers_of_the_api_are_counted_by_class_but_not_those_of_probes() {
    let node = node().await;
    for path in ["/apps/1/channels", "/apps/1/channels", "/up", "/ready"] {
        exchange(node.public, &format!("GET {path}"), "").await;
    }
    let text = exchange(node.admin, "GET /metrics", "").await;
    for line in [r#"code="2xx"} 0"#, r#"code="4xx"} 2"#, r#"code="5xx"} 0"#] {
        assert!(text.contains(&format!("gaung_api_responses_total{{app=\"1\",{line}")), "{text}");
    }
}

#[actix_web::test]
async fn every_thread_of_actors_is_watched() {
    let node = node().await;
    for thread in ["http", "rooms", "webhooks"] {
        let nothing_yet = format!(r#"gaung_thread_lag_seconds_count{{thread="{thread}"}} 0"#);
        let watched = async {
            loop {
                let text = exchange(node.admin, "GET /metrics", "").await;
                assert!(text.contains("# TYPE gaung_thread_lag_seconds histogram"), "{text}");
                if text.contains(&format!(r#"thread="{thread}""#)) && !text.contains(&nothing_yet) {
                    return;
                }
            }
        };
        tokio::time::timeout(PATIENCE, watched).await.unwrap_or_else(|_| panic!("nobody watches {thread}"));
    }
}

#[actix_web::test]
async fn metrics_are_prometheus_text() {
    let node = node().await;
    let answer = exchange(node.admin, "GET /metrics", "").await;
    assert!(head(&answer).contains("\r\ncontent-type: text/plain; version=0.0.4"), "{answer}");
    assert!(body(&answer).contains("gaung_connections{app=\"1\"} 0\n"), "{answer}");
    node.stop().await;
}

#[actix_web::test]
async fn a_node_alone_shows_no_metric_of_a_cluster() {
    let node = node().await;
    let answer = exchange(node.admin, "GET /metrics", "").await;
    assert!(body(&answer).contains("gaung_ready 1\n") && !body(&answer).contains("gaung_cluster"), "{answer}");
    node.stop().await;
}

#[actix_web::test]
async fn a_node_alone_is_its_only_peer_and_tells_its_sessions() {
    let node = node().await;
    let (_, socket) = awc::Client::default().ws(format!("http://{}/app/key", node.public)).connect().await.unwrap();
    let answer = exchange(node.admin, "GET /peers", "").await;
    assert_eq!(status(&answer), "200");
    assert_eq!(
        serde_json::from_str::<Value>(body(&answer)).unwrap(),
        json!([{
            "node": null,
            "this": true,
            "version": env!("CARGO_PKG_VERSION"),
            "stage": "live",
            "readiness": "ready",
            "age_seconds": null,
            "sessions": 1,
            "pages": 0,
            "handovers": 0
        }])
    );
    drop(socket);
    node.stop().await;
}

#[actix_web::test]
async fn the_yardstick_reads_any_body_and_answers_an_empty_object() {
    let node = node().await;
    let answer = exchange(node.admin, "POST /noop", "neither JSON nor signed").await;
    assert_eq!((status(&answer), body(&answer)), ("200", "{}"));
    node.stop().await;
}

#[actix_web::test]
async fn the_yardstick_refuses_a_body_over_its_limit() {
    let node = node().await;
    let answer = exchange(node.admin, "POST /noop", &"x".repeat(1_048_577)).await;
    assert_eq!(status(&answer), "413");
    assert_eq!(body(&answer), r#"{"error":"the body is longer than 1048576 bytes, the limit of this path"}"#);
    node.stop().await;
}

#[actix_web::test]
async fn every_route_of_the_index_is_served() {
    let node = node().await;
    let index = exchange(node.admin, "GET /", "").await;
    let routes: Vec<_> =
        body(&index).lines().filter(|line| line.starts_with("GET ") || line.starts_with("POST ")).collect();
    assert_eq!(routes.len(), 10, "{index}");
    for route in routes {
        let mut words = route.split_whitespace();
        let request = format!("{} {}", words.next().unwrap(), words.next().unwrap());
        let answer = exchange(node.admin, &request, "").await;
        assert!(!["404", "405"].contains(&status(&answer)), "{request}: {answer}");
    }
    node.stop().await;
}

#[actix_web::test]
async fn an_unknown_path_is_answered_404_as_json() {
    let node = node().await;
    let answer = exchange(node.admin, "GET /usage", "").await;
    assert_eq!(status(&answer), "404");
    assert_eq!(body(&answer), r#"{"error":"nothing is served at /usage; GET / lists what is"}"#);
    node.stop().await;
}

#[actix_web::test]
async fn a_wrong_method_is_answered_405_with_the_right_ones() {
    let node = node().await;
    let answer = exchange(node.admin, "DELETE /readyz", "").await;
    assert_eq!((status(&answer), body(&answer)), ("405", r#"{"error":"this path accepts GET, HEAD only"}"#));
    assert!(head(&answer).contains("\r\nallow: get, head"), "{answer}");
    let answer = exchange(node.admin, "GET /noop", "").await;
    assert_eq!((status(&answer), body(&answer)), ("405", r#"{"error":"this path accepts POST only"}"#));
    node.stop().await;
}

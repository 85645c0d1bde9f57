//! How a node goes away: not ready, nobody new, everybody told, over a time.

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use actix::spawn;
use futures_util::future::{join, join_all, select_all};
use gaung::config::DrainConfig;
use serde_json::json;
use tokio::net::TcpStream;

use crate::{
    harness::{Client, TestNode, eventually, http_client, key, metrics, now, start_configured, upgrade},
    raw::{Raw, UPGRADE},
};

const HOUR: Duration = Duration::from_secs(3_600);

async fn start(window: Duration) -> TestNode {
    start_configured(|config| config.drain.window = window, |_| {}).await
}

async fn start_to_go(drain: DrainConfig) -> TestNode {
    start_configured(move |config| config.drain = drain, |_| {}).await
}

async fn connect(node: &TestNode, count: usize) -> Vec<Client> {
    let mut clients = Vec::new();
    for _ in 0..count {
        clients.push(node.connect().await);
    }
    clients
}

/// An error frame and a close frame, each with 4200; then the client hangs up.
async fn expect_drain_close(mut client: Client) {
    let text = "Server shutting down; reconnect";
    client.expect_exactly(json!({"event": "pusher:error", "data": {"code": 4200, "message": text}})).await;
    assert_eq!(client.expect_close().await, (4200, text.to_owned()));
}

#[actix::test]
async fn everybody_is_told_4200_and_then_nobody_listens() {
    let node = start(Duration::ZERO).await;
    let clients = connect(&node, 20).await;
    let (public, counted) = (node.node.public, node.counted());
    let stopped = spawn(node.node.stop());
    join_all(clients.into_iter().map(expect_drain_close)).await;
    stopped.await.expect("the node stops");
    assert_eq!(counted.closes("draining"), 20);
    assert!(TcpStream::connect(public).await.is_err());
}

#[actix::test]
async fn sessions_are_closed_over_the_window_and_not_at_once() {
    let window = Duration::from_secs(2);
    let node = start(window).await;
    let clients = connect(&node, 8).await;
    let began = Instant::now();
    let stopped = spawn(node.node.stop());
    join_all(clients.into_iter().map(expect_drain_close)).await;
    assert!(began.elapsed() > window / 2, "all were closed within {:?}", began.elapsed());
    stopped.await.expect("the node stops");
}

#[actix::test]
async fn while_a_drain_goes_on_the_node_serves_those_who_are_there() {
    let node = start(HOUR).await;
    let (public, admin) = (node.node.public, node.node.admin);
    let mut clients = connect(&node, 3).await;
    for client in &mut clients {
        client.subscribe("c").await;
    }
    let _stopping = spawn(node.node.stop());
    let first = clients.iter_mut().map(|client| Box::pin(client.expect("pusher:error")));
    let (error, index, others) = select_all(first).await;
    assert_eq!(error["data"]["code"], 4200);
    drop(others);
    clients.remove(index);
    for client in &mut clients {
        client.expect_silence().await;
    }

    assert_eq!((status(admin, "/readyz").await, status(admin, "/livez").await), (503, 200));
    // A kubelet knows that the pod goes, and would only write the failure down as an event.
    assert_eq!(status(admin, "/readyz?exclude=draining").await, 200);
    assert_eq!(status(admin, "/readyz?exclude=weather").await, 400);

    publish(public).await;
    for client in &mut clients {
        client.expect("e").await;
    }

    let mut late = open(public).await;
    assert_eq!(late.expect("pusher:error").await["data"]["code"], 4100);
    assert_eq!(late.expect_close().await.0, 4100);
}

/// Publishes the event `e` in channel `c`.
async fn publish(public: SocketAddr) {
    let body = json!({"name": "e", "channel": "c", "data": "{}"}).to_string();
    let query =
        gaung::protocol::signature::sign_request(&key(), "POST", "/apps/app-id/events", &[], body.as_bytes(), now());
    let request = http_client().post(format!("http://{public}/apps/app-id/events?{query}"));
    assert_eq!(request.send_body(body).await.expect("the API answers").status().as_u16(), 200);
}

async fn open(public: SocketAddr) -> Client {
    upgrade(http_client().ws(format!("http://{public}/app/app-key"))).await
}

async fn status(address: SocketAddr, path: &str) -> u16 {
    let answer = http_client().get(format!("http://{address}{path}")).send().await;
    answer.expect("the listener answers").status().as_u16()
}

#[actix::test]
async fn until_load_balancers_have_noticed_a_node_says_that_it_is_not_ready_and_serves_everybody() {
    let node = start_to_go(DrainConfig { lag: HOUR, window: Duration::ZERO, ..DrainConfig::default() }).await;
    let (public, admin) = (node.node.public, node.node.admin);
    let mut old = node.connect().await;
    old.subscribe("c").await;
    let _leaving = spawn(node.node.leave());
    eventually("it is not ready", || async { status(admin, "/readyz").await == 503 }).await;
    assert_eq!(status(public, "/ready").await, 500);
    assert_eq!((status(admin, "/livez").await, status(public, "/up").await), (200, 200));
    let mut new = open(public).await.greeted().await;
    new.subscribe("c").await;
    publish(public).await;
    for client in [&mut old, &mut new] {
        client.expect("e").await;
        client.expect_silence().await;
    }
}

#[actix::test]
async fn after_the_lag_the_drain_takes_its_way() {
    let lag = Duration::from_secs(1);
    let node = start_to_go(DrainConfig { lag, window: Duration::ZERO, ..DrainConfig::default() }).await;
    let clients = connect(&node, 3).await;
    let began = Instant::now();
    let left = spawn(node.node.leave());
    join_all(clients.into_iter().map(expect_drain_close)).await;
    assert!(began.elapsed() >= lag, "all were closed within {:?}", began.elapsed());
    left.await.expect("the node stops");
}

#[actix::test]
async fn a_drain_does_not_wait_for_its_window_once_everybody_has_gone() {
    let node = start(HOUR).await;
    let counted = node.counted();
    let clients = connect(&node, 5).await;
    let stopped = spawn(node.node.stop());
    drop(clients);
    stopped.await.expect("the node stops");
    let closes = |reason| counted.closes(reason);
    assert_eq!(closes("lost") + closes("draining"), 5);
}

#[actix::test]
async fn members_who_are_sent_away_leave_their_channels() {
    let node = start(HOUR).await;
    let (mut ada, mut bob) = (node.connect().await, node.connect().await);
    ada.join("presence-room", r#"{"user_id":"1"}"#).await;
    bob.join("presence-room", r#"{"user_id":"2"}"#).await;
    ada.expect("pusher_internal:member_added").await;
    let _stopping = spawn(node.node.stop());
    // Either may be the first to go.
    let (ada, bob) = join(ada.next(), bob.next()).await;
    let (error, news) = if ada["event"] == "pusher:error" { (ada, bob) } else { (bob, ada) };
    assert_eq!(error["data"]["code"], 4200);
    assert_eq!(news["event"], "pusher_internal:member_removed");
}

#[actix::test]
async fn the_metrics_of_readiness_and_of_the_drain_follow() {
    let node = start(HOUR).await;
    let admin = node.node.admin;
    let clients = connect(&node, 2).await;
    let before = metrics(admin).await;
    assert!(before.contains("\ngaung_drain_age_seconds 0\n"), "{before}");
    assert!(before.contains("\ngaung_drain_limit_seconds 3617\n"), "{before}");
    let _stopping = spawn(node.node.stop());
    eventually("the node is not ready and its drain has an age", || async {
        let text = metrics(admin).await;
        text.contains("\ngaung_ready 0\n") && !text.contains("\ngaung_drain_age_seconds 0\n")
    })
    .await;
    drop(clients);
}

#[actix::test]
async fn a_node_that_goes_may_have_the_proxy_try_another_one() {
    let node = start_to_go(DrainConfig { lag: HOUR, refuses_upgrades: true, ..DrainConfig::default() }).await;
    let (public, admin, counted) = (node.node.public, node.node.admin, node.counted());
    let (mut early, mut late) = (node.connect().await, Raw::connect(&node).await);
    let _leaving = spawn(node.node.leave());
    eventually("it is not ready", || async { status(admin, "/readyz").await == 503 }).await;
    late.send(UPGRADE.as_bytes()).await;
    let answer = late.rest().await;
    assert!(answer.starts_with("HTTP/1.1 503 ") && answer.contains("GAUNG_DRAIN_REFUSES_UPGRADES"), "{answer}");
    assert_eq!(counted.refusals("draining"), 1);
    publish(public).await;
    early.expect_silence().await;
}

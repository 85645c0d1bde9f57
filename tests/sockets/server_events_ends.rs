//! Who may not open a stream and is told so, how streams end, and what they count as.

use std::future::poll_fn;

use awc::http::Method;
use bytes::Bytes;
use gaung::config::{Config, TenantAccess};
use serde_json::json;
use tokio::time::timeout;

use crate::{
    event_stream::{EventStream, read},
    harness::{PATIENCE, TestNode, eventually, http_client, start_configured},
    tenant::{open_node, tenant_socket},
    tls::Folder,
};

const PRODUCTS: &str = "/sse?tenant_id=7&channels=products.7";

async fn start(change: impl FnOnce(&mut Config)) -> TestNode {
    let change = |config: &mut Config| {
        config.tenant.access = TenantAccess::Open;
        change(config);
    };
    start_configured(change, |_| {}).await
}

/// The answer is a stream that says why and for how long to stay away, and ends.
async fn expect_put_off(node: &TestNode, code: u16, text: &str) {
    let mut stream = EventStream::open(node, PRODUCTS, "").await;
    assert_eq!((stream.status(), stream.header("content-type")), (200, Some("text/event-stream")));
    let all = stream.expect_end().await;
    let told: serde_json::Value = serde_json::from_str(all[0].data.as_deref().expect("a reason")).expect("JSON");
    assert_eq!(told, json!({"type": "error", "code": code, "message": text}));
    assert!((5_000..=30_000).contains(&all[1].retry.expect("a pause")), "{all:?}");
}

#[actix::test]
async fn what_can_never_be_served_is_refused_for_good() {
    let node = open_node(|_| {}).await;
    for (path, status, text) in [
        ("/sse?channels=products.7", 400, "the address has no parameter tenant_id"),
        ("/sse?tenant_id=a.b&channels=products.7", 400, "tenant"),
        ("/sse?tenant_id=7", 400, "the address has no parameter channels"),
        ("/sse?tenant_id=7&channels=products.8", 403, "the channel is not tenant 7's"),
        ("/sse?tenant_id=7&channels=private-products.7", 403, "needs a token"),
        ("/sse?tenant_id=7&channels=products.7%0A", 400, "the channel name contains"),
        ("/sse?tenant_id=7&channels=products.7&since=x", 400, "since"),
        ("/sse/more?tenant_id=7&channels=products.7", 404, "nothing is served at this path"),
    ] {
        let mut answer = EventStream::open(&node, path, "").await;
        let body = answer.body().await;
        assert_eq!((answer.status(), &body["code"]), (status, &json!(status)), "{path}");
        assert!(body["error"].as_str().expect("a text").contains(text), "{path}: {body}");
    }
    assert_eq!(node.connections().await, 0);
}

#[actix::test]
async fn a_token_is_checked_and_a_refused_one_is_401() {
    let node = crate::harness::start(|_| {}).await;
    let good = crate::tenant_access::token(json!({}));
    let mut stream = EventStream::open(&node, PRODUCTS, &format!("Authorization: Bearer {good}\r\n")).await;
    stream.expect_greeting().await;
    for token in ["", "&token=nonsense"] {
        let answer = EventStream::open(&node, &format!("{PRODUCTS}{token}"), "").await;
        assert_eq!(answer.status(), 401, "{token}");
    }
}

#[actix::test]
async fn other_methods_are_405() {
    let node = open_node(|_| {}).await;
    for method in [Method::HEAD, Method::POST, Method::PUT, Method::OPTIONS] {
        let answer = http_client().request(method.clone(), node.url(PRODUCTS)).send().await.expect("an answer");
        assert_eq!(
            (answer.status().as_u16(), answer.headers().get("allow")),
            (405, Some(&"GET".parse().unwrap())),
            "{method}"
        );
    }
}

#[actix::test]
async fn pages_of_allowed_origins_may_read_and_others_are_refused() {
    let change = |config: &mut Config| config.tenant.access = TenantAccess::Open;
    let node = start_configured(change, |settings| settings.allowed_origins = vec!["*.example.com".into()]).await;
    let allowed = EventStream::open(&node, PRODUCTS, "Origin: https://shop.example.com\r\n").await;
    assert_eq!(allowed.header("access-control-allow-origin"), Some("https://shop.example.com"));
    assert_eq!((allowed.header("access-control-allow-credentials"), allowed.header("vary")), (None, Some("origin")));
    let refused = EventStream::open(&node, PRODUCTS, "Origin: https://example.net\r\n").await;
    assert_eq!((refused.status(), refused.header("access-control-allow-origin")), (403, None));
    // A page of the same origin names none, and its host is the request's.
    assert_eq!(EventStream::open(&node, PRODUCTS, "").await.status(), 403);
    let node = start_configured(change, |settings| settings.allowed_origins = vec!["gaung.test".into()]).await;
    EventStream::open(&node, PRODUCTS, "").await.expect_greeting().await;
}

#[actix::test]
async fn whoever_finds_no_room_is_told_to_come_back() {
    let node = start(|config| config.limits.max_connections = Some(1)).await;
    let first = EventStream::greeted(&node, "channels=products.7").await;
    expect_put_off(&node, 4100, "Over capacity").await;
    drop(first);
    eventually("there is room again", || async { node.connections().await == 0 }).await;
    EventStream::greeted(&node, "channels=products.7").await;
    let change = |config: &mut Config| config.tenant.access = TenantAccess::Open;
    let node = start_configured(change, |settings| settings.max_connections = Some(1)).await;
    let _first = EventStream::greeted(&node, "channels=products.7").await;
    expect_put_off(&node, 4004, "Application is over connection quota (max_connections)").await;
    assert_eq!(node.counted().refusals("over_quota"), 1);
}

#[actix::test]
async fn streams_enter_at_the_rate_of_sockets_and_count_for_their_address() {
    let node = start(|config| config.limits.max_connection_rate_per_ip = 1).await;
    let _first = EventStream::greeted(&node, "channels=products.7").await;
    expect_put_off(&node, 4100, "Too many new connections from this address (GAUNG_MAX_CONNECTION_RATE_PER_IP)").await;
    let node = start(|config| config.limits.max_connections_per_ip = 2).await;
    let _stream = EventStream::greeted(&node, "channels=products.7").await;
    let _socket = tenant_socket(&node, "").await;
    let mut third = node.open("/ws?tenant_id=7").await;
    assert_eq!(third.expect_close().await.0, 4100);
    drop(third);
    expect_put_off(&node, 4100, "Too many connections from this address (GAUNG_MAX_CONNECTIONS_PER_IP)").await;
}

#[actix::test]
async fn open_streams_take_no_place_of_http() {
    let node = start(|config| {
        config.limits.max_connections_per_ip = 0;
        config.http.max_http_connections = 4;
        config.server.http_threads = 1;
    })
    .await;
    let mut streams = Vec::new();
    for _ in 0..12 {
        streams.push(EventStream::greeted(&node, "channels=products.7").await);
    }
    node.publish("products.7", "a", "{}").await;
    for stream in &mut streams {
        assert_eq!(stream.json().await["type"], "subscribed");
        assert_eq!(stream.json().await["type"], "a");
    }
}

#[actix::test]
async fn a_drain_ends_streams_and_says_when_to_come_back() {
    let node = open_node(|_| {}).await;
    let mut streams = Vec::new();
    for _ in 0..8 {
        streams.push(EventStream::greeted(&node, "channels=products.7").await);
    }
    let counted = node.counted();
    let stopped = actix::spawn(node.node.stop());
    for stream in &mut streams {
        let pause = stream.expect_end().await.pop().and_then(|last| last.retry).expect("a pause");
        assert!((1_000..=5_000).contains(&pause), "{pause}");
    }
    stopped.await.expect("the node stops");
    assert_eq!(counted.closes("going_away"), 8);
}

#[actix::test]
async fn a_reader_that_stops_is_given_up_and_the_others_hear_everything() {
    let node = start(|config| config.limits.max_outbox_bytes = 65_536).await;
    let mut reader = EventStream::greeted(&node, "channels=products.7").await;
    let mut stopped = EventStream::greeted(&node, "channels=products.7").await;
    for stream in [&mut reader, &mut stopped] {
        assert_eq!(stream.json().await["type"], "subscribed");
    }
    let slow = || node.counted().closes("slow_consumer");
    let text = json!({"x": "x".repeat(9_000)}).to_string();
    let mut number = 0;
    while slow() == 0 {
        assert!(number < 10_000, "nobody was given up");
        node.publish("products.7", &format!("e{number}"), &text).await;
        assert_eq!(reader.json().await["type"], format!("e{number}"));
        number += 1;
    }
    eventually("it counts no more", || async { node.connections().await == 1 }).await;
    assert_eq!(node.counted().slow_consumers(), 1);
    node.publish("products.7", "last", "{}").await;
    assert_eq!(reader.json().await["type"], "last");
}

#[actix::test]
async fn a_burst_is_no_reason_to_give_up_a_client_that_reads() {
    let node = start(|config| config.limits.max_outbox_bytes = 65_536).await;
    let mut reader = EventStream::greeted(&node, "channels=products.7").await;
    assert_eq!(reader.json().await["type"], "subscribed");
    let text = json!({"x": "x".repeat(9_000)}).to_string();
    let batch: Vec<_> =
        (0..10).map(|n| json!({"name": format!("e{n}"), "channel": "products.7", "data": text})).collect();
    for _ in 0..5 {
        assert_eq!(node.post("/batch_events", &json!({"batch": batch})).await.0, 200);
    }
    for _ in 0..5 {
        for number in 0..10 {
            assert_eq!(reader.json().await["type"], format!("e{number}"));
        }
    }
}

#[actix::test]
async fn a_stream_works_over_tls() {
    let folder = Folder::new("events");
    let node = folder.start_configured(|config| config.tenant.access = TenantAccess::Open).await;
    let mut stream = EventStream::open_on(folder.speak_http_1(node.node.public).await, PRODUCTS, "").await;
    stream.expect_greeting().await;
    assert_eq!(stream.json().await["type"], "subscribed");
    drop(stream);
    eventually("the stream is gone", || async { node.counted().closes("lost") == 1 }).await;
}

#[actix::test]
async fn many_streams_share_a_connection_of_http_2_and_each_ends_by_itself() {
    let folder = Folder::new("events-2");
    let node = folder.start_configured(|config| config.tenant.access = TenantAccess::Open).await;
    let (mut requests, connection) =
        h2::client::handshake(folder.speak_http_2(node.node.public).await).await.expect("HTTP/2");
    let connection = actix::spawn(connection);
    let mut bodies = Vec::new();
    for _ in 0..10 {
        let request = http::Request::get(format!("https://localhost{PRODUCTS}")).body(()).expect("a request");
        poll_fn(|ctx| requests.poll_ready(ctx)).await.expect("room for a stream");
        let answer = requests.send_request(request, true).expect("a stream").0;
        let answer = timeout(PATIENCE, answer).await.expect("an answer in time").expect("an answer");
        assert_eq!(
            (answer.status().as_u16(), &answer.headers()["content-type"]),
            (200, &"text/event-stream".parse().unwrap())
        );
        bodies.push(answer.into_body());
    }
    let sockets = || node.counted().closes("lost");
    for body in &mut bodies {
        let mut heard = String::new();
        while !heard.contains(r#""subscribed""#) {
            heard.push_str(&part(body).await);
        }
        assert!(read(heard.split("\n\n").next().expect("a message")).retry.is_some(), "{heard}");
    }
    bodies.truncate(9);
    eventually("one stream is gone", || async { sockets() == 1 }).await;
    drop((bodies, requests));
    connection.abort();
    eventually("all streams are gone", || async { sockets() == 10 }).await;
}

async fn part(body: &mut h2::RecvStream) -> String {
    let bytes: Bytes = timeout(PATIENCE, body.data())
        .await
        .expect("a part in time")
        .expect("the stream is open")
        .expect("it is whole");
    body.flow_control().release_capacity(bytes.len()).expect("it was received");
    String::from_utf8(bytes.to_vec()).expect("text")
}

#[actix::test]
async fn nonsense_in_a_query_or_a_position_is_answered_and_harms_nobody() {
    let node = open_node(|settings| settings.history = gaung::config::HistoryRules::parse("*=60s:3").unwrap()).await;
    let mut bystander = EventStream::greeted(&node, "channels=products.7").await;
    assert_eq!(bystander.json().await["type"], "subscribed");
    let long = "x".repeat(3_000);
    let many = (0..1_000).map(|n| format!("p.7.{n}")).collect::<Vec<_>>().join(",");
    let origins = (0..65).map(|n| format!("{n:06}-1")).collect::<Vec<_>>().join(",");
    for query in [
        "channels=%00",
        "channels=%ff.7",
        "channels=a.7%0d%0aid:1",
        "channels=,,,,",
        "channel=&channel=",
        "channels",
        "channels=a.7&since=%00",
        "channels=a.7&since=a.7:000000-99999999999999999999",
        "&&&==&channels=#",
        &format!("channels={many}"),
        &format!("channels=a.7.{long}"),
        &format!("channels=a.7&since=a.7:{origins}"),
        "channels=presence-a.7",
        "channels=%23server-to-user-7",
        "channels=a.7&user_id=%00&resume=x",
    ] {
        let mut answer = EventStream::open(&node, &format!("/sse?tenant_id=7&{query}"), "").await;
        assert!((400..500).contains(&answer.status()), "{query}: {}", answer.status());
        assert!(answer.body().await["error"].is_string(), "{query}");
    }
    for told in [&long, &origins, "a.7:000000-18446744073709551615", "\u{1}", ": : :", "a.7:000000-1 a.7:000000-2"] {
        let headers = format!("Last-Event-ID: {told}\r\n");
        let stream = EventStream::open(&node, "/sse?tenant_id=7&channels=a.7", &headers).await;
        assert!([200, 400].contains(&stream.status()), "{told:?}: {}", stream.status());
    }
    node.publish("products.7", "a", "{}").await;
    assert_eq!(bystander.json().await["type"], "a");
}

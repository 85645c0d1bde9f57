//! Pages that name themselves by a resume id in the key: what they missed comes by itself, under their old socket id.

use std::time::Duration;

use actix::spawn;
use awc::ws::{CloseCode, Message};
use gaung::config::{AppSettings, Config, HistoryRules, TenantAccess};
use serde_json::{Value, json};

use crate::harness::{Client, TestNode, eventually, inner, metrics, start_configured, start_with};

const ID: &str = "3f0c7a52-8f8e-4a5e-9d0e-2f4b6f1a9c1d";

fn history(settings: &mut AppSettings) {
    settings.history = HistoryRules::parse("*=60s:100").unwrap();
}

/// A node that asks for no receipts.
pub async fn start(change: impl FnOnce(&mut Config)) -> TestNode {
    let configure = |config: &mut Config| {
        config.pages.doubt = Duration::ZERO;
        config.pages.receipt_interval = Duration::from_secs(3_600);
        config.tenant.access = TenantAccess::Open;
        change(config);
    };
    start_configured(configure, history).await
}

/// A node that asks for receipts soon.
async fn start_asking(change: impl FnOnce(&mut Config)) -> TestNode {
    start(|config| {
        config.pages.receipt_interval = Duration::from_millis(50);
        change(config);
    })
    .await
}

pub async fn connect(node: &TestNode) -> Client {
    node.open(&format!("/app/app-key/{ID}?protocol=7")).await.greeted().await
}

async fn subscribe(client: &mut Client, channel: &str) {
    client.send(json!({"event": "pusher:subscribe", "data": {"channel": channel}})).await;
    assert_eq!(client.next().await["event"], "pusher_internal:subscription_succeeded");
}

/// Subscribes as a page that comes back; returns the events that are replayed, and what it is told behind them.
async fn resume(client: &mut Client, channel: &str) -> (Vec<String>, Value) {
    subscribe(client, channel).await;
    let mut events = Vec::new();
    loop {
        let message = client.next().await;
        match message["event"].as_str().unwrap() {
            "pusher:ping" => client.send(json!({"event": "pusher:pong", "data": {}})).await,
            "pusher:resumed" => return (events, inner(&message)),
            name => events.push(name.to_owned()),
        }
    }
}

async fn publish(node: &TestNode, names: &[&str]) {
    for name in names {
        node.publish("products.7", name, "{}").await;
    }
}

/// The next event; what is asked meanwhile stays unanswered.
async fn next_event(client: &mut Client) -> Value {
    loop {
        let message = client.next().await;
        if message["event"] != "pusher:ping" {
            return message["event"].clone();
        }
    }
}

/// Answers the next question for a receipt.
async fn give_receipt(client: &mut Client) {
    client.expect("pusher:ping").await;
    client.send(json!({"event": "pusher:pong", "data": {}})).await;
    // The answer to this comes after the receipt was taken.
    client.expect_silence().await;
}

/// Drops a client's socket, and waits until the node has noticed.
pub async fn lose(node: &TestNode, client: Client) {
    let before = node.connections().await;
    drop(client);
    eventually("the socket is gone", async || node.connections().await < before).await;
}

#[actix::test]
async fn a_page_that_comes_back_has_its_socket_id_and_hears_what_it_has_not_proven_to_have_heard() {
    let node = start_asking(|_| {}).await;
    let mut first = connect(&node).await;
    subscribe(&mut first, "products.7").await;
    publish(&node, &["a"]).await;
    assert_eq!(first.next().await["event"], "a");
    give_receipt(&mut first).await;
    publish(&node, &["b"]).await;
    assert_eq!(next_event(&mut first).await, "b");
    let id = first.id.clone();
    lose(&node, first).await;
    publish(&node, &["c"]).await;
    let mut second = connect(&node).await;
    assert_eq!(second.id, id);
    // It heard b, and has not proven it.
    let (events, resumed) = resume(&mut second, "products.7").await;
    assert_eq!((events, resumed), (vec!["b".to_owned(), "c".to_owned()], json!({"complete": true, "replayed": 2})));
    publish(&node, &["d"]).await;
    assert_eq!(next_event(&mut second).await, "d");
}

#[actix::test]
async fn a_page_that_was_cut_off_during_the_replay_hears_it_again() {
    let node = start(|_| {}).await;
    let mut first = connect(&node).await;
    subscribe(&mut first, "products.7").await;
    lose(&node, first).await;
    publish(&node, &["a"]).await;
    for _ in 0..3 {
        let mut again = connect(&node).await;
        assert_eq!(
            resume(&mut again, "products.7").await,
            (vec!["a".to_owned()], json!({"complete": true, "replayed": 1}))
        );
        lose(&node, again).await;
    }
    // Cut off before it asked for the channel.
    let silent = connect(&node).await;
    lose(&node, silent).await;
    let mut last = connect(&node).await;
    assert_eq!(resume(&mut last, "products.7").await.0, ["a"]);
}

#[actix::test]
async fn what_a_page_is_replayed_is_soon_proven() {
    let node = start(|config| config.pages.receipt_interval = Duration::from_secs(30)).await;
    let mut first = connect(&node).await;
    subscribe(&mut first, "products.7").await;
    lose(&node, first).await;
    publish(&node, &["a"]).await;
    let mut second = connect(&node).await;
    assert_eq!(resume(&mut second, "products.7").await.0, ["a"]);
    give_receipt(&mut second).await;
    lose(&node, second).await;
    let mut third = connect(&node).await;
    assert_eq!(resume(&mut third, "products.7").await, (vec![], json!({"complete": true, "replayed": 0})));
}

#[actix::test]
async fn neither_a_close_nor_a_protocol_pong_is_a_receipt() {
    let node = start_asking(|config| config.limits.ping_interval = Duration::from_millis(60)).await;
    let mut frozen = connect(&node).await;
    subscribe(&mut frozen, "products.7").await;
    publish(&node, &["a"]).await;
    assert_eq!(frozen.next().await["event"], "a");
    frozen.expect("pusher:ping").await;
    // The client answers WebSocket pings by itself, as browsers do for pages that are frozen.
    tokio::time::sleep(Duration::from_millis(200)).await;
    frozen.send_raw(Message::Pong("".into())).await;
    frozen.send_raw(Message::Close(Some(CloseCode::Away.into()))).await;
    lose(&node, frozen).await;
    let mut woken = connect(&node).await;
    assert_eq!(resume(&mut woken, "products.7").await.0, ["a"]);
}

#[actix::test]
async fn a_page_that_hears_nothing_is_closed_however_its_browser_answers() {
    let node = start(|config| {
        config.limits.ping_interval = Duration::from_millis(100);
        config.limits.pong_timeout = Duration::from_millis(100);
    })
    .await;
    let mut frozen = connect(&node).await;
    assert_eq!(frozen.expect_close().await.0, 4201);
}

#[actix::test]
async fn an_unsubscribed_channel_is_new_to_a_page_and_a_new_page_gets_nothing_old() {
    let node = start(|_| {}).await;
    let mut first = connect(&node).await;
    subscribe(&mut first, "products.7").await;
    first.unsubscribe("products.7").await;
    lose(&node, first).await;
    publish(&node, &["a"]).await;
    let mut second = connect(&node).await;
    subscribe(&mut second, "products.7").await;
    second.expect_silence().await;
    let mut other = node.open("/app/app-key/another-page-of-the-app?protocol=7").await.greeted().await;
    subscribe(&mut other, "products.7").await;
    other.expect_silence().await;
}

#[actix::test]
async fn of_two_sockets_of_one_page_the_newer_stays() {
    let node = start(|_| {}).await;
    let mut first = connect(&node).await;
    subscribe(&mut first, "products.7").await;
    publish(&node, &["a"]).await;
    let mut second = connect(&node).await;
    assert_eq!(second.id, first.id);
    assert_eq!(first.expect_close().await, (4013, "The page has opened a newer socket".to_owned()));
    assert_eq!(resume(&mut second, "products.7").await.0, ["a"]);
    lose(&node, first).await;
    publish(&node, &["b"]).await;
    assert_eq!(second.next().await["event"], "b");
}

#[actix::test]
async fn one_resume_id_in_two_apps_is_two_pages() {
    let app = |id: &str| {
        let mut settings = AppSettings::new(&*format!("{id}-key"), "app-secret");
        history(&mut settings);
        (id.to_owned(), settings)
    };
    let node = start_with(|config| config.pages.doubt = Duration::ZERO, vec![app("a"), app("b")]).await;
    let open = async |app: &str| node.open(&format!("/app/{app}-key/{ID}?protocol=7")).await.greeted().await;
    let (first, mut other) = (open("a").await, open("b").await);
    assert_ne!(first.id, other.id);
    other.expect_silence().await;
}

#[actix::test]
async fn what_is_no_resume_id_is_refused_and_not_told() {
    let node = start(|_| {}).await;
    for (id, text) in [
        ("too-short", "the resume id has 9 characters; it must have 16 to 64"),
        ("", "the resume id has 0 characters; it must have 16 to 64"),
        ("with/a/slash/and/more", "the resume id has characters other than A-Z, a-z, 0-9, _ and -"),
    ] {
        let mut client = node.open(&format!("/app/app-key/{id}?protocol=7")).await;
        client.expect_exactly(json!({"event": "pusher:error", "data": {"code": 4014, "message": text}})).await;
        assert_eq!(client.expect_close().await.0, 4014);
    }
    let mut plain = node.open("/ws?tenant_id=7&resume=short").await;
    let text = "the resume id has 5 characters; it must have 16 to 64";
    plain.expect_exactly(json!({"type": "error", "code": 4010, "message": text})).await;
    assert!(!metrics(node.node.admin).await.contains("too-short"));
}

#[actix::test]
async fn what_excluded_a_page_is_not_replayed_to_it() {
    let node = start(|config| config.pages.socket_id_lifetime = Duration::ZERO).await;
    let mut first = connect(&node).await;
    subscribe(&mut first, "products.7").await;
    let id = first.id.clone();
    lose(&node, first).await;
    let event = json!({"name": "mine", "channel": "products.7", "data": "{}", "socket_id": id});
    assert_eq!(node.post("/events", &event).await.0, 200);
    publish(&node, &["theirs"]).await;
    // Also under another socket id, which it is given after the time of the old one.
    let mut second = connect(&node).await;
    assert_ne!(second.id, id);
    assert_eq!(resume(&mut second, "products.7").await.0, ["theirs"]);
}

const MEMBER: &str = r#"{"user_id":"1","user_info":{}}"#;

/// A node, a socket that watches a presence channel, and a page that is a member of it.
async fn presence(grace: Duration) -> (TestNode, Client, Client) {
    let node = start(|config| config.pages.member_grace = grace).await;
    let mut watcher = node.connect().await;
    watcher.join("presence-a", r#"{"user_id":"2","user_info":{}}"#).await;
    let mut page = connect(&node).await;
    page.join("presence-a", MEMBER).await;
    watcher.expect("pusher_internal:member_added").await;
    (node, watcher, page)
}

#[actix::test]
async fn a_page_that_loses_its_socket_for_a_moment_stays_a_member() {
    let (node, mut watcher, page) = presence(Duration::from_secs(60)).await;
    lose(&node, page).await;
    let mut back = connect(&node).await;
    back.ask_presence("presence-a", MEMBER).await;
    let snapshot = inner(&back.expect("pusher_internal:subscription_succeeded").await)["presence"].clone();
    assert_eq!(snapshot["count"], 2);
    watcher.expect_silence().await;
    // And goes at once when it says so.
    back.send_raw(Message::Close(Some(CloseCode::Normal.into()))).await;
    watcher.expect("pusher_internal:member_removed").await;
}

#[actix::test]
async fn a_page_that_does_not_come_back_is_a_member_no_longer_after_the_grace() {
    let (node, mut watcher, page) = presence(Duration::from_secs(3)).await;
    lose(&node, page).await;
    watcher.expect_silence().await;
    watcher.expect("pusher_internal:member_removed").await;
}

#[actix::test]
async fn a_page_that_comes_back_as_another_user_is_that_user() {
    let (node, mut watcher, page) = presence(Duration::from_secs(60)).await;
    lose(&node, page).await;
    let mut back = connect(&node).await;
    back.ask_presence("presence-a", r#"{"user_id":"3","user_info":{}}"#).await;
    assert_eq!(inner(&watcher.expect("pusher_internal:member_added").await)["user_id"], "3");
    assert_eq!(inner(&watcher.expect("pusher_internal:member_removed").await)["user_id"], "1");
}

#[actix::test]
async fn a_page_is_asked_for_a_last_receipt_before_a_drain_closes_it() {
    let node = start(|_| {}).await;
    let mut page = connect(&node).await;
    subscribe(&mut page, "products.7").await;
    let mut frozen = node.open("/app/app-key/a-page-that-is-frozen?protocol=7").await.greeted().await;
    let stopped = spawn(node.node.stop());
    page.expect("pusher:ping").await;
    // What it asks for now is not answered any more.
    page.send(json!({"event": "pusher:subscribe", "data": {"channel": "products.8"}})).await;
    page.send(json!({"event": "pusher:pong", "data": {}})).await;
    assert_eq!(page.expect("pusher:error").await["data"]["code"], 4200);
    assert_eq!(page.expect_close().await.0, 4200);
    frozen.expect("pusher:ping").await;
    assert_eq!(frozen.expect_close().await.0, 4200);
    drop((page, frozen));
    stopped.await.expect("the node stops");
}

#[actix::test]
async fn a_page_that_is_older_than_the_node_is_told_that_it_may_have_missed_something() {
    let node = start(|config| config.pages.doubt = Duration::from_secs(3_600)).await;
    let mut page = connect(&node).await;
    assert_eq!(resume(&mut page, "products.7").await.1, json!({"complete": false, "replayed": 0}));
    page.unsubscribe("products.7").await;
    subscribe(&mut page, "products.7").await;
    page.expect_silence().await;
}

#[actix::test]
async fn a_plain_socket_that_names_itself_is_brought_on_too() {
    let node = start_asking(|_| {}).await;
    let connect = async || crate::tenant::tenant_socket(&node, &format!("&resume={ID}")).await;
    let mut first = connect().await;
    first.send(json!({"type": "subscribe", "channel": "products.7"})).await;
    first.next().await;
    publish(&node, &["a"]).await;
    assert_eq!(first.next().await["type"], "a");
    first.expect_exactly(json!({"type": "ping"})).await;
    first.send(json!({"type": "pong"})).await;
    first.send(json!({"type": "ping"})).await;
    first.expect_exactly(json!({"type": "pong"})).await;
    let id = first.id.clone();
    lose(&node, first).await;
    publish(&node, &["b"]).await;
    let mut second = connect().await;
    assert_eq!(second.id, id);
    second.send(json!({"type": "subscribe", "channel": "products.7"})).await;
    second.expect_exactly(json!({"type": "subscribed", "channel": "products.7", "recovered": true})).await;
    assert_eq!(second.next().await["type"], "b");
}

#[actix::test]
async fn operators_see_pages_and_the_receipts_that_they_owe() {
    let node = start_asking(|_| {}).await;
    let mut first = connect(&node).await;
    subscribe(&mut first, "products.7").await;
    publish(&node, &["a"]).await;
    first.next().await;
    first.expect("pusher:ping").await;
    let shows = async |lines: &[&str]| {
        let text = metrics(node.node.admin).await;
        lines.iter().all(|line| text.lines().any(|shown| shown == *line))
    };
    assert!(shows(&[r#"gaung_pages{state="here"} 1"#, "gaung_receipts_outstanding 1"]).await);
    lose(&node, first).await;
    let away = [r#"gaung_pages{state="here"} 0"#, r#"gaung_pages{state="away"} 1"#, "gaung_receipts_outstanding 0"];
    eventually("the page is away", || shows(&away)).await;
    let mut second = connect(&node).await;
    resume(&mut second, "products.7").await;
    let starts = [r#"gaung_page_starts_total{outcome="new"} 1"#, r#"gaung_page_starts_total{outcome="resumed"} 1"#];
    assert!(shows(&starts).await);
    let text = metrics(node.node.admin).await;
    for start in [r#"gaung_history_bytes{app="app-id"} "#, r#"gaung_history_oldest_age_seconds{app="app-id"} "#] {
        let shown = text.lines().find_map(|line| line.strip_prefix(start)).unwrap();
        assert!(shown.parse::<f64>().unwrap() > 0.0, "{start}{shown}");
    }
}

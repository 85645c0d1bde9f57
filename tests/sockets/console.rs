//! The console's socket: what it shows of the node, what it is asked, and what it does.

use std::collections::VecDeque;

use awc::{
    error::WsClientError,
    ws::{Message, WebsocketsRequest},
};
use gaung::config::HistoryRules;
use serde_json::{Value, json};

use crate::harness::{Client, TestNode, http_client, metrics, start, start_configured, upgrade};

/// A page's end of the socket.
pub struct Console {
    pub client: Client,
    pub heard: VecDeque<Value>,
    pub missed: u64,
    queries: u64,
}

impl Console {
    pub async fn open(node: &TestNode) -> Self {
        Self::open_with(node, |request| request).await
    }

    pub async fn open_with(node: &TestNode, change: impl FnOnce(WebsocketsRequest) -> WebsocketsRequest) -> Self {
        let client = upgrade(change(request(node))).await;
        Self { client, heard: VecDeque::new(), missed: 0, queries: 0 }
    }

    /// The status of a socket that is refused.
    pub async fn refused(node: &TestNode, change: impl FnOnce(WebsocketsRequest) -> WebsocketsRequest) -> u16 {
        match change(request(node)).connect().await {
            Err(WsClientError::InvalidResponseStatus(status)) => status.as_u16(),
            Err(error) => panic!("{error}"),
            Ok(_) => panic!("the socket was opened"),
        }
    }

    /// The next frame; activity is kept for [`Console::event`].
    pub async fn next(&mut self) -> Value {
        let frame = self.client.next().await;
        if frame["type"] == "happenings" {
            self.missed += frame["missed"].as_u64().expect("a number");
            self.heard.extend(frame["list"].as_array().expect("a list").iter().cloned());
        }
        frame
    }

    /// The next frame of a type.
    pub async fn next_of(&mut self, kind: &str) -> Value {
        loop {
            let frame = self.next().await;
            if frame["type"] == kind {
                return frame;
            }
        }
    }

    /// The answer to a question.
    pub async fn ask(&mut self, mut question: Value) -> Value {
        self.queries += 1;
        question["query"] = json!(self.queries);
        self.client.send(question).await;
        loop {
            let frame = self.next().await;
            if frame["query"] == self.queries {
                return frame;
            }
        }
    }

    /// Watches; returns when that is in force, for questions are answered in order.
    pub async fn watch(&mut self, app: Option<&str>, channel: Option<&str>) {
        self.client.send(json!({"type": "watch", "app": app, "channel": channel})).await;
        self.rooms("no room has this name", 1).await;
    }

    pub async fn rooms(&mut self, search: &str, limit: usize) -> Value {
        self.ask(json!({"type": "rooms", "app": "app-id", "search": search, "limit": limit})).await
    }

    pub async fn publish(&mut self, app: &str, channel: &str, data: &str) -> Value {
        self.ask(json!({"type": "publish", "app": app, "channel": channel, "event": "e", "data": data})).await
    }

    /// The next event, without its time.
    pub async fn event(&mut self) -> Value {
        while self.heard.is_empty() {
            self.next().await;
        }
        let mut event = self.heard.pop_front().expect("something was heard");
        let at = event.as_object_mut().expect("an event is an object").remove("at");
        assert!(at.is_some_and(|at| at.as_u64() > Some(1_600_000_000_000)), "milliseconds since 1970");
        event
    }

    /// The next event, which must be this.
    pub async fn expect(&mut self, expected: Value) {
        assert_eq!(self.event().await, expected);
    }

    /// The next event but for a time that it took, which must be this.
    pub async fn expect_timed(&mut self, unit: &str, expected: Value) {
        let mut event = self.event().await;
        let took = event.as_object_mut().expect("an event is an object").remove(unit);
        assert!(took.is_some_and(|took| took.is_u64()), "{event}");
        assert_eq!(event, expected);
    }
}

fn request(node: &TestNode) -> WebsocketsRequest {
    http_client().ws(format!("http://{}/console/live", node.node.admin))
}

/// A console that watches all.
pub async fn watching(node: &TestNode) -> Console {
    let mut console = Console::open(node).await;
    console.watch(None, None).await;
    console
}

pub fn published(channel: &str, sockets: usize) -> Value {
    json!({"kind": "published", "app": "app-id", "origin": "back_end", "channel": channel, "event": "e", "sockets": sockets})
}

#[actix_web::test]
async fn hello_comes_first_and_tells_no_secret() {
    let node = start_configured(
        |config| {
            config.server.path_prefix = "/ws".to_owned();
            config.admin.console_payloads = true;
        },
        |app| app.max_connections = Some(7),
    )
    .await;
    let hello = Console::open(&node).await.next().await;
    assert_eq!((&hello["type"], &hello["node"], &hello["payloads"]), (&json!("hello"), &Value::Null, &json!(true)));
    assert_eq!(hello["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(hello["public"], json!({"port": node.node.public.port(), "tls": false, "path_prefix": "/ws"}));
    let app = &hello["apps"][0];
    assert_eq!((&app["id"], &app["key"], &app["enabled"]), (&json!("app-id"), &json!("app-key"), &json!(true)));
    assert_eq!((&app["max_connections"], &app["events_per_second"]), (&json!(7), &Value::Null));
    assert!(!hello.to_string().contains("app-secret"), "{hello}");
}

#[actix_web::test]
async fn a_snapshot_comes_at_once_and_another_every_second() {
    let node = start(|_| {}).await;
    let mut client = node.connect().await;
    client.subscribe("orders").await;
    client.send_text("no JSON").await;
    client.expect("pusher:error").await;
    let mut console = Console::open(&node).await;
    let first = console.next_of("snapshot").await;
    assert_eq!((&first["stage"], &first["ready"]), (&json!("ready"), &json!(true)));
    assert_eq!((&first["objection"], &first["cluster"]), (&Value::Null, &Value::Null));
    assert_eq!((&first["webhooks_waiting"], &first["refusals"]), (&json!(0), &json!({"malformed_message": 1})));
    assert_eq!(
        first["apps"],
        json!([{
            "app": "app-id",
            "connections": 1,
            "connections_everywhere": 1,
            "rooms": 1,
            "subscriptions": 1,
            "members": 0,
            "events_per_second": 0.0,
            "deliveries_per_second": 0.0
        }])
    );
    node.publish("orders", "e", "d").await;
    client.expect("e").await;
    let second = console.next_of("snapshot").await;
    let totals = &second["totals"];
    assert_eq!((&totals["connections"], &totals["rooms"], &totals["members"]), (&json!(1), &json!(1), &json!(0)));
    assert_eq!((&totals["events_in"], &totals["client_events_in"]), (&json!(1), &json!(0)));
    assert_eq!((&totals["subscriptions"], &totals["deliveries"]), (&json!(1), &json!(1)));
    assert!(totals["bytes_in"].as_u64() > Some(0) && totals["bytes_out"].as_u64() > Some(0), "{totals}");
    assert!(second["at"].as_u64() > first["at"].as_u64(), "{second}");
}

#[actix_web::test]
async fn pings_are_answered_and_a_close_is_echoed() {
    let node = start(|_| {}).await;
    let mut console = Console::open(&node).await;
    console.client.send_raw(Message::Ping("there?".into())).await;
    while console.client.next_frame().await != awc::ws::Frame::Pong("there?".into()) {}
    console.client.send_raw(Message::Close(Some(awc::ws::CloseCode::Normal.into()))).await;
    assert_eq!(console.client.expect_close().await.0, 1000);
}

#[actix_web::test]
async fn a_frame_that_is_no_message_is_answered_and_one_that_is_too_long_closes() {
    let node = start(|_| {}).await;
    let mut console = Console::open(&node).await;
    console.client.send(json!({"type": "dance"})).await;
    let failed = console.next_of("failed").await;
    assert_eq!(failed["query"], Value::Null);
    assert!(failed["message"].as_str().unwrap().contains("unknown variant `dance`"), "{failed}");
    console.client.send_text(&" ".repeat(65_537)).await;
    assert_eq!(console.client.expect_close().await.0, 1009);
}

#[actix_web::test]
async fn an_event_from_the_console_is_one_like_any_other() {
    let node = start(|_| {}).await;
    let mut client = node.connect().await;
    client.subscribe("orders").await;
    let mut console = watching(&node).await;
    assert_eq!(console.publish("app-id", "orders", r#"{"n":1}"#).await, json!({"type": "published", "query": 2}));
    client.expect_exactly(json!({"event": "e", "channel": "orders", "data": r#"{"n":1}"#})).await;
    console.expect_timed("micros", published("orders", 1)).await;
    assert!(metrics(node.node.admin).await.contains("gaung_events_in_total{app=\"app-id\"} 1\n"));
}

#[actix_web::test]
async fn what_the_api_refuses_is_refused_to_the_console_in_the_same_words() {
    let node = start(|app| {
        app.max_event_bytes = 20;
        app.events_per_second = Some(2);
    })
    .await;
    let mut console = Console::open(&node).await;
    for (channel, data) in [("a b", "d"), ("a", "more than twenty bytes")] {
        let (_, answer) = node.post("/events", &json!({"name": "e", "channel": channel, "data": data})).await;
        let failed = console.publish("app-id", channel, data).await;
        assert_eq!((&failed["type"], &failed["message"]), (&json!("failed"), &answer["error"]));
    }
    let unknown = console.publish("2", "a", "d").await;
    assert_eq!(unknown["message"], "unknown app id (1 characters)");
    let mut answers = Vec::new();
    for _ in 0..50 {
        answers.push(console.publish("app-id", "a", "d").await);
    }
    let too_many = answers.iter().filter_map(|answer| answer["message"].as_str());
    let text = "too many events: this request counts 1, one per channel, and the app's limit is 2 a second (app setting \
                events_per_second)";
    assert!(too_many.clone().count() > 0 && too_many.clone().all(|message| message == text), "{answers:?}");
    assert!(
        metrics(node.node.admin).await.contains("gaung_refusals_total{app=\"app-id\",reason=\"event_invalid\"} 2\n")
    );
}

#[actix_web::test]
async fn rooms_are_searched_by_a_part_of_their_name() {
    let node = start(|_| {}).await;
    let (mut one, mut other) = (node.connect().await, node.connect().await);
    one.subscribe("orders.1").await;
    one.join("presence-orders", r#"{"user_id":"1"}"#).await;
    other.join("presence-orders", r#"{"user_id":"1"}"#).await;
    other.subscribe("news").await;
    let mut console = Console::open(&node).await;
    let rooms = json!([
        {"channel": "presence-orders", "subscribers": 2, "members": 1},
        {"channel": "orders.1", "subscribers": 1, "members": null}
    ]);
    assert_eq!(console.rooms("orders", 500).await, json!({"type": "rooms", "query": 1, "total": 2, "rooms": rooms}));
    let first = json!({"type": "rooms", "query": 2, "total": 2, "rooms": [rooms[0]]});
    assert_eq!(console.rooms("orders", 1).await, first);
    let unknown = console.ask(json!({"type": "rooms", "app": "2", "search": "", "limit": 1})).await;
    assert_eq!(unknown, json!({"type": "failed", "query": 3, "message": "unknown app id (1 characters)"}));
}

#[actix_web::test]
async fn the_history_of_a_channel_is_shown_and_its_payloads_only_where_that_is_wanted() {
    for shows_payloads in [false, true] {
        let history = HistoryRules::parse("products.*=60s:10").unwrap();
        let node =
            start_configured(|config| config.admin.console_payloads = shows_payloads, |app| app.history = history)
                .await;
        let mut client = node.connect().await;
        client.send(json!({"event": "pusher:subscribe", "data": {"channel": "products.7"}})).await;
        client.expect("pusher_internal:subscription_succeeded").await;
        node.publish("products.7", "created", r#"{"id":7}"#).await;
        let id = client.expect("created").await["id"].clone();
        let mut console = Console::open(&node).await;
        let mut answer = console.ask(json!({"type": "history", "app": "app-id", "channel": "products.7"})).await;
        assert!(answer["events"][0]["at"].take().as_u64().unwrap() > 1_700_000_000_000);
        let data = if shows_payloads { json!(r#"{"id":7}"#) } else { json!(null) };
        let events = json!([{"id": id, "event": "created", "at": null, "bytes": 8, "data": data}]);
        assert_eq!(answer, json!({"type": "history", "query": 1, "events": events}));
        let none = console.ask(json!({"type": "history", "app": "app-id", "channel": "orders"})).await;
        assert_eq!(none["message"], "channel orders keeps no history (app setting history)");
    }
}

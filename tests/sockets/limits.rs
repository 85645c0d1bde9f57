//! What an app and each of its tenants may have and do, and how clients and back ends are told.

use gaung::config::{AppSettings, Quotas};
use serde_json::{Value, json};

use crate::{
    harness::{Client, TestNode, eventually, inner, metrics, start},
    tenant::{open_node, subscribe as subscribe_tenant, tenant_socket},
};

fn tenants(limits: &str) -> impl FnOnce(&mut AppSettings) {
    let limits = Quotas::parse(limits).expect(limits);
    move |app| app.tenant_limits = limits
}

/// Subscribes, which must be refused for a limit; the text.
async fn refused(client: &mut Client, channel: &str) -> String {
    client.send(json!({"event": "pusher:subscribe", "data": {"channel": channel}})).await;
    refusal(client, channel).await
}

async fn refusal(client: &mut Client, channel: &str) -> String {
    let error = client.expect("pusher:subscription_error").await;
    let denial = inner(&error);
    assert_eq!((&error["channel"], &denial["type"]), (&json!(channel), &json!("LimitReached")), "{error}");
    assert_eq!(denial["status"], 4100);
    client.expect("pusher:error").await;
    denial["error"].as_str().expect("a text").to_owned()
}

async fn post(node: &TestNode, channel: &str, data: &str) -> (u16, Value) {
    node.post("/events", &json!({"name": "e", "channel": channel, "data": data})).await
}

/// How often the limit was reached that metrics call so.
async fn reached(node: &TestNode, limit: &str) -> Option<String> {
    let start = format!("gaung_limits_reached_total{{app=\"app-id\",limit=\"{limit}\"}} ");
    metrics(node.node.admin).await.lines().find_map(|line| line.strip_prefix(&start).map(str::to_owned))
}

#[actix::test]
async fn a_tenant_has_so_many_subscriptions_and_the_others_have_theirs() {
    let node = start(tenants("max_total_subscriptions=2")).await;
    let (mut one, mut two) = (node.connect().await, node.connect().await);
    one.subscribe("orders.7").await;
    two.subscribe("products.7").await;
    let text = refused(&mut two, "orders.7").await;
    assert_eq!(text, "the tenant's limit of 2 is reached (app setting tenant_limits.max_total_subscriptions)");
    two.subscribe("orders.8").await;
    two.subscribe("news").await;
    // Once more is the same subscription, and one that ended makes room.
    one.subscribe("orders.7").await;
    one.unsubscribe("orders.7").await;
    two.subscribe("orders.7").await;
    assert_eq!(reached(&node, "tenant_subscriptions").await.as_deref(), Some("1"));
}

#[actix::test]
async fn an_app_has_so_many_subscriptions_channels_and_members() {
    let node = start(|app| {
        (app.max_total_subscriptions, app.max_channels, app.max_members) = (Some(4), Some(2), Some(1));
    })
    .await;
    let (mut one, mut two) = (node.connect().await, node.connect().await);
    one.subscribe("a").await;
    one.join("presence-b", r#"{"user_id":"1"}"#).await;
    let text = refused(&mut two, "c").await;
    assert_eq!(text, "the app's limit of 2 is reached (app setting max_channels)");
    two.ask_presence("presence-b", r#"{"user_id":"2"}"#).await;
    assert!(refusal(&mut two, "presence-b").await.contains("max_members"));
    // A second tab is no second member.
    two.join("presence-b", r#"{"user_id":"1"}"#).await;
    two.subscribe("a").await;
    assert!(refused(&mut two, "d").await.contains("max_total_subscriptions"));
    one.unsubscribe("a").await;
    two.unsubscribe("a").await;
    two.subscribe("d").await;
}

#[actix::test]
async fn a_tenant_has_so_many_sockets_of_whatever_kind() {
    let node = open_node(tenants("max_connections=2")).await;
    let mut plain = tenant_socket(&node, "").await;
    subscribe_tenant(&mut plain, "products.7").await;
    let (mut one, mut two) = (node.connect().await, node.connect().await);
    // A Pusher socket is a tenant's once it hears one of the tenant's channels.
    one.subscribe("products.7").await;
    one.subscribe("orders.7").await;
    assert!(refused(&mut two, "products.7").await.contains("tenant_limits.max_connections"));
    two.subscribe("products.8").await;
    let mut over = node.open("/ws?tenant_id=7").await;
    assert_eq!(over.next().await["code"], 4100);
    assert_eq!(over.expect_close().await.0, 4100);
    tenant_socket_of(&node, "8").await;
    one.unsubscribe("products.7").await;
    one.unsubscribe("orders.7").await;
    eventually("the place is free again", || async {
        let mut client = node.open("/ws?tenant_id=7").await;
        client.next().await["type"] == "connected"
    })
    .await;
    assert!(node.counted().refusals("over_tenant_quota") >= 1);
}

async fn tenant_socket_of(node: &TestNode, tenant: &str) {
    assert_eq!(node.open(&format!("/ws?tenant_id={tenant}")).await.next().await["type"], "connected");
}

#[actix::test]
async fn joins_have_a_rate() {
    let node = start(tenants("joins_per_second=3")).await;
    let mut client = node.connect().await;
    for name in ["a.7", "b.7", "c.7"] {
        client.subscribe(name).await;
    }
    // On a slow machine a third of a second may pass between two of them, in which another may join.
    let mut refusals = 0;
    for number in 0..20 {
        client.send(json!({"event": "pusher:subscribe", "data": {"channel": format!("d{number}.7")}})).await;
        let answer = client.next().await;
        if answer["event"] == "pusher:subscription_error" {
            assert!(answer["data"].as_str().is_some_and(|text| text.contains("joins_per_second")), "{answer}");
            client.expect("pusher:error").await;
            refusals += 1;
        }
    }
    assert!(refusals > 0);
    client.subscribe("a.8").await;
}

#[actix::test]
async fn a_plain_socket_hears_which_limit_is_reached() {
    let node = open_node(tenants("max_channels=1")).await;
    let mut client = tenant_socket(&node, "").await;
    subscribe_tenant(&mut client, "products.7").await;
    client.send(json!({"type": "subscribe", "channel": "orders.7"})).await;
    client
        .expect_exactly(json!({
            "type": "error", "code": 429, "channel": "orders.7",
            "message": "the tenant's limit of 1 is reached (app setting tenant_limits.max_channels)",
        }))
        .await;
}

#[actix::test]
async fn a_back_end_hears_429_for_one_tenant_while_the_others_are_served() {
    let node = start(tenants("events_per_second=5,max_event_bytes=10")).await;
    let mut refusal = None;
    for _ in 0..100 {
        let (status, body) = post(&node, "products.7", "{}").await;
        if status != 200 {
            refusal = Some((status, body));
            break;
        }
    }
    let expected = "the tenant's limit of 5 is reached (app setting tenant_limits.events_per_second); \
                    the event is for channel products.7";
    assert_eq!(refusal, Some((429, json!({"error": expected, "code": 429}))));
    assert_eq!(post(&node, "products.8", "{}").await.0, 200);
    assert_eq!(post(&node, "news", "{}").await.0, 200);
    let (status, body) = post(&node, "products.9", "12345678901").await;
    assert_eq!(status, 413, "{body}");
    assert_eq!(post(&node, "news", "12345678901").await.0, 200);
    assert_eq!(reached(&node, "tenant_event_bytes").await.as_deref(), Some("1"));
}

#[actix::test]
async fn what_an_event_costs_is_charged_to_its_tenant() {
    for limit in ["deliveries_per_second=2", "bytes_per_second=200"] {
        let node = start(tenants(limit)).await;
        let mut clients = Vec::new();
        for _ in 0..200 {
            let mut client = node.connect().await;
            client.subscribe("products.7").await;
            clients.push(client);
        }
        // It is let in, and known to be too much then: for many seconds.
        assert_eq!(post(&node, "products.7", "{}").await.0, 200);
        for client in &mut clients {
            client.expect("e").await;
        }
        let (status, body) = post(&node, "products.7", "{}").await;
        assert_eq!(status, 429, "{limit}: {body}");
        assert_eq!(post(&node, "products.8", "{}").await.0, 200);
    }
}

#[actix::test]
async fn a_client_event_is_refused_while_its_tenant_owes() {
    let node = start(|app| {
        app.client_events = true;
        app.tenant_limits = Quotas::parse("deliveries_per_second=1").unwrap();
    })
    .await;
    let mut clients = Vec::new();
    for _ in 0..20 {
        let mut client = node.connect().await;
        client.subscribe_private("private-room.7").await;
        clients.push(client);
    }
    let event = json!({"event": "client-move", "channel": "private-room.7", "data": "{}"});
    clients[0].send(event.clone()).await;
    clients[1].expect("client-move").await;
    clients[0].send(event).await;
    let error = clients[0].expect("pusher:error").await;
    assert!(error.to_string().contains("tenant_limits.deliveries_per_second"), "{error}");
}

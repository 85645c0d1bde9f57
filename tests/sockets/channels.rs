//! Subscriptions and the events that they bring: protocol.md §1.7, §1.8, §1.10, §1.13.

use gaung::config::AppSettings;
use serde_json::json;

use crate::harness::{inner, start, start_with};

#[actix::test]
async fn an_event_reaches_every_subscriber_of_its_channel_and_nobody_else() {
    let node = start(|_| {}).await;
    let (mut one, mut two, mut other) = (node.connect().await, node.connect().await, node.connect().await);
    one.subscribe("products.1").await;
    two.subscribe("products.1").await;
    other.subscribe("products.2").await;
    let data = r#"{"id":7,"n":"\u00e9\/x"}"#;
    node.publish("products.1", r"App\Events\Shipped", data).await;
    let expected = json!({"event": r"App\Events\Shipped", "channel": "products.1", "data": data});
    one.expect_exactly(expected.clone()).await;
    two.expect_exactly(expected).await;
    other.expect_silence().await;
}

#[actix::test]
async fn the_same_channel_name_in_two_apps_is_two_channels() {
    let apps = ["a", "b"].map(|id| (id.to_owned(), AppSettings::new(format!("key-{id}"), "secret")));
    let mut apps = Vec::from(apps);
    apps.push(("app-id".to_owned(), AppSettings::new("app-key", "app-secret")));
    let node = start_with(|_| {}, apps).await;
    let mut stranger = node.open("/app/key-a").await;
    stranger.expect("pusher:connection_established").await;
    stranger.subscribe("products.1").await;
    let mut subscriber = node.connect().await;
    subscriber.subscribe("products.1").await;
    node.publish("products.1", "e", "{}").await;
    subscriber.expect("e").await;
    stranger.expect_silence().await;
}

#[actix::test]
async fn the_excluded_socket_does_not_hear_the_event_but_hears_the_next_in_order() {
    let node = start(|_| {}).await;
    let (mut sender, mut other) = (node.connect().await, node.connect().await);
    sender.subscribe("c").await;
    other.subscribe("c").await;
    for n in 0..20 {
        let mut body = json!({"name": format!("e{n}"), "channel": "c", "data": "{}"});
        if n % 2 == 0 {
            body["socket_id"] = sender.id.clone().into();
        }
        node.post("/events", &body).await;
    }
    for n in 0..20 {
        other.expect(&format!("e{n}")).await;
    }
    for n in (1..20).step_by(2) {
        sender.expect(&format!("e{n}")).await;
    }
    sender.expect_silence().await;
}

#[actix::test]
async fn unsubscribing_ends_the_events_and_subscribing_again_resumes_them() {
    let node = start(|_| {}).await;
    let mut client = node.connect().await;
    client.subscribe("c").await;
    client.unsubscribe("c").await;
    client.expect_silence().await;
    node.publish("c", "missed", "{}").await;
    client.subscribe("c").await;
    node.publish("c", "heard", "{}").await;
    client.expect("heard").await;
}

#[actix::test]
async fn a_repeated_subscription_succeeds_again_and_counts_once() {
    let node = start(|_| {}).await;
    let mut client = node.connect().await;
    client.subscribe("c").await;
    client.subscribe("c").await;
    let (_, answer) = node.get("/channels/c", &[("info", "subscription_count")]).await;
    assert_eq!(answer, json!({"occupied": true, "subscription_count": 1}));
}

#[actix::test]
async fn a_private_channel_needs_a_true_signature() {
    let node = start(|_| {}).await;
    let mut client = node.connect().await;
    client.subscribe_private("private-orders").await;
    let forged = json!({"auth": format!("app-key:{}", "0".repeat(64)), "channel": "private-other"});
    client.send(json!({"event": "pusher:subscribe", "data": forged})).await;
    let error = client.expect("pusher:subscription_error").await;
    assert_eq!((&error["channel"], &inner(&error)["type"]), (&json!("private-other"), &json!("AuthError")));
    assert_eq!(inner(&error)["status"], 401);
    let error = client.expect("pusher:error").await;
    assert_eq!((&error["channel"], &error["data"]["code"]), (&json!("private-other"), &json!(4009)));
    client.expect_silence().await;
}

#[actix::test]
async fn a_name_with_forbidden_characters_is_refused_before_its_signature_is_looked_at() {
    let node = start(|_| {}).await;
    let mut client = node.connect().await;
    for name in ["presence-a:{}", "a b", "", "a*"] {
        client.send(json!({"event": "pusher:subscribe", "data": {"channel": name}})).await;
        let error = client.expect("pusher:subscription_error").await;
        assert_eq!(inner(&error)["type"], "InvalidChannel", "{name}");
        client.expect("pusher:error").await;
    }
}

#[actix::test]
async fn a_session_has_a_limited_number_of_subscriptions() {
    let node = start(|app| app.max_subscriptions = 2).await;
    let mut client = node.connect().await;
    client.subscribe("a").await;
    client.subscribe("b").await;
    client.send(json!({"event": "pusher:subscribe", "data": {"channel": "c"}})).await;
    let error = client.expect("pusher:subscription_error").await;
    assert_eq!(inner(&error)["type"], "LimitReached");
    client.expect("pusher:error").await;
    client.subscribe("a").await;
    client.unsubscribe("b").await;
    client.subscribe("c").await;
}

#[actix::test]
async fn a_cache_channel_replays_its_last_event_also_if_nobody_was_there() {
    let node = start(|_| {}).await;
    let mut early = node.connect().await;
    early.subscribe("cache-news").await;
    early.expect_exactly(json!({"event": "pusher:cache_miss", "channel": "cache-news", "data": "{}"})).await;
    node.publish("cache-other", "first", "1").await;
    node.publish("cache-other", "last", "2").await;
    let mut late = node.connect().await;
    late.subscribe("cache-other").await;
    late.expect_exactly(json!({"event": "last", "channel": "cache-other", "data": "2"})).await;
}

#[actix::test]
async fn subscribers_hear_how_many_they_are_if_the_app_wants_it() {
    let node = start(|app| app.subscription_counts = true).await;
    let (mut one, mut two) = (node.connect().await, node.connect().await);
    let count = |n: u32| {
        let data = format!(r#"{{"subscription_count":{n}}}"#);
        json!({"event": "pusher_internal:subscription_count", "channel": "c", "data": data})
    };
    one.subscribe("c").await;
    one.expect_exactly(count(1)).await;
    two.subscribe("c").await;
    two.expect_exactly(count(2)).await;
    one.expect_exactly(count(2)).await;
    drop(two);
    one.expect_exactly(count(1)).await;
}

#[actix::test]
async fn an_event_that_is_published_after_the_answer_is_never_missed() {
    let node = start(|_| {}).await;
    let mut client = node.connect().await;
    for n in 0..300 {
        let channel = format!("fresh-{n}");
        client.subscribe(&channel).await;
        node.publish(&channel, "e", "{}").await;
        client.expect_exactly(json!({"event": "e", "channel": channel, "data": "{}"})).await;
    }
}

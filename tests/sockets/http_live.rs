//! What the trigger API does to sockets and tells about them: deliveries, counts, members, caches, terminations
//! (protocol.md §3.2 to §3.9).

use serde_json::{Value, json};

use crate::{
    harness::Client,
    http::{back_end, default_back_end, event},
};

const EVENTS: &str = "/apps/app-id/events";
const BATCH: &str = "/apps/app-id/batch_events";
const ADA: &str = r#"{"user_id":"42","user_info":{"name":"Ada"}}"#;
const BOB: &str = r#"{"user_id":7}"#;

/// The next message, which must be this event of this channel.
async fn expect_event(client: &mut Client, channel: &str, name: &str) {
    client.expect_exactly(json!({ "event": name, "channel": channel, "data": "{}" })).await;
}

#[actix_web::test]
async fn an_event_for_several_channels_reaches_each_of_them_once() {
    let back_end = default_back_end().await;
    let mut client = back_end.node.connect().await;
    client.subscribe("a").await;
    let mut other = back_end.node.connect().await;
    other.subscribe("b").await;
    let body = json!({ "name": "e", "data": "{}", "channels": ["a", "b", "a"] });
    back_end.post(EVENTS, &body.to_string()).await.expect(200, &json!({}));
    expect_event(&mut client, "a", "e").await;
    expect_event(&mut other, "b", "e").await;
    client.expect_silence().await;
}

#[actix_web::test]
async fn a_socket_that_is_named_is_left_out_and_rubbish_leaves_nobody_out() {
    let back_end = default_back_end().await;
    let mut client = back_end.node.connect().await;
    client.subscribe("a").await;
    let post = async |name: &str, socket_id: Value| {
        let body = json!({ "name": name, "data": "{}", "channel": "a", "socket_id": socket_id });
        back_end.post(EVENTS, &body.to_string()).await.expect(200, &json!({}));
    };
    post("first", json!(client.id)).await;
    post("second", json!("undefined")).await;
    expect_event(&mut client, "a", "second").await;
}

#[actix_web::test]
async fn data_that_is_no_string_arrives_as_a_string_of_the_same_json() {
    let back_end = default_back_end().await;
    let mut client = back_end.node.connect().await;
    client.subscribe("a").await;
    back_end.post(EVENTS, r#"{"name":"e","data":{"b":1.0,"a":[]},"channel":"a"}"#).await.expect(200, &json!({}));
    client.expect_exactly(json!({ "event": "e", "channel": "a", "data": r#"{"b":1.0,"a":[]}"# })).await;
}

#[actix_web::test]
async fn a_batch_arrives_in_its_order_and_a_batch_with_a_fault_does_not_arrive() {
    let back_end = default_back_end().await;
    let mut client = back_end.node.connect().await;
    client.subscribe("a").await;
    let batch = |names: &[&str]| {
        let events: Vec<Value> =
            names.iter().map(|name| json!({ "name": name, "data": "{}", "channel": "a" })).collect();
        json!({ "batch": events }).to_string()
    };
    back_end.post(BATCH, &batch(&["lost", "pusher:reserved"])).await.expect_refusal(400, "is reserved");
    back_end.post(BATCH, &batch(&["one", "two", "three"])).await.expect(200, &json!({}));
    for name in ["one", "two", "three"] {
        expect_event(&mut client, "a", name).await;
    }
}

#[actix_web::test]
async fn more_events_than_may_wait_are_refused_as_a_whole_with_503() {
    let back_end = back_end(|config| config.limits.max_queued_events = 1, |_| {}).await;
    let mut client = back_end.node.connect().await;
    client.subscribe("a").await;
    client.subscribe("b").await;
    let body = json!({ "name": "e", "data": "{}", "channels": ["a", "b"] });
    let refused = back_end.post(EVENTS, &body.to_string()).await;
    refused.expect_refusal(503, "1 events wait for delivery already, which is the limit (GAUNG_MAX_QUEUED_EVENTS)");
    assert_eq!(refused.header("retry-after"), Some("1"));
    client.expect_silence().await;
    assert_eq!(back_end.node.counted().refusals("overloaded"), 1);
}

#[actix_web::test]
async fn a_trigger_tells_the_counts_it_was_asked_for() {
    let back_end = default_back_end().await;
    let mut ada = back_end.node.connect().await;
    ada.join("presence-room", ADA).await;
    let mut second_tab = back_end.node.connect().await;
    second_tab.join("presence-room", ADA).await;
    let info = "user_count,subscription_count";
    let body = json!({ "name": "e", "data": "{}", "channel": "presence-room", "info": info });
    let counts = json!({ "user_count": 1, "subscription_count": 2 });
    let answer = back_end.post(EVENTS, &body.to_string()).await;
    answer.expect(200, &json!({ "channels": { "presence-room": counts } }));
    back_end.post(BATCH, &json!({ "batch": [body] }).to_string()).await.expect(200, &json!({ "batch": [counts] }));
}

#[actix_web::test]
async fn the_list_of_channels_has_the_occupied_ones_that_begin_with_the_prefix() {
    let back_end = default_back_end().await;
    let mut ada = back_end.node.connect().await;
    ada.join("presence-room", ADA).await;
    ada.subscribe("orders").await;
    let check = async |params: &[(&str, &str)], channels: Value| {
        back_end.get("/apps/app-id/channels", params).await.expect(200, &json!({ "channels": channels }));
    };
    check(&[], json!({ "presence-room": {}, "orders": {} })).await;
    check(&[("filter_by_prefix", "ord")], json!({ "orders": {} })).await;
    check(&[("filter_by_prefix", "x")], json!({})).await;
    check(
        &[("filter_by_prefix", "presence-"), ("info", "user_count")],
        json!({ "presence-room": { "user_count": 1 } }),
    )
    .await;
}

#[actix_web::test]
async fn a_channel_tells_its_counts_and_its_cached_event() {
    let back_end = default_back_end().await;
    let mut client = back_end.node.connect().await;
    back_end.post(EVENTS, &event("e", "cache-news")).await.expect(200, &json!({}));
    client.subscribe("cache-news").await;
    let answer =
        back_end.get("/apps/app-id/channels/cache-news", &[("info", "user_count,subscription_count,cache")]).await;
    let answer: Value = serde_json::from_str(&answer.body).unwrap();
    assert_eq!((&answer["occupied"], &answer["subscription_count"]), (&json!(true), &json!(1)));
    assert_eq!((answer.get("user_count"), &answer["cache"]["data"]), (None, &json!("{}")));
    assert!(answer["cache"]["ttl"].as_u64().is_some_and(|seconds| (1_700..=1_800).contains(&seconds)), "{answer}");
}

#[actix_web::test]
async fn users_are_listed_once_each_with_string_ids_and_with_their_info_on_request() {
    let back_end = default_back_end().await;
    let mut ada = back_end.node.connect().await;
    ada.join("presence-room", ADA).await;
    let mut bob = back_end.node.connect().await;
    bob.join("presence-room", BOB).await;
    let users = async |params: &[(&str, &str)]| {
        let answer = back_end.get("/apps/app-id/channels/presence-room/users", params).await;
        let mut answer: Value = serde_json::from_str(&answer.body).unwrap();
        answer["users"].as_array_mut().unwrap().sort_by_key(|user| user["id"].as_str().unwrap().to_owned());
        answer
    };
    assert_eq!(users(&[]).await, json!({ "users": [{ "id": "42" }, { "id": "7" }] }));
    let with_info = users(&[("with_user_info", "1")]).await;
    assert_eq!(with_info["users"][0], json!({ "id": "42", "user_info": { "name": "Ada" } }));
}

#[actix_web::test]
async fn connections_are_the_open_sockets_subscribed_or_not() {
    let back_end = default_back_end().await;
    let _idle = back_end.node.connect().await;
    let mut busy = back_end.node.connect().await;
    busy.subscribe("a").await;
    back_end.get("/apps/app-id/connections", &[]).await.expect(200, &json!({ "connections": 2 }));
}

#[actix_web::test]
async fn a_user_is_terminated_by_the_decoded_id_of_either_path() {
    let back_end = default_back_end().await;
    for path in ["/apps/app-id/users/a%40b%3Bc/terminate_connections", "/users/a%40b%3Bc/terminate_connections"] {
        let mut client = back_end.node.connect().await;
        client.sign_in(r#"{"id":"a@b;c"}"#).await;
        client.expect("pusher:signin_success").await;
        back_end.post(path, "{}").await.expect(200, &json!({}));
        assert_eq!(client.expect_close().await.0, 4009, "{path}");
    }
}

#[actix_web::test]
async fn refusals_and_failed_signatures_are_counted_apart() {
    let back_end = default_back_end().await;
    let counted = back_end.node.counted();
    back_end.send("POST", EVENTS, "{}").await.expect_refusal(401, "auth_key is missing");
    back_end.post(EVENTS, "{}").await.expect_refusal(400, "the event has no data");
    back_end.send("GET", "/nowhere", "").await.expect_refusal(404, "nothing is served");
    assert_eq!(counted.auth_failures("request"), 1);
    let refusals = |reason| counted.refusals(reason);
    assert_eq!((refusals("event_invalid"), refusals("path_unknown"), refusals("unauthenticated")), (1, 1, 0));
    assert_eq!(counted.triggers(), 0);
    back_end.post(EVENTS, &event("e", "a")).await.expect(200, &json!({}));
    assert_eq!(counted.triggers(), 1);
}

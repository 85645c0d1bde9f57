//! Members, client events, sign-in and watchlists: protocol.md §1.9, §1.11, §1.12.

use gaung::config::AppSettings;
use serde_json::json;

use crate::harness::{inner, start};

fn with_client_events(app: &mut AppSettings) {
    app.client_events = true;
}

#[actix::test]
async fn members_come_and_go_once_per_user() {
    let node = start(|_| {}).await;
    let (mut ada, mut bob, mut bobs_tab) = (node.connect().await, node.connect().await, node.connect().await);
    let snapshot = ada.join("presence-room", r#"{"user_id":"1","user_info":{"name":"Ada"}}"#).await;
    assert_eq!(snapshot, json!({"count": 1, "ids": ["1"], "hash": {"1": {"name": "Ada"}}}));
    let snapshot = bob.join("presence-room", r#"{"user_id":2}"#).await;
    assert_eq!(snapshot, json!({"count": 2, "ids": ["1", "2"], "hash": {"1": {"name": "Ada"}, "2": {}}}));
    let added = ada.expect("pusher_internal:member_added").await;
    assert_eq!(inner(&added), json!({"user_id": "2", "user_info": {}}));
    bobs_tab.join("presence-room", r#"{"user_id":"2","user_info":{"other":true}}"#).await;
    bob.unsubscribe("presence-room").await;
    bob.expect_silence().await;
    ada.expect_silence().await;
    drop(bobs_tab);
    let removed = ada.expect("pusher_internal:member_removed").await;
    assert_eq!(inner(&removed), json!({"user_id": "2"}));
}

#[actix::test]
async fn a_full_presence_channel_refuses_new_users_but_takes_second_tabs() {
    let node = start(|app| app.max_presence_members = 1).await;
    let (mut one, mut tab, mut two) = (node.connect().await, node.connect().await, node.connect().await);
    one.join("presence-room", r#"{"user_id":"1"}"#).await;
    tab.join("presence-room", r#"{"user_id":"1"}"#).await;
    two.ask_presence("presence-room", r#"{"user_id":"2"}"#).await;
    let error = two.expect("pusher:subscription_error").await;
    assert_eq!((&inner(&error)["type"], &inner(&error)["status"]), (&json!("LimitReached"), &json!(4100)));
}

#[actix::test]
async fn a_subscription_that_its_room_refuses_does_not_count_against_the_limit() {
    let node = start(|app| (app.max_presence_members, app.max_subscriptions) = (1, 2)).await;
    let (mut one, mut two) = (node.connect().await, node.connect().await);
    one.join("presence-room", r#"{"user_id":"1"}"#).await;
    for _ in 0..3 {
        two.ask_presence("presence-room", r#"{"user_id":"2"}"#).await;
        two.expect("pusher:subscription_error").await;
        two.expect("pusher:error").await;
    }
    two.subscribe("a").await;
    two.subscribe("b").await;
    assert_eq!(node.counted().refusals("subscription"), 3);
}

#[actix::test]
async fn a_member_that_is_too_large_is_refused() {
    let node = start(|app| app.max_presence_member_bytes = 10).await;
    let mut client = node.connect().await;
    client.ask_presence("presence-room", r#"{"user_id":"1","user_info":"123456789"}"#).await;
    let error = client.expect("pusher:subscription_error").await;
    assert_eq!(inner(&error)["status"], 4301);
}

#[actix::test]
async fn client_events_reach_the_others_with_the_senders_user() {
    let node = start(with_client_events).await;
    let (mut ada, mut bob) = (node.connect().await, node.connect().await);
    ada.join("presence-chat", r#"{"user_id":"1"}"#).await;
    bob.join("presence-chat", r#"{"user_id":"2"}"#).await;
    ada.expect("pusher_internal:member_added").await;
    let typing = json!({"event": "client-typing", "channel": "presence-chat", "data": {"who": "Ada"}, "user_id": "9"});
    ada.send(typing).await;
    let expected =
        json!({"event": "client-typing", "channel": "presence-chat", "data": r#"{"who":"Ada"}"#, "user_id": "1"});
    bob.expect_exactly(expected).await;
    ada.expect_silence().await;
}

#[actix::test]
async fn client_events_have_their_conditions() {
    let node = start(|app| {
        app.client_events = true;
        app.max_event_bytes = 20;
        app.max_event_name_length = 20;
    })
    .await;
    let mut client = node.connect().await;
    client.subscribe("public").await;
    client.subscribe_private("private-a").await;
    let long = "x".repeat(30);
    for (name, channel, data, code) in [
        ("client-e", "public", "", json!(4301)),
        ("client-e", "private-b", "", json!(null)),
        ("client-e", "private-a", long.as_str(), json!(4301)),
        (&format!("client-{long}"), "private-a", "", json!(4301)),
    ] {
        client.send(json!({"event": name, "channel": channel, "data": data})).await;
        let error = client.expect("pusher:error").await;
        assert_eq!((&error["data"]["code"], &error["channel"]), (&code, &json!(channel)), "{error}");
    }
}

#[actix::test]
async fn client_events_are_off_unless_the_app_turns_them_on() {
    let node = start(|_| {}).await;
    let mut client = node.connect().await;
    client.subscribe_private("private-a").await;
    client.send(json!({"event": "client-e", "channel": "private-a", "data": {}})).await;
    assert_eq!(client.expect("pusher:error").await["data"]["code"], 4301);
}

#[actix::test]
async fn client_events_are_limited_per_second_and_socket() {
    let node = start(|app| {
        app.client_events = true;
        app.client_events_per_second = Some(2);
    })
    .await;
    let (mut fast, mut other) = (node.connect().await, node.connect().await);
    for client in [&mut fast, &mut other] {
        client.subscribe_private("private-a").await;
    }
    for _ in 0..3 {
        fast.send(json!({"event": "client-e", "channel": "private-a", "data": {}})).await;
    }
    assert_eq!(fast.expect("pusher:error").await["data"]["code"], 4301);
    other.send(json!({"event": "client-f", "channel": "private-a", "data": {}})).await;
    fast.expect("client-f").await;
}

#[actix::test]
async fn client_events_are_not_cached() {
    let node = start(with_client_events).await;
    let (mut sender, mut late) = (node.connect().await, node.connect().await);
    sender.subscribe_private("private-cache-a").await;
    sender.expect("pusher:cache_miss").await;
    sender.send(json!({"event": "client-e", "channel": "private-cache-a", "data": {}})).await;
    sender.expect_silence().await;
    late.subscribe_private("private-cache-a").await;
    late.expect("pusher:cache_miss").await;
}

#[actix::test]
async fn a_signed_in_user_gets_events_of_its_own_line_whether_subscribed_or_not() {
    let node = start(|_| {}).await;
    let (mut client, mut stranger) = (node.connect().await, node.connect().await);
    client.sign_in(r#"{"id":42,"user_info":{}}"#).await;
    let success = client.expect("pusher:signin_success").await;
    assert_eq!(inner(&success)["user_data"], r#"{"id":"42","user_info":{}}"#);
    client.expect_silence().await;
    node.publish("#server-to-user-42", "invoice.paid", "{}").await;
    client.expect_exactly(json!({"event": "invoice.paid", "channel": "#server-to-user-42", "data": "{}"})).await;
    client.subscribe("#server-to-user-42").await;
    stranger.send(json!({"event": "pusher:subscribe", "data": {"channel": "#server-to-user-42"}})).await;
    assert_eq!(inner(&stranger.expect("pusher:subscription_error").await)["status"], 401);
}

#[actix::test]
async fn a_sign_in_that_is_forged_or_changes_the_user_is_refused_and_the_socket_stays() {
    let node = start(|_| {}).await;
    let mut client = node.connect().await;
    let forged = json!({"auth": format!("app-key:{}", "0".repeat(64)), "user_data": r#"{"id":"1"}"#});
    client.send(json!({"event": "pusher:signin", "data": forged})).await;
    assert_eq!(client.expect("pusher:error").await["data"]["code"], 4009);
    client.sign_in(r#"{"id":"1"}"#).await;
    client.expect("pusher:signin_success").await;
    client.sign_in(r#"{"id":"1"}"#).await;
    client.expect("pusher:signin_success").await;
    client.sign_in(r#"{"id":"2"}"#).await;
    assert_eq!(client.expect("pusher:error").await["data"]["code"], 4009);
    client.expect_silence().await;
}

#[actix::test]
async fn a_presence_channel_takes_the_signed_in_user_where_no_member_is_named() {
    let node = start(|_| {}).await;
    let mut client = node.connect().await;
    client.ask_private("presence-room").await;
    assert_eq!(inner(&client.expect("pusher:subscription_error").await)["status"], 401);
    client.expect("pusher:error").await;
    client.sign_in(r#"{"id":"7","user_info":{"name":"Ada"}}"#).await;
    client.expect("pusher:signin_success").await;
    client.ask_private("presence-room").await;
    let success = client.expect("pusher_internal:subscription_succeeded").await;
    assert_eq!(inner(&success)["presence"]["hash"], json!({"7": {"name": "Ada"}}));
}

#[actix::test]
async fn watchers_hear_when_the_users_of_their_list_come_and_go() {
    let node = start(|_| {}).await;
    let (mut friend, mut watcher, mut tab) = (node.connect().await, node.connect().await, node.connect().await);
    friend.sign_in(r#"{"id":"7"}"#).await;
    friend.expect("pusher:signin_success").await;
    friend.expect_silence().await;
    watcher.sign_in(r#"{"id":"1","watchlist":["7","9"]}"#).await;
    watcher.expect("pusher:signin_success").await;
    let mut heard = json!({});
    while heard.as_object().unwrap().len() < 2 {
        for event in inner(&watcher.expect("pusher_internal:watchlist_events").await)["events"].as_array().unwrap() {
            heard[event["name"].as_str().unwrap()] = event["user_ids"].clone();
        }
    }
    assert_eq!(heard, json!({"online": ["7"], "offline": ["9"]}));
    tab.sign_in(r#"{"id":"7"}"#).await;
    tab.expect("pusher:signin_success").await;
    drop(friend);
    node.post("/users/7/terminate_connections", &json!({})).await;
    let event = inner(&watcher.expect("pusher_internal:watchlist_events").await);
    assert_eq!(event, json!({"events": [{"name": "offline", "user_ids": ["7"]}]}));
}

#[actix::test]
async fn client_events_in_public_channels_are_between_subscribers_and_only_where_the_app_wants_them() {
    let node = start(|app| (app.client_events, app.public_client_events) = (true, true)).await;
    let (mut ada, mut bob, mut stranger) = (node.connect().await, node.connect().await, node.connect().await);
    ada.subscribe("lobby").await;
    bob.subscribe("lobby").await;
    let typing = json!({"event": "client-typing", "channel": "lobby", "data": "{}"});
    ada.send(typing.clone()).await;
    bob.expect_exactly(typing.clone()).await;
    stranger.send(typing).await;
    stranger.expect("pusher:error").await;
    bob.expect_silence().await;
    let to_a_user = json!({"event": "client-typing", "channel": "#server-to-user-7", "data": "{}"});
    ada.send(to_a_user).await;
    assert_eq!(ada.expect("pusher:error").await["data"]["code"], 4301);
}

#[actix::test]
async fn terminating_a_user_closes_each_of_its_sockets_with_4009() {
    let node = start(|_| {}).await;
    let (mut one, mut two, mut other) = (node.connect().await, node.connect().await, node.connect().await);
    for (client, user_data) in [(&mut one, r#"{"id":"1"}"#), (&mut two, r#"{"id":"1"}"#), (&mut other, r#"{"id":"2"}"#)]
    {
        client.sign_in(user_data).await;
        client.expect("pusher:signin_success").await;
        client.expect_silence().await;
    }
    assert_eq!(node.post("/users/1/terminate_connections", &json!({})).await, (200, json!({})));
    for client in [&mut one, &mut two] {
        assert_eq!(client.expect("pusher:error").await["data"]["code"], 4009);
        assert_eq!(client.expect_close().await.0, 4009);
    }
    other.expect_silence().await;
}

#[actix::test]
async fn an_event_that_is_published_after_the_sign_in_was_answered_is_never_missed() {
    let node = start(|_| {}).await;
    for n in 0..100 {
        let mut client = node.connect().await;
        client.sign_in(&format!(r#"{{"id":"{n}"}}"#)).await;
        client.expect("pusher:signin_success").await;
        node.publish(&format!("#server-to-user-{n}"), "e", "{}").await;
        client.expect("e").await;
    }
}

#[actix::test]
async fn terminating_a_user_closes_the_sockets_that_are_members_under_that_id_too() {
    let node = start(|_| {}).await;
    let (mut ada, mut bob, mut gone) = (node.connect().await, node.connect().await, node.connect().await);
    for (client, data) in
        [(&mut ada, r#"{"user_id":"7"}"#), (&mut bob, r#"{"user_id":"8"}"#), (&mut gone, r#"{"user_id":"7"}"#)]
    {
        client.join("presence-room", data).await;
    }
    gone.send(json!({"event": "pusher:unsubscribe", "data": {"channel": "presence-room"}})).await;
    gone.expect_silence().await;
    assert_eq!(node.post("/users/7/terminate_connections", &json!({})).await, (200, json!({})));
    ada.expect("pusher_internal:member_added").await;
    assert_eq!(ada.expect("pusher:error").await["data"]["code"], 4009);
    assert_eq!(ada.expect_close().await.0, 4009);
    bob.expect("pusher_internal:member_removed").await;
    bob.expect_silence().await;
    gone.expect_silence().await;
}

#[actix::test]
async fn an_app_may_keep_members_from_being_terminated() {
    let node = start(|app| app.terminate_members = false).await;
    let mut ada = node.connect().await;
    ada.join("presence-room", r#"{"user_id":"7"}"#).await;
    assert_eq!(node.post("/users/7/terminate_connections", &json!({})).await, (200, json!({})));
    ada.expect_silence().await;
}

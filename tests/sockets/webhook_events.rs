//! Webhooks from sockets to receiver: what clients do is posted, and what they undo at once is not.

use actix::spawn;
use gaung::config::AppSettings;
use serde_json::{Value, json};

use crate::{
    harness::{TestNode, start},
    webhook_receiver::Receiver,
};

async fn start_with(receiver: &Receiver) -> TestNode {
    let endpoint = receiver.endpoint();
    start(|app: &mut AppSettings| {
        app.client_events = true;
        app.subscription_counts = false;
        app.webhooks = vec![endpoint.into()];
    })
    .await
}

/// The next events, whatever posts they come in; sorted, because rooms do not wait for each other.
async fn next_events(receiver: &mut Receiver, count: usize) -> Vec<Value> {
    let mut events: Vec<Value> = Vec::new();
    while events.len() < count {
        let post: Vec<Value> = serde_json::from_str(&receiver.next_events().await).expect("events are JSON");
        events.extend(post);
    }
    events.sort_by_key(|event| event["name"].as_str().map(str::to_owned));
    events
}

#[actix::test]
async fn what_clients_do_is_posted() {
    let mut receiver = Receiver::start().await;
    let node = start_with(&receiver).await;
    let mut client = node.connect().await;
    client.join("presence-room", r#"{"user_id":"42"}"#).await;
    let joined = [
        json!({"name": "channel_occupied", "channel": "presence-room"}),
        json!({"name": "member_added", "channel": "presence-room", "user_id": "42"}),
    ];
    assert_eq!(next_events(&mut receiver, 2).await, joined);

    client.send(json!({"event": "client-typing", "channel": "presence-room", "data": {"who": "Ada"}})).await;
    let mut typing = next_events(&mut receiver, 1).await.remove(0);
    assert_eq!(typing["socket_id"].take(), client.id.as_str());
    let expected = json!({
        "name": "client_event",
        "channel": "presence-room",
        "event": "client-typing",
        "data": "{\"who\":\"Ada\"}",
        "socket_id": null,
        "user_id": "42",
    });
    assert_eq!(typing, expected);

    client.subscribe("cache-news").await;
    let missed = [
        json!({"name": "cache_miss", "channel": "cache-news"}),
        json!({"name": "channel_occupied", "channel": "cache-news"}),
    ];
    assert_eq!(next_events(&mut receiver, 2).await, missed);
}

#[actix::test]
async fn who_leaves_is_posted_after_a_while_and_who_comes_back_meanwhile_is_not() {
    let mut receiver = Receiver::start().await;
    let node = start_with(&receiver).await;
    let mut client = node.connect().await;
    for channel in ["presence-left", "presence-back"] {
        client.join(channel, r#"{"user_id":"42"}"#).await;
    }
    next_events(&mut receiver, 4).await;
    for channel in ["presence-back", "presence-left"] {
        client.unsubscribe(channel).await;
    }
    client.join("presence-back", r#"{"user_id":"42"}"#).await;
    let left = [
        json!({"name": "channel_vacated", "channel": "presence-left"}),
        json!({"name": "member_removed", "channel": "presence-left", "user_id": "42"}),
    ];
    assert_eq!(next_events(&mut receiver, 2).await, left);
    // Had the departure from the other channel been posted, it would have come before this.
    client.send(json!({"event": "client-end", "channel": "presence-back", "data": {}})).await;
    assert_eq!(next_events(&mut receiver, 1).await[0]["name"], "client_event");
}

#[actix::test]
async fn a_socket_that_breaks_off_leaves_like_any_other() {
    let mut receiver = Receiver::start().await;
    let node = start_with(&receiver).await;
    let mut client = node.connect().await;
    client.subscribe("c").await;
    next_events(&mut receiver, 1).await;
    drop(client);
    assert_eq!(next_events(&mut receiver, 1).await, [json!({"name": "channel_vacated", "channel": "c"})]);
}

#[actix::test]
async fn a_node_that_goes_posts_what_it_still_holds() {
    let mut receiver = Receiver::start().await;
    let node = start_with(&receiver).await;
    let mut client = node.connect().await;
    client.subscribe("c").await;
    next_events(&mut receiver, 1).await;
    let stopped = spawn(node.node.stop());
    assert_eq!(client.expect_close().await.0, 4200);
    drop(client);
    assert_eq!(next_events(&mut receiver, 1).await, [json!({"name": "channel_vacated", "channel": "c"})]);
    stopped.await.expect("the node stops");
}

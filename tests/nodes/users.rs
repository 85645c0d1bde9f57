//! Signed-in users on several nodes: their own events, their end, and who watches them.

use serde_json::json;

use crate::harness::{Client, cluster::Cluster, inner, node::GaungNode};

async fn signed_in(node: &GaungNode, user_data: &str) -> Client {
    let mut client = node.connect().await;
    client.sign_in(user_data).await;
    client.expect("pusher:signin_success").await;
    client
}

#[actix::test]
async fn an_event_for_a_user_reaches_all_of_its_sockets_on_all_nodes_and_nobody_elses() {
    let cluster = Cluster::start(3, &[]).await;
    let mut sockets = Vec::new();
    for node in &cluster.nodes {
        sockets.push(signed_in(node, r#"{"id":"42"}"#).await);
    }
    let mut stranger = signed_in(&cluster[1], r#"{"id":"43"}"#).await;
    cluster[0].publish("#server-to-user-42", "invoice.paid", "{}").await;
    cluster[0].publish("#server-to-user-43", "hello", "{}").await;
    let expected = json!({"event": "invoice.paid", "channel": "#server-to-user-42", "data": "{}"});
    for socket in &mut sockets {
        socket.expect_exactly(expected.clone()).await;
        socket.expect_silence().await;
    }
    stranger.expect("hello").await;
}

#[actix::test]
async fn no_event_for_a_user_is_missed_that_is_triggered_elsewhere_after_the_sign_in_was_answered() {
    let cluster = Cluster::start(2, &[]).await;
    for number in 0..100 {
        let mut client = signed_in(&cluster[1], &json!({ "id": number.to_string() }).to_string()).await;
        cluster[0].publish(&format!("#server-to-user-{number}"), "e", "{}").await;
        client.expect("e").await;
    }
}

#[actix::test]
async fn terminating_a_user_on_one_node_closes_its_sockets_on_all() {
    let cluster = Cluster::start(3, &[]).await;
    let mut sockets = Vec::new();
    for node in &cluster.nodes {
        sockets.push(signed_in(node, r#"{"id":"42"}"#).await);
    }
    let mut stranger = signed_in(&cluster[2], r#"{"id":"43"}"#).await;
    assert_eq!(cluster[0].post("/users/42/terminate_connections", &json!({})).await, (200, json!({})));
    for socket in &mut sockets {
        assert_eq!(socket.expect("pusher:error").await["data"]["code"], 4009);
        assert_eq!(socket.expect_close().await.0, 4009);
    }
    stranger.expect_silence().await;
}

#[actix::test]
async fn watchers_hear_of_users_on_other_nodes() {
    let cluster = Cluster::start(3, &[]).await;
    let friend = signed_in(&cluster[1], r#"{"id":"friend"}"#).await;
    let mut watcher = loop {
        let mut watcher = signed_in(&cluster[0], r#"{"id":"me","watchlist":["friend"]}"#).await;
        if inner(&watcher.expect("pusher_internal:watchlist_events").await)["events"][0]["name"] == "online" {
            break watcher;
        }
    };
    // What a node tells of its sockets arrives in order: who sees the tab in a room knows that it has signed in.
    let mut tab = signed_in(&cluster[2], r#"{"id":"friend"}"#).await;
    tab.join("presence-room", r#"{"user_id":"tab"}"#).await;
    cluster.agree("the tab is seen", async |node| node.members("presence-room").await == ["tab"]).await;
    drop(friend);
    cluster.agree("the first socket is gone", async |node| node.connections().await == 2).await;
    watcher.expect_silence().await;
    drop(tab);
    let event = |name: &str| json!({"events": [{"name": name, "user_ids": ["friend"]}]});
    assert_eq!(inner(&watcher.expect("pusher_internal:watchlist_events").await), event("offline"));
    let _back = signed_in(&cluster[2], r#"{"id":"friend"}"#).await;
    assert_eq!(inner(&watcher.expect("pusher_internal:watchlist_events").await), event("online"));
    watcher.expect_silence().await;
}

#[actix::test]
async fn watchers_hear_that_a_user_is_offline_when_its_node_has_died() {
    let mut cluster = Cluster::start(2, &[]).await;
    let _friend = signed_in(&cluster[1], r#"{"id":"friend"}"#).await;
    let mut watcher = cluster[0].connect().await;
    watcher.sign_in(r#"{"id":"me","watchlist":["friend"]}"#).await;
    watcher.expect("pusher:signin_success").await;
    let mut last = String::new();
    let mut hear = async |expected: &str| {
        while last != expected {
            let events = inner(&watcher.expect("pusher_internal:watchlist_events").await);
            last = events["events"][0]["name"].as_str().expect("an event has a name").to_owned();
        }
    };
    hear("online").await;
    cluster[1].kill();
    hear("offline").await;
}

#[actix::test]
async fn terminating_a_user_closes_the_sockets_that_are_members_under_that_id_on_all_nodes() {
    let cluster = Cluster::start(2, &[]).await;
    let mut clients = Vec::new();
    for (node, user) in [(0, "7"), (1, "7"), (1, "8")] {
        let mut client = cluster[node].connect().await;
        client.join("presence-room", &json!({ "user_id": user }).to_string()).await;
        clients.push(client);
    }
    assert_eq!(cluster[0].post("/users/7/terminate_connections", &json!({})).await, (200, json!({})));
    let mut other = clients.pop().expect("there are three");
    for client in &mut clients {
        assert_eq!(client.expect_close().await.0, 4009);
    }
    other.expect("pusher_internal:member_removed").await;
    other.expect_silence().await;
}

#[actix::test]
async fn users_whose_rights_change_come_back_as_new_sockets_wherever_they_are() {
    let cluster = Cluster::start(3, &[]).await;
    let mut sockets = Vec::new();
    for node in &cluster.nodes {
        let mut socket = signed_in(node, r#"{"id":"42"}"#).await;
        socket.subscribe_private("private-orders.7").await;
        sockets.push(socket);
    }
    let mut elsewhere = signed_in(&cluster[1], r#"{"id":"42"}"#).await;
    elsewhere.subscribe_private("private-lines.7").await;
    let mut stranger = signed_in(&cluster[2], r#"{"id":"43"}"#).await;
    stranger.subscribe_private("private-orders.7").await;
    let channels = json!({"channels": ["private-orders.*", "presence-*"]});
    assert_eq!(cluster[0].post("/users/42/unsubscribe", &channels).await, (200, json!({})));
    for socket in &mut sockets {
        assert_eq!(socket.expect_close().await, (4200, "Your rights have changed; reconnect".to_owned()));
    }
    elsewhere.expect_silence().await;
    stranger.expect_silence().await;
    assert_eq!(cluster[2].post("/users/42/reconnect", &json!({})).await, (200, json!({})));
    assert_eq!(elsewhere.expect_close().await.0, 4200);
    stranger.expect_silence().await;
}

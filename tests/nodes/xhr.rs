//! HTTP transports in a cluster: a request may come to any node.

use gaung::protocol::signature::sign_channel;
use serde_json::json;

use crate::{
    common::{
        client::key,
        xhr::{Lines, XhrClient},
    },
    harness::{cluster::Cluster, eventually, node::GaungNode},
    pages::{PAGES, is_known, residents},
};

const ID: &str = "0123456789abcdef";

fn client(node: &GaungNode, socket: &str) -> XhrClient {
    XhrClient::new(&node.public, socket)
}

async fn subscribe(client: &mut XhrClient, lines: &mut Lines, channel: &str) {
    client.send(json!({"event": "pusher:subscribe", "data": {"channel": channel}})).await;
    lines.expect("pusher_internal:subscription_succeeded").await;
}

async fn subscribe_private(client: &mut XhrClient, lines: &mut Lines, id: &str) {
    let auth = sign_channel(&key(), id.parse().expect("a socket id"), "private-orders", None);
    client.send(json!({"event": "pusher:subscribe", "data": {"auth": auth, "channel": "private-orders"}})).await;
    lines.expect("pusher_internal:subscription_succeeded").await;
}

#[actix::test]
async fn what_is_sent_to_another_node_is_heard_in_order() {
    let cluster = Cluster::start(3, &[]).await;
    let mut client = client(&cluster[0], "/app/app-key");
    let (mut lines, _) = client.open().await;
    for round in 0..30 {
        client.address = cluster[round % 3].public.clone();
        subscribe(&mut client, &mut lines, &format!("products.{round}")).await;
    }
    let first = client.number + 1;
    for number in [first + 1, first + 2, first] {
        client.address = cluster[number as usize % 3].public.clone();
        let subscribe = json!({"event": "pusher:subscribe", "data": {"channel": format!("orders.{number}")}});
        assert_eq!(client.send_as(number, &json!([subscribe.to_string()]).to_string()).await.status(), 204);
    }
    for number in first..first + 3 {
        assert_eq!(lines.message().await["channel"], format!("orders.{number}"));
    }
    cluster[1].publish("products.29", "product.updated", "{}").await;
    assert_eq!(lines.expect("product.updated").await["channel"], "products.29");
}

#[actix::test]
async fn polls_may_come_to_any_node_and_lose_nothing() {
    let cluster = Cluster::start(3, &[]).await;
    let mut client = client(&cluster[0], "/pusher/app/app-key");
    let mut poll = client.receive("xhr").await;
    assert_eq!(poll.next().await.as_deref(), Some("o{}"));
    poll.expect("pusher:connection_established").await;
    client.send(json!({"event": "pusher:subscribe", "data": {"channel": "products.7"}})).await;
    let (mut heard, mut polls) = (Vec::new(), 0);
    while heard.len() < 60 {
        if polls < 30 {
            cluster[polls % 2].publish("products.7", &format!("e{polls}"), "{}").await;
            cluster[polls % 2].publish("products.7", &format!("f{polls}"), &"x".repeat(9_000)).await;
        }
        polls += 1;
        client.address = cluster[polls % 3].public.clone();
        let mut poll = client.receive("xhr").await;
        while let Some(line) = poll.next().await {
            let Some(message) = line.strip_prefix('a') else { continue };
            let [message]: [String; 1] = serde_json::from_str(message).expect("one message");
            let message: serde_json::Value = serde_json::from_str(&message).expect("JSON");
            let name = message["event"].as_str().expect("a name").to_owned();
            if !name.starts_with("pusher") {
                heard.push(name);
            }
        }
    }
    let expected: Vec<_> = (0..30).flat_map(|number| [format!("e{number}"), format!("f{number}")]).collect();
    assert_eq!(heard.len(), expected.len());
    assert!(expected.iter().all(|name| heard.contains(name)), "{heard:?}");
    assert_eq!(cluster[0].connections().await, 1);
}

#[actix::test]
async fn what_is_sent_to_no_session_is_refused_by_all() {
    let cluster = Cluster::start(3, &[]).await;
    for node in &cluster.nodes {
        assert_eq!(client(node, "/app/app-key").send_as(1, "[]").await.status(), 404);
    }
}

#[actix::test]
async fn a_session_whose_next_answer_is_asked_of_another_node_begins_anew_and_misses_nothing() {
    let cluster = Cluster::start(3, &PAGES).await;
    let _residents = residents(&cluster, "private-orders").await;
    let path = format!("/app/app-key/{ID}");
    let mut page = client(&cluster[0], &path);
    let (mut lines, id) = page.open().await;
    subscribe_private(&mut page, &mut lines, &id).await;
    cluster[2].publish("private-orders", "a", "{}").await;
    lines.until("a").await;
    lines.expect("pusher:ping").await;
    page.send(json!({"event": "pusher:pong", "data": {}})).await;
    is_known(&cluster, 0, 1).await;
    page.address = cluster[1].public.clone();
    let mut next = page.receive("xhr_streaming").await;
    next.expect_padding().await;
    assert_eq!(next.expect_close().await, (4200, "The session is on another node; reconnect".to_owned()));
    cluster[2].publish("private-orders", "b", "{}").await;
    let mut page = client(&cluster[1], &path);
    let (mut lines, same) = page.open().await;
    assert_eq!(same, id);
    subscribe_private(&mut page, &mut lines, &id).await;
    let mut replayed = lines.until("pusher:resumed").await;
    replayed.retain(|event| event != "pusher:ping");
    assert_eq!(replayed, ["b"]);
    eventually("one session is left", || async { cluster[1].connections().await == 4 }).await;
}

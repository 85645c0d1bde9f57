//! Events between nodes: everybody once, in order, and nobody else.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use serde_json::json;

use crate::harness::{
    cluster::Cluster, collector::Collector, load::Load, nats::NatsServer, node::GaungNode, proxy::Proxy, tally,
};

#[actix::test]
async fn events_triggered_on_any_node_reach_the_clients_of_all_nodes_once_and_in_order() {
    let cluster = Cluster::start(3, &[]).await;
    let channels: Vec<String> = (0..5).map(|n| format!("orders-{n}")).collect();
    let mut clients = Vec::new();
    for node in cluster.nodes.iter().chain(&cluster.nodes) {
        let mut client = node.connect().await;
        for channel in &channels {
            client.subscribe(channel).await;
        }
        clients.push(Collector::of(client));
    }
    let start = |(publisher, node): (usize, &GaungNode)| Load::start(publisher, &node.public, &channels, 500);
    let loads: Vec<_> = cluster.nodes.iter().enumerate().map(start).collect();
    clients[0].until("some events have come", |client| client.heard().len() > 1_000).await;
    let published = join_all(loads.into_iter().map(Load::finish)).await;
    for (index, client) in clients.iter().enumerate() {
        for published in &published {
            published.check(&format!("client {index}"), client).await;
        }
    }
    assert!(published.iter().all(|published| published.refused.is_empty()));
}

#[actix::test]
async fn a_socket_on_another_node_can_be_left_out() {
    let cluster = Cluster::start(2, &[]).await;
    let (mut author, mut reader) = (cluster[1].connect().await, cluster[1].connect().await);
    for client in [&mut author, &mut reader] {
        client.subscribe("orders").await;
    }
    for number in 0..20 {
        let mut event = json!({"name": format!("e{number}"), "channel": "orders", "data": "{}"});
        if number % 2 == 0 {
            event["socket_id"] = author.id.clone().into();
        }
        assert_eq!(cluster[0].post("/events", &event).await, (200, json!({})));
    }
    for number in 0..20 {
        reader.expect(&format!("e{number}")).await;
    }
    for number in (1..20).step_by(2) {
        author.expect(&format!("e{number}")).await;
    }
    author.expect_silence().await;
}

#[actix::test]
async fn no_event_is_missed_that_is_triggered_elsewhere_after_the_subscription_was_answered() {
    let cluster = Cluster::start(2, &[("GAUNG_APP_MAX_SUBSCRIPTIONS", "2000")]).await;
    let mut client = cluster[1].connect().await;
    for number in 0..1_000 {
        let room = format!("fresh-{number}");
        client.subscribe(&room).await;
        cluster[0].publish(&room, "e", "{}").await;
        assert_eq!(client.expect("e").await["channel"], room.as_str());
    }
}

#[actix::test]
async fn nor_where_the_way_to_nats_is_long() {
    let mut cluster = Cluster::prepare(NatsServer::start().await, 2, &[]);
    let (node, proxy): (_, Proxy) = cluster.launch_behind(&[]).await;
    cluster.nodes = vec![cluster.launch(&[]), node];
    cluster.settle().await;
    proxy.slow_down(Duration::from_millis(40));
    let mut client = cluster[1].connect().await;
    for number in 0..25 {
        let room = format!("fresh-{number}");
        client.subscribe(&room).await;
        cluster[0].publish(&room, "e", "{}").await;
        assert_eq!(client.expect("e").await["channel"], room.as_str());
    }
}

#[actix::test]
async fn the_first_subscriber_of_a_room_on_a_node_hears_nothing_that_was_triggered_long_before() {
    let cluster = Cluster::start(2, &[]).await;
    let channels: Vec<String> = (0..5).map(|n| format!("orders-{n}")).collect();
    let load = Load::start(0, &cluster[0].public, &channels, 500);
    let mut arrivals = Vec::new();
    for channel in &channels {
        // Between two beats of the publishing node.
        tokio::time::sleep(Duration::from_millis(700)).await;
        let mut client = cluster[1].connect().await;
        let asked = Instant::now();
        client.subscribe(channel).await;
        arrivals.push((asked, Collector::of(client)));
    }
    for (_, client) in &arrivals {
        client.until("events come", |client| client.count(tally::NUMBERED) > 10).await;
    }
    let published = load.finish().await;
    for (channel, (asked, client)) in channels.iter().zip(&arrivals) {
        let first = tally::numbers(&client.heard())[&(channel.clone(), 0)][0];
        let (_, taken) = published.taken[first as usize];
        let age = asked.saturating_duration_since(taken);
        // On a machine that stands still what was triggered just before is under way for long, and so is what follows.
        let later = published.longest_way(client, *asked);
        assert!(age < Duration::from_millis(200) + later, "{channel} began with an event that was {age:?} old");
    }
}

#[actix::test]
async fn a_room_that_is_left_and_entered_again_hears_what_follows() {
    let cluster = Cluster::start(2, &[]).await;
    let mut client = cluster[1].connect().await;
    for number in 0..20 {
        client.subscribe("orders").await;
        let event = format!("e{number}");
        cluster[0].publish("orders", &event, "{}").await;
        // What was triggered in between may still be on its way and be heard after all.
        while client.next().await["event"] != event.as_str() {}
        client.unsubscribe("orders").await;
        client.expect_silence().await;
        cluster[0].publish("orders", "between", "{}").await;
    }
    client.expect_silence().await;
}

#[actix::test]
async fn client_events_reach_the_others_on_all_nodes_with_the_senders_user() {
    let cluster = Cluster::start(3, &[("GAUNG_APP_CLIENT_EVENTS", "true")]).await;
    let (mut ada, mut bob) = (cluster[0].connect().await, cluster[1].connect().await);
    let mut guest = cluster[2].connect().await;
    ada.join("presence-chat", r#"{"user_id":"ada"}"#).await;
    cluster.agree("ada is seen", async |node| node.members("presence-chat").await.len() == 1).await;
    bob.join("presence-chat", r#"{"user_id":"bob"}"#).await;
    ada.expect("pusher_internal:member_added").await;
    cluster.agree("bob is seen", async |node| node.members("presence-chat").await.len() == 2).await;
    guest.join("presence-chat", r#"{"user_id":"guest"}"#).await;
    ada.expect("pusher_internal:member_added").await;
    bob.expect("pusher_internal:member_added").await;
    ada.send(json!({"event": "client-typing", "channel": "presence-chat", "data": {"n": 1}})).await;
    let expected =
        json!({"event": "client-typing", "channel": "presence-chat", "data": r#"{"n":1}"#, "user_id": "ada"});
    bob.expect_exactly(expected.clone()).await;
    guest.expect_exactly(expected).await;
    bob.send(json!({"event": "client-answer", "channel": "presence-chat", "data": {}})).await;
    ada.expect("client-answer").await;
    ada.expect_silence().await;
    bob.expect_silence().await;
}

#[actix::test]
async fn a_tenant_socket_hears_an_event_of_another_node_in_its_own_dialect() {
    let cluster = Cluster::start(2, &[("GAUNG_TENANT_ACCESS", "open")]).await;
    let mut tenant = cluster[1].open("/ws?tenant_id=7").await;
    assert_eq!(tenant.next().await["type"], "connected");
    let mut echo = cluster[1].connect().await;
    echo.subscribe("products.7").await;
    tenant.send(json!({"type": "subscribe", "channel": "products.7"})).await;
    tenant.expect_exactly(json!({"type": "subscribed", "channel": "products.7"})).await;
    cluster[0].publish("products.7", r"App\Events\Updated", r#"{"n":1.50,"u":"\u00e9\/"}"#).await;
    tenant
        .expect_text(concat!(
            r#"{"type":"App\\Events\\Updated","channel":"products.7","#,
            r#""data":{"n":1.50,"u":"\u00e9\/","tenantId":"7"}}"#
        ))
        .await;
    echo.expect_text(concat!(
        r#"{"event":"App\\Events\\Updated","channel":"products.7","#,
        r#""data":"{\"n\":1.50,\"u\":\"\\u00e9\\/\"}"}"#
    ))
    .await;
}

#[actix::test]
async fn a_batch_and_an_event_for_several_channels_arrive_in_order_on_another_node() {
    let cluster = Cluster::start(2, &[]).await;
    let mut client = cluster[1].connect().await;
    for channel in ["a", "b"] {
        client.subscribe(channel).await;
    }
    let event = |number| json!({"name": format!("e{number}"), "channel": "a", "data": "{}"});
    let batch = json!({"batch": (0..10).map(event).collect::<Vec<_>>()});
    assert_eq!(cluster[0].post("/batch_events", &batch).await, (200, json!({})));
    let both = json!({"name": "both", "channels": ["a", "b"], "data": "{}"});
    assert_eq!(cluster[0].post("/events", &both).await, (200, json!({})));
    let mut heard = Vec::new();
    for _ in 0..12 {
        let message = client.next().await;
        heard.push(format!("{}:{}", message["channel"].as_str().unwrap(), message["event"].as_str().unwrap()));
    }
    let of = |channel: &str| -> Vec<_> { heard.iter().filter(|name| name.starts_with(channel)).cloned().collect() };
    let expected: Vec<_> = (0..10).map(|number| format!("a:e{number}")).chain(["a:both".to_owned()]).collect();
    assert_eq!((of("a:"), of("b:")), (expected, vec!["b:both".to_owned()]));
}

#[actix::test]
async fn clusters_of_two_names_on_one_nats_server_do_not_hear_one_another() {
    let ours = Cluster::start(1, &[]).await;
    let theirs = ours.launch(&[("GAUNG_CLUSTER_NAME", "others")]);
    crate::harness::eventually("the other cluster is ready", || theirs.is_ready()).await;
    let (mut here, mut there) = (ours[0].connect().await, theirs.connect().await);
    here.subscribe("orders").await;
    there.subscribe("orders").await;
    theirs.publish("orders", "theirs", "{}").await;
    ours[0].publish("orders", "ours", "{}").await;
    here.expect("ours").await;
    there.expect("theirs").await;
    assert_eq!((ours[0].peers().await.len(), theirs.peers().await.len()), (1, 1));
    assert_eq!((ours[0].connections().await, theirs.connections().await), (1, 1));
}

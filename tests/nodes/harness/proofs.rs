//! The harness does what the tests believe that it does.

use std::time::{Duration, Instant};

use super::{
    Client, collector::Collector, free_port, load::Load, nats::NatsServer, node::GaungNode, proxy::Proxy,
    raw_nats::RawNats, stalls::Stalls, tally, webhook_log::WebhookLog,
};

/// A node that is alone.
fn start(variables: &[(&str, &str)]) -> GaungNode {
    let app = [("GAUNG_APP_ID", "app-id"), ("GAUNG_APP_KEY", "app-key"), ("GAUNG_APP_SECRET", "app-secret")];
    let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
    GaungNode::start(&app.iter().chain(variables).map(owned).collect::<Vec<_>>())
}

async fn subscribed(node: &GaungNode, channel: &str) -> Client {
    let mut client = node.connect().await;
    client.subscribe(channel).await;
    client
}

/// A pair of clients of the nats-server; the first one's way leads over the proxy.
async fn pair(nats: &NatsServer, proxy: &Proxy) -> (RawNats, RawNats) {
    let port = proxy.url().rsplit_once(':').and_then(|(_, port)| port.parse().ok()).expect("a port");
    let (mut far, near) = (RawNats::connect(port).await, RawNats::connect(nats.port).await);
    far.subscribe("news").await;
    (far, near)
}

#[actix::test]
async fn a_load_is_heard_whole_and_its_check_sees_what_is_missing() {
    let node = start(&[]);
    let channels = ["a".to_owned(), "b".to_owned()];
    let mut client = subscribed(&node, "a").await;
    client.subscribe("b").await;
    let (whole, half) = (Collector::of(client), Collector::of(subscribed(&node, "a").await));
    let (load, stalls) = (Load::start(0, &node.public, &channels, 500), Stalls::watch());
    whole.until("a second of events has come", |client| client.count(tally::NUMBERED) > 500).await;
    let published = load.finish().await;
    published.check("the client", &whole).await;
    assert!(published.refused.is_empty());
    assert!(published.longest_gap(&whole) < Duration::from_secs(1) + stalls.longest());
    let heard = tally::numbers(&half.heard());
    assert_eq!(heard.len(), 1, "{:?}", heard.keys());
}

#[actix::test]
async fn a_node_that_is_paused_does_not_answer_and_a_killed_one_is_gone() {
    let mut node = start(&[]);
    let client = Collector::of(subscribed(&node, "a").await);
    node.pause();
    let answer = tokio::time::timeout(Duration::from_millis(300), node.ask_admin("/livez")).await;
    assert!(answer.is_err(), "{answer:?}");
    node.resume();
    assert_eq!(node.ask_admin("/livez").await.map(|(status, _)| status), Some(200));
    node.kill();
    client.until("its sockets end", |client| client.closed() == Some(1006)).await;
    assert_eq!(node.ask_admin("/livez").await, None);
}

#[actix::test]
async fn webhooks_are_written_down_with_their_ids_only_when_they_are_taken() {
    let log = WebhookLog::start().await;
    log.answer_with(503);
    let node = start(&[("GAUNG_APP_WEBHOOKS", &log.setting())]);
    let _client = subscribed(&node, "orders").await;
    super::eventually("it is refused", || async { log.refused().len() == 1 }).await;
    assert_eq!(log.taken(), []);
    log.answer_with(200);
    super::eventually("it is taken", || async { log.of("channel_occupied", "orders").len() == 1 }).await;
    assert!(log.refused().contains(&log.taken()[0].id));
}

#[actix::test]
async fn a_nats_server_comes_back_at_its_port_and_stands_still_when_it_is_told() {
    let mut nats = NatsServer::start().await;
    nats.kill();
    assert!(tokio::net::TcpStream::connect(("127.0.0.1", nats.port)).await.is_err());
    nats.start_again().await;
    let mut client = RawNats::connect(nats.port).await;
    client.round_trip().await;
    assert_eq!(nats.connections().await.len(), 1);
    nats.pause();
    assert!(tokio::time::timeout(Duration::from_millis(300), client.round_trip()).await.is_err());
    nats.resume();
    client.round_trip().await;
}

#[actix::test]
async fn a_proxy_that_is_cut_holds_everything_back_until_it_is_healed() {
    let nats = NatsServer::start().await;
    let proxy = Proxy::start(nats.port).await;
    let (mut far, mut near) = pair(&nats, &proxy).await;
    proxy.cut();
    near.publish("news", b"late").await;
    near.round_trip().await;
    assert!(tokio::time::timeout(Duration::from_millis(300), far.next()).await.is_err());
    proxy.heal();
    assert_eq!(far.next().await.payload, b"late");
}

#[actix::test]
async fn a_proxy_that_refuses_ends_connections_and_takes_no_new_ones() {
    let nats = NatsServer::start().await;
    let proxy = Proxy::start(nats.port).await;
    let _connected = pair(&nats, &proxy).await;
    proxy.refuse();
    super::eventually("only the near one is left", || async { nats.connections().await.len() == 1 }).await;
    proxy.heal();
    pair(&nats, &proxy).await.0.round_trip().await;
}

#[actix::test]
async fn a_slow_proxy_takes_its_time_in_each_direction() {
    let nats = NatsServer::start().await;
    let proxy = Proxy::start(nats.port).await;
    let (mut far, _near) = pair(&nats, &proxy).await;
    proxy.slow_down(Duration::from_millis(50));
    let began = Instant::now();
    far.round_trip().await;
    assert!(began.elapsed() >= Duration::from_millis(100), "{:?}", began.elapsed());
}

#[test]
fn free_ports_lie_below_those_of_outgoing_connections() {
    assert!((0..100).all(|_| free_port() < 32_768));
}

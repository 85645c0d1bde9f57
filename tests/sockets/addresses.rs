//! The limit of sockets for one client address, behind proxies and without.

use gaung::config::Config;
use serde_json::json;

use crate::harness::{Client, TestNode, eventually, start_configured};

async fn start(trusted: &str) -> TestNode {
    let configure = |config: &mut Config| {
        config.limits.max_connections_per_ip = 1;
        config.limits.trusted_proxies = vec![trusted.parse().expect("a network")];
    };
    start_configured(configure, |_| {}).await
}

async fn open(node: &TestNode, forwarded: &str) -> Client {
    node.open_with("/app/app-key", |request| request.header("x-forwarded-for", forwarded)).await
}

/// The metric and the text are not those of a full node.
async fn expect_refusal(node: &TestNode, mut client: Client) {
    let text = "Too many connections from this address (GAUNG_MAX_CONNECTIONS_PER_IP)";
    assert_eq!(client.expect("pusher:error").await["data"], json!({"code": 4100, "message": text}));
    assert_eq!(client.expect_close().await, (4100, text.to_owned()));
    assert!(node.counted().refusals("over_address_limit") > 0);
}

#[actix::test]
async fn each_client_behind_a_trusted_proxy_has_its_own_limit() {
    let node = start("127.0.0.0/8").await;
    let first = open(&node, "203.0.113.1").await.greeted().await;
    let _second = open(&node, "203.0.113.2").await.greeted().await;
    expect_refusal(&node, open(&node, "203.0.113.1").await).await;
    drop(first);
    eventually("the closed socket makes room", || async {
        open(&node, "203.0.113.1").await.next().await["event"] == "pusher:connection_established"
    })
    .await;
}

#[actix::test]
async fn each_client_opens_so_many_sockets_a_second() {
    let configure = |config: &mut Config| {
        config.limits.max_connection_rate_per_ip = 1;
        config.limits.trusted_proxies = vec!["127.0.0.0/8".parse().expect("a network")];
    };
    let node = start_configured(configure, |_| {}).await;
    let _first = open(&node, "203.0.113.1").await.greeted().await;
    let _other = open(&node, "203.0.113.2").await.greeted().await;
    let text = "Too many new connections from this address (GAUNG_MAX_CONNECTION_RATE_PER_IP)";
    let refusal = json!({"code": 4100, "message": text});
    // The next may come only after a second, on however slow a machine.
    eventually("one that comes too early is refused", || async {
        open(&node, "203.0.113.1").await.next().await["data"] == refusal
    })
    .await;
    assert!(node.counted().refusals("over_address_rate") > 0);
    eventually("a second later it may open the next", || async {
        open(&node, "203.0.113.1").await.next().await["event"] == "pusher:connection_established"
    })
    .await;
}

#[actix::test]
async fn what_a_client_says_about_itself_is_not_believed() {
    let node = start("127.0.0.0/8").await;
    let _first = open(&node, "203.0.113.1").await.greeted().await;
    for invented in ["6.6.6.6, 203.0.113.1", "6.6.6.6,203.0.113.1, 127.0.0.1"] {
        expect_refusal(&node, open(&node, invented).await).await;
    }
}

#[actix::test]
async fn a_proxy_that_is_not_trusted_is_the_client() {
    let node = start("10.0.0.0/8").await;
    let _first = open(&node, "203.0.113.1").await.greeted().await;
    expect_refusal(&node, open(&node, "203.0.113.2").await).await;
}

#[actix::test]
async fn a_line_that_the_proxy_adds_counts_and_not_the_one_that_the_client_sent() {
    let node = start("127.0.0.0/8").await;
    let open = |invented: &'static str, client: &'static str| {
        node.open_with("/app/app-key", move |request| {
            request.header("x-forwarded-for", invented).header("x-forwarded-for", client)
        })
    };
    let _first = open("6.6.6.6", "203.0.113.1").await.greeted().await;
    expect_refusal(&node, open("6.6.6.7", "203.0.113.1").await).await;
    open("6.6.6.6", "203.0.113.2:5000").await.greeted().await;
}

#[actix::test]
async fn ipv6_addresses_of_one_customer_share_a_limit() {
    let node = start("127.0.0.0/8").await;
    let _first = open(&node, "2001:db8::1").await.greeted().await;
    expect_refusal(&node, open(&node, "[2001:db8::ffff]:4000").await).await;
    open(&node, "2001:db8:0:1::1").await.greeted().await;
}

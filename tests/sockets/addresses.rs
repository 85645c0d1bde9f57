//! The limit of sockets for one client address, behind proxies and without.

use gaung::config::Config;

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

async fn expect_refusal(mut client: Client) {
    assert_eq!(client.expect("pusher:error").await["data"]["code"], 4100);
    assert_eq!(client.expect_close().await.0, 4100);
}

#[actix::test]
async fn each_client_behind_a_trusted_proxy_has_its_own_limit() {
    let node = start("127.0.0.0/8").await;
    let first = open(&node, "203.0.113.1").await.greeted().await;
    let _second = open(&node, "203.0.113.2").await.greeted().await;
    expect_refusal(open(&node, "203.0.113.1").await).await;
    drop(first);
    eventually("the closed socket makes room", || async {
        open(&node, "203.0.113.1").await.next().await["event"] == "pusher:connection_established"
    })
    .await;
}

#[actix::test]
async fn what_a_client_says_about_itself_is_not_believed() {
    let node = start("127.0.0.0/8").await;
    let _first = open(&node, "203.0.113.1").await.greeted().await;
    for invented in ["6.6.6.6, 203.0.113.1", "6.6.6.6,203.0.113.1, 127.0.0.1"] {
        expect_refusal(open(&node, invented).await).await;
    }
}

#[actix::test]
async fn a_proxy_that_is_not_trusted_is_the_client() {
    let node = start("10.0.0.0/8").await;
    let _first = open(&node, "203.0.113.1").await.greeted().await;
    expect_refusal(open(&node, "203.0.113.2").await).await;
}

//! Revoked tokens of plain sockets: on all nodes, on those that come later, and on those that were cut off.

use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use serde_json::{Value, json};

use crate::{
    common::client::now,
    harness::{AGREEMENT, Client, PATIENCE, cluster::Cluster, node::GaungNode, within},
};

/// A token of tenant 7 that was issued so many seconds ago.
fn token(user: &str, ago: u64) -> String {
    let claims = json!({"tenant_id": "7", "user_id": user, "iat": now().as_secs() - ago, "exp": now().as_secs() + 600});
    encode(&Header::new(Algorithm::HS256), &claims, &EncodingKey::from_secret(b"app-secret")).expect("claims are JSON")
}

/// A plain socket, and what it is told first.
async fn open(node: &GaungNode, token: &str) -> (Client, Value) {
    let mut client = node.open(&format!("/ws?tenant_id=7&token={token}")).await;
    let told = client.next().await;
    (client, told)
}

async fn admitted(node: &GaungNode, token: &str) -> Client {
    let (client, told) = open(node, token).await;
    assert_eq!(told["type"], "connected", "{told}");
    client
}

async fn is_refused(node: &GaungNode, token: &str) -> bool {
    open(node, token).await.1["code"] == 4015
}

async fn revoke(node: &GaungNode, user: &str) {
    let (status, answer) = node.post("/tokens/revoke", &json!({"tenant": "7", "user": user})).await;
    assert_eq!(status, 200, "{answer}");
}

async fn expect_silence(client: &mut Client) {
    client.send(json!({"type": "ping"})).await;
    client.expect_text(r#"{"type":"pong"}"#).await;
}

#[actix::test]
async fn a_revocation_holds_on_all_nodes_on_one_that_comes_later_and_on_one_that_started_again() {
    let mut cluster = Cluster::start(2, &[]).await;
    let (ada, bob) = (token("ada", 5), token("bob", 5));
    let mut of_ada = [admitted(&cluster[0], &ada).await, admitted(&cluster[1], &ada).await];
    let mut of_bob = [admitted(&cluster[0], &bob).await, admitted(&cluster[1], &bob).await];
    revoke(&cluster[0], "ada").await;
    // The node that was asked has told the others before it answers.
    for node in &cluster.nodes {
        assert!(is_refused(node, &ada).await);
    }
    for client in &mut of_ada {
        assert_eq!(client.expect_close().await.0, 4015);
    }
    for client in &mut of_bob {
        expect_silence(client).await;
    }
    let late = cluster.launch(&[]);
    cluster.nodes.push(late);
    cluster.settle().await;
    assert!(is_refused(&cluster[2], &ada).await);
    admitted(&cluster[2], &bob).await;
    for old in [0, 0] {
        cluster.nodes.remove(old).kill();
        let again = cluster.launch(&[]);
        cluster.nodes.push(again);
        cluster.settle().await;
    }
    for node in &cluster.nodes {
        assert!(is_refused(node, &ada).await, "who revoked it is gone");
        admitted(node, &bob).await;
    }
}

#[actix::test]
async fn a_node_that_was_cut_off_learns_what_was_revoked_meanwhile_and_closes_its_sockets() {
    let mut cluster = Cluster::start(1, &[("GAUNG_CLUSTER_NODES", "2")]).await;
    let (behind, proxy) = cluster.launch_behind(&[]).await;
    cluster.nodes.push(behind);
    cluster.settle().await;
    let ada = token("ada", 5);
    let mut client = admitted(&cluster[1], &ada).await;
    proxy.cut();
    within(AGREEMENT, "the node is not heard any more", || async {
        !cluster[0].peers().await.iter().any(|peer| peer["this"] != true && peer["stage"] == "live")
    })
    .await;
    revoke(&cluster[0], "ada").await;
    assert!(is_refused(&cluster[0], &ada).await);
    expect_silence(&mut client).await;
    proxy.heal();
    assert_eq!(client.expect_close().await.0, 4015);
    within(PATIENCE, "the token is refused there too", || is_refused(&cluster[1], &ada)).await;
}

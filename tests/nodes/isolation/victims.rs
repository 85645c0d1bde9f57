//! Sockets of app B and its tenant 8 on each node, and what B publishes.

use serde_json::json;
use tokio::net::TcpStream;

use super::{
    MARK,
    world::{CHANNELS, Known, OF_TENANT, token},
};
use crate::{
    common::{answer::Answer, event_stream::EventStream},
    harness::{Client, cluster::Cluster, collector::Collector, node::GaungNode},
};

/// The number and the name that a page over HTTP has drawn.
const SESSION: &str = "7/0123abcd";

pub struct Victims {
    pub pusher: Vec<Collector>,
    pub plain: Vec<Collector>,
    pub streams: Vec<EventStream<TcpStream>>,
    pub known: Known,
    _over_http: Answer<TcpStream>,
}

/// On each node two Pusher clients, a plain socket and a stream, and on one a client over HTTP; then B publishes. One comes
/// after the other, so that they are told the same in each run.
pub async fn enter(cluster: &Cluster) -> Victims {
    let (mut pusher, mut plain, mut streams, mut sockets) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for (number, node) in cluster.nodes.iter().enumerate() {
        for user in [format!("bea{number}"), format!("ben{number}")] {
            let client = pusher_client(node, &user).await;
            sockets.push(client.id.clone());
            pusher.push(Collector::of(client));
            cluster.agree("the member is seen", async |node| has(node, "presence-room", &user).await).await;
        }
        let user = format!("bob{number}");
        plain.push(Collector::of(plain_socket(node, &user).await));
        cluster.agree("the member is seen", async |node| has(node, "presence-room.8", &user).await).await;
        streams.push(stream(node).await);
    }
    for channel in CHANNELS.iter().chain(&OF_TENANT) {
        let each = if ["private-orders.8", "presence-room.8"].contains(channel) { 1 } else { 2 };
        let count = cluster.nodes.len() as u64 * each;
        cluster.agree("everybody is subscribed", async |node| node.subscriptions(channel).await == count).await;
    }
    let request = format!(
        "POST /pusher/app/app-key/{SESSION}/xhr_streaming?protocol=7&client=js&version=8.6.0&t=1&n=1 HTTP/1.1\r\n\
         Host: gaung.test\r\nContent-Length: 0\r\n\r\n"
    );
    let over_http = Answer::to(connect(&cluster[0]).await, &request).await;
    assert_eq!(over_http.status(), 200);
    publish(cluster, "before").await;
    let known = Known {
        sockets,
        position: position(&cluster[0], "orders").await,
        position_of_tenant: position(&cluster[0], "products.8").await,
        session: SESSION.to_owned(),
    };
    Victims { pusher, plain, streams, known, _over_http: over_http }
}

/// One event on each channel, and one for a user, through each node.
pub async fn publish(cluster: &Cluster, name: &str) {
    let data = json!({ "is": MARK }).to_string();
    for (number, node) in cluster.nodes.iter().enumerate() {
        for channel in CHANNELS.iter().chain(&OF_TENANT) {
            node.publish(channel, name, &data).await;
        }
        node.publish(&format!("#server-to-user-bea{number}"), name, &data).await;
    }
}

async fn has(node: &GaungNode, channel: &str, user: &str) -> bool {
    node.members(channel).await.iter().any(|member| member == user)
}

async fn position(node: &GaungNode, channel: &str) -> String {
    let answer = node.get(&format!("/channels/{channel}/events"), &[]).await;
    answer["position"].as_str().expect("a position").to_owned()
}

async fn connect(node: &GaungNode) -> TcpStream {
    TcpStream::connect(node.public.trim_start_matches("http://")).await.expect("the node accepts")
}

async fn pusher_client(node: &GaungNode, user: &str) -> Client {
    let mut client = node.connect().await;
    client.sign_in(&json!({"id": user, "user_info": {"note": MARK}}).to_string()).await;
    client.expect("pusher:signin_success").await;
    client.ask_private("private-orders").await;
    client.send(json!({"event": "pusher:subscribe", "data": {"channel": "orders"}})).await;
    let member = json!({"user_id": user, "user_info": {"note": MARK}}).to_string();
    client.ask_presence("presence-room", &member).await;
    client.send(json!({"event": "pusher:subscribe", "data": {"channel": "cache-news"}})).await;
    client
}

async fn plain_socket(node: &GaungNode, user: &str) -> Client {
    let mut client = node.open(&format!("/ws?tenant_id=8&user_id={user}&token={}", token("8", user))).await;
    assert_eq!(client.next().await["type"], "connected");
    for channel in OF_TENANT {
        client.send(json!({"type": "subscribe", "channel": channel})).await;
    }
    client
}

async fn stream(node: &GaungNode) -> EventStream<TcpStream> {
    let path = format!("/sse?tenant_id=8&channels=products.8&token={}", token("8", "bob"));
    let mut stream = EventStream::open_on(connect(node).await, &path, "").await;
    stream.expect_greeting().await;
    assert_eq!(stream.json().await["type"], "subscribed");
    stream
}

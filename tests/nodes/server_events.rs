//! Streams of server-sent events in a cluster: their clients come back to whatever node, and hear everything once.

use serde_json::Value;
use tokio::net::TcpStream;

use crate::{
    common::event_stream::EventStream,
    harness::{
        cluster::{Cluster, Variable},
        node::GaungNode,
    },
    history::HISTORY,
};

const OPEN: Variable = ("GAUNG_TENANT_ACCESS", "open");

/// A stream of two channels, behind its greeting.
async fn open(node: &GaungNode, headers: &str) -> EventStream<TcpStream> {
    let address = node.public.strip_prefix("http://").expect("an address");
    let socket = TcpStream::connect(address).await.expect("the node accepts");
    let mut stream = EventStream::open_on(socket, "/sse?tenant_id=7&channels=orders.7,products.7", headers).await;
    stream.expect_greeting().await;
    stream
}

/// Reads until so many events came; what was answered to the subscriptions, the names of the events, the last id.
async fn hear(
    stream: &mut EventStream<TcpStream>,
    subscriptions: usize,
    events: usize,
) -> (Vec<Value>, Vec<String>, String) {
    let (mut answers, mut names, mut id) = (Vec::new(), Vec::new(), String::new());
    while answers.len() < subscriptions || names.len() < events {
        let message = stream.next().await.expect("the stream goes on");
        id = message.id.unwrap_or(id);
        let Some(text) = message.data else { continue };
        let message: Value = serde_json::from_str(&text).expect("the message is JSON");
        match message["type"].as_str().expect("a type") {
            "subscribed" => answers.push(message["recovered"].clone()),
            name => names.push(name.to_owned()),
        }
    }
    (answers, names, id)
}

#[actix::test]
async fn a_stream_that_comes_back_to_another_node_hears_what_all_nodes_published_once() {
    let cluster = Cluster::start(3, &[HISTORY, OPEN]).await;
    let mut stream = open(&cluster[0], "").await;
    let (answers, _, mut id) = hear(&mut stream, 2, 0).await;
    assert_eq!(answers, [Value::Null, Value::Null]);
    for round in 0..4 {
        drop(stream);
        let mut expected = Vec::new();
        for (node, publisher) in cluster.nodes.iter().zip(["a", "b", "c"]) {
            for channel in ["orders.7", "products.7"] {
                let name = format!("{publisher}{round}.{channel}");
                node.publish(channel, &name, "{}").await;
                expected.push(name);
            }
        }
        stream = open(&cluster[(round + 1) % 3], &format!("Last-Event-ID: {id}\r\n")).await;
        let (answers, mut names, heard) = hear(&mut stream, 2, expected.len()).await;
        id = heard;
        names.sort_unstable();
        expected.sort_unstable();
        assert_eq!((answers, names), (vec![Value::Bool(true), Value::Bool(true)], expected), "{round}");
    }
    // Nothing comes twice behind it either.
    for channel in ["orders.7", "products.7"] {
        cluster[1].publish(channel, "last", "{}").await;
    }
    assert_eq!(hear(&mut stream, 0, 2).await.1, ["last", "last"]);
}

#[actix::test]
async fn a_drained_node_sends_its_streams_to_another_where_they_go_on() {
    let cluster = Cluster::start(2, &[HISTORY, OPEN]).await;
    let mut stream = open(&cluster[0], "").await;
    let (_, _, id) = hear(&mut stream, 2, 0).await;
    cluster[0].terminate();
    let pause = stream.expect_end().await.pop().and_then(|last| last.retry).expect("a pause");
    assert!((1_000..=5_000).contains(&pause), "{pause}");
    cluster[1].publish("orders.7", "meanwhile", "{}").await;
    let mut stream = open(&cluster[1], &format!("Last-Event-ID: {id}\r\n")).await;
    let (answers, names, _) = hear(&mut stream, 2, 1).await;
    assert_eq!((answers, names), (vec![Value::Bool(true), Value::Bool(true)], vec!["meanwhile".to_owned()]));
}

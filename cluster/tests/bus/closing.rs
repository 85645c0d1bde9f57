//! How a bus ends.

use std::time::{Duration, Instant};

use gaung_cluster::{core::Input, fact::Fact};

use crate::{
    node::{Node, room},
    server::NatsServer,
};

#[tokio::test]
async fn nothing_that_was_sent_before_the_end_is_lost() {
    let server = NatsServer::start();
    let [one, two] = Node::start_many(&server).await;
    let orders = room("orders");
    two.serve(&orders).await;
    one.publish(&orders, 0..10_000);
    one.link.send(Input::Fact(Fact::Connections { app: "shop".into(), sockets: 7 }));
    let began = Instant::now();
    one.link.close(Duration::from_secs(15)).await;
    assert!(began.elapsed() < Duration::from_secs(10), "it ended when all was confirmed: {:?}", began.elapsed());
    assert_eq!(one.link.ask(|_| ()).await, None);
    assert!(!one.link.status().connected);
    two.expect(&orders, 0..10_000).await;
    two.until("the last fact came", |core| core.connections(&"shop".into()) == 7).await;
}

#[tokio::test]
async fn an_end_without_a_server_takes_no_longer_than_its_patience() {
    let server = NatsServer::absent();
    let node = Node::start(&server);
    node.publish(&room("orders"), 0..10);
    let began = Instant::now();
    node.link.close(Duration::from_millis(300)).await;
    let took = began.elapsed();
    assert!(Duration::from_millis(300) <= took && took < Duration::from_secs(3), "{took:?}");
}

//! Events between nodes while all is well.

use gaung_cluster::{
    bus::{Full, open},
    core::{Input, Output},
    fact::Fact,
};

use crate::{
    node::{Node, event, room},
    server::NatsServer,
};

#[tokio::test]
async fn events_reach_only_nodes_that_serve_their_room() {
    let server = NatsServer::start();
    let [one, two, three] = Node::start_many(&server).await;
    let (orders, news) = (room("orders"), room("news"));
    two.serve(&orders).await;
    three.serve(&news).await;
    one.publish(&orders, 0..3);
    one.publish(&news, 0..3);
    two.expect(&orders, 0..3).await;
    three.expect(&news, 0..3).await;
    for (node, room) in [(&two, &news), (&three, &orders)] {
        assert!(
            !node.outputs().iter().any(|output| matches!(output, Output::Deliver(_, event, _) if event.room == *room))
        );
    }
    assert!(
        !one.outputs().iter().any(|output| matches!(output, Output::Deliver(..))),
        "its own sockets have it already"
    );
}

#[tokio::test]
async fn no_event_is_missed_once_a_fresh_room_is_served() {
    let server = NatsServer::start();
    let [one, two] = Node::start_many(&server).await;
    let rooms: Vec<_> = (0..300).map(|number| room(&format!("fresh-{number}"))).collect();
    for room in &rooms {
        two.serve(room).await;
        one.publish(room, 0..1);
    }
    for room in &rooms {
        two.expect(room, 0..1).await;
    }
    let asked = two.link.ask(|core| core.counters().asked).await;
    assert_eq!(asked, Some(0), "each event came by itself");
}

#[tokio::test]
async fn a_room_that_is_left_and_served_again_gets_its_events_once() {
    let server = NatsServer::start();
    let [one, two] = Node::start_many(&server).await;
    let orders = room("orders");
    two.serve(&orders).await;
    two.link.send(Input::Leave(orders.clone()));
    two.serve(&orders).await;
    one.publish(&orders, 0..100);
    two.expect(&orders, 0..100).await;
}

#[tokio::test]
async fn questions_are_answered_after_all_commands_sent_before() {
    let server = NatsServer::absent();
    let node = Node::start(&server);
    for sockets in 1..=1000 {
        node.link.send(Input::Fact(Fact::Connections { app: "shop".into(), sockets }));
        let known = node.link.ask(|core| core.connections(&"shop".into())).await;
        assert_eq!(known, Some(u64::from(sockets)));
    }
}

#[tokio::test]
async fn a_full_queue_refuses_all_events_of_a_request_and_counts_them() {
    let server = NatsServer::start();
    let orders = room("orders");
    let mut settings = server.settings();
    settings.limits.events = 3;
    let (link, bus) = open(settings).unwrap();
    let mut permits = link.reserve(3, 3).unwrap();
    (0..3).for_each(|number| link.publish(event(&orders, number), permits.split(1)));
    assert_eq!(link.reserve(1, 1).unwrap_err(), Full::Events(3));
    assert_eq!((link.status().queued, link.status().refused), (3, 1));
    let running = async {
        while link.status().queued > 0 {
            tokio::task::yield_now().await;
        }
        assert!(link.reserve(3, 3).is_ok());
    };
    tokio::select! {
        () = bus.run(|_| {}) => panic!("the bus ended"),
        () = running => {}
    }
}

#[tokio::test]
async fn an_event_as_large_as_the_status_allows_arrives_and_one_byte_more_is_counted() {
    for config in ["", "max_payload: 100KB"] {
        let server = NatsServer::start_with(config);
        let [one, two] = Node::start_many(&server).await;
        let orders = room("orders");
        two.serve(&orders).await;
        let limit = one.link.status().max_payload;
        let before = one.link.ask(|core| core.counters().oversized).await.unwrap() + one.link.status().dropped;
        for size in [limit, limit + 64 + 2048] {
            let mut event = event(&orders, 0);
            event.payload = vec![b'x'; size].into();
            let permit = one.link.reserve(1, size).unwrap();
            one.link.publish(event, permit);
        }
        let came = |output: &Output| matches!(output, Output::Deliver(_, event, _) if event.payload.len() == limit);
        two.until_outputs("the large event comes", |outputs| outputs.iter().any(came)).await;
        let after = one.link.ask(|core| core.counters().oversized).await.unwrap() + one.link.status().dropped;
        assert_eq!(after, before + 1, "{config}");
    }
}

//! All nodes are replaced one after the other, under load, with clients that reconnect.

use std::{cell::RefCell, collections::BTreeMap, rc::Rc, time::Duration};

use crate::harness::{
    PATIENCE,
    balancer::Balancer,
    cluster::Cluster,
    load::Load,
    roamer::{Origins, ROOM, Roamer},
    within,
};

const ROAMERS: usize = 12;

#[actix::test]
async fn three_nodes_are_replaced_and_clients_miss_nothing_but_while_they_move_and_members_stay() {
    let mut cluster = Cluster::start(3, &[("GAUNG_DRAIN_SECONDS", "2")]).await;
    let origins: Origins = Rc::new(RefCell::new(cluster.nodes.iter().map(|node| node.public.clone()).collect()));
    let roamers: Vec<_> = (0..ROAMERS).map(|number| Roamer::start(number, origins.clone())).collect();
    within(PATIENCE, "each roamer knows all", || async { roamers.iter().all(|it| it.members() == ROAMERS) }).await;
    let settled: Vec<_> = roamers.iter().map(|roamer| roamer.changes().len()).collect();

    let mut published = Vec::new();
    for round in 0..3 {
        let (going, staying) = cluster.nodes.split_first().expect("three nodes");
        origins.borrow_mut().retain(|origin| *origin != going.public);
        let start = |index: usize| Load::start(round * 2 + index, &staying[index].public, &["orders".to_owned()], 100);
        let loads = [start(0), start(1)];
        going.terminate();
        let mut going = cluster.nodes.remove(0);
        assert_eq!(going.exit_code().await, Some(0));
        let node = cluster.launch(&[]);
        let origin = node.public.clone();
        cluster.nodes.push(node);
        cluster.settle().await;
        origins.borrow_mut().push(origin);
        for load in loads {
            published.push(load.finish().await);
        }
    }
    cluster.agree("all roamers are still there", async |node| node.members(ROOM).await.len() == ROAMERS).await;
    for (roamer, settled) in roamers.iter().zip(settled) {
        for published in &published {
            roamer.check(published).await;
        }
        assert_eq!(roamer.changes().split_off(settled), [], "roamer {} was told of members", roamer.number);
        assert!(roamer.stays.borrow().len() <= 4, "it moved once for each node at most");
    }
    let moves: usize = roamers.iter().map(|roamer| roamer.stays.borrow().len() - 1).sum();
    println!("{moves} moves of {ROAMERS} clients");
    assert!(moves >= ROAMERS, "each of the first nodes had a third of the clients");
}

#[actix::test]
async fn behind_a_load_balancer_that_is_slow_to_notice_no_trigger_fails_and_nobody_is_seen_to_go() {
    let mut cluster = Cluster::start(3, &[("GAUNG_DRAIN_LAG_SECONDS", "2"), ("GAUNG_DRAIN_SECONDS", "2")]).await;
    let nodes: Vec<&str> = cluster.nodes.iter().map(|node| node.public.as_str()).collect();
    let balancer = Balancer::start(&nodes).await;
    let origins: Origins = Rc::new(RefCell::new(vec![balancer.origin.clone()]));
    let roamers: Vec<_> = (0..ROAMERS).map(|number| Roamer::start(number, origins.clone())).collect();
    within(PATIENCE, "each roamer knows all", || async { roamers.iter().all(|it| it.members() == ROAMERS) }).await;
    let settled: Vec<_> = roamers.iter().map(|roamer| roamer.changes().len()).collect();

    let load = Load::start(0, &balancer.origin, &["orders".to_owned()], 100);
    for _ in 0..3 {
        // As Kubernetes does it: a new one first, and who goes is told before it is taken out.
        let node = cluster.launch(&[]);
        let origin = node.public.clone();
        cluster.nodes.push(node);
        cluster.settle().await;
        balancer.add(&origin);
        let mut going = cluster.nodes.remove(0);
        going.terminate();
        tokio::time::sleep(Duration::from_secs(1)).await;
        balancer.remove(&going.public);
        assert_eq!(going.exit_code().await, Some(0));
    }
    let published = load.finish().await;
    assert_eq!(published.refused, BTreeMap::new(), "of {} triggers", published.count());
    cluster.agree("all roamers are still there", async |node| node.members(ROOM).await.len() == ROAMERS).await;
    for (roamer, settled) in roamers.iter().zip(settled) {
        assert_eq!(roamer.changes().split_off(settled), [], "roamer {} was told of members", roamer.number);
        let ends: Vec<_> = roamer.stays.borrow().iter().filter_map(|stay| stay.client.closed()).collect();
        assert!(ends.iter().all(|code| *code == 4200), "it was sent elsewhere and nothing else: {ends:?}");
    }
    let moves: usize = roamers.iter().map(|roamer| roamer.stays.borrow().len() - 1).sum();
    println!("{moves} moves of {ROAMERS} clients, {} triggers", published.count());
    assert!(moves >= ROAMERS, "each client sat on a node that went");
}

//! All nodes are replaced one after the other, under load, with clients that reconnect.

use std::{
    cell::RefCell,
    collections::BTreeSet,
    rc::Rc,
    time::{Duration, Instant},
};

use actix::spawn;
use serde_json::json;
use tokio::task::JoinHandle;

use crate::harness::{
    PATIENCE,
    cluster::Cluster,
    collector::{Change, Collector, Heard},
    load::{Load, Published},
    tally, upgrade,
};

const ROOM: &str = "presence-room";
const ROAMERS: usize = 12;
/// What a socket may miss before its end is seen: what was on its way.
const GRACE: Duration = Duration::from_millis(500);

/// How much older than a subscription an event may be that comes over it: the first subscription on a node begins where
/// the node last heard the others to be, which they say every 50 ms.
const OVERLAP: Duration = Duration::from_millis(300);

/// Where clients may connect, as a load balancer knows it.
type Origins = Rc<RefCell<Vec<String>>>;

#[actix::test]
async fn three_nodes_are_replaced_and_clients_miss_nothing_but_while_they_move_and_members_stay() {
    let mut cluster = Cluster::start(3, &[("GAUNG_DRAIN_SECONDS", "2")]).await;
    let origins: Origins = Rc::new(RefCell::new(cluster.nodes.iter().map(|node| node.public.clone()).collect()));
    let roamers: Vec<_> = (0..ROAMERS).map(|number| Roamer::start(number, origins.clone())).collect();
    cluster.agree("all roamers are seen", async |node| node.members(ROOM).await.len() == ROAMERS).await;
    let settled: Vec<_> = roamers.iter().map(|roamer| roamer.changes().len()).collect();

    let mut published = Vec::new();
    for round in 0..3 {
        let (going, staying) = cluster.nodes.split_first().expect("three nodes");
        origins.borrow_mut().retain(|origin| *origin != going.public);
        let start = |index: usize| Load::start(round * 2 + index, &staying[index], &["orders".to_owned()], 100);
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

/// A client that connects again, elsewhere, when it is sent away.
struct Roamer {
    number: usize,
    stays: Rc<RefCell<Vec<Stay>>>,
    task: JoinHandle<()>,
}

/// One connection of a roamer.
struct Stay {
    /// When its subscriptions had been answered.
    since: Instant,
    client: Collector,
}

impl Roamer {
    fn start(number: usize, origins: Origins) -> Self {
        let stays = Rc::default();
        let task = spawn(roam(number, origins, Rc::clone(&stays)));
        Self { number, stays, task }
    }

    fn heard(&self) -> Vec<Heard> {
        self.stays.borrow().iter().flat_map(|stay| stay.client.heard()).collect()
    }

    fn changes(&self) -> Vec<(Change, String)> {
        self.stays.borrow().iter().flat_map(|stay| stay.client.members()).collect()
    }

    /// Fails if an event came twice or too late on one connection, was older than the connection, or did not come though
    /// the roamer was there.
    async fn check(&self, published: &Published) {
        let what = format!("what {} was promised arrives", self.number);
        crate::harness::within(PATIENCE, &what, || async { self.missing(published).is_empty() }).await;
        for stay in &*self.stays.borrow() {
            for stream in published.streams() {
                let numbers = tally::numbers(&stay.client.heard()).remove(&stream).unwrap_or_default();
                let verdict = tally::judge(&numbers, published.count());
                assert!(verdict.doubled.is_empty() && verdict.disordered.is_empty(), "{}: {verdict}", self.number);
                let old = numbers.iter().filter(|number| stay.since > published.taken[**number as usize].1 + OVERLAP);
                assert_eq!(old.count(), 0, "{} was told of what was long past when it came", self.number);
            }
        }
    }

    /// The numbers that did not come and were not published while the roamer was away.
    fn missing(&self, published: &Published) -> BTreeSet<u64> {
        let heard = tally::numbers(&self.heard());
        let came = published.streams().next().and_then(|stream| heard.get(&stream)).map_or(&[][..], Vec::as_slice);
        let mut lost = tally::judge(came, published.count()).lost;
        lost.retain(|number| !self.was_away(published.taken[*number as usize]));
        lost
    }

    fn was_away(&self, (sent, taken): (Instant, Instant)) -> bool {
        let stays = self.stays.borrow();
        let is_within = |stay: &Stay| sent >= stay.since && stay.client.end().is_none_or(|end| taken + GRACE <= end.at);
        !stays.iter().any(is_within)
    }
}

impl Drop for Roamer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn roam(number: usize, origins: Origins, stays: Rc<RefCell<Vec<Stay>>>) {
    loop {
        let origin = {
            let origins = origins.borrow();
            origins[(number + stays.borrow().len()) % origins.len()].clone()
        };
        let request = awc::Client::default().ws(format!("{origin}/app/app-key?protocol=7"));
        let mut client = upgrade(request).await.greeted().await;
        client.subscribe("orders").await;
        client.ask_presence(ROOM, &json!({ "user_id": number.to_string() }).to_string()).await;
        stays.borrow_mut().push(Stay { since: Instant::now(), client: Collector::of(client) });
        let is_over = || stays.borrow().last().is_some_and(|stay| stay.client.end().is_some());
        while !is_over() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

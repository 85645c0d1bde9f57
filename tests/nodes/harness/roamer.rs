//! Clients that connect again when they are sent away.

use std::{
    cell::RefCell,
    collections::BTreeSet,
    rc::Rc,
    time::{Duration, Instant},
};

use actix::spawn;
use serde_json::json;
use tokio::task::JoinHandle;

use super::{
    PATIENCE,
    collector::{Change, Collector, Heard},
    inner,
    load::Published,
    tally, upgrade, within,
};

/// The presence channel in which all roamers are.
pub const ROOM: &str = "presence-room";

/// What a socket may miss before its end is seen: what was on its way.
const GRACE: Duration = Duration::from_millis(500);

/// How much older than a subscription an event may be that comes over it: the first subscription on a node begins where
/// the node last heard the others to be, which they say every 50 ms.
const OVERLAP: Duration = Duration::from_millis(300);

/// Where clients may connect, as a load balancer knows it.
pub type Origins = Rc<RefCell<Vec<String>>>;

/// A client that connects again, elsewhere, when it is sent away.
pub struct Roamer {
    pub number: usize,
    pub stays: Rc<RefCell<Vec<Stay>>>,
    task: JoinHandle<()>,
}

/// One connection of a roamer.
pub struct Stay {
    /// When its subscriptions had been answered.
    since: Instant,
    pub client: Collector,
}

impl Roamer {
    pub fn start(number: usize, origins: Origins) -> Self {
        let stays = Rc::default();
        let task = spawn(roam(number, origins, Rc::clone(&stays)));
        Self { number, stays, task }
    }

    fn heard(&self) -> Vec<Heard> {
        self.stays.borrow().iter().flat_map(|stay| stay.client.heard()).collect()
    }

    pub fn changes(&self) -> Vec<(Change, String)> {
        self.stays.borrow().iter().flat_map(|stay| stay.client.members()).collect()
    }

    /// How many members its connection has told it of: those of the snapshot, and who came and did not go since.
    pub fn members(&self) -> usize {
        let stays = self.stays.borrow();
        let Some(stay) = stays.last() else { return 0 };
        let heard = stay.client.heard();
        let answer = heard.iter().find(|it| {
            it.message["event"] == "pusher_internal:subscription_succeeded" && it.message["channel"] == ROOM
        });
        let Some(answer) = answer else { return 0 };
        let ids = inner(&answer.message)["presence"]["ids"].as_array().map_or(0, Vec::len);
        let (came, went): (Vec<_>, Vec<_>) =
            stay.client.members().into_iter().partition(|(change, _)| *change == Change::Came);
        ids + came.len() - went.len()
    }

    /// Fails if an event came twice or too late on one connection, was older than the connection, or did not come though
    /// the roamer was there.
    pub async fn check(&self, published: &Published) {
        let what = format!("what {} was promised arrives", self.number);
        within(PATIENCE, &what, || async { self.missing(published).is_empty() }).await;
        for stay in &*self.stays.borrow() {
            for stream in published.streams() {
                let numbers = tally::numbers(&stay.client.heard()).remove(&stream).unwrap_or_default();
                let verdict = tally::judge(&numbers, published.count());
                assert!(verdict.doubled.is_empty() && verdict.disordered.is_empty(), "{}: {verdict}", self.number);
                let way = OVERLAP + published.longest_way(&stay.client, stay.since);
                let old = numbers.iter().filter(|number| stay.since > published.taken[**number as usize].1 + way);
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

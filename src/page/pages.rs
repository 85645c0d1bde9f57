//! The pages of this node, as sessions, rooms and other nodes reach them.

use std::sync::{
    Arc,
    atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed},
};

use actix::{Actor, Addr, Arbiter, Message, WeakRecipient};
use bytes::Bytes;
use gaung_cluster::{
    NodeId,
    page::{PageHash, Standing},
};
use tokio::sync::oneshot;

use super::{
    handovers::Handovers,
    key::{PageKey, PageVisit},
    leaving,
    left::LeftPage,
    messages::{BookInput, Departure, Heard, PageStart},
    owed::{OutstandingReceipts, OwedReceipt},
    registry::PageRegistry,
};
use crate::{
    cluster::{Cluster, Reply},
    config::PagesConfig,
    metrics::Metrics,
    protocol::ChannelName,
};

/// All pages of this node. Cheap to clone; every call may come from any thread, and waits for nothing.
#[derive(Debug, Clone)]
pub struct Pages {
    registry: Addr<PageRegistry>,
    counts: Arc<PageCounts>,
    receipts: OutstandingReceipts,
    visits: Arc<AtomicU64>,
    handovers: Handovers,
}

/// What the session of a page is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Message)]
#[rtype(result = "()")]
pub enum PageNotice {
    /// A newer socket of the page has come.
    Superseded,
    /// All rooms have let it go.
    RoomsLeft,
}

/// Pages that are here, away with what they had, and known alone.
#[derive(Debug, Default)]
pub(super) struct PageCounts(pub [AtomicUsize; 3]);

/// What the registry shares with those who reach it.
pub(super) struct SharedCounts {
    pub counts: Arc<PageCounts>,
    /// The numbers of visits.
    pub visits: Arc<AtomicU64>,
    pub handovers: Handovers,
}

/// A session that waits for its start.
pub(super) struct Waiting {
    pub app: Arc<str>,
    pub visit: PageVisit,
    pub start: oneshot::Sender<PageStart>,
}

/// Another node asks for a page.
#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct Ask(pub PageKey, pub Reply);

/// Another node, of this name, ends, and leaves pages to this one.
#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct Keep(pub NodeId, pub Bytes, pub Reply);

/// This node ends: what it leaves to others.
#[derive(Message)]
#[rtype(result = "Vec<LeftPage>")]
pub(super) struct End;

/// Another node claims a page since later than this node.
#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct Claimed(pub PageKey);

#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct Arrive {
    pub waiting: Waiting,
    pub session: WeakRecipient<PageNotice>,
}

#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct Tell(pub BookInput);

impl Pages {
    /// Starts the registry on a thread of its own. `cluster` is the way to the other nodes, if this one is not alone.
    pub fn start(config: &PagesConfig, cluster: Option<Cluster>, metrics: &Metrics) -> Self {
        let counts = Arc::new(PageCounts::default());
        let (handovers, visits) = (Handovers::new(metrics), Arc::<AtomicU64>::default());
        let shared = SharedCounts { counts: counts.clone(), visits: visits.clone(), handovers: handovers.clone() };
        let (config, metrics) = (config.clone(), metrics.clone());
        let start = move |_: &mut _| PageRegistry::new(&config, cluster, &metrics, shared);
        let registry = PageRegistry::start_in_arbiter(&Arbiter::new().handle(), start);
        Self { registry, counts, receipts: OutstandingReceipts::default(), visits, handovers }
    }

    /// A socket of a page has come; the start is awaited from `start`, which fails if a still newer one came meanwhile.
    pub fn arrive(
        &self,
        app: Arc<str>,
        page: PageKey,
        session: WeakRecipient<PageNotice>,
    ) -> (PageVisit, oneshot::Receiver<PageStart>) {
        let visit = PageVisit { page, number: self.visits.fetch_add(1, Relaxed) };
        let (start, awaited) = oneshot::channel();
        self.registry.do_send(Arrive { waiting: Waiting { app, visit: visit.clone(), start }, session });
        (visit, awaited)
    }

    /// A session of a page gives back its rooms.
    pub fn depart(&self, departure: Departure) {
        self.registry.do_send(Tell(BookInput::Departed(departure)));
    }

    /// A room has let a page go; how far it has heard the room, where that is known.
    pub fn part(&self, visit: PageVisit, channel: ChannelName, heard: Option<Heard>) {
        self.registry.do_send(Tell(BookInput::Parted(visit, channel, heard)));
    }

    /// The page has heard all that it was written before its rooms let it go.
    pub fn prove(&self, visit: PageVisit) {
        self.registry.do_send(Tell(BookInput::Proven(visit)));
    }

    /// Counts a receipt that a page owes.
    pub fn owe_receipt(&self) -> OwedReceipt {
        self.receipts.owe()
    }

    /// How many receipts pages owe.
    pub fn outstanding_receipts(&self) -> usize {
        self.receipts.count()
    }

    /// The page owes a receipt for long, or does so no longer.
    pub fn stand(&self, visit: PageVisit, standing: Standing) {
        self.registry.do_send(Tell(BookInput::Stands(visit, standing)));
    }

    /// Another node asks for a page that has come to it.
    pub fn ask(&self, page: PageHash, reply: Reply) {
        self.registry.do_send(Ask(PageKey(page), reply));
    }

    /// Another node ends, and leaves pages to this one.
    pub fn keep(&self, from: NodeId, pages: Bytes, reply: Reply) {
        self.registry.do_send(Keep(from, pages, reply));
    }

    /// This node ends: the others are to know the pages that are away from here.
    pub async fn leave_to(&self, cluster: &Cluster) {
        let pages = self.registry.send(End).await.unwrap_or_default();
        leaving::leave(cluster, &pages).await;
    }

    /// Another node claims a page since later than this node.
    pub fn be_claimed(&self, page: PageHash) {
        self.registry.do_send(Claimed(PageKey(page)));
    }

    /// How many pages a node has handed over: this one to others, another to this one.
    pub fn handovers(&self, node: NodeId) -> u64 {
        self.handovers.of(node)
    }

    /// How many pages are here, away with what they had, and known alone.
    pub fn counts(&self) -> [usize; 3] {
        self.counts.0.each_ref().map(|count| count.load(Relaxed))
    }
}

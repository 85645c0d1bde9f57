//! The pages of this node: brings what sessions and rooms say to the [`PageBook`], and does what it
//! decides.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use actix::{Actor, Addr, Arbiter, AsyncContext, Context, Handler, Message, Recipient};
use prometheus::IntCounterVec;
use tokio::sync::oneshot;

use super::{
    book::{BookInput, BookOutput, Departure, Heard, PageBook, PageStart, Rules, Turn},
    key::{PageKey, PageVisit},
};
use crate::{
    config::PagesConfig,
    metrics::Metrics,
    protocol::{ChannelName, SocketId},
};

/// How often it is looked whose time is over.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// Pages that are away with what they had, at most, on one node.
const MAX_AWAY: usize = 65_536;

/// Pages that are away and known at all, at most, on one node.
const MAX_KNOWN: usize = 262_144;

/// All pages of this node. Cheap to clone; every call may come from any thread, and waits for nothing.
#[derive(Debug, Clone)]
pub struct Pages {
    registry: Addr<PageRegistry>,
    counts: Arc<PageCounts>,
    receipts: OutstandingReceipts,
    visits: Arc<AtomicU64>,
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
struct PageCounts([AtomicUsize; 3]);

/// How many receipts pages owe.
#[derive(Debug, Clone, Default)]
struct OutstandingReceipts(Arc<AtomicUsize>);

/// A receipt that a page owes, until it is dropped.
#[derive(Debug)]
pub struct OwedReceipt(OutstandingReceipts);

impl Drop for OwedReceipt {
    fn drop(&mut self) {
        self.0.0.fetch_sub(1, Relaxed);
    }
}

/// The pages, on a thread of their own.
struct PageRegistry {
    book: PageBook,
    sessions: HashMap<u64, Recipient<PageNotice>>,
    waiting: HashMap<u64, (PageVisit, oneshot::Sender<PageStart>)>,
    counts: Arc<PageCounts>,
    starts: IntCounterVec,
}

#[derive(Message)]
#[rtype(result = "()")]
struct Arrive {
    visit: PageVisit,
    session: Recipient<PageNotice>,
    start: oneshot::Sender<PageStart>,
}

#[derive(Message)]
#[rtype(result = "()")]
struct Tell(BookInput);

impl Pages {
    /// Starts the registry on a thread of its own.
    pub fn start(config: &PagesConfig, metrics: &Metrics) -> Self {
        let counts = Arc::new(PageCounts::default());
        let rules = Rules {
            id_lifetime: config.socket_id_lifetime,
            doubt: config.doubt,
            max_away: MAX_AWAY,
            max_known: MAX_KNOWN,
        };
        let (shown, starts) = (counts.clone(), metrics.page_starts.clone());
        let registry = PageRegistry::start_in_arbiter(&Arbiter::new().handle(), move |_| PageRegistry {
            book: PageBook::new(rules, Instant::now()),
            sessions: HashMap::new(),
            waiting: HashMap::new(),
            counts: shown,
            starts,
        });
        Self { registry, counts, receipts: OutstandingReceipts::default(), visits: Arc::default() }
    }

    /// A socket of a page has come; the start is awaited from `start`, which fails if a still newer one came meanwhile.
    pub fn arrive(&self, page: PageKey, session: Recipient<PageNotice>) -> (PageVisit, oneshot::Receiver<PageStart>) {
        let visit = PageVisit { page, number: self.visits.fetch_add(1, Relaxed) };
        let (start, awaited) = oneshot::channel();
        self.registry.do_send(Arrive { visit: visit.clone(), session, start });
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
        self.receipts.0.fetch_add(1, Relaxed);
        OwedReceipt(self.receipts.clone())
    }

    /// How many receipts pages owe.
    pub fn outstanding_receipts(&self) -> usize {
        self.receipts.0.load(Relaxed)
    }

    /// How many pages are here, away with what they had, and known alone.
    pub fn counts(&self) -> [usize; 3] {
        self.counts.0.each_ref().map(|count| count.load(Relaxed))
    }
}

impl PageRegistry {
    fn step(&mut self, input: BookInput) {
        let mut outputs = Vec::new();
        let mut turn = Turn { now: Instant::now(), draw: &mut SocketId::random, outputs: &mut outputs };
        self.book.step(input, &mut turn);
        outputs.into_iter().for_each(|output| self.act(output));
        for (shown, count) in self.counts.0.iter().zip(self.book.counts()) {
            shown.store(count, Relaxed);
        }
    }

    fn act(&mut self, output: BookOutput) {
        match output {
            BookOutput::Start(number, start) => {
                self.starts.with_label_values(&[start.outcome()]).inc();
                let Some((visit, waiting)) = self.waiting.remove(&number) else { return };
                if let Err(start) = waiting.send(start) {
                    self.step(BookInput::Departed(Departure::unstarted(visit, start)));
                }
            }
            BookOutput::Supersede(number) => {
                let is_waiting = self.waiting.remove(&number).is_some();
                self.tell(number, PageNotice::Superseded);
                if is_waiting {
                    self.sessions.remove(&number);
                }
            }
            BookOutput::RoomsLeft(number) => {
                self.tell(number, PageNotice::RoomsLeft);
                self.sessions.remove(&number);
            }
        }
    }

    fn tell(&self, number: u64, notice: PageNotice) {
        if let Some(session) = self.sessions.get(&number) {
            session.do_send(notice);
        }
    }
}

impl Actor for PageRegistry {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Context<Self>) {
        ctx.run_interval(LOOK_EVERY, |registry, _| registry.step(BookInput::Tick));
    }
}

impl Handler<Arrive> for PageRegistry {
    type Result = ();

    fn handle(&mut self, Arrive { visit, session, start }: Arrive, _: &mut Context<Self>) {
        self.sessions.insert(visit.number, session);
        self.waiting.insert(visit.number, (visit.clone(), start));
        self.step(BookInput::Arrived(visit));
    }
}

impl Handler<Tell> for PageRegistry {
    type Result = ();

    fn handle(&mut self, Tell(input): Tell, _: &mut Context<Self>) {
        self.step(input);
    }
}

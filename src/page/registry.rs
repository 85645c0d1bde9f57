//! The pages of this node: brings what sessions and rooms say to the [`PageBook`], and does what it
//! decides.

use std::{
    collections::HashMap,
    mem,
    sync::atomic::Ordering::Relaxed,
    time::{Duration, Instant},
};

use actix::{Actor, ActorFutureExt, AsyncContext, Context, Handler, MessageResult, WeakRecipient, WrapFuture};
use bytes::Bytes;
use gaung_cluster::NodeId;
use prometheus::{IntCounter, IntCounterVec};
use tokio::time::{sleep, timeout};

use super::{
    book::{ClusterRules, PageBook, Rules},
    handed::HandedPage,
    key::PageKey,
    leaving::KEPT,
    left::LeftPage,
    messages::{BookInput, BookOutput, Departure, Finding, Turn},
    pages::{Arrive, Ask, Claimed, End, Keep, PageNotice, SharedCounts, Tell, Waiting},
    seeking::{Handover, Search, SearchStep, is_elsewhere},
};
use crate::{
    cluster::{Cluster, Question, Reply},
    config::PagesConfig,
    metrics::Metrics,
    protocol::SocketId,
};

/// How long this node's own bus may take to answer, which usually takes less than a millisecond.
const PATIENCE: Duration = Duration::from_millis(500);

/// How often it is looked whose time is over.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// Pages that are away with what they had, at most, on one node.
const MAX_AWAY: usize = 65_536;

/// Positions that they have together, at most: some 100 MB.
const MAX_POSITIONS: usize = 524_288;

/// Pages that are away and known at all, at most, on one node.
const MAX_KNOWN: usize = 262_144;

/// How many receipts a page may be behind that is up to date: one that was asked for and is on its way, one that is not due
/// yet, and the time in which it has been away without owing one.
const RECEIPTS_BEHIND: u32 = 3;

/// How far a node may be behind the others with what they publish, without having been silent.
const BEHIND: Duration = Duration::from_secs(3);

/// The pages, on a thread of their own.
pub(super) struct PageRegistry {
    book: PageBook,
    /// Weak, because an address that keeps the mailbox open costs a hundred bytes more.
    sessions: HashMap<u64, WeakRecipient<PageNotice>>,
    waiting: HashMap<u64, Waiting>,
    shared: SharedCounts,
    starts: IntCounterVec,
    evictions: IntCounter,
    /// The other nodes, if there are any.
    cluster: Option<Cluster>,
    /// How long before its node's last sign of life a page that is up to date had heard everything.
    lookback: Duration,
    /// The questions of other nodes that wait for their answer.
    questions: HashMap<u64, Reply>,
    last_question: u64,
    /// Pages that are away, and are to be other nodes'.
    left: Vec<LeftPage>,
}

/// How much a node keeps of pages, and how it judges.
pub fn rules(config: &PagesConfig, is_clustered: bool) -> Rules {
    Rules {
        cluster: is_clustered.then_some(ClusterRules { owes_after: config.receipt_interval }),
        id_lifetime: config.socket_id_lifetime,
        doubt: config.doubt,
        max_away: MAX_AWAY,
        max_positions: MAX_POSITIONS,
        max_known: MAX_KNOWN,
    }
}

/// How long before its node's last sign of life a page that is up to date had heard everything.
pub fn lookback(config: &PagesConfig) -> Duration {
    config.receipt_interval * RECEIPTS_BEHIND + BEHIND
}

/// Carries out a search.
async fn seek(cluster: &Cluster, page: PageKey, mut search: Search) -> (Finding, Option<Handover>) {
    let mut next = SearchStep::Look(Duration::ZERO);
    loop {
        next = match next {
            SearchStep::Look(pause) => {
                sleep(pause).await;
                let found = timeout(PATIENCE, cluster.find_page(page.0)).await;
                search.look(found.ok().flatten(), Instant::now())
            }
            SearchStep::Ask(node) => {
                let answer = cluster.ask(node, Question::Page(page.0)).await;
                search.hear(answer, Instant::now())
            }
            SearchStep::End(finding, handover) => return (finding, handover),
        }
    }
}

impl PageRegistry {
    /// No pages.
    pub(super) fn new(config: &PagesConfig, cluster: Option<Cluster>, metrics: &Metrics, shared: SharedCounts) -> Self {
        Self {
            book: PageBook::new(rules(config, cluster.is_some()), Instant::now()),
            sessions: HashMap::new(),
            waiting: HashMap::new(),
            shared,
            starts: metrics.page_starts.clone(),
            evictions: metrics.page_evictions.clone(),
            cluster,
            lookback: lookback(config),
            questions: HashMap::new(),
            last_question: 0,
            left: Vec::new(),
        }
    }

    fn step(&mut self, input: BookInput, ctx: &mut Context<Self>) {
        let mut outputs = Vec::new();
        let mut turn = Turn { now: Instant::now(), draw: &mut SocketId::random, outputs: &mut outputs };
        self.book.step(input, &mut turn);
        outputs.into_iter().for_each(|output| self.act(output, ctx));
        for (shown, count) in self.shared.counts.0.iter().zip(self.book.counts()) {
            shown.store(count, Relaxed);
        }
    }

    fn act(&mut self, output: BookOutput, ctx: &mut Context<Self>) {
        match output {
            BookOutput::Start(number, start) => {
                self.starts.with_label_values(&[start.outcome()]).inc();
                let Some(Waiting { app, visit, start: awaited }) = self.waiting.remove(&number) else { return };
                if let Err(start) = awaited.send(start) {
                    self.step(BookInput::Departed(Departure::unstarted(app, visit, start)), ctx);
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
            BookOutput::Seek(page) => self.seek(page, ctx),
            BookOutput::HandOver(question, page) => self.answer(question, Some(page)),
            BookOutput::Decline(question) => self.answer(question, None),
            BookOutput::Share(page, change) => {
                self.cluster.iter().for_each(|cluster| cluster.share_page(page.0, change));
            }
            BookOutput::Leave(page) => self.left.push(page),
            BookOutput::CountEvicted => self.evictions.inc(),
        }
    }

    fn seek(&self, page: PageKey, ctx: &mut Context<Self>) {
        let Some(cluster) = self.cluster.clone() else { return };
        let search = Search::new(cluster.link().node(), self.lookback);
        let found = async move { seek(&cluster, page, search).await };
        ctx.spawn(found.into_actor(self).map(move |(finding, handover), registry, ctx| {
            registry.shared.handovers.note(handover);
            registry.step(BookInput::Found(page, finding), ctx);
        }));
    }

    fn answer(&mut self, question: u64, page: Option<HandedPage>) {
        let (Some(reply), Some(cluster)) = (self.questions.remove(&question), &self.cluster) else { return };
        match page {
            Some(page) => {
                self.shared.handovers.note_given(cluster.link().node());
                reply.send(page.encode(Instant::now()));
            }
            None => reply.nothing(),
        }
    }

    fn keep(&mut self, from: NodeId, pages: Bytes, ctx: &mut Context<Self>) -> Option<()> {
        for page in LeftPage::read(pages, Instant::now())? {
            self.shared.handovers.note_left(from);
            let visit = self.shared.visits.fetch_add(1, Relaxed);
            self.step(BookInput::Left(visit, page), ctx);
        }
        Some(())
    }

    /// The bus knows everything that was shared before it is asked here: a page that came back meanwhile is not taken.
    fn check_claim(&self, page: PageKey, ctx: &mut Context<Self>) {
        let (Some(visit), Some(cluster)) = (self.book.visit_of(page), self.cluster.clone()) else { return };
        let own = cluster.link().node();
        let found = async move { cluster.find_page(page.0).await };
        ctx.spawn(found.into_actor(self).map(move |found, registry, ctx| {
            if found.is_some_and(|found| is_elsewhere(found, own)) {
                registry.step(BookInput::Taken(visit), ctx);
            }
        }));
    }

    fn tell(&self, number: u64, notice: PageNotice) {
        if let Some(session) = self.sessions.get(&number).and_then(WeakRecipient::upgrade) {
            session.do_send(notice);
        }
    }
}

impl Actor for PageRegistry {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Context<Self>) {
        ctx.run_interval(LOOK_EVERY, |registry, ctx| registry.step(BookInput::Tick, ctx));
    }
}

impl Handler<Arrive> for PageRegistry {
    type Result = ();

    fn handle(&mut self, Arrive { waiting, session }: Arrive, ctx: &mut Context<Self>) {
        let visit = waiting.visit.clone();
        self.sessions.insert(visit.number, session);
        self.waiting.insert(visit.number, waiting);
        self.step(BookInput::Arrived(visit), ctx);
    }
}

impl Handler<Tell> for PageRegistry {
    type Result = ();

    fn handle(&mut self, Tell(input): Tell, ctx: &mut Context<Self>) {
        self.step(input, ctx);
    }
}

impl Handler<Ask> for PageRegistry {
    type Result = ();

    fn handle(&mut self, Ask(page, reply): Ask, ctx: &mut Context<Self>) {
        self.last_question += 1;
        self.questions.insert(self.last_question, reply);
        self.step(BookInput::Asked(page, self.last_question), ctx);
    }
}

impl Handler<Keep> for PageRegistry {
    type Result = ();

    fn handle(&mut self, Keep(from, pages, reply): Keep, ctx: &mut Context<Self>) {
        match self.keep(from, pages, ctx) {
            Some(()) => reply.send(KEPT),
            None => reply.nothing(),
        }
    }
}

impl Handler<End> for PageRegistry {
    type Result = MessageResult<End>;

    fn handle(&mut self, _: End, ctx: &mut Context<Self>) -> Self::Result {
        self.step(BookInput::End, ctx);
        MessageResult(mem::take(&mut self.left))
    }
}

impl Handler<Claimed> for PageRegistry {
    type Result = ();

    fn handle(&mut self, Claimed(page): Claimed, ctx: &mut Context<Self>) {
        self.check_claim(page, ctx);
    }
}

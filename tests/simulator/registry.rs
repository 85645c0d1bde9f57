//! The pages that a node knows: what the registry of pages does in the product. It asks other nodes for pages that have come
//! here, answers them, and tells them what it has.

use std::{collections::BTreeMap, slice, time::Duration};

use bytes::Bytes;
use gaung::{
    cluster::{FoundPage, Question},
    config::PagesConfig,
    page::{
        Departure, LeftPage, OutstandingReceipts, PageKey, PageVisit,
        book::PageBook,
        messages::{BookInput, BookOutput, Finding, Turn},
        registry::{lookback, rules},
        seeking::{Handover, Search, SearchStep, is_elsewhere},
    },
    protocol::SocketId,
};
use gaung_cluster::{NodeId, core::Input, page::PageHash};

use crate::world::World;

/// How often pages are asked for receipts.
pub const RECEIPTS: Duration = Duration::from_secs(1);

/// Longer than a page is away that comes back as itself.
const DOUBT: Duration = Duration::from_secs(20);

/// How long a node may take to answer for a page, in milliseconds.
const PATIENCE: u64 = 500;

/// The pages of a node.
pub struct Registry {
    pub book: PageBook,
    /// Sockets that wait for their start.
    pub waiting: BTreeMap<u64, PageVisit>,
    /// Receipts that its pages owe.
    pub receipts: OutstandingReceipts,
    searches: Vec<Searching>,
    /// Questions of other nodes for pages, and where their answers go.
    questions: BTreeMap<u64, (NodeId, u64)>,
    last_question: u64,
}

/// A page that is looked for.
struct Searching {
    page: PageKey,
    search: Search,
    next: Next,
}

/// What a search waits for.
#[derive(Clone, Copy)]
enum Next {
    /// Its time to look.
    Look(u64),
    /// The answer to this question, until then.
    Answer(u64, u64),
}

/// How pages are served.
pub fn config() -> PagesConfig {
    PagesConfig {
        receipt_interval: RECEIPTS,
        socket_id_lifetime: Duration::from_secs(20),
        doubt: DOUBT,
        ..PagesConfig::default()
    }
}

impl Registry {
    pub fn new(now: std::time::Instant) -> Self {
        Self {
            book: PageBook::new(rules(&config(), true), now),
            waiting: BTreeMap::new(),
            receipts: OutstandingReceipts::default(),
            searches: Vec::new(),
            questions: BTreeMap::new(),
            last_question: 0,
        }
    }

    /// Whether it looks for no page.
    pub fn is_quiet(&self) -> bool {
        self.searches.is_empty() && self.waiting.is_empty()
    }
}

impl World {
    pub fn tell_book(&mut self, slot: usize, input: BookInput) {
        let (now, mut outputs) = (self.moment().0, Vec::new());
        let bits = self.net.random.bits();
        let Some(node) = self.process_mut(slot) else { return };
        let mut draw = || SocketId::from_bits(bits | 1);
        node.pages.book.step(input, &mut Turn { now, draw: &mut draw, outputs: &mut outputs });
        outputs.into_iter().for_each(|output| self.act_for_book(slot, output));
    }

    fn act_for_book(&mut self, slot: usize, output: BookOutput) {
        let (now, millis) = (self.moment().0, self.net.now);
        let Some(node) = self.process_mut(slot) else { return };
        match output {
            BookOutput::Start(number, start) => {
                let Some(visit) = node.pages.waiting.remove(&number) else { return };
                if let Some(start) = self.begin_session(visit.clone(), start) {
                    let app_id = self.app.id().clone();
                    self.tell_book(slot, BookInput::Departed(Departure::unstarted(app_id, visit, start)));
                }
            }
            BookOutput::Supersede(number) => {
                node.pages.waiting.remove(&number);
                self.tally.superseded += 1;
                self.end_session(number);
            }
            BookOutput::RoomsLeft(number) => self.rooms_left(number),
            BookOutput::Seek(page) => {
                let search = Search::new(node.id, lookback(&config()));
                node.pages.searches.push(Searching { page, search, next: Next::Look(millis) });
            }
            BookOutput::HandOver(question, page) => self.answer_for_page(slot, question, page.encode(now)),
            BookOutput::Decline(question) => self.answer_for_page(slot, question, Bytes::new()),
            BookOutput::Leave(page) => self.leave_page(slot, &page),
            BookOutput::CountEvicted => {}
            BookOutput::Share(page, change) => node.cluster.share_page(page.0, change),
        }
    }

    /// A node that ends leaves a page to one that stays.
    fn leave_page(&mut self, slot: usize, page: &LeftPage) {
        let now = self.moment().0;
        let Some(node) = self.process_mut(slot) else { return };
        let (stay, number): (Vec<NodeId>, u64) = (node.core.nodes_that_stay().collect(), node.number());
        if stay.is_empty() {
            return;
        }
        let to = stay[self.net.random.below(stay.len() as u64) as usize];
        for part in LeftPage::parts(slice::from_ref(page), now) {
            self.step(slot, Input::Ask { to, number, question: Question::LeftPages(part.bytes).encode() });
        }
    }

    /// Another node ends, and leaves pages here.
    pub fn keep_pages(&mut self, slot: usize, pages: Bytes, from: NodeId) {
        let pages = LeftPage::read(pages, self.moment().0).expect("a node has written it");
        for page in pages {
            let key = page.key;
            self.sockets += 1;
            let number = self.sockets;
            self.tell_book(slot, BookInput::Left(number, page));
            let Some(node) = self.process(slot) else { return };
            if node.pages.book.visit_of(key).is_none_or(|visit| visit.number != number) {
                continue;
            }
            let (id, mut pages) = (node.id, self.clients.iter_mut().filter_map(|client| client.page.as_mut()));
            if let Some(page) = pages.find(|page| page.key == key && page.home == Some(from)) {
                page.home = Some(id);
                self.tally.left += 1;
            }
        }
    }

    /// Another node asks for a page.
    pub fn be_asked_for_page(&mut self, slot: usize, page: PageHash, (from, number): (NodeId, u64)) {
        let Some(node) = self.process_mut(slot) else { return };
        node.pages.last_question += 1;
        let question = node.pages.last_question;
        node.pages.questions.insert(question, (from, number));
        self.tell_book(slot, BookInput::Asked(PageKey(page), question));
    }

    fn answer_for_page(&mut self, slot: usize, question: u64, answer: Bytes) {
        let Some(node) = self.process_mut(slot) else { return };
        if let Some((to, number)) = node.pages.questions.remove(&question) {
            node.cluster.link().send(Input::Answer { to, number, answer });
        }
    }

    /// Another node claims a page since later than this one.
    pub fn be_claimed(&mut self, slot: usize, page: PageHash) {
        let visit = self.process(slot).and_then(|node| node.pages.book.visit_of(PageKey(page)));
        let (Some(visit), Some(found)) = (visit, self.find_page(slot, page)) else { return };
        if self.process(slot).is_some_and(|node| is_elsewhere(found, node.id)) {
            self.tally.taken += 1;
            self.tell_book(slot, BookInput::Taken(visit));
        }
    }

    /// The bus is asked behind all that it was told before.
    fn find_page(&mut self, slot: usize, page: PageHash) -> Option<FoundPage> {
        while let Some(input) = self.process_mut(slot).and_then(|node| node.bus.next_input()) {
            self.take_input(slot, input);
        }
        Some(FoundPage::of(&self.process(slot)?.core, page))
    }

    /// A millisecond of a node's searches.
    pub fn live_searches(&mut self, slot: usize) {
        let now = self.net.now;
        while let Some(node) = self.process_mut(slot)
            && let Some(due) = node.pages.searches.iter().position(|searching| searching.is_due(now))
        {
            let searching = node.pages.searches.swap_remove(due);
            match searching.next {
                Next::Look(_) => self.look_for_page(slot, searching),
                Next::Answer(..) => self.hear_of_page(slot, searching, None),
            }
        }
    }

    fn look_for_page(&mut self, slot: usize, mut searching: Searching) {
        let now = self.moment().0;
        let found = self.find_page(slot, searching.page.0);
        let step = searching.search.look(found, now);
        self.continue_search(slot, searching, step);
    }

    /// A node has answered; whether that was asked for a page.
    pub fn be_answered_for_page(&mut self, slot: usize, number: u64, answer: &Bytes) -> bool {
        let Some(node) = self.process_mut(slot) else { return false };
        let is_it = |searching: &Searching| matches!(searching.next, Next::Answer(asked, _) if asked == number);
        let Some(index) = node.pages.searches.iter().position(is_it) else { return false };
        let searching = node.pages.searches.swap_remove(index);
        self.hear_of_page(slot, searching, (!answer.is_empty()).then(|| answer.clone()));
        true
    }

    fn hear_of_page(&mut self, slot: usize, searching: Searching, answer: Option<Bytes>) {
        let step = searching.search.hear(answer, self.moment().0);
        self.continue_search(slot, searching, step);
    }

    fn continue_search(&mut self, slot: usize, mut searching: Searching, step: SearchStep) {
        let now = self.net.now;
        let Some(node) = self.process_mut(slot) else { return };
        match step {
            SearchStep::Look(pause) => {
                let pause = u64::try_from(pause.as_millis()).expect("it is short");
                searching.next = Next::Look(now + pause);
                node.pages.searches.push(searching);
            }
            SearchStep::Ask(to) => {
                let number = node.number();
                searching.next = Next::Answer(number, now + PATIENCE);
                let question = Question::Page(searching.page.0).encode();
                node.cluster.link().send(Input::Ask { to, number, question });
                node.pages.searches.push(searching);
            }
            SearchStep::End(finding, handover) => self.end_search(slot, searching.page, finding, handover),
        }
    }

    fn end_search(&mut self, slot: usize, page: PageKey, finding: Finding, handover: Option<Handover>) {
        match handover {
            Some(Handover::HandedOver(node)) => {
                self.tally.handed += 1;
                self.handed_by = Some(node);
            }
            Some(Handover::Unanswered) => self.tally.unanswered += 1,
            Some(Handover::Lost) => self.tally.lost += 1,
            None => {}
        }
        self.tell_book(slot, BookInput::Found(page, finding));
    }
}

impl Searching {
    fn is_due(&self, now: u64) -> bool {
        match self.next {
            Next::Look(at) | Next::Answer(_, at) => at <= now,
        }
    }
}

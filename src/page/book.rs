//! What becomes of pages on one node: who is here, who is away, and what those who come back are given; with the other nodes of
//! a cluster in `moving`. Pure.
//!
//! Invariants: a page has one socket at a time. It is given its old socket id only when its old session has given back its
//! rooms, so no room has two sockets of one id. What nobody knows is said: a channel of which no position is known is
//! [`Since::Unknown`], never forgotten.

mod ages;
mod moving;

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    mem,
    sync::Arc,
    time::{Duration, Instant},
};

use ages::Ages;
use gaung_cluster::page::PageChange;

use super::{
    handed::HandedPage,
    key::{PageKey, PageVisit},
    left::LeftPage,
    messages::{BookInput, BookOutput, Departure, Heard, PageStart, Turn},
    positions::Positions,
};
use crate::protocol::{ChannelName, Since, SocketId};

/// How long a page waits at most for what its old session and its rooms say; less than another node waits for the answer.
const PATIENCE: Duration = Duration::from_millis(350);

/// For how long a page is known at least after it went, without its positions.
const REMEMBERED: Duration = Duration::from_secs(24 * 3_600);

/// What a node keeps of pages at most, and how it judges.
#[derive(Debug, Clone, Copy)]
pub struct Rules {
    /// For how long one socket id is handed back.
    pub id_lifetime: Duration,
    /// For so long after its start a node tells pages that it does not know that they may have missed something.
    pub doubt: Duration,
    /// Pages that are away whose positions are kept; beyond it the oldest of the app with the most lose them, and are told
    /// so.
    pub max_away: usize,
    /// Positions that they may have together; beyond it the same lose theirs.
    pub max_positions: usize,
    /// Pages that are away and known at all; beyond it the oldest of the app with the most are as new.
    pub max_known: usize,
    /// What it has to do with the other nodes, if there are any.
    pub cluster: Option<ClusterRules>,
}

/// What a node in a cluster tells the others.
#[derive(Debug, Clone, Copy)]
pub struct ClusterRules {
    /// After so long a page that is away counts as one of which nobody could tell what it has heard.
    pub owes_after: Duration,
}

/// The pages of a node, or of a part of it.
#[derive(Debug)]
pub struct PageBook {
    rules: Rules,
    started: Instant,
    /// A tree: a table that doubles would take twice the memory for a while, and much time at once.
    pages: BTreeMap<PageKey, Page>,
    /// Who waits for a page that is known; the newest alone.
    newcomers: HashMap<PageKey, Newcomer>,
    /// Pages that other nodes are asked for, and the socket that waits.
    sought: HashMap<PageKey, u64>,
    /// Newcomers that wait for their start, and since when.
    waiting: VecDeque<(Instant, PageKey, Newcomer)>,
    /// Pages that went lately, in this order.
    departed: VecDeque<(Instant, PageVisit)>,
    /// Pages that were handed over lately, in this order.
    handed: VecDeque<(Instant, PageKey)>,
    with_positions: Ages,
    /// Pages that are away, by when they are forgotten.
    known: Ages,
}

#[derive(Debug)]
struct Page {
    visit: u64,
    socket: SocketId,
    given: Instant,
    stage: Stage,
}

/// Who waits for a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Newcomer {
    /// A socket of this node.
    Socket(u64),
    /// Another node, by the number of its question.
    Node(u64),
}

#[derive(Debug)]
enum Stage {
    /// Its session lives. Most pages are here, and cost no more than they need for that.
    Here,
    /// Its session is over, and some rooms have not said yet how far it has heard them.
    Parting(Box<Away>),
    /// All that can be known of it is known.
    Away(Box<Away>),
}

#[derive(Debug, Default)]
struct Away {
    app: Arc<str>,
    /// Who was signed in.
    user: Option<String>,
    /// The rooms that have not said yet how far it has heard them.
    missing: Vec<ChannelName>,
    positions: Positions,
    /// Positions up to which it was written to, to be used once it has proven them.
    written: HashMap<ChannelName, Since>,
    gives_up_id: bool,
    window: Duration,
    /// Until when the positions are kept, and until when the page is known.
    ends: Option<(Instant, Instant)>,
}

impl PageBook {
    /// No pages.
    pub fn new(rules: Rules, started: Instant) -> Self {
        let (with_positions, known) = (Ages::default(), Ages::default());
        let (pages, newcomers, sought) = (BTreeMap::new(), HashMap::new(), HashMap::new());
        let (waiting, departed, handed) = (VecDeque::new(), VecDeque::new(), VecDeque::new());
        Self { rules, started, pages, newcomers, sought, waiting, departed, handed, with_positions, known }
    }

    /// Takes an input; adds what is to be done, in order.
    pub fn step(&mut self, input: BookInput, turn: &mut Turn<'_>) {
        match input {
            BookInput::Arrived(visit) => self.arrive(visit, turn),
            BookInput::Departed(departure) => self.depart(departure, turn),
            BookInput::Parted(visit, channel, heard) => self.part(&visit, channel, heard, turn),
            BookInput::Proven(visit) => self.prove(&visit),
            BookInput::Stands(visit, standing) => self.restand(&visit, standing, turn),
            BookInput::Found(key, finding) => self.find(key, finding, turn),
            BookInput::Asked(key, question) => self.be_asked(key, question, turn),
            BookInput::Taken(visit) => self.lose(&visit, turn),
            BookInput::End => self.leave_all(turn),
            BookInput::Left(visit, page) => self.keep(visit, page, turn),
            BookInput::Tick => self.tick(turn),
        }
    }

    /// How many pages have a socket, how many are away with positions, and how many are only known.
    pub fn counts(&self) -> [usize; 3] {
        let (away, known) = (self.with_positions.len(), self.known.len());
        [self.pages.len().saturating_sub(known), away, known.saturating_sub(away)]
    }

    fn arrive(&mut self, visit: PageVisit, turn: &mut Turn<'_>) {
        let PageVisit { page: key, number } = visit;
        if self.pages.contains_key(&key) {
            return self.succeed(key, Newcomer::Socket(number), turn);
        }
        if self.rules.cluster.is_some() {
            return self.seek(key, number, turn);
        }
        self.welcome(key, number, turn.now.saturating_duration_since(self.started), turn);
    }

    /// Somebody comes for a page that is known: its session ends first.
    fn succeed(&mut self, key: PageKey, newcomer: Newcomer, turn: &mut Turn<'_>) {
        let Some(page) = self.pages.get(&key) else { return };
        let is_here = matches!(page.stage, Stage::Here);
        match self.newcomers.insert(key, newcomer) {
            Some(older) => turn.outputs.push(older.rejection()),
            None if is_here => turn.outputs.push(BookOutput::Supersede(page.visit)),
            None => {}
        }
        if matches!(page.stage, Stage::Away(_)) {
            return self.admit(&key, turn);
        }
        self.waiting.push_back((turn.now, key, newcomer));
    }

    /// A page that is not known: a new one, or one that is older than those who could know it.
    fn welcome(&mut self, key: PageKey, number: u64, known_for: Duration, turn: &mut Turn<'_>) {
        let (socket, is_doubtful) = ((turn.draw)(), known_for < self.rules.doubt);
        let positions = if is_doubtful { Positions::unknown() } else { Positions::default() };
        let start = PageStart { is_new: true, socket, given: turn.now, was: None, user: None, positions };
        self.start(key, number, start, turn);
    }

    /// A socket of a page that was not here begins.
    fn start(&mut self, key: PageKey, visit: u64, start: PageStart, turn: &mut Turn<'_>) {
        let PageStart { socket, given, .. } = start;
        self.pages.insert(key, Page { visit, socket, given, stage: Stage::Here });
        self.share_start(key, &start.positions, turn);
        turn.outputs.push(BookOutput::Start(visit, start));
    }

    fn depart(&mut self, departure: Departure, turn: &mut Turn<'_>) {
        let Departure { app, visit: PageVisit { page: key, number }, channels, before, user, gives_up_id, window } =
            departure;
        let is_current = |page: &&mut Page| page.visit == number && matches!(page.stage, Stage::Here);
        let Some(page) = self.pages.get_mut(&key).filter(is_current) else {
            // It did not end in time for a newer one, which has begun without it.
            return turn.outputs.push(BookOutput::RoomsLeft(number));
        };
        let (missing, positions) = (channels, before.unclaimed());
        let away = Away { app, user, missing, positions, gives_up_id, window, ..Away::default() };
        page.stage = Stage::Parting(Box::new(away));
        self.settle(&key, turn);
    }

    fn part(&mut self, visit: &PageVisit, channel: ChannelName, heard: Option<Heard>, turn: &mut Turn<'_>) {
        let Some(page) = self.pages.get_mut(&visit.page).filter(|page| page.visit == visit.number) else { return };
        let Stage::Parting(away) = &mut page.stage else { return };
        away.missing.retain(|waited_for| *waited_for != channel);
        if let Some(Heard { proven, written }) = heard {
            away.positions.channels.insert(channel.clone(), proven);
            away.written.insert(channel, written);
        }
        self.settle(&visit.page, turn);
    }

    fn prove(&mut self, visit: &PageVisit) {
        let page = self.pages.get_mut(&visit.page).filter(|page| page.visit == visit.number);
        if let Some(Stage::Away(away)) = page.map(|page| &mut page.stage) {
            away.positions.channels.extend(away.written.drain());
        }
    }

    /// Once all rooms have spoken the page is away, unless it is back already.
    fn settle(&mut self, key: &PageKey, turn: &mut Turn<'_>) {
        let Some(page) = self.pages.get_mut(key) else { return };
        let Stage::Parting(away) = &mut page.stage else { return };
        if !away.missing.is_empty() {
            return;
        }
        turn.outputs.push(BookOutput::RoomsLeft(page.visit));
        page.stage = Stage::Away(mem::take(away));
        self.leave_behind(key, turn);
        self.admit(key, turn);
    }

    /// Notes until when a page that went is known.
    fn leave_behind(&mut self, key: &PageKey, turn: &mut Turn<'_>) {
        let now = turn.now;
        let Some(Page { visit, stage: Stage::Away(away), .. }) = self.pages.get_mut(key) else { return };
        away.ends = Some((now + away.window, now + away.window.max(REMEMBERED)));
        self.departed.push_back((now, PageVisit { page: *key, number: *visit }));
        self.list(key, turn);
    }

    /// Something of a page that is away ends some time; others go if there are too many.
    fn list(&mut self, key: &PageKey, turn: &mut Turn<'_>) {
        let Some(Page { visit, stage: Stage::Away(away), .. }) = self.pages.get(key) else { return };
        let Some((positions_end, known_end)) = away.ends else { return };
        self.with_positions.insert((positions_end, *visit), *key, away.positions.len(), &away.app);
        self.known.insert((known_end, *visit), *key, 0, &away.app);
        while (self.with_positions.len() > self.rules.max_away
            || self.with_positions.positions() > self.rules.max_positions)
            && let Some(key) = self.with_positions.pop_excess()
        {
            self.drop_positions(&key);
            turn.outputs.push(BookOutput::CountEvicted);
        }
        while self.known.len() > self.rules.max_known
            && let Some(key) = self.known.pop_excess()
        {
            self.forget(&key, turn);
            turn.outputs.push(BookOutput::CountEvicted);
        }
    }

    /// Who waits for a page that is away is given it.
    fn admit(&mut self, key: &PageKey, turn: &mut Turn<'_>) {
        let Some(page) = self.pages.get_mut(key) else { return };
        let Stage::Away(away) = &mut page.stage else { return };
        let Some(newcomer) = self.newcomers.remove(key) else { return };
        let (visit, away) = (page.visit, mem::take(&mut **away));
        self.unlist(visit, &away);
        match newcomer {
            Newcomer::Socket(number) => self.give_back(key, number, away, turn),
            Newcomer::Node(question) => self.hand_over(key, question, away, turn),
        }
    }

    fn give_back(&mut self, key: &PageKey, number: u64, away: Away, turn: &mut Turn<'_>) {
        let Some(page) = self.pages.get_mut(key) else { return };
        let Away { user, positions, gives_up_id, .. } = away;
        let keeps_id = !gives_up_id && turn.now.saturating_duration_since(page.given) < self.rules.id_lifetime;
        let was = page.renew((!keeps_id).then(&mut *turn.draw), turn.now);
        let (socket, given) = (page.socket, page.given);
        page.begin(number);
        self.share_start(*key, &positions, turn);
        turn.outputs.push(BookOutput::Start(number, PageStart { is_new: false, socket, given, was, user, positions }));
    }

    fn tick(&mut self, turn: &mut Turn<'_>) {
        while let Some(key) = self.with_positions.pop_ended(turn.now) {
            self.drop_positions(&key);
        }
        while let Some(key) = self.known.pop_ended(turn.now) {
            self.forget(&key, turn);
        }
        self.note_owing(turn);
        self.withdraw_handed(turn);
        while let Some((since, ..)) = self.waiting.front()
            && turn.now.saturating_duration_since(*since) >= PATIENCE
            && let Some((_, key, newcomer)) = self.waiting.pop_front()
        {
            self.give_up_waiting(&key, newcomer, turn);
        }
    }

    /// What was not said in time is unknown. Only a session that does not end keeps its socket id.
    fn give_up_waiting(&mut self, key: &PageKey, newcomer: Newcomer, turn: &mut Turn<'_>) {
        let Some(page) = self.pages.get_mut(key).filter(|_| self.newcomers.get(key) == Some(&newcomer)) else { return };
        match &mut page.stage {
            Stage::Parting(away) => {
                for channel in mem::take(&mut away.missing) {
                    away.positions.channels.entry(channel).or_insert(Since::Unknown);
                }
                self.settle(key, turn);
            }
            Stage::Here => {
                let positions = Positions::unknown();
                page.stage = Stage::Away(Box::new(Away { positions, gives_up_id: true, ..Away::default() }));
                self.admit(key, turn);
            }
            Stage::Away(_) => {}
        }
    }

    /// From now on it is known that the page was here, and not how far it heard its channels.
    fn drop_positions(&mut self, key: &PageKey) {
        if let Some(Stage::Away(away)) = self.pages.get_mut(key).map(|page| &mut page.stage) {
            away.positions = Positions::unknown();
            away.written = HashMap::new();
        }
    }

    fn forget(&mut self, key: &PageKey, turn: &mut Turn<'_>) {
        if let Some(Page { visit, stage: Stage::Away(away), .. }) = self.pages.remove(key) {
            self.unlist(visit, &away);
            self.share(*key, PageChange::Gone, turn);
        }
    }

    /// Nothing of a page ends any more that was away since this visit.
    fn unlist(&mut self, visit: u64, away: &Away) {
        if let Some((positions_end, known_end)) = away.ends {
            self.with_positions.remove((positions_end, visit));
            self.known.remove((known_end, visit));
        }
    }
}

impl Page {
    /// Gives the page another socket id, if there is one for it. Returns the one that it had.
    fn renew(&mut self, socket: Option<SocketId>, now: Instant) -> Option<SocketId> {
        let socket = socket?;
        self.given = now;
        Some(mem::replace(&mut self.socket, socket))
    }

    fn begin(&mut self, visit: u64) {
        self.visit = visit;
        self.stage = Stage::Here;
    }
}

#[cfg(test)]
mod tests;

//! What becomes of pages on one node: who is here, who is away, and what those who come back are given. Pure.
//!
//! Invariants: a page has one socket at a time. It is given its old socket id only when its old session has given back its
//! rooms, so no room has two sockets of one id. What nobody knows is said: a channel of which no position is known is
//! [`Since::Unknown`], never forgotten.

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    mem,
    time::{Duration, Instant},
};

use super::{
    key::{PageKey, PageVisit},
    positions::Positions,
};
use crate::protocol::{ChannelName, Since, SocketId};

/// How long a page waits at most for what its old session and its rooms say.
const PATIENCE: Duration = Duration::from_millis(500);

/// For how long a page is known at least after it went, without its positions.
const REMEMBERED: Duration = Duration::from_secs(24 * 3_600);

/// For how long channels keep events at most.
const MAX_WINDOW: Duration = Duration::from_secs(600);

/// What a node keeps of pages at most, and how it judges.
#[derive(Debug, Clone, Copy)]
pub struct Rules {
    /// For how long one socket id is handed back.
    pub id_lifetime: Duration,
    /// For so long after its start a node tells pages that it does not know that they may have missed something.
    pub doubt: Duration,
    /// Pages that are away whose positions are kept; beyond it the oldest lose them, and are told so.
    pub max_away: usize,
    /// Pages that are away and known at all; beyond it the oldest are as new.
    pub max_known: usize,
}

/// The pages of a node, or of a part of it.
#[derive(Debug)]
pub struct PageBook {
    rules: Rules,
    started: Instant,
    pages: HashMap<PageKey, Page>,
    /// Newcomers that wait for their start, and since when.
    waiting: VecDeque<(Instant, PageVisit)>,
    /// Pages that are away and have positions, by when these are too old.
    with_positions: BTreeMap<(Instant, u64), PageKey>,
    /// Pages that are away, by when they are forgotten.
    known: BTreeMap<(Instant, u64), PageKey>,
}

/// What happens to pages.
#[derive(Debug)]
pub enum BookInput {
    /// A socket of a page has come, and waits for its start.
    Arrived(PageVisit),
    /// A session of a page is over.
    Departed(Departure),
    /// A room has let the page go.
    Parted(PageVisit, ChannelName, Option<Heard>),
    /// The page has heard everything that it was written before its rooms let it go.
    Proven(PageVisit),
    /// Time passed.
    Tick,
}

/// What is to be done about them.
#[derive(Debug, PartialEq, Eq)]
pub enum BookOutput {
    /// The socket begins with this.
    Start(u64, PageStart),
    /// A newer socket of the page has come: end this one, whether it has begun or not.
    Supersede(u64),
    /// All rooms of this session have let it go.
    RoomsLeft(u64),
}

/// With what a session of a page begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PageStart {
    /// Whether the node did not know the page.
    pub is_new: bool,
    /// Its socket id.
    pub socket: SocketId,
    /// Since when the page has it.
    pub given: Instant,
    /// The socket id that the page had before, if that was another one.
    pub was: Option<SocketId>,
    /// Who was signed in on it.
    pub user: Option<String>,
    /// How far it has heard its channels.
    pub positions: Positions,
}

/// A session of a page is over, or about to be: its rooms are told to let it go.
#[derive(Debug)]
pub struct Departure {
    /// Which.
    pub visit: PageVisit,
    /// The channels whose rooms report how far it has heard them.
    pub channels: Vec<ChannelName>,
    /// How far it had heard its channels before, where its rooms do not say more.
    pub before: Positions,
    /// Who was signed in.
    pub user: Option<String>,
    /// Whether its socket id must not come back, because a right was taken away.
    pub gives_up_id: bool,
    /// For how long its channels keep events at most.
    pub window: Duration,
}

/// How far a page has heard a room that let it go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Heard {
    /// As far as its last receipt proves.
    pub proven: Since,
    /// As far as it was written to.
    pub written: Since,
}

/// What a step may use.
pub struct Turn<'a> {
    /// When it happens.
    pub now: Instant,
    /// Draws a socket id.
    pub draw: &'a mut dyn FnMut() -> SocketId,
    /// Gets what is to be done.
    pub outputs: &'a mut Vec<BookOutput>,
}

#[derive(Debug)]
struct Page {
    visit: u64,
    socket: SocketId,
    given: Instant,
    user: Option<String>,
    stage: Stage,
    /// A newer socket that waits for its start.
    newcomer: Option<u64>,
}

#[derive(Debug)]
enum Stage {
    /// Its session lives.
    Here,
    /// Its session is over; so many rooms have not said yet how far it has heard them.
    Parting { away: Away, missing: Vec<ChannelName> },
    /// All that can be known of it is known.
    Away(Away),
}

#[derive(Debug, Default)]
struct Away {
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
        let (with_positions, known) = (BTreeMap::new(), BTreeMap::new());
        Self { rules, started, pages: HashMap::new(), waiting: VecDeque::new(), with_positions, known }
    }

    /// Takes an input; adds what is to be done, in order.
    pub fn step(&mut self, input: BookInput, turn: &mut Turn<'_>) {
        match input {
            BookInput::Arrived(visit) => self.arrive(visit, turn),
            BookInput::Departed(departure) => self.depart(departure, turn),
            BookInput::Parted(visit, channel, heard) => self.part(&visit, channel, heard, turn),
            BookInput::Proven(visit) => self.prove(&visit),
            BookInput::Tick => self.tick(turn),
        }
    }

    /// How many pages have a socket, how many are away with positions, and how many are only known.
    pub fn counts(&self) -> [usize; 3] {
        let (away, known) = (self.with_positions.len(), self.known.len());
        [self.pages.len().saturating_sub(known), away, known.saturating_sub(away)]
    }

    fn arrive(&mut self, visit: PageVisit, turn: &mut Turn<'_>) {
        let (key, number) = (visit.page.clone(), visit.number);
        let Some(page) = self.pages.get_mut(&key) else { return self.welcome(key, number, turn) };
        let is_here = matches!(page.stage, Stage::Here);
        match page.newcomer.replace(number) {
            Some(older) => turn.outputs.push(BookOutput::Supersede(older)),
            None if is_here => turn.outputs.push(BookOutput::Supersede(page.visit)),
            None => {}
        }
        if matches!(page.stage, Stage::Away(_)) {
            return self.admit(&key, turn);
        }
        self.waiting.push_back((turn.now, visit));
    }

    /// A page that is not known: a new one, or one that is older than this node.
    fn welcome(&mut self, key: PageKey, number: u64, turn: &mut Turn<'_>) {
        let (socket, has_unknown) =
            ((turn.draw)(), turn.now.saturating_duration_since(self.started) < self.rules.doubt);
        let positions = Positions { has_unknown, ..Positions::default() };
        turn.outputs.push(BookOutput::Start(
            number,
            PageStart { is_new: true, socket, given: turn.now, was: None, user: None, positions },
        ));
        let page = Page { visit: number, socket, given: turn.now, user: None, stage: Stage::Here, newcomer: None };
        self.pages.insert(key, page);
    }

    fn depart(&mut self, departure: Departure, turn: &mut Turn<'_>) {
        let Departure { visit: PageVisit { page: key, number }, channels, before, user, gives_up_id, window } =
            departure;
        let is_current = |page: &&mut Page| page.visit == number && matches!(page.stage, Stage::Here);
        let Some(page) = self.pages.get_mut(&key).filter(is_current) else {
            // It did not end in time for a newer one, which has begun without it.
            return turn.outputs.push(BookOutput::RoomsLeft(number));
        };
        page.user = user;
        let away = Away { positions: before.unclaimed(), gives_up_id, window, ..Away::default() };
        page.stage = Stage::Parting { away, missing: channels };
        self.settle(&key, turn);
    }

    fn part(&mut self, visit: &PageVisit, channel: ChannelName, heard: Option<Heard>, turn: &mut Turn<'_>) {
        let Some(page) = self.pages.get_mut(&visit.page).filter(|page| page.visit == visit.number) else { return };
        let Stage::Parting { away, missing } = &mut page.stage else { return };
        missing.retain(|waited_for| *waited_for != channel);
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
        let Stage::Parting { away, missing } = &mut page.stage else { return };
        if !missing.is_empty() {
            return;
        }
        turn.outputs.push(BookOutput::RoomsLeft(page.visit));
        page.stage = Stage::Away(mem::take(away));
        self.leave_behind(key, turn.now);
        self.admit(key, turn);
    }

    /// Notes until when a page that went is known, and makes room for it.
    fn leave_behind(&mut self, key: &PageKey, now: Instant) {
        let Some(Page { visit, stage: Stage::Away(away), .. }) = self.pages.get_mut(key) else { return };
        let ends = (now + away.window, now + away.window.max(REMEMBERED));
        away.ends = Some(ends);
        self.with_positions.insert((ends.0, *visit), key.clone());
        self.known.insert((ends.1, *visit), key.clone());
        while self.with_positions.len() > self.rules.max_away {
            self.drop_oldest_positions();
        }
        while self.known.len() > self.rules.max_known {
            self.forget_oldest();
        }
    }

    /// The newcomer of a page that is away begins.
    fn admit(&mut self, key: &PageKey, turn: &mut Turn<'_>) {
        let Some(page) = self.pages.get_mut(key) else { return };
        let (Some(number), Stage::Away(away)) = (page.newcomer, &mut page.stage) else { return };
        let away = mem::take(away);
        if let Some((positions_end, known_end)) = away.ends {
            self.with_positions.remove(&(positions_end, page.visit));
            self.known.remove(&(known_end, page.visit));
        }
        let keeps_id = !away.gives_up_id && turn.now.saturating_duration_since(page.given) < self.rules.id_lifetime;
        let was = page.renew((!keeps_id).then(&mut *turn.draw), turn.now);
        let (socket, given, user) = (page.socket, page.given, page.user.take());
        turn.outputs.push(BookOutput::Start(
            number,
            PageStart { is_new: false, socket, given, was, user, positions: away.positions },
        ));
        page.begin(number);
    }

    fn tick(&mut self, turn: &mut Turn<'_>) {
        while self.with_positions.first_key_value().is_some_and(|((end, _), _)| *end <= turn.now) {
            self.drop_oldest_positions();
        }
        while self.known.first_key_value().is_some_and(|((end, _), _)| *end <= turn.now) {
            self.forget_oldest();
        }
        while let Some((since, _)) = self.waiting.front()
            && turn.now.saturating_duration_since(*since) >= PATIENCE
            && let Some((_, visit)) = self.waiting.pop_front()
        {
            self.give_up_waiting(&visit, turn);
        }
    }

    /// What was not said in time is unknown. Only a session that does not end keeps its socket id.
    fn give_up_waiting(&mut self, PageVisit { page: key, number }: &PageVisit, turn: &mut Turn<'_>) {
        let Some(page) = self.pages.get_mut(key).filter(|page| page.newcomer == Some(*number)) else { return };
        match &mut page.stage {
            Stage::Parting { away, missing } => {
                for channel in missing.drain(..) {
                    away.positions.channels.entry(channel).or_insert(Since::Unknown);
                }
                self.settle(key, turn);
            }
            Stage::Here => {
                let positions = Positions::unknown();
                page.stage = Stage::Away(Away { positions, gives_up_id: true, ..Away::default() });
                self.admit(key, turn);
            }
            Stage::Away(_) => {}
        }
    }

    /// From now on it is known that the page was here, and not how far it heard its channels.
    fn drop_oldest_positions(&mut self) {
        let Some((_, key)) = self.with_positions.pop_first() else { return };
        if let Some(Stage::Away(away)) = self.pages.get_mut(&key).map(|page| &mut page.stage) {
            away.positions = Positions::unknown();
            away.written = HashMap::new();
        }
    }

    fn forget_oldest(&mut self) {
        let Some(((_, number), key)) = self.known.pop_first() else { return };
        if let Some(Page { stage: Stage::Away(Away { ends: Some((positions_end, _)), .. }), .. }) =
            self.pages.remove(&key)
        {
            self.with_positions.remove(&(positions_end, number));
        }
    }
}

impl PageStart {
    /// What was known of the page, as metrics show it.
    pub fn outcome(&self) -> &'static str {
        match self {
            Self { positions: Positions { has_unknown: true, .. }, .. } => "unknown",
            Self { is_new: true, .. } => "new",
            Self { .. } => "resumed",
        }
    }
}

impl Departure {
    /// A session that ended before it began: the page has what it had.
    pub fn unstarted(visit: PageVisit, PageStart { user, positions, .. }: PageStart) -> Self {
        Self { visit, channels: Vec::new(), before: positions, user, gives_up_id: false, window: MAX_WINDOW }
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
        self.newcomer = None;
        self.stage = Stage::Here;
    }
}

#[cfg(test)]
mod tests;

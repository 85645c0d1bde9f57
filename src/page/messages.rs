//! What a [`PageBook`](super::book::PageBook) is told of pages, and what it wants done about them. Pure.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use gaung_cluster::page::{PageChange, Standing};

use super::{
    handed::HandedPage,
    key::{PageKey, PageVisit},
    left::LeftPage,
    positions::Positions,
};
use crate::protocol::{ChannelName, Since, SocketId};

/// For how long channels keep events at most.
pub(super) const MAX_WINDOW: Duration = Duration::from_secs(600);

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
    /// The page owes a receipt, or does so no longer.
    Stands(PageVisit, Standing),
    /// What the other nodes know of a page that was sought.
    Found(PageKey, Finding),
    /// A socket of the page has come to another node, which asks this under a number.
    Asked(PageKey, u64),
    /// Another node has the page since later than the visit that this node knows.
    Taken(PageVisit),
    /// This node ends.
    End,
    /// Another node that ends has left a page to this one, which calls it by this visit.
    Left(u64, LeftPage),
    /// Time passed.
    Tick,
}

/// What the other nodes know of a page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Finding {
    /// Nothing, and those who know nothing have been there for so long.
    Nothing { known_for: Duration },
    /// Its node has handed it over.
    Handed(HandedPage),
    /// Its node is gone, or does not answer: it has heard all its channels up to this.
    Lost(Since),
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
    /// Ask the other nodes for the page, and answer with [`BookInput::Found`].
    Seek(PageKey),
    /// Answer the question of another node; the page is its from now on.
    HandOver(u64, HandedPage),
    /// Answer the question of another node: nothing is known.
    Decline(u64),
    /// Tell the other nodes.
    Share(PageKey, PageChange),
    /// The page is to be another node's from now on, because this one ends.
    Leave(LeftPage),
    /// Count a page that lost what it had, or is known no more, before its time.
    CountEvicted,
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
    /// Whose.
    pub app: Arc<str>,
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

impl PageStart {
    /// What was known of the page, as metrics show it.
    pub fn outcome(&self) -> &'static str {
        match self {
            Self { positions: Positions { others: Some(Since::Unknown), .. }, .. } => "unknown",
            Self { is_new: true, .. } => "new",
            Self { .. } => "resumed",
        }
    }
}

impl Departure {
    /// A session that ended before it began: the page has what it had.
    pub fn unstarted(app: Arc<str>, visit: PageVisit, PageStart { user, positions, .. }: PageStart) -> Self {
        Self { app, visit, channels: Vec::new(), before: positions, user, gives_up_id: false, window: MAX_WINDOW }
    }
}

//! The sessions of pages, on their nodes; each may be there for longer than the page's socket. What the session's actor does
//! in the product: asks for receipts, and gives back its rooms.

use std::{
    collections::{BTreeSet, VecDeque},
    sync::Arc,
    time::Duration,
};

use gaung::{
    outbox::Outbox,
    page::{Heard, PageStart, PageVisit, messages::BookInput},
    protocol::{ChannelName, SocketId, outbound},
    room::{Parting, RoomMessage},
    session::page_session::{LAST_RECEIPT, LAST_ROOMS, PageEnd, PageSession},
};
use gaung_cluster::{NodeId, page::Standing};

use crate::{registry::RECEIPTS, world::World};

/// For how long a page that was cut off stays a member.
const GRACE: Duration = Duration::from_secs(3);

/// How long channels keep events.
const WINDOW: Duration = Duration::from_secs(10);

/// The session of a page on a node.
pub struct Session {
    pub client: usize,
    pub slot: usize,
    pub node: NodeId,
    pub visit: PageVisit,
    pub outbox: Arc<Outbox>,
    pub socket: Option<SocketId>,
    pub channels: BTreeSet<ChannelName>,
    /// How often it was written to.
    pub sends: u64,
    /// When its node notices that its socket is gone.
    pub lost_at: u64,
    /// Once it has begun.
    pub page: Option<PageSession>,
    /// Receipts on their way to it.
    pub receipts: VecDeque<u64>,
    /// When it looks again whether a receipt is owed or due.
    looks_at: u64,
    /// When it is closed that was sent away.
    closes_at: u64,
    /// Whether it has only to say whether it has heard everything.
    is_sent_away: bool,
}

impl Session {
    pub fn new(client: usize, (slot, node): (usize, NodeId), visit: PageVisit) -> Self {
        Self {
            client,
            slot,
            node,
            visit,
            outbox: Outbox::new(usize::MAX),
            socket: None,
            channels: BTreeSet::new(),
            sends: 0,
            lost_at: u64::MAX,
            page: None,
            receipts: VecDeque::new(),
            looks_at: u64::MAX,
            closes_at: u64::MAX,
            is_sent_away: false,
        }
    }

    /// Whether it hears what its client says.
    pub fn hears(&self) -> bool {
        self.page.as_ref().is_some_and(|page| !page.has_departed())
    }
}

impl World {
    /// A socket begins; gives the start back if it is gone.
    pub fn begin_session(&mut self, visit: PageVisit, start: PageStart) -> Option<PageStart> {
        let now = self.moment().0;
        let number = visit.number;
        let Some(session) = self.sessions.get_mut(&number) else { return Some(start) };
        let channels: BTreeSet<ChannelName> = start.positions.channels.keys().cloned().collect();
        // Of a page whose node says nothing only a moment is known, or nothing.
        let known = (!channels.is_empty() || start.positions.others.is_none()).then_some(channels);
        session.socket = Some(start.socket);
        let (client, node, is_new) = (session.client, session.node, start.is_new);
        let page = PageSession::new(visit, start, RECEIPTS, now);
        session.looks_at = self.net.now + millis(page.is_due_in(now));
        session.page = Some(page);
        self.tally.pages += 1;
        self.note_home(client, node, is_new, known);
        self.page_begins(number);
        None
    }

    /// A millisecond of a node's sessions.
    pub fn live_sessions(&mut self, slot: usize) {
        let now = self.net.now;
        if now.is_multiple_of(100) {
            self.tell_book(slot, BookInput::Tick);
        }
        let numbers: Vec<u64> =
            self.sessions.iter().filter(|(_, session)| session.slot == slot).map(|(number, _)| *number).collect();
        for number in numbers {
            while self.receipt_of(number) {
                self.hear_receipt(number);
            }
            self.look_for_receipt(number);
            let is_over = |session: &Session| session.lost_at <= now || session.closes_at <= now;
            if self.sessions.get(&number).is_some_and(is_over) {
                self.end_session(number);
            }
        }
    }

    fn receipt_of(&mut self, number: u64) -> bool {
        let now = self.net.now;
        let session = self.sessions.get_mut(&number);
        session.and_then(|session| session.receipts.pop_front_if(|at| *at <= now)).is_some()
    }

    fn hear_receipt(&mut self, number: u64) {
        let Some(session) = self.sessions.get_mut(&number) else { return };
        let Some(page) = &mut session.page else { return };
        page.hear_receipt();
        let standing = page.standing();
        let has_proven = session.is_sent_away && page.receipts().is_settled();
        let (slot, visit, client) = (session.slot, session.visit.clone(), session.client);
        self.tally.receipts += 1;
        self.restand(number, standing);
        if has_proven {
            // Another node may have been given the page a moment before.
            let known = self.process(slot).and_then(|node| node.pages.book.visit_of(visit.page));
            let is_here = known.is_some_and(|known| known == visit);
            self.tell_book(slot, BookInput::Proven(visit));
            self.sessions.remove(&number);
            self.be_proven(client, number, is_here);
        }
    }

    fn restand(&mut self, number: u64, asked: Standing) {
        let now = self.moment().0;
        let Some(session) = self.sessions.get_mut(&number) else { return };
        let (slot, change) = (session.slot, session.page.as_mut().and_then(|page| page.restand(asked, now)));
        if let Some((visit, standing)) = change {
            self.tell_book(slot, BookInput::Stands(visit, standing));
        }
    }

    fn look_for_receipt(&mut self, number: u64) {
        let (now, moment) = (self.net.now, self.moment().0);
        let Some(session) = self.sessions.get_mut(&number).filter(|session| session.looks_at <= now) else { return };
        let Some(page) = &mut session.page else { return };
        page.look(moment, RECEIPTS);
        session.looks_at = now + millis(page.is_due_in(moment));
        let is_due = page.is_to_be_asked(session.sends, moment);
        self.restand(number, Standing::Owing);
        if is_due {
            self.ask_receipt(number);
        }
    }

    fn ask_receipt(&mut self, number: u64) {
        let now = self.moment().0;
        let Some(session) = self.sessions.get_mut(&number) else { return };
        let Some(node) = &self.net.slots[session.slot].process else { return };
        let Some(page) = &mut session.page else { return };
        page.ask_receipt(now, session.sends, node.pages.receipts.owe());
        let outbox = session.outbox.clone();
        self.write_page(&outbox, &outbound::ping());
    }

    /// A page is sent away as in a drain: its rooms let it go, and then it proves what it has heard.
    pub fn send_away(&mut self, number: u64) {
        let Some(session) = self.sessions.get_mut(&number) else { return };
        session.closes_at = session.closes_at.min(self.net.now + millis(LAST_ROOMS));
        self.depart(number);
    }

    /// All rooms have let it go.
    pub fn rooms_left(&mut self, number: u64) {
        let closes_at = self.net.now + millis(LAST_RECEIPT);
        let Some(session) = self.sessions.get_mut(&number) else { return };
        (session.is_sent_away, session.closes_at) = (true, closes_at);
        self.ask_receipt(number);
    }

    /// A session is closed, or its socket is gone.
    pub fn end_session(&mut self, number: u64) {
        self.depart(number);
        if let Some(session) = self.sessions.remove(&number) {
            self.be_closed(session.client, number);
        }
    }

    fn depart(&mut self, number: u64) {
        let at = self.moment().0;
        let Some(session) = self.sessions.get_mut(&number) else { return };
        let (Some(page), Some(socket)) = (&mut session.page, session.socket) else { return };
        let (slot, proven) = (session.slot, page.receipts().proven());
        let channels: Vec<ChannelName> = std::mem::take(&mut session.channels).into_iter().collect();
        let app = self.app.id().clone();
        let Some(session) = self.sessions.get_mut(&number) else { return };
        let Some(page) = &mut session.page else { return };
        let end = PageEnd { app, at, user: None, close: None, window: WINDOW };
        let Some(departure) = page.depart(channels.clone(), end) else { return };
        let visit = departure.visit.clone();
        self.tell_book(slot, BookInput::Departed(departure));
        for channel in channels {
            let parting = Parting { socket, visit: visit.clone(), proven, grace: GRACE };
            self.tell(slot, &channel, RoomMessage::Part(parting));
        }
    }

    /// A room has let a page go.
    pub fn parted(&mut self, slot: usize, visit: PageVisit, channel: &ChannelName, heard: Option<Heard>) {
        self.tell_book(slot, BookInput::Parted(visit, channel.clone(), heard));
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).expect("it is short")
}

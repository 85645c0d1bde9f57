//! Pages that name themselves: their sessions, what is on its way to them, and the book of their node.
//!
//! What a page is written is on its way for some milliseconds, and lost if its socket is cut meanwhile; its node notices
//! that later, or when the page is back. A page comes back to its node. Once that is gone it is another page.

use std::{
    collections::{BTreeSet, VecDeque},
    sync::Arc,
    time::Duration,
};

use gaung::{
    outbox::Outbox,
    page::{
        Departure, Heard, OutstandingReceipts, PageKey, PageStart, PageVisit, Positions,
        messages::{BookInput, BookOutput, Turn},
    },
    protocol::{ChannelName, SocketId, outbound},
    room::{Join, PageJoin, Parting, RoomMessage},
    session::receipts::Receipts,
};
use gaung_cluster::NodeId;
use gaung_cluster::page::PageHash;
use serde_json::{Value, json};

use crate::{
    client::{Client, Socket, Speaker, Stage, messages},
    world::{World, channel},
};

/// How many of them there are.
const PAGES: u64 = 4;

/// For how long a page that was cut off stays a member.
const GRACE: Duration = Duration::from_secs(3);

/// No visitor, who stays for ever, and yet nobody who comes.
const NEVER: u64 = u64::MAX - 1;

/// A page, beside what every client has.
pub struct Page {
    key: PageKey,
    /// The node that knows it.
    home: Option<(usize, NodeId)>,
    /// Its newest socket.
    visit: u64,
    /// What is on its way to it, and when it arrives.
    inbox: VecDeque<(u64, Value)>,
    /// Whether it may hear again what it has heard: not if it has proven at the end that it had heard everything.
    may_repeat: bool,
}

/// The session of a page on a node; it may be there for longer than the page's socket.
pub struct PageSession {
    client: usize,
    slot: usize,
    node: NodeId,
    visit: PageVisit,
    outbox: Arc<Outbox>,
    socket: Option<SocketId>,
    was: Option<SocketId>,
    positions: Positions,
    channels: BTreeSet<ChannelName>,
    receipts: Receipts,
    sends: u64,
    /// When its node notices that it is cut off.
    ends_at: u64,
    has_departed: bool,
    /// Whether it proves at the end that it has heard everything, as in a drain.
    proves: bool,
    /// Whether it was asked for that.
    is_asked: bool,
}

/// What stands behind all that a room has written to a page that left it.
const LET_GO: &str = "let go";

impl Page {
    /// A room has let it go: it may subscribe again when what is on its way has arrived.
    pub fn let_go(&mut self, channel: &ChannelName) {
        let at = self.inbox.back().map_or(0, |(last, _)| *last);
        self.inbox.push_back((at, json!({"event": LET_GO, "channel": channel.as_str()})));
    }
}

impl World {
    pub fn invite_pages(&mut self) {
        for number in 0..PAGES {
            let returns_at = self.net.random.below(8_000);
            let mut client = Client::new(format!("page-{}", number / 2), returns_at);
            let key = self.draw_key();
            client.page = Some(Page { key, home: None, visit: 0, inbox: VecDeque::new(), may_repeat: true });
            self.clients.push(client);
        }
    }

    fn draw_key(&mut self) -> PageKey {
        let bits = self.net.random.bits().to_le_bytes();
        let mut hash = [0; 16];
        hash[..8].copy_from_slice(&bits);
        PageKey(PageHash(hash))
    }

    /// Where a page connects: to its node, if that takes sockets, or, if it is gone, anywhere as another page.
    pub fn home_of(&mut self, client: usize) -> Option<Option<usize>> {
        let (slot, node) = self.clients[client].page.as_ref()?.home?;
        if self.process(slot).is_some_and(|process| process.id == node) {
            let is_open = self.drains[slot].is_none() && self.net.slots[slot].stopped_until <= self.net.now;
            return Some(is_open.then_some(slot));
        }
        let key = self.draw_key();
        self.clients[client].progress.clear();
        let page = self.clients[client].page.as_mut()?;
        (page.key, page.home) = (key, None);
        None
    }

    /// A page opens a socket, and has it when its node has said with what it begins.
    pub fn connect_page(&mut self, client: usize, slot: usize) {
        let Some(node) = self.process(slot).map(|node| node.id) else { return };
        self.sockets += 1;
        let number = self.sockets;
        let Some(page) = &mut self.clients[client].page else { return };
        (page.visit, page.home) = (number, Some((slot, node)));
        let visit = PageVisit { page: page.key, number };
        let session = PageSession {
            client,
            slot,
            node,
            visit: visit.clone(),
            outbox: Outbox::new(None, usize::MAX),
            socket: None,
            was: None,
            positions: Positions::default(),
            channels: BTreeSet::new(),
            receipts: Receipts::default(),
            sends: 0,
            ends_at: u64::MAX,
            has_departed: false,
            proves: false,
            is_asked: false,
        };
        self.sessions.insert(number, session);
        // Until it has begun it does not try again.
        self.clients[client].returns_at = NEVER;
        self.tell_book(slot, BookInput::Arrived(visit));
    }

    pub fn tell_book(&mut self, slot: usize, input: BookInput) {
        let (now, mut outputs) = (self.moment().0, Vec::new());
        let bits = self.net.random.bits();
        let Some(node) = self.process_mut(slot) else { return };
        let mut draw = || SocketId::from_bits(bits | 1);
        node.book.step(input, &mut Turn { now, draw: &mut draw, outputs: &mut outputs });
        for output in outputs {
            match output {
                BookOutput::Start(number, start) => self.begin_session(number, start),
                BookOutput::Supersede(number) => self.end_session(number),
                BookOutput::RoomsLeft(number) => self.rooms_left(number),
                // Pages come back to their node alone.
                BookOutput::Seek(_) | BookOutput::HandOver(..) | BookOutput::Decline(_) => {}
                BookOutput::Share(..) | BookOutput::CountEvicted => {}
            }
        }
    }

    fn begin_session(&mut self, number: u64, PageStart { socket, was, positions, .. }: PageStart) {
        let Some(session) = self.sessions.get_mut(&number) else { return };
        (session.socket, session.was, session.positions) = (Some(socket), was, positions);
        let (client, speaker) = (session.client, Speaker { node: session.node, socket: socket.bits() });
        let begun = Socket { slot: session.slot, speaker, outbox: session.outbox.clone() };
        self.tally.pages += 1;
        if self.clients[client].page.as_ref().is_none_or(|page| page.visit != number) {
            return self.end_session(number);
        }
        self.clients[client].socket = Some(begun);
        let channels = std::mem::take(&mut self.clients[client].rejoins);
        channels.iter().for_each(|channel| self.join(client, channel));
    }

    /// How a client subscribes that may be a page; not at all where its session is over.
    pub fn page_join(&mut self, client: usize, join: Join, channel: &ChannelName) -> Option<Join> {
        if !self.is_page(client) {
            return Some(join);
        }
        let session = self.session_of(client)?;
        session.channels.insert(channel.clone());
        let since = session.positions.claim(channel);
        Some(Join { since, page: Some(PageJoin { was: session.was }), ..join })
    }

    /// Whether a session hears that its client wants no more of a channel.
    pub fn hears_leave(&mut self, client: usize, channel: &ChannelName) -> bool {
        if !self.is_page(client) {
            return true;
        }
        let Some(session) = self.session_of(client) else { return false };
        session.channels.remove(channel);
        session.positions.forget(channel);
        true
    }

    /// The session of a page, while it hears what the page says.
    fn session_of(&mut self, client: usize) -> Option<&mut PageSession> {
        let visit = self.clients[client].page.as_ref()?.visit;
        self.sessions.get_mut(&visit).filter(|session| !session.has_departed)
    }

    /// A client is cut off. What is on its way to a page is lost, and its node notices later.
    pub fn cut_off(&mut self, client: usize, returns_at: u64) {
        let noticed = self.net.now + self.net.random.below(3_000);
        let wanted: Vec<ChannelName> = self.clients[client].wanted().cloned().collect();
        self.clients[client].disconnect(wanted, returns_at);
        let Some(page) = &mut self.clients[client].page else { return };
        page.inbox.clear();
        page.may_repeat = true;
        if let Some(session) = self.sessions.get_mut(&page.visit) {
            session.ends_at = noticed;
        }
        page.visit = 0;
    }

    /// A millisecond of pages: what arrives, what is asked, what ends.
    pub fn live_pages(&mut self) {
        for client in 0..self.clients.len() {
            while let Some(message) = self.arrived(client) {
                self.take(client, &message);
            }
        }
        let now = self.net.now;
        let due: Vec<u64> =
            self.sessions.iter().filter(|(_, session)| session.ends_at <= now).map(|(n, _)| *n).collect();
        due.into_iter().for_each(|number| self.end_session(number));
        if now.is_multiple_of(100) {
            for slot in 0..self.net.slots.len() {
                self.tell_book(slot, BookInput::Tick);
            }
            for number in self.sessions.keys().copied().collect::<Vec<_>>() {
                self.look_for_receipt(number);
            }
        }
    }

    fn arrived(&mut self, client: usize) -> Option<Value> {
        let now = self.net.now;
        let inbox = &mut self.clients[client].page.as_mut()?.inbox;
        inbox.pop_front_if(|(at, _)| *at <= now).map(|(_, message)| message)
    }

    fn take(&mut self, client: usize, message: &Value) {
        match message["event"].as_str().unwrap_or_default() {
            "pusher:ping" => self.give_receipt(client),
            LET_GO => {
                // A session that ended late may have had the same socket id.
                let name = channel(message["channel"].as_str().unwrap_or_default());
                self.clients[client].channels.retain(|known, state| *known != name || state.stage != Stage::Left);
            }
            _ => self.hear(client, message),
        }
    }

    fn give_receipt(&mut self, client: usize) {
        let Some(number) = self.clients[client].page.as_ref().map(|page| page.visit) else { return };
        let Some(session) = self.sessions.get_mut(&number) else { return };
        session.receipts.answer();
        self.tally.receipts += 1;
        if session.is_asked && session.receipts.is_settled() {
            let (slot, visit) = (session.slot, session.visit.clone());
            self.tell_book(slot, BookInput::Proven(visit));
            self.sessions.remove(&number);
            self.cut_off(client, self.net.now + 20);
            self.tally.proven += 1;
            if let Some(page) = &mut self.clients[client].page {
                page.may_repeat = false;
            }
        }
    }

    fn look_for_receipt(&mut self, number: u64) {
        let is_asked = self.net.random.chance(2_000);
        let Some(session) = self.sessions.get(&number) else { return };
        if is_asked && session.receipts.is_due(session.sends) && !session.has_departed {
            self.ask_receipt(number);
        }
    }

    fn ask_receipt(&mut self, number: u64) {
        let now = self.moment().0;
        let Some(session) = self.sessions.get_mut(&number) else { return };
        session.receipts.ask(now, session.sends, OutstandingReceipts::default().owe());
        let outbox = session.outbox.clone();
        self.write_page(&outbox, &outbound::ping());
    }

    /// A session is written to. Returns whether it is a page's.
    pub fn write_page(&mut self, outbox: &Arc<Outbox>, frames: &[u8]) -> bool {
        let is_it = |session: &&mut PageSession| Arc::ptr_eq(&session.outbox, outbox);
        let Some(session) = self.sessions.values_mut().find(is_it) else { return false };
        session.sends += 1;
        let (client, number) = (session.client, session.visit.number);
        let arrives = self.net.now + self.net.random.below(60);
        let Some(page) = self.clients[client].page.as_mut().filter(|page| page.visit == number) else { return true };
        let at = page.inbox.back().map_or(arrives, |(last, _)| arrives.max(*last));
        page.inbox.extend(messages(frames).into_iter().map(|message| (at, message)));
        true
    }

    /// A page is sent away as in a drain: its rooms let it go, and then it proves what it has heard.
    pub fn send_page_away(&mut self, client: usize) {
        let Some(number) = self.clients[client].page.as_ref().map(|page| page.visit) else { return };
        if let Some(session) = self.sessions.get_mut(&number) {
            session.proves = true;
            session.ends_at = self.net.now + 1_300;
            self.depart(number);
        }
    }

    fn end_session(&mut self, number: u64) {
        self.depart(number);
        let Some(session) = self.sessions.remove(&number) else { return };
        if self.clients[session.client].page.as_ref().is_some_and(|page| page.visit == number) {
            let returns_at = self.net.now + self.net.random.between(10, 2_000);
            self.cut_off(session.client, returns_at);
        }
    }

    fn depart(&mut self, number: u64) {
        let Some(session) = self.sessions.get_mut(&number) else { return };
        if std::mem::replace(&mut session.has_departed, true) || session.socket.is_none() {
            return;
        }
        let (slot, visit, channels) = (session.slot, session.visit.clone(), std::mem::take(&mut session.channels));
        let departure = Departure {
            app: self.app.id().clone(),
            visit: visit.clone(),
            channels: channels.iter().cloned().collect(),
            before: std::mem::take(&mut session.positions),
            user: None,
            gives_up_id: false,
            window: Duration::from_secs(10),
        };
        let (socket, proven) = (session.socket, session.receipts.proven());
        self.tell_book(slot, BookInput::Departed(departure));
        for channel in channels {
            let Some(socket) = socket else { continue };
            let parting = Parting { socket, visit: visit.clone(), proven, grace: GRACE };
            self.tell(slot, &channel, RoomMessage::Part(parting));
        }
    }

    fn rooms_left(&mut self, number: u64) {
        if let Some(session) = self.sessions.get_mut(&number).filter(|session| session.proves) {
            session.is_asked = true;
            self.ask_receipt(number);
        }
    }

    /// A room has let a page go.
    pub fn parted(&mut self, slot: usize, visit: PageVisit, channel: &ChannelName, heard: Option<Heard>) {
        self.tell_book(slot, BookInput::Parted(visit, channel.clone(), heard));
    }

    /// The sessions of a process that is gone.
    pub fn forget_sessions(&mut self, slot: usize) {
        for session in self.sessions.extract_if(.., |_, session| session.slot == slot).map(|(_, session)| session) {
            let client = &mut self.clients[session.client];
            if client.page.as_ref().is_some_and(|page| page.visit == session.visit.number) && client.socket.is_none() {
                client.returns_at = self.net.now + 100;
            }
        }
    }

    /// Whether the client may hear again what it has heard.
    pub fn may_repeat(&self, client: usize) -> bool {
        self.clients[client].page.as_ref().is_some_and(|page| page.may_repeat)
    }

    /// Whether the client is a page.
    pub fn is_page(&self, client: usize) -> bool {
        self.clients[client].page.is_some()
    }
}

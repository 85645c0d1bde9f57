//! Pages that name themselves, as their browsers have them: one socket at a time, on any node, and what is on its way to
//! them.
//!
//! What a page is written is on its way for some milliseconds, and lost if its socket is cut meanwhile; its node notices
//! that later, or not before the page is somewhere else. It comes back early or late, twice at once, or never: then another
//! page takes its place.

use std::{collections::VecDeque, sync::Arc};

use gaung::{
    outbox::Outbox,
    page::{PageKey, PageVisit, messages::BookInput},
    protocol::ChannelName,
    room::Join,
};
use gaung_cluster::{NodeId, page::PageHash};
use serde_json::{Value, json};

use crate::{
    client::{Client, Socket, Speaker, Stage, messages},
    sessions::Session,
    world::{TROUBLE, World, channel},
};

/// How many of them there are.
const PAGES: u64 = 6;

/// No visitor, who stays for ever, and yet nobody who comes.
const NEVER: u64 = u64::MAX - 1;

/// A page, beside what every client has.
pub struct Page {
    pub key: PageKey,
    /// Its newest socket.
    pub visit: u64,
    /// Where its last socket began.
    pub home: Option<NodeId>,
    /// What is on its way to it, and when it arrives.
    inbox: VecDeque<(u64, Value)>,
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
            client.page = Some(Page { key, visit: 0, home: None, inbox: VecDeque::new() });
            self.clients.push(client);
        }
    }

    fn draw_key(&mut self) -> PageKey {
        let bits = self.net.random.bits().to_le_bytes();
        let mut hash = [0; 16];
        hash[..8].copy_from_slice(&bits);
        PageKey(PageHash(hash))
    }

    /// A page opens a socket, and has it when its node has said with what it begins. Some give it up before, and open
    /// another at once.
    pub fn connect_page(&mut self, client: usize, slot: usize) {
        let Some(node) = self.process(slot).map(|node| node.id) else { return };
        self.sockets += 1;
        let number = self.sockets;
        let Some(page) = &mut self.clients[client].page else { return };
        page.visit = number;
        let visit = PageVisit { page: page.key, number };
        self.sessions.insert(number, Session::new(client, (slot, node), visit.clone()));
        // Until it has begun it does not try again.
        self.clients[client].returns_at = NEVER;
        if let Some(node) = self.process_mut(slot) {
            node.pages.waiting.insert(number, visit.clone());
        }
        self.tell_book(slot, BookInput::Arrived(visit));
        if self.net.now < TROUBLE && self.net.random.chance(1_000) {
            let returns_at = self.net.now + self.net.random.below(100);
            self.tally.twice += 1;
            self.cut_off(client, returns_at);
        }
    }

    /// The node has said with what a socket begins.
    pub fn page_begins(&mut self, number: u64) {
        let Some(session) = self.sessions.get(&number) else { return };
        let (client, Some(socket)) = (session.client, session.socket) else { return };
        let speaker = Speaker { node: session.node, socket: socket.bits() };
        let begun = Socket { slot: session.slot, speaker, outbox: session.outbox.clone() };
        if self.clients[client].page.as_ref().is_none_or(|page| page.visit != number) {
            return;
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
        let now = self.moment().0;
        let session = self.session_of(client)?;
        session.channels.insert(channel.clone());
        let (since, page) = session.page.as_mut()?.claim(channel, now);
        Some(Join { since, page: Some(page), ..join })
    }

    /// Whether a session hears that its client wants no more of a channel.
    pub fn hears_leave(&mut self, client: usize, channel: &ChannelName) -> bool {
        if !self.is_page(client) {
            return true;
        }
        let Some(session) = self.session_of(client) else { return false };
        session.channels.remove(channel);
        session.page.iter_mut().for_each(|page| page.forget(channel));
        true
    }

    /// The session of a page, while it hears what the page says.
    fn session_of(&mut self, client: usize) -> Option<&mut Session> {
        let visit = self.clients[client].page.as_ref()?.visit;
        self.sessions.get_mut(&visit).filter(|session| session.hears())
    }

    /// A client is cut off. What is on its way to a page is lost, and its node notices later, or not at all.
    pub fn cut_off(&mut self, client: usize, returns_at: u64) {
        let looks_alive = self.net.random.chance(2_000);
        let noticed = if looks_alive { u64::MAX } else { self.net.now + self.net.random.below(3_000) };
        let mut rejoins = std::mem::take(&mut self.clients[client].rejoins);
        rejoins.extend(self.clients[client].wanted().cloned());
        self.clients[client].disconnect(rejoins, returns_at);
        self.clients[client].progress.values_mut().for_each(|progress| progress.here.clear());
        let Some(page) = &mut self.clients[client].page else { return };
        page.inbox.clear();
        if let Some(session) = self.sessions.get_mut(&page.visit) {
            session.lost_at = noticed;
        }
        page.visit = 0;
    }

    /// A page loses its socket, and comes back some time. Some never do: another page takes their place.
    pub fn lose_socket(&mut self, client: usize, returns_at: u64) {
        let returns_at = match self.net.random.below(4) {
            0 => self.net.now + self.net.random.below(50),
            1 => self.net.now + self.net.random.between(4_000, 15_000),
            _ => returns_at,
        };
        self.cut_off(client, returns_at);
        if self.net.random.chance(800) {
            self.be_another(client);
        }
    }

    /// A page is gone for good.
    fn be_another(&mut self, client: usize) {
        let (key, now) = (self.draw_key(), self.net.now);
        let Some(page) = &mut self.clients[client].page else { return };
        page.home = None;
        let gone = std::mem::replace(&mut page.key, key);
        self.clients[client].progress.clear();
        for session in self.sessions.values_mut().filter(|session| session.visit.page == gone) {
            session.lost_at = session.lost_at.min(now + 3_000);
        }
    }

    /// Its session is closed; nothing changes for a page that has another socket.
    pub fn be_closed(&mut self, client: usize, number: u64) {
        if self.clients[client].page.as_ref().is_some_and(|page| page.visit == number) {
            let returns_at = self.net.now + self.net.random.between(10, 2_000);
            self.cut_off(client, returns_at);
        }
    }

    /// It has heard everything that its last session had written to it.
    pub fn be_proven(&mut self, client: usize, number: u64, is_noted: bool) {
        if self.clients[client].page.as_ref().is_none_or(|page| page.visit != number) {
            return;
        }
        let returns_at = self.net.now + self.net.random.between(1, 1_500);
        for progress in self.clients[client].progress.values_mut().filter(|_| is_noted) {
            let heard = std::mem::take(&mut progress.here);
            progress.proven.extend(heard);
        }
        self.cut_off(client, returns_at);
        self.tally.proven += 1;
    }

    /// A page is sent away by its node.
    pub fn send_page_away(&mut self, client: usize) {
        if let Some(number) = self.clients[client].page.as_ref().map(|page| page.visit) {
            self.send_away(number);
        }
    }

    /// A millisecond of pages: what arrives; some lose patience with a node that is stopped.
    pub fn live_pages(&mut self) {
        for client in 0..self.clients.len() {
            while let Some(message) = self.arrived(client) {
                self.take(client, &message);
            }
            let slot = self.clients[client].page.as_ref().and_then(|page| Some(self.sessions.get(&page.visit)?.slot));
            let is_stopped = slot.is_some_and(|slot| self.net.slots[slot].stopped_until > self.net.now);
            if is_stopped && self.net.random.chance(4) {
                let returns_at = self.net.now + self.net.random.below(1_500);
                self.cut_off(client, returns_at);
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
        let arrives = self.net.now + self.net.random.below(60);
        let Some(number) = self.clients[client].page.as_ref().map(|page| page.visit) else { return };
        if let Some(session) = self.sessions.get_mut(&number) {
            let at = session.receipts.back().map_or(arrives, |last| arrives.max(*last));
            session.receipts.push_back(at);
        }
    }

    /// A session is written to. Returns whether it is a page's.
    pub fn write_page(&mut self, outbox: &Arc<Outbox>, frames: &[u8]) -> bool {
        let is_it = |session: &&mut Session| Arc::ptr_eq(&session.outbox, outbox);
        let Some(session) = self.sessions.values_mut().find(is_it) else { return false };
        session.sends += 1;
        let (client, number) = (session.client, session.visit.number);
        let arrives = self.net.now + self.net.random.below(60);
        let Some(page) = self.clients[client].page.as_mut().filter(|page| page.visit == number) else { return true };
        let at = page.inbox.back().map_or(arrives, |(last, _)| arrives.max(*last));
        page.inbox.extend(messages(frames).into_iter().map(|message| (at, message)));
        true
    }

    /// The sessions of a process that is gone.
    pub fn forget_sessions(&mut self, slot: usize) {
        let gone: Vec<Session> =
            self.sessions.extract_if(.., |_, session| session.slot == slot).map(|(_, session)| session).collect();
        for session in gone {
            let client = &self.clients[session.client];
            if client.page.as_ref().is_some_and(|page| page.visit == session.visit.number) {
                let returns_at = self.net.now + self.net.random.between(10, 3_000);
                self.cut_off(session.client, returns_at);
            }
        }
    }

    /// Whether the client is a page.
    pub fn is_page(&self, client: usize) -> bool {
        self.clients[client].page.is_some()
    }
}

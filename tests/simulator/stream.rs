//! A stream that keeps events behind the nodes' memory: what JetStream and the thread that stores in it do in the product.
//! It is away now and then, forgets its oldest messages, and is read a moment late.

use std::time::{Duration, Instant};

use bytes::Bytes;
use gaung_cluster::{
    NodeId, Room, codec,
    core::Input,
    frame::{Body, Numbered, Numbering},
    history::{
        Mark, Marks, Place, StoredEvent, StoredHistory,
        backlog::{Backlog, Item, UnstoredEvent},
    },
};
use gaung_simulator::EPOCH;

use crate::{
    node::Node,
    world::{TROUBLE, World},
};

/// Bytes that may wait on a node: few, so that some are lost while the stream is away.
const UNSTORED_BYTES: usize = 20_000;

/// Of a room that has more events only the newest are read.
const MAX_OLD: usize = 40;

/// How old those may be.
const WINDOW: u64 = 25_000;

/// By how much clocks may differ, as nodes think.
const CLOCKS: u64 = 10_000;

/// When a node reads again that could not.
const AGAIN: u64 = 1_000;

/// For how long marks are believed to be the newest.
const FRESH: u64 = 1_000;

/// The stream.
pub struct EventStream {
    messages: Vec<Message>,
    /// How many messages it keeps.
    limit: usize,
    last: u64,
    away_until: u64,
}

struct Message {
    sequence: u64,
    at: u64,
    content: Content,
}

enum Content {
    /// With the frame as it was stored.
    Event(Room, StoredEvent, Bytes),
    Mark(NodeId, Mark),
}

/// What a node has still to store, and what is on its way: when it arrives, in the order in which it was sent.
pub struct Unstored {
    backlog: Backlog,
    underway: Vec<(u64, NodeId, Item)>,
    start: Instant,
    /// What it is going to read.
    readings: Vec<Reading>,
}

/// What a node that died has stored is to be read.
#[derive(Clone, Copy)]
struct Reading {
    at: u64,
    dead: NodeId,
    since: u64,
}

impl Default for Unstored {
    fn default() -> Self {
        Self {
            backlog: Backlog::new(UNSTORED_BYTES),
            underway: Vec::new(),
            start: Instant::now(),
            readings: Vec::new(),
        }
    }
}

impl EventStream {
    /// A stream that is empty; in some worlds it forgets before histories do.
    pub fn new(seed: u64) -> Self {
        let limit = if seed % 3 == 1 { 150 } else { usize::MAX };
        Self { messages: Vec::new(), limit, last: 0, away_until: 0 }
    }

    fn take(&mut self, now: u64, content: Content) {
        self.last += 1;
        self.messages.push(Message { sequence: self.last, at: now, content });
        let excess = self.messages.len().saturating_sub(self.limit);
        self.messages.drain(..excess);
    }

    fn first_sequence(&self) -> u64 {
        self.messages.first().map_or(self.last + 1, |message| message.sequence)
    }

    /// The marks that it had at a time.
    fn marks(&self, at: u64) -> Marks {
        let mut marks = Marks::default();
        for message in self.messages.iter().filter(|message| message.at <= at) {
            let Content::Mark(node, mark) = &message.content else { continue };
            if !marks.knows_first(*node) {
                marks.note_first(*node, message.place(), *mark);
            }
            marks.note(*node, message.place(), *mark);
        }
        marks
    }

    fn read(&self, room: &Room, now: u64, marks_at: u64) -> StoredHistory {
        let events = |since: u64| {
            let of_room = |message: &Message| match &message.content {
                Content::Event(other, event, _) if other == room && message.at >= since => {
                    Some(StoredEvent { place: message.place(), ..event.clone() })
                }
                Content::Event(..) | Content::Mark(..) => None,
            };
            let mut events: Vec<StoredEvent> = self.messages.iter().filter_map(of_room).collect();
            events.sort_by_key(|event| (event.node, event.numbering.number));
            events.dedup_by_key(|event| (event.node, event.numbering.number));
            events
        };
        let all = events(0);
        let start = if all.len() <= MAX_OLD { 0 } else { now.saturating_sub(WINDOW) };
        let (events, at) = if start == 0 { (all, Duration::ZERO) } else { (events(start), wall(start)) };
        let spans = self.marks(marks_at).spans(&events, Place { sequence: self.first_sequence(), at });
        let first = self.messages.first().map_or(now, |message| message.at);
        StoredHistory { spans, events, since: wall(first.max(start)), now: wall(now) }
    }

    /// The frames that a node has stored since then, in the order of their numbers.
    fn of_node(&self, node: NodeId, since: u64) -> Vec<Bytes> {
        let of_node = |message: &Message| match &message.content {
            Content::Event(_, event, bytes) if event.node == node && message.at >= since => {
                Some((event.numbering.number, bytes.clone()))
            }
            Content::Event(..) | Content::Mark(..) => None,
        };
        let mut frames: Vec<(u64, Bytes)> = self.messages.iter().filter_map(of_node).collect();
        frames.sort_by_key(|(number, _)| *number);
        frames.into_iter().map(|(_, bytes)| bytes).collect()
    }
}

impl Message {
    fn place(&self) -> Place {
        Place { sequence: self.sequence, at: wall(self.at) }
    }
}

impl World {
    pub fn store(&mut self, slot: usize, room: Room, number: u64, bytes: Bytes) {
        let Some(node) = self.process_mut(slot) else { return };
        node.unstored.backlog.push(UnstoredEvent { room, number, bytes });
    }

    pub fn mark(&mut self, slot: usize, number: u64) {
        let now = self.net.now;
        let Some(node) = self.process_mut(slot) else { return };
        let at = node.unstored.start + Duration::from_millis(now);
        node.unstored.backlog.mark(number, at);
    }

    /// A node sends what it may, and what it sent arrives, or does not.
    pub fn store_some(&mut self, slot: usize) {
        let now = self.net.now;
        let Some(stream) = &mut self.stream else { return };
        if slot == 0 && now < TROUBLE && self.net.random.chance(1) {
            stream.away_until = now + self.net.random.between(100, 6_000);
        }
        let Some(node) = &mut self.net.slots[slot].process else { return };
        let (id, unstored) = (node.id, &mut node.unstored);
        while let Some(item) = unstored.backlog.pop() {
            let before = unstored.underway.last().map_or(0, |(at, ..)| *at);
            unstored.underway.push((before.max(now + self.net.random.between(1, 20)), id, item));
        }
        let is_away = self.stream.as_ref().is_some_and(|stream| stream.away_until > now);
        self.arrive(slot, is_away || self.is_cut_off(slot));
    }

    /// A node has a connection of its own to the stream, which it loses with that to the others: both lead to the same servers.
    fn is_cut_off(&self, slot: usize) -> bool {
        self.net.is_away(slot)
    }

    fn arrive(&mut self, slot: usize, is_away: bool) {
        let now = self.net.now;
        let mut failed = Vec::new();
        while let Some(unstored) = self.process_mut(slot).map(|node| &mut node.unstored)
            && unstored.underway.first().is_some_and(|(at, ..)| *at <= now)
        {
            let (_, id, item) = unstored.underway.remove(0);
            // Some of what was not acknowledged is there all the same.
            if !is_away || self.net.random.chance(3_000) {
                self.put(slot, id, &item);
            }
            let Some(node) = self.process_mut(slot) else { return };
            if is_away { failed.push(item) } else { node.unstored.backlog.stored(&item) }
        }
        let Some(node) = self.process_mut(slot) else { return };
        failed.into_iter().rev().for_each(|item| node.unstored.backlog.unsent(item));
    }

    fn put(&mut self, slot: usize, id: NodeId, item: &Item) {
        let now = self.net.now;
        let unstored = self.net.slots[slot].process.as_ref().map(|node| &node.unstored);
        let content = unstored.and_then(|unstored| content(unstored, id, item, now));
        if let (Some(stream), Some(content)) = (&mut self.stream, content) {
            stream.take(now, content);
        }
    }

    /// A node was killed: some of what it had sent first is there.
    pub fn store_first(&mut self, unstored: Unstored) {
        let (now, count) = (self.net.now, self.net.random.below(unstored.underway.len() as u64 + 1) as usize);
        let Some(stream) = self.stream.as_mut().filter(|stream| stream.away_until <= now) else { return };
        for (_, id, item) in &unstored.underway[..count] {
            content(&unstored, *id, item, now).into_iter().for_each(|content| stream.take(now, content));
        }
    }

    /// A node ends in order: it stores what is left, and a last mark.
    pub fn store_rest(&mut self, slot: usize, node: Node) {
        let (now, is_away) = (self.net.now, self.is_cut_off(slot));
        let Some(stream) = self.stream.as_mut().filter(|stream| !is_away && stream.away_until <= now) else { return };
        let (id, last, mut unstored) = (node.id, node.core.published(), node.unstored);
        unstored.backlog.mark(last, unstored.start + Duration::from_millis(now));
        let mut underway: Vec<Item> = unstored.underway.drain(..).map(|(.., item)| item).collect();
        while !unstored.backlog.is_empty() {
            for item in underway.drain(..) {
                content(&unstored, id, &item, now).into_iter().for_each(|content| stream.take(now, content));
                unstored.backlog.stored(&item);
            }
            underway.extend(unstored.backlog.pop());
        }
    }

    /// A node wants to read in a moment what another has stored that died.
    pub fn read_soon(&mut self, slot: usize, dead: NodeId, unheard_for: Duration) {
        let (now, at) = (self.net.now, self.net.now + self.net.random.between(2, 200));
        let unheard_for = u64::try_from(unheard_for.as_millis()).expect("it is short");
        let reading = Reading { at, dead, since: now.saturating_sub(unheard_for + CLOCKS) };
        self.process_mut(slot).into_iter().for_each(|node| node.unstored.readings.push(reading));
    }

    /// What a node reads now, it hears, or tries again.
    pub fn read_some(&mut self, slot: usize) {
        let now = self.net.now;
        let is_due = |reading: &mut Reading| reading.at <= now;
        let due = self.process_mut(slot).map(|node| node.unstored.readings.extract_if(.., is_due).collect::<Vec<_>>());
        for reading in due.unwrap_or_default() {
            let is_away = self.is_cut_off(slot);
            let stream = self.stream.as_ref().filter(|stream| !is_away && stream.away_until <= now);
            let Some(frames) = stream.map(|stream| stream.of_node(reading.dead, reading.since)) else {
                let again = Reading { at: now + AGAIN, ..reading };
                self.process_mut(slot).into_iter().for_each(|node| node.unstored.readings.push(again));
                continue;
            };
            for frame in frames {
                let before = self.recovered(slot);
                self.step(slot, Input::Stored(frame));
                self.tally.recovered += self.recovered(slot) - before;
            }
        }
    }

    /// How many events a node has from the stream alone.
    fn recovered(&self, slot: usize) -> u64 {
        self.process(slot).map_or(0, |node| node.core.counters().events_recovered)
    }

    /// What the stream has of a room; nothing if it cannot be read.
    pub fn read_stream(&mut self, slot: usize, room: &Room) -> Option<StoredHistory> {
        let now = self.net.now;
        let marks_at = now - self.net.random.below(FRESH.min(now));
        let is_away = self.is_cut_off(slot);
        let stream = self.stream.as_ref().filter(|stream| !is_away && stream.away_until <= now)?;
        Some(stream.read(room, now, marks_at))
    }
}

/// What the stream keeps of an item.
fn content(unstored: &Unstored, id: NodeId, item: &Item, now: u64) -> Option<Content> {
    match item {
        Item::Event(event) => {
            let frame = codec::decode(event.bytes.clone()).expect("a core has written it");
            let Body::Numbered { predecessor, content: Numbered::Event(stored) } = frame.body else { return None };
            let numbering = Numbering { number: frame.number, predecessor };
            let stored_event = StoredEvent { node: id, numbering, place: Place::default(), payload: stored.payload };
            Some(Content::Event(stored.room, stored_event, event.bytes.clone()))
        }
        Item::Mark(number, since) => {
            let at = unstored.start + Duration::from_millis(now);
            Some(Content::Mark(id, unstored.backlog.written_mark(*number, *since, at)))
        }
    }
}

fn wall(now: u64) -> Duration {
    Duration::from_millis(EPOCH + now)
}

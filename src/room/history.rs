//! What a room keeps of its events, for subscribers that come back and for back ends that read it. Pure.
//!
//! Invariant: of each origin, everything after `lost_through` up to `last` is kept. So whether a replay is whole is not
//! guessed: it is whole if the position that it starts from is not before what was lost.

mod budget;

use std::{
    collections::{BTreeMap, VecDeque},
    mem,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

pub(super) use budget::HistoryBudget;

use crate::{
    config::HistoryWindow,
    event::{EncodedEvent, Numbered},
    protocol::{EventId, EventOrigin, Position, position::MAX_ORIGINS},
};

/// Bytes that an event costs beside its own.
const OVERHEAD: usize = size_of::<Kept>() + 64;

/// Numbers the events of a node that is alone; in a cluster the bus does.
#[derive(Debug)]
pub struct EventNumbers {
    origin: EventOrigin,
    last: AtomicU64,
}

/// What all histories of a node share. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Histories {
    /// Numbers the events, if the node is alone.
    pub numbers: Arc<EventNumbers>,
    /// What they may hold together.
    pub(in crate::room) budget: HistoryBudget,
}

/// The history of one room.
#[derive(Debug)]
pub(super) struct History {
    window: HistoryWindow,
    budget: HistoryBudget,
    events: VecDeque<Kept>,
    origins: BTreeMap<EventOrigin, OriginState>,
    /// Until then the room lives on without subscribers: one that left lately may come back.
    awaits_until: Option<Instant>,
    /// Whether the room will be woken when the first of this is over.
    is_watched: bool,
}

#[derive(Debug)]
struct Kept {
    id: EventId,
    event: EncodedEvent,
    at: Instant,
    /// When all subscribers here had been written it.
    written: Option<Instant>,
    bytes: usize,
}

/// How far the history knows one origin.
#[derive(Debug, Clone, Copy)]
struct OriginState {
    /// The last number that is known here.
    last: u64,
    /// Nothing up to this number is kept.
    lost_through: u64,
    /// When that had been written to all subscribers here, if it had.
    written: Option<Instant>,
    /// Why.
    cause: Cause,
}

/// Whether a replay holds everything that was missed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Completeness {
    Whole,
    /// Not: something may be missing.
    Partial(Cause),
}

/// Why a replay is not whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// The window, or the time for which this node knows the room, begins after the position.
    Window,
    /// Events went early, because the node keeps no more bytes.
    Memory,
    /// The position names a node of which nothing is known here, or what a node sent was lost on the way.
    NodeLost,
    /// More was missed than a socket takes at once.
    TooMuch,
    /// Nobody knows how far the client has heard the channel.
    Unknown,
}

/// Some events of a history, the oldest first.
#[derive(Debug, Default)]
pub struct HistoryPage {
    pub events: Vec<EncodedEvent>,
    /// Whether nothing is missing between the position that was given and the first of them.
    pub is_whole: bool,
    /// Where the next page begins.
    pub position: Position,
    /// Whether more events are there already.
    pub more: bool,
}

/// What was missed after a position.
#[derive(Debug)]
pub(super) struct Missed<'a> {
    pub events: Vec<&'a EncodedEvent>,
    pub completeness: Completeness,
}

impl Completeness {
    /// As metrics show it.
    pub fn outcome(self) -> &'static str {
        match self {
            Self::Whole => "whole",
            Self::Partial(Cause::Window) => "window",
            Self::Partial(Cause::Memory) => "memory",
            Self::Partial(Cause::NodeLost) => "node_lost",
            Self::Partial(Cause::TooMuch) => "too_much",
            Self::Partial(Cause::Unknown) => "unknown",
        }
    }
}

impl Histories {
    /// Who numbers this node's events.
    pub fn origin(&self) -> EventOrigin {
        self.numbers.origin
    }

    /// Those of a node that keeps so many bytes of events.
    pub fn new(node: u64, bytes: usize) -> Self {
        let numbers = Arc::new(EventNumbers::new(EventOrigin::of_node(node)));
        Self { numbers, budget: HistoryBudget::new(bytes) }
    }
}

impl OriginState {
    fn lose(&mut self, through: u64, cause: Cause, written: Option<Instant>) {
        if through > self.lost_through {
            (self.lost_through, self.cause, self.written) = (through, cause, written);
        }
    }
}

impl EventNumbers {
    /// The numbers of a node that has published nothing.
    pub fn new(origin: EventOrigin) -> Self {
        Self { origin, last: AtomicU64::new(0) }
    }

    /// The next event's name.
    pub fn next(&self) -> EventId {
        EventId { origin: self.origin, number: self.last.fetch_add(1, Relaxed) + 1 }
    }

    /// The name of the last event of the node.
    pub fn last(&self) -> EventId {
        EventId { origin: self.origin, number: self.last.load(Relaxed) }
    }
}

impl History {
    /// A history without events.
    pub(super) fn new(window: HistoryWindow, budget: HistoryBudget) -> Self {
        Self {
            window,
            budget,
            events: VecDeque::new(),
            origins: BTreeMap::new(),
            awaits_until: None,
            is_watched: false,
        }
    }

    /// From now on nothing of this origin after its event `from` is missed here.
    pub(super) fn begin(&mut self, from: EventId) {
        let start = OriginState { last: from.number, lost_through: from.number, written: None, cause: Cause::Window };
        self.origins.entry(from.origin).or_insert(start);
    }

    /// Keeps an event, and lets those go that exceed the window or the node's budget. Returns how many went for the
    /// budget alone.
    pub(super) fn keep(&mut self, event: EncodedEvent, numbered: Numbered, now: Instant) -> usize {
        self.pass_over(numbered);
        let bytes = event.bytes() + OVERHEAD;
        self.budget.take(bytes);
        self.events.push_back(Kept { id: numbered.id, event, at: now, written: None, bytes });
        self.trim(now);
        let before = self.events.len();
        while self.budget.is_exceeded() && !self.events.is_empty() {
            self.forget_oldest(Cause::Memory);
        }
        before - self.events.len()
    }

    /// Notes an event that is not kept: a client's.
    pub(super) fn pass_over(&mut self, Numbered { id: EventId { origin, number }, predecessor }: Numbered) {
        if !self.origins.contains_key(&origin) {
            self.make_room_for_origin();
        }
        let before = predecessor.unwrap_or(number.saturating_sub(1));
        let start = OriginState { last: before, lost_through: before, written: None, cause: Cause::Window };
        let state = self.origins.entry(origin).or_insert(start);
        if predecessor.is_some_and(|predecessor| predecessor > state.last) {
            state.lose(before, Cause::NodeLost, None);
        }
        state.last = state.last.max(number);
    }

    /// What this origin sent up to a number is lost for this node.
    pub(super) fn lose(&mut self, lost: EventId) {
        let state = self.origins.entry(lost.origin).or_insert(OriginState {
            last: 0,
            lost_through: 0,
            written: None,
            cause: Cause::NodeLost,
        });
        state.last = state.last.max(lost.number);
        state.lose(lost.number, Cause::NodeLost, None);
    }

    /// A subscriber left, and may come back.
    pub(super) fn await_return(&mut self, now: Instant) {
        self.awaits_until = Some(now + self.window.time);
    }

    /// Nobody is awaited any longer.
    pub(super) fn stop_awaiting(&mut self) {
        self.awaits_until = None;
    }

    /// Lets events go that exceed the window.
    fn trim(&mut self, now: Instant) {
        let HistoryWindow { time, events } = self.window;
        let is_over = |oldest: &Kept| now.saturating_duration_since(oldest.at) >= time;
        while self.events.len() > events || self.events.front().is_some_and(is_over) {
            self.forget_oldest(Cause::Window);
        }
    }

    /// The app's histories may hold so many bytes together.
    pub(super) fn set_app_limit(&mut self, bytes: usize) {
        self.budget.set_app_limit(bytes);
    }

    /// Another rule holds for the channel from now on.
    pub(super) fn set_window(&mut self, window: HistoryWindow, now: Instant) {
        self.window = window;
        self.trim(now);
    }

    /// After how long the next change is due, if that has not been asked since the last [`History::woke`].
    pub(super) fn watch(&mut self, now: Instant) -> Option<Duration> {
        let oldest = self.events.front().map(|oldest| oldest.at + self.window.time);
        let next = oldest.into_iter().chain(self.awaits_until).min()?;
        (!mem::replace(&mut self.is_watched, true)).then(|| next.saturating_duration_since(now))
    }

    /// The time asked for with [`History::watch`] is over.
    pub(super) fn woke(&mut self, now: Instant) {
        self.is_watched = false;
        self.awaits_until = self.awaits_until.filter(|until| *until > now);
        self.trim(now);
    }

    /// For how long events are kept, and how many.
    pub(super) fn window(&self) -> HistoryWindow {
        self.window
    }

    /// Whether it keeps nothing and awaits nobody.
    pub(super) fn is_idle(&self) -> bool {
        self.events.is_empty() && self.awaits_until.is_none()
    }

    /// How far a subscriber has heard that hears everything from now on.
    pub(super) fn position(&self) -> Position {
        self.origins.iter().map(|(origin, state)| EventId { origin: *origin, number: state.last }).collect()
    }

    /// Whether the position is of events that have not come here yet.
    pub(super) fn is_behind(&self, position: &Position) -> bool {
        let last = |origin: EventOrigin| self.origins.get(&origin).map_or(0, |state| state.last);
        position.events().any(|event| event.number > last(event.origin))
    }

    /// What comes after a position, in the order in which this node heard it.
    pub(super) fn after(&self, since: &Position) -> Missed<'_> {
        let events = self.events.iter().filter(|kept| !since.covers(kept.id)).map(|kept| &kept.event).collect();
        Missed { events, completeness: self.completeness(since) }
    }

    /// All subscribers here have been written this event, and those before it.
    pub(super) fn written(&mut self, event: EventId, now: Instant) {
        let Some(last) = self.events.iter().rposition(|kept| kept.id == event) else { return };
        let unwritten = self.events.range_mut(..=last).rev().take_while(|kept| kept.written.is_none());
        unwritten.for_each(|kept| kept.written = Some(now));
    }

    /// How far a subscriber has heard that heard up to a position and all that was written later, as far as `is_heard`
    /// says so of the event and the time at which all had been written it.
    pub(super) fn heard(&self, from: &Position, is_heard: impl Fn(EventId, Option<Instant>) -> bool) -> Position {
        let mut position = from.clone();
        for (origin, state) in &self.origins {
            let gone = EventId { origin: *origin, number: state.lost_through };
            if state.written.is_some() && is_heard(gone, state.written) {
                position.note(gone);
            }
        }
        let after = self.events.iter().filter(|kept| !from.covers(kept.id));
        let heard = after.take_while(|kept| is_heard(kept.id, kept.written));
        heard.for_each(|kept| position.note(kept.id));
        position
    }

    /// The first events after a position.
    pub(super) fn page(&self, since: &Position, limit: usize) -> HistoryPage {
        let missed = self.after(since);
        let more = missed.events.len() > limit;
        let events: Vec<EncodedEvent> = missed.events.into_iter().take(limit).cloned().collect();
        let mut position = if more { since.clone() } else { self.position() };
        events.iter().filter_map(EncodedEvent::id).for_each(|event| position.note(event));
        HistoryPage { events, is_whole: missed.completeness == Completeness::Whole, position, more }
    }

    fn completeness(&self, since: &Position) -> Completeness {
        let is_lost = |(origin, state): &(&EventOrigin, &OriginState)| {
            since.number_of(**origin).unwrap_or(0) < state.lost_through
        };
        if since.events().any(|event| !self.origins.contains_key(&event.origin)) {
            return Completeness::Partial(Cause::NodeLost);
        }
        let lost = self.origins.iter().find(is_lost);
        lost.map_or(Completeness::Whole, |(_, state)| Completeness::Partial(state.cause))
    }

    fn forget_oldest(&mut self, cause: Cause) {
        let Some(Kept { id, bytes, written, .. }) = self.events.pop_front() else { return };
        self.budget.give_back(bytes);
        if let Some(state) = self.origins.get_mut(&id.origin) {
            state.lose(id.number, cause, written);
        }
    }

    /// An origin that goes is one of which no event is kept; a position that names it is no longer whole.
    fn make_room_for_origin(&mut self) {
        if self.origins.len() < MAX_ORIGINS {
            return;
        }
        let is_kept = |origin: EventOrigin| self.events.iter().any(|kept| kept.id.origin == origin);
        let idle = self.origins.keys().copied().find(|origin| !is_kept(*origin));
        if let Some(idle) = idle {
            self.origins.remove(&idle);
        }
    }
}

impl Drop for History {
    fn drop(&mut self) {
        self.budget.give_back(self.events.iter().map(|kept| kept.bytes).sum());
    }
}

#[cfg(test)]
mod tests;

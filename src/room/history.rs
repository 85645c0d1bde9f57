//! What a room keeps of its events, for subscribers that come back and for back ends that read it. Pure.
//!
//! Invariant: of each origin, everything after `lost_through` up to `last` is kept. So whether a replay is whole is not
//! guessed: it is whole if the position that it starts from is not before what was lost.

mod budget;
mod completeness;
mod exchange;
mod moment;
mod origin;
mod shared;
pub(super) mod wire;

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    mem,
    time::{Duration, Instant},
};

use crate::{
    config::HistoryWindow,
    event::{EncodedEvent, Numbered},
    protocol::{EventId, EventOrigin, Position, position::MAX_ORIGINS},
};

use origin::OriginState;

pub(super) use budget::HistoryBudget;
pub(super) use completeness::Cause;
pub use completeness::Completeness;
pub use exchange::{Known, OldEvent, Shared, Span, Stored};
pub use shared::Histories;
pub(super) use shared::WaitingPlace;

/// Bytes that an event costs beside its own.
const OVERHEAD: usize = size_of::<Kept>() + 64;

/// The history of one room.
#[derive(Debug)]
pub(super) struct History {
    window: HistoryWindow,
    budget: HistoryBudget,
    events: VecDeque<Kept>,
    origins: BTreeMap<EventOrigin, OriginState>,
    /// This node's own last event when the room was opened. Of an origin that is not known here, everything is older.
    opened: Option<EventId>,
    /// Until then the room lives on without subscribers: one that left lately may come back.
    awaits_until: Option<Instant>,
    /// Whether the room will be woken when the first of this is over.
    is_watched: bool,
    /// Everything that came after this moment is kept, but for what was lost on the way.
    whole_since: Option<Instant>,
}

#[derive(Debug)]
struct Kept {
    id: EventId,
    event: EncodedEvent,
    at: Instant,
    /// When all subscribers here had been written it.
    written: Option<Instant>,
    /// Whether other nodes told of it when the room was open: it was written to nobody then.
    was_told: bool,
    bytes: usize,
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

impl History {
    /// A history without events.
    pub(super) fn new(window: HistoryWindow, budget: HistoryBudget) -> Self {
        Self {
            window,
            budget,
            events: VecDeque::new(),
            origins: BTreeMap::new(),
            opened: None,
            awaits_until: None,
            is_watched: false,
            whole_since: None,
        }
    }

    /// The room is opened after this event of its own node.
    pub(super) fn open(&mut self, at: EventId) {
        self.opened.get_or_insert(at);
    }

    /// From now on nothing of this origin after its event `from` is missed here.
    pub(super) fn begin(&mut self, from: EventId) {
        self.origins.entry(from.origin).or_insert(OriginState::begin(from.number));
    }

    /// Keeps an event, and lets those go that exceed the window or the node's budget. Returns how many went for the
    /// budget alone.
    pub(super) fn keep(&mut self, event: EncodedEvent, numbered: Numbered, now: Instant) -> usize {
        if self.has_from_peers(numbered.id) {
            return 0;
        }
        self.pass_over(numbered);
        let kept = self.kept(numbered.id, event, now);
        self.events.push_back(kept);
        self.trim_to_bounds(now)
    }

    /// An event with its place in the budget.
    fn kept(&self, id: EventId, event: EncodedEvent, at: Instant) -> Kept {
        let bytes = event.bytes() + OVERHEAD;
        self.budget.take(bytes);
        Kept { id, event, at, written: None, was_told: false, bytes }
    }

    /// Whether an event came already from other nodes, of an origin that this one did not know.
    fn has_from_peers(&self, id: EventId) -> bool {
        let may_have =
            self.origins.get(&id.origin).is_some_and(|state| state.settled.is_some() && id.number <= state.last);
        may_have && self.events.iter().any(|kept| kept.id == id)
    }

    /// Lets those go that exceed the window or the node's budget. Returns how many went for the budget alone.
    fn trim_to_bounds(&mut self, now: Instant) -> usize {
        self.trim(now);
        let before = self.events.len();
        while self.budget.is_exceeded() && !self.events.is_empty() {
            self.forget_oldest(Cause::Memory);
        }
        before - self.events.len()
    }

    /// Whether an event is missing before this one that should have come here.
    pub(super) fn is_behind(&self, Numbered { id: EventId { origin, .. }, predecessor }: Numbered) -> bool {
        self.origins.get(&origin).is_some_and(|state| predecessor.is_some_and(|before| before > state.last))
    }

    /// Notes an event that is not kept: a client's.
    pub(super) fn pass_over(&mut self, Numbered { id: EventId { origin, number }, predecessor }: Numbered) {
        if !self.origins.contains_key(&origin) {
            self.make_room_for_origin();
        }
        let before = predecessor.unwrap_or(number.saturating_sub(1));
        let state = self.origins.entry(origin).or_insert(OriginState::begin(before));
        state.has_ended = false;
        if number > state.last {
            // It has come to what only itself can tell.
            (state.settled, state.assumed) = (None, 0);
        }
        if predecessor.is_some_and(|before| before > state.last) {
            state.lose(before, Cause::NodeLost, None);
        }
        state.last = state.last.max(number);
        // Between an event and its predecessor there is none; 0 is also said where the predecessor is forgotten.
        if before > 0 && number > state.lost_through {
            state.close(before);
        }
    }

    /// What this origin sent up to a number is lost for this node.
    pub(super) fn lose(&mut self, lost: EventId) {
        let state = self.origins.entry(lost.origin).or_insert(OriginState::begin(0));
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

    /// Whether events may come here that are not after the position, or not after what is replayed to who has it.
    pub(super) fn may_hear_again(&self, position: &Position) -> bool {
        let last = |origin: EventOrigin| self.origins.get(&origin).map_or(0, |state| state.last);
        let is_behind = position.events().any(|event| event.number > last(event.origin));
        is_behind || self.origins.values().any(|state| state.settled.is_some())
    }

    /// Whether a node may come back of whose events more is known here than came from itself.
    pub(super) fn may_come_back(&self) -> bool {
        self.origins.values().any(|state| state.settled.is_some() && !state.has_ended)
    }

    /// Whether events of an origin come here as it publishes them.
    pub(super) fn hears(&self, origin: EventOrigin) -> bool {
        self.origins.get(&origin).is_some_and(|state| state.settled.is_none())
    }

    /// Whether this event of a node that does not live is not known here, and nothing before it can be had that is missing.
    pub(super) fn assumes(&self, event: EventId) -> bool {
        self.origins.get(&event.origin).is_some_and(|state| (state.last + 1..=state.assumed).contains(&event.number))
    }

    /// Whether an event is among those that somebody with this position has not heard.
    fn is_after(&self, event: EventId, position: &Position) -> bool {
        let concerns = || self.origins.get(&event.origin).is_none_or(|state| state.concerns(event.origin, position));
        !position.covers(event) && concerns()
    }

    /// What comes after a position, in the order in which this node heard it.
    pub(super) fn after(&self, since: &Position) -> Missed<'_> {
        let events = self.events.iter().filter(|kept| self.is_after(kept.id, since)).map(|kept| &kept.event).collect();
        Missed { events, completeness: self.completeness(since) }
    }

    /// The newest events, so many at most, the oldest of them first.
    pub(super) fn newest(&self, limit: usize) -> Vec<EncodedEvent> {
        let first = self.events.len().saturating_sub(limit);
        self.events.range(first..).map(|kept| kept.event.clone()).collect()
    }

    /// All subscribers here have been written these events, in their order, and those that came before them.
    pub(super) fn written(&mut self, events: impl DoubleEndedIterator<Item = EventId>, now: Instant) {
        // Each of them is looked for only where some may stand among older ones, because other nodes had told of them.
        let most = if self.origins.values().any(|state| state.settled.is_some()) { usize::MAX } else { 1 };
        for event in events.rev().take(most) {
            let Some(last) = self.events.iter().rposition(|kept| kept.id == event) else { continue };
            let unwritten = self.events.range_mut(..=last).rev().take_while(|kept| kept.written.is_none());
            let came_here = unwritten.filter(|kept| !kept.was_told || kept.id == event);
            came_here.for_each(|kept| kept.written = Some(now));
        }
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
        // What was not heard of one origin says nothing of others: other nodes may have told of it.
        let mut unheard = BTreeSet::new();
        for kept in self.events.iter().filter(|kept| self.is_after(kept.id, from)) {
            if is_heard(kept.id, kept.written) && !unheard.contains(&kept.id.origin) {
                position.note(kept.id);
            } else {
                unheard.insert(kept.id.origin);
            }
        }
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
        self.missing(since).next().map_or(Completeness::Whole, Completeness::Partial)
    }

    /// Whether something is missing after a position that other nodes may have, and nothing that they cannot have.
    pub(super) fn may_be_completed(&self, since: &Position) -> bool {
        let mut missing = self.missing(since).peekable();
        missing.peek().is_some() && missing.all(Cause::is_local)
    }

    /// Whether nothing is missing after a position.
    pub(super) fn is_whole_after(&self, since: &Position) -> bool {
        self.missing(since).next().is_none()
    }

    /// A position from which on all must be told for everything to be known after this one: of an origin that has ended, others
    /// may have known more than was told here.
    pub(super) fn known_before(&self, position: &Position) -> Position {
        let known = |event: EventId| match self.origins.get(&event.origin) {
            Some(state) if state.settled.is_some() => event.number.min(state.last),
            Some(_) | None => event.number,
        };
        position.events().map(|event| EventId { number: known(event), ..event }).collect()
    }

    /// Why something is missing after a position, for each origin of which there is.
    fn missing(&self, since: &Position) -> impl Iterator<Item = Cause> {
        // What has ended before the position says was not known in full by those who told of it.
        let is_unknown = |event: &EventId| {
            self.origins
                .get(&event.origin)
                .is_none_or(|state| state.settled.is_some() && state.vouched() < event.number)
        };
        let unknown = since.events().filter(is_unknown).map(|_| Cause::NodeLost);
        let is_lost = |(origin, state): &(&EventOrigin, &OriginState)| {
            since.number_of(**origin).unwrap_or(0) < state.lost_through && state.concerns(**origin, since)
        };
        unknown.chain(self.origins.iter().filter(is_lost).map(|(_, state)| state.cause))
    }

    fn forget_oldest(&mut self, cause: Cause) {
        let Some(Kept { id, bytes, written, at, .. }) = self.events.pop_front() else { return };
        self.begin_at(at);
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
            self.opened = None;
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

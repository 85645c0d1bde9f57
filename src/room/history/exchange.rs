//! What histories of one channel on several nodes tell one another. Pure.
//!
//! Nobody says "this is all": a span says between which numbers of an origin all events are known, and a history goes back
//! only as far as spans join one another and what it has itself. Where one is missing, it stays as it is.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, HashSet, VecDeque},
    mem,
    time::{Duration, Instant},
};

use super::{Cause, History, Kept, OriginState};
use crate::{
    event::{EncodedEvent, Numbered},
    protocol::{EventId, EventOrigin, Position},
};

/// What somebody knows of one origin: all its events on the channel after one number, up to another. Those after the
/// position that was asked for are told along with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Span {
    pub origin: EventOrigin,
    /// All events after this one are known,
    pub after: u64,
    /// up to this one.
    pub last: u64,
    /// Whether the origin has left in order, so that nothing comes after these.
    pub has_ended: bool,
    /// Who has heard one of these events has come to the channel, or heard it on, after the origin's end.
    pub settled: Position,
}

/// An event that another node keeps.
#[derive(Debug, Clone)]
pub struct OldEvent {
    pub id: EventId,
    /// How long it has been kept there.
    pub age: Duration,
    pub event: EncodedEvent,
}

/// What one node knows of a channel.
#[derive(Debug, Clone, Default)]
pub struct Shared {
    /// Its own last event when it opened the room, if it has one. Of an origin that it does not know, everything is older.
    pub opened: Option<EventId>,
    pub spans: Vec<Span>,
    /// All events of the spans.
    pub events: Vec<OldEvent>,
}

/// What the stream behind the nodes' memory has of a channel.
#[derive(Debug, Clone)]
pub struct Stored {
    /// The same as a node would tell.
    pub shared: Shared,
    /// Everything that was published since then is among the events.
    pub since: Instant,
    /// How far nodes were heard that do not live, by whomever. What they had not stored of that, nobody has.
    pub assumed: Position,
    /// Nodes that are not known to have ended, and have not answered.
    pub silent: Vec<EventOrigin>,
}

/// What all nodes know of a channel.
#[derive(Debug, Default)]
pub struct Known {
    /// Of each living node, this one included, the event after which none of the channel is missed here.
    pub positions: Vec<EventId>,
    pub answers: Vec<Shared>,
    /// What the stream has, if it was read.
    pub stored: Option<Stored>,
}

impl Span {
    /// Whether it reaches from before this number up to it.
    fn reaches(&self, number: u64) -> bool {
        self.after < number && (self.has_ended || self.last >= number)
    }
}

impl Shared {
    /// Who has heard one of these events has heard nothing less than what this node did not know of the origin.
    fn settled(&self, origin: EventOrigin) -> Vec<EventId> {
        match self.spans.iter().find(|span| span.origin == origin) {
            Some(span) => span.settled.events().collect(),
            None => self.opened.into_iter().collect(),
        }
    }
}

impl History {
    /// What is known here after a position, with as many of the newest events as have so many bytes.
    pub(in crate::room) fn share(&self, since: &Position, bytes: usize, now: Instant) -> Shared {
        let mut spans: BTreeMap<_, _> =
            self.origins.iter().map(|(origin, state)| (*origin, self.span(*origin, state, since))).collect();
        let (mut left, mut events) = (bytes, VecDeque::new());
        for Kept { id, event, at, .. } in self.events.iter().rev() {
            let Some(span) = spans.get_mut(&id.origin).filter(|span| id.number > span.after) else { continue };
            if let Some(rest) = left.checked_sub(event.frame.len()) {
                left = rest;
                let age = now.saturating_duration_since(*at);
                events.push_front(OldEvent { id: *id, age, event: event.clone() });
            } else {
                // Nor is anything older told.
                (left, span.after) = (0, id.number);
            }
        }
        Shared { opened: self.opened, spans: spans.into_values().collect(), events: events.into() }
    }

    fn span(&self, origin: EventOrigin, state: &OriginState, since: &Position) -> Span {
        let asked = since.number_of(origin).unwrap_or(0).min(state.last);
        let mut settled = state.settled.clone().unwrap_or_default();
        self.opened.iter().filter(|_| state.settled.is_some()).for_each(|opened| settled.note(*opened));
        let (after, last, has_ended) = (state.lost_through.max(asked), state.last, state.has_ended);
        Span { origin, after, last, has_ended, settled }
    }

    /// Takes what all nodes know. Returns how many events went for the budget alone.
    pub(in crate::room) fn merge(&mut self, Known { positions, mut answers, stored }: Known, now: Instant) -> usize {
        let whole = stored.as_ref().map(|stored| (stored.since, beginnings(&stored.shared)));
        positions.iter().for_each(|position| self.begin(*position));
        // Who lives here is believed to have ended by those alone who do not hear it.
        let lives = |origin: EventOrigin| positions.iter().any(|position| position.origin == origin);
        answers.iter_mut().flat_map(|answer| &mut answer.spans).for_each(|span| span.has_ended &= !lives(span.origin));
        let mut spans: Vec<Span> = answers.iter().flat_map(|answer| answer.spans.clone()).collect();
        // What one that does not live published is in the stream or nowhere, but it has not said that it left.
        let stored_spans = stored.iter().flat_map(|stored| &stored.shared.spans);
        spans.extend(stored_spans.map(|span| Span { has_ended: !lives(span.origin), ..span.clone() }));
        let (assumed, silent) =
            stored.as_ref().map(|stored| (stored.assumed.clone(), stored.silent.clone())).unwrap_or_default();
        answers.extend(stored.map(|stored| stored.shared));
        self.adopt(&answers);
        self.join(&spans, &silent);
        self.assume(&assumed);
        self.insert(answers.into_iter().flat_map(|answer| answer.events).collect(), now);
        if let Some((since, beginnings)) = whole {
            self.reach_back(since, &beginnings);
        }
        self.trim_to_bounds(now)
    }

    /// Of each origin as much is known as spans join one another, and what was known here. Of one that is silent what is stored
    /// may still come from itself, or never.
    fn join(&mut self, spans: &[Span], silent: &[EventOrigin]) {
        for (origin, state) in &mut self.origins {
            let of_origin = || spans.iter().filter(|span| span.origin == *origin);
            // What came from one that has ended, and did not come here, does not come any more; if it does, it was known.
            let is_silent = silent.contains(origin);
            let goes_on = |last| {
                of_origin().find(|span| (span.has_ended || is_silent) && (span.after..span.last).contains(&last))
            };
            while let Some(span) = goes_on(state.last) {
                state.last = span.last;
                state.settled.get_or_insert_default();
            }
            let joins = |number| of_origin().find(|span| span.reaches(number));
            while state.cause.is_local()
                && let Some(span) = joins(state.lost_through)
            {
                state.lost_through = span.after;
            }
        }
    }

    /// What the stream has of those that do not live is all that can be had, as far as they were heard.
    fn assume(&mut self, assumed: &Position) {
        for event in assumed.events() {
            if let Some(state) = self.origins.get_mut(&event.origin).filter(|state| state.settled.is_some()) {
                state.assumed = state.assumed.max(event.number);
            }
        }
    }

    /// Everything from a moment on was taken, if all that is known of every origin reaches back to where that begins.
    fn reach_back(&mut self, since: Instant, beginnings: &BTreeMap<EventOrigin, u64>) {
        let reaches = |(origin, state): (&EventOrigin, &OriginState)| {
            beginnings.get(origin).is_some_and(|after| state.lost_through <= *after)
        };
        if !self.origins.iter().all(reaches) {
            return;
        }
        self.whole_since = self.whole_since.map(|whole_since| whole_since.min(since));
        let lost = self.origins.values_mut().filter(|state| state.cause == Cause::NodeLost);
        lost.for_each(|state| state.cause = Cause::Opened);
    }

    /// Knows from now on the origins that others know and this node does not: they have ended.
    fn adopt(&mut self, answers: &[Shared]) {
        let spans = answers.iter().flat_map(|answer| &answer.spans);
        let unknown: Vec<&Span> = spans.filter(|span| !self.origins.contains_key(&span.origin)).collect();
        let opened = self.opened;
        for Span { origin, last, has_ended, .. } in unknown {
            let settled = answers.iter().flat_map(|answer| answer.settled(*origin)).chain(opened).collect();
            if !self.origins.contains_key(origin) {
                self.make_room_for_origin();
            }
            let known = self.origins.get(origin);
            let has_ended = *has_ended || known.is_some_and(|state| state.has_ended);
            let last = known.map_or(*last, |state| state.last.max(*last));
            self.origins.insert(*origin, OriginState { settled: Some(settled), has_ended, ..OriginState::begin(last) });
        }
    }

    /// Puts events where they belong among those of their origin. What is not part of the chain is left out, and so is what
    /// is still to come here by itself.
    fn insert(&mut self, events: Vec<OldEvent>, now: Instant) {
        let mut known: HashSet<EventId> = self.events.iter().map(|kept| kept.id).collect();
        let is_wanted = |id: EventId| {
            let state = self.origins.get(&id.origin);
            state.is_some_and(|state| (state.lost_through + 1..=state.last).contains(&id.number))
        };
        let mut fresh: Vec<OldEvent> =
            events.into_iter().filter(|old| is_wanted(old.id) && known.insert(old.id)).collect();
        fresh.sort_by_key(|old| Reverse(old.age));
        let fresh: VecDeque<Kept> = in_order(fresh).map(|old| self.kept_of(old, now)).collect();
        let ours = mem::take(&mut self.events);
        self.events = joined(fresh, ours);
    }

    fn kept_of(&self, OldEvent { id, age, mut event }: OldEvent, now: Instant) -> Kept {
        event.numbered = Some(Numbered { id, predecessor: None });
        Kept { was_told: true, ..self.kept(id, event, now.checked_sub(age).unwrap_or(now)) }
    }
}

/// Of each origin the event after which all are known.
fn beginnings(shared: &Shared) -> BTreeMap<EventOrigin, u64> {
    shared.spans.iter().map(|span| (span.origin, span.after)).collect()
}

/// The same order of origins, each of which has its events in order.
fn in_order(events: Vec<OldEvent>) -> impl Iterator<Item = OldEvent> {
    let origins: Vec<EventOrigin> = events.iter().map(|old| old.id.origin).collect();
    let mut by_origin = BTreeMap::<EventOrigin, BTreeMap<u64, OldEvent>>::new();
    for old in events {
        by_origin.entry(old.id.origin).or_default().insert(old.id.number, old);
    }
    origins.into_iter().filter_map(move |origin| Some(by_origin.get_mut(&origin)?.pop_first()?.1))
}

/// The older events before ours, but each behind those of its origin that it follows.
fn joined(fresh: VecDeque<Kept>, ours: VecDeque<Kept>) -> VecDeque<Kept> {
    let mut firsts = BTreeMap::<EventOrigin, u64>::new();
    ours.iter().for_each(|kept| _ = firsts.entry(kept.id.origin).or_insert(kept.id.number));
    let is_older = |kept: &Kept| firsts.get(&kept.id.origin).is_none_or(|first| kept.id.number < *first);
    let (mut events, between): (VecDeque<_>, VecDeque<_>) = fresh.into_iter().partition(is_older);
    let mut between = Vec::from(between);
    for kept in ours {
        let is_before = |other: &mut Kept| other.id.origin == kept.id.origin && other.id.number < kept.id.number;
        events.extend(between.extract_if(.., is_before));
        events.push_back(kept);
    }
    events.extend(between);
    events
}

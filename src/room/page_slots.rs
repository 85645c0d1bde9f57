//! How far the pages among a room's subscribers have heard it, as far as their receipts prove it. Pure.

use std::{collections::HashMap, time::Instant};

use super::history::History;
use crate::{
    page::Heard,
    protocol::{EventId, Position, Since, SocketId},
};

/// The pages among the subscribers of a room that keeps a history.
#[derive(Debug, Default)]
pub(super) struct PageSlots {
    slots: HashMap<SocketId, PageSlot>,
    /// Those whose answer is on its way.
    unanswered: Vec<SocketId>,
}

#[derive(Debug)]
struct PageSlot {
    /// How far the page had heard the channel before it was answered; nothing for one that was new.
    before: Option<Box<Since>>,
    /// How far it has heard it with the answer.
    joined: Position,
    /// Since when the answer is written.
    answered: Option<Instant>,
}

impl PageSlots {
    /// A page has subscribed.
    pub(super) fn insert(&mut self, socket: SocketId, before: Option<Since>, joined: Position) {
        self.slots.insert(socket, PageSlot { before: before.map(Box::new), joined, answered: None });
        self.unanswered.push(socket);
    }

    /// Whether answers are on their way.
    pub(super) fn await_answers(&self) -> bool {
        !self.unanswered.is_empty()
    }

    /// All answers are written.
    pub(super) fn answered(&mut self, now: Instant) {
        for socket in self.unanswered.drain(..) {
            if let Some(slot) = self.slots.get_mut(&socket) {
                slot.answered = Some(now);
            }
        }
    }

    /// The page leaves for good.
    pub(super) fn forget(&mut self, socket: SocketId) {
        self.slots.remove(&socket);
    }

    /// The page's session is over: how far it has heard the room. `proven` is when that was asked of it of which it has
    /// shown that it heard all before; `has_written` tells of an event that only a part of the subscribers were written
    /// whether this one was.
    pub(super) fn part(
        &mut self,
        socket: SocketId,
        proven: Option<Instant>,
        history: &History,
        has_written: impl Fn(EventId) -> bool,
    ) -> Option<Heard> {
        let PageSlot { before, joined, answered } = self.slots.remove(&socket)?;
        let written = history.heard(&joined, |event, written| written.is_some() || has_written(event));
        let proven = match (proven, answered) {
            (Some(proven), Some(answered)) if answered <= proven => {
                let is_proven = |_, written: Option<Instant>| written.is_some_and(|written| written <= proven);
                Since::Position(history.heard(&joined, is_proven))
            }
            (_, _) => before.map_or(Since::Position(joined), |before| *before),
        };
        Some(Heard { proven, written: Since::Position(written) })
    }
}

#[cfg(test)]
mod tests;

//! How messages wait until the room knows how things stand on other nodes, and how they are replayed then.

use std::mem;

use super::{Effect, RoomState, Surroundings, Task};
use crate::room::{
    cached::Cache,
    held::Held,
    messages::{Forwarded, Opening, RoomMessage},
};

/// Whether a room knows how things stand on other nodes.
#[derive(Debug)]
pub(super) enum Phase {
    /// Not yet; what waits for it.
    Opening(Held),
    /// It does, and takes what has waited, so many messages a turn. The first of them waited for the opening.
    CatchingUp(Held, usize),
    /// It does, or there are no other nodes.
    Open,
}

impl RoomState {
    /// Whether messages wait that are to be replayed.
    pub fn is_catching_up(&self) -> bool {
        matches!(self.phase, Phase::CatchingUp(..))
    }

    /// Takes a message; while the room opens, all waits but what other nodes say.
    pub(super) fn take(&mut self, forwarded: Forwarded, around: &Surroundings, effects: &mut Vec<Effect>) {
        if matches!(self.phase, Phase::Open) && self.lacks_position(&forwarded.message, around) {
            return self.reopen(forwarded, effects);
        }
        match (forwarded, &mut self.phase) {
            (Forwarded { message: RoomMessage::FromPeers(from_peers), .. }, _) => {
                self.hear(from_peers, around, effects);
            }
            (forwarded, Phase::Opening(held)) => held.push(forwarded),
            (forwarded, Phase::CatchingUp(held, _)) => held.append(forwarded),
            (Forwarded { message, underway }, Phase::Open) => {
                self.act(message, around, effects);
                effects.extend(underway.map(Effect::Handled));
            }
        }
    }

    /// Whether somebody subscribes who could not be told how far it has heard the channel: the app's rules have come to
    /// ask for a history while the room was open.
    fn lacks_position(&mut self, message: &RoomMessage, around: &Surroundings) -> bool {
        if !self.is_clustered || !matches!(message, RoomMessage::Join(_)) {
            return false;
        }
        self.follow_history_rules(around);
        self.history.as_ref().is_some_and(|history| history.position().is_empty())
    }

    /// All waits until the cluster has said with which numbers the history begins.
    fn reopen(&mut self, first: Forwarded, effects: &mut Vec<Effect>) {
        let mut held = Held::default();
        held.push(first);
        self.phase = Phase::Opening(held);
        effects.push(Effect::AskPositions);
    }

    pub(super) fn open(&mut self, opening: Opening, around: &Surroundings, effects: &mut Vec<Effect>) {
        let Phase::Opening(held) = &mut self.phase else { return };
        let held = mem::take(held);
        let waited = held.len();
        self.phase = Phase::CatchingUp(held, waited);
        self.remote = opening.subscriptions;
        for member in opening.members {
            self.membership.set_remote(&member.user.clone(), Some(member));
        }
        if let Some(cached) = opening.cached {
            self.keep(cached, around, effects);
        }
        self.begin_history(opening.positions, around);
        effects.push(Effect::Schedule(Task::Replay));
    }

    /// Takes the next message that waits; after the last one the room is open.
    pub(super) fn replay(&mut self, around: &Surroundings, effects: &mut Vec<Effect>) {
        let Phase::CatchingUp(held, waited) = &mut self.phase else { return };
        let has_waited = *waited > 0;
        *waited = waited.saturating_sub(1);
        let Some(Forwarded { message, underway }) = held.pop() else {
            self.phase = Phase::Open;
            effects.extend(self.asking.is_empty().then_some(Effect::Opened));
            return;
        };
        match message {
            // It was published before what the room has just learnt was known here, and may be older.
            RoomMessage::Publish(event, permit, publish_permit) if has_waited => {
                let at = Cache::default().date(event.accepted_at);
                self.publish_dated((event, at), (permit, publish_permit), around, effects);
            }
            message => self.act(message, around, effects),
        }
        effects.extend(underway.map(Effect::Handled));
    }

    /// The thread's other rooms have their turn before more is replayed.
    pub(super) fn end_replay(&mut self, around: &Surroundings, effects: &mut Vec<Effect>) {
        if self.is_catching_up() {
            self.announce_due(around);
            effects.push(Effect::Schedule(Task::ReplayLater));
        }
    }
}

//! What a room is told while it does not know yet how things stand on the other nodes. Pure.
//!
//! Invariant: it holds at most about twice what subscriptions that still stand, events and client events need, however
//! often sockets join and leave meanwhile: that of events is bounded by their places in the backlog. What sockets sent is
//! underway until it is handled, so that no more of them are read while much waits in whatever rooms.

use std::{
    collections::{HashSet, VecDeque},
    mem,
};

use super::messages::{Forwarded, Join, RoomMessage};

/// Below so many messages nothing is dropped.
const FEW: usize = 1_024;

/// Messages that wait, in order.
#[derive(Debug, Default)]
pub(super) struct Held {
    messages: VecDeque<Forwarded>,
    /// After how many messages those that came to nothing are dropped.
    limit: usize,
}

impl Held {
    /// Adds a message. Nobody has been answered yet: where many wait, a join that was followed by a leave, or by the same
    /// socket's next join, is dropped, and so is a leave.
    pub(super) fn push(&mut self, message: Forwarded) {
        self.messages.push_back(message);
        if self.messages.len() > self.limit.max(FEW) {
            self.drop_what_came_to_nothing();
            self.limit = self.messages.len() * 2;
        }
    }

    /// Adds a message that comes after the first answers, when every leave counts.
    pub(super) fn append(&mut self, message: Forwarded) {
        self.messages.push_back(message);
    }

    /// Adds messages that come before all that wait.
    pub(super) fn prepend(&mut self, mut before: Self) {
        before.messages.append(&mut self.messages);
        self.messages = before.messages;
    }

    /// The oldest message.
    pub(super) fn pop(&mut self) -> Option<Forwarded> {
        self.messages.pop_front()
    }

    /// The sockets that wait to join.
    pub(super) fn joins(&self) -> impl Iterator<Item = &Join> {
        self.messages.iter().filter_map(|forwarded| match &forwarded.message {
            RoomMessage::Join(join) => Some(join),
            _ => None,
        })
    }

    /// How many wait.
    pub(super) fn len(&self) -> usize {
        self.messages.len()
    }

    fn drop_what_came_to_nothing(&mut self) {
        let mut decided = HashSet::new();
        let mut kept = VecDeque::new();
        for message in mem::take(&mut self.messages).into_iter().rev() {
            let stays = match &message.message {
                RoomMessage::Join(join) => decided.insert(join.subscriber.id),
                RoomMessage::Leave(socket) => {
                    decided.insert(*socket);
                    false
                }
                // The page behind it is to be told.
                RoomMessage::Part(parting) => {
                    decided.insert(parting.socket);
                    true
                }
                RoomMessage::Publish(..)
                | RoomMessage::ClientEvent(..)
                | RoomMessage::FromPeers(_)
                | RoomMessage::StopAwaiting => true,
            };
            if stays {
                kept.push_front(message);
            }
        }
        self.messages = kept;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        outbox::Outbox,
        protocol::SocketId,
        room::{Dialect, Join, Subscriber},
    };

    fn join(id: u64, attempt: u32) -> Forwarded {
        let (id, outbox) = (SocketId::from_bits(id), Outbox::new(usize::MAX));
        let subscriber = Subscriber { id, outbox, dialect: Dialect::Pusher };
        let message = RoomMessage::Join(Join { subscriber, claim: None, since: None, page: None, attempt });
        Forwarded { message, underway: None }
    }

    fn leave(id: u64) -> Forwarded {
        Forwarded { message: RoomMessage::Leave(SocketId::from_bits(id)), underway: None }
    }

    fn words(held: &mut Held) -> Vec<String> {
        let word = |forwarded: Forwarded| match forwarded.message {
            RoomMessage::Join(Join { subscriber, attempt, .. }) => format!("+{}/{attempt}", subscriber.id.bits()),
            RoomMessage::Leave(socket) => format!("-{}", socket.bits()),
            other => format!("{other:?}"),
        };
        std::iter::from_fn(|| held.pop()).map(word).collect()
    }

    #[test]
    fn a_few_messages_stay_as_they_came() {
        let mut held = Held::default();
        [join(1, 1), leave(1), join(1, 2)].into_iter().for_each(|message| held.push(message));
        assert_eq!(words(&mut held), ["+1/1", "-1", "+1/2"]);
    }

    #[test]
    fn of_many_only_what_stands_is_kept_and_in_order() {
        let mut held = Held::default();
        held.push(join(1, 1));
        for attempt in 0..10_000 {
            held.push(join(2, attempt));
            held.push(leave(2));
            held.push(join(3, attempt));
            assert!(held.len() <= FEW + 1, "{}", held.len());
        }
        held.drop_what_came_to_nothing();
        assert_eq!(words(&mut held), ["+1/1", "+3/9999"]);
    }

    #[test]
    fn many_who_stay_are_all_kept() {
        let mut held = Held::default();
        (0..5_000).for_each(|id| held.push(join(id, 1)));
        assert_eq!(held.len(), 5_000);
    }
}

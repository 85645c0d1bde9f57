//! The rooms whose events are wanted here, from the subscription to its end.
//!
//! Bounds: there is one entry for each room that is wanted here, and [`MAX_LINGERING`] more; one barrier each at most.

use std::{sync::Arc, time::Duration};

use super::{Core, Output, ServedRoom};
use crate::{
    fact::{FactKey, Member},
    frame::{Stream, Unnumbered},
    remote::{RemoteChange, RemoteState},
    room::{NodeId, Room},
    snapshot::ASK_AGAIN,
    subject::Subject,
};

/// How long a room that is no longer wanted stays subscribed.
const LINGER: Duration = Duration::from_secs(30);

/// Rooms that are no longer wanted and still subscribed, at most; beyond it the oldest end at once. It spares the
/// servers a client that reloads its page, not one that names ever-new rooms.
const MAX_LINGERING: usize = 1024;

/// Barriers that are given up or raised again in one step at most.
const MAX_PER_STEP: usize = 512;

impl Core {
    pub(super) fn serve(&mut self, room: Room) {
        if let Some(served) = self.rooms.get_mut(&room) {
            let is_open = served.barrier.is_none();
            if let Some(ends) = served.ends.take() {
                self.lingering.remove(&(ends, room.clone()));
            }
            if is_open {
                self.open(room);
            }
            return;
        }
        let stream = Stream::of(&room);
        self.streams.insert(stream, room.clone());
        self.peers.values_mut().for_each(|peer| peer.sequencer.follow(stream));
        self.outputs.push(Output::Subscribe(room.clone()));
        self.rooms.insert(room.clone(), ServedRoom { barrier: None, ends: None });
        if self.is_connected() {
            self.raise_barrier(&room);
        } else {
            // No other node publishes anything, so nothing can be missed.
            self.open(room);
        }
    }

    /// The room is no longer wanted here; it stays subscribed for a while, for clients that come back.
    pub(super) fn leave(&mut self, room: &Room) {
        let Some(served) = self.rooms.get_mut(room) else { return };
        let ends = self.now.up + LINGER;
        if let Some(earlier) = served.ends.replace(ends) {
            self.lingering.remove(&(earlier, room.clone()));
        }
        self.lingering.insert((ends, room.clone()));
        while self.lingering.len() > MAX_LINGERING
            && let Some((_, oldest)) = self.lingering.pop_first()
        {
            self.unsubscribe(oldest);
        }
    }

    pub(super) fn unsubscribe_unwanted(&mut self) {
        while self.lingering.first().is_some_and(|(at, _)| *at <= self.now.up)
            && let Some((_, room)) = self.lingering.pop_first()
        {
            self.unsubscribe(room);
        }
    }

    fn unsubscribe(&mut self, room: Room) {
        if let Some(token) = self.rooms.remove(&room).and_then(|served| served.barrier) {
            self.barriers.remove(&token);
        }
        let stream = Stream::of(&room);
        self.streams.remove(&stream);
        self.peers.values_mut().for_each(|peer| peer.sequencer.leave(stream));
        self.outputs.push(Output::Unsubscribe(room));
    }

    fn open(&mut self, room: Room) {
        self.open_after(room, None);
    }

    /// Reports the state of a room that begins to be served. Of very many remote members those that fit into one step
    /// are reported first, as if they joined now.
    fn open_after(&mut self, room: Room, after: Option<Arc<str>>) {
        let most = self.settings.facts_in_page();
        let members: Vec<Member> = self.view.remote_members(&room, after.as_ref()).take(most).cloned().collect();
        if let Some(last) = members.last().filter(|_| members.len() == most) {
            self.opening.insert(room.clone(), last.user.clone());
            let changes = members.into_iter().map(|member| {
                let (room, user) = (room.clone(), member.user.clone());
                Output::Remote(RemoteChange::Member { room, user, member: Some(member) })
            });
            return self.outputs.extend(changes);
        }
        let sockets = self.view.remote_sockets(&FactKey::Count(room.clone()));
        let cached = self.cached(&room).cloned();
        let positions = self.positions(&room).collect();
        self.outputs.push(Output::Serving(RemoteState { sockets, members, cached, positions, room }));
    }

    /// Of each node, this one included, the event after which none of the room is missed here.
    pub(super) fn positions(&self, room: &Room) -> impl Iterator<Item = (NodeId, u64)> {
        let stream = Stream::of(room);
        let peers = self.peers.iter().map(move |(node, peer)| (*node, peer.sequencer.position(stream)));
        [(self.settings.node, self.outgoing.last())].into_iter().chain(peers)
    }

    /// Reports the next members of a room that has more than fit into one step.
    pub(super) fn open_some(&mut self) {
        if let Some((room, after)) = self.opening.pop_first()
            && self.rooms.contains_key(&room)
        {
            self.open_after(room, Some(after));
        }
    }

    /// Sends a message to ourselves behind the subscription: once it is back, the bus has handled both.
    fn raise_barrier(&mut self, room: &Room) {
        let Some(served) = self.rooms.get_mut(room) else { return };
        self.last_barrier += 1;
        let token = self.last_barrier;
        served.barrier = Some(token);
        self.barriers.insert(token, (room.clone(), self.now.up + ASK_AGAIN));
        self.send(Subject::Node(self.settings.node), Unnumbered::Barrier { token });
    }

    pub(super) fn pass_barrier(&mut self, token: u64) {
        let Some((room, _)) = self.barriers.remove(&token) else { return };
        if let Some(served) = self.rooms.get_mut(&room) {
            served.barrier = None;
            self.open(room);
        }
    }

    /// While disconnected, nothing can come from other nodes, so nothing more can be missed.
    pub(super) fn pass_barriers(&mut self) {
        let tokens: Vec<u64> = self.barriers.keys().copied().take(MAX_PER_STEP).collect();
        tokens.into_iter().for_each(|token| self.pass_barrier(token));
    }

    pub(super) fn repeat_barriers(&mut self) {
        // Raised in order, so the first is the first to be late.
        for _ in 0..MAX_PER_STEP {
            let Some(first) = self.barriers.first_entry().filter(|first| first.get().1 <= self.now.up) else { return };
            let (room, _) = first.remove();
            self.raise_barrier(&room);
        }
    }
}

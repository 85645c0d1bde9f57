//! The channels of the signed-in users of one thread (protocol.md §1.12). Such a channel is a room like any other, whose
//! subscribers are the sockets that are signed in as the user. But there are many of them, each with a socket or two, and
//! an actor takes some 12 KiB: so their shard keeps them, and gives them their turns at once.

use std::{collections::HashMap, sync::Arc};

use super::{
    messages::Forwarded,
    perform::Room,
    state::{RoomInput, Task},
};
use crate::protocol::ChannelName;

/// Rooms by app and channel.
#[derive(Default)]
pub(super) struct UserRooms(HashMap<(Arc<str>, ChannelName), Box<Room>>);

/// What became of a room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    /// It is there, or was not there before.
    Unchanged,
    /// It had nothing left to keep, and is gone.
    Retired,
}

impl UserRooms {
    /// Whether there is a room for the channel.
    pub(super) fn contains(&self, app_id: &Arc<str>, channel: &ChannelName) -> bool {
        self.0.contains_key(&(app_id.clone(), channel.clone()))
    }

    /// Adds a room.
    pub(super) fn add(&mut self, room: Room) {
        self.0.insert((room.app.id().clone(), room.state.channel().clone()), Box::new(room));
    }

    /// Hands a message to its room, if that is there.
    pub(super) fn forward(&mut self, app_id: &Arc<str>, channel: &ChannelName, forwarded: Forwarded) -> Outcome {
        let key = (app_id.clone(), channel.clone());
        let Some(room) = self.0.get_mut(&key) else { return Outcome::Unchanged };
        room.step_at_once(RoomInput::Message(forwarded));
        if !room.state.is_idle() {
            return Outcome::Unchanged;
        }
        self.0.remove(&key);
        Outcome::Retired
    }
}

impl Room {
    /// Takes an input, and all the turns that the room asks for.
    fn step_at_once(&mut self, input: RoomInput) {
        let mut tasks = self.services.tasks.take();
        self.step(input, &mut tasks);
        while let Some(task) = tasks.pop() {
            match task {
                Task::Replay | Task::ReplayLater => self.replay(&mut tasks),
                Task::Announce => _ = self.step(RoomInput::Announce, &mut tasks),
                Task::Serve => self.serve_at_once(&mut tasks),
                // Of a user's channel nothing is told after a pause, and nothing is kept.
                Task::WakeAfter(..) | Task::AwaitReturn | Task::AskPeers => {}
            }
        }
        self.services.tasks.set(tasks);
    }
}

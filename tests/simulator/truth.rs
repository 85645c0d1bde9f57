//! What pages are held to: what a room keeps of its events, and has had the time to write, the pages among its subscribers
//! have heard, unless it was from before they came, or they were told that something may be missing.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use gaung::{
    protocol::{ChannelName, frame::text_of},
    room::Dialect,
};
use gaung_cluster::NodeId;
use serde_json::Value;

use crate::{
    client::{Speaker, messages},
    world::{World, channel, room},
};

/// Channels that keep a history.
const KEPT: [&str; 2] = ["history-0", "private-history-0"];

/// How long events take at most from a room to a page whose node runs.
const ON_ITS_WAY: u64 = 3_000;

/// What a page must have heard, if it still has the same socket.
pub struct Owed {
    due: u64,
    client: usize,
    visit: u64,
    channel: ChannelName,
    /// The last number of each publisher.
    events: BTreeMap<Speaker, u64>,
}

impl World {
    /// What a page has heard of a channel counts from its first answer on, and from when it was told that something may be
    /// missing.
    pub fn begin_progress(&mut self, client: usize, channel: &ChannelName, message: &Value) {
        let numbers = self.numbers.iter().filter(|((_, other), _)| other == channel);
        let numbers: BTreeMap<Speaker, u64> = numbers.map(|((speaker, _), number)| (*speaker, *number)).collect();
        let is_page = self.is_page(client);
        let Some(node) = self.clients[client].socket.as_ref().map(|socket| socket.speaker.node) else { return };
        let Some(progress) = self.clients[client].progress.get_mut(channel) else { return };
        if progress.nodes.is_empty() {
            progress.before = numbers;
            let is_told = message["event"] == "pusher:resumed";
            self.tally.told += u64::from(is_page && is_told);
        }
        progress.nodes.insert(node);
        self.note_awakening(client, channel, message);
    }

    /// An event has come to a node: not from what others keep, but as it was published.
    pub fn note_delivered(&mut self, slot: usize, channel: &ChannelName, frame: &Bytes) {
        let message: Value = serde_json::from_str(text_of(frame).unwrap_or_default()).unwrap_or_default();
        let event = message["data"].as_str().and_then(Speaker::read);
        if let (Some(node), Some((speaker, number))) = (self.process_mut(slot), event) {
            let last = node.delivered.entry((channel.clone(), speaker)).or_default();
            *last = number.max(*last);
        }
    }

    /// Notes now and then what pages must have heard soon, and looks whether they have.
    pub fn hold_to_truth(&mut self) {
        let now = self.net.now;
        let due: Vec<Owed> = self.owed.extract_if(.., |owed| owed.due <= now).collect();
        due.iter().for_each(|owed| self.hold(owed));
        if now.is_multiple_of(100) {
            self.note_unmet();
        }
        if now.is_multiple_of(500) {
            for (client, name) in (0..self.clients.len()).flat_map(|client| KEPT.map(|name| (client, channel(name)))) {
                let owed = self.owed_to(client, name);
                self.owed.extend(owed);
            }
        }
    }

    fn owed_to(&self, client: usize, channel: ChannelName) -> Option<Owed> {
        let known = &self.clients[client];
        let visit = known.page.as_ref().filter(|_| known.is_in(&channel))?.visit;
        let node = self.process(known.socket.as_ref()?.slot)?;
        let room = node.room(&channel)?;
        let mut events = BTreeMap::new();
        for event in room.newest_events(usize::MAX) {
            let frames = Dialect::Pusher.event(&event)?;
            let (speaker, number) = Speaker::read(messages(&frames).first()?["data"].as_str()?)?;
            if node.delivered.get(&(channel.clone(), speaker)).is_some_and(|last| number <= *last) {
                events.entry(speaker).and_modify(|last: &mut u64| *last = number.max(*last)).or_insert(number);
            }
        }
        let due = self.net.now + ON_ITS_WAY;
        (!events.is_empty()).then_some(Owed { due, client, visit, channel, events })
    }

    fn hold(&mut self, Owed { due, client, visit, channel, events }: &Owed) {
        let known = &self.clients[*client];
        let is_same = known.page.as_ref().is_some_and(|page| page.visit == *visit) && known.is_in(channel);
        let (true, Some(socket)) = (is_same, &known.socket) else { return };
        let was_stopped = self.net.slots[socket.slot].stopped_until + ON_ITS_WAY > *due;
        let Some(progress) = known.progress.get(channel).filter(|progress| !was_stopped && !progress.is_stale) else {
            return;
        };
        self.tally.held += 1;
        let living: BTreeSet<NodeId> = self.net.processes().map(|process| process.id).collect();
        // What a node published last may have come to some before it was gone, and not to others. Who was on one node heard
        // what came to that.
        let is_bound = |speaker: &Speaker| living.contains(&speaker.node) || progress.nodes.len() == 1;
        for (speaker, number) in events.iter().filter(|(speaker, _)| is_bound(speaker)) {
            let before = progress.before.get(speaker).copied().unwrap_or(0);
            let heard = progress.last.get(speaker).copied().unwrap_or(0).max(before);
            let has_lost = |node: &NodeId| self.losses.contains(&(*node, speaker.node, room(channel)));
            let may_miss = progress.unmet.contains(&speaker.node) || progress.nodes.iter().any(has_lost);
            if heard < *number && !may_miss {
                let fault =
                    format!("{} has heard {speaker} in {channel:?} up to {heard}, not {number}, at {due}", known.user);
                self.faults.push(fault);
            }
        }
    }
}

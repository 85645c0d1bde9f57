//! A channel on which nothing happens for minutes, while all nodes that published there leave in order: who was away
//! meanwhile has missed nothing, is told so, and needs not be told otherwise.

use gaung::protocol::ChannelName;
use serde_json::Value;

use crate::{
    client::Client,
    world::{World, channel, room},
};

const QUIET: &str = "history-quiet";

/// Between these times there are events on it.
const BEGINS: u64 = 12_000;
const ENDS: u64 = 40_000;

/// When some of its subscribers go.
const SLEEP: u64 = 57_000;

/// When they are back: those that left are no peers any more.
const WAKE: u64 = 200_000;

/// How many stay, and how many sleep.
const STAY: usize = 3;
const ASLEEP: usize = 3;

impl World {
    /// Those who stay, and those who sleep.
    pub fn invite_sleepers(&mut self) {
        if !self.moves_members() {
            return;
        }
        for number in 0..STAY + ASLEEP {
            let returns_at = self.net.random.between(5_000, 8_000);
            let mut client = Client::new(format!("mover-quiet-{number}"), returns_at);
            client.sleeps = number >= STAY;
            client.rejoins.push(channel(QUIET));
            self.clients.push(client);
        }
    }

    /// A millisecond of the channel.
    pub fn live_quietly(&mut self) {
        let now = self.net.now;
        if !self.moves_members() {
            return;
        }
        if (BEGINS..ENDS).contains(&now) && self.net.random.chance(4) {
            let slot = self.net.random.below(self.net.slots.len() as u64) as usize;
            if self.drains[slot].is_none() && self.is_ready(slot) {
                self.publish(slot, &channel(QUIET));
            }
        }
        if now == SLEEP {
            for client in (0..self.clients.len()).filter(|client| self.clients[*client].sleeps).collect::<Vec<_>>() {
                let returns_at = WAKE + self.net.random.below(2_000);
                self.disconnect(client, returns_at);
            }
        }
    }

    /// Notes what those are told who were away.
    pub fn note_awakening(&mut self, client: usize, channel: &ChannelName, message: &Value) {
        if self.net.now < WAKE || !self.clients[client].sleeps || message["event"] != "pusher:resumed" {
            return;
        }
        let is_whole = message["data"].as_str().is_some_and(|data| data.contains("true"));
        debug_assert_eq!(channel.as_str(), QUIET);
        *(if is_whole { &mut self.tally.slept_whole } else { &mut self.tally.slept_told }) += 1;
    }

    /// Who of the subscribers has missed an event, and was told nothing.
    pub fn missed_quietly(&self) -> Vec<String> {
        let (quiet, mut faults) = (channel(QUIET), Vec::new());
        for client in self.clients.iter().filter(|client| client.is_in(&quiet)) {
            let Some(progress) = client.progress.get(&quiet) else { continue };
            for ((speaker, _), number) in self.numbers.iter().filter(|((_, name), _)| *name == quiet) {
                let before = progress.before.get(speaker).copied().unwrap_or(0);
                let heard = progress.last.get(speaker).copied().unwrap_or(0).max(before);
                let has_lost = |node| self.losses.contains(&(node, speaker.node, room(&quiet)));
                if heard < *number && !progress.nodes.iter().any(|node| has_lost(*node)) {
                    faults.push(format!("{} has heard {speaker} in {QUIET} up to {heard}, not {number}", client.user));
                }
            }
        }
        faults
    }
}

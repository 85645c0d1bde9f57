//! A room as a state machine: `step(input, surroundings) → effects`. It knows no actor, no clock and no log; its actor
//! brings inputs in and carries effects out, in order.
//!
//! Until the cluster says that nothing is missed any more, a new room lets everything wait that its sockets and back ends
//! tell it; so its first answer and all that follows come from one place in one order.
//!
//! Files: `input` and `effect` are what goes in and out; `opening` is how messages wait for the opening and are replayed,
//! `subscriptions` who joins and leaves and the count of them, `pages` what is noted of pages, `members` what other nodes and subscribers learn of members,
//! `events` what is published, by back ends, clients and other nodes, and the cached event, `recovery` the history and
//! what is replayed of it, `asking` what other nodes are asked of it.

mod asking;
mod effect;
mod events;
mod input;
mod members;
mod opening;
mod pages;
mod recovery;
mod subscriptions;

use std::{mem, sync::Arc};

use super::{
    backlog::Permit,
    cached::Cache,
    count_notice::CountNotice,
    dialect::Announcement,
    fanout::{Fanout, Served},
    fanout_worker::Write,
    grace::Graces,
    held::Held,
    history::{Histories, History},
    member_notices::MemberNotices,
    membership::Membership,
    messages::{FromPeers, RoomMessage},
    page_slots::PageSlots,
};
use crate::{
    event::Counts,
    outbox::Outbox,
    protocol::{ChannelKind, ChannelName, SocketId},
};
use asking::Asking;
use opening::Phase;
use subscriptions::Cause;

pub use asking::QuestionOutcome;
pub use effect::{Clock, Effect, PendingClientEvent, Task};
pub use input::{RoomInput, Serving, Surroundings};
pub use recovery::keeps;

/// How many full batches of missed events a subscriber is sent at once at most.
const REPLAY_BATCHES: usize = 2;

/// One channel of one app on this node.
#[derive(Debug)]
pub struct RoomState {
    channel: ChannelName,
    kind: ChannelKind,
    /// Whether there are other nodes.
    is_clustered: bool,
    phase: Phase,
    fanout: Fanout,
    membership: Membership,
    /// What the subscribers were not told of the members yet.
    notices: MemberNotices,
    /// Subscribers on other nodes.
    remote: usize,
    /// The number of subscribers here that the other nodes were told.
    shared_count: usize,
    cache: Cache,
    /// What is kept of the channel's events, if the app wants it.
    history: Option<Box<History>>,
    histories: Histories,
    /// Who waits for what other nodes know.
    asking: Asking,
    /// Bytes of missed events that a subscriber is sent at once at most.
    max_replay_bytes: usize,
    pages: PageSlots,
    graces: Graces,
    count_notice: CountNotice,
    /// Whether a change here is among those that were not told to subscribers yet.
    count_is_ours: bool,
    /// Whether a serving turn is scheduled.
    is_serving: bool,
    /// Whether a turn is scheduled that announces what is due of the members.
    is_announcing: bool,
    /// Whether [`Clock::Members`] will ring.
    is_pausing: bool,
}

/// Whether a room has counterparts on other nodes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// It must learn how things stand on them before it opens.
    Cluster,
    /// The node is alone.
    Alone,
}

impl RoomState {
    /// A room without subscribers, which writes at most `batch_bytes` to one of them at once.
    pub fn new(channel: ChannelName, reach: Reach, batch_bytes: usize, histories: Histories) -> Self {
        let is_clustered = reach == Reach::Cluster;
        Self {
            kind: channel.kind(),
            channel,
            is_clustered,
            phase: if is_clustered { Phase::Opening(Held::default()) } else { Phase::Open },
            fanout: Fanout::new(batch_bytes),
            membership: Membership::default(),
            notices: MemberNotices::default(),
            remote: 0,
            shared_count: 0,
            cache: Cache::default(),
            history: None,
            histories,
            asking: Asking::default(),
            max_replay_bytes: batch_bytes * REPLAY_BATCHES,
            pages: PageSlots::default(),
            graces: Graces::default(),
            count_notice: CountNotice::default(),
            count_is_ours: false,
            is_serving: false,
            is_announcing: false,
            is_pausing: false,
        }
    }

    /// Takes one input; adds what is to be done about it, in order. An event for subscribers adds [`Task::Serve`] at
    /// most, and asks no clock.
    pub fn step(&mut self, input: RoomInput, around: &Surroundings, effects: &mut Vec<Effect>) {
        match input {
            RoomInput::Message(forwarded) => self.take(forwarded, around, effects),
            RoomInput::Replay => return self.replay(around, effects),
            RoomInput::EndReplay => self.end_replay(around, effects),
            RoomInput::ClientEventSent(client_event) => self.accept_client_event(*client_event, around, effects),
            RoomInput::Shelved(at, place) => return self.cache.set_place(at, place),
            RoomInput::AnnounceDue => return self.announce_due(around),
            RoomInput::Announce => {
                self.is_announcing = false;
                self.announce_due(around);
            }
            RoomInput::Served(serving) => self.is_serving = serving == Serving::GoesOn,
            RoomInput::Woke(Clock::Members) => self.is_pausing = false,
            RoomInput::Woke(Clock::Count) => self.end_count_pause(around, effects),
            RoomInput::Woke(Clock::Cache) => self.expire(around, effects),
            RoomInput::Woke(Clock::Grace) => self.end_graces(around, effects),
            RoomInput::Woke(Clock::History) => self.wake_history(around, effects),
        }
        self.settle(around, effects);
    }

    /// Where it is.
    pub fn channel(&self) -> &ChannelName {
        &self.channel
    }

    /// What it holds.
    pub fn counts(&self) -> Counts {
        Counts { subscriptions: self.fanout.len(), users: self.membership.count_here() }
    }

    /// Whether it has nothing left to keep: it lives while it has subscribers, work, a history or, where there are no other
    /// nodes to keep it, a cached event.
    pub fn is_idle(&self) -> bool {
        let keeps_nothing = match &self.phase {
            Phase::Opening(held) | Phase::CatchingUp(held, _) => held.len() == 0,
            Phase::Open => self.is_clustered || self.cache.is_empty(),
        };
        let is_awaited = self.history.as_ref().is_some_and(|history| !history.is_idle());
        let is_awaited = is_awaited || !self.graces.is_empty() || !self.asking.is_empty();
        self.fanout.len() == 0 && !self.fanout.is_waiting() && keeps_nothing && !is_awaited
    }

    /// The members: id and `user_info` as JSON text, ordered by id.
    pub fn members(&self) -> Vec<(&str, &str)> {
        self.membership.snapshot()
    }

    /// The cached event.
    pub fn cache(&self) -> &Cache {
        &self.cache
    }

    /// Writes the oldest batch to the next slice of subscribers.
    pub fn serve(&mut self) -> Served {
        self.fanout.serve(&self.channel)
    }

    /// Takes the oldest batch as writes for others to do. The next batch must wait until they are done.
    pub fn hand_over(&mut self) -> (Vec<Write>, Served) {
        self.fanout.hand_over(&self.channel)
    }

    /// Those who have fallen behind by writes that were handed over.
    pub fn take_late(&mut self) -> Vec<Arc<Outbox>> {
        self.fanout.take_late()
    }

    /// Does what a message says.
    fn act(&mut self, message: RoomMessage, around: &Surroundings, effects: &mut Vec<Effect>) {
        let message = if self.asking.is_empty() { Some(message) } else { self.wait_behind(message, effects) };
        match message {
            None => {}
            Some(message) => self.act_now(message, around, effects),
        }
    }

    fn act_now(&mut self, message: RoomMessage, around: &Surroundings, effects: &mut Vec<Effect>) {
        match message {
            RoomMessage::FromPeers(from_peers) => self.hear(from_peers, around, effects),
            RoomMessage::Join(join) => self.join(join, around, effects),
            RoomMessage::Leave(socket) => self.leave(socket, around, effects),
            RoomMessage::Part(parting) => self.part(parting, around, effects),
            RoomMessage::StopAwaiting => self.stop_awaiting(),
            RoomMessage::Publish(event, permit, publish_permit) => {
                self.publish(event, (permit, publish_permit), around, effects);
            }
            RoomMessage::ClientEvent(client_event, permit) => {
                self.publish_client_event(client_event, permit, around, effects);
            }
        }
    }

    /// Takes what came from other nodes.
    fn hear(&mut self, from_peers: FromPeers, around: &Surroundings, effects: &mut Vec<Effect>) {
        match from_peers {
            FromPeers::Opened(opening) => self.open(opening, around, effects),
            FromPeers::Subscriptions(subscriptions) => {
                self.remote = subscriptions;
                self.count_changed(Cause::Remote, around, effects);
            }
            FromPeers::Member(user, member) => self.hear_member(&user, member, around),
            FromPeers::Acted(user, action) => self.act_on_member(&user, &action, effects),
            FromPeers::Event(event, permit) => self.hear_event(event, permit, around, effects),
            FromPeers::Cached(cached, permit) => self.hear_cached(cached, permit, around, effects),
            FromPeers::CacheRepaired(cached) => self.keep(cached, around, effects),
            FromPeers::CacheEvicted(at) => self.cache.evict(at),
            FromPeers::Lost(event) => self.lose(event),
            FromPeers::History(answered) => self.hear_history(answered, around, effects),
        }
    }

    /// After every change: schedules what waits. A serving turn comes after all messages that wait now, so that what they
    /// announce shares one write.
    fn settle(&mut self, around: &Surroundings, effects: &mut Vec<Effect>) {
        if self.fanout.len() == 0 {
            // Nobody is there who could be told, and those who come are shown how it is.
            self.notices.forget();
        }
        if self.fanout.is_waiting() && !mem::replace(&mut self.is_serving, true) {
            effects.push(Effect::Schedule(Task::Serve));
        }
        self.schedule_notices(around, effects);
        self.share_count(effects);
    }

    /// Announces something to all sockets here; nothing waits where there are none.
    fn announce(&mut self, announcement: Announcement, except: Option<SocketId>, permit: Option<Permit>) {
        if self.fanout.len() > 0 {
            self.fanout.announce(announcement, except, permit);
        }
    }
}

#[cfg(test)]
mod tests;

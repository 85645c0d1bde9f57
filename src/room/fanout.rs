//! The subscribers of a room and what waits for them. A batch of announcements becomes one write per subscriber.
//!
//! Invariants: a subscriber receives announcements in the order in which they were announced, and exactly those that
//! were announced while it was subscribed. It hears nothing that was announced before it joined. What it is written at
//! once has at most the bytes of one batch, unless a single announcement is longer.

use std::{
    collections::{HashMap, VecDeque},
    mem,
    sync::Arc,
};

use bytes::Bytes;

use super::{
    backlog::Permit,
    dialect::{Announcement, Dialect},
    fanout_worker::Write,
    joined::Joined,
};
use crate::{
    event::EncodedEvent,
    outbox::{Lag, Outbox},
    protocol::{ChannelName, EventId, Position, SocketId, deflate::Encoding},
};

/// How many subscribers are served before the thread's other rooms have their turn.
pub(super) const SLICE: usize = 1_024;

/// A session as its rooms see it.
#[derive(Debug, Clone)]
pub struct Subscriber {
    /// Its name.
    pub id: SocketId,
    /// Where its frames go.
    pub outbox: Arc<Outbox>,
    /// How they are written.
    pub dialect: Dialect,
}

/// Subscribers and batches of one room.
#[derive(Debug)]
pub(super) struct Fanout {
    /// How many bytes a batch may have.
    batch_bytes: usize,
    slots: Vec<Option<Slot>>,
    index: HashMap<SocketId, usize>,
    free: Vec<usize>,
    batches: VecDeque<Batch>,
    /// How many batches were begun since the start; the number of the next one.
    begun: u64,
    /// Whether somebody joined after the last batch was begun: it takes no more.
    sealed: bool,
}

#[derive(Debug)]
struct Slot {
    subscriber: Subscriber,
    /// The first batch that it hears.
    since: u64,
    /// Events that its client heard on another node and that come here later: those up to this position.
    heard: Option<Box<Position>>,
    /// Whether the others have waited for it since it kept up last.
    was_waited_for: bool,
}

#[derive(Debug)]
struct Batch {
    number: u64,
    announced: Vec<Announced>,
    /// About how many bytes a subscriber is sent.
    bytes: usize,
    /// What was encoded so far, by dialect and encoding.
    frames: Vec<(Dialect, Encoding, Joined)>,
    /// The next slot to serve; past 0 the batch takes no more.
    position: usize,
    /// Subscribers that were written to.
    reached: usize,
}

#[derive(Debug)]
struct Announced {
    announcement: Announcement,
    except: Option<SocketId>,
    permit: Option<Permit>,
    /// Subscribers that were written to, but not this.
    spared: usize,
}

/// What one slice did.
#[derive(Debug, Default)]
pub struct Served {
    /// Events written, one per event and subscriber.
    pub deliveries: u64,
    /// WebSocket bytes written.
    pub bytes: u64,
    /// The events of a batch that is now complete.
    pub completed: Vec<Completed>,
    /// Whether more slices wait.
    pub more: bool,
    /// Sockets that must be offered what waits for them before the next batch.
    pub crowded: Vec<Arc<Outbox>>,
    /// Those who have fallen behind just now: they have the time to read before the next batch.
    pub late: Vec<Arc<Outbox>>,
    /// Places in the backlog, to be given back when the writes that were handed over are done.
    pub permits: Vec<Permit>,
}

/// An event that all its subscribers here were sent.
#[derive(Debug)]
pub struct Completed {
    /// The event.
    pub event: EncodedEvent,
    /// How many subscribers that were.
    pub sockets: usize,
}

impl Fanout {
    /// Nobody, and batches of at most `batch_bytes`.
    pub(super) fn new(batch_bytes: usize) -> Self {
        Self {
            batch_bytes,
            slots: Vec::new(),
            index: HashMap::new(),
            free: Vec::new(),
            batches: VecDeque::new(),
            begun: 0,
            sealed: false,
        }
    }

    /// Adds a subscriber, who hears what is announced from now on. Returns `false` if the socket is here already.
    pub(super) fn insert(&mut self, subscriber: Subscriber) -> bool {
        if self.index.contains_key(&subscriber.id) {
            return false;
        }
        let id = subscriber.id;
        let slot = Some(Slot { subscriber, since: self.begun, heard: None, was_waited_for: false });
        let position = match self.free.pop() {
            Some(position) => {
                self.slots[position] = slot;
                position
            }
            None => {
                if self.slots.is_empty() {
                    // Most rooms have one subscriber.
                    self.slots.reserve_exact(1);
                }
                self.slots.push(slot);
                self.slots.len() - 1
            }
        };
        self.index.insert(id, position);
        self.sealed = true;
        true
    }

    /// A subscriber has heard the channel up to a position, and is not sent again what comes later and is not after it.
    pub(super) fn set_heard(&mut self, id: SocketId, position: Position) {
        let slot = self.index.get(&id).and_then(|index| self.slots[*index].as_mut());
        slot.into_iter().for_each(|slot| slot.heard = Some(Box::new(position.clone())));
    }

    /// Takes a subscriber away; it hears nothing more, also not what waits. Returns `false` if the socket was not here.
    pub(super) fn remove(&mut self, id: SocketId) -> bool {
        let Some(position) = self.index.remove(&id) else { return false };
        self.slots[position] = None;
        self.free.push(position);
        true
    }

    /// Whether the socket is subscribed.
    pub(super) fn contains(&self, id: SocketId) -> bool {
        self.index.contains_key(&id)
    }

    /// Whether a subscriber was written this event, which waits for others.
    pub(super) fn has_written(&self, id: SocketId, event: EventId) -> bool {
        let (Some(index), Some(batch)) = (self.index.get(&id), self.batches.front()) else { return false };
        *index < batch.position && batch.announced.iter().any(|announced| announced.id() == Some(event))
    }

    /// Those who are subscribed.
    pub(super) fn subscribers(&self) -> impl Iterator<Item = &Subscriber> {
        self.slots.iter().flatten().map(|slot| &slot.subscriber)
    }

    /// How many are subscribed.
    pub(super) fn len(&self) -> usize {
        self.index.len()
    }

    /// Whether announcements wait.
    pub(super) fn is_waiting(&self) -> bool {
        !self.batches.is_empty()
    }

    /// Queues an announcement for all who are subscribed now, but for `except`. What is announced until somebody joins,
    /// the batch is full or it is served shares one write.
    pub(super) fn announce(&mut self, announcement: Announcement, except: Option<SocketId>, permit: Option<Permit>) {
        let bytes = announcement.size();
        let announced = Announced { announcement, except, permit, spared: 0 };
        match self.batches.back_mut() {
            Some(batch) if !self.sealed && batch.takes(bytes, self.batch_bytes) => {
                batch.bytes += bytes;
                batch.announced.push(announced);
            }
            _ => {
                let batch = Batch {
                    number: self.begun,
                    announced: vec![announced],
                    bytes,
                    frames: Vec::new(),
                    position: 0,
                    reached: 0,
                };
                self.batches.push_back(batch);
                self.begun += 1;
                self.sealed = false;
            }
        }
    }

    /// Writes the oldest batch to the next slice of subscribers.
    pub(super) fn serve(&mut self, channel: &ChannelName) -> Served {
        let mut served = Served::default();
        let Some(batch) = self.batches.front_mut() else { return served };
        let end = self.slots.len().min(batch.position + SLICE);
        for slot in self.slots[batch.position..end].iter_mut().flatten() {
            if let Some(frames) = batch.frames_for(slot, channel, &mut served) {
                let lag = slot.subscriber.outbox.write(&frames);
                served.late.extend(slot.falls_behind(lag));
                let outbox = &slot.subscriber.outbox;
                if outbox.is_crowded() {
                    served.crowded.push(outbox.clone());
                }
            }
        }
        batch.position = end;
        if end == self.slots.len()
            && let Some(batch) = self.batches.pop_front()
        {
            // Everything is written, so that the places in the backlog are free at once.
            (served.completed, _) = batch.conclude();
            self.release_drained();
        }
        served.more = self.is_waiting();
        served
    }

    /// Most rooms say nothing most of the time.
    fn release_drained(&mut self) {
        if self.batches.is_empty() {
            self.batches = VecDeque::new();
        }
    }

    /// Those who have fallen behind by writes that were handed over.
    pub(super) fn take_late(&mut self) -> Vec<Arc<Outbox>> {
        let late = |slot: &mut Slot| slot.falls_behind(slot.subscriber.outbox.lag());
        self.slots.iter_mut().flatten().filter_map(late).collect()
    }

    /// Takes the oldest batch as writes for others to do. The next batch must wait until they are done.
    pub(super) fn hand_over(&mut self, channel: &ChannelName) -> (Vec<Write>, Served) {
        let mut served = Served::default();
        let Some(mut batch) = self.batches.pop_front() else { return (Vec::new(), served) };
        let mut writes = Vec::with_capacity(self.len());
        for slot in self.slots[batch.position..].iter().flatten() {
            let frames = batch.frames_for(slot, channel, &mut served);
            writes.extend(frames.map(|frames| Write { outbox: slot.subscriber.outbox.clone(), frames }));
        }
        (served.completed, served.permits) = batch.conclude();
        served.more = self.is_waiting();
        (writes, served)
    }
}

impl Slot {
    /// The outbox, if its client has fallen behind and nobody has waited for it since it kept up.
    fn falls_behind(&mut self, lag: Lag) -> Option<Arc<Outbox>> {
        let is_late = match lag {
            Lag::Little => {
                self.was_waited_for = false;
                false
            }
            Lag::Some => false,
            Lag::Much => !mem::replace(&mut self.was_waited_for, true),
        };
        is_late.then(|| self.subscriber.outbox.clone())
    }
}

impl Announced {
    /// Whether a subscriber is left out of it.
    fn spares(&self, slot: &Slot) -> bool {
        self.except == Some(slot.subscriber.id) || slot.heard.as_deref().is_some_and(|heard| self.is_up_to(heard))
    }

    fn is_up_to(&self, position: &Position) -> bool {
        self.id().is_some_and(|id| position.covers(id))
    }

    fn id(&self) -> Option<EventId> {
        match &self.announcement {
            Announcement::Event(event) => event.id(),
            Announcement::MemberAdded(..) | Announcement::MemberRemoved(_) | Announcement::SubscriptionCount(_) => None,
        }
    }

    fn is_event(&self) -> bool {
        matches!(self.announcement, Announcement::Event(_))
    }
}

impl Batch {
    /// Whether an announcement of so many bytes may be added.
    fn takes(&self, bytes: usize, limit: usize) -> bool {
        self.position == 0 && self.bytes + bytes <= limit
    }

    /// What the subscriber is sent, if anything, and the count of it.
    fn frames_for(&mut self, slot: &Slot, channel: &ChannelName, served: &mut Served) -> Option<Bytes> {
        let Slot { subscriber, since, .. } = slot;
        if *since > self.number {
            return None;
        }
        let excluded = self.announced.iter().any(|announced| announced.spares(slot));
        let position = self.encode(subscriber, channel);
        let joined = &self.frames[position].2;
        let frames =
            if excluded { joined.without(|position| self.announced[position].spares(slot)) } else { joined.all() };
        if frames.is_empty() {
            return None;
        }
        self.reached += 1;
        if excluded {
            let spared = self.announced.iter_mut().filter(|announced| announced.spares(slot));
            spared.for_each(|announced| announced.spared += 1);
        }
        served.bytes += frames.len() as u64;
        let is_delivered = |announced: &&Announced| announced.is_event() && !announced.spares(slot);
        served.deliveries += self.announced.iter().filter(is_delivered).count() as u64;
        Some(frames)
    }

    /// Its events, and the places that they held in the backlog.
    fn conclude(self) -> (Vec<Completed>, Vec<Permit>) {
        let (mut completed, mut permits) = (Vec::new(), Vec::new());
        for Announced { announcement, permit, spared, .. } in self.announced {
            permits.extend(permit);
            if let Announcement::Event(event) = announcement {
                completed.push(Completed { event, sockets: self.reached - spared });
            }
        }
        (completed, permits)
    }

    /// Encodes the batch, once per dialect and encoding. Returns where it stands among what was encoded. What only its
    /// readers can decrypt does not get smaller.
    fn encode(&mut self, subscriber: &Subscriber, channel: &ChannelName) -> usize {
        let dialect = &subscriber.dialect;
        let encoding = if channel.kind().is_encrypted() { Encoding::Plain } else { subscriber.outbox.encoding() };
        let is_made = |(of, with, _): &(Dialect, Encoding, Joined)| of == dialect && *with == encoding;
        if let Some(position) = self.frames.iter().position(is_made) {
            return position;
        }
        let plain = self.announced.iter().map(|announced| dialect.announcement(channel, &announced.announcement));
        let joined = Joined::new(plain.map(|frame| frame.map(|frame| encoding.of(frame))));
        self.frames.push((dialect.clone(), encoding, joined));
        self.frames.len() - 1
    }
}

#[cfg(test)]
mod tests;

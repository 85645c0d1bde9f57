//! The subscribers of a room and what waits for them. A batch of announcements becomes one write per subscriber.
//!
//! Invariants: a subscriber receives announcements in the order in which they were announced, and exactly those that
//! were announced while it was subscribed. It hears nothing that was announced before it joined. What it is written at
//! once has at most the bytes of one batch, unless a single announcement is longer.

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
};

use bytes::Bytes;

use super::{
    backlog::Permit,
    carrier::Write,
    dialect::{Announcement, Dialect},
    event::EncodedEvent,
    joined::Joined,
};
use crate::{
    protocol::{ChannelName, SocketId},
    session::Outbox,
};

/// How many subscribers are served before the thread's other rooms have their turn.
pub const SLICE: usize = 1_024;

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
pub struct Fanout {
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
}

#[derive(Debug)]
struct Batch {
    number: u64,
    announced: Vec<Announced>,
    /// About how many bytes a subscriber is sent.
    bytes: usize,
    /// What was encoded so far, by dialect.
    frames: Vec<(Dialect, Joined)>,
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
    /// Whether a large batch is now complete: another one may be too much for those who read slowly.
    pub is_large: bool,
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
    pub fn new(batch_bytes: usize) -> Self {
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
    pub fn insert(&mut self, subscriber: Subscriber) -> bool {
        if self.index.contains_key(&subscriber.id) {
            return false;
        }
        let id = subscriber.id;
        let slot = Some(Slot { subscriber, since: self.begun });
        let position = match self.free.pop() {
            Some(position) => {
                self.slots[position] = slot;
                position
            }
            None => {
                self.slots.push(slot);
                self.slots.len() - 1
            }
        };
        self.index.insert(id, position);
        self.sealed = true;
        true
    }

    /// Takes a subscriber away; it hears nothing more, also not what waits. Returns `false` if the socket was not here.
    pub fn remove(&mut self, id: SocketId) -> bool {
        let Some(position) = self.index.remove(&id) else { return false };
        self.slots[position] = None;
        self.free.push(position);
        true
    }

    /// Whether the socket is subscribed.
    pub fn contains(&self, id: SocketId) -> bool {
        self.index.contains_key(&id)
    }

    /// How many are subscribed.
    pub fn len(&self) -> usize {
        self.index.len()
    }

    /// Whether announcements wait.
    pub fn is_waiting(&self) -> bool {
        !self.batches.is_empty()
    }

    /// Whether a subscriber's outbox is filled to more than a half, so that two more batches might be too much for it.
    pub fn is_anyone_behind(&self) -> bool {
        self.slots.iter().flatten().any(|slot| slot.subscriber.outbox.is_half_full())
    }

    /// Queues an announcement for all who are subscribed now, but for `except`. What is announced until somebody joins,
    /// the batch is full or it is served shares one write.
    pub fn announce(&mut self, announcement: Announcement, except: Option<SocketId>, permit: Option<Permit>) {
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
    pub fn serve(&mut self, channel: &ChannelName) -> Served {
        let mut served = Served::default();
        let Some(batch) = self.batches.front_mut() else { return served };
        let end = self.slots.len().min(batch.position + SLICE);
        for slot in self.slots[batch.position..end].iter().flatten() {
            if let Some(frames) = batch.frames_for(slot, channel, &mut served) {
                let outbox = &slot.subscriber.outbox;
                outbox.send(&frames);
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
            served.is_large = batch.bytes > self.batch_bytes / 2;
            (served.completed, _) = batch.conclude();
        }
        served.more = self.is_waiting();
        served
    }

    /// Takes the oldest batch as writes for others to do. The next batch must wait until they are done.
    pub fn hand_over(&mut self, channel: &ChannelName) -> (Vec<Write>, Served) {
        let mut served = Served::default();
        let Some(mut batch) = self.batches.pop_front() else { return (Vec::new(), served) };
        let mut writes = Vec::with_capacity(self.len());
        for slot in self.slots[batch.position..].iter().flatten() {
            let frames = batch.frames_for(slot, channel, &mut served);
            writes.extend(frames.map(|frames| Write { outbox: slot.subscriber.outbox.clone(), frames }));
        }
        served.is_large = batch.bytes > self.batch_bytes / 2;
        (served.completed, served.permits) = batch.conclude();
        served.more = self.is_waiting();
        (writes, served)
    }
}

impl Batch {
    /// Whether an announcement of so many bytes may be added.
    fn takes(&self, bytes: usize, limit: usize) -> bool {
        self.position == 0 && self.bytes + bytes <= limit
    }

    /// What the subscriber is sent, if anything, and the count of it.
    fn frames_for(&mut self, slot: &Slot, channel: &ChannelName, served: &mut Served) -> Option<Bytes> {
        let Slot { subscriber, since } = slot;
        if *since > self.number {
            return None;
        }
        let excluded = self.announced.iter().any(|announced| announced.except == Some(subscriber.id));
        let position = self.encode(&subscriber.dialect, channel);
        let joined = &self.frames[position].1;
        let frames = if excluded {
            joined.without(|position| self.announced[position].except == Some(subscriber.id))
        } else {
            joined.all()
        };
        if frames.is_empty() {
            return None;
        }
        self.reached += 1;
        if excluded {
            let spared = self.announced.iter_mut().filter(|announced| announced.except == Some(subscriber.id));
            spared.for_each(|announced| announced.spared += 1);
        }
        served.bytes += frames.len() as u64;
        served.deliveries += self.events().filter(|event| event.except != Some(subscriber.id)).count() as u64;
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

    /// Encodes the batch, once per dialect. Returns where it stands among what was encoded.
    fn encode(&mut self, dialect: &Dialect, channel: &ChannelName) -> usize {
        if let Some(position) = self.frames.iter().position(|(known, _)| known == dialect) {
            return position;
        }
        let frames = self.announced.iter().map(|announced| dialect.announcement(channel, &announced.announcement));
        self.frames.push((dialect.clone(), Joined::new(frames)));
        self.frames.len() - 1
    }

    fn events(&self) -> impl Iterator<Item = &EncodedEvent> {
        self.announced.iter().filter_map(|announced| match &announced.announcement {
            Announcement::Event(event) => Some(event),
            Announcement::MemberAdded(..) | Announcement::MemberRemoved(_) | Announcement::SubscriptionCount(_) => None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::room::{Event, event::now};

    fn channel() -> ChannelName {
        ChannelName::parse("a", 200).unwrap()
    }

    fn subscriber(id: u64) -> Subscriber {
        let (id, outbox) = (SocketId::from_bits(id), Outbox::new(None, usize::MAX));
        Subscriber { id, outbox, dialect: Dialect::Pusher }
    }

    /// A batch of an event for all three subscribers, one that spares the first, and one more for all.
    fn fanout() -> Fanout {
        let mut fanout = Fanout::new(1_000_000);
        (1..=3).for_each(|id| assert!(fanout.insert(subscriber(id))));
        for except in [None, Some(SocketId::from_bits(1)), None] {
            let event = Event::from_back_end(channel(), "e".to_owned(), String::new(), except, now()).encode();
            fanout.announce(Announcement::Event(event), except, None);
        }
        fanout
    }

    fn check(served: &Served) {
        assert_eq!(served.completed.iter().map(|event| event.sockets).collect::<Vec<_>>(), [3, 2, 3]);
        assert_eq!(served.deliveries, 8);
    }

    #[test]
    fn each_event_of_a_batch_knows_how_many_sockets_it_was_sent_to() {
        check(&fanout().serve(&channel()));
        check(&fanout().hand_over(&channel()).1);
    }

    fn sizes(batch_bytes: usize, events: &[usize]) -> Vec<usize> {
        let mut fanout = Fanout::new(batch_bytes);
        fanout.insert(subscriber(1));
        for data in events {
            let data = "x".repeat(*data);
            let event = Event::from_back_end(channel(), "e".to_owned(), data, None, now()).encode();
            fanout.announce(Announcement::Event(event), None, None);
        }
        let mut sizes = Vec::new();
        while fanout.is_waiting() {
            sizes.push(fanout.serve(&channel()).completed.len());
        }
        sizes
    }

    #[test]
    fn a_batch_is_cut_where_it_would_be_too_long_and_one_long_event_is_a_batch() {
        assert_eq!(sizes(1_000, &[100; 12]), [7, 5]);
        assert_eq!(sizes(1_000, &[100, 5_000, 100, 100]), [1, 1, 2]);
        assert_eq!(sizes(1_000, &[5_000, 5_000]), [1, 1]);
    }

    #[test]
    fn a_subscriber_whose_own_events_are_left_out_hears_the_others_in_order() {
        let mut fanout = Fanout::new(1_000_000);
        fanout.insert(subscriber(1));
        for (number, except) in [None, Some(1), None, Some(1), Some(2)].into_iter().enumerate() {
            let except = except.map(SocketId::from_bits);
            let event = Event::from_back_end(channel(), number.to_string(), String::new(), except, now()).encode();
            fanout.announce(Announcement::Event(event), except, None);
        }
        let (writes, _) = fanout.hand_over(&channel());
        let text = String::from_utf8_lossy(&writes[0].frames).into_owned();
        let names: Vec<_> = text.split(r#""event":""#).skip(1).map(|rest| &rest[..1]).collect();
        assert_eq!(names, ["0", "2", "4"]);
    }

    #[test]
    fn a_subscriber_who_came_later_is_not_counted() {
        let mut fanout = fanout();
        fanout.insert(subscriber(4));
        check(&fanout.serve(&channel()));
    }
}

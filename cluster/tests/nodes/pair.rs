//! Two nodes and a bus that the test controls.

use std::{
    collections::{BTreeSet, VecDeque},
    time::Duration,
};

use bytes::Bytes;
use gaung_cluster::{
    NodeId, Room, Subject,
    codec::{decode, encode},
    core::{Core, Input, Moment, Output, Settings},
    detector::Inbound,
    fact::{Fact, Member},
    frame::{Body, Frame, Numbering, RoomEvent, Unnumbered},
    remote::RemoteState,
};

use crate::upgrade::newer;

pub const A: usize = 0;
pub const B: usize = 1;

/// How a release writes what this one has written.
pub type Release = fn(&Bytes) -> Bytes;

pub struct Pair {
    pub now: u64,
    /// By how much the wall clocks are behind.
    pub behind: u64,
    pub nodes: [Core; 2],
    /// Everything that the nodes wanted done but for what went over the bus, in order.
    pub outputs: Vec<(usize, Output)>,
    /// The numbers of the events that were delivered, by receiver and publisher; `outputs` are without them.
    pub numbers: Vec<(usize, NodeId, Numbering)>,
    /// Whether messages of one node reach the other.
    pub is_cut: bool,
    /// Whether what is answered about records is lost.
    pub loses_records: bool,
    /// Their names.
    pub ids: [NodeId; 2],
    /// Who runs the next minor release.
    pub newer: Option<usize>,
    /// Who runs an earlier release, and what its frames are then.
    pub earlier: Option<(usize, Release)>,
    /// Everything that was published, by node.
    pub published: Vec<(usize, Bytes)>,
    /// The kind that its numbered frames have now, if it is one that it brought.
    pub disguised: Option<u8>,
    /// Who came to and left the presence channel on a node, in order.
    moves: [Vec<String>; 2],
    queue: VecDeque<(usize, Subject, Bytes)>,
}

pub fn id(slot: usize) -> NodeId {
    NodeId::from_bits(slot as u64 + 1)
}

/// Another node than the two.
pub fn third() -> NodeId {
    NodeId::from_bits(3)
}

pub fn room(channel: &str) -> Room {
    Room::new("shop", channel).unwrap()
}

pub fn member(user: &str, sockets: u32) -> Fact {
    let member = Member { user: user.into(), info: "{}".into(), since: 1, sockets };
    Fact::Member { room: room("presence-a"), member }
}

pub fn count(sockets: u32) -> Fact {
    Fact::Count { room: room("orders"), sockets }
}

pub fn settings(slot: usize) -> Settings {
    Settings::new(id(slot), "1.0.0", 1)
}

/// An event of a node, whatever its number is.
pub fn delivered(publisher: usize, event: RoomEvent) -> Output {
    Output::Deliver(id(publisher), event, Numbering::default())
}

/// A room that begins with nothing.
pub fn serving(room: Room) -> Output {
    Output::Serving(RemoteState { room, sockets: 0, members: Vec::new(), cached: None, positions: Vec::new() })
}

fn is_record_page(bytes: &Bytes) -> bool {
    matches!(decode(bytes.clone()).expect("nodes publish frames").body, Body::Unnumbered(Unnumbered::RecordPage(_)))
}

impl Pair {
    /// Two nodes that have not been connected yet.
    pub fn strangers() -> Self {
        let core = |slot| Core::new(Settings { expected_nodes: 2, ..settings(slot) });
        Self {
            now: 0,
            behind: 0,
            nodes: [core(A), core(B)],
            outputs: Vec::new(),
            numbers: Vec::new(),
            is_cut: false,
            loses_records: false,
            ids: [id(A), id(B)],
            newer: None,
            earlier: None,
            published: Vec::new(),
            disguised: None,
            moves: [Vec::new(), Vec::new()],
            queue: VecDeque::new(),
        }
    }

    /// Two nodes that know one another.
    pub fn acquainted() -> Self {
        let mut pair = Self::strangers();
        pair.step(A, Input::Connected);
        pair.step(B, Input::Connected);
        pair.pass(4000);
        pair.outputs.clear();
        pair
    }

    pub fn step(&mut self, slot: usize, input: Input) {
        self.step_quietly(slot, input);
        self.resolve();
    }

    /// Now, on both clocks.
    pub fn moment(&self) -> Moment {
        let up = Duration::from_millis(self.now);
        Moment { up, wall: up - Duration::from_millis(self.behind) }
    }

    /// Leaves what is published on its way.
    pub fn step_quietly(&mut self, slot: usize, input: Input) {
        let moment = self.moment();
        let before = self.users(slot);
        let outputs = self.nodes[slot].step(input, moment);
        let after = self.users(slot);
        let (come, gone) = (after.difference(&before), before.difference(&after));
        let moves = come.map(|user| format!("+{user}")).chain(gone.map(|user| format!("-{user}")));
        self.moves[slot].extend(moves);
        let numbered = |output: &Output| match output {
            Output::Deliver(origin, _, numbering) => Some((slot, *origin, *numbering)),
            _ => None,
        };
        self.numbers.extend(outputs.iter().filter_map(numbered));
        for output in outputs.into_iter().map(without_numbers) {
            match output {
                Output::Publish(subject, bytes) => {
                    let bytes = self.written(slot, bytes);
                    self.published.push((slot, bytes.clone()));
                    self.queue.push_back((slot, subject, bytes));
                }
                Output::Subscribe(_)
                | Output::Unsubscribe(_)
                | Output::Serving(_)
                | Output::Deliver(..)
                | Output::Store(..)
                | Output::Mark(_)
                | Output::ReadStored(..)
                | Output::Remote(_)
                | Output::Cached(..)
                | Output::CacheEvicted(..)
                | Output::Published(_)
                | Output::PageTaken(_)
                | Output::Asked { .. }
                | Output::Answered { .. }
                | Output::Acknowledged(_)
                | Output::CacheRepaired(..)
                | Output::Post(_)
                | Output::Lost { .. } => self.outputs.push((slot, output)),
            }
        }
    }

    /// A frame as its node's release writes it.
    fn written(&self, slot: usize, bytes: Bytes) -> Bytes {
        if let Some((_, write)) = self.earlier.filter(|(earlier, _)| *earlier == slot) {
            return write(&bytes);
        }
        let is_numbered = bytes[3] & 0x80 != 0;
        let kind = self.disguised.filter(|_| is_numbered);
        if self.newer == Some(slot) { newer(&bytes, kind).into() } else { bytes }
    }

    /// Brings everything that is on its way, to both unless the bus is cut.
    pub fn resolve(&mut self) {
        while let Some((from, subject, bytes)) = self.queue.pop_front() {
            for to in [A, B] {
                let is_for = !matches!(subject, Subject::Node(node) if node != self.ids[to]);
                let is_lost = from != to && (self.is_cut || self.loses_records && is_record_page(&bytes));
                if is_for && !is_lost {
                    self.step_quietly(to, Input::Received { subject: subject.clone(), bytes: bytes.clone() });
                }
            }
        }
    }

    /// Lets time pass for both.
    pub fn pass(&mut self, millis: u64) {
        self.pass_for(&[A, B], millis);
    }

    /// Lets time pass in which only these are given a tick.
    pub fn pass_for(&mut self, slots: &[usize], millis: u64) {
        for _ in 0..millis / 50 {
            self.now += 50;
            slots.iter().for_each(|slot| self.step(*slot, Input::Tick(Inbound::Drained)));
        }
    }

    /// Who came to and left the presence channel on a node, in order.
    pub fn moves(&self, slot: usize) -> &[String] {
        &self.moves[slot]
    }

    fn users(&self, slot: usize) -> BTreeSet<String> {
        self.nodes[slot].members(&room("presence-a")).map(|member| member.user.to_string()).collect()
    }

    /// How often a node wanted this done.
    pub fn wanted_count(&self, slot: usize, output: &Output) -> usize {
        self.outputs.iter().filter(|(node, wanted)| *node == slot && wanted == output).count()
    }

    /// Whether a node wanted this done.
    pub fn wanted(&self, slot: usize, output: &Output) -> bool {
        self.outputs.iter().any(|(node, wanted)| *node == slot && wanted == output)
    }
}

/// An output without the numbers of events.
fn without_numbers(output: Output) -> Output {
    match output {
        Output::Deliver(origin, event, _) => Output::Deliver(origin, event, Numbering::default()),
        Output::Serving(state) => Output::Serving(RemoteState { positions: Vec::new(), ..state }),
        other => other,
    }
}

/// A beat of a node as a release would send it that reads frames up to this minor version.
pub fn earlier(pair: &mut Pair, slot: usize, minor: u8) -> Bytes {
    let moment = pair.moment();
    let outputs = pair.nodes[slot].step(Input::Confirm, moment);
    let beat = outputs.iter().find_map(|output| match output {
        Output::Publish(Subject::State, bytes) => beat_of(bytes, minor),
        _ => None,
    });
    beat.expect("a node confirms with a beat")
}

fn beat_of(bytes: &Bytes, minor: u8) -> Option<Bytes> {
    let frame = decode(bytes.clone()).expect("nodes publish frames");
    let Body::Unnumbered(Unnumbered::Beat(mut beat)) = frame.body else { return None };
    beat.minor = minor;
    beat.count += 1;
    Some(encode(&Frame { body: Unnumbered::Beat(beat).into(), ..frame }))
}

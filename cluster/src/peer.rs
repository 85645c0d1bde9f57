//! One peer, as this node knows it.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use crate::{
    detector::Pulse,
    fact::Fact,
    frame::{Beat, Readiness, SnapshotPart, Stream},
    lane::Lane,
    room::NodeId,
};

/// How long an answer is waited for before it is asked for again.
pub const ASK_AGAIN: Duration = Duration::from_secs(1);

/// A silence after which a peer is asked for what it said meanwhile: two beats were lost.
pub const GAP: Duration = Duration::from_millis(2500);

/// Parts of one snapshot at most: with parts of 64 KiB, a quarter of a gibibyte.
const MAX_PARTS: u32 = 4096;

/// What is known of a peer beside its facts.
#[derive(Debug)]
pub struct Peer {
    /// What is heard from it.
    pub lane: Lane,
    /// When it was heard.
    pub pulse: Pulse,
    /// How well it is known.
    pub stage: Stage,
    /// What it says of itself.
    pub readiness: Readiness,
    /// The release that it runs.
    pub version: Arc<str>,
    /// Up to where it has followed others.
    pub seen: BTreeMap<NodeId, u64>,
    /// The snapshot that is being asked for.
    pub snapshot: Option<Assembly>,
    /// When to ask for the last numbers of all streams; `None` if they are known.
    pub ask_tails: Option<Duration>,
    /// When to ask for all records.
    pub ask_records: Option<Duration>,
    beats: u64,
    disagreement: Option<[u64; 4]>,
}

/// How well a peer is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// Its snapshot has not come yet.
    Meeting,
    /// Its facts count.
    Live,
    /// It was silent for too long; its facts are kept for a return.
    Dead,
    /// It is heard again; its facts count once they are known to be its latest.
    Returning,
}

/// A snapshot in parts.
#[derive(Debug)]
pub struct Assembly {
    /// When to ask for it.
    pub ask_at: Duration,
    state: u64,
    parts: BTreeMap<u32, Vec<Fact>>,
}

impl Peer {
    /// A peer of whom nothing up to `baseline` was promised to us.
    pub fn new(baseline: u64, now: Duration) -> Self {
        Self {
            lane: Lane::new(baseline),
            pulse: Pulse::new(now),
            stage: Stage::Meeting,
            readiness: Readiness::Learning,
            version: "".into(),
            seen: BTreeMap::new(),
            snapshot: Some(Assembly::new(now)),
            ask_tails: None,
            ask_records: None,
            beats: 0,
            disagreement: None,
        }
    }

    /// Whether a beat is newer than all before it; notes what the peer says of itself if so.
    pub fn take_beat(&mut self, beat: &Beat) -> bool {
        if beat.count <= self.beats {
            return false;
        }
        self.beats = beat.count;
        self.readiness = beat.readiness;
        self.version = beat.version.clone();
        self.seen = beat.seen.iter().copied().collect();
        true
    }

    /// Whether two hashes of records differ for two beats in which neither side's changed: what is on its way between
    /// nodes is no reason to ask.
    pub fn disagrees(&mut self, theirs: [u64; 2], ours: [u64; 2]) -> bool {
        let now = (theirs != ours).then_some([theirs[0], theirs[1], ours[0], ours[1]]);
        let persists = now.is_some() && now == self.disagreement;
        self.disagreement = now;
        persists
    }

    /// Asks for all facts anew.
    pub fn want_snapshot(&mut self, now: Duration) {
        if self.snapshot.is_none() {
            self.lane.await_snapshot();
            self.snapshot = Some(Assembly::new(now));
        }
    }

    /// Whether nothing is known to be missing of what it said about state.
    pub fn is_caught_up(&self) -> bool {
        self.snapshot.is_none() && self.ask_records.is_none() && !self.lane.has_hole(Stream::STATE)
    }

    /// Up to where its state stream is known.
    pub fn position(&self) -> Option<u64> {
        self.lane.position(Stream::STATE)
    }
}

impl Assembly {
    fn new(now: Duration) -> Self {
        Self { ask_at: now, state: 0, parts: BTreeMap::new() }
    }

    /// Takes a part; returns the facts once all parts of one moment are here.
    pub fn take(&mut self, part: SnapshotPart, now: Duration) -> Option<Vec<Fact>> {
        if part.state < self.state || part.parts > MAX_PARTS {
            return None;
        }
        if part.state > self.state {
            self.parts.clear();
            self.state = part.state;
        }
        self.ask_at = now + ASK_AGAIN;
        self.parts.insert(part.index, part.facts);
        let is_complete = self.parts.len() == usize::try_from(part.parts).ok()?;
        is_complete.then(|| std::mem::take(&mut self.parts).into_values().flatten().collect())
    }
}

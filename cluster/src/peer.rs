//! One peer, as this node knows it.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
    time::Duration,
};

use crate::{
    claim_fetch::ClaimFetch,
    codec::CLAIMS,
    detector::Liveness,
    fact::{Fact, Keyed, Record, RecordKey},
    frame::{Beat, Readiness, RecordPage, Rest, Stream, Unnumbered},
    page::PageClaim,
    room::NodeId,
    sequencer::Sequencer,
    snapshot::{ASK_AGAIN, Progress, SnapshotFetch},
};

/// A silence after which a peer is asked for what it published meanwhile: two heartbeats were lost.
pub const CATCH_UP_AFTER: Duration = Duration::from_millis(2500);

/// How long after a silence a peer may still be behind with what it missed, and its pages with their receipts for that.
const STEADY_AFTER: Duration = Duration::from_secs(30);

/// The last differences that are remembered, so that one which comes again is recognized.
const DIFFERENCES: usize = 8;

/// The pause after records were fetched because of a difference. It doubles each time the difference is soon found
/// again: nodes whose bounds differ will not agree, and are not to send one another everything at each beat.
const FIRST_PAUSE: Duration = Duration::from_secs(2);

/// The longest such pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(64);

/// A difference that is found later than this after a pause has another cause.
const SOON: Duration = Duration::from_secs(10);

/// What is known of a peer beside its facts.
#[derive(Debug)]
pub struct Peer {
    pub sequencer: Sequencer,
    pub liveness: Liveness,
    /// Since when nothing is missed of it.
    pub met: Duration,
    /// When it surely lived last: when its last beat came, or before this node was stopped, if the beat may be as old.
    pub last_sign: Duration,
    /// The same of the last time at which it was not still catching up with what it had missed.
    pub steady_sign: Duration,
    /// From when on it counts as caught up.
    pub steady_from: Duration,
    /// When any frame was last received from it.
    pub spoke: Duration,
    /// How many of its frames were received.
    pub frames: u64,
    pub stage: Stage,
    pub readiness: Readiness,
    /// The number of its last event when it last said that it leaves.
    pub left_at: Option<u64>,
    /// The release that it runs.
    pub version: Arc<str>,
    /// The minor version of frames that it reads, as far as it says.
    pub minor: u8,
    /// Up to where it has followed others.
    pub seen: BTreeMap<NodeId, u64>,
    /// The snapshot that is being requested.
    pub snapshot: Option<SnapshotFetch<Fact>>,
    /// How far its claims of pages are known.
    pub claims: ClaimFetch,
    /// When to ask for the last numbers of all streams; `None` if they are known.
    pub ask_heads: Option<Duration>,
    /// The records that are being requested.
    pub records: Option<RecordFetch>,
    /// Whether it has sent all its facts at least once: it answers requests to its node id.
    pub is_proven: bool,
    /// Whether all its records came at least once.
    pub has_all_records: bool,
    beats: u64,
    /// Up to where its snapshot covered its state stream.
    covered: u64,
    differences: VecDeque<[u64; 2]>,
    /// No difference makes the records be fetched again before this.
    quiet_until: Duration,
    pause: Duration,
}

/// How well a peer is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// Its snapshot has not come yet.
    Meeting,
    /// Its facts count.
    Live,
    /// It was silent for too long; its facts are kept in case it returns.
    Dead,
    /// Its heartbeats are back; its facts count once they are known to be its latest.
    Returning,
}

/// All records of a peer, requested page by page. Each page is merged as it comes.
#[derive(Debug)]
pub struct RecordFetch {
    ask_at: Duration,
    after: Option<RecordKey>,
    is_asked: bool,
    /// When to ask for everything once more after this.
    again: Option<Duration>,
}

impl Peer {
    /// A peer whose first frame has come.
    pub fn new(sequencer: Sequencer, now: Duration) -> Self {
        Self {
            sequencer,
            liveness: Liveness::new(now),
            met: now,
            last_sign: Duration::ZERO,
            steady_sign: Duration::ZERO,
            steady_from: Duration::ZERO,
            spoke: now,
            frames: 0,
            stage: Stage::Meeting,
            readiness: Readiness::Learning,
            left_at: None,
            version: "".into(),
            minor: 0,
            seen: BTreeMap::new(),
            snapshot: Some(SnapshotFetch::new(0, now)),
            claims: ClaimFetch::default(),
            ask_heads: None,
            // Where a node's facts are unknown, its records are too.
            records: Some(RecordFetch::new(now)),
            is_proven: false,
            has_all_records: false,
            beats: 0,
            covered: 0,
            differences: VecDeque::new(),
            quiet_until: Duration::ZERO,
            pause: FIRST_PAUSE,
        }
    }

    /// Takes a heartbeat if it is newer than all before it; returns whether it is.
    pub fn take_beat(&mut self, beat: &Beat) -> bool {
        if beat.count <= self.beats {
            return false;
        }
        self.beats = beat.count;
        self.readiness = beat.readiness;
        self.version = beat.version.clone();
        self.minor = beat.minor;
        self.seen = beat.seen.iter().copied().collect();
        true
    }

    /// It lives; `silence` is how long it had not been heard before. What it missed meanwhile its pages hear late.
    pub fn note_sign(&mut self, sign: Duration, silence: Duration, now: Duration) {
        self.last_sign = self.last_sign.max(sign);
        if silence > CATCH_UP_AFTER {
            self.steady_from = now + STEADY_AFTER;
        }
        if now >= self.steady_from {
            self.steady_sign = self.last_sign;
        }
    }

    /// How many beats it has sent; as many as it has been there seconds.
    pub fn beats(&self) -> u32 {
        u32::try_from(self.beats).unwrap_or(u32::MAX)
    }

    /// Whether hashes of records differ as they did a few beats before. What is on its way between nodes makes another
    /// difference each time; what is missing makes the same one whenever nothing is on its way, however much comes and
    /// goes meanwhile. Zeros mean that both sides agree.
    pub fn disagrees(&mut self, difference: [u64; 2]) -> bool {
        let known = |which: usize| self.differences.iter().any(|earlier| earlier[which] == difference[which]);
        let persists = (0..2).any(|which| difference[which] != 0 && known(which));
        self.differences.push_back(difference);
        if persists {
            self.differences.clear();
        } else if self.differences.len() > DIFFERENCES {
            self.differences.pop_front();
        }
        persists
    }

    /// Whether a difference that persists may make the records be fetched now; if so, it counts as done.
    pub fn may_fetch_records(&mut self, now: Duration) -> bool {
        let Some(rest) = now.checked_sub(self.quiet_until) else { return false };
        self.pause = if rest > SOON { FIRST_PAUSE } else { (2 * self.pause).min(LONGEST_PAUSE) };
        self.quiet_until = now + self.pause;
        true
    }

    /// Asks for all facts anew, as they are at number `least` of its state stream or later.
    pub fn want_snapshot(&mut self, least: u64, now: Duration) {
        match &mut self.snapshot {
            Some(fetch) => fetch.restart(least, now),
            None => self.snapshot = Some(SnapshotFetch::new(least, now)),
        }
    }

    /// Asks for all records anew. What is under way ends first: however often this is wanted, it gets there.
    pub fn want_records(&mut self, at: Duration) {
        match &mut self.records {
            Some(fetch) if fetch.is_asked => fetch.again = Some(at),
            _ => self.records = Some(RecordFetch::new(at)),
        }
    }

    /// A page of records has come.
    pub fn take_records(&mut self, page: &RecordPage, now: Duration) {
        let Some(fetch) = &mut self.records else { return };
        if fetch.take(page, now) {
            self.has_all_records = true;
            self.records = fetch.again.map(RecordFetch::new);
        }
    }

    /// Whether it is alive and has not sent everything it knows yet. A sender of a single frame is no node: nodes send
    /// heartbeats, and answer.
    pub fn is_unread(&self) -> bool {
        let lacks_claims = self.beats == 0 || (self.has_claims() && !self.claims.is_known());
        let is_unread = self.stage == Stage::Meeting || !self.has_all_records || lacks_claims;
        self.frames > 1 && self.stage != Stage::Dead && is_unread
    }

    /// Whether it has left in order, as far as is known here: it said so behind all that it published, and this node was not
    /// cut off meanwhile, or was told since what it missed.
    pub fn has_left(&self) -> bool {
        self.readiness == Readiness::Leaving && self.left_at == Some(self.sequencer.last()) && self.ask_heads.is_none()
    }

    /// Whether its release says which pages it has.
    pub fn has_claims(&self) -> bool {
        self.minor >= CLAIMS
    }

    /// The snapshot whose next page is here and can be applied: the frames that it covers were received.
    pub fn placeable(&mut self, now: Duration) -> Option<&SnapshotFetch<Fact>> {
        covered(self.snapshot.as_ref()?, &mut self.sequencer, now)
    }

    /// The same of the snapshot of its claims.
    pub fn placeable_claims(&mut self, now: Duration) -> Option<&SnapshotFetch<PageClaim>> {
        covered(self.claims.snapshot()?, &mut self.sequencer, now)
    }

    /// The next page is applied.
    pub fn finish_page(&mut self, now: Duration) -> Progress {
        let Some(fetch) = &mut self.snapshot else { return Progress::Part };
        let progress = fetch.finish_page(self.sequencer.last_released(Stream::STATE), now);
        if let Progress::Whole(latest) = progress {
            self.covered = self.covered.max(latest);
            self.is_proven = true;
            self.snapshot = None;
        }
        progress
    }

    /// Whether nothing is known to be missing of its state.
    pub fn is_caught_up(&self) -> bool {
        self.snapshot.is_none() && self.records.is_none() && !self.sequencer.lacks(Stream::STATE)
    }

    /// The number of its state stream at which its facts are known; `None` while they are not.
    pub fn facts_at(&self) -> Option<u64> {
        self.snapshot.is_none().then(|| self.sequencer.last_released(Stream::STATE).max(self.covered))
    }

    /// Up to which number its state is known completely.
    pub fn followed(&self) -> Option<u64> {
        (self.snapshot.is_none() && self.records.is_none()).then(|| self.sequencer.position(Stream::STATE))
    }
}

/// The snapshot, if the frames that its next page covers were received.
fn covered<'a, T: Keyed>(
    fetch: &'a SnapshotFetch<T>,
    sequencer: &mut Sequencer,
    now: Duration,
) -> Option<&'a SnapshotFetch<T>> {
    let state = fetch.page()?.state;
    if sequencer.position(Stream::STATE) < state {
        sequencer.learn_head(Stream::STATE, state, now);
        return None;
    }
    Some(fetch)
}

impl RecordFetch {
    fn new(at: Duration) -> Self {
        Self { ask_at: at, after: None, is_asked: false, again: None }
    }

    /// The question for the next page, if it is time for it.
    pub fn ask(&mut self, now: Duration) -> Option<Unnumbered> {
        if self.ask_at > now {
            return None;
        }
        self.ask_at = now + ASK_AGAIN;
        self.is_asked = true;
        Some(Unnumbered::AskRecords { after: self.after.clone() })
    }

    /// A page has come; returns whether that was all.
    pub fn take(&mut self, page: &RecordPage, now: Duration) -> bool {
        if page.after != self.after {
            return false;
        }
        self.after = page.records.last().map(Record::key).or(self.after.take());
        self.ask_at = now;
        page.rest == Rest::Nothing
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        fact::{Generation, Occupancy, Phase},
        room::Room,
        sequencer::SequencerBounds,
    };

    fn record(channel: &str) -> Record {
        let occupancy = Occupancy { room: Room::new("shop", channel).expect("the name is short"), user: None };
        Record::Generation(Generation { occupancy, number: 1, phase: Phase::Announced })
    }

    fn peer() -> Peer {
        Peer::new(Sequencer::new(0, SequencerBounds { held: 0, step: 0 }), Duration::ZERO)
    }

    fn asked(peer: &mut Peer, second: u64) -> Option<Option<RecordKey>> {
        match peer.records.as_mut()?.ask(Duration::from_secs(second))? {
            Unnumbered::AskRecords { after } => Some(after),
            _ => None,
        }
    }

    #[test]
    fn a_difference_that_stays_has_the_records_fetched_ever_more_rarely() {
        let mut peer = peer();
        let mut fetches = |seconds: std::ops::Range<u64>| -> Vec<u64> {
            seconds.filter(|second| peer.may_fetch_records(Duration::from_secs(*second))).collect()
        };
        assert_eq!(fetches(20..200), [20, 22, 26, 34, 50, 82, 146]);
        assert_eq!(fetches(300..310), [300, 302, 306], "another difference");
    }

    #[test]
    fn records_that_are_wanted_again_meanwhile_are_first_had_to_their_end() {
        let mut peer = peer();
        assert_eq!(asked(&mut peer, 0), Some(None));
        let first = RecordPage { after: None, rest: Rest::More, records: vec![record("a")] };
        peer.take_records(&first, Duration::ZERO);
        peer.want_records(Duration::from_secs(1));
        let key = Some(record("a").key());
        assert_eq!(asked(&mut peer, 0), Some(key.clone()));
        let last = RecordPage { after: key, rest: Rest::Nothing, records: vec![record("b")] };
        peer.take_records(&last, Duration::ZERO);
        assert!(peer.has_all_records && !peer.is_caught_up());
        assert_eq!((asked(&mut peer, 0), asked(&mut peer, 1)), (None, Some(None)));
        peer.take_records(&RecordPage { rest: Rest::Nothing, ..first }, Duration::ZERO);
        assert!(peer.records.is_none());
    }
}

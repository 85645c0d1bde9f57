//! Judges numbered events: what was lost, what came twice, what came too late for its order.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use super::collector::Heard;

/// The event's name of everything that is numbered.
pub const NUMBERED: &str = "numbered";

/// Who published in which channel: the stream in which order is promised.
pub type Stream = (String, usize);

/// What `data` says of the `number`th event of a publisher in a channel.
pub fn data(publisher: usize, number: u64) -> String {
    format!("{publisher}/{number}")
}

/// The same, with so many bytes behind it.
pub fn padded(publisher: usize, number: u64, padding: usize) -> String {
    format!("{publisher}/{number}/{}", "x".repeat(padding))
}

/// The numbers that one client heard, by stream, in the order in which they came.
pub fn numbers(heard: &[Heard]) -> BTreeMap<Stream, Vec<u64>> {
    let mut streams: BTreeMap<Stream, Vec<u64>> = BTreeMap::new();
    for Heard { message, .. } in heard.iter().filter(|heard| heard.message["event"] == NUMBERED) {
        let channel = message["channel"].as_str().expect("an event has a channel").to_owned();
        let (publisher, number) = message["data"].as_str().and_then(|data| data.split_once('/')).expect("our data");
        let number = number.split_once('/').map_or(number, |(number, _)| number);
        let publisher = publisher.parse().expect("a publisher");
        streams.entry((channel, publisher)).or_default().push(number.parse().expect("a number"));
    }
    streams
}

/// What is wrong with what one client heard of one stream.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Verdict {
    pub lost: BTreeSet<u64>,
    pub doubled: Vec<u64>,
    pub disordered: Vec<u64>,
}

/// Compares what came with the numbers `0..published`.
pub fn judge(came: &[u64], published: u64) -> Verdict {
    let mut verdict = Verdict { lost: (0..published).collect(), ..Verdict::default() };
    let mut highest = None;
    for number in came {
        if !verdict.lost.remove(number) {
            verdict.doubled.push(*number);
        } else if highest.is_some_and(|highest| number < highest) {
            verdict.disordered.push(*number);
        }
        highest = highest.max(Some(number));
    }
    verdict
}

impl Verdict {
    pub fn is_clean(&self) -> bool {
        *self == Self::default()
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { lost, doubled, disordered } = self;
        let (first, last) = (lost.first(), lost.last());
        write!(f, "{} lost ({first:?} to {last:?}), ", lost.len())?;
        write!(f, "{} doubled {:?}, ", doubled.len(), doubled.first())?;
        write!(f, "{} too late {:?}", disordered.len(), disordered.first())
    }
}

#[test]
fn the_judge_sees_what_is_lost_doubled_and_too_late() {
    assert!(judge(&[0, 1, 2], 3).is_clean());
    assert_eq!(judge(&[0, 2], 4).lost, BTreeSet::from([1, 3]));
    let verdict = judge(&[0, 2, 1, 2, 3], 4);
    assert_eq!((verdict.doubled, verdict.disordered), (vec![2], vec![1]));
}

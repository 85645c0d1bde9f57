//! Counts deliveries: which events have reached how many readers, and how long each took. Pure.

use std::time::Instant;

use super::{
    event::MarkReader,
    round::{Sample, micros},
};

/// Which events have reached how many.
pub struct Tally {
    sent_at: Vec<Instant>,
    /// Readers that still wait, by sequence number.
    missing: Vec<u32>,
    readers: u32,
    /// Events that have reached everybody.
    complete: usize,
    latencies: Vec<u32>,
    marks: MarkReader,
}

impl Tally {
    /// Nothing sent yet of `events` events that go to `readers` readers each.
    pub fn new(events: usize, readers: u32) -> Self {
        Self {
            sent_at: Vec::with_capacity(events),
            missing: vec![readers; events],
            readers,
            complete: 0,
            latencies: Vec::with_capacity(events * readers as usize),
            marks: MarkReader::default(),
        }
    }

    /// Event number [`sent`](Self::sent) goes out.
    pub fn send(&mut self, now: Instant) {
        self.sent_at.push(now);
    }

    /// Events that went out; the number of the next.
    pub fn sent(&self) -> usize {
        self.sent_at.len()
    }

    /// Events that have reached everybody.
    pub fn complete(&self) -> usize {
        self.complete
    }

    /// Counts a text frame that somebody read at `now`, if it is one of the events.
    pub fn delivered(&mut self, payload: &[u8], now: Instant) {
        let Some(sequence) = self.marks.sequence(payload).map(|sequence| sequence as usize) else { return };
        let Some(sent_at) = self.sent_at.get(sequence) else { return };
        // One that comes twice to somebody is counted for nobody.
        let Some(missing) = self.missing[sequence].checked_sub(1) else { return };
        self.missing[sequence] = missing;
        self.latencies.push(micros(now.saturating_duration_since(*sent_at)));
        if missing == 0 {
            self.complete += 1;
        }
    }

    /// Events read, each counted once per reader.
    pub fn deliveries(&self) -> u64 {
        self.latencies.len() as u64
    }

    /// What [`deliveries`](Self::deliveries) will be in the end.
    pub fn expected(&self) -> u64 {
        self.missing.len() as u64 * u64::from(self.readers)
    }

    /// What it came to.
    pub fn into_sample(self) -> Sample {
        Sample { count: self.deliveries(), latencies: self.latencies }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EVENT: &[u8] = br##"{"data":"#00000000"}"##;

    #[test]
    fn an_event_is_complete_when_it_has_reached_every_reader() {
        let mut tally = Tally::new(1, 2);
        tally.send(Instant::now());
        tally.delivered(EVENT, Instant::now());
        assert_eq!((tally.complete, tally.deliveries()), (0, 1));
        tally.delivered(EVENT, Instant::now());
        assert_eq!((tally.complete, tally.deliveries()), (1, 2));
    }

    #[test]
    fn a_delivery_too_many_completes_nothing() {
        let mut tally = Tally::new(2, 1);
        tally.send(Instant::now());
        tally.delivered(EVENT, Instant::now());
        tally.delivered(EVENT, Instant::now());
        assert_eq!((tally.complete, tally.deliveries(), tally.expected()), (1, 1, 2));
    }

    #[test]
    fn frames_that_are_not_our_events_are_not_counted() {
        let mut tally = Tally::new(1, 1);
        tally.send(Instant::now());
        tally.delivered(br#"{"event":"pusher:ping","data":"{}"}"#, Instant::now());
        assert_eq!((tally.complete, tally.deliveries()), (0, 0));
    }
}

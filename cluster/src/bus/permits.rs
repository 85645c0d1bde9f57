//! Bounds the events of back ends and clients that are on their way to NATS, by number and by bytes: from the request
//! that brings them until the NATS client has written them. Where there is no permit left, the caller learns so at
//! once.

use std::{
    sync::{Arc, atomic::Ordering::Relaxed},
    time::{Duration, Instant},
};

use bytes::Bytes;

use super::status::Gauges;

/// What may be in flight.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Events between those who publish and the bus thread.
    pub events: usize,
    /// Bytes of these and of all frames that the client has not written. The events of one request may have more while
    /// no other waits, so that none is refused for ever.
    pub bytes: usize,
}

/// Which limit is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Full {
    /// So many events wait already.
    Events(usize),
    /// So many bytes wait already.
    Bytes(usize),
}

/// Allows events into the queue of the bus thread; released when dropped.
#[derive(Debug)]
pub struct PublishPermit {
    gauges: Arc<Gauges>,
    since: Instant,
    events: usize,
    bytes: usize,
}

/// A frame in the NATS client's buffers, which drop it once it is written.
struct Unwritten {
    frame: Bytes,
    gauges: Arc<Gauges>,
}

/// A permit for so many events with so many bytes together.
pub(super) fn reserve(
    gauges: &Arc<Gauges>,
    limits: Limits,
    events: usize,
    bytes: usize,
) -> Result<PublishPermit, Full> {
    take(gauges, limits, events, bytes).inspect_err(|_| {
        gauges.refused.fetch_add(events as u64, Relaxed);
    })?;
    Ok(PublishPermit { gauges: gauges.clone(), since: Instant::now(), events, bytes })
}

fn take(gauges: &Gauges, limits: Limits, events: usize, bytes: usize) -> Result<(), Full> {
    let more = |queued: usize| queued.checked_add(events).filter(|queued| *queued <= limits.events);
    gauges.queued.fetch_update(Relaxed, Relaxed, more).map_err(|_| Full::Events(limits.events))?;
    // While the bus is away nothing is given to the client: the ring bounds what waits then.
    let unwritten = if gauges.connected.load(Relaxed) { gauges.unwritten.load(Relaxed) } else { 0 };
    let room = limits.bytes.saturating_sub(unwritten);
    let more = |queued: usize| {
        let fits = |total: &usize| *total <= room || (queued == 0 && room > 0);
        queued.checked_add(bytes).filter(fits)
    };
    gauges.queued_bytes.fetch_update(Relaxed, Relaxed, more).map_err(|_| {
        gauges.queued.fetch_sub(events, Relaxed);
        Full::Bytes(limits.bytes)
    })?;
    Ok(())
}

/// A frame as the client is given it: it counts until the client has written it, or dropped it.
pub(super) fn until_written(frame: Bytes, gauges: &Arc<Gauges>) -> Bytes {
    gauges.unwritten.fetch_add(frame.len(), Relaxed);
    Bytes::from_owner(Unwritten { frame, gauges: gauges.clone() })
}

impl PublishPermit {
    /// Takes the permit of one event out of one for several.
    #[must_use]
    pub fn split(&mut self, bytes: usize) -> Self {
        self.events -= 1;
        self.bytes -= bytes;
        Self { gauges: self.gauges.clone(), since: self.since, events: 1, bytes }
    }

    /// For how long its events have been on their way.
    pub(super) fn waited(&self) -> Duration {
        self.since.elapsed()
    }

    /// The bytes of its events.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }
}

impl AsRef<[u8]> for Unwritten {
    fn as_ref(&self) -> &[u8] {
        &self.frame
    }
}

impl Drop for Unwritten {
    fn drop(&mut self) {
        self.gauges.unwritten.fetch_sub(self.frame.len(), Relaxed);
    }
}

impl Drop for PublishPermit {
    fn drop(&mut self) {
        self.gauges.queued.fetch_sub(self.events, Relaxed);
        self.gauges.queued_bytes.fetch_sub(self.bytes, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gauges() -> Arc<Gauges> {
        let gauges = Gauges::new();
        gauges.connected.store(true, Relaxed);
        Arc::new(gauges)
    }

    fn reserve(gauges: &Arc<Gauges>, events: usize, bytes: usize) -> Result<PublishPermit, Full> {
        super::reserve(gauges, Limits { events: 3, bytes: 100 }, events, bytes)
    }

    #[test]
    fn places_are_given_for_all_events_or_for_none() {
        let gauges = gauges();
        let mut permits = reserve(&gauges, 2, 2).unwrap();
        assert_eq!(reserve(&gauges, 2, 2).unwrap_err(), Full::Events(3));
        assert_eq!((gauges.status().queued, gauges.status().refused), (2, 2));
        drop(permits.split(1));
        assert_eq!(gauges.status().queued, 1);
        drop(permits);
        assert!(reserve(&gauges, 3, 3).is_ok());
    }

    #[test]
    fn bytes_count_as_well_as_events() {
        let gauges = gauges();
        let permits = reserve(&gauges, 2, 90).unwrap();
        assert_eq!(reserve(&gauges, 1, 11).unwrap_err(), Full::Bytes(100));
        assert_eq!((gauges.status().queued, gauges.status().queued_bytes), (2, 90));
        assert!(reserve(&gauges, 1, 10).is_ok());
        drop(permits);
        assert_eq!(gauges.status().queued_bytes, 0);
    }

    #[test]
    fn what_the_client_has_not_written_counts_while_the_bus_is_there() {
        let gauges = gauges();
        let frame = until_written(vec![0; 95].into(), &gauges);
        let also = frame.clone();
        assert_eq!(frame.len(), 95);
        drop(frame);
        let permit = reserve(&gauges, 1, 5).unwrap();
        assert_eq!(reserve(&gauges, 1, 1).unwrap_err(), Full::Bytes(100));
        gauges.connected.store(false, Relaxed);
        assert!(reserve(&gauges, 1, 95).is_ok());
        gauges.connected.store(true, Relaxed);
        drop((also, permit));
        assert!(reserve(&gauges, 1, 100).is_ok());
    }

    #[test]
    fn the_events_of_one_request_pass_whatever_they_have_while_none_waits_and_the_client_writes() {
        let gauges = gauges();
        let large = reserve(&gauges, 2, 1_000).unwrap();
        assert_eq!(reserve(&gauges, 1, 1).unwrap_err(), Full::Bytes(100));
        drop(large);
        let full = until_written(vec![0; 100].into(), &gauges);
        assert_eq!(reserve(&gauges, 1, 1).unwrap_err(), Full::Bytes(100));
        drop(full);
        assert!(reserve(&gauges, 1, 500).is_ok());
    }
}

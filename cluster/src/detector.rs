//! When a peer counts as dead: decided by each node for itself, and only while it is connected. A node that was cut off
//! or suspended missed heartbeats through its own fault, and declares no peer dead for it.

use std::time::Duration;

/// Silence after which a peer is dead.
const SILENCE: Duration = Duration::from_secs(5);

/// A pause between two ticks after which this process is taken to have been suspended.
pub const STOPPED: Duration = Duration::from_secs(1);

/// The longest hold that a peer is granted.
const MAX_HOLD: Duration = Duration::from_secs(600);

/// Whether everything that the bus brought has been read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Inbound {
    /// Nothing waits.
    Drained,
    /// More waits, perhaps beats.
    Waiting,
}

/// Since when this node receives.
#[derive(Debug, Default)]
pub struct Detector {
    connected_since: Option<Duration>,
    last_tick: Duration,
}

/// The last heartbeat of a peer.
#[derive(Debug, Clone, Copy)]
pub struct Liveness {
    last_beat: Duration,
    hold: Duration,
}

impl Detector {
    pub fn connect(&mut self, now: Duration) {
        self.connected_since = Some(now);
        self.last_tick = now;
    }

    /// Disconnected: no peer dies until the next connection.
    pub fn disconnect(&mut self) {
        self.connected_since = None;
    }

    /// Since when this node is connected without a break; `None` while disconnected.
    pub fn connected_since(&self) -> Option<Duration> {
        self.connected_since
    }

    /// Notes that time passed; returns whether this node was stopped in between.
    pub fn tick(&mut self, now: Duration) -> bool {
        let stopped = now.saturating_sub(self.last_tick) > STOPPED;
        self.last_tick = now;
        if stopped && self.connected_since.is_some() {
            self.connected_since = Some(now);
        }
        stopped
    }

    /// Whether a peer is dead. Silence is counted from the last reconnect at the earliest, which is more than two
    /// beats.
    pub fn is_dead(&self, liveness: &Liveness, inbound: Inbound, now: Duration) -> bool {
        let (Some(since), Inbound::Drained) = (self.connected_since, inbound) else { return false };
        now.saturating_sub(since.max(liveness.last_beat)) > liveness.hold.max(SILENCE)
    }
}

impl Liveness {
    /// A peer whose first frame has come.
    pub fn new(now: Duration) -> Self {
        Self { last_beat: now, hold: Duration::ZERO }
    }

    /// A beat; returns the silence before it.
    pub fn beat(&mut self, now: Duration) -> Duration {
        let silence = now.saturating_sub(self.last_beat);
        self.last_beat = now;
        silence
    }

    /// The peer goes and wants to be remembered for so long; ten minutes at most.
    pub fn hold(&mut self, hold: Duration) {
        self.hold = hold.min(MAX_HOLD);
    }

    /// When the last beat came.
    pub fn last_beat(&self) -> Duration {
        self.last_beat
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    fn detector() -> Detector {
        let mut detector = Detector::default();
        detector.connect(at(0));
        detector
    }

    /// Ticks every 100 ms.
    fn live(detector: &mut Detector, from: u64, to: u64) {
        (from..=to).step_by(100).for_each(|millis| assert!(!detector.tick(at(millis))));
    }

    #[test]
    fn a_peer_is_dead_after_five_seconds_of_silence() {
        let detector = detector();
        assert!(!detector.is_dead(&Liveness::new(at(1000)), Inbound::Drained, at(6000)));
        assert!(detector.is_dead(&Liveness::new(at(1000)), Inbound::Drained, at(6001)));
    }

    #[test]
    fn no_peer_dies_while_disconnected_or_just_reconnected() {
        let mut detector = detector();
        detector.disconnect();
        assert!(!detector.is_dead(&Liveness::new(at(0)), Inbound::Drained, at(90_000)));
        detector.connect(at(90_000));
        assert!(!detector.is_dead(&Liveness::new(at(0)), Inbound::Drained, at(95_000)));
        assert!(detector.is_dead(&Liveness::new(at(0)), Inbound::Drained, at(95_001)));
    }

    #[test]
    fn no_peer_dies_while_messages_wait_to_be_read() {
        assert!(!detector().is_dead(&Liveness::new(at(0)), Inbound::Waiting, at(60_000)));
    }

    #[test]
    fn a_node_that_was_stopped_expires_no_peer_for_it() {
        let mut detector = detector();
        live(&mut detector, 0, 1000);
        assert!(detector.tick(at(11_000)));
        assert!(!detector.is_dead(&Liveness::new(at(1000)), Inbound::Drained, at(16_000)));
        live(&mut detector, 11_000, 16_000);
        assert!(detector.is_dead(&Liveness::new(at(1000)), Inbound::Drained, at(16_001)));
    }

    #[test]
    fn a_peer_that_is_leaving_is_held_for_as_long_as_it_asked_and_no_more_than_ten_minutes() {
        let mut liveness = Liveness::new(at(0));
        liveness.hold(at(40_000));
        assert!(!detector().is_dead(&liveness, Inbound::Drained, at(40_000)));
        assert!(detector().is_dead(&liveness, Inbound::Drained, at(40_001)));
        liveness.hold(Duration::MAX);
        assert!(detector().is_dead(&liveness, Inbound::Drained, at(600_001)));
    }
}

//! Whether a connection carries messages. Our own heartbeats come back through the servers once a second; where they do
//! not, the connection is useless, whatever the client reports.
//!
//! A silent bus counts as down well before a silent peer counts as dead, since on a silent bus all peers are silent.

use std::time::Duration;

/// Silence after which the bus counts as down: two heartbeats were lost.
const DOWN: Duration = Duration::from_millis(2500);

/// Silence after which to reconnect.
const BROKEN: Duration = Duration::from_secs(5);

/// A pause between two checks after which this process is taken to have been suspended: the silence was its own.
const STOPPED: Duration = Duration::from_secs(1);

/// Probes one connection.
#[derive(Debug, Default)]
pub(super) struct LoopbackProbe {
    since: Duration,
    last_check: Duration,
    reconnect_at: Duration,
}

/// The result of a check.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum LoopbackHealth {
    /// Our heartbeats come back.
    Healthy,
    /// None has come back yet on this connection, or since we were suspended; it is too early to tell why.
    Unknown,
    /// They do not come back.
    Silent,
    /// They have not come back for so long that it is time to reconnect; returned once per [`BROKEN`].
    Dead,
}

impl LoopbackProbe {
    /// A new connection.
    pub(super) fn connect(&mut self, now: Duration) {
        *self = Self { since: now, last_check: now, reconnect_at: now + BROKEN };
    }

    /// Checks, given when a heartbeat of our own last came back.
    pub(super) fn check(&mut self, echo: Option<Duration>, now: Duration) -> LoopbackHealth {
        if now.saturating_sub(self.last_check) > STOPPED {
            self.since = now;
        }
        self.last_check = now;
        let last_echo = echo.unwrap_or_default().max(self.since);
        let silence = now.saturating_sub(last_echo);
        if silence <= DOWN {
            self.reconnect_at = last_echo + BROKEN;
            return if echo.is_some_and(|echo| echo >= self.since) {
                LoopbackHealth::Healthy
            } else {
                LoopbackHealth::Unknown
            };
        }
        if now < self.reconnect_at {
            return LoopbackHealth::Silent;
        }
        self.reconnect_at = now + BROKEN;
        LoopbackHealth::Dead
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    /// Checks every 50 ms, after `from` and up to `until`; returns the last result and how often it was `Dead`.
    fn check(probe: &mut LoopbackProbe, echo: Option<u64>, from: u64, until: u64) -> (LoopbackHealth, usize) {
        let checks = (from + 50..=until).step_by(50).map(|now| probe.check(echo.map(at), at(now)));
        checks.fold((LoopbackHealth::Unknown, 0), |(_, dead), health| {
            (health, dead + usize::from(health == LoopbackHealth::Dead))
        })
    }

    fn probe() -> LoopbackProbe {
        let mut probe = LoopbackProbe::default();
        probe.connect(at(10_000));
        probe
    }

    #[test]
    fn a_connection_has_time_for_its_first_beat() {
        assert_eq!(check(&mut probe(), Some(1), 10_000, 12_500), (LoopbackHealth::Unknown, 0));
        assert_eq!(check(&mut probe(), None, 10_000, 12_550), (LoopbackHealth::Silent, 0));
    }

    #[test]
    fn silence_is_counted_from_the_last_echo() {
        let mut probe = probe();
        assert_eq!(check(&mut probe, Some(11_000), 10_000, 13_500), (LoopbackHealth::Healthy, 0));
        assert_eq!(check(&mut probe, Some(11_000), 13_500, 13_550), (LoopbackHealth::Silent, 0));
        assert_eq!(check(&mut probe, Some(13_600), 13_600, 13_650), (LoopbackHealth::Healthy, 0));
    }

    #[test]
    fn a_connection_is_made_anew_once_in_five_seconds_of_silence() {
        assert_eq!(check(&mut probe(), None, 10_000, 14_950).1, 0);
        assert_eq!(check(&mut probe(), None, 10_000, 15_000), (LoopbackHealth::Dead, 1));
        assert_eq!(check(&mut probe(), None, 10_000, 24_000), (LoopbackHealth::Silent, 2));
    }

    #[test]
    fn a_process_that_was_stopped_takes_the_silence_for_its_own() {
        let mut probe = probe();
        assert_eq!(check(&mut probe, Some(10_500), 10_000, 11_000), (LoopbackHealth::Healthy, 0));
        assert_eq!(probe.check(Some(at(10_500)), at(30_000)), LoopbackHealth::Unknown);
        assert_eq!(check(&mut probe, Some(10_500), 30_000, 32_550), (LoopbackHealth::Silent, 0));
    }
}

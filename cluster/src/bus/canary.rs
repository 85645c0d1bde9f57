//! Whether a connection carries anything. Our own beats come back through the servers once a second; where they do not,
//! the connection is worth nothing, whatever the client says of it.
//!
//! A silent bus counts as away well before a silent peer counts as dead, since peers are silent on a bus that is.

use std::time::Duration;

/// Silence after which the bus counts as away: two beats were lost.
const AWAY: Duration = Duration::from_millis(2500);

/// Silence after which the connection is made anew.
const BROKEN: Duration = Duration::from_secs(5);

/// A pause between two looks after which we take ourselves to have been stopped: the silence was ours.
const STOPPED: Duration = Duration::from_secs(1);

/// Watches one connection.
#[derive(Debug, Default)]
pub(super) struct Canary {
    since: Duration,
    last_look: Duration,
    reconnect_at: Duration,
}

/// What a look at it says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Our beats come back.
    Sings,
    /// None has come back yet on this connection, or since we were stopped, and it is too early to tell why.
    Unknown,
    /// They do not.
    Silent,
    /// They did not for so long that the connection is to be made anew; said once in [`BROKEN`].
    Dead,
}

impl Canary {
    /// A connection came.
    pub fn connect(&mut self, now: Duration) {
        *self = Self { since: now, last_look: now, reconnect_at: now + BROKEN };
    }

    /// Looks, given when a beat of our own came back last.
    pub fn look(&mut self, echo: Option<Duration>, now: Duration) -> Verdict {
        if now.saturating_sub(self.last_look) > STOPPED {
            self.since = now;
        }
        self.last_look = now;
        let heard = echo.unwrap_or_default().max(self.since);
        let silence = now.saturating_sub(heard);
        if silence <= AWAY {
            self.reconnect_at = heard + BROKEN;
            return if echo.is_some_and(|echo| echo >= self.since) { Verdict::Sings } else { Verdict::Unknown };
        }
        if now < self.reconnect_at {
            return Verdict::Silent;
        }
        self.reconnect_at = now + BROKEN;
        Verdict::Dead
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    /// Looks every 50 ms, after `from` and up to `until`; returns the last verdict and how often it was `Dead`.
    fn look(canary: &mut Canary, echo: Option<u64>, from: u64, until: u64) -> (Verdict, usize) {
        let looks = (from + 50..=until).step_by(50).map(|now| canary.look(echo.map(at), at(now)));
        looks.fold((Verdict::Unknown, 0), |(_, dead), verdict| (verdict, dead + usize::from(verdict == Verdict::Dead)))
    }

    fn canary() -> Canary {
        let mut canary = Canary::default();
        canary.connect(at(10_000));
        canary
    }

    #[test]
    fn a_connection_has_time_for_its_first_beat() {
        assert_eq!(look(&mut canary(), Some(1), 10_000, 12_500), (Verdict::Unknown, 0));
        assert_eq!(look(&mut canary(), None, 10_000, 12_550), (Verdict::Silent, 0));
    }

    #[test]
    fn silence_is_counted_from_the_last_echo() {
        let mut canary = canary();
        assert_eq!(look(&mut canary, Some(11_000), 10_000, 13_500), (Verdict::Sings, 0));
        assert_eq!(look(&mut canary, Some(11_000), 13_500, 13_550), (Verdict::Silent, 0));
        assert_eq!(look(&mut canary, Some(13_600), 13_600, 13_650), (Verdict::Sings, 0));
    }

    #[test]
    fn a_connection_is_made_anew_once_in_five_seconds_of_silence() {
        assert_eq!(look(&mut canary(), None, 10_000, 14_950).1, 0);
        assert_eq!(look(&mut canary(), None, 10_000, 15_000), (Verdict::Dead, 1));
        assert_eq!(look(&mut canary(), None, 10_000, 24_000), (Verdict::Silent, 2));
    }

    #[test]
    fn a_process_that_was_stopped_takes_the_silence_for_its_own() {
        let mut canary = canary();
        assert_eq!(look(&mut canary, Some(10_500), 10_000, 11_000), (Verdict::Sings, 0));
        assert_eq!(canary.look(Some(at(10_500)), at(30_000)), Verdict::Unknown);
        assert_eq!(look(&mut canary, Some(10_500), 30_000, 32_550), (Verdict::Silent, 0));
    }
}

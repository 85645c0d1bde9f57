//! When a quiet client is asked whether it is there, and when it is given up (protocol.md §1.6). Pure.

use std::time::Duration;

/// What to do about a session that was silent for some time.
#[derive(Debug, PartialEq, Eq)]
pub enum Check {
    /// It was heard of lately: look again after this time.
    Later(Duration),
    /// Ping it, and look again after this time.
    Ping(Duration),
    /// It did not answer: close it.
    Silent,
}

/// Judges a silence. Any frame from the client ends a silence; `pinged` says whether this one was answered by a ping.
pub fn check(silence: Duration, pinged: bool, ping_interval: Duration, pong_timeout: Duration) -> Check {
    if silence < ping_interval {
        return Check::Later(ping_interval - silence);
    }
    match (ping_interval + pong_timeout).saturating_sub(silence) {
        Duration::ZERO if pinged => Check::Silent,
        rest if pinged => Check::Later(rest),
        _ => Check::Ping(pong_timeout),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(seconds: u64, pinged: bool) -> Check {
        check(Duration::from_secs(seconds), pinged, Duration::from_secs(60), Duration::from_secs(30))
    }

    #[test]
    fn a_client_is_pinged_after_the_interval_and_given_up_after_the_timeout() {
        assert_eq!(after(0, false), Check::Later(Duration::from_secs(60)));
        assert_eq!(after(59, false), Check::Later(Duration::from_secs(1)));
        assert_eq!(after(60, false), Check::Ping(Duration::from_secs(30)));
        assert_eq!(after(75, true), Check::Later(Duration::from_secs(15)));
        assert_eq!(after(90, true), Check::Silent);
    }

    #[test]
    fn a_late_check_still_pings_before_it_gives_up() {
        assert_eq!(after(500, false), Check::Ping(Duration::from_secs(30)));
    }

    #[test]
    fn clients_that_ping_every_120_seconds_and_wait_30_for_the_answer_are_kept() {
        // They answer our ping after 60 s, so they are never silent for 90 s (protocol.md §0, rule 18).
        assert_eq!(after(60, false), Check::Ping(Duration::from_secs(30)));
        assert_eq!(after(1, false), Check::Later(Duration::from_secs(59)));
    }
}

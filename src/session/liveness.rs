//! When a quiet client is asked whether it is there, and when it is given up (protocol.md §1.6). Pure.

use std::time::Duration;

/// What to do about a session that was silent for some time.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Check {
    /// It was heard of lately: look again after this time.
    Later(Duration),
    /// Ping it, and look again after this time.
    Ping(Duration),
    /// It did not answer: close it.
    Silent,
}

/// Judges a silence. Any frame from the client ends a silence; `pinged` is how long ago this one was answered by a ping.
pub(super) fn check(
    silence: Duration,
    pinged: Option<Duration>,
    ping_interval: Duration,
    pong_timeout: Duration,
) -> Check {
    if silence < ping_interval {
        return Check::Later(ping_interval - silence);
    }
    // A client that answers is due for its next ping after the interval, however long it might have taken.
    match pinged.map(|ago| pong_timeout.saturating_sub(ago)) {
        None => Check::Ping(pong_timeout.min(ping_interval)),
        Some(Duration::ZERO) => Check::Silent,
        Some(rest) => Check::Later(rest.min(ping_interval)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    fn after(silence: u64, pinged: Option<u64>) -> Check {
        check(Duration::from_secs(silence), pinged.map(Duration::from_secs), MINUTE, MINUTE / 2)
    }

    #[test]
    fn a_client_is_pinged_after_the_interval_and_given_up_after_the_timeout() {
        assert_eq!(after(0, None), Check::Later(MINUTE));
        assert_eq!(after(59, None), Check::Later(Duration::from_secs(1)));
        assert_eq!(after(60, None), Check::Ping(MINUTE / 2));
        assert_eq!(after(75, Some(15)), Check::Later(Duration::from_secs(15)));
        assert_eq!(after(90, Some(30)), Check::Silent);
    }

    #[test]
    fn a_late_check_still_pings_and_waits_before_it_gives_up() {
        assert_eq!(after(500, None), Check::Ping(MINUTE / 2));
        assert_eq!(after(510, Some(10)), Check::Later(Duration::from_secs(20)));
    }

    #[test]
    fn a_long_timeout_does_not_put_off_the_next_ping_of_a_client_that_answers() {
        let (second, hour) = (Duration::from_secs(1), Duration::from_secs(3_600));
        assert_eq!(check(second, None, second, hour), Check::Ping(second));
        assert_eq!(check(second * 2, Some(second), second, hour), Check::Later(second));
    }

    #[test]
    fn clients_that_ping_every_120_seconds_and_wait_30_for_the_answer_are_kept() {
        // They answer our ping after 60 s, so they are never silent for 90 s (protocol.md §0, rule 18).
        assert_eq!(after(60, None), Check::Ping(MINUTE / 2));
        assert_eq!(after(1, None), Check::Later(Duration::from_secs(59)));
    }
}

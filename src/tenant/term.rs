//! For how long a token lets its socket stay. Pure: the caller brings the clock, as the time since the Unix epoch.

use std::time::Duration;

use super::token::LEEWAY;

/// How long before the end a client is told at the earliest, of a token that has lived long. Half of it at the latest.
const LEAD: Duration = Duration::from_secs(120);

/// Over which time after the end sockets are closed whose tokens end in the same instant: their pages all want new ones.
const SPREAD: Duration = Duration::from_secs(5);

/// When a token was signed, and when it ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Term {
    /// Claim `iat`; of a token that has none the moment at which it was taken.
    pub issued: Duration,
    /// Claim `exp`.
    pub expires: Duration,
}

/// When one session has to be told, and to end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deadline {
    expires: Duration,
    /// `None` once it was told, or where it is too late.
    warns: Option<Duration>,
    ends: Duration,
}

/// What is to be done now.
#[derive(Debug, PartialEq, Eq)]
pub enum Due {
    /// Nothing, for so long.
    Nothing(Duration),
    /// The client is told that its token ends in so long.
    Warning(Duration),
    End,
}

impl Deadline {
    /// For a token that is taken now. `chance` is from 0 to 1, another one for each session.
    pub fn new(term: &Term, now: Duration, chance: f64) -> Self {
        let (rest, chance) = (term.expires.saturating_sub(now), chance.clamp(0.0, 1.0));
        let lead = (rest / 5).min(LEAD).mul_f64(0.5 + chance / 2.0);
        // Who was let in by the clocks' leeway has no more than that.
        let over = if rest.is_zero() { term.expires.saturating_add(LEEWAY) } else { term.expires };
        Self {
            expires: term.expires,
            warns: (!rest.is_zero()).then(|| term.expires.saturating_sub(lead)),
            ends: over.saturating_add(SPREAD.mul_f64(chance)),
        }
    }

    /// Claim `exp`.
    pub fn expires(&self) -> Duration {
        self.expires
    }

    /// What is due. A warning is due once.
    pub fn look(&mut self, now: Duration) -> Due {
        if now >= self.ends {
            return Due::End;
        }
        match self.warns {
            Some(warns) if now >= warns => {
                self.warns = None;
                Due::Warning(self.expires.saturating_sub(now))
            }
            Some(warns) => Due::Nothing(warns - now),
            None => Due::Nothing(self.ends - now),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(seconds: u64) -> Duration {
        Duration::from_secs(1_700_000_000 + seconds)
    }

    fn deadline(rest: u64, chance: f64) -> Deadline {
        Deadline::new(&Term { issued: at(0), expires: at(rest) }, at(0), chance)
    }

    #[test]
    fn a_client_is_told_once_before_its_token_ends_and_is_closed_after_that() {
        let mut hour = deadline(3_600, 1.0);
        assert_eq!(hour.look(at(0)), Due::Nothing(Duration::from_secs(3_480)));
        assert_eq!(hour.look(at(3_480)), Due::Warning(Duration::from_secs(120)));
        assert_eq!(hour.look(at(3_481)), Due::Nothing(Duration::from_secs(124)));
        assert_eq!(hour.look(at(3_604)), Due::Nothing(Duration::from_secs(1)));
        assert_eq!(hour.look(at(3_605)), Due::End);
        assert_eq!(hour.look(at(9_999)), Due::End);
    }

    #[test]
    fn of_a_thousand_tokens_that_end_together_the_sockets_end_within_five_seconds_and_never_before() {
        for number in 0..=1_000 {
            let mut one = deadline(100, f64::from(number) / 1_000.0);
            assert_eq!(one.look(at(79)), Due::Nothing(Duration::from_secs(21) - one.lead_of(100)), "{number}");
            assert!(matches!(one.look(at(90)), Due::Warning(_)));
            assert!((at(100)..=at(105)).contains(&one.ends), "{:?}", one.ends);
        }
        assert!(deadline(100, 0.2).ends < deadline(100, 0.7).ends);
    }

    impl Deadline {
        fn lead_of(&self, rest: u64) -> Duration {
            at(rest) - self.warns.expect("nobody was told yet")
        }
    }

    #[test]
    fn a_short_token_is_told_of_in_its_last_fifth_and_a_long_one_in_its_last_two_minutes() {
        for (rest, first, last) in [(10, 2, 1), (600, 120, 60), (86_400, 120, 60)] {
            let leads = [deadline(rest, 1.0).lead_of(rest), deadline(rest, 0.0).lead_of(rest)];
            assert_eq!(leads, [Duration::from_secs(first), Duration::from_secs(last)], "{rest}");
        }
    }

    #[test]
    fn what_the_leeway_let_in_goes_with_it_and_is_told_nothing() {
        let mut late = Deadline::new(&Term { issued: at(0), expires: at(10) }, at(20), 0.5);
        assert_eq!(late.look(at(20)), Due::Nothing(Duration::from_millis(22_500)));
        assert_eq!(late.look(at(43)), Due::End);
    }

    #[test]
    fn a_token_without_an_end_in_sight_never_ends() {
        let mut endless = Deadline::new(&Term { issued: at(0), expires: Duration::MAX }, at(0), 1.0);
        assert!(matches!(endless.look(at(1 << 40)), Due::Nothing(_)));
    }
}

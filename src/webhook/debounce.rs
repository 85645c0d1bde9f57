//! Holds back what may be undone within seconds: a page reload must not look like somebody leaving (protocol.md §4.3).
//! Pure: time is an argument, and nothing is posted here.

use std::{
    collections::{BTreeMap, HashMap, HashSet, VecDeque},
    sync::Arc,
    time::{Duration, Instant},
};

use super::pending::PendingEvent;
use crate::protocol::{ChannelName, DebounceRule};

/// Channels whose cache misses are remembered at most. Beyond it the oldest is forgotten early, and may be posted again.
const MAX_MISSES: usize = 16_384;

/// Vacated channels and removed members that may still come back, and the cache misses posted lately.
pub struct Debounce {
    delay: Duration,
    miss_pause: Duration,
    /// Bytes of the events held at most, for all apps together. Beyond it the oldest is let go early: it loses the chance
    /// to be cancelled, but is not lost.
    max_bytes: usize,
    bytes: usize,
    /// By arrival. The delay is one for all, so this is the order of expiry too.
    held: BTreeMap<u64, (Instant, PendingEvent)>,
    keys: HashMap<DebounceKey, u64>,
    arrivals: u64,
    misses: HashSet<DebounceKey>,
    missed: VecDeque<(Instant, DebounceKey)>,
}

/// What an event is about: a channel, or a member of it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct DebounceKey {
    app: Arc<str>,
    channel: ChannelName,
    member: Option<String>,
}

impl Debounce {
    /// Holds for `delay`, `max_bytes` at most; tells of one cache miss per channel and `miss_pause`.
    pub fn new(delay: Duration, miss_pause: Duration, max_bytes: usize) -> Self {
        Self {
            delay,
            miss_pause,
            max_bytes,
            bytes: 0,
            held: BTreeMap::new(),
            keys: HashMap::new(),
            arrivals: 0,
            misses: HashSet::new(),
            missed: VecDeque::new(),
        }
    }

    /// Takes an event at `now` and returns those that are to be posted at once.
    pub fn take(&mut self, pending: PendingEvent, now: Instant) -> Vec<PendingEvent> {
        let key = DebounceKey::of(&pending);
        match pending.event.kind().debounce() {
            DebounceRule::Departure => self.hold(key, pending, now),
            DebounceRule::Return => self.undo(&key, pending).into_iter().collect(),
            DebounceRule::Throttled if self.first_miss(key, now) => vec![pending],
            DebounceRule::Throttled => Vec::new(),
            DebounceRule::Immediate => vec![pending],
        }
    }

    /// When [`Debounce::expire`] has something to return, or earlier.
    pub fn next_expiry(&self) -> Option<Instant> {
        self.held.first_key_value().map(|(_, (expiry, _))| *expiry)
    }

    /// Lets go what nobody undid in time, the oldest first.
    pub fn expire(&mut self, now: Instant) -> Vec<PendingEvent> {
        let mut expired = Vec::new();
        while self.next_expiry().is_some_and(|expiry| expiry <= now) {
            expired.extend(self.release_oldest());
        }
        expired
    }

    /// Lets go everything, the oldest first.
    pub fn release(&mut self) -> Vec<PendingEvent> {
        self.keys.clear();
        self.bytes = 0;
        std::mem::take(&mut self.held).into_values().map(|(_, pending)| pending).collect()
    }

    fn hold(&mut self, key: DebounceKey, pending: PendingEvent, now: Instant) -> Vec<PendingEvent> {
        if self.keys.contains_key(&key) {
            return Vec::new();
        }
        self.arrivals += 1;
        self.keys.insert(key, self.arrivals);
        self.bytes += pending.permit.bytes();
        self.held.insert(self.arrivals, (now + self.delay, pending));
        let mut early = Vec::new();
        while self.bytes > self.max_bytes
            && let Some(oldest) = self.release_oldest()
        {
            early.push(oldest);
        }
        early
    }

    fn undo(&mut self, key: &DebounceKey, pending: PendingEvent) -> Option<PendingEvent> {
        let Some(arrival) = self.keys.remove(key) else { return Some(pending) };
        let held = self.held.remove(&arrival);
        self.bytes -= held.map_or(0, |(_, pending)| pending.permit.bytes());
        None
    }

    fn release_oldest(&mut self) -> Option<PendingEvent> {
        let (_, (_, pending)) = self.held.pop_first()?;
        self.bytes -= pending.permit.bytes();
        self.keys.remove(&DebounceKey::of(&pending));
        Some(pending)
    }

    fn first_miss(&mut self, key: DebounceKey, now: Instant) -> bool {
        while self.missed.front().is_some_and(|(until, _)| *until <= now) || self.missed.len() >= MAX_MISSES {
            if let Some((_, key)) = self.missed.pop_front() {
                self.misses.remove(&key);
            }
        }
        let is_first = self.misses.insert(key.clone());
        if is_first {
            self.missed.push_back((now + self.miss_pause, key));
        }
        is_first
    }
}

impl DebounceKey {
    fn of(PendingEvent { app, event, .. }: &PendingEvent) -> Self {
        let member = event.detail.member().map(str::to_owned);
        Self { app: app.id().clone(), channel: event.channel.clone(), member }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        app::App,
        config::AppSettings,
        protocol::{WebhookDetail, WebhookEvent},
        webhook::pending::Waiting,
    };

    const DELAY: Duration = Duration::from_secs(3);
    const PAUSE: Duration = Duration::from_secs(5);
    const MAX_BYTES: usize = 1_000;

    fn added(user: &str) -> WebhookDetail {
        WebhookDetail::MemberAdded { user_id: user.to_owned() }
    }

    fn removed(user: &str) -> WebhookDetail {
        WebhookDetail::MemberRemoved { user_id: user.to_owned() }
    }

    fn told(pending: PendingEvent) -> String {
        format!("{} {} {:?}", pending.app.id(), pending.event.channel, pending.event.detail)
    }

    /// Takes the changes at their milliseconds and returns what is posted, with the millisecond at which it was.
    fn play(steps: &[(u64, &str, &str, WebhookDetail)], until: u64) -> Vec<(u64, String)> {
        let start = Instant::now();
        let waiting = Waiting::new(MAX_BYTES);
        let mut debounce = Debounce::new(DELAY, PAUSE, MAX_BYTES);
        let mut posted = Vec::new();
        for now in 0..=until {
            let instant = start + Duration::from_millis(now);
            posted.extend(debounce.expire(instant).into_iter().map(|pending| (now, told(pending))));
            for (_, app, channel, detail) in steps.iter().filter(|(at, ..)| *at == now) {
                let pending = PendingEvent {
                    app: App::new(app, AppSettings::new("key", "secret")),
                    event: WebhookEvent { channel: ChannelName::parse(channel, 200).unwrap(), detail: detail.clone() },
                    id: "ab-1".to_owned(),
                    permit: waiting.permit(&"1".into(), 1).unwrap(),
                };
                posted.extend(debounce.take(pending, instant).into_iter().map(|pending| (now, told(pending))));
            }
        }
        posted
    }

    fn check(steps: &[(u64, &str, &str, WebhookDetail)], expected: &[(u64, &str)]) {
        let expected: Vec<_> = expected.iter().map(|(at, text)| (*at, (*text).to_owned())).collect();
        assert_eq!(play(steps, 12_000), expected);
    }

    #[test]
    fn an_occupied_channel_is_told_at_once() {
        check(&[(7, "1", "a", WebhookDetail::ChannelOccupied)], &[(7, "1 a ChannelOccupied")]);
    }

    #[test]
    fn a_vacated_channel_is_told_after_the_delay() {
        check(&[(7, "1", "a", WebhookDetail::ChannelVacated)], &[(3_007, "1 a ChannelVacated")]);
    }

    #[test]
    fn a_channel_that_comes_back_in_time_is_not_told_at_all() {
        check(&[(0, "1", "a", WebhookDetail::ChannelVacated), (2_999, "1", "a", WebhookDetail::ChannelOccupied)], &[]);
    }

    #[test]
    fn a_channel_that_comes_back_too_late_is_told_twice() {
        check(
            &[(0, "1", "a", WebhookDetail::ChannelVacated), (3_000, "1", "a", WebhookDetail::ChannelOccupied)],
            &[(3_000, "1 a ChannelVacated"), (3_000, "1 a ChannelOccupied")],
        );
    }

    #[test]
    fn each_departure_has_its_own_delay() {
        check(
            &[
                (0, "1", "a", WebhookDetail::ChannelVacated),
                (2_000, "1", "a", WebhookDetail::ChannelOccupied),
                (2_500, "1", "a", WebhookDetail::ChannelVacated),
            ],
            &[(5_500, "1 a ChannelVacated")],
        );
    }

    #[test]
    fn members_are_held_by_user_and_channel_and_app() {
        check(
            &[
                (0, "1", "presence-a", removed("7")),
                (1, "1", "presence-a", added("8")),
                (2, "1", "presence-b", added("7")),
                (3, "2", "presence-a", added("7")),
                (4, "1", "presence-a", added("7")),
            ],
            &[
                (1, r#"1 presence-a MemberAdded { user_id: "8" }"#),
                (2, r#"1 presence-b MemberAdded { user_id: "7" }"#),
                (3, r#"2 presence-a MemberAdded { user_id: "7" }"#),
            ],
        );
    }

    #[test]
    fn departures_keep_their_order() {
        check(
            &[(0, "1", "presence-a", removed("7")), (0, "1", "presence-a", WebhookDetail::ChannelVacated)],
            &[(3_000, r#"1 presence-a MemberRemoved { user_id: "7" }"#), (3_000, "1 presence-a ChannelVacated")],
        );
    }

    #[test]
    fn cache_misses_of_a_channel_are_told_once_in_the_pause() {
        check(
            &[
                (0, "1", "cache-a", WebhookDetail::CacheMiss),
                (1, "1", "cache-a", WebhookDetail::CacheMiss),
                (2, "1", "cache-b", WebhookDetail::CacheMiss),
                (4_999, "1", "cache-a", WebhookDetail::CacheMiss),
                (5_000, "1", "cache-a", WebhookDetail::CacheMiss),
            ],
            &[(0, "1 cache-a CacheMiss"), (2, "1 cache-b CacheMiss"), (5_000, "1 cache-a CacheMiss")],
        );
    }

    #[test]
    fn counts_pass_untouched() {
        check(
            &[(0, "1", "a", WebhookDetail::SubscriptionCount { count: 2 })],
            &[(0, "1 a SubscriptionCount { count: 2 }")],
        );
    }

    #[test]
    fn releasing_lets_go_all_that_is_held_and_forgets_it() {
        let waiting = Waiting::new(MAX_BYTES);
        let mut debounce = Debounce::new(DELAY, PAUSE, MAX_BYTES);
        let pending = |detail| PendingEvent {
            app: App::new("1", AppSettings::new("key", "secret")),
            event: WebhookEvent { channel: ChannelName::parse("a", 200).unwrap(), detail },
            id: "ab-1".to_owned(),
            permit: waiting.permit(&"1".into(), 1).unwrap(),
        };
        let now = Instant::now();
        assert!(debounce.take(pending(WebhookDetail::ChannelVacated), now).is_empty());
        assert_eq!(debounce.release().into_iter().map(told).collect::<Vec<_>>(), ["1 a ChannelVacated"]);
        assert_eq!(debounce.take(pending(WebhookDetail::ChannelOccupied), now).len(), 1);
        assert_eq!(debounce.next_expiry(), None);
    }

    #[test]
    fn over_the_bound_of_bytes_the_oldest_are_told_early() {
        let waiting = Waiting::new(10 * MAX_BYTES);
        let app = App::new("1", AppSettings::new("key", "secret"));
        let mut debounce = Debounce::new(DELAY, PAUSE, MAX_BYTES);
        let now = Instant::now();
        let mut take = |channel: &str, detail, bytes| {
            let event = WebhookEvent { channel: ChannelName::parse(channel, 200).unwrap(), detail };
            let permit = waiting.permit(&"1".into(), bytes).unwrap();
            let pending = PendingEvent { app: app.clone(), event, id: channel.to_owned(), permit };
            debounce.take(pending, now).into_iter().map(told).collect::<Vec<_>>()
        };
        for channel in ["a", "b", "c", "d"] {
            assert_eq!(take(channel, WebhookDetail::ChannelVacated, MAX_BYTES / 4), [""; 0]);
        }
        assert_eq!(take("d", WebhookDetail::ChannelOccupied, 1), [""; 0]);
        assert_eq!(take("e", WebhookDetail::ChannelVacated, MAX_BYTES / 2), ["1 a ChannelVacated"]);
        assert_eq!(
            take("f", WebhookDetail::ChannelVacated, MAX_BYTES),
            ["1 b ChannelVacated", "1 c ChannelVacated", "1 e ChannelVacated"]
        );
    }

    #[test]
    fn cache_misses_of_ever_new_channels_take_no_more_than_their_places() {
        let waiting = Waiting::new(MAX_BYTES);
        let app = App::new("1", AppSettings::new("key", "secret"));
        let mut debounce = Debounce::new(DELAY, PAUSE, MAX_BYTES);
        let now = Instant::now();
        let mut miss = |number: usize| {
            let channel = ChannelName::parse(&format!("cache-{number}"), 200).unwrap();
            let event = WebhookEvent { channel, detail: WebhookDetail::CacheMiss };
            let pending = PendingEvent {
                app: app.clone(),
                event,
                id: number.to_string(),
                permit: waiting.permit(&"1".into(), 1).unwrap(),
            };
            debounce.take(pending, now).len()
        };
        (0..=MAX_MISSES).for_each(|number| assert_eq!(miss(number), 1));
        assert_eq!((miss(MAX_MISSES), miss(0)), (0, 1));
        assert_eq!((debounce.misses.len(), debounce.missed.len()), (MAX_MISSES, MAX_MISSES));
    }
}

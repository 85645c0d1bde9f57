//! What an app, or one tenant of it, has now and has done, on this node and on the others, against what it may.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use super::rate::RateLimit;
use crate::config::Quotas;

/// Whose usage it is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Whose {
    #[default]
    App,
    Tenant,
}

/// Makes an enum of what is limited, each with the label of its limit in metrics, its app setting, and both once more for a
/// tenant's.
macro_rules! limited {
    ($(#[$doc:meta])* $name:ident { $($item:ident = $label:literal $of_tenant:literal $setting:ident,)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum $name {
            $($item,)*
        }

        impl $name {
            pub const ALL: &[Self] = &[$(Self::$item,)*];

            /// What the limits have of it, if it is limited.
            pub fn of(self, whose: Whose, quotas: &Quotas) -> Option<Limit> {
                let (labels, settings, most) = match self {
                    $(Self::$item => (
                        [$label, $of_tenant],
                        [stringify!($setting), concat!("tenant_limits.", stringify!($setting))],
                        quotas.$setting,
                    ),)*
                };
                Some(Limit { whose, label: labels[whose as usize], setting: settings[whose as usize], most: most? })
            }
        }
    };
}

limited! {
    /// What is counted as long as it is there.
    Kept {
        Connections = "connections" "tenant_connections" max_connections,
        Subscriptions = "subscriptions" "tenant_subscriptions" max_total_subscriptions,
        Channels = "channels" "tenant_channels" max_channels,
        Members = "members" "tenant_members" max_members,
    }
}

limited! {
    /// What is counted a second.
    Done {
        Events = "events_per_second" "tenant_events_per_second" events_per_second,
        Deliveries = "deliveries_per_second" "tenant_deliveries_per_second" deliveries_per_second,
        Bytes = "bytes_per_second" "tenant_bytes_per_second" bytes_per_second,
        Joins = "joins_per_second" "tenant_joins_per_second" joins_per_second,
    }
}

limited! {
    /// What is limited of each one.
    Each {
        EventBytes = "event_bytes" "tenant_event_bytes" max_event_bytes,
    }
}

/// A limit that is set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limit {
    whose: Whose,
    /// What it is called in metrics.
    pub label: &'static str,
    /// The app setting that sets it.
    pub setting: &'static str,
    pub most: u32,
}

/// A limit that is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{}'s limit of {} is reached (app setting {})", self.limit.whose, self.limit.most, self.limit.setting)]
pub struct Reached {
    pub limit: Limit,
    /// After how long there is room again, where that is known.
    pub wait: Option<Duration>,
}

impl fmt::Display for Whose {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::App => "the app",
            Self::Tenant => "the tenant",
        })
    }
}

/// What of it waits for its rooms.
#[derive(Debug, Default)]
pub struct Waiting {
    pub events: AtomicUsize,
    pub bytes: AtomicUsize,
}

/// Shared by all threads; every field may be read at any time. What other nodes have is known a quarter of a second late.
#[derive(Debug)]
pub struct Usage {
    whose: Whose,
    since: Instant,
    here: [AtomicUsize; Kept::ALL.len()],
    elsewhere: [AtomicUsize; Kept::ALL.len()],
    rates: [RateLimit; Done::ALL.len()],
    /// Events on their way to sockets.
    pub waiting: Arc<Waiting>,
    /// Events handed to sockets: one per event and subscriber.
    pub deliveries: AtomicU64,
    /// WebSocket bytes handed to sockets by events.
    pub bytes_out: AtomicU64,
    /// What was refused because a limit was reached.
    pub refusals: AtomicU64,
}

impl Default for Usage {
    fn default() -> Self {
        Self::of(Whose::App)
    }
}

impl Usage {
    /// Nothing yet.
    pub fn of(whose: Whose) -> Self {
        Self {
            whose,
            since: Instant::now(),
            here: Default::default(),
            elsewhere: Default::default(),
            rates: Default::default(),
            waiting: Arc::default(),
            deliveries: AtomicU64::default(),
            bytes_out: AtomicU64::default(),
            refusals: AtomicU64::default(),
        }
    }

    pub fn here(&self, kept: Kept) -> usize {
        self.here[kept as usize].load(Relaxed)
    }

    /// On all other nodes, as far as it is known here.
    pub fn elsewhere(&self, kept: Kept) -> usize {
        self.elsewhere[kept as usize].load(Relaxed)
    }

    pub fn everywhere(&self, kept: Kept) -> usize {
        self.here(kept).saturating_add(self.elsewhere(kept))
    }

    pub fn set_elsewhere(&self, kept: Kept, count: usize) {
        self.elsewhere[kept as usize].store(count, Relaxed);
    }

    /// Counts one more, if the limit has room for it on all nodes together.
    pub fn take(&self, kept: Kept, quotas: &Quotas) -> Result<(), Reached> {
        let here = &self.here[kept as usize];
        let Some(limit) = kept.of(self.whose, quotas) else {
            here.fetch_add(1, Relaxed);
            return Ok(());
        };
        let room = (limit.most as usize).saturating_sub(self.elsewhere(kept));
        let taken = here.fetch_update(Relaxed, Relaxed, |here| (here < room).then_some(here + 1));
        taken.map(drop).map_err(|_| self.refuse(limit, None))
    }

    /// Counts one less.
    pub fn give_back(&self, kept: Kept) {
        self.here[kept as usize].fetch_sub(1, Relaxed);
    }

    /// What there was so many of before is there so often now.
    pub fn replace(&self, kept: Kept, before: usize, now: usize) {
        if before != now {
            // Wraps where it has become fewer.
            self.here[kept as usize].fetch_add(now.wrapping_sub(before), Relaxed);
        }
    }

    /// Whether there may be one more, for what is counted only when it is there.
    pub fn check(&self, kept: Kept, quotas: &Quotas) -> Result<(), Reached> {
        match kept.of(self.whose, quotas) {
            Some(limit) if self.everywhere(kept) >= limit.most as usize => Err(self.refuse(limit, None)),
            Some(_) | None => Ok(()),
        }
    }

    /// Whether one may be as large as this.
    pub fn check_each(&self, each: Each, size: usize, quotas: &Quotas) -> Result<(), Reached> {
        match each.of(self.whose, quotas) {
            Some(limit) if size > limit.most as usize => Err(self.refuse(limit, None)),
            Some(_) | None => Ok(()),
        }
    }

    /// Takes so many of what each of so many nodes grants in a second, or says for how long that is too many.
    pub fn take_rate(
        &self,
        done: Done,
        tokens: usize,
        (quotas, nodes): (&Quotas, u32),
        now: Instant,
    ) -> Result<(), Reached> {
        let (rate, tokens) = (&self.rates[done as usize], u32::try_from(tokens).unwrap_or(u32::MAX));
        let Some(limit) = done.of(self.whose, quotas) else {
            rate.count(tokens);
            return Ok(());
        };
        let taken = rate.take(tokens, share(limit.most, nodes), self.clock(now));
        taken.map_err(|wait| self.refuse(limit, Some(wait)))
    }

    /// Charges what an event costs, which is known when it was let in.
    pub fn charge(&self, done: Done, tokens: u64, (quotas, nodes): (&Quotas, u32), now: Instant) {
        if let Some(limit) = done.of(self.whose, quotas) {
            self.rates[done as usize].charge(tokens, share(limit.most, nodes), self.clock(now));
        }
    }

    /// Whether more was charged than a second grants; then for how long nothing is let in.
    pub fn check_rate(&self, done: Done, quotas: &Quotas, now: Instant) -> Result<(), Reached> {
        let Some(limit) = done.of(self.whose, quotas) else { return Ok(()) };
        self.rates[done as usize].check(self.clock(now)).map_err(|wait| self.refuse(limit, Some(wait)))
    }

    /// What was taken or charged since the start.
    pub fn taken(&self, done: Done) -> u64 {
        self.rates[done as usize].taken()
    }

    /// Whether nothing is known of it that would be lost: no count, and all its rates have what they may have.
    pub fn is_quiet(&self, now: Instant) -> bool {
        let now = self.clock(now);
        let has_nothing = Kept::ALL.iter().all(|kept| self.everywhere(*kept) == 0);
        has_nothing && self.rates.iter().all(|rate| rate.is_full(now))
    }

    fn refuse(&self, limit: Limit, wait: Option<Duration>) -> Reached {
        self.refusals.fetch_add(1, Relaxed);
        Reached { limit, wait }
    }

    fn clock(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.since)
    }
}

/// What each of so many nodes grants of a limit.
pub(super) fn share(limit: u32, nodes: u32) -> u32 {
    limit.div_ceil(nodes.max(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn quotas(text: &str) -> Quotas {
        Quotas::parse(text).expect(text)
    }

    #[test]
    fn what_is_on_other_nodes_counts_too() {
        let (usage, quotas) = (Usage::default(), quotas("max_connections=3"));
        usage.set_elsewhere(Kept::Connections, 1);
        let take = || usage.take(Kept::Connections, &quotas);
        assert_eq!((take(), take()), (Ok(()), Ok(())));
        let text = "the app's limit of 3 is reached (app setting max_connections)";
        assert_eq!(take().map_err(|reached| reached.to_string()), Err(text.to_owned()));
        assert_eq!(usage.everywhere(Kept::Connections), 3);
        usage.give_back(Kept::Connections);
        assert_eq!(take(), Ok(()));
        assert_eq!(usage.refusals.load(Relaxed), 1);
    }

    #[test]
    fn what_is_counted_when_it_is_there_is_checked_before() {
        let (usage, quotas) = (Usage::default(), quotas("max_members=2"));
        usage.replace(Kept::Members, 0, 2);
        assert!(usage.check(Kept::Members, &quotas).is_err());
        usage.replace(Kept::Members, 2, 1);
        assert_eq!((usage.here(Kept::Members), usage.check(Kept::Members, &quotas)), (1, Ok(())));
    }

    #[test]
    fn a_node_grants_its_share_of_a_rate() {
        let (usage, quotas, start) = (Usage::default(), quotas("joins_per_second=10"), Instant::now());
        let joined =
            |nodes| (0..100).filter(|_| usage.take_rate(Done::Joins, 1, (&quotas, nodes), start).is_ok()).count();
        assert_eq!(joined(3), 4);
        assert_eq!(usage.taken(Done::Joins), 4);
    }

    #[test]
    fn what_is_charged_keeps_the_next_out_until_it_is_paid() {
        let (usage, quotas, start) = (Usage::default(), quotas("deliveries_per_second=100"), Instant::now());
        let check = |after| usage.check_rate(Done::Deliveries, &quotas, start + Duration::from_millis(after));
        usage.charge(Done::Deliveries, 100, (&quotas, 1), start);
        assert_eq!(check(0), Ok(()));
        usage.charge(Done::Deliveries, 200, (&quotas, 1), start);
        assert_eq!(check(0).unwrap_err().wait, Some(Duration::from_secs(2)));
        assert!(check(1_999).is_err());
        assert_eq!(check(2_001), Ok(()));
    }

    #[test]
    fn where_nothing_is_limited_everything_is_counted() {
        let usage = Usage::default();
        let now = Instant::now();
        assert_eq!(usage.take_rate(Done::Joins, 7, (&Quotas::default(), 1), now), Ok(()));
        assert_eq!(usage.take(Kept::Connections, &Quotas::default()), Ok(()));
        assert_eq!((usage.taken(Done::Joins), usage.here(Kept::Connections)), (7, 1));
        assert!(!usage.is_quiet(now));
        usage.give_back(Kept::Connections);
        assert!(usage.is_quiet(now));
    }
}

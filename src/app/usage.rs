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

/// The app as a whole, or one of its tenants.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Scope {
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
            pub fn of(self, scope: Scope, quotas: &Quotas) -> Option<Limit> {
                let (labels, settings, most) = match self {
                    $(Self::$item => (
                        [$label, $of_tenant],
                        [stringify!($setting), concat!("tenant_limits.", stringify!($setting))],
                        quotas.$setting,
                    ),)*
                };
                Some(Limit { scope, label: labels[scope as usize], setting: settings[scope as usize], most: most? })
            }
        }
    };
}

limited! {
    /// What is counted as long as it is there.
    Resource {
        Connections = "connections" "tenant_connections" max_connections,
        Subscriptions = "subscriptions" "tenant_subscriptions" max_total_subscriptions,
        Channels = "channels" "tenant_channels" max_channels,
        Members = "members" "tenant_members" max_members,
    }
}

limited! {
    /// What is counted a second.
    Throughput {
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
    scope: Scope,
    /// What it is called in metrics.
    pub label: &'static str,
    /// The app setting that sets it.
    pub setting: &'static str,
    pub most: u32,
}

/// A limit that is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{}'s limit of {} is reached (app setting {})", self.limit.scope, self.limit.most, self.limit.setting)]
pub struct Reached {
    pub limit: Limit,
    /// After how long there is room again, where that is known.
    pub wait: Option<Duration>,
}

impl fmt::Display for Scope {
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
    scope: Scope,
    since: Instant,
    local: [AtomicUsize; Resource::ALL.len()],
    remote: [AtomicUsize; Resource::ALL.len()],
    rates: [RateLimit; Throughput::ALL.len()],
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
        Self::of(Scope::App)
    }
}

impl Usage {
    /// Nothing yet.
    pub fn of(scope: Scope) -> Self {
        Self {
            scope,
            since: Instant::now(),
            local: Default::default(),
            remote: Default::default(),
            rates: Default::default(),
            waiting: Arc::default(),
            deliveries: AtomicU64::default(),
            bytes_out: AtomicU64::default(),
            refusals: AtomicU64::default(),
        }
    }

    pub fn local(&self, resource: Resource) -> usize {
        self.local[resource as usize].load(Relaxed)
    }

    /// On all other nodes, as far as it is known here.
    pub fn remote(&self, resource: Resource) -> usize {
        self.remote[resource as usize].load(Relaxed)
    }

    pub fn total(&self, resource: Resource) -> usize {
        self.local(resource).saturating_add(self.remote(resource))
    }

    pub fn set_remote(&self, resource: Resource, count: usize) {
        self.remote[resource as usize].store(count, Relaxed);
    }

    /// Counts one more, if the limit has room for it on all nodes together.
    pub fn take(&self, resource: Resource, quotas: &Quotas) -> Result<(), Reached> {
        let local = &self.local[resource as usize];
        let Some(limit) = resource.of(self.scope, quotas) else {
            local.fetch_add(1, Relaxed);
            return Ok(());
        };
        let room = (limit.most as usize).saturating_sub(self.remote(resource));
        let taken = local.fetch_update(Relaxed, Relaxed, |local| (local < room).then_some(local + 1));
        taken.map(drop).map_err(|_| self.refuse(limit, None))
    }

    /// Counts one less.
    pub fn give_back(&self, resource: Resource) {
        self.local[resource as usize].fetch_sub(1, Relaxed);
    }

    /// What there was so many of before is there so often now.
    pub fn replace(&self, resource: Resource, before: usize, now: usize) {
        if before != now {
            // Wraps where it has become fewer.
            self.local[resource as usize].fetch_add(now.wrapping_sub(before), Relaxed);
        }
    }

    /// Whether there may be one more, for what is counted only when it is there.
    pub fn check(&self, resource: Resource, quotas: &Quotas) -> Result<(), Reached> {
        match resource.of(self.scope, quotas) {
            Some(limit) if self.total(resource) >= limit.most as usize => Err(self.refuse(limit, None)),
            Some(_) | None => Ok(()),
        }
    }

    /// Whether one may be as large as this.
    pub fn check_each(&self, each: Each, size: usize, quotas: &Quotas) -> Result<(), Reached> {
        match each.of(self.scope, quotas) {
            Some(limit) if size > limit.most as usize => Err(self.refuse(limit, None)),
            Some(_) | None => Ok(()),
        }
    }

    /// Takes so many of what each of so many nodes grants in a second, or says for how long that is too many.
    pub fn take_rate(
        &self,
        throughput: Throughput,
        tokens: usize,
        (quotas, nodes): (&Quotas, u32),
        now: Instant,
    ) -> Result<(), Reached> {
        let (rate, tokens) = (&self.rates[throughput as usize], u32::try_from(tokens).unwrap_or(u32::MAX));
        let Some(limit) = throughput.of(self.scope, quotas) else {
            rate.count(tokens);
            return Ok(());
        };
        let taken = rate.take(tokens, share(limit.most, nodes), self.clock(now));
        taken.map_err(|wait| self.refuse(limit, Some(wait)))
    }

    /// Charges what an event costs, which is known when it was let in.
    pub fn charge(&self, throughput: Throughput, tokens: u64, (quotas, nodes): (&Quotas, u32), now: Instant) {
        if let Some(limit) = throughput.of(self.scope, quotas) {
            self.rates[throughput as usize].charge(tokens, share(limit.most, nodes), self.clock(now));
        }
    }

    /// Whether more was charged than a second grants; then for how long nothing is let in.
    pub fn check_rate(&self, throughput: Throughput, quotas: &Quotas, now: Instant) -> Result<(), Reached> {
        let Some(limit) = throughput.of(self.scope, quotas) else { return Ok(()) };
        self.rates[throughput as usize].check(self.clock(now)).map_err(|wait| self.refuse(limit, Some(wait)))
    }

    /// What was taken or charged since the start.
    pub fn taken(&self, throughput: Throughput) -> u64 {
        self.rates[throughput as usize].taken()
    }

    /// Whether nothing is known of it that would be lost: no count, and all its rates have what they may have.
    pub fn is_quiet(&self, now: Instant) -> bool {
        let now = self.clock(now);
        let has_nothing = Resource::ALL.iter().all(|resource| self.total(*resource) == 0);
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
    use crate::metrics::Outcomes;

    fn quotas(text: &str) -> Quotas {
        Quotas::parse(text).expect(text)
    }

    #[test]
    fn what_is_on_other_nodes_counts_too() {
        let (usage, quotas) = (Usage::default(), quotas("max_connections=3"));
        usage.set_remote(Resource::Connections, 1);
        let take = || usage.take(Resource::Connections, &quotas);
        assert_eq!((take(), take()), (Ok(()), Ok(())));
        let text = "the app's limit of 3 is reached (app setting max_connections)";
        assert_eq!(take().map_err(|reached| reached.to_string()), Err(text.to_owned()));
        assert_eq!(usage.total(Resource::Connections), 3);
        usage.give_back(Resource::Connections);
        assert_eq!(take(), Ok(()));
        assert_eq!(usage.refusals.load(Relaxed), 1);
    }

    #[test]
    fn what_is_counted_when_it_is_there_is_checked_before() {
        let (usage, quotas) = (Usage::default(), quotas("max_members=2"));
        usage.replace(Resource::Members, 0, 2);
        assert!(usage.check(Resource::Members, &quotas).is_err());
        usage.replace(Resource::Members, 2, 1);
        assert_eq!((usage.local(Resource::Members), usage.check(Resource::Members, &quotas)), (1, Ok(())));
    }

    #[test]
    fn a_node_grants_its_share_of_a_rate() {
        let (usage, quotas, start) = (Usage::default(), quotas("joins_per_second=10"), Instant::now());
        let joined =
            |nodes| (0..100).filter(|_| usage.take_rate(Throughput::Joins, 1, (&quotas, nodes), start).is_ok()).count();
        assert_eq!(joined(3), 4);
        assert_eq!(usage.taken(Throughput::Joins), 4);
    }

    #[test]
    fn what_is_charged_keeps_the_next_out_until_it_is_paid() {
        let (usage, quotas, start) = (Usage::default(), quotas("deliveries_per_second=100"), Instant::now());
        let check = |after| usage.check_rate(Throughput::Deliveries, &quotas, start + Duration::from_millis(after));
        usage.charge(Throughput::Deliveries, 100, (&quotas, 1), start);
        assert_eq!(check(0), Ok(()));
        usage.charge(Throughput::Deliveries, 200, (&quotas, 1), start);
        assert_eq!(check(0).unwrap_err().wait, Some(Duration::from_secs(2)));
        assert!(check(1_999).is_err());
        assert_eq!(check(2_001), Ok(()));
    }

    #[test]
    fn each_limit_has_a_count_of_its_own_in_the_metrics() {
        let all = "max_connections=1,max_total_subscriptions=1,max_channels=1,max_members=1,max_event_bytes=1,\
                   events_per_second=1,deliveries_per_second=1,bytes_per_second=1,joins_per_second=1";
        let (limits, counts) = (quotas(all), Outcomes::default().limits);
        let of = |scope| {
            let resources = Resource::ALL.iter().map(move |resource| resource.of(scope, &limits));
            resources.chain(Throughput::ALL.iter().map(move |throughput| throughput.of(scope, &limits)))
        };
        let of_event = Each::EventBytes.of(Scope::Tenant, &limits);
        let mut labels: Vec<_> =
            of(Scope::App).chain(of(Scope::Tenant)).chain([of_event]).map(|of| of.unwrap().label).collect();
        let mut counted: Vec<_> = counts.rows().map(|(label, _)| label).collect();
        labels.sort_unstable();
        counted.sort_unstable();
        assert_eq!(labels, counted);
    }

    #[test]
    fn where_nothing_is_limited_everything_is_counted() {
        let usage = Usage::default();
        let now = Instant::now();
        assert_eq!(usage.take_rate(Throughput::Joins, 7, (&Quotas::default(), 1), now), Ok(()));
        assert_eq!(usage.take(Resource::Connections, &Quotas::default()), Ok(()));
        assert_eq!((usage.taken(Throughput::Joins), usage.local(Resource::Connections)), (7, 1));
        assert!(!usage.is_quiet(now));
        usage.give_back(Resource::Connections);
        assert!(usage.is_quiet(now));
    }
}

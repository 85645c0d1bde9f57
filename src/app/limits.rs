//! What an app and one of its tenants may have and do, asked together: what either may not have, neither takes. What is
//! refused is counted under the limit that is reached.

use std::time::Instant;

use super::{
    App,
    tenants::Tenant,
    usage::{self, Each, Reached, Resource, Throughput, Usage},
};
use crate::config::Quotas;

/// What is charged of an event when it is known who hears it.
const CHARGED: [Throughput; 2] = [Throughput::Deliveries, Throughput::Bytes];

impl App {
    /// Whether one more of it may be there, for the tenant too.
    pub fn check_resource(&self, resource: Resource, tenant: Option<&Tenant>) -> Result<(), Reached> {
        let settings = self.settings();
        let of_tenant = || tenant.map_or(Ok(()), |tenant| tenant.usage.check(resource, &settings.tenant_limits));
        self.count_reached(self.counters.usage.check(resource, &settings.limits()).and_then(|()| of_tenant()))
    }

    /// Takes a subscription that begins from the rates.
    pub(super) fn take_join(&self, tenant: Option<&Tenant>) -> Result<(), Reached> {
        let (settings, now) = (self.settings(), Instant::now());
        if let Some(tenant) = tenant {
            self.count_reached(tenant.usage.take_rate(Throughput::Joins, 1, self.share(&settings.tenant_limits), now))?;
        }
        self.count_reached(self.counters.usage.take_rate(Throughput::Joins, 1, self.share(&settings.limits()), now))
    }

    /// Takes so many events from the app's rate; what was charged before must be paid.
    pub fn take_events(&self, events: usize, now: Instant) -> Result<(), Reached> {
        let (usage, limits) = (&self.counters.usage, self.settings().limits());
        let paid = check_paid(usage, &limits, now);
        self.count_reached(paid.and_then(|()| usage.take_rate(Throughput::Events, events, self.share(&limits), now)))
    }

    /// Whether what was charged to the app and the tenant is paid.
    pub fn check_charged(&self, tenant: Option<&Tenant>, now: Instant) -> Result<(), Reached> {
        let settings = self.settings();
        let of_app = settings.limits();
        let usages = [Some((&self.counters.usage, &of_app)), tenant.map(|of| (&of.usage, &settings.tenant_limits))];
        self.count_reached(usages.into_iter().flatten().try_for_each(|(usage, limits)| check_paid(usage, limits, now)))
    }

    /// Whether an event of so many bytes is to be asked of its tenant too.
    pub fn limits_events_of_tenants(&self) -> bool {
        let Quotas { max_event_bytes, events_per_second, deliveries_per_second, bytes_per_second, .. } =
            self.settings().tenant_limits;
        [max_event_bytes, events_per_second, deliveries_per_second, bytes_per_second].iter().any(Option::is_some)
    }

    /// Takes an event of the tenant whose `data` has so many bytes.
    pub fn take_event_of(&self, tenant: &Tenant, bytes: usize, now: Instant) -> Result<(), Reached> {
        let (usage, limits) = (&tenant.usage, self.settings().tenant_limits);
        let fits = usage.check_each(Each::EventBytes, bytes, &limits);
        let taken = fits.and_then(|()| check_paid(usage, &limits, now));
        self.count_reached(taken.and_then(|()| usage.take_rate(Throughput::Events, 1, self.share(&limits), now)))
    }

    /// Whether anybody is charged for what its events cost.
    pub fn charges(&self) -> bool {
        let settings = self.settings();
        let charges = |limits: &Quotas| limits.deliveries_per_second.is_some() || limits.bytes_per_second.is_some();
        charges(&settings.limits()) || charges(&settings.tenant_limits)
    }

    /// Charges an event of so many bytes that so many sockets are sent.
    pub fn charge(&self, tenant: Option<&Tenant>, sockets: usize, bytes: usize, now: Instant) {
        let settings = self.settings();
        let (sockets, bytes) = (sockets as u64, (sockets as u64).saturating_mul(bytes as u64));
        for (throughput, cost) in CHARGED.into_iter().zip([sockets, bytes]) {
            self.counters.usage.charge(throughput, cost, self.share(&settings.limits()), now);
            if let Some(tenant) = tenant {
                tenant.usage.charge(throughput, cost, self.share(&settings.tenant_limits), now);
            }
        }
    }

    /// Counts what is refused.
    pub(super) fn count_reached<T>(&self, result: Result<T, Reached>) -> Result<T, Reached> {
        result.inspect_err(|reached| self.counters.outcomes.limits.count(reached.limit.label))
    }

    /// What this node grants of a limit a second.
    pub fn granted(&self, per_second: u32) -> u32 {
        usage::share(per_second, self.nodes())
    }

    fn share<'a>(&self, limits: &'a Quotas) -> (&'a Quotas, u32) {
        (limits, self.nodes())
    }
}

fn check_paid(usage: &Usage, limits: &Quotas, now: Instant) -> Result<(), Reached> {
    CHARGED.iter().try_for_each(|throughput| usage.check_rate(*throughput, limits, now))
}

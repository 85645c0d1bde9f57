//! The tenants of one app, as far as this node has to do with them. Which channel is whose, `GAUNG_TENANT_CHANNELS` says.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError, RwLock, atomic::Ordering::Relaxed},
    time::Instant,
};

use super::usage::{Scope, Usage};
use crate::{protocol::ChannelName, tenant::TenantChannels};

/// So many are kept before anybody looks which of them may go.
const SWEEP_FROM: usize = 1_024;

/// One tenant of an app.
#[derive(Debug)]
pub struct Tenant {
    id: Arc<str>,
    pub usage: Usage,
    looked: Mutex<Looked>,
}

/// What a tenant did a second of late.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Rates {
    pub deliveries: f64,
    pub bytes: f64,
    pub refusals: f64,
}

/// The last look at what it has done.
#[derive(Debug)]
struct Looked {
    at: Instant,
    /// Deliveries, bytes and refusals since the start.
    done: [u64; 3],
    rates: Rates,
}

/// Those that anything here belongs to, and for as long as a rate is not full again.
#[derive(Debug, Default)]
pub struct Tenants {
    channels: TenantChannels,
    known: RwLock<Known>,
}

#[derive(Debug, Default)]
struct Known {
    by_id: HashMap<Arc<str>, Arc<Tenant>>,
    /// When there are so many, those go that nothing belongs to.
    sweep_at: usize,
}

impl Tenant {
    fn new(id: &str, now: Instant) -> Self {
        let looked = Looked { at: now, done: [0; 3], rates: Rates::default() };
        Self { id: id.into(), usage: Usage::of(Scope::Tenant), looked: Mutex::new(looked) }
    }

    pub fn id(&self) -> &Arc<str> {
        &self.id
    }

    /// What it does a second, since the last look that was at least a second ago.
    pub fn rates(&self, now: Instant) -> Rates {
        let Usage { deliveries, bytes_out, refusals, .. } = &self.usage;
        let done = [deliveries, bytes_out, refusals].map(|count| count.load(Relaxed));
        let mut looked = self.looked.lock().unwrap_or_else(PoisonError::into_inner);
        let seconds = now.saturating_duration_since(looked.at).as_secs_f64();
        if seconds >= 1.0 {
            let [deliveries, bytes, refusals] =
                std::array::from_fn(|place| done[place].saturating_sub(looked.done[place]) as f64 / seconds);
            *looked = Looked { at: now, done, rates: Rates { deliveries, bytes, refusals } };
        }
        looked.rates
    }
}

impl Tenants {
    pub fn new(channels: TenantChannels) -> Self {
        Self { channels, known: RwLock::default() }
    }

    /// Scope the channel is.
    pub fn of(&self, channel: &ChannelName) -> Option<Arc<Tenant>> {
        self.id_of(channel).map(|id| self.get(id))
    }

    /// The id of the tenant whose the channel is.
    pub fn id_of<'a>(&self, channel: &'a ChannelName) -> Option<&'a str> {
        self.channels.tenant_of(channel.as_str())
    }

    /// The tenant of this id, which may be new.
    pub fn get(&self, id: &str) -> Arc<Tenant> {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner).by_id.get(id).cloned();
        known.unwrap_or_else(|| self.known.write().unwrap_or_else(PoisonError::into_inner).get(id, Instant::now()))
    }

    /// All that are known here.
    pub fn all(&self) -> Vec<Arc<Tenant>> {
        self.known.read().unwrap_or_else(PoisonError::into_inner).by_id.values().cloned().collect()
    }
}

impl Known {
    fn get(&mut self, id: &str, now: Instant) -> Arc<Tenant> {
        if let Some(tenant) = self.by_id.get(id) {
            return tenant.clone();
        }
        if self.by_id.len() >= self.sweep_at.max(SWEEP_FROM) {
            self.by_id.retain(|_, tenant| Arc::strong_count(tenant) > 1 || !tenant.usage.is_quiet(now));
            self.sweep_at = self.by_id.len() * 2;
        }
        let tenant = Arc::new(Tenant::new(id, now));
        self.by_id.insert(tenant.id.clone(), tenant.clone());
        tenant
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::{app::usage::Throughput, config::Quotas};

    #[test]
    fn the_channels_of_a_tenant_share_one() {
        let tenants = Tenants::default();
        let of = |name| tenants.of(&ChannelName::parse(name, 200).unwrap());
        assert!(Arc::ptr_eq(&of("products.7").unwrap(), &of("private-orders.7.eu").unwrap()));
        assert!(!Arc::ptr_eq(&of("products.7").unwrap(), &of("products.8").unwrap()));
        assert!(of("news").is_none());
        assert_eq!(tenants.all().len(), 2);
    }

    #[test]
    fn rates_are_those_since_the_last_look_a_second_ago_or_more() {
        let start = Instant::now();
        let tenant = Tenant::new("7", start);
        let rate = |milliseconds| tenant.rates(start + Duration::from_millis(milliseconds)).deliveries;
        tenant.usage.deliveries.fetch_add(10, Relaxed);
        assert_eq!([rate(500), rate(2_000), rate(2_500)], [0.0, 5.0, 5.0]);
        tenant.usage.deliveries.fetch_add(3, Relaxed);
        assert_eq!([rate(2_900), rate(5_000), rate(6_000)], [5.0, 1.0, 0.0]);
    }

    #[test]
    fn those_that_nothing_belongs_to_go_when_there_are_many() {
        let tenants = Tenants::default();
        let (held, owes) = (tenants.get("held"), tenants.get("owes"));
        let limit = Quotas { deliveries_per_second: Some(1), ..Quotas::default() };
        owes.usage.charge(Throughput::Deliveries, 1_000, (&limit, 1), Instant::now());
        drop(owes);
        (0..SWEEP_FROM).for_each(|number| drop(tenants.get(&number.to_string())));
        assert!(tenants.all().len() < 10, "{}", tenants.all().len());
        assert!(Arc::ptr_eq(&held, &tenants.get("held")));
        assert!(tenants.get("owes").usage.check_rate(Throughput::Deliveries, &limit, Instant::now()).is_err());
    }
}

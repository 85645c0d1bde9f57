//! The tenants of one app, as far as this node has to do with them. Which channel is whose, `GAUNG_TENANT_CHANNELS` says.

use std::{
    collections::HashMap,
    sync::{Arc, PoisonError, RwLock},
    time::Instant,
};

use super::usage::{Usage, Whose};
use crate::{protocol::ChannelName, tenant::TenantChannels};

/// So many are kept before anybody looks which of them may go.
const SWEEP_FROM: usize = 1_024;

/// One tenant of an app.
#[derive(Debug)]
pub struct Tenant {
    id: Arc<str>,
    pub usage: Usage,
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
    pub fn id(&self) -> &Arc<str> {
        &self.id
    }
}

impl Tenants {
    pub fn new(channels: TenantChannels) -> Self {
        Self { channels, known: RwLock::default() }
    }

    /// Whose the channel is.
    pub fn of(&self, channel: &ChannelName) -> Option<Arc<Tenant>> {
        self.channels.tenant_of(channel.as_str()).map(|id| self.get(id))
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
        let tenant = Arc::new(Tenant { id: id.into(), usage: Usage::of(Whose::Tenant) });
        self.by_id.insert(tenant.id.clone(), tenant.clone());
        tenant
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{app::usage::Done, config::Quotas};

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
    fn those_that_nothing_belongs_to_go_when_there_are_many() {
        let tenants = Tenants::default();
        let (held, owes) = (tenants.get("held"), tenants.get("owes"));
        let limit = Quotas { deliveries_per_second: Some(1), ..Quotas::default() };
        owes.usage.charge(Done::Deliveries, 1_000, (&limit, 1), Instant::now());
        drop(owes);
        (0..SWEEP_FROM).for_each(|number| drop(tenants.get(&number.to_string())));
        assert!(tenants.all().len() < 10, "{}", tenants.all().len());
        assert!(Arc::ptr_eq(&held, &tenants.get("held")));
        assert!(tenants.get("owes").usage.check_rate(Done::Deliveries, &limit, Instant::now()).is_err());
    }
}

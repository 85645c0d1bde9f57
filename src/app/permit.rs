//! The guards by which an app's open sockets are counted, and those of its tenants and their subscriptions, so that no
//! number can drift or go below zero.

use std::{
    rc::Rc,
    sync::{Arc, atomic::Ordering},
};

use super::{
    App,
    tenants::Tenant,
    usage::{Reached, Resource},
};
use crate::protocol::ChannelName;

/// An open socket's place in its app's quota; given back when dropped.
#[derive(Debug)]
pub struct AppPermit(Arc<App>);

/// Who has the app's `max_connections` sockets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum QuotaTaken {
    /// This node alone.
    Here,
    /// This node and the others, as far as they are known.
    OnAllNodes,
}

impl AppPermit {
    /// Takes a place unless the app has `max_connections` sockets already, on all nodes together. What other nodes have
    /// is known a quarter of a second late.
    pub fn take(app: &Arc<App>) -> Result<Self, QuotaTaken> {
        let (counters, quotas) = (&app.counters, app.settings().limits());
        app.count_reached(counters.usage.take(Resource::Connections, &quotas)).map_err(|reached| {
            let is_full_here = counters.connections() >= reached.limit.most as usize;
            if is_full_here { QuotaTaken::Here } else { QuotaTaken::OnAllNodes }
        })?;
        counters.connections_opened.fetch_add(1, Ordering::Relaxed);
        Ok(Self(app.clone()))
    }

    pub fn app(&self) -> &Arc<App> {
        &self.0
    }
}

impl Drop for AppPermit {
    fn drop(&mut self) {
        self.0.counters.usage.give_back(Resource::Connections);
        self.0.counters.connections_closed.fetch_add(1, Ordering::Relaxed);
    }
}

/// A socket's place among those of a tenant; given back when dropped.
#[derive(Debug)]
pub struct TenantPermit(Arc<Tenant>);

/// A subscription's place among those of its app and its tenant; given back when dropped.
#[derive(Debug)]
pub struct SubscriptionPermit {
    app: Arc<App>,
    tenant: Option<Rc<TenantPermit>>,
}

impl TenantPermit {
    /// Takes a place unless the tenant has all the sockets that it may have.
    pub fn take(app: &App, tenant: Arc<Tenant>) -> Result<Self, Reached> {
        app.count_reached(tenant.usage.take(Resource::Connections, &app.settings().tenant_limits))?;
        Ok(Self(tenant))
    }
}

impl Drop for TenantPermit {
    fn drop(&mut self) {
        self.0.usage.give_back(Resource::Connections);
    }
}

impl SubscriptionPermit {
    /// Takes a place for a subscription to the channel. Its socket counts among those of the channel's tenant for as long as
    /// it has a place there: `known` are those that it has.
    pub fn take<'a>(
        app: &Arc<App>,
        channel: &ChannelName,
        known: impl IntoIterator<Item = &'a Rc<TenantPermit>>,
    ) -> Result<Self, Reached> {
        let tenant = app.tenants().of(channel);
        app.take_join(tenant.as_deref())?;
        let mut known = known.into_iter();
        let tenant = match tenant {
            Some(tenant) => Some(match known.find(|permit| Arc::ptr_eq(&permit.0, &tenant)) {
                Some(permit) => permit.clone(),
                None => Rc::new(TenantPermit::take(app, tenant)?),
            }),
            None => None,
        };
        let settings = app.settings();
        app.count_reached(app.counters.usage.take(Resource::Subscriptions, &settings.limits()))?;
        if let Some(TenantPermit(of_tenant)) = tenant.as_deref()
            && let Err(reached) = of_tenant.usage.take(Resource::Subscriptions, &settings.tenant_limits)
        {
            app.counters.usage.give_back(Resource::Subscriptions);
            return app.count_reached(Err(reached));
        }
        Ok(Self { app: app.clone(), tenant })
    }

    /// The place of its socket among those of the tenant.
    pub fn tenant(&self) -> Option<&Rc<TenantPermit>> {
        self.tenant.as_ref()
    }
}

impl Drop for SubscriptionPermit {
    fn drop(&mut self) {
        self.app.counters.usage.give_back(Resource::Subscriptions);
        if let Some(TenantPermit(tenant)) = self.tenant.as_deref() {
            tenant.usage.give_back(Resource::Subscriptions);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::AppSettings;

    #[test]
    fn the_quota_counts_open_sockets_and_a_closed_one_makes_room() {
        let app = App::new("1", AppSettings { max_connections: Some(2), ..AppSettings::new("k", "s") });
        let first = AppPermit::take(&app);
        let second = AppPermit::take(&app);
        assert!(first.is_ok() && second.is_ok());
        assert_eq!(AppPermit::take(&app).err(), Some(QuotaTaken::Here));
        drop(first);
        assert_eq!(app.counters.connections(), 1);
        assert!(AppPermit::take(&app).is_ok());
    }

    #[test]
    fn sockets_on_other_nodes_count_toward_the_quota() {
        let app = App::new("1", AppSettings { max_connections: Some(2), ..AppSettings::new("k", "s") });
        app.counters.set_remote_connections(1);
        let permit = AppPermit::take(&app);
        assert!(permit.is_ok());
        assert_eq!(AppPermit::take(&app).err(), Some(QuotaTaken::OnAllNodes));
        app.counters.set_remote_connections(3);
        drop(permit);
        assert_eq!(AppPermit::take(&app).err(), Some(QuotaTaken::OnAllNodes));
    }
}

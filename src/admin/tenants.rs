//! `/tenants`: the tenants of all apps that have or do the most, and how near they are to their limits.

use std::{cmp::Ordering, sync::Arc, time::Instant};

use actix_web::{
    HttpResponse,
    http::StatusCode,
    web::{Data, Query},
};
use serde::{Deserialize, Serialize};

use super::{answer::refusal, exposition::Exposition, shown::Admin};
use crate::{
    app::{
        App,
        tenants::Tenant,
        usage::{Resource, Scope},
    },
    metrics::catalogue,
};

/// So many are listed at most, and unless asked otherwise.
const MOST: usize = 1_000;
const USUAL: usize = 20;

/// So many are series of their own in each respect.
const SERIES: usize = 5;

/// From which part of a limit on a tenant is near it.
const NEAR: f64 = 0.9;

/// By what tenants are compared.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum By {
    Connections,
    #[default]
    Deliveries,
    Bytes,
    Refusals,
}

/// Which are asked for.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Asked {
    app: Option<String>,
    #[serde(default)]
    by: By,
    limit: Option<usize>,
}

/// One tenant. What it has is over all nodes, what it does a second on this one.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct Row {
    app: String,
    tenant: String,
    connections: usize,
    subscriptions: usize,
    channels: usize,
    members: usize,
    deliveries_per_second: f64,
    bytes_per_second: f64,
    refusals_per_second: f64,
}

pub(super) async fn list(admin: Data<Admin>, asked: Result<Query<Asked>, actix_web::Error>) -> HttpResponse {
    match asked {
        Ok(Query(Asked { app, by, limit })) => {
            let apps =
                admin.registry.all().into_iter().filter(|known| app.as_deref().is_none_or(|id| id == &**known.id()));
            let limit = limit.unwrap_or(USUAL).min(MOST);
            HttpResponse::Ok().json(top(&rows(&apps.collect::<Vec<_>>(), Instant::now()), by, limit))
        }
        Err(error) => refusal(
            StatusCode::BAD_REQUEST,
            &format!(
                "{error}; /tenants takes app, by (connections, deliveries, bytes or refusals) and limit (1000 at most)"
            ),
        ),
    }
}

/// All tenants of these apps.
pub(super) fn rows(apps: &[Arc<App>], now: Instant) -> Vec<Row> {
    let of_app = |app: &Arc<App>| app.tenants().all().into_iter().map(|tenant| Row::of(app, &tenant, now)).collect();
    apps.iter().flat_map(|app| -> Vec<Row> { of_app(app) }).collect()
}

/// The first of them, by what they have or do.
pub(super) fn top(rows: &[Row], by: By, most: usize) -> Vec<&Row> {
    let mut rows: Vec<&Row> = rows.iter().collect();
    let descending = |one: &&Row, other: &&Row| {
        let order = other.value(by).partial_cmp(&one.value(by)).unwrap_or(Ordering::Equal);
        order.then_with(|| (&one.app, &one.tenant).cmp(&(&other.app, &other.tenant)))
    };
    if rows.len() > most && most > 0 {
        rows.select_nth_unstable_by(most - 1, descending);
    }
    rows.truncate(most);
    rows.sort_by(descending);
    rows
}

impl Row {
    fn of(app: &App, tenant: &Tenant, now: Instant) -> Self {
        let (usage, rates) = (&tenant.usage, tenant.rates(now));
        let round = |rate: f64| (rate * 10.0).round() / 10.0;
        Self {
            app: app.id().to_string(),
            tenant: tenant.id().to_string(),
            connections: usage.total(Resource::Connections),
            subscriptions: usage.total(Resource::Subscriptions),
            channels: usage.total(Resource::Channels),
            members: usage.total(Resource::Members),
            deliveries_per_second: round(rates.deliveries),
            bytes_per_second: round(rates.bytes),
            refusals_per_second: round(rates.refusals),
        }
    }

    fn value(&self, by: By) -> f64 {
        match by {
            By::Connections => self.connections as f64,
            By::Deliveries => self.deliveries_per_second,
            By::Bytes => self.bytes_per_second,
            By::Refusals => self.refusals_per_second,
        }
    }
}

impl Exposition {
    /// How many tenants are near a limit, and the first ones in each respect.
    pub(super) fn tenants(&mut self, apps: &[Arc<App>]) {
        let near =
            apps.iter().flat_map(|app| near_limits(app).map(move |(limit, count)| ([&**app.id(), limit], count)));
        self.values(&catalogue::TENANTS_NEAR_LIMIT, near.collect::<Vec<_>>());
        let rows = rows(apps, Instant::now());
        let respects = [
            ("connections", By::Connections),
            ("deliveries_per_second", By::Deliveries),
            ("bytes_per_second", By::Bytes),
            ("refusals_per_second", By::Refusals),
        ];
        for (name, by) in respects {
            let first = top(&rows, by, SERIES).into_iter().filter(|row| row.value(by) > 0.0);
            let values = first.map(|row| ([row.app.as_str(), row.tenant.as_str(), name], row.value(by)));
            self.values(&catalogue::TOP_TENANTS, values);
        }
    }
}

/// Of each limit of what tenants have, how many have nearly as much.
fn near_limits(app: &App) -> impl Iterator<Item = (&'static str, f64)> {
    let (limits, tenants) = (app.settings().tenant_limits, app.tenants().all());
    Resource::ALL.iter().filter_map(move |resource| {
        let limit = resource.of(Scope::Tenant, &limits)?;
        let from = f64::from(limit.most) * NEAR;
        let near = tenants.iter().filter(|tenant| tenant.usage.total(*resource) as f64 >= from).count();
        Some((limit.label, near as f64))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{AppSettings, Quotas};

    fn app(limits: &str) -> Arc<App> {
        let tenant_limits = Quotas::parse(limits).unwrap();
        App::new("1", AppSettings { tenant_limits, ..AppSettings::new("k", "s") })
    }

    #[test]
    fn the_first_are_listed_by_what_they_have() {
        let app = app("");
        for (tenant, sockets) in [("a", 3), ("b", 9), ("c", 1), ("d", 9)] {
            app.tenants().get(tenant).usage.set_remote(Resource::Connections, sockets);
        }
        let listed = |most| {
            let rows = rows(std::slice::from_ref(&app), Instant::now());
            top(&rows, By::Connections, most).into_iter().map(|row| row.tenant.clone()).collect::<Vec<_>>()
        };
        assert_eq!(listed(3), ["b", "d", "a"]);
        assert_eq!(listed(9), ["b", "d", "a", "c"]);
        assert!(listed(0).is_empty());
    }

    #[test]
    fn those_are_near_a_limit_who_have_nine_tenths_of_it() {
        let app = app("max_members=10,max_connections=2,events_per_second=1");
        for (tenant, members) in [("a", 8), ("b", 9), ("c", 10)] {
            app.tenants().get(tenant).usage.set_remote(Resource::Members, members);
        }
        assert_eq!(near_limits(&app).collect::<Vec<_>>(), [("tenant_connections", 0.0), ("tenant_members", 2.0)]);
    }
}

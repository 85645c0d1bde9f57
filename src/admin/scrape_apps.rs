//! What `/metrics` shows of each app. Refusals and closes have many reasons, so an app shows those that occurred; those
//! that a few scrapes must not miss the first of are there from the start. All other labels have all their values.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

use super::{exposition::Exposition, shown::RoomTotals};
use crate::{
    app::{
        App, AppCounters,
        usage::{Resource, Scope, Throughput},
    },
    event::AppTotals,
    metrics::{
        Outcomes,
        catalogue::{self, Description},
        labelled::LabelledCounts,
        time_histogram::TimeHistogram,
    },
    webhook::WaitingOfApp,
};

/// The label of what belongs to no app that is known. To Prometheus it is as if there were none.
const WITHOUT_APP: &str = "";

/// Refusals that tell of an app's own limits.
const REFUSALS_FROM_THE_START: [&str; 4] = ["over_quota", "over_cluster_quota", "event_rate", "read_rate"];

/// Those of each tenant are shown once they occurred.
const LIMITS_FROM_THE_START: [&str; 1] = ["connections"];

/// How sessions end that a node ends when it goes, moments before nobody can ask it any more, and how most others do.
const CLOSES_FROM_THE_START: [&str; 6] = ["client", "lost", "silent", "draining", "going_away", "rebalanced"];

const MIB: f64 = 1_048_576.0;

/// Outcomes of each app, and of none.
type Rows<'a> = [(&'a str, &'a Outcomes)];

/// A limit that an app has.
struct Limit<'a> {
    app: &'a str,
    name: &'static str,
    most: f64,
    /// Of a limit of what there is at one moment.
    usage: Option<f64>,
    /// Of a limit by the second: what was used since the start.
    used_in_all: Option<f64>,
}

fn limits(app: &App) -> impl Iterator<Item = Limit<'_>> {
    let (settings, counters) = (app.settings(), &app.counters);
    let of = |name, most: Option<f64>, usage: Option<usize>, used: Option<u64>| {
        let (usage, used_in_all) = (usage.map(|usage| usage as f64), used.map(|used| used as f64));
        most.map(|most| Limit { app: app.id(), name, most, usage, used_in_all })
    };
    let history = counters.history_bytes.load(Relaxed);
    let per_second = |most: Option<u32>| most.map(f64::from);
    let (usage, quotas) = (&counters.usage, settings.limits());
    let resources = Resource::ALL.iter().map(move |resource| {
        let limit = resource.of(Scope::App, &quotas)?;
        of(limit.label, Some(limit.most.into()), Some(usage.total(*resource)), None)
    });
    let rates = Throughput::ALL.iter().map(move |throughput| {
        let limit = throughput.of(Scope::App, &quotas)?;
        of(limit.label, Some(limit.most.into()), None, Some(usage.taken(*throughput)))
    });
    let others = [
        of("history_bytes", settings.history_mb.map(|most| most as f64 * MIB), Some(history), None),
        of("reads_per_second", per_second(settings.reads_per_second), None, Some(counters.read_rate.taken())),
    ];
    resources.chain(rates).chain(others).flatten()
}

impl Exposition {
    /// What the apps' traffic adds up to.
    pub(super) fn apps(&mut self, apps: &[Arc<App>]) {
        let mut show = |description: &Description, value: fn(&AppCounters) -> f64| {
            self.values(description, apps.iter().map(|app| ([&**app.id()], value(&app.counters))));
        };
        show(&catalogue::CONNECTIONS, |app| app.connections() as f64);
        show(&catalogue::CONNECTIONS_OPENED, |app| app.connections_opened.load(Relaxed) as f64);
        show(&catalogue::EVENTS_IN, |app| app.events_in.load(Relaxed) as f64);
        show(&catalogue::CLIENT_EVENTS_IN, |app| app.client_events_in.load(Relaxed) as f64);
        show(&catalogue::DELIVERIES, |app| app.usage.deliveries.load(Relaxed) as f64);
        show(&catalogue::HISTORY_BYTES, |app| app.history_bytes.load(Relaxed) as f64);
        show(&catalogue::BYTES_IN, |app| app.bytes_in.load(Relaxed) as f64);
        show(&catalogue::BYTES_OUT, |app| app.usage.bytes_out.load(Relaxed) as f64);
    }

    /// The limits of the apps as a whole that are set, and how far each is used, under the same labels.
    pub(super) fn limits(&mut self, apps: &[Arc<App>]) {
        let limits: Vec<_> = apps.iter().flat_map(|app| limits(app)).collect();
        let rows = |value: fn(&Limit<'_>) -> Option<f64>| {
            limits.iter().filter_map(move |limit| Some(([limit.app, limit.name], value(limit)?)))
        };
        self.values(&catalogue::APP_LIMIT, rows(|limit| Some(limit.most)));
        self.values(&catalogue::APP_USAGE, rows(|limit| limit.usage));
        self.values(&catalogue::APP_RATE_USAGE, rows(|limit| limit.used_in_all));
    }

    /// What became of it. What belongs to no app has a row of its own where there is such a thing.
    pub(super) fn outcomes(&mut self, apps: &[Arc<App>], without_app: &Outcomes) {
        let of_apps: Vec<_> = apps.iter().map(|app| (&**app.id(), &app.counters.outcomes)).collect();
        let all: Vec<_> = [(WITHOUT_APP, without_app)].into_iter().chain(of_apps.iter().copied()).collect();
        self.labelled(&catalogue::REFUSALS, &all, |of| &of.refusals, &REFUSALS_FROM_THE_START);
        self.labelled(&catalogue::LIMITS_REACHED, &of_apps, |of| &of.limits, &LIMITS_FROM_THE_START);
        self.labelled(&catalogue::CLOSES, &of_apps, |of| &of.closes, &CLOSES_FROM_THE_START);
        self.labelled(&catalogue::AUTH_FAILURES, &all, |of| &of.auth_failures, &[]);
        self.labelled(&catalogue::API_RESPONSES, &all, |of| &of.api_responses, &[]);
        self.labelled(&catalogue::WEBHOOK_ATTEMPTS, &of_apps, |of| &of.webhook_attempts, &[]);
        self.counted(&catalogue::SLOW_CONSUMERS, &of_apps, |of| &of.slow_consumers);
        self.counted(&catalogue::WEBHOOK_DROPS, &all, |of| &of.webhook_drops);
        self.timed(&catalogue::TRIGGER_SECONDS, &of_apps, |of| &of.trigger_seconds);
        self.timed(&catalogue::FAN_OUT_SECONDS, &of_apps, |of| &of.fan_out_seconds);
    }

    /// What waits of each app's webhooks; nothing is zero. An app that is gone is shown while something waits.
    pub(super) fn webhooks(&mut self, apps: &[Arc<App>], waiting: &[(Arc<str>, WaitingOfApp)]) {
        let mut by_app: BTreeMap<&str, WaitingOfApp> =
            apps.iter().map(|app| (&**app.id(), WaitingOfApp::default())).collect();
        by_app.extend(waiting.iter().map(|(app, waiting)| (&**app, *waiting)));
        self.values(&catalogue::WEBHOOK_QUEUE, by_app.iter().map(|(app, waiting)| ([*app], waiting.count as f64)));
        let ages = by_app.iter().map(|(app, waiting)| ([*app], waiting.oldest_age.as_secs_f64()));
        self.values(&catalogue::WEBHOOK_OLDEST_AGE, ages);
    }

    /// Every app is shown, those without rooms with zero; so is an app that is gone but for its last subscribers.
    pub(super) fn rooms(&mut self, apps: &[Arc<App>], totals: &RoomTotals) {
        let of_app = |app: &Arc<App>| totals.get(app.id()).copied().unwrap_or_default();
        let mut by_app: BTreeMap<&str, AppTotals> = apps.iter().map(|app| (&**app.id(), of_app(app))).collect();
        let with_subscribers = totals.iter().filter(|(_, totals)| totals.subscriptions > 0);
        by_app.extend(with_subscribers.map(|(app, totals)| (&**app, *totals)));
        let mut show = |description: &Description, value: fn(&AppTotals) -> f64| {
            self.values(description, by_app.iter().map(|(app, totals)| ([*app], value(totals))));
        };
        show(&catalogue::ROOMS, |app| app.rooms as f64);
        show(&catalogue::SUBSCRIPTIONS, |app| app.subscriptions as f64);
        show(&catalogue::MEMBERS, |app| app.members as f64);
        show(&catalogue::HISTORY_OLDEST_AGE, |app| app.oldest_event.as_secs_f64());
    }

    /// With `from_the_start`, apps show no other value of the label before it is counted. Without an app all are there.
    fn labelled(
        &mut self,
        description: &Description,
        rows: &Rows<'_>,
        counts: fn(&Outcomes) -> &LabelledCounts,
        from_the_start: &[&str],
    ) {
        let is_shown = |app: &str, value: &str, count: u64| {
            count > 0 || from_the_start.is_empty() || app == WITHOUT_APP || from_the_start.contains(&value)
        };
        self.values(
            description,
            rows.iter().flat_map(|(app, outcomes)| {
                let shown = counts(outcomes).rows().filter(move |(value, count)| is_shown(app, value, *count));
                shown.map(move |(value, count)| ([*app, value], count as f64))
            }),
        );
    }

    fn counted(&mut self, description: &Description, rows: &Rows<'_>, count: fn(&Outcomes) -> &AtomicU64) {
        self.values(description, rows.iter().map(|(app, of)| ([*app], count(of).load(Relaxed) as f64)));
    }

    fn timed(&mut self, description: &Description, rows: &Rows<'_>, times: fn(&Outcomes) -> &TimeHistogram) {
        self.histograms(description, rows.iter().map(|(app, of)| ([*app], times(of))));
    }
}

//! What the API works with on every HTTP thread, and how it counts: requests in their rates, and refusals.

use std::time::Instant;

use actix_web::{HttpResponse, ResponseError};

use super::{
    body::HeldBodies,
    error::{ApiError, Rate},
};
use crate::{
    activity::{ActivityEvent, ActivityKind, Asked, Refusal},
    app::{App, Registry},
    config::{HttpConfig, LimitsConfig, TenantConfig},
    metrics::{Metrics, Outcomes},
    readiness::Readiness,
    repeats::Repeats,
    revocations::Revocations,
    room::Rooms,
};

/// What the API works with; shared by all HTTP threads.
pub struct Api {
    pub registry: Registry,
    /// Where events go and counts come from.
    pub rooms: Rooms,
    /// What was published under which key.
    pub repeats: Repeats,
    /// Which tokens hold no more.
    pub revocations: Revocations,
    /// Whose tokens they are.
    pub tenant: TenantConfig,
    /// Counts refusals and times triggers.
    pub metrics: Metrics,
    pub limits: LimitsConfig,
    pub http: HttpConfig,
    /// The bodies that are being read.
    pub bodies: HeldBodies,
    /// `GAUNG_PATH_PREFIX`: empty, or starts with `/` and does not end with one.
    pub path_prefix: String,
    pub readiness: Readiness,
    /// The moment from which the apps' rates measure time.
    pub started: Instant,
}

impl Api {
    /// Counts a refusal and tells consoles of it. An answer that is not given through [`super::signed`] goes through
    /// [`Api::refuse`].
    pub(super) fn count(&self, error: &ApiError, app: Option<&App>) {
        self.metrics.activity.report(|| {
            let refusal = Refusal::new(Asked::Request, error.reason(), &error.without_quotes());
            ActivityEvent::now(app.map(|app| app.id().clone()), ActivityKind::Refused(refusal))
        });
        let outcomes = self.outcomes(app);
        if let ApiError::Unauthenticated(_) = error {
            outcomes.auth_failures.count("request");
        } else {
            outcomes.refusals.count(error.reason());
        }
    }

    /// Where it is counted what becomes of a request of this app, or of none.
    pub(super) fn outcomes<'a>(&'a self, app: Option<&'a App>) -> &'a Outcomes {
        app.map_or(&*self.metrics.without_app, |app| &app.counters.outcomes)
    }

    /// Counts what a request of then asks for in one of its app's rates.
    pub(super) fn take(&self, rate: Rate, app: &App, tokens: usize, arrival: Instant) -> Result<(), ApiError> {
        let (bucket, limit) = match rate {
            Rate::Events => (&app.counters.event_rate, app.settings().events_per_second),
            Rate::Reads => (&app.counters.read_rate, app.settings().reads_per_second),
        };
        let Some(per_second) = limit else { return Ok(()) };
        let tokens = u32::try_from(tokens).unwrap_or(u32::MAX);
        let now = arrival.saturating_duration_since(self.started);
        bucket.take(tokens, per_second, now).map_err(|wait| ApiError::TooMany { rate, tokens, per_second, wait })
    }

    /// The answer of a refusal, which counts.
    pub fn refuse(&self, error: ApiError) -> HttpResponse {
        self.count(&error, None);
        error.error_response()
    }
}

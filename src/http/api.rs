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

    /// Counts a read request of then in its app's rate.
    pub(super) fn take_read(&self, app: &App, arrival: Instant) -> Result<(), ApiError> {
        let Some(per_second) = app.settings().reads_per_second else { return Ok(()) };
        let now = arrival.saturating_duration_since(self.started);
        let taken = app.counters.read_rate.take(1, app.granted(per_second), now);
        taken.map_err(|wait| ApiError::TooMany { rate: Rate::Reads, tokens: 1, per_second, wait })
    }

    /// The answer of a refusal, which counts.
    pub fn refuse(&self, error: ApiError) -> HttpResponse {
        self.count(&error, None);
        error.error_response()
    }
}

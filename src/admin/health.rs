//! The probes of an orchestrator: is the process alive, and does it want traffic.

use actix_web::{HttpResponse, http::StatusCode, web::Data};
use serde::Serialize;

use super::Admin;

/// What `/readyz` tells.
#[derive(Debug, Serialize)]
struct Report {
    ready: bool,
    #[serde(flatten)]
    state: State,
}

/// What the verdict rests on, and what an operator asks next.
#[derive(Debug, Clone, Serialize)]
struct State {
    draining: bool,
    version: &'static str,
    uptime_seconds: u64,
    connections: usize,
    checks: Checks,
}

#[derive(Debug, Clone, Serialize)]
struct Checks {
    rooms: Check,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Check {
    Ok,
    TimedOut,
}

/// Answers without asking anybody: a node that is busy or cut off must not be restarted for it.
pub(super) async fn live() -> &'static str {
    "ok"
}

/// 200 while the node wants new sockets; 503 while it drains or a room thread does not answer.
pub(super) async fn ready(admin: Data<Admin>) -> HttpResponse {
    let rooms = match admin.room_totals().await {
        Some(_) => Check::Ok,
        None => Check::TimedOut,
    };
    let report = Report::from(State {
        draining: !admin.readiness.ready(),
        version: admin.version,
        uptime_seconds: admin.started.elapsed().as_secs(),
        connections: admin.registry.all().iter().map(|app| app.counters.connections()).sum(),
        checks: Checks { rooms },
    });
    HttpResponse::build(report.status()).json(report)
}

impl From<State> for Report {
    fn from(state: State) -> Self {
        Self { ready: !state.draining && state.checks.rooms == Check::Ok, state }
    }
}

impl Report {
    fn status(&self) -> StatusCode {
        if self.ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEALTHY: State = State {
        draining: false,
        version: "1.2.3",
        uptime_seconds: 90,
        connections: 7,
        checks: Checks { rooms: Check::Ok },
    };

    /// All reports begin with the verdict and end with the checks; between them they are as in [`HEALTHY`].
    fn check(state: State, status: u16, verdict: &str, checks: &str) {
        let report = Report::from(state);
        assert_eq!(report.status().as_u16(), status);
        let same = r#""version":"1.2.3","uptime_seconds":90,"connections":7"#;
        assert_eq!(serde_json::to_string(&report).unwrap(), format!("{{{verdict},{same},{checks}}}"));
    }

    #[test]
    fn a_healthy_node_is_ready() {
        check(HEALTHY, 200, r#""ready":true,"draining":false"#, r#""checks":{"rooms":"ok"}"#);
    }

    #[test]
    fn a_draining_node_is_not_ready_though_its_checks_are_well() {
        check(
            State { draining: true, ..HEALTHY },
            503,
            r#""ready":false,"draining":true"#,
            r#""checks":{"rooms":"ok"}"#,
        );
    }

    #[test]
    fn a_node_whose_rooms_do_not_answer_is_not_ready_and_says_why() {
        check(
            State { checks: Checks { rooms: Check::TimedOut }, ..HEALTHY },
            503,
            r#""ready":false,"draining":false"#,
            r#""checks":{"rooms":"timed_out"}"#,
        );
    }
}

//! The probes of an orchestrator: is the process alive, and does it want traffic.

use actix_web::{HttpResponse, http::StatusCode, web::Data};
use serde::Serialize;

use super::{
    Admin,
    cluster::{Cluster, Verdict},
};
use crate::readiness::Stage;

/// What `/readyz` tells.
#[derive(Debug, Serialize)]
struct Report {
    ready: bool,
    draining: bool,
    #[serde(flatten)]
    state: State,
}

/// What the verdict rests on, and what an operator asks next.
#[derive(Debug, Clone, Serialize)]
struct State {
    #[serde(skip)]
    stage: Stage,
    version: &'static str,
    uptime_seconds: u64,
    connections: usize,
    checks: Checks,
}

#[derive(Debug, Clone, Serialize)]
struct Checks {
    rooms: Check,
    /// Absent on a node alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    cluster: Option<Verdict>,
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

/// 200 while the node wants new sockets; 503 before it has been in step with its peers, while it drains, and if a thread
/// does not answer.
pub(super) async fn ready(admin: Data<Admin>) -> HttpResponse {
    let (rooms, cluster) = tokio::join!(admin.room_totals(), Cluster::look(admin.link.as_ref()));
    let stage = admin.readiness.stage();
    let rooms = match rooms {
        Some(_) => Check::Ok,
        None => Check::TimedOut,
    };
    let report = Report::from(State {
        stage,
        version: admin.version,
        uptime_seconds: admin.started.elapsed().as_secs(),
        connections: admin.registry.all().iter().map(|app| app.counters.connections()).sum(),
        checks: Checks { rooms, cluster: cluster.verdict(stage) },
    });
    HttpResponse::build(report.status()).json(report)
}

impl From<State> for Report {
    fn from(state: State) -> Self {
        let Checks { rooms, cluster } = &state.checks;
        let all_answer = *rooms == Check::Ok && *cluster != Some(Verdict::TimedOut);
        let draining = matches!(state.stage, Stage::Leaving | Stage::Draining);
        Self { ready: state.stage == Stage::Ready && all_answer, draining, state }
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
        stage: Stage::Ready,
        version: "1.2.3",
        uptime_seconds: 90,
        connections: 7,
        checks: Checks { rooms: Check::Ok, cluster: None },
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
        for stage in [Stage::Leaving, Stage::Draining] {
            let draining = r#""ready":false,"draining":true"#;
            check(State { stage, ..HEALTHY }, 503, draining, r#""checks":{"rooms":"ok"}"#);
        }
    }

    #[test]
    fn a_node_whose_rooms_do_not_answer_is_not_ready_and_says_why() {
        check(
            State { checks: Checks { rooms: Check::TimedOut, cluster: None }, ..HEALTHY },
            503,
            r#""ready":false,"draining":false"#,
            r#""checks":{"rooms":"timed_out"}"#,
        );
    }

    fn checks(cluster: Verdict) -> Checks {
        Checks { rooms: Check::Ok, cluster: Some(cluster) }
    }

    #[test]
    fn a_node_that_joins_is_not_ready_and_says_what_it_waits_for() {
        check(
            State { stage: Stage::Joining, checks: checks(Verdict::Waiting(Some("refused".to_owned()))), ..HEALTHY },
            503,
            r#""ready":false,"draining":false"#,
            r#""checks":{"rooms":"ok","cluster":"waiting for NATS: refused"}"#,
        );
    }

    #[test]
    fn a_node_that_lost_nats_after_it_was_in_step_stays_ready() {
        check(
            State { checks: checks(Verdict::CutOff(None)), ..HEALTHY },
            200,
            r#""ready":true,"draining":false"#,
            r#""checks":{"rooms":"ok","cluster":"cut off from NATS"}"#,
        );
    }

    #[test]
    fn a_node_whose_bus_does_not_answer_is_not_ready() {
        check(
            State { checks: checks(Verdict::TimedOut), ..HEALTHY },
            503,
            r#""ready":false,"draining":false"#,
            r#""checks":{"rooms":"ok","cluster":"timed_out"}"#,
        );
    }
}

//! The probes of an orchestrator: is the process alive, and does it want traffic.

use std::fmt;

use actix_web::{
    Error, HttpResponse,
    http::StatusCode,
    web::{Data, Query},
};
use serde::{Deserialize, Serialize, Serializer};

use super::{
    answer::refusal,
    cluster::{Cluster, Verdict},
    shown::{Admin, RoomTotals},
};
use crate::{
    capacity::{Bound, Fill},
    readiness::Answers,
    readiness::{Grounds, Objection, Stage},
};

const MIB: f64 = 1_048_576.0;

/// What a request leaves out of the verdict, by the name that the probes of Kubernetes' own servers use.
#[derive(Debug, Deserialize)]
pub(super) struct Asked {
    exclude: Option<Excluded>,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Excluded {
    /// For who knows by itself that the node is to go, and would only report a failure.
    Draining,
}

/// What `/readyz` tells.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    pub(super) ready: bool,
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
    /// Absent where neither a setting nor the system bounds them; so is the memory without its setting.
    #[serde(skip_serializing_if = "Option::is_none")]
    connections: Option<Use>,
    #[serde(skip_serializing_if = "Option::is_none")]
    memory: Option<Use>,
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

/// How much of a limit is used, in the words of the operator who set it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Use {
    Connections(Fill, Bound),
    Memory(Fill),
}

/// Answers without asking anybody: a node that is busy or cut off must not be restarted for it.
pub(super) async fn live() -> &'static str {
    "ok"
}

/// 200 while the node wants new sockets; 503 before it has been in step with its peers, while it drains, while it is full,
/// without NATS where that is asked for, and if a thread does not answer.
pub(super) async fn ready(admin: Data<Admin>, asked: Result<Query<Asked>, Error>) -> HttpResponse {
    let Ok(Query(asked)) = asked else {
        return refusal(
            StatusCode::BAD_REQUEST,
            "`exclude` names a reason that cannot be left out; only `draining` can",
        );
    };
    let (rooms, cluster) = tokio::join!(admin.room_totals(), Cluster::look(admin.link.as_ref()));
    let report = Report::of(&admin, rooms.as_ref(), &cluster);
    let report = match asked.exclude {
        Some(Excluded::Draining) => report.despite_draining(),
        None => report,
    };
    HttpResponse::build(report.status()).json(report)
}

impl From<State> for Report {
    fn from(state: State) -> Self {
        let draining = matches!(state.stage, Stage::Leaving | Stage::Draining);
        Self { ready: state.grounds().objection().is_none(), draining, state }
    }
}

impl State {
    fn grounds(&self) -> Grounds {
        let Checks { rooms, cluster, .. } = &self.checks;
        let answers = Answers { rooms: *rooms == Check::Ok, bus: *cluster != Some(Verdict::TimedOut) };
        let is_cut_off = matches!(cluster, Some(Verdict::Lost(_)));
        Grounds { stage: self.stage, answers, is_full: self.checks.full().is_some(), is_cut_off }
    }
}

impl Checks {
    fn full(&self) -> Option<Use> {
        [self.connections, self.memory].into_iter().flatten().find(|used| used.fill().is_full)
    }
}

impl Use {
    fn fill(self) -> Fill {
        match self {
            Self::Connections(fill, _) | Self::Memory(fill) => fill,
        }
    }
}

impl Serialize for Use {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl fmt::Display for Use {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Fill { used, limit, low, is_full } = self.fill();
        match self {
            _ if !is_full => f.write_str("ok"),
            Self::Connections(_, Bound::Setting) => {
                write!(f, "full: {used} of {limit} sockets (GAUNG_MAX_CONNECTIONS); ready again below {low}")
            }
            Self::Connections(_, Bound::Descriptors(descriptors)) => write!(
                f,
                "full: {used} of {limit} sockets, for which {descriptors} file descriptors reach (ulimit -n, \
                 LimitNOFILE); ready again below {low}"
            ),
            Self::Memory(_) => {
                let [used, limit, low] = [used, limit, low].map(|bytes| bytes as f64 / MIB);
                write!(
                    f,
                    "full: {used:.1} of {limit:.0} MiB resident (GAUNG_MAX_MEMORY_MB); ready again below {low:.1} MiB"
                )
            }
        }
    }
}

impl Report {
    /// How the node stands, after its rooms and its cluster were asked.
    pub(super) fn of(admin: &Admin, rooms: Option<&RoomTotals>, cluster: &Cluster) -> Self {
        let stage = admin.readiness.stage();
        let cluster = cluster.verdict(stage).map(|verdict| match verdict {
            Verdict::CutOff(error) if admin.readiness.needs_peers() => Verdict::Lost(error),
            verdict => verdict,
        });
        let capacity = admin.readiness.capacity();
        Self::from(State {
            stage,
            version: admin.version,
            uptime_seconds: admin.started.elapsed().as_secs(),
            connections: admin.registry.all().iter().map(|app| app.counters.connections()).sum(),
            checks: Checks {
                rooms: if rooms.is_some() { Check::Ok } else { Check::TimedOut },
                connections: capacity.sockets().map(|fill| Use::Connections(fill, capacity.bound())),
                memory: capacity.memory().map(Use::Memory),
                cluster,
            },
        })
    }

    /// The verdict on a node that is going as if it were not; it still says that it is.
    fn despite_draining(self) -> Self {
        let grounds = self.state.grounds();
        let stage = if self.draining { Stage::Ready } else { grounds.stage };
        Self { ready: Grounds { stage, ..grounds }.objection().is_none(), ..self }
    }

    /// Why the node is not ready, for an operator; `None` if it is.
    pub(super) fn objection(&self) -> Option<String> {
        let checks = &self.state.checks;
        let cluster = || checks.cluster.as_ref().map(ToString::to_string);
        Some(match self.state.grounds().objection()? {
            Objection::Leaving => "it was asked to go".to_owned(),
            Objection::RoomsSilent => "its rooms do not answer".to_owned(),
            Objection::BusSilent => "the thread that talks to NATS does not answer".to_owned(),
            Objection::Full => checks.full().map_or_else(|| "it is full".to_owned(), |full| full.to_string()),
            Objection::Joining => cluster().unwrap_or_else(|| "it is not in step with its peers yet".to_owned()),
            Objection::CutOff => cluster().unwrap_or_else(|| "it is cut off from its peers".to_owned()),
        })
    }

    fn status(&self) -> StatusCode {
        if self.ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEALTHY: State =
        State { stage: Stage::Ready, version: "1.2.3", uptime_seconds: 90, connections: 7, checks: WELL };

    const WELL: Checks = Checks { rooms: Check::Ok, connections: None, memory: None, cluster: None };

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
    fn who_leaves_the_drain_out_hears_of_everything_else() {
        let silent = Checks { rooms: Check::TimedOut, ..WELL };
        for (stage, checks, ready) in [
            (Stage::Leaving, WELL, true),
            (Stage::Draining, WELL, true),
            (Stage::Draining, silent, false),
            (Stage::Joining, WELL, false),
            (Stage::Ready, WELL, true),
        ] {
            let report = Report::from(State { stage, checks, ..HEALTHY }).despite_draining();
            assert_eq!((report.ready, report.status().is_success()), (ready, ready), "{stage:?}");
            assert_eq!(report.draining, matches!(stage, Stage::Leaving | Stage::Draining));
        }
    }

    #[test]
    fn a_node_whose_rooms_do_not_answer_is_not_ready_and_says_why() {
        check(
            State { checks: Checks { rooms: Check::TimedOut, ..WELL }, ..HEALTHY },
            503,
            r#""ready":false,"draining":false"#,
            r#""checks":{"rooms":"timed_out"}"#,
        );
    }

    #[test]
    fn a_full_node_is_not_ready_and_says_of_what_and_until_when() {
        let sockets = Fill { used: 4_510, limit: 5_000, low: 4_250, is_full: true };
        check(
            State {
                checks: Checks { connections: Some(Use::Connections(sockets, Bound::Setting)), ..WELL },
                ..HEALTHY
            },
            503,
            r#""ready":false,"draining":false"#,
            concat!(
                r#""checks":{"rooms":"ok","connections":"full: 4510 of 5000 sockets (GAUNG_MAX_CONNECTIONS); "#,
                r#"ready again below 4250"}"#
            ),
        );
        let derived = Use::Connections(sockets, Bound::Descriptors(20_000));
        assert_eq!(
            derived.to_string(),
            "full: 4510 of 5000 sockets, for which 20000 file descriptors reach (ulimit -n, LimitNOFILE); ready again below 4250"
        );
        let memory = Fill { used: 1_074_790_400, limit: 1_073_741_824, low: 1_020_054_733, is_full: true };
        check(
            State { checks: Checks { memory: Some(Use::Memory(memory)), ..WELL }, ..HEALTHY },
            503,
            r#""ready":false,"draining":false"#,
            concat!(
                r#""checks":{"rooms":"ok","memory":"full: 1025.0 of 1024 MiB resident (GAUNG_MAX_MEMORY_MB); "#,
                r#"ready again below 972.8 MiB"}"#
            ),
        );
    }

    #[test]
    fn a_node_with_limits_that_is_not_full_is_ready() {
        let fill = Fill { used: 1, limit: 10, low: 9, is_full: false };
        let (connections, memory) = (Some(Use::Connections(fill, Bound::Setting)), Some(Use::Memory(fill)));
        check(
            State { checks: Checks { connections, memory, ..WELL }, ..HEALTHY },
            200,
            r#""ready":true,"draining":false"#,
            r#""checks":{"rooms":"ok","connections":"ok","memory":"ok"}"#,
        );
    }

    #[test]
    fn a_node_that_wants_nobody_without_nats_says_so() {
        check(
            State { checks: checks(Verdict::Lost(Some("refused".to_owned()))), ..HEALTHY },
            503,
            r#""ready":false,"draining":false"#,
            r#""checks":{"rooms":"ok","cluster":"cut off from NATS, not ready without it (GAUNG_READY_WITHOUT_NATS): refused"}"#,
        );
    }

    fn check_objection(state: State, objection: Option<&str>) {
        assert_eq!(Report::from(state).objection().as_deref(), objection);
    }

    #[test]
    fn an_operator_is_told_the_first_reason_for_which_a_node_is_not_ready() {
        check_objection(HEALTHY, None);
        let lost = checks(Verdict::Lost(None));
        check_objection(State { stage: Stage::Draining, checks: lost.clone(), ..HEALTHY }, Some("it was asked to go"));
        let silent = Checks { rooms: Check::TimedOut, ..lost.clone() };
        check_objection(State { checks: silent, ..HEALTHY }, Some("its rooms do not answer"));
        let text = "cut off from NATS, not ready without it (GAUNG_READY_WITHOUT_NATS)";
        check_objection(State { checks: lost.clone(), ..HEALTHY }, Some(text));
        let fill = Fill { used: 9, limit: 10, low: 8, is_full: true };
        let full = Checks { connections: Some(Use::Connections(fill, Bound::Setting)), ..lost };
        let text = "full: 9 of 10 sockets (GAUNG_MAX_CONNECTIONS); ready again below 8";
        check_objection(State { checks: full, ..HEALTHY }, Some(text));
        let learning = State { stage: Stage::Joining, checks: checks(Verdict::Learning(2)), ..HEALTHY };
        check_objection(learning, Some("learning from 2 peers"));
        // A node whose cluster is not cut off, but whose core does not answer.
        let silent = State { checks: checks(Verdict::TimedOut), ..HEALTHY };
        check_objection(silent, Some("the thread that talks to NATS does not answer"));
    }

    fn checks(cluster: Verdict) -> Checks {
        Checks { cluster: Some(cluster), ..WELL }
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

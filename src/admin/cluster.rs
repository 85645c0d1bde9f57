//! One look at the cluster: what the bus thread knows, answered from its memory.

use std::{fmt, time::Duration};

use gaung_cluster::{
    NodeId,
    bus::{Link, Status},
    core::{Core, PeerStatus},
    counters::Counters,
    frame::Readiness,
    peer,
};
use serde::{Serialize, Serializer};

use crate::readiness::Stage;

/// How long the bus thread may take to answer before the node counts as not ready.
const PATIENCE: Duration = Duration::from_secs(1);

/// What can be said of the cluster.
#[derive(Debug)]
pub(super) enum Cluster {
    Alone,
    /// The bus thread is gone or does not answer within [`PATIENCE`].
    Silent,
    Seen(Box<Look>),
}

/// The cluster as this node sees it.
#[derive(Debug)]
pub(super) struct Look {
    pub(super) node: NodeId,
    pub(super) readiness: Readiness,
    /// All others that are known, the dead as well.
    pub(super) peers: Vec<PeerStatus>,
    /// Since our own beat was heard last; `None` before the first.
    pub(super) own_beat_age: Option<Duration>,
    /// How long that beat was on its way.
    pub(super) round_trip: Option<Duration>,
    /// For how long the node keeps what NATS has not taken.
    pub(super) ring: Duration,
    pub(super) cached_bytes: usize,
    pub(super) counters: Counters,
    pub(super) status: Status,
}

impl Cluster {
    /// Asks the bus thread, if there is one.
    pub(super) async fn look(link: Option<&Link>) -> Self {
        let Some(link) = link else { return Self::Alone };
        let (node, status) = (link.node(), link.status());
        let answer = link.ask(move |core| Look::new(core, node, status));
        match tokio::time::timeout(PATIENCE, answer).await {
            Ok(Some(look)) => Self::Seen(Box::new(look)),
            Ok(None) | Err(_) => Self::Silent,
        }
    }

    /// Whether nobody who should answer is silent.
    pub(super) fn answers(&self) -> bool {
        !matches!(self, Self::Silent)
    }

    /// What `/readyz` says about it; `None` for a node alone.
    pub(super) fn verdict(&self, stage: Stage) -> Option<Verdict> {
        match self {
            Self::Alone => None,
            Self::Silent => Some(Verdict::TimedOut),
            Self::Seen(look) => Some(look.verdict(stage)),
        }
    }
}

impl Look {
    fn new(core: &Core, node: NodeId, status: Status) -> Self {
        Self {
            node,
            readiness: core.readiness(),
            peers: core.peers().collect(),
            own_beat_age: core.loopback_age(),
            round_trip: core.round_trip(),
            ring: core.ring_lasts(),
            cached_bytes: core.cached_bytes(),
            counters: core.counters().clone(),
            status,
        }
    }

    fn verdict(&self, stage: Stage) -> Verdict {
        let error = self.status.last_error.clone();
        match (stage, self.status.connected) {
            (Stage::Joining, false) => Verdict::Waiting(error),
            (Stage::Joining, true) => Verdict::Learning(self.peers.iter().filter(|peer| is_unknown(peer)).count()),
            (Stage::Ready | Stage::Leaving | Stage::Draining, false) => Verdict::CutOff(error),
            (Stage::Ready | Stage::Leaving | Stage::Draining, true) => Verdict::Ok,
        }
    }
}

/// Whether a peer lives but its facts are not known yet.
fn is_unknown(peer: &PeerStatus) -> bool {
    match peer.stage {
        peer::Stage::Meeting | peer::Stage::Returning => true,
        peer::Stage::Live | peer::Stage::Dead => false,
    }
}

/// How this node stands to its cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It is one of them.
    Ok,
    /// It has not been in step yet, for want of NATS; what went wrong last.
    Waiting(Option<String>),
    /// It has not been in step yet: so many peers have not told all they know.
    Learning(usize),
    /// It has been in step and serves its own sockets; what went wrong last.
    CutOff(Option<String>),
    /// The same, and it wants nobody until it is back.
    Lost(Option<String>),
    /// The bus thread does not answer.
    TimedOut,
}

impl Serialize for Verdict {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ok => f.write_str("ok"),
            Self::Waiting(None) => f.write_str("waiting for NATS"),
            Self::Waiting(Some(error)) => write!(f, "waiting for NATS: {error}"),
            Self::Learning(0) => f.write_str("listening for peers"),
            Self::Learning(1) => f.write_str("learning from 1 peer"),
            Self::Learning(peers) => write!(f, "learning from {peers} peers"),
            Self::CutOff(None) => f.write_str("cut off from NATS"),
            Self::CutOff(Some(error)) => write!(f, "cut off from NATS: {error}"),
            Self::Lost(error) => {
                f.write_str("cut off from NATS, not ready without it (GAUNG_READY_WITHOUT_NATS)")?;
                error.iter().try_for_each(|error| write!(f, ": {error}"))
            }
            Self::TimedOut => f.write_str("timed_out"),
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A cluster of three in which everything has happened.
    pub(in crate::admin) fn look() -> Look {
        let peer = |node, stage| PeerStatus {
            node: NodeId::from_bits(node),
            stage,
            readiness: Readiness::Ready,
            age: Duration::from_millis(250),
            sessions: 7,
            pages: 3,
            version: "1.2.2".into(),
        };
        Look {
            node: NodeId::from_bits(1),
            readiness: Readiness::Learning,
            peers: vec![peer(2, peer::Stage::Live), peer(3, peer::Stage::Meeting)],
            own_beat_age: Some(Duration::from_millis(500)),
            round_trip: Some(Duration::from_millis(2)),
            ring: Duration::from_secs(90),
            cached_bytes: 10,
            counters: Counters {
                bytes_in: 1,
                cache_evicted: 11,
                bytes_out: 2,
                duplicates: 3,
                deaths: 4,
                events_lost: 9,
                events_recovered: 19,
                ..Counters::default()
            },
            status: Status {
                connected: true,
                reconnects: 5,
                slow_consumers: 6,
                dropped: 7,
                queued: 8,
                queued_bytes: 10,
                unwritten: 9,
                refused: 0,
                waiting: 0,
                max_payload: 1_000,
                last_error: None,
            },
        }
    }

    fn check(connected: bool, error: Option<&str>, stage: Stage, verdict: &str) {
        let mut look = look();
        look.status.connected = connected;
        look.status.last_error = error.map(str::to_owned);
        assert_eq!(Cluster::Seen(Box::new(look)).verdict(stage).unwrap().to_string(), verdict);
    }

    #[test]
    fn a_node_that_joins_says_what_it_waits_for() {
        check(false, None, Stage::Joining, "waiting for NATS");
        check(false, Some("connection refused"), Stage::Joining, "waiting for NATS: connection refused");
        check(true, None, Stage::Joining, "learning from 1 peer");
    }

    #[test]
    fn a_node_that_has_heard_nobody_yet_listens() {
        let alone = Look { peers: Vec::new(), ..look() };
        assert_eq!(alone.verdict(Stage::Joining).to_string(), "listening for peers");
    }

    #[test]
    fn a_node_that_was_in_step_says_whether_it_is_cut_off() {
        check(true, None, Stage::Ready, "ok");
        check(false, Some("connection refused"), Stage::Ready, "cut off from NATS: connection refused");
        check(false, None, Stage::Draining, "cut off from NATS");
    }

    #[test]
    fn a_node_alone_has_nothing_to_say_of_a_cluster_and_a_bus_that_is_gone_is_told() {
        assert_eq!(Cluster::Alone.verdict(Stage::Ready), None);
        assert_eq!(Cluster::Silent.verdict(Stage::Ready), Some(Verdict::TimedOut));
    }
}

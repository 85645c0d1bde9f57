//! `/peers`: the nodes of the cluster as this one sees them.

use actix_web::{HttpResponse, http::StatusCode, web::Data};
use gaung_cluster::{NodeId, frame::Readiness, peer::Stage};
use serde::Serialize;

use super::{
    answer::refusal,
    cluster::{Cluster, Look},
    shown::Admin,
};
use crate::readiness;

/// One node.
#[derive(Debug, PartialEq, Serialize)]
pub(super) struct Row {
    /// `None` for a node alone, which has no name.
    pub(super) node: Option<String>,
    /// Whether it is the node that was asked.
    this: bool,
    version: String,
    pub(super) stage: &'static str,
    readiness: &'static str,
    /// Since its last beat was heard, through NATS also for this node; `None` before the first.
    age_seconds: Option<f64>,
    pub(super) sessions: u64,
    /// The pages with a resume id that it has, those that may come back included.
    pages: u64,
    /// How many of them it has handed over: a peer to this node, this node to all others.
    handovers: u64,
}

/// This node first, then its peers by name.
pub(super) async fn list(admin: Data<Admin>) -> HttpResponse {
    match Cluster::look(admin.link.as_ref()).await {
        Cluster::Alone => HttpResponse::Ok().json([own(&admin)]),
        Cluster::Seen(look) => {
            HttpResponse::Ok().json(rows(own(&admin), &look, |node| admin.rooms.pages().handovers(node)))
        }
        Cluster::Silent => refusal(StatusCode::SERVICE_UNAVAILABLE, "the thread that talks to NATS does not answer"),
    }
}

/// This node, as it knows itself without asking its cluster.
pub(super) fn own(admin: &Admin) -> Row {
    let connections: usize = admin.registry.all().iter().map(|app| app.counters.connections()).sum();
    Row {
        node: None,
        this: true,
        version: admin.version.to_owned(),
        stage: stage_name(Stage::Live),
        readiness: own_readiness(admin.readiness.stage()),
        age_seconds: None,
        sessions: connections as u64,
        pages: admin.rooms.pages().counts().iter().sum::<usize>() as u64,
        handovers: 0,
    }
}

/// All nodes that the cluster knows, the own one first.
pub(super) fn rows(own: Row, look: &Look, handovers: impl Fn(NodeId) -> u64) -> Vec<Row> {
    let own = Row {
        node: Some(name(look.node)),
        age_seconds: look.own_beat_age.map(|age| age.as_secs_f64()),
        readiness: readiness_name(look.readiness),
        handovers: handovers(look.node),
        ..own
    };
    let peers = look.peers.iter().map(|peer| Row {
        node: Some(name(peer.node)),
        this: false,
        version: peer.version.to_string(),
        stage: stage_name(peer.stage),
        readiness: readiness_name(peer.readiness),
        age_seconds: Some(peer.age.as_secs_f64()),
        sessions: peer.sessions,
        pages: peer.pages as u64,
        handovers: handovers(peer.node),
    });
    std::iter::once(own).chain(peers).collect()
}

fn name(node: NodeId) -> String {
    node.to_string()
}

/// How well a peer is known, in a word.
pub(super) fn stage_name(stage: Stage) -> &'static str {
    match stage {
        Stage::Meeting => "meeting",
        Stage::Live => "live",
        Stage::Dead => "dead",
        Stage::Returning => "returning",
    }
}

fn readiness_name(readiness: Readiness) -> &'static str {
    match readiness {
        Readiness::Learning => "learning",
        Readiness::Ready => "ready",
        Readiness::Leaving => "leaving",
    }
}

/// A node alone has no core that could tell.
fn own_readiness(stage: readiness::Stage) -> &'static str {
    readiness_name(match stage {
        readiness::Stage::Joining => Readiness::Learning,
        readiness::Stage::Ready => Readiness::Ready,
        readiness::Stage::Leaving | readiness::Stage::Draining => Readiness::Leaving,
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::admin::cluster::tests::look;

    #[test]
    fn this_node_stands_first_and_is_marked() {
        let own = Row {
            node: None,
            this: true,
            version: "1.2.3".to_owned(),
            stage: "live",
            readiness: "ready",
            age_seconds: None,
            sessions: 9,
            pages: 4,
            handovers: 0,
        };
        let peer = |node, stage| {
            json!({"node": node, "this": false, "version": "1.2.2", "stage": stage, "readiness": "ready",
                "age_seconds": 0.25, "sessions": 7, "pages": 3, "handovers": 2})
        };
        assert_eq!(
            serde_json::to_value(rows(own, &look(), |_| 2)).unwrap(),
            json!([
                {"node": "0000000000000001", "this": true, "version": "1.2.3", "stage": "live",
                    "readiness": "learning", "age_seconds": 0.5, "sessions": 9, "pages": 4, "handovers": 2},
                peer("0000000000000002", "live"),
                peer("0000000000000003", "meeting"),
            ])
        );
    }
}

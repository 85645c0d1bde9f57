//! Finds what the other nodes know of a page that has come here.

use std::time::{Duration, Instant};

use gaung_cluster::{
    NodeId,
    page::{LastSeen, PageWhere, Standing},
};
use tokio::time::{sleep, timeout};

use super::{handed::HandedPage, key::PageKey, messages::Finding};
use crate::{
    cluster::{Cluster, Question},
    protocol::Since,
};

/// How long this node's own bus may take to answer, which usually takes less than a millisecond.
const PATIENCE: Duration = Duration::from_millis(500);

/// A node that has just given the page away says nothing; a moment later it is known which node has it.
const ONCE_MORE_AFTER: Duration = Duration::from_millis(150);

/// What became of a page that came from another node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Handover {
    /// The node has handed it over.
    HandedOver(NodeId),
    /// The node does not answer.
    Unanswered,
    /// The node is gone.
    Lost,
}

impl Handover {
    /// As metrics show it.
    pub(super) fn outcome(self) -> &'static str {
        match self {
            Self::HandedOver(_) => "handed_over",
            Self::Unanswered => "unanswered",
            Self::Lost => "lost",
        }
    }
}

/// What the other nodes know of a page, and what that was in a cluster. `lookback` is how long before its node's last sign of
/// life a page that was up to date had heard everything.
pub(super) async fn seek(cluster: &Cluster, page: PageKey, lookback: Duration) -> (Finding, Option<Handover>) {
    let mut asked = None;
    loop {
        let now = Instant::now();
        let Ok(Some(found)) = timeout(PATIENCE, cluster.find_page(page.0)).await else {
            return nothing(Duration::ZERO);
        };
        let since = |seen| Finding::Lost(heard(seen, now, lookback));
        match found.place {
            PageWhere::Unknown => return nothing(found.known_for),
            PageWhere::Lost(seen) => return (since(seen), Some(Handover::Lost)),
            // It was forgotten here since.
            PageWhere::On(node, _) if node == cluster.link().node() => return nothing(Duration::ZERO),
            PageWhere::On(node, seen) if asked == Some(node) => return (since(seen), Some(Handover::Unanswered)),
            PageWhere::On(node, _) => {
                let answer = cluster.ask(node, Question::Page(page.0)).await;
                if let Some(handed) = answer.and_then(|answer| HandedPage::read(answer, Instant::now())) {
                    return (Finding::Handed(handed), Some(Handover::HandedOver(node)));
                }
                asked = Some(node);
                sleep(ONCE_MORE_AFTER).await;
            }
        }
    }
}

fn nothing(known_for: Duration) -> (Finding, Option<Handover>) {
    (Finding::Nothing { known_for }, None)
}

/// How far a page has heard all its channels whose node can say no more.
fn heard(seen: LastSeen, now: Instant, lookback: Duration) -> Since {
    match seen.standing {
        Standing::UpToDate => now.checked_sub(seen.silent_for + lookback).map_or(Since::Unknown, Since::Moment),
        Standing::Owing => Since::Unknown,
    }
}

//! A node that ends leaves the pages that are away to other nodes: they come back later, and to somebody else.

use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::{StreamExt, stream};
use gaung_cluster::{NodeId, core::Core};
use tokio::time::timeout;

use super::left::{LeftPage, Part};
use crate::cluster::{Cluster, Question};

/// How long all of it may take.
const PATIENCE: Duration = Duration::from_secs(2);

/// Parts that are on their way at once.
const MAX_UNDERWAY: usize = 8;

/// Nodes that are asked to take one part.
const MAX_ASKED: usize = 2;

/// The answer of a node that keeps what it was given.
pub(super) const KEPT: Bytes = Bytes::from_static(b"\x01");

/// Gives pages to nodes that stay.
pub(super) async fn leave(cluster: &Cluster, pages: &[LeftPage]) {
    if pages.is_empty() {
        return;
    }
    let parts = LeftPage::parts(pages, Instant::now());
    let mut kept = 0;
    let give_all = async {
        let nodes = cluster.link().ask(|core: &Core| core.nodes_that_stay().collect::<Vec<_>>()).await;
        let nodes = nodes.unwrap_or_default();
        let given = parts.into_iter().enumerate().map(|(index, part)| give(cluster, &nodes, index, part));
        let mut given = stream::iter(given).buffer_unordered(MAX_UNDERWAY);
        while let Some(pages) = given.next().await {
            kept += pages;
        }
    };
    let _ = timeout(PATIENCE, give_all).await;
    tracing::info!(pages = pages.len(), kept, "left the pages that are away to other nodes");
}

/// Gives some of them to one node, or to the next; returns how many it keeps.
async fn give(cluster: &Cluster, nodes: &[NodeId], index: usize, Part { pages, bytes }: Part) -> usize {
    for node in nodes.iter().cycle().skip(index % nodes.len().max(1)).take(MAX_ASKED.min(nodes.len())) {
        if cluster.ask(*node, Question::LeftPages(bytes.clone())).await.is_some() {
            return pages;
        }
    }
    0
}

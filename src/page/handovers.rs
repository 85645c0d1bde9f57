//! Counts the pages that moved between nodes.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use gaung_cluster::NodeId;
use prometheus::IntCounterVec;

use super::seeking::Handover;
use crate::metrics::Metrics;

/// Nodes that are told apart at most.
const MAX_NODES: usize = 1024;

/// Pages by how they came, and by the node that handed them over. Cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct Handovers {
    outcomes: IntCounterVec,
    by_node: Arc<Mutex<BTreeMap<NodeId, u64>>>,
}

impl Handovers {
    pub(super) fn new(metrics: &Metrics) -> Self {
        Self { outcomes: metrics.page_handovers.clone(), by_node: Arc::default() }
    }

    /// A page has come here.
    pub(super) fn note(&self, handover: Option<Handover>) {
        let Some(handover) = handover else { return };
        self.outcomes.with_label_values(&[handover.outcome()]).inc();
        if let Handover::HandedOver(node) = handover {
            self.count(node);
        }
    }

    /// A node that ends has left a page to this one.
    pub(super) fn note_left(&self, from: NodeId) {
        self.outcomes.with_label_values(&["left"]).inc();
        self.count(from);
    }

    /// This node, of this name, has handed a page over.
    pub(super) fn note_given(&self, own: NodeId) {
        self.count(own);
    }

    pub(super) fn of(&self, node: NodeId) -> u64 {
        let by_node = self.by_node.lock().unwrap_or_else(PoisonError::into_inner);
        by_node.get(&node).copied().unwrap_or_default()
    }

    fn count(&self, node: NodeId) {
        let mut by_node = self.by_node.lock().unwrap_or_else(PoisonError::into_inner);
        if by_node.len() < MAX_NODES || by_node.contains_key(&node) {
            *by_node.entry(node).or_default() += 1;
        }
    }
}

//! Ids of webhook events: a repeat of an event has the id of the first time, and no two events share one, so that a
//! receiver can drop doubles. Pure.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use sha2::{Digest, Sha256};

/// Bytes of the part before the number: 128 bits, so that chance never makes two of them equal, and nobody can choose
/// names that do.
const NAME_BYTES: usize = 16;

/// Gives each event that happens on this node alone its id. Cheap to clone; all copies count together.
#[derive(Debug, Clone)]
pub struct Ids(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    start: String,
    given: AtomicU64,
}

/// The id of a transition that the whole cluster agrees on: whichever node posts the generation of a channel (`user` is
/// `None`) or of a member, the id is the same.
pub fn of_generation(app: &str, channel: &str, user: Option<&str>, generation: u64) -> String {
    // Each text with its length before it, so that no two triples are the same bytes.
    let mut hash = Sha256::new();
    for text in [Some(app), Some(channel), user].into_iter().flatten() {
        hash.update((text.len() as u64).to_be_bytes());
        hash.update(text);
    }
    format!("{}-{generation}", hex::encode(&hash.finalize()[..NAME_BYTES]))
}

impl Ids {
    /// Ids that begin with `start`, drawn at random by each process.
    pub fn new(start: u128) -> Self {
        Self(Arc::new(Inner { start: format!("{start:032x}"), given: AtomicU64::new(0) }))
    }

    /// An id that was never given before.
    pub fn next(&self) -> String {
        let number = self.0.given.fetch_add(1, Ordering::Relaxed) + 1;
        format!("{}-{number}", self.0.start)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn a_generation_has_the_same_id_on_every_node_and_in_every_release() {
        assert_eq!(of_generation("1", "orders", None, 7), "26dd2f0787d493810a23f0abfa71ba5d-7");
        assert_eq!(of_generation("1", "presence-a", Some("42"), 8), "1dfedb48994e90c308e17f32bd87e461-8");
    }

    #[test]
    fn different_transitions_have_different_ids() {
        let transitions = [
            ("1", "a", None, 1),
            ("1", "a", None, 2),
            ("1", "a", Some(""), 1),
            ("1", "a", Some("b"), 1),
            ("1", "ab", None, 1),
            ("1a", "b", None, 1),
            ("1", "b", None, 1),
        ];
        let ids: HashSet<_> = transitions
            .iter()
            .map(|(app, channel, user, generation)| of_generation(app, channel, *user, *generation))
            .collect();
        assert_eq!(ids.len(), transitions.len());
    }

    #[test]
    fn a_node_counts_on_from_its_start() {
        let ids = Ids::new(0xab);
        let copy = ids.clone();
        assert_eq!(ids.next(), "000000000000000000000000000000ab-1");
        assert_eq!(copy.next(), "000000000000000000000000000000ab-2");
    }
}

//! Tokens that a back end has revoked: those of a tenant, or of one of its users, that were issued before an instant.
//!
//! Every node keeps the whole list in memory. A revocation goes to all peers at once; a node that starts asks them for what
//! it does not have before it is in step; and every node asks one of them now and then whether they have the same, so that
//! one that could not be reached learns it later. What all nodes forget together, because none is left, is forgotten.

pub mod list;
pub mod wire;

use std::{
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use bytes::Bytes;
use futures_util::StreamExt;
use gaung_cluster::NodeId;
use tokio::{
    sync::watch,
    time::{sleep, timeout},
};

pub use self::list::{Bearer, Holder, KEPT_FOR, MAX_OF_APP, Revocation};
use self::list::{Evicted, List};
use crate::{
    cluster::{Cluster, Question},
    event,
};

/// How often a node asks another one whether they know the same.
const COMPARE: Duration = Duration::from_secs(5);

/// How long a node that starts waits for what its peers know, those that answer slowly or not at all among them. What it
/// lacks then it learns when it compares.
const LEARN: Duration = Duration::from_secs(5);

/// Revocations in one answer of a peer.
const PAGE: usize = 200;

/// The answer to a revocation that was taken, and to one who knows the same already.
const TAKEN: &[u8] = b"+";
const SAME: &[u8] = b"=";

/// What this node knows. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Revocations(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    list: RwLock<List>,
    changes: watch::Sender<()>,
    cluster: Option<Cluster>,
}

impl Revocations {
    /// Nothing is revoked yet.
    pub fn new(cluster: Option<Cluster>) -> Self {
        Self(Arc::new(Inner { list: RwLock::default(), changes: watch::Sender::new(()), cluster }))
    }

    /// Whether a token is one of those that were revoked.
    pub fn concern(&self, bearer: &Bearer) -> bool {
        self.0.list.read().unwrap_or_else(PoisonError::into_inner).concerns(bearer)
    }

    /// Sees every change of the list; of several at once perhaps only the last.
    pub fn changes(&self) -> watch::Receiver<()> {
        self.0.changes.subscribe()
    }

    /// Revokes tokens here and on all nodes that answer within half a second; the others learn it when they can.
    pub async fn revoke(&self, holder: Holder, issued_before: u64) {
        let revocation = Revocation { holder, issued_before, revoked: seconds() };
        let bytes = wire::encode([&revocation]);
        self.take([revocation]);
        if let Some(cluster) = &self.0.cluster {
            cluster.ask_all(Question::Revoke(bytes)).await.for_each(|_| std::future::ready(())).await;
        }
    }

    /// The answer to a node that tells a revocation; nothing if it cannot be read.
    pub fn hear(&self, told: &Bytes) -> Bytes {
        let Some(revocations) = wire::read(told) else { return Bytes::new() };
        self.take(revocations);
        Bytes::from_static(TAKEN)
    }

    /// The answer to a node whose list has this digest, or that wants what comes after a holder.
    pub fn answer(&self, digest: [u8; 16], after: &Bytes) -> Bytes {
        let list = self.0.list.read().unwrap_or_else(PoisonError::into_inner);
        if after.is_empty() && list.digest() == digest {
            return Bytes::from_static(SAME);
        }
        match wire::read_holder(after) {
            Some(after) => wire::encode(list.after(after.as_ref()).take(PAGE)),
            None => Bytes::new(),
        }
    }

    /// Learns what the peers know, one after the other: who knows the same as the one before has nothing to tell.
    pub async fn learn(&self) {
        let Some(cluster) = &self.0.cluster else { return };
        let learn = async {
            for peer in cluster.peers().await {
                self.learn_from(cluster, peer).await;
            }
        };
        if timeout(LEARN, learn).await.is_err() {
            tracing::warn!(
                seconds = LEARN.as_secs(),
                "not all peers have told which tokens were revoked; it is asked again"
            );
        }
    }

    /// Compares with one peer after the other, for ever.
    pub async fn keep_in_step(self) {
        let Some(cluster) = self.0.cluster.clone() else { return };
        loop {
            // Not all nodes at once.
            sleep(COMPARE.mul_f64(0.5 + rand::random::<f64>())).await;
            self.forget_old();
            let peers = cluster.peers().await;
            if !peers.is_empty() {
                self.learn_from(&cluster, peers[rand::random_range(0..peers.len())]).await;
            }
        }
    }

    async fn learn_from(&self, cluster: &Cluster, peer: NodeId) {
        let digest = self.0.list.read().unwrap_or_else(PoisonError::into_inner).digest();
        let mut after = Bytes::new();
        while let Some(answer) = cluster.ask(peer, Question::Revocations { digest, after }).await {
            let Some(page) = wire::read(&answer) else { return };
            let Some(last) = page.last() else { return };
            after = wire::encode_holder(&last.holder);
            self.take(page);
        }
    }

    fn take(&self, revocations: impl IntoIterator<Item = Revocation>) {
        let mut list = self.0.list.write().unwrap_or_else(PoisonError::into_inner);
        let (mut has_changed, mut evicted, now) = (false, 0, seconds());
        for revocation in revocations {
            let change = list.add(revocation, now);
            has_changed |= change.is_some();
            evicted += change.map_or(0, |Evicted(count)| count);
        }
        drop(list);
        if evicted > 0 {
            tracing::error!(
                evicted,
                limit = MAX_OF_APP,
                "the oldest revocations of tokens are forgotten: the app has too many"
            );
        }
        if has_changed {
            self.0.changes.send_replace(());
        }
    }

    fn forget_old(&self) {
        self.0.list.write().unwrap_or_else(PoisonError::into_inner).expire(seconds());
    }
}

/// Seconds since the Unix epoch.
fn seconds() -> u64 {
    event::now().1.as_secs()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tenant::TenantId;

    fn holder(user: &str) -> Holder {
        Holder::of_user(&"app".into(), &TenantId::parse("7").unwrap(), user)
    }

    fn revocation(user: &str) -> Revocation {
        Revocation { holder: holder(user), issued_before: 1_700_000_000, revoked: seconds() }
    }

    fn bearer(user: &str) -> Bearer {
        let tenant = TenantId::parse("7").unwrap();
        Bearer::new(&"app".into(), &tenant, Some(user), Duration::from_secs(1_699_999_999))
    }

    #[tokio::test]
    async fn a_revocation_is_seen_and_told() {
        let revocations = Revocations::new(None);
        let changes = revocations.changes();
        assert!(!revocations.concern(&bearer("ada")));
        revocations.revoke(holder("ada"), 1_700_000_000).await;
        assert!(revocations.concern(&bearer("ada")) && !revocations.concern(&bearer("bob")));
        assert!(changes.has_changed().unwrap());
    }

    #[test]
    fn a_node_that_knows_nothing_is_given_everything_page_by_page() {
        let (old, new) = (Revocations::new(None), Revocations::new(None));
        old.take((0..PAGE * 2 + 1).map(|number| revocation(&number.to_string())));
        let (mut after, mut pages) = (Bytes::new(), Vec::new());
        loop {
            let answer = old.answer([0; 16], &after);
            let page = wire::read(&answer).unwrap();
            let Some(last) = page.last() else { break };
            after = wire::encode_holder(&last.holder);
            pages.push(page.len());
            assert_eq!(new.hear(&answer), TAKEN);
        }
        assert_eq!(pages, [PAGE, PAGE, 1]);
        let digest = new.0.list.read().unwrap().digest();
        assert_eq!(old.answer(digest, &Bytes::new()), SAME);
    }

    #[test]
    fn what_is_told_twice_is_no_change_and_what_cannot_be_read_is_not_taken() {
        let revocations = Revocations::new(None);
        let told = wire::encode([&revocation("ada")]);
        revocations.hear(&told);
        let changes = revocations.changes();
        assert_eq!(revocations.hear(&told), TAKEN);
        assert_eq!(revocations.hear(&"nonsense".into()), Bytes::new());
        assert!(!changes.has_changed().unwrap());
    }
}

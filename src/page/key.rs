//! What a page is known by. Pure.

use std::sync::Arc;

use gaung_cluster::page::PageHash;
use sha2::{Digest, Sha256};

use crate::protocol::ResumeId;

/// A page of an app: the hash of the app's id and the resume id. The same id in another app is another page.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PageKey(pub PageHash);

/// One socket of a page.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct PageVisit {
    /// Whose.
    pub page: PageKey,
    /// Tells it from the page's other sockets on this node.
    pub number: u64,
}

impl PageKey {
    /// The page of an app that names itself so.
    pub fn of(app_id: &Arc<str>, id: &ResumeId) -> Self {
        let app = Sha256::new().chain_update(app_id.as_bytes()).chain_update([0]);
        let digest = app.chain_update(id.expose()).finalize();
        let mut hash = [0; 16];
        hash.copy_from_slice(&digest[..16]);
        Self(PageHash(hash))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_id_in_two_apps_is_two_pages() {
        let id = ResumeId::parse("abcdefghijklmnop").unwrap();
        assert_eq!(PageKey::of(&"a".into(), &id), PageKey::of(&"a".into(), &id));
        assert_ne!(PageKey::of(&"a".into(), &id), PageKey::of(&"b".into(), &id));
    }
}

//! What a page is known by. Pure.

use std::sync::Arc;

use sha2::{Digest, Sha256};

use crate::protocol::ResumeId;

/// A page of an app. The same id in another app is another page.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct PageKey {
    /// Whose page.
    pub app_id: Arc<str>,
    /// Of the app's id and the resume id.
    pub hash: [u8; 16],
}

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
        Self { app_id: app_id.clone(), hash }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_id_in_two_apps_is_two_pages() {
        let id = ResumeId::parse("abcdefghijklmnop").unwrap();
        assert_eq!(PageKey::of(&"a".into(), &id), PageKey::of(&"a".into(), &id));
        assert_ne!(PageKey::of(&"a".into(), &id).hash, PageKey::of(&"b".into(), &id).hash);
    }
}

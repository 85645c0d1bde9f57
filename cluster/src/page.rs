//! Pages: clients that name themselves, and come back to any node.

use std::fmt;

/// A page of an app, by a hash of its id, which is a secret and stays where the page is.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PageHash(pub [u8; 16]);

/// Enough to tell two pages apart, and not the hash: who guesses ids could test them with it.
impl fmt::Debug for PageHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PageHash({:02x}{:02x}…)", self.0[0], self.0[1])
    }
}

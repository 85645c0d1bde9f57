//! Pages: clients that name themselves, and come back to any node. A node claims the pages that it has, so that every other
//! node knows which to ask for them, and what it can still say of them once their node is dead.

use std::{fmt, num::NonZeroU64, time::Duration};

use crate::{fact::Keyed, room::NodeId};

/// A page of an app, by a hash of both their ids. The page's own id is a secret, and stays where the page is.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PageHash(pub [u8; 16]);

/// How a page stands with the node that has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// Its client has said lately how far it has heard.
    UpToDate,
    /// It has not said so for long: once its node is dead, nobody can tell what it heard.
    Owing,
}

/// What happens to a page on its node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PageChange {
    /// It has come, or come back: a claim from before is wrong. It is up to date.
    Came,
    /// It stands otherwise.
    Stands(Standing),
    /// It is not here any longer.
    Gone,
}

/// What a node says of a page that it has: since when, and how it stands. Of two claims the newer is right. In eight bytes,
/// because there are many.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Claim(NonZeroU64);

/// One node's absolute statement about a page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PageClaim {
    pub page: PageHash,
    /// `None` withdraws it.
    pub claim: Option<Claim>,
}

/// What a dead node claimed, as a node that outlives it remembers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LostClaim {
    pub node: NodeId,
    pub page: PageHash,
    pub claim: Claim,
    /// For how long nothing was heard of the node.
    pub silent_for: Duration,
}

/// Where a page is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PageWhere {
    /// Nobody has had it lately.
    Unknown,
    /// A node has it; this is what can be said of it where that node does not answer.
    On(NodeId, LastSeen),
    /// The node that had it is gone.
    Lost(LastSeen),
}

/// What is known of a page without its node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LastSeen {
    /// How long ago the node gave its last sign of life.
    pub silent_for: Duration,
    /// How the page stood then.
    pub standing: Standing,
}

impl Claim {
    /// `since` is in milliseconds of the Unix epoch.
    pub fn new(since: u64, standing: Standing) -> Self {
        let owes = u64::from(standing == Standing::Owing);
        let bits = since.clamp(1, u64::MAX >> 1) << 1 | owes;
        Self(NonZeroU64::new(bits).unwrap_or(NonZeroU64::MIN))
    }

    pub(crate) fn from_bits(bits: u64) -> Option<Self> {
        NonZeroU64::new(bits).map(Self)
    }

    pub(crate) fn bits(self) -> u64 {
        self.0.get()
    }

    pub fn since(self) -> u64 {
        self.bits() >> 1
    }

    pub fn standing(self) -> Standing {
        if self.bits() & 1 == 0 { Standing::UpToDate } else { Standing::Owing }
    }

    /// The same claim with another standing.
    #[must_use]
    pub fn with(self, standing: Standing) -> Self {
        Self::new(self.since(), standing)
    }
}

impl Keyed for PageClaim {
    type Key = PageHash;

    fn key(&self) -> PageHash {
        self.page
    }
}

impl LostClaim {
    /// By which they are ordered.
    pub fn key(&self) -> (NodeId, PageHash) {
        (self.node, self.page)
    }
}

impl fmt::Debug for Claim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} since {}", self.standing(), self.since())
    }
}

/// Enough to tell two pages apart, and not the hash: who guesses ids could test them with it.
impl fmt::Debug for PageHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PageHash({:02x}{:02x}…)", self.0[0], self.0[1])
    }
}

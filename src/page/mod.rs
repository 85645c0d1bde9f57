//! Pages: clients that name themselves by a resume id, and are given back what they had when they come back. A page is
//! known by the hash of its id ([`key`]); [`book`] decides what becomes of it, [`registry`] acts.
//!
//! A page has one socket at a time. When its session ends, the rooms report how far the page has provably heard them; the
//! next session is given the old socket id and these positions, from which its subscriptions are brought on.

pub mod book;
pub mod key;
pub mod positions;
pub mod registry;

pub use book::{Departure, Heard, PageStart};
pub use key::{PageKey, PageVisit};
pub use positions::Positions;
pub use registry::{OwedReceipt, PageNotice, Pages};

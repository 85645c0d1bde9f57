//! Pages: clients that name themselves by a resume id, and are given back what they had when they come back. A page is
//! known by the hash of its id ([`key`]); [`book`] decides what becomes of it, [`registry`] acts.
//!
//! A page has one socket at a time. When its session ends, the rooms report how far the page has provably heard them; the
//! next session is given the old socket id and these positions, from which its subscriptions are brought on.
//!
//! In a cluster a page may come back to another node, which asks for it (`seeking`) and is handed what is known of it
//! (`handed`). A node that ends leaves the pages that are away to others (`leaving`, `left`).

pub mod book;
mod handed;
mod handovers;
pub mod key;
mod leaving;
mod left;
pub mod messages;
mod owed;
mod pages;
pub mod positions;
pub mod registry;
pub mod seeking;

pub use handed::HandedPage;
pub use key::{PageKey, PageVisit};
pub use left::LeftPage;
pub use messages::{Departure, Heard, PageStart};
pub use owed::{OutstandingReceipts, OwedReceipt};
pub use pages::{PageNotice, Pages};
pub use positions::Positions;

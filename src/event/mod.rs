//! Events, and what rooms answer about themselves: what rooms, sessions, consoles and nodes hand to one another.

mod answers;
mod cached;
mod encoded;
mod user_action;
pub mod wire;

pub use answers::{AppTotals, CachedEvent, Counts, Member, Page};
pub use cached::{Cached, cached};
pub use encoded::{EncodedEvent, Event, Moment, Numbered, Origin, Sample, Words, now};
pub use user_action::UserAction;

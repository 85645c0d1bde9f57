//! Rooms: who is subscribed to a channel, and the fan-out to them. [`Rooms`] is what everybody else uses. This page is
//! the map.
//!
//! A message goes `rooms` → `shard` → `actor` → `perform` → `state`, which decides; `perform` and `serving` do what is to
//! be done.
//!
//! | file | what it holds |
//! |---|---|
//! | `rooms`, `messages`, `from_peers` | what sessions, back ends and other nodes say to rooms, and how it finds its shard |
//! | `questions`, `probe` | what can be asked about them |
//! | `backlog`, `inflow`, `interest` | how much waits, and what need not be sent to a room at all |
//! | `shard`, `routing`, `registered`, `present` | the rooms of one thread: found by name, opened, listed, retired |
//! | `users`, `watchlists` | the channels of signed-in users, who is online, and who watches them |
//! | `actor` | the mailbox of one room, and its turns |
//! | `perform`, `refusals`, `shelf` | a room: its state, and how effects are done |
//! | `state` | what a room decides, as a state machine: inputs in, effects out |
//! | `membership`, `member_notices`, `grace`, `count_notice`, `cached`, `history`, `page_slots`, `held` | the parts of that state |
//! | `inquiry`, `asking`, `stored` | what all nodes, and the stream behind them, know of a channel: asked, answered, and put together |
//! | `fanout`, `joined`, `dialect` | who is written what |
//! | `serving`, `fanout_worker` | when, by how many threads, and who is waited for |

mod actor;
mod asking;
mod awaiting;
pub mod backlog;
mod cached;
mod count_notice;
mod dialect;
mod fanout;
mod fanout_worker;
mod from_peers;
mod grace;
mod held;
mod history;
mod inflow;
pub mod inquiry;
mod interest;
mod joined;
mod member_notices;
mod membership;
mod messages;
mod oldest;
mod page_slots;
mod perform;
mod present;
mod probe;
mod questions;
mod refusals;
mod registered;
mod rooms;
mod routing;
mod serving;
mod shard;
mod shelf;
pub mod state;
mod stored;
mod unpublished;
mod users;
mod watchlists;

pub use asking::HistoryReply;
pub use cached::unserved_record;
pub use dialect::Dialect;
pub use fanout::Subscriber;
pub use history::{Completeness, Histories, HistoryPage, Known, OldEvent, Shared, Span, Stored};
pub use inflow::Inflow;
pub use inquiry::{Answered, Inquiry, Wanted};
pub use messages::{ClientEvent, Forwarded, FromPeers, Join, JoinAs, Opening, PageJoin, Parting, RoomMessage, SignIn};
pub use perform::publish_on_bus;
pub use questions::Unanswered;
pub use rooms::{Rooms, travels_alone};
pub use routing::{Route, route};
pub use shelf::CacheUse;
pub use unpublished::Unpublished;
pub use watchlists::Watchlist;

#[cfg(test)]
mod tests;

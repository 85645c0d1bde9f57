//! The operator's console: a page of embedded files that hold nothing, and the WebSocket that brings what it shows.
//!
//! The way of a browser: `page` (for everybody) → `access` (who may see more) or `login` → `live` (the socket), which sends
//! a `snapshot` each second and the `tail` of what happens, and hears what the page has to `ask`.

mod access;
mod ask;
mod hello;
mod history;
mod live;
mod login;
mod page;
mod settings;
mod snapshot;
mod tail;

pub(super) use access::Denied;
pub(super) use live::{is_same_origin, live};
pub(super) use login::{access, check, refuse, session};
pub(super) use page::{file, is_wanted, moved, open};
pub use settings::{ConsoleSettings, PublicPort};

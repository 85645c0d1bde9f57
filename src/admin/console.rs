//! The operator's console: a page of embedded files that hold nothing, and the WebSocket that brings what it shows.
//!
//! The way of a browser: `page` (for everybody) → `access` (who may see more) or `login` → `live` (the socket), which sends
//! a `snapshot` each second and the `tail` of what happens, and hears what the page has to `ask`.

mod access;
mod ask;
mod hello;
mod live;
mod login;
mod page;
mod snapshot;
mod tail;

use std::sync::Arc;

pub(super) use live::live;
pub(super) use login::{access, session};
pub(super) use page::{file, is_wanted, moved, open};

use crate::{http::Api, protocol::Secret};

/// What the console is told when the node starts.
#[derive(Clone)]
pub struct ConsoleSettings {
    /// `GAUNG_ADMIN_TOKEN`: what opens it; without it browsers of this machine alone may.
    pub token: Option<Secret>,
    /// `GAUNG_CONSOLE_PAYLOADS`: whether it shows what events say.
    pub shows_payloads: bool,
    /// Where clients connect.
    pub public: PublicPort,
    /// Publishes for the operator, as for back ends.
    pub api: Arc<Api>,
}

/// The public listener, as clients must name it.
#[derive(Debug, Clone, serde::Serialize)]
pub struct PublicPort {
    pub port: u16,
    /// Whether it speaks TLS itself.
    pub tls: bool,
    /// What all its paths begin with; may be empty.
    pub path_prefix: String,
}

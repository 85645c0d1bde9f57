//! What the console is told when the node starts.

use std::sync::Arc;

use crate::{http::Api, protocol::Secret};

/// Who may use the console, what it shows, and where clients connect.
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

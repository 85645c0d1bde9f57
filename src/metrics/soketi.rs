//! Soketi's names for what this node counts too, for dashboards that have them already. What it does not count has no
//! alias: nothing here is made up.

use super::catalogue::{Description, Kind};

/// A name of Soketi's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Alias {
    /// As Soketi has it, without its prefix and its label `port`.
    pub theirs: Description,
    /// What it is here.
    pub ours: &'static str,
}

/// All aliases, in the order in which the README shows them.
pub const ALL: &[Alias] =
    &[CONNECTED, NEW_CONNECTIONS, NEW_DISCONNECTIONS, RECEIVED_BYTES, TRANSMITTED_BYTES, MESSAGES_SENT];

/// Open sockets.
pub const CONNECTED: Alias = alias("connected", Kind::Gauge, "gaung_connections", "Open sockets");

/// Sockets opened.
pub const NEW_CONNECTIONS: Alias =
    alias("new_connections_total", Kind::Counter, "gaung_connections_opened_total", "Sockets opened");

/// Sockets closed.
pub const NEW_DISCONNECTIONS: Alias = alias(
    "soketi_new_disconnections_total",
    Kind::Counter,
    "gaung_connections_opened_total - gaung_connections",
    "Sockets closed",
);

/// Bytes from sockets.
pub const RECEIVED_BYTES: Alias = alias(
    "soketi_socket_received_bytes",
    Kind::Counter,
    "gaung_bytes_in_total",
    "WebSocket payload bytes read from sockets",
);

/// Bytes to sockets.
pub const TRANSMITTED_BYTES: Alias = alias(
    "soketi_socket_transmitted_bytes",
    Kind::Counter,
    "gaung_bytes_out_total",
    "WebSocket bytes handed to sockets by events; answers to clients are not counted",
);

/// Messages to sockets.
pub const MESSAGES_SENT: Alias = alias(
    "soketi_ws_messages_sent_total",
    Kind::Counter,
    "gaung_deliveries_total",
    "Events handed to sockets; answers to clients are not counted",
);

const fn alias(name: &'static str, kind: Kind, ours: &'static str, meaning: &'static str) -> Alias {
    Alias { theirs: Description { name, kind, labels: &["app_id"], meaning }, ours }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::catalogue;

    #[test]
    fn every_alias_names_metrics_that_there_are_for_each_app() {
        for alias in ALL {
            for ours in alias.ours.split(" - ") {
                assert!(catalogue::ALL.iter().any(|metric| metric.name == ours && metric.labels == ["app"]), "{ours}");
            }
        }
    }
}

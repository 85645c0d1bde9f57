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

/// Names the aliases and lists them in [`ALL`].
macro_rules! aliases {
    ($($constant:ident: $kind:ident $name:literal is $ours:literal, $meaning:literal;)*) => {
        $(
            #[doc = $meaning]
            pub const $constant: Alias = Alias {
                theirs: Description { name: $name, kind: Kind::$kind, labels: &["app_id"], meaning: $meaning },
                ours: $ours,
            };
        )*
        /// All aliases, in the order in which docs/operations.md shows them.
        pub const ALL: &[Alias] = &[$($constant),*];
    };
}

aliases! {
    CONNECTED: Gauge "connected" is "gaung_connections", "Open sockets";
    NEW_CONNECTIONS: Counter "new_connections_total" is "gaung_connections_opened_total", "Sockets opened";
    NEW_DISCONNECTIONS: Counter "new_disconnections_total" is "gaung_connections_opened_total - gaung_connections", "Sockets closed";
    RECEIVED_BYTES: Counter "socket_received_bytes" is "gaung_bytes_in_total", "WebSocket payload bytes read from sockets";
    TRANSMITTED_BYTES: Counter "socket_transmitted_bytes" is "gaung_bytes_out_total", "WebSocket bytes handed to sockets by events; answers to clients are not counted";
    MESSAGES_SENT: Counter "ws_messages_sent_total" is "gaung_deliveries_total", "Events handed to sockets; answers to clients are not counted";
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

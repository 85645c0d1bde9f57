//! Why a session ends: the one table of close codes and texts (protocol.md §1.5, RFC 6455 §7.4.1). Pure.

/// The code of what is not authorised; in a `pusher:error` it names a channel, a sign-in or the whole connection.
pub const UNAUTHORIZED: u16 = 4009;

/// `pusher:error` code of a client event that is refused; the socket stays (protocol.md §1.11).
pub const CLIENT_EVENT_REFUSED: u16 = 4301;

/// Why the server closes a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Close {
    /// Answer to the client's own close frame; carries its code.
    Echo(Option<u16>),
    /// The frames break RFC 6455.
    ProtocolViolation,
    InvalidUtf8,
    /// A message is longer than `GAUNG_MAX_FRAME_BYTES`.
    TooLarge,
    /// The tenant socket's node goes away.
    GoingAway,
    AppUnknown,
    AppDisabled,
    /// The app has `max_connections` sockets on this node already.
    OverQuota,
    /// The app has `max_connections` sockets on all nodes together. The client may try again: sockets that move from one
    /// node to another are counted on both for a moment, and those of a dead node for some seconds.
    OverClusterQuota,
    PathUnknown,
    /// `protocol` is not a number.
    VersionInvalid,
    /// `protocol` is a number that is not spoken here.
    VersionUnsupported,
    /// The browser's origin is not one of the app's `allowed_origins`.
    OriginRefused,
    /// Neither signed in nor subscribed to an authorised channel in the app's `authorised_within_seconds`.
    NotAuthorisedInTime,
    /// A back end terminated the user's connections.
    Terminated,
    /// The node has all the sockets that it may have.
    OverCapacity,
    /// The client's address has all the sockets that it may have.
    OverAddressLimit,
    /// The client sent more messages than the app's `message_quota`.
    OverMessageQuota,
    /// The client does not read what it is sent.
    SlowConsumer,
    /// The node is going away; another one is ready.
    Draining,
    /// Nothing was heard from the client.
    Silent,
    /// A tenant socket without `tenant_id`, or with one that is malformed.
    TenantInvalid,
    /// A tenant socket's token is missing, expired, forged, or for someone else.
    TenantRefused,
    /// The application that admits tenant sockets gave no usable answer.
    TenantCheckFailed,
    /// Tenant sockets are not served here: no app is chosen for them.
    TenantNotServed,
}

impl Close {
    /// Every reason, for tables and metrics.
    pub const ALL: [Close; 25] = [
        Close::Echo(None),
        Close::ProtocolViolation,
        Close::InvalidUtf8,
        Close::TooLarge,
        Close::GoingAway,
        Close::AppUnknown,
        Close::AppDisabled,
        Close::OverQuota,
        Close::OverClusterQuota,
        Close::PathUnknown,
        Close::VersionInvalid,
        Close::VersionUnsupported,
        Close::OriginRefused,
        Close::NotAuthorisedInTime,
        Close::Terminated,
        Close::OverCapacity,
        Close::OverAddressLimit,
        Close::OverMessageQuota,
        Close::SlowConsumer,
        Close::Draining,
        Close::Silent,
        Close::TenantInvalid,
        Close::TenantRefused,
        Close::TenantCheckFailed,
        Close::TenantNotServed,
    ];

    /// Close code, name for metrics and logs, and the text that the client sees (at most 123 bytes, RFC 6455 §5.5).
    fn row(self) -> (u16, &'static str, &'static str) {
        match self {
            Close::Echo(code) => (code.unwrap_or(1000), "client", ""),
            Close::ProtocolViolation => (1002, "protocol_violation", "frames break RFC 6455"),
            Close::InvalidUtf8 => (1007, "invalid_utf8", "text message is not UTF-8"),
            Close::TooLarge => (1009, "too_large", "message exceeds the node's limit (GAUNG_MAX_FRAME_BYTES)"),
            Close::GoingAway => (1001, "going_away", "server shutting down"),
            Close::AppUnknown => (4001, "app_unknown", "Application does not exist"),
            Close::AppDisabled => (4003, "app_disabled", "Application is disabled"),
            Close::OverQuota => (4004, "over_quota", "Application is over connection quota (max_connections)"),
            Close::OverClusterQuota => {
                (4100, "over_cluster_quota", "Application is over connection quota on all nodes (max_connections)")
            }
            Close::PathUnknown => (4005, "path_unknown", "Path not found; sockets are served at /app/{key} and /ws"),
            Close::VersionInvalid => (4006, "version_invalid", "Invalid version string: protocol must be an integer"),
            Close::VersionUnsupported => {
                (4007, "version_unsupported", "Unsupported protocol version; supported are 4, 5, 6 and 7")
            }
            Close::OriginRefused => (UNAUTHORIZED, "origin_refused", "Origin not allowed (allowed_origins)"),
            Close::NotAuthorisedInTime => {
                (UNAUTHORIZED, "not_authorised_in_time", "Connection not authorized within timeout")
            }
            Close::Terminated => (UNAUTHORIZED, "terminated", "You got disconnected by the app"),
            Close::OverCapacity => (4100, "over_capacity", "Over capacity"),
            Close::OverAddressLimit => {
                (4100, "over_address_limit", "Too many connections from this address (GAUNG_MAX_CONNECTIONS_PER_IP)")
            }
            Close::OverMessageQuota => (4100, "over_message_quota", "Rate limit exceeded (message_quota)"),
            Close::SlowConsumer => (4100, "slow_consumer", "Client reads too slowly (GAUNG_MAX_OUTBOX_BYTES)"),
            Close::Draining => (4200, "draining", "Server shutting down; reconnect"),
            Close::Silent => (4201, "silent", "Pong reply not received in time"),
            Close::TenantInvalid => (4010, "tenant_invalid", "tenant_id is missing or malformed"),
            Close::TenantRefused => (4011, "tenant_refused", "Not admitted to this tenant"),
            Close::TenantCheckFailed => (4101, "tenant_check_failed", "Admission could not be checked; try again"),
            Close::TenantNotServed => (4012, "tenant_not_served", "No app serves tenant sockets (GAUNG_TENANT_APP)"),
        }
    }

    /// The WebSocket close code.
    pub fn code(self) -> u16 {
        self.row().0
    }

    /// The label in metrics and logs.
    pub fn name(self) -> &'static str {
        self.row().1
    }

    /// The text in the close frame and in the error frame before it.
    pub fn text(self) -> &'static str {
        self.row().2
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_text_fits_a_close_frame() {
        for close in Close::ALL {
            assert!(close.text().len() <= 123, "{close:?}");
        }
    }

    #[test]
    fn no_reason_closes_with_a_code_that_pusher_js_takes_as_a_permanent_stop_by_accident() {
        for close in Close::ALL {
            assert!(close.code() < 4300, "{close:?}");
        }
    }

    #[test]
    fn names_are_distinct() {
        let names: std::collections::HashSet<_> = Close::ALL.iter().map(|close| close.name()).collect();
        assert_eq!(names.len(), Close::ALL.len());
    }
}

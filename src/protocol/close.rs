//! Why a session ends: the one table of close codes and texts (protocol.md §1.5, RFC 6455 §7.4.1). Pure.

/// The code of what is not authorised; in a `pusher:error` it names a channel, a sign-in or the whole connection.
pub const UNAUTHORIZED: u16 = 4009;

/// `pusher:error` code of a client event that is refused; the socket stays (protocol.md §1.11).
pub const CLIENT_EVENT_REFUSED: u16 = 4301;

/// What a reason ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CloseScope {
    /// New sockets are refused for it; open ones may be closed for it too.
    Upgrade,
    /// Open sessions only.
    Session,
}

/// Makes [`Close`] of rows of a reason, its close code, its name for metrics and logs, its [`CloseScope`], and the text
/// that the client sees (at most 123 bytes, RFC 6455 §5.5).
macro_rules! closes {
    ($($(#[$doc:meta])* $close:ident = $code:expr, $name:literal, $scope:ident, $text:literal;)*) => {
        /// Why the server closes a session.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Close {
            /// Answer to the client's own close frame; carries its code.
            Echo(Option<u16>),
            $($(#[$doc])* $close,)*
        }

        impl Close {
            /// Every reason, for tables and metrics.
            pub const ALL: [Close; 1 + [$($code,)*].len()] = [Close::Echo(None), $(Close::$close,)*];

            fn row(self) -> (u16, &'static str, CloseScope, &'static str) {
                match self {
                    Close::Echo(code) => (code.unwrap_or(1000), "client", CloseScope::Session, ""),
                    $(Close::$close => ($code, $name, CloseScope::$scope, $text),)*
                }
            }
        }
    };
}

closes! {
    /// The frames break RFC 6455.
    ProtocolViolation = 1002, "protocol_violation", Session,
        "frames break RFC 6455";
    InvalidUtf8 = 1007, "invalid_utf8", Session,
        "text message is not UTF-8";
    /// A message is longer than `GAUNG_MAX_FRAME_BYTES`.
    TooLarge = 1009, "too_large", Session,
        "message exceeds the node's limit (GAUNG_MAX_FRAME_BYTES)";
    /// The tenant socket's node goes away.
    GoingAway = 1001, "going_away", Session,
        "server shutting down";
    AppUnknown = 4001, "app_unknown", Upgrade,
        "Application does not exist";
    AppDisabled = 4003, "app_disabled", Upgrade,
        "Application is disabled";
    /// The app has `max_connections` sockets on this node already.
    OverQuota = 4004, "over_quota", Upgrade,
        "Application is over connection quota (max_connections)";
    /// The app has `max_connections` sockets on all nodes together. The client may try again: sockets that move from one
    /// node to another are counted on both for a moment, and those of a dead node for some seconds.
    OverClusterQuota = 4100, "over_cluster_quota", Upgrade,
        "Application is over connection quota on all nodes (max_connections)";
    /// The tenant has `tenant_limits.max_connections` sockets on all nodes together.
    OverTenantQuota = 4100, "over_tenant_quota", Upgrade,
        "The tenant is over its connection quota on all nodes (tenant_limits.max_connections)";
    PathUnknown = 4005, "path_unknown", Upgrade,
        "Path not found; sockets are served at /app/{key} and /ws";
    /// `protocol` is not a number.
    VersionInvalid = 4006, "version_invalid", Upgrade,
        "Invalid version string: protocol must be an integer";
    /// `protocol` is a number that is not spoken here.
    VersionUnsupported = 4007, "version_unsupported", Upgrade,
        "Unsupported protocol version; supported are 4, 5, 6 and 7";
    /// The browser's origin is not one of the app's `allowed_origins`.
    OriginRefused = UNAUTHORIZED, "origin_refused", Upgrade,
        "Origin not allowed (allowed_origins)";
    /// Neither signed in nor subscribed to an authorised channel in the app's `authorised_within_seconds`.
    NotAuthorisedInTime = UNAUTHORIZED, "not_authorised_in_time", Session,
        "Connection not authorized within timeout";
    /// A back end terminated the user's connections.
    Terminated = UNAUTHORIZED, "terminated", Session,
        "You got disconnected by the app";
    /// The node has all the sockets that it may have.
    OverCapacity = 4100, "over_capacity", Upgrade,
        "Over capacity";
    /// The client's address has all the sockets that it may have.
    OverAddressLimit = 4100, "over_address_limit", Upgrade,
        "Too many connections from this address (GAUNG_MAX_CONNECTIONS_PER_IP)";
    /// More sockets come than the node lets in.
    OverConnectionRate = 4100, "over_connection_rate", Upgrade,
        "Too many new connections; try again (GAUNG_MAX_CONNECTION_RATE)";
    /// More sockets come from the client's address than it may open.
    OverAddressRate = 4100, "over_address_rate", Upgrade,
        "Too many new connections from this address (GAUNG_MAX_CONNECTION_RATE_PER_IP)";
    /// The client sent more messages than the app's `message_quota`.
    OverMessageQuota = 4100, "over_message_quota", Session,
        "Rate limit exceeded (message_quota)";
    /// What the client sent over HTTP waits too long to be heard.
    OverMessageRate = 4100, "over_message_rate", Session,
        "Messages wait for more than 30 seconds (messages_per_second)";
    /// The client does not read what it is sent.
    SlowConsumer = 4100, "slow_consumer", Session,
        "Client reads too slowly (GAUNG_MAX_OUTBOX_BYTES)";
    /// The node is going away; another one is ready.
    Draining = 4200, "draining", Upgrade,
        "Server shutting down; reconnect";
    /// A back end says that the user's rights have changed.
    RightsChanged = 4200, "rights_changed", Session,
        "Your rights have changed; reconnect";
    /// Other nodes have fewer sockets; any may take it.
    Rebalanced = 4200, "rebalanced", Session,
        "Other nodes have fewer connections; reconnect";
    /// The client's session over HTTP was begun on another node.
    Moved = 4200, "moved", Upgrade,
        "The session is on another node; reconnect";
    /// Nothing was heard from the client.
    Silent = 4201, "silent", Session,
        "Pong reply not received in time";
    /// A page that names itself by a resume id has opened a newer socket. It does not want this one back.
    Superseded = 4013, "superseded", Session,
        "The page has opened a newer socket";
    /// What stands for a resume id is none.
    ResumeIdInvalid = 4014, "resume_id_invalid", Upgrade,
        "The resume id is malformed";
    /// A tenant socket without `tenant_id`, or with one that is malformed.
    TenantInvalid = 4010, "tenant_invalid", Upgrade,
        "tenant_id is missing or malformed";
    /// A tenant socket's token is missing, expired, forged, or for someone else.
    TenantRefused = 4011, "tenant_refused", Upgrade,
        "Not admitted to this tenant";
    /// The token of a tenant socket is over. The page fetches another one and connects with it.
    TokenExpired = 4015, "token_expired", Upgrade,
        "The token has expired; connect with a new one";
    /// A back end has revoked the token.
    TokenRevoked = 4015, "token_revoked", Upgrade,
        "The token was revoked; connect with a new one";
    /// The application that admits tenant sockets gave no usable answer.
    TenantCheckFailed = 4101, "tenant_check_failed", Upgrade,
        "Admission could not be checked; try again";
    /// Tenant sockets are not served here: no app is chosen for them.
    TenantNotServed = 4012, "tenant_not_served", Upgrade,
        "No app serves tenant sockets (GAUNG_TENANT_APP)";
}

impl Close {
    /// The WebSocket close code.
    pub fn code(self) -> u16 {
        self.row().0
    }

    /// The label in metrics and logs.
    pub fn name(self) -> &'static str {
        self.row().1
    }

    /// Whether new sockets are refused for it.
    pub fn scope(self) -> CloseScope {
        self.row().2
    }

    /// The text in the close frame and in the error frame before it.
    pub fn text(self) -> &'static str {
        self.row().3
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

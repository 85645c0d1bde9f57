//! Why requests and messages are turned away, as labels of `gaung_refusals_total`. Sockets have those of
//! [`Close`].

use std::collections::HashSet;

use crate::protocol::{Close, close::CloseScope};

/// Makes an enum of labels, with all of them, so that each is exported from the start.
macro_rules! labels {
    ($(#[$doc:meta])* $name:ident { $($(#[$note:meta])* $label:ident = $text:literal,)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum $name {
            $($(#[$note])* $label,)*
        }

        impl $name {
            pub const ALL: &[Self] = &[$(Self::$label,)*];

            pub fn label(self) -> &'static str {
                match self { $(Self::$label => $text,)* }
            }
        }
    };
}

labels! {
    /// Why a request of the trigger API, or a probe, is refused.
    RequestRefusal {
        ConnectionsFull = "over_http_limit",
        AddressFull = "over_address_limit",
        PathUnknown = "path_unknown",
        Method = "method",
        UpgradeMissing = "upgrade_missing",
        TransportsOff = "http_transports_off",
        SessionUnknown = "session_unknown",
        SendInvalid = "send_invalid",
        SendTooLarge = "send_too_large",
        SendHeld = "send_held",
        Draining = "draining",
        Joining = "joining",
        Full = "full",
        CutOff = "cut_off",
        Silent = "silent",
        AppUnknown = "app_unknown",
        BodyTooLarge = "body_too_large",
        BodyCompressed = "body_compressed",
        BodyBroken = "body_broken",
        BodyTooSlow = "body_too_slow",
        /// Counted as a failed signature, not as a refusal.
        Unauthenticated = "unauthenticated",
        AppDisabled = "app_disabled",
        EventRate = "event_rate",
        ReadRate = "read_rate",
        LimitReached = "limit_reached",
        EventTooLarge = "event_too_large",
        EventInvalid = "event_invalid",
        KeyReused = "key_reused",
        ChannelInvalid = "channel_invalid",
        PatternInvalid = "pattern_invalid",
        RevocationInvalid = "revocation_invalid",
        NoTokens = "no_tokens",
        NotPresence = "not_presence",
        UserCountNeedsPresence = "user_count_needs_presence",
        NoHistory = "no_history",
        QueryInvalid = "query_invalid",
        Unanswered = "unanswered",
        Overloaded = "overloaded",
    }
}

labels! {
    /// What a session may not do, by the message that asked for it.
    MessageRefusal {
        Malformed = "malformed_message",
        OverQuota = "message_quota",
        Subscription = "subscription",
        /// The app, or a tenant of it, may have no more.
        LimitReached = "limit_reached",
        ClientEvent = "client_event",
        SignIn = "sign_in",
        /// Any message of a plain socket.
        Tenant = "tenant_message",
    }
}

/// Every reason of `gaung_refusals_total` that is known beforehand, once: some are those of sockets and of requests. What
/// fails before the upgrade is a `handshake`.
pub(super) fn all() -> Vec<&'static str> {
    let sockets = Close::ALL.into_iter().filter(|close| close.scope() == CloseScope::Upgrade).map(Close::name);
    let requests = RequestRefusal::ALL.iter().filter(|refusal| **refusal != RequestRefusal::Unauthenticated);
    let messages = MessageRefusal::ALL.iter().map(|refusal| refusal.label());
    let mut known = HashSet::new();
    let all = sockets.chain(["handshake"]).chain(requests.map(|refusal| refusal.label())).chain(messages);
    all.filter(|reason| known.insert(*reason)).collect()
}

//! Every refusal of the HTTP API: one table of status, metric label and text (protocol.md §3.1). The text names the
//! limit, the actual value and the setting that changes it; SDKs print it as it stands.

use std::time::Duration;

use actix_web::{
    HttpResponse, ResponseError,
    http::{StatusCode, header},
};
use serde::Serialize;

use super::{answer, invalid_body::InvalidBody, invalid_event::InvalidEvent};
use crate::{
    app::usage::Reached,
    metrics::RequestRefusal,
    protocol::{InvalidChannelName, signature::RequestAuthError},
    repeats::{Differs, KNOWN_FOR},
    room::{Unanswered, Unpublished},
    session::{handshake, xhr::Unsent},
    trace_log::Sender,
};

/// A rate that an app may not exceed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rate {
    /// Events from back ends, counted once per channel.
    Events,
    /// Read requests.
    Reads,
}

/// Why a request is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ApiError {
    #[error("nothing is served at this path; the API is at /apps/{{id}}/…")]
    PathUnknown,
    /// The path exists for other methods only; those.
    #[error("this path accepts {0} only")]
    MethodRefused(&'static str),
    /// A plain request where sockets are served; what keeps it from being an upgrade.
    #[error("{}", handshake::faults_text(.0))]
    UpgradeMissing(Vec<handshake::Fault>),
    #[error("the app serves no HTTP transports (app setting http_transports)")]
    TransportsOff,
    /// What a client sent over HTTP is not heard.
    #[error(transparent)]
    Unsent(#[from] Unsent),
    #[error("this node is going away; choose another one")]
    Draining,
    #[error("this node is not in step with its peers yet; choose another one")]
    Joining,
    #[error("this node is full (GAUNG_MAX_CONNECTIONS, GAUNG_MAX_MEMORY_MB, file descriptors); choose another one")]
    Full,
    /// The node does not hear its peers, and is to take nobody meanwhile.
    #[error("this node is cut off from its peers; choose another one")]
    CutOff,
    #[error("a thread of this node does not answer; choose another one")]
    Silent,
    #[error("too many connections from this address, its sockets included (GAUNG_MAX_CONNECTIONS_PER_IP)")]
    AddressFull,
    /// The node has all the connections that it may have which are no sockets.
    #[error("this node has reached its limit of HTTP connections (GAUNG_MAX_HTTP_CONNECTIONS); try again")]
    ConnectionsFull,
    /// No app has this id. How many characters it has: it may be a secret in the wrong place.
    #[error("unknown app id ({0} characters)")]
    AppUnknown(usize),
    #[error(transparent)]
    Body(#[from] InvalidBody),
    #[error(transparent)]
    Unauthenticated(RequestAuthError),
    #[error("the app is disabled (app setting enabled)")]
    AppDisabled,
    #[error("{}", too_many(*rate, *tokens, *per_second))]
    TooMany {
        rate: Rate,
        /// What the request counts.
        tokens: u32,
        /// The app's limit.
        per_second: u32,
        /// When the same request would be taken.
        wait: Duration,
    },
    /// What the app or one of its tenants may have or do.
    #[error("{reached}{}", of_channel(.channel.as_deref()))]
    LimitReached {
        reached: Reached,
        /// The channel of the event that its tenant may not be sent.
        channel: Option<String>,
    },
    #[error(transparent)]
    Event(#[from] InvalidEvent),
    #[error("this idempotency_key was posted with another body, or to another path, within the last {} seconds",
        KNOWN_FOR.as_secs())]
    KeyReused,
    #[error(transparent)]
    Channel(InvalidChannelName),
    #[error("{0} has no users: its name does not start with presence-")]
    NotPresence(String),
    /// `user_count` was asked of channels that have none; the prefix that was given.
    #[error("user_count needs a filter_by_prefix that starts with presence-, but filter_by_prefix is {0:?}")]
    UserCountNeedsPresence(String),
    /// Of which channels a user's sockets are to lose is not understood.
    #[error("invalid request body: {0}; it must be {{\"channels\":[\"private-orders.*\"]}}")]
    Patterns(String),
    /// Scope tokens are to be revoked is not understood.
    #[error("invalid request body: {0}; it must be {{\"tenant\":\"42\"}}, optional are user and issued_before")]
    Revocation(String),
    #[error("no plain socket of this app has a token (GAUNG_TENANT_APP, GAUNG_TENANT_ACCESS)")]
    NoTokens,
    #[error("channel {0} keeps no history (app setting history)")]
    NoHistory(String),
    #[error("invalid query string: {0}")]
    Query(String),
    #[error(transparent)]
    Unpublished(Unpublished),
    #[error(transparent)]
    Unanswered(#[from] Unanswered),
}

#[derive(Serialize)]
struct Refusal {
    error: String,
    code: u16,
}

impl ApiError {
    /// Status, and the reason in metrics.
    fn row(&self) -> (StatusCode, RequestRefusal) {
        match self {
            Self::PathUnknown => (StatusCode::NOT_FOUND, RequestRefusal::PathUnknown),
            Self::MethodRefused(_) => (StatusCode::METHOD_NOT_ALLOWED, RequestRefusal::Method),
            Self::UpgradeMissing(_) => (StatusCode::UPGRADE_REQUIRED, RequestRefusal::UpgradeMissing),
            Self::TransportsOff => (StatusCode::NOT_FOUND, RequestRefusal::TransportsOff),
            Self::Unsent(unsent) => unsent_row(unsent),
            // 500 and not 503: what Soketi's probes know (protocol.md §3.9).
            Self::Draining => (StatusCode::INTERNAL_SERVER_ERROR, RequestRefusal::Draining),
            Self::Joining => (StatusCode::INTERNAL_SERVER_ERROR, RequestRefusal::Joining),
            Self::Full => (StatusCode::INTERNAL_SERVER_ERROR, RequestRefusal::Full),
            Self::CutOff => (StatusCode::INTERNAL_SERVER_ERROR, RequestRefusal::CutOff),
            Self::Silent => (StatusCode::INTERNAL_SERVER_ERROR, RequestRefusal::Silent),
            Self::AddressFull => (StatusCode::TOO_MANY_REQUESTS, RequestRefusal::AddressFull),
            Self::ConnectionsFull => (StatusCode::SERVICE_UNAVAILABLE, RequestRefusal::ConnectionsFull),
            Self::AppUnknown(_) => (StatusCode::NOT_FOUND, RequestRefusal::AppUnknown),
            Self::Body(invalid) => body_row(invalid),
            Self::Unauthenticated(_) => (StatusCode::UNAUTHORIZED, RequestRefusal::Unauthenticated),
            Self::AppDisabled => (StatusCode::FORBIDDEN, RequestRefusal::AppDisabled),
            Self::TooMany { rate: Rate::Events, .. } => (StatusCode::TOO_MANY_REQUESTS, RequestRefusal::EventRate),
            Self::TooMany { rate: Rate::Reads, .. } => (StatusCode::TOO_MANY_REQUESTS, RequestRefusal::ReadRate),
            Self::LimitReached { reached: Reached { wait: None, .. }, .. } => {
                (StatusCode::PAYLOAD_TOO_LARGE, RequestRefusal::LimitReached)
            }
            Self::LimitReached { .. } => (StatusCode::TOO_MANY_REQUESTS, RequestRefusal::LimitReached),
            Self::Event(invalid) if invalid.is_too_large() => {
                (StatusCode::PAYLOAD_TOO_LARGE, RequestRefusal::EventTooLarge)
            }
            Self::Event(_) => (StatusCode::BAD_REQUEST, RequestRefusal::EventInvalid),
            Self::KeyReused => (StatusCode::UNPROCESSABLE_ENTITY, RequestRefusal::KeyReused),
            Self::Channel(_) => (StatusCode::BAD_REQUEST, RequestRefusal::ChannelInvalid),
            Self::Patterns(_) => (StatusCode::BAD_REQUEST, RequestRefusal::PatternInvalid),
            Self::Revocation(_) => (StatusCode::BAD_REQUEST, RequestRefusal::RevocationInvalid),
            Self::NoTokens => (StatusCode::BAD_REQUEST, RequestRefusal::NoTokens),
            Self::NotPresence(_) => (StatusCode::BAD_REQUEST, RequestRefusal::NotPresence),
            Self::UserCountNeedsPresence(_) => (StatusCode::BAD_REQUEST, RequestRefusal::UserCountNeedsPresence),
            Self::NoHistory(_) => (StatusCode::BAD_REQUEST, RequestRefusal::NoHistory),
            Self::Query(_) => (StatusCode::BAD_REQUEST, RequestRefusal::QueryInvalid),
            Self::Unanswered(_) => (StatusCode::SERVICE_UNAVAILABLE, RequestRefusal::Unanswered),
            Self::Unpublished(Unpublished::TooLarge { .. }) => {
                (StatusCode::PAYLOAD_TOO_LARGE, RequestRefusal::EventTooLarge)
            }
            Self::Unpublished(
                Unpublished::RoomsFull { .. }
                | Unpublished::RoomsFullOfBytes { .. }
                | Unpublished::BusFull { .. }
                | Unpublished::BusFullOfBytes { .. },
            ) => (StatusCode::SERVICE_UNAVAILABLE, RequestRefusal::Overloaded),
        }
    }

    /// Scope request it was, as far as that was known when it was refused.
    pub fn sender(&self) -> Sender {
        match self {
            Self::PathUnknown
            | Self::MethodRefused(_)
            | Self::UpgradeMissing(_)
            | Self::TransportsOff
            | Self::Unsent(_)
            | Self::Draining
            | Self::Joining
            | Self::Full
            | Self::CutOff
            | Self::Silent
            | Self::AddressFull
            | Self::ConnectionsFull
            | Self::AppUnknown(_)
            | Self::Body(InvalidBody::TooLarge { .. } | InvalidBody::Broken | InvalidBody::TooSlow(_))
            | Self::Unauthenticated(_) => Sender::Anybody,
            Self::AppDisabled
            | Self::Body(InvalidBody::Compressed(_) | InvalidBody::NoSpace(_))
            | Self::TooMany { .. }
            | Self::LimitReached { .. }
            | Self::Event(_)
            | Self::KeyReused
            | Self::Channel(_)
            | Self::NotPresence(_)
            | Self::Patterns(_)
            | Self::Revocation(_)
            | Self::NoTokens
            | Self::UserCountNeedsPresence(_)
            | Self::NoHistory(_)
            | Self::Query(_)
            | Self::Unpublished(_)
            | Self::Unanswered(_) => Sender::App,
        }
    }

    /// The label in metrics and logs.
    pub fn reason(&self) -> &'static str {
        self.row().1.label()
    }

    /// The text for others than the one who asked: the parser of JSON may quote what was sent.
    pub fn without_quotes(&self) -> String {
        match self {
            Self::Event(InvalidEvent::Json(_)) | Self::Unsent(Unsent::Invalid(_)) => "invalid request body".to_owned(),
            error => error.to_string(),
        }
    }
}

fn too_many(rate: Rate, tokens: u32, per_second: u32) -> String {
    match rate {
        Rate::Events => format!(
            "too many events: this request counts {tokens}, one per channel, and the app's limit is {per_second} a \
             second (app setting events_per_second)"
        ),
        Rate::Reads => {
            format!("too many read requests: the app's limit is {per_second} a second (app setting reads_per_second)")
        }
    }
}

fn body_row(invalid: &InvalidBody) -> (StatusCode, RequestRefusal) {
    match invalid {
        InvalidBody::TooLarge { .. } => (StatusCode::PAYLOAD_TOO_LARGE, RequestRefusal::BodyTooLarge),
        InvalidBody::Compressed(_) => (StatusCode::UNSUPPORTED_MEDIA_TYPE, RequestRefusal::BodyCompressed),
        InvalidBody::NoSpace(_) => (StatusCode::SERVICE_UNAVAILABLE, RequestRefusal::Overloaded),
        InvalidBody::Broken => (StatusCode::BAD_REQUEST, RequestRefusal::BodyBroken),
        InvalidBody::TooSlow(_) => (StatusCode::REQUEST_TIMEOUT, RequestRefusal::BodyTooSlow),
    }
}

fn unsent_row(unsent: &Unsent) -> (StatusCode, RequestRefusal) {
    match unsent {
        Unsent::Invalid(_) => (StatusCode::BAD_REQUEST, RequestRefusal::SendInvalid),
        Unsent::Unknown => (StatusCode::NOT_FOUND, RequestRefusal::SessionUnknown),
        Unsent::TooLarge { .. } => (StatusCode::PAYLOAD_TOO_LARGE, RequestRefusal::SendTooLarge),
        Unsent::Held => (StatusCode::TOO_MANY_REQUESTS, RequestRefusal::SendHeld),
    }
}

impl From<Differs> for ApiError {
    fn from(_: Differs) -> Self {
        Self::KeyReused
    }
}

impl ResponseError for ApiError {
    fn status_code(&self) -> StatusCode {
        self.row().0
    }

    fn error_response(&self) -> HttpResponse {
        let status = self.status_code();
        let mut response = HttpResponse::build(status);
        if let Self::MethodRefused(allowed) = self {
            response.insert_header((header::ALLOW, *allowed));
        }
        if let Self::UpgradeMissing(_) = self {
            response.insert_header((header::UPGRADE, "websocket"));
        }
        if status == StatusCode::SERVICE_UNAVAILABLE || *self == Self::AddressFull {
            response.insert_header((header::RETRY_AFTER, 1));
        }
        if let Self::TooMany { tokens, per_second, wait, .. } = self {
            response
                .insert_header((header::RETRY_AFTER, wait.as_secs_f64().ceil() as u64))
                .insert_header(("X-RateLimit-Limit", *per_second))
                .insert_header(("X-RateLimit-Remaining", remaining(*tokens, *per_second, *wait)));
        }
        if let Self::LimitReached { reached: Reached { wait: Some(wait), .. }, .. } = self {
            response.insert_header((header::RETRY_AFTER, wait.as_secs_f64().ceil() as u64));
        }
        answer::json_with(response, &Refusal { error: self.to_string(), code: status.as_u16() })
    }
}

/// Why events of an app are not taken, of which the request counts so many.
pub(super) fn of_events(reached: Reached, tokens: usize) -> ApiError {
    match (reached.limit.setting == "events_per_second", reached.wait) {
        (true, Some(wait)) => {
            let tokens = u32::try_from(tokens).unwrap_or(u32::MAX);
            ApiError::TooMany { rate: Rate::Events, tokens, per_second: reached.limit.most, wait }
        }
        (true | false, _) => ApiError::LimitReached { reached, channel: None },
    }
}

fn of_channel(channel: Option<&str>) -> String {
    channel.map_or_else(String::new, |channel| format!("; the event is for channel {channel}"))
}

/// What a smaller request could still have taken: the bucket lacks as many tokens as refill during `wait`.
fn remaining(tokens: u32, per_second: u32, wait: Duration) -> u32 {
    let lacking = (wait.as_nanos() * u128::from(per_second)).div_ceil(1_000_000_000);
    u32::try_from(lacking).map_or(0, |lacking| tokens.saturating_sub(lacking))
}

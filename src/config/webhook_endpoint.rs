//! An app's webhook endpoint, as it is configured.

use crate::protocol::WebhookKind;

/// One webhook endpoint of an app (protocol.md §4.4).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct WebhookEndpoint {
    pub url: String,
    /// What to post; empty means everything.
    pub events: Vec<WebhookKind>,
    /// Extra request headers; they cannot replace `X-Pusher-*`.
    pub headers: Vec<(String, String)>,
    /// Only channels whose name starts so.
    pub channel_prefix: Option<String>,
    /// Only channels whose name ends so.
    pub channel_suffix: Option<String>,
    /// Whether events that happen within 50 ms share one post.
    pub batching: bool,
}

//! The credentials of an app. Pure.

use super::Secret;

/// One key and its secret. An app has two of them while keys are rotated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AppKey {
    /// Names the app in `/app/{key}` and in signatures.
    pub key: String,
    pub secret: Secret,
}

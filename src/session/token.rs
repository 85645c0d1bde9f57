//! Whether the token of a plain socket or stream lets it in, or lets it stay, and to what.

use std::time::Duration;

use super::{refusal::Refusal, services::Shared};
use crate::{
    app::App,
    event,
    issuer::Newer,
    protocol::Close,
    revocations::Bearer,
    tenant::{AccessToken, Grant, KeySet, Problem, TenantRequest, TokenError},
};

/// Why a token is not taken.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum TokenRefusal {
    Missing,
    Wrong(TokenError),
    OfOther,
    Revoked,
    /// The keys of its issuer cannot be had now.
    NoKeys,
}

/// Lets a client in by the token of its request.
pub(super) async fn check(request: &TenantRequest, app: &App, shared: &Shared) -> Result<Grant, TokenRefusal> {
    let token = request.token.as_ref().ok_or(TokenRefusal::Missing)?.expose();
    let token = verify(token, app, shared).await?;
    if !token.matches_query(&request.tenant, request.user.as_deref()) {
        return Err(TokenRefusal::OfOther);
    }
    Ok(Grant::by_token(token, &shared.tenant.channels))
}

/// Verifies a token. Only one whose key nobody knows yet has to wait, for newer keys of its issuer; while those cannot be
/// had, the client is told to come again.
pub(super) async fn verify(token: &str, app: &App, shared: &Shared) -> Result<AccessToken, TokenRefusal> {
    let issuer = &shared.issuer;
    let verify = |keys: &KeySet| issuer.rules().verify(token, &app.settings().keys, keys, now());
    let token = match verify(&issuer.keys()) {
        Err(TokenError::UnknownKey) => match issuer.newer().await {
            Newer::Keys(keys) => verify(&keys),
            Newer::NotNow => return Err(TokenRefusal::NoKeys),
            Newer::Never => Err(TokenError::UnknownKey),
        },
        verified => verified,
    };
    let token = token.map_err(TokenRefusal::Wrong)?;
    let bearer = Bearer::new(app.id(), &token.tenant_id, token.user_id.as_deref(), token.term.issued);
    if shared.revocations.concern(&bearer) { Err(TokenRefusal::Revoked) } else { Ok(token) }
}

impl TokenRefusal {
    /// How a client is refused. `last_event_id` is what a browser sends that has had the stream before: after any status
    /// but 200 it would give up for good, and the page would not hear why.
    pub(super) fn on_handshake(self, app: &App, last_event_id: Option<&str>) -> Refusal {
        self.count(app);
        match self {
            Self::Wrong(TokenError::Expired) if last_event_id.is_some() => Refusal::plain(Close::TokenExpired),
            Self::Missing => Refusal::tenant(Close::TenantRefused, "the socket has no access token"),
            Self::Wrong(error) => Refusal::tenant(Close::TenantRefused, error),
            Self::OfOther => Refusal::tenant(Close::TenantRefused, "the token is for another tenant or user"),
            Self::Revoked => Refusal::plain(Close::TokenRevoked),
            Self::NoKeys => Refusal::plain(Close::TenantCheckFailed),
        }
    }

    /// How it is told to an open socket, which stays.
    pub(super) fn on_socket(self, app: &App) -> Problem {
        self.count(app);
        match self {
            Self::Wrong(error) => Problem::TokenRefused(error.to_string()),
            Self::Missing | Self::OfOther => Problem::TokenOfOther,
            Self::Revoked => Problem::TokenRevoked,
            Self::NoKeys => Problem::NoKeys,
        }
    }

    fn count(&self, app: &App) {
        if *self != Self::NoKeys {
            app.counters.outcomes.auth_failures.count("tenant");
        }
    }
}

fn now() -> Duration {
    event::now().1
}

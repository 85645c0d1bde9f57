//! Whether the token of a plain socket or stream lets it in, and to what.

use std::time::Duration;

use super::{refusal::Refusal, services::Shared};
use crate::{
    app::App,
    event,
    issuer::Newer,
    protocol::Close,
    tenant::{AccessToken, Grant, KeySet, TenantRequest, TokenError},
};

/// Verifies the token. Only one whose key nobody knows yet has to wait, for newer keys of its issuer; while those cannot be
/// had, the client is told to come again.
pub(super) async fn check(request: &TenantRequest, app: &App, shared: &Shared) -> Result<Grant, Refusal> {
    let count = |refusal: TokenRefusal| match refusal {
        TokenRefusal::Token(error) => {
            app.counters.outcomes.auth_failures.count("tenant");
            Refusal::tenant(Close::TenantRefused, error)
        }
        TokenRefusal::NoKeys => Refusal::plain(Close::TenantCheckFailed),
    };
    let token = verified(request, app, shared).await.map_err(count)?;
    Ok(Grant::by_token(token, &shared.tenant.channels))
}

enum TokenRefusal {
    /// For good, and why.
    Token(String),
    /// For now.
    NoKeys,
}

impl<E: std::error::Error> From<E> for TokenRefusal {
    fn from(error: E) -> Self {
        Self::Token(error.to_string())
    }
}

async fn verified(request: &TenantRequest, app: &App, shared: &Shared) -> Result<AccessToken, TokenRefusal> {
    let missing = || TokenRefusal::Token("the socket has no access token".to_owned());
    let token = request.token.as_ref().ok_or_else(missing)?.expose();
    let issuer = &shared.issuer;
    let verify = |keys: &KeySet| issuer.rules().verify(token, &app.settings().keys, keys, now());
    let token = match verify(&issuer.keys()) {
        Err(TokenError::UnknownKey) => match issuer.newer().await {
            Newer::Keys(keys) => verify(&keys)?,
            Newer::NotNow => return Err(TokenRefusal::NoKeys),
            Newer::Never => return Err(TokenError::UnknownKey.into()),
        },
        verified => verified?,
    };
    if !token.matches_query(&request.tenant, request.user.as_deref()) {
        return Err(TokenRefusal::Token("the token is for another tenant or user".to_owned()));
    }
    Ok(token)
}

fn now() -> Duration {
    event::now().1
}

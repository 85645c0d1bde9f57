//! `POST /apps/{id}/tokens/revoke`: tokens of plain sockets and streams that hold no more (docs/tokens.md).

use std::time::Duration;

use actix_web::HttpResponse;
use serde::{Deserialize, Serialize};

use super::{
    answer,
    error::ApiError,
    signed::{Ask, Signed, Verified},
};
use crate::{config::TenantAccess, revocations::Holder, tenant::TenantId};

/// How far the clock of who asks may be ahead of ours.
const LEEWAY: u64 = 60;

/// The most characters of a user id (protocol.md §1.9).
const MAX_USER_ID_LENGTH: usize = 128;

/// Tokens of a tenant, or of one of its users, that were issued before an instant.
#[derive(Debug, PartialEq, Eq)]
pub struct TokenRevocation {
    tenant: TenantId,
    user: Option<String>,
    issued_before: u64,
}

#[derive(Serialize)]
struct Revoked {
    issued_before: u64,
}

impl Ask for TokenRevocation {
    fn parse(verified: &Verified<'_>) -> Result<Self, ApiError> {
        parse(verified.body, verified.arrival.1).map_err(ApiError::Revocation)
    }
}

/// `now` is the time since the Unix epoch.
fn parse(body: &[u8], now: Duration) -> Result<TokenRevocation, String> {
    /// An id as tokens have it: a text, or a whole number.
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Id {
        Text(String),
        Number(i64),
    }
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Body {
        tenant: Id,
        user: Option<Id>,
        issued_before: Option<u64>,
    }
    let text = |id| match id {
        Id::Text(text) => text,
        Id::Number(number) => number.to_string(),
    };
    let Body { tenant, user, issued_before } = serde_json::from_slice(body).map_err(|error| error.to_string())?;
    let tenant = TenantId::parse(&text(tenant)).map_err(|invalid| invalid.to_string())?;
    let user = user.map(text);
    if user.as_ref().is_some_and(|user| !(1..=MAX_USER_ID_LENGTH).contains(&user.chars().count())) {
        return Err(format!("user must have 1 to {MAX_USER_ID_LENGTH} characters"));
    }
    // Tokens have whole seconds: those of the second that is not over yet are among them.
    let issued_before = issued_before.unwrap_or(now.as_secs() + 1);
    if issued_before > now.as_secs() + LEEWAY {
        return Err(format!("issued_before is in the future; now is {}", now.as_secs()));
    }
    Ok(TokenRevocation { tenant, user, issued_before })
}

/// Refuses such tokens from now on, and closes the sockets that came with one, on all nodes.
pub async fn revoke(signed: Signed<TokenRevocation>) -> Result<HttpResponse, ApiError> {
    let Signed { api, app, ask: TokenRevocation { tenant, user, issued_before }, .. } = signed;
    let serves = api.registry.chosen(api.tenant.app.as_deref()).is_some_and(|chosen| chosen.id() == app.id());
    if !serves || api.tenant.access != TenantAccess::Token {
        let error = ApiError::NoTokens;
        api.count(&error, Some(&app));
        return Err(error);
    }
    let holder = match user {
        Some(user) => Holder::of_user(app.id(), &tenant, &user),
        None => Holder::of_tenant(app.id(), &tenant),
    };
    api.revocations.revoke(holder, issued_before).await;
    Ok(answer::json(&Revoked { issued_before }))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Duration = Duration::from_millis(1_700_000_000_400);

    fn check(body: &str, expected: Result<(&str, Option<&str>, u64), &str>) {
        let found = parse(body.as_bytes(), NOW);
        let found = found.as_ref().map(|it| (it.tenant.as_str(), it.user.as_deref(), it.issued_before));
        assert_eq!(found.map_err(String::as_str), expected, "{body}");
    }

    #[test]
    fn ids_are_those_of_tokens_and_the_instant_is_now_unless_it_is_said() {
        check(r#"{"tenant":"7"}"#, Ok(("7", None, 1_700_000_001)));
        check(r#"{"tenant":7,"user":42,"issued_before":5}"#, Ok(("7", Some("42"), 5)));
        check(r#"{"tenant":"7","user":"ada","issued_before":1700000060}"#, Ok(("7", Some("ada"), 1_700_000_060)));
    }

    #[test]
    fn what_would_revoke_something_else_is_refused() {
        check(r#"{"tenant":"7.8"}"#, Err("the tenant id contains '.'; allowed are letters, digits and _ - = @ , ;"));
        check(r#"{"tenant":"7","user":""}"#, Err("user must have 1 to 128 characters"));
        let future = "issued_before is in the future; now is 1700000000";
        check(r#"{"tenant":"7","issued_before":1700000061}"#, Err(future));
        for body in ["", "{}", r#"{"tenant":"7","users":["ada"]}"#, r#"{"tenant":"7","issued_before":-1}"#] {
            assert!(parse(body.as_bytes(), NOW).is_err(), "{body}");
        }
    }
}

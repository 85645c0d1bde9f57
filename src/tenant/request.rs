//! Who asks for a tenant socket: the upgrade's query and headers. Pure.
//!
//! A token is taken from the first of: the query's `token`; `Authorization: Bearer <token>`; the offered sub-protocols
//! `bearer, <token>` (in a browser `new WebSocket(url, ["bearer", token])`). Of that offer the server selects `bearer`:
//! the token is not sent back, and what was not offered is never selected.

use percent_encoding::percent_decode_str;

use super::{InvalidTenantId, TenantId};
use crate::protocol::{InvalidResumeId, ResumeId, Secret};

/// The sub-protocol that announces a token as the next one.
const BEARER: &str = "bearer";

/// The most characters of a user id (protocol.md §1.9).
const MAX_USER_ID_LENGTH: usize = 128;

/// A request for a tenant socket, not yet admitted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TenantRequest {
    /// `tenant_id`
    pub tenant: TenantId,
    /// `user_id`, unless it is empty: a label until a token or the application vouches for it.
    pub user: Option<String>,
    /// The access token, masked in logs.
    pub token: Option<Secret>,
    /// `resume`: what the page names itself by, if it does.
    pub resume: Option<ResumeId>,
    /// The offered sub-protocol to name in the answer.
    pub protocol: Option<&'static str>,
}

/// Why a request cannot be admitted, whatever token it has.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidRequest {
    #[error("the address has no parameter tenant_id")]
    TenantMissing,
    #[error(transparent)]
    Tenant(InvalidTenantId),
    #[error("the user id has {0} characters, the limit is {MAX_USER_ID_LENGTH}")]
    UserTooLong(usize),
    #[error(transparent)]
    Resume(InvalidResumeId),
}

impl TenantRequest {
    /// Reads the raw query, the `Authorization` header and the `Sec-WebSocket-Protocol` header (several such headers
    /// joined with commas). Of a repeated parameter the first counts.
    pub fn parse(query: &str, authorization: Option<&str>, protocols: Option<&str>) -> Result<Self, InvalidRequest> {
        let tenant = parameter(query, "tenant_id").ok_or(InvalidRequest::TenantMissing)?;
        let tenant = TenantId::parse(&tenant).map_err(InvalidRequest::Tenant)?;
        let user = parameter(query, "user_id").filter(|user| !user.is_empty());
        let length = user.as_ref().map_or(0, |user| user.chars().count());
        if length > MAX_USER_ID_LENGTH {
            return Err(InvalidRequest::UserTooLong(length));
        }
        let resume = parameter(query, "resume").map(|id| ResumeId::parse(&id)).transpose();
        let resume = resume.map_err(InvalidRequest::Resume)?;
        let offered = protocols.and_then(offered_token);
        let token = parameter(query, "token")
            .filter(|token| !token.is_empty())
            .or_else(|| authorization.and_then(bearer).map(str::to_owned))
            .or_else(|| offered.map(str::to_owned));
        Ok(Self { tenant, user, token: token.map(Secret::new), resume, protocol: offered.map(|_| BEARER) })
    }
}

fn parameter(query: &str, name: &str) -> Option<String> {
    parameters(query, name).next()
}

/// The decoded values of a query parameter, as HTML forms encode them.
pub(super) fn parameters<'a>(query: &'a str, name: &'a str) -> impl Iterator<Item = String> + use<'a> {
    query.split('&').filter_map(move |pair| {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        (decoded(key) == name).then(|| decoded(value))
    })
}

fn decoded(text: &str) -> String {
    percent_decode_str(&text.replace('+', " ")).decode_utf8_lossy().into_owned()
}

/// The token of `Bearer <token>`; the scheme's case does not matter (RFC 9110 §11.1).
fn bearer(authorization: &str) -> Option<&str> {
    let (scheme, token) = authorization.trim().split_once(' ')?;
    scheme.eq_ignore_ascii_case(BEARER).then(|| token.trim())
}

/// The sub-protocol that follows `bearer`.
fn offered_token(protocols: &str) -> Option<&str> {
    let mut offered = protocols.split(',').map(str::trim);
    offered.find(|protocol| *protocol == BEARER)?;
    offered.next().filter(|token| !token.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(query: &str) -> Result<(String, Option<String>), InvalidRequest> {
        let request = TenantRequest::parse(query, None, None)?;
        Ok((request.tenant.to_string(), request.user))
    }

    #[test]
    fn the_ids_come_from_the_query() {
        let found = |tenant: &str, user: Option<&str>| Ok((tenant.to_owned(), user.map(str::to_owned)));
        assert_eq!(parse("tenant_id=7&user_id=42"), found("7", Some("42")));
        assert_eq!(parse("x&user_id=&tenant_id=7&tenant_id=8"), found("7", None));
        assert_eq!(parse("tenant%5Fid=a%40b%2Cc=d&user_id=Ada+L%C3%A9"), found("a@b,c=d", Some("Ada Lé")));
    }

    #[test]
    fn impossible_ids_are_refused() {
        let long = format!("tenant_id=7&user_id={}", "x".repeat(129));
        for (query, problem) in [
            ("", InvalidRequest::TenantMissing),
            ("user_id=42", InvalidRequest::TenantMissing),
            ("tenant_id", InvalidRequest::Tenant(InvalidTenantId::Empty)),
            ("tenant_id=a.b", InvalidRequest::Tenant(InvalidTenantId::Character('.'))),
            ("tenant_id=%ff", InvalidRequest::Tenant(InvalidTenantId::Character('\u{fffd}'))),
            (&long, InvalidRequest::UserTooLong(129)),
            ("tenant_id=7&resume=", InvalidRequest::Resume(InvalidResumeId::Length(0))),
            ("tenant_id=7&resume=a%2Fbcdefghijklmnop", InvalidRequest::Resume(InvalidResumeId::Characters)),
        ] {
            assert_eq!(parse(query), Err(problem), "{query}");
        }
    }

    fn check(query: &str, authorization: Option<&str>, protocols: Option<&str>, token: Option<&str>) {
        let request = TenantRequest::parse(query, authorization, protocols).unwrap();
        assert_eq!(request.token, token.map(Secret::new), "{query} {authorization:?} {protocols:?}");
    }

    #[test]
    fn the_token_comes_from_the_query_the_header_or_the_sub_protocols_in_this_order() {
        check("tenant_id=7&token=q", Some("Bearer h"), Some("bearer, p"), Some("q"));
        check("tenant_id=7&token=", Some("Bearer h"), Some("bearer, p"), Some("h"));
        check("tenant_id=7", Some("bearer  h "), None, Some("h"));
        check("tenant_id=7", Some("Basic h"), Some("bearer, p"), Some("p"));
        check("tenant_id=7", None, Some("chat,bearer,p,x"), Some("p"));
        check("tenant_id=7", None, None, None);
        check("tenant_id=7", Some("Bearer"), Some("bearer"), None);
        check("tenant_id=7", None, Some("chat, superchat"), None);
    }

    #[test]
    fn only_an_offer_with_a_token_selects_a_sub_protocol() {
        let selected = |protocols| TenantRequest::parse("tenant_id=7&token=q", None, protocols).unwrap().protocol;
        assert_eq!(selected(Some("bearer, p")), Some("bearer"));
        assert_eq!(selected(Some("bearer")), None);
        assert_eq!(selected(Some("chat")), None);
        assert_eq!(selected(None), None);
    }

    #[test]
    fn the_token_is_not_printed() {
        let request = TenantRequest::parse("tenant_id=7&token=sensitive", None, None).unwrap();
        assert!(!format!("{request:?}").contains("sensitive"));
    }
}

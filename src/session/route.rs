//! What the path of a handshake asks for, and what is answered where it asks for nothing. Pure.

use percent_encoding::percent_decode_str;

use super::origin;
use crate::{
    protocol::{Close, InvalidResumeId, ResumeId},
    tenant::{InvalidRequest, TenantRequest},
};

/// What a path asks for.
pub(super) enum Route<'a> {
    /// `/app/{key}`, or `/app/{key}/{id}` of a page that names itself by a resume id.
    App(&'a str, Option<Result<ResumeId, InvalidResumeId>>),
    /// `/ws`, and who asks there.
    Tenant(Result<TenantRequest, InvalidRequest>),
    Nowhere,
}

impl<'a> Route<'a> {
    /// `tenant` reads who asks, where tenants are served.
    pub(super) fn of(
        path: &'a str,
        prefix: &str,
        tenant: impl FnOnce() -> Result<TenantRequest, InvalidRequest>,
    ) -> Self {
        match path.strip_prefix(prefix) {
            Some("/ws") => Self::Tenant(tenant()),
            Some(path) => Self::of_socket(path),
            None => Self::Nowhere,
        }
    }

    /// The same for a path without prefix, where no tenants are served.
    pub(super) fn of_socket(path: &'a str) -> Self {
        match path.strip_prefix("/app/") {
            Some(rest) if !rest.is_empty() && !rest.starts_with('/') => match rest.split_once('/') {
                Some((key, id)) => Self::App(key, Some(ResumeId::parse(id))),
                None => Self::App(rest, None),
            },
            _ => Self::Nowhere,
        }
    }
}

/// The key itself is not told: it may be a secret in the wrong place.
pub(super) fn unknown_key(key: &str) -> String {
    let characters = percent_decode_str(key).decode_utf8_lossy().chars().count();
    format!("{}; its key has {characters} characters", Close::AppUnknown.text())
}

/// What came and what is served. What stands where a key or a resume id stands is not told, for the same reason.
pub(super) fn unknown_path(path: &str, prefix: &str) -> String {
    let without_key = match path.split_once("/app/") {
        Some((before, key)) if !key.is_empty() => {
            let after = if key.contains('/') { "/{id}" } else { "" };
            format!("{before}/app/{{key}}{after}")
        }
        _ => path.to_owned(),
    };
    let set = if prefix.is_empty() { "not set".to_owned() } else { prefix.to_owned() };
    format!(
        "Path not found: it is {}, and sockets are served at {prefix}/app/{{key}} and {prefix}/ws (GAUNG_PATH_PREFIX is {set})",
        origin::for_log(Some(&without_key))
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(path: &str, prefix: &str, told: &str) {
        assert_eq!(unknown_path(path, prefix), told);
    }

    #[test]
    fn a_path_is_told_without_what_stands_for_a_key() {
        check(
            "/app/s3cret",
            "/rt",
            "Path not found: it is /app/{key}, and sockets are served at /rt/app/{key} and /rt/ws (GAUNG_PATH_PREFIX is /rt)",
        );
        check(
            "/x/app/s3cret/more",
            "",
            "Path not found: it is /x/app/{key}/{id}, and sockets are served at /app/{key} and /ws (GAUNG_PATH_PREFIX is not \
             set)",
        );
        check(
            "/app/",
            "",
            "Path not found: it is /app/, and sockets are served at /app/{key} and /ws (GAUNG_PATH_PREFIX is not set)",
        );
        assert!(unknown_path(&"/x".repeat(1_000), "").chars().count() < 250);
    }
}

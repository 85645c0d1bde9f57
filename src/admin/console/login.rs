//! How a browser that knows the token comes to its cookie, and learns whether it needs one.

use actix_web::{
    HttpRequest, HttpResponse,
    http::{StatusCode, header},
    web::{Data, Payload},
};
use serde::Deserialize;
use serde_json::json;

use super::access::{self, COOKIE, Denied};
use crate::admin::{answer::refusal, shown::Admin};

/// The largest body that a login may have, in bytes.
const MAX_BYTES: usize = 4_096;

#[derive(Deserialize)]
struct Login {
    token: String,
}

/// Whether the browser may open the live socket.
pub(in crate::admin) async fn access(admin: Data<Admin>, request: HttpRequest) -> HttpResponse {
    match check(&admin, &request) {
        Ok(()) => HttpResponse::NoContent().finish(),
        Err(denied) => refuse(denied),
    }
}

/// Gives a cookie for the token.
pub(in crate::admin) async fn session(admin: Data<Admin>, body: Payload) -> HttpResponse {
    let Ok(Ok(body)) = body.to_bytes_limited(MAX_BYTES).await else {
        return refusal(StatusCode::BAD_REQUEST, &format!("the login body is longer than {MAX_BYTES} bytes"));
    };
    // What the parser says may quote the token.
    let Ok(login) = serde_json::from_slice::<Login>(&body) else {
        return refusal(StatusCode::BAD_REQUEST, r#"a login is JSON: {"token": "…"}"#);
    };
    match cookie_for(&admin, &login.token) {
        Some(cookie) => HttpResponse::NoContent().insert_header((header::SET_COOKIE, cookie)).finish(),
        None if admin.console.token.is_none() => {
            refusal(StatusCode::UNAUTHORIZED, "this node has no token (GAUNG_ADMIN_TOKEN)")
        }
        None => refusal(StatusCode::UNAUTHORIZED, "that is not the token (GAUNG_ADMIN_TOKEN)"),
    }
}

/// Checks a client that wants more than the page.
pub(in crate::admin) fn check(admin: &Admin, request: &HttpRequest) -> Result<(), Denied> {
    let peer = request.peer_addr().map(|peer| peer.ip());
    access::check(admin.console.token.as_ref(), peer, request.headers())
}

/// The answer to those who may not.
pub(in crate::admin) fn refuse(denied: Denied) -> HttpResponse {
    HttpResponse::build(denied.status()).json(json!({ "error": denied.text(), "login": denied.wants_login() }))
}

/// The `Set-Cookie` for a browser that says this token, if it is right.
pub(super) fn cookie_for(admin: &Admin, presented: &str) -> Option<String> {
    let token = admin.console.token.as_ref().filter(|token| access::is_right(token, presented))?;
    // Without `Secure`: the admin port is plain HTTP.
    Some(format!("{COOKIE}={}; HttpOnly; SameSite=Strict; Path=/", access::cookie(token)))
}

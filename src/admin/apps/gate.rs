//! Who may read the apps, and who may change them. Reading asks for what the console asks for. A change needs the token, set
//! and shown, and must not be another page's, which a browser may have been led to.

use actix_web::{HttpRequest, http::StatusCode};

use super::rejection::Rejection;
use crate::admin::{console, shown::Admin};

const NO_TOKEN: &str = "the apps are changed by who knows the token of the admin port, and this node has none; set \
                        GAUNG_ADMIN_TOKEN";

const OTHER_PAGE: &str = "the apps are changed by the console's own page, not by another one";

pub(super) fn may_read(admin: &Admin, request: &HttpRequest) -> Result<(), Rejection> {
    console::check(admin, request).map_err(Rejection::Denied)
}

pub(super) fn may_change(admin: &Admin, request: &HttpRequest) -> Result<(), Rejection> {
    if admin.console.token.is_none() {
        return Err(Rejection::new(StatusCode::FORBIDDEN, NO_TOKEN));
    }
    may_read(admin, request)?;
    if console::is_same_origin(request) { Ok(()) } else { Err(Rejection::new(StatusCode::FORBIDDEN, OTHER_PAGE)) }
}

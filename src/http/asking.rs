//! Requests that are answered by a session, as admission sees them.

use std::rc::Rc;

use actix_web::{HttpMessage, HttpRequest};

use crate::{connection::Connection, session::admission::Asking};

/// The connection of HTTP/2 on which other requests may be under way.
pub(super) fn shared_connection(request: &HttpRequest) -> Option<Rc<Connection>> {
    request.extensions().get::<Rc<Connection>>().cloned()
}

/// A request, and its [`shared_connection`] where it has one.
pub(super) fn asking<'a>(request: &'a HttpRequest, shared: Option<&'a Rc<Connection>>) -> Asking<'a> {
    Asking {
        connection: shared.or_else(|| request.conn_data()),
        is_shared: shared.is_some(),
        peer: request.peer_addr(),
        uri: request.uri(),
        headers: request.headers(),
    }
}

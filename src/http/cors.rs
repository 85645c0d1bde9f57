//! Which pages of other origins may read the API's answers (`GAUNG_CORS_ORIGINS`). Browsers ask; nobody else looks.

use actix_web::{
    HttpResponse,
    dev::ServiceRequest,
    http::{
        Method,
        header::{self, HeaderMap, HeaderValue},
    },
};

use crate::session::origin;

/// For how long a browser need not ask again, in seconds.
const MAX_AGE: u32 = 7_200;

/// What the API takes.
const METHODS: &str = "GET, POST";

/// What of an answer pages may read besides its body.
const EXPOSED: &str = "Retry-After, X-RateLimit-Limit, X-RateLimit-Remaining";

/// A page that may read the answer.
#[derive(Debug, PartialEq, Eq)]
pub struct Grant {
    /// `*`, or the page's own origin.
    origin: HeaderValue,
}

impl Grant {
    /// If the page that sends these headers is of one of the origins, which are host patterns.
    pub fn of(headers: &HeaderMap, origins: &[String]) -> Option<Self> {
        if origins.is_empty() {
            return None;
        }
        let asking = headers.get(header::ORIGIN)?;
        if origins.iter().any(|pattern| pattern == "*") {
            return Some(Self { origin: HeaderValue::from_static("*") });
        }
        origin::is_allowed(asking.to_str().ok(), origins).then(|| Self { origin: asking.clone() })
    }

    /// The answer to a browser that asks before it sends a request; `None` if this is a request.
    pub fn preflight(&self, request: &ServiceRequest) -> Option<HttpResponse> {
        let headers = request.headers();
        if request.method() != Method::OPTIONS || !headers.contains_key(header::ACCESS_CONTROL_REQUEST_METHOD) {
            return None;
        }
        let mut response = HttpResponse::NoContent();
        response
            .insert_header((header::ACCESS_CONTROL_ALLOW_METHODS, METHODS))
            .insert_header((header::ACCESS_CONTROL_MAX_AGE, MAX_AGE));
        // Whatever headers the page wants to send: a request is judged by its signature.
        if let Some(wanted) = headers.get(header::ACCESS_CONTROL_REQUEST_HEADERS) {
            response.insert_header((header::ACCESS_CONTROL_ALLOW_HEADERS, wanted.clone()));
        }
        Some(response.finish())
    }

    /// Lets the page read an answer, unless that says itself who may.
    pub fn sign(self, headers: &mut HeaderMap) {
        if headers.contains_key(header::ACCESS_CONTROL_ALLOW_ORIGIN) {
            return;
        }
        if self.origin != "*" {
            headers.append(header::VARY, HeaderValue::from_static("Origin"));
        }
        headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static(EXPOSED));
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, self.origin);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(origins: &[&str], asking: Option<&str>, expected: Option<&str>) {
        let mut headers = HeaderMap::new();
        if let Some(asking) = asking {
            headers.insert(header::ORIGIN, HeaderValue::from_str(asking).unwrap());
        }
        let origins: Vec<_> = origins.iter().map(|origin| (*origin).to_owned()).collect();
        let grant = Grant::of(&headers, &origins).map(|grant| grant.origin.to_str().unwrap().to_owned());
        assert_eq!(grant.as_deref(), expected, "{origins:?} {asking:?}");
    }

    #[test]
    fn a_page_of_a_host_that_is_set_may_read_answers_and_no_other() {
        check(&[], Some("https://a.example.com"), None);
        check(&["*.example.com"], Some("https://a.example.com"), Some("https://a.example.com"));
        check(&["*.example.com"], Some("https://example.net"), None);
        check(&["*.example.com"], Some("null"), None);
        check(&["*.example.com"], None, None);
        check(&["*"], Some("https://example.net"), Some("*"));
        check(&["*"], None, None);
    }
}

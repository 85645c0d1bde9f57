//! What a request to change an app says, or the answer to one that says it wrongly. No answer quotes a body: there are
//! secrets in it.

use actix_web::{
    HttpRequest,
    http::{
        StatusCode,
        header::{self, HeaderName},
    },
    web::Payload,
};
use serde::Deserialize;
use serde_json::{Map, Value};

use super::rejection::Rejection;
use crate::app_store::{Change, Expected, Oldest, Place};

/// The largest body, in bytes.
const MAX_BYTES: usize = 262_144;

/// What stands in a body.
pub(super) struct Body(Vec<u8>);

#[derive(Deserialize)]
#[serde(default, deny_unknown_fields)]
#[derive(Default)]
struct Rotation {
    place: Place,
    drop_oldest: bool,
}

impl Body {
    /// No page of another site can send this type without asking first, which is never granted.
    pub(super) async fn read(request: &HttpRequest, body: Payload) -> Result<Self, Rejection> {
        let kind = request.headers().get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
        let kind = kind.split(';').next().unwrap_or_default().trim();
        if !["application/json", "application/merge-patch+json"].iter().any(|known| kind.eq_ignore_ascii_case(known)) {
            let text = "the body must be JSON, with Content-Type: application/json";
            return Err(Rejection::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, text));
        }
        match body.to_bytes_limited(MAX_BYTES).await {
            Ok(Ok(bytes)) => Ok(Self(bytes.to_vec())),
            Ok(Err(error)) => Err(Rejection::new(StatusCode::BAD_REQUEST, error.to_string())),
            Err(_) => Err(Rejection::new(
                StatusCode::PAYLOAD_TOO_LARGE,
                format!("the body is longer than {MAX_BYTES} bytes, the limit of this path"),
            )),
        }
    }

    /// The members of an app.
    pub(super) fn object(&self) -> Result<Map<String, Value>, Rejection> {
        serde_json::from_slice(&self.0).map_err(|error| {
            let place = format!("at line {} column {}", error.line(), error.column());
            bad(&format!("the body must be a JSON object, as of the apps file ({place})"))
        })
    }

    /// Where a new pair is put, and whether the oldest goes; an empty body is the usual rotation.
    pub(super) fn rotation(&self) -> Result<Change, Rejection> {
        const FORM: &str = r#"the body must be {"place": "first" or "last", "drop_oldest": true or false}"#;
        let rotation: Rotation = match self.0.as_slice() {
            [] => Rotation::default(),
            text => serde_json::from_slice(text).map_err(|_| bad(FORM))?,
        };
        let oldest = if rotation.drop_oldest { Oldest::Goes } else { Oldest::Stays };
        Ok(Change::Rotate { place: rotation.place, oldest })
    }
}

/// What the app must be: RFC 9110 §13.1, and 428 (RFC 6585 §3) for who does not say.
pub(super) fn expected(request: &HttpRequest) -> Result<Expected, Rejection> {
    let text = |name: HeaderName| request.headers().get(name).and_then(|value| value.to_str().ok()).map(str::trim);
    match (text(header::IF_MATCH), text(header::IF_NONE_MATCH)) {
        (Some("*"), None) => Ok(Expected::Present),
        (Some(tag), None) => match tag.strip_prefix('"').and_then(|tag| tag.strip_suffix('"')) {
            Some(revision) => Ok(Expected::Revision(revision.to_owned())),
            None => Err(bad("If-Match must be one ETag in quotation marks, as the app was read with, or *")),
        },
        (None, Some("*")) => Ok(Expected::Absent),
        (None, Some(_)) => Err(bad("If-None-Match must be *: the app is new")),
        (Some(_), Some(_)) => Err(bad("If-Match and If-None-Match exclude one another")),
        (None, None) => Err(Rejection::new(
            StatusCode::PRECONDITION_REQUIRED,
            "say what the app must be: If-Match with its ETag, or * for whatever it is; If-None-Match: * for a new one",
        )),
    }
}

fn bad(text: &str) -> Rejection {
    Rejection::new(StatusCode::BAD_REQUEST, text)
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    fn check(headers: &[(&str, &str)], expected_app: Result<Expected, u16>) {
        let request = headers.iter().fold(TestRequest::default(), |request, header| request.insert_header(*header));
        let found = expected(&request.to_http_request()).map_err(|rejection| rejection.answer().status().as_u16());
        assert_eq!(found, expected_app, "{headers:?}");
    }

    #[test]
    fn a_request_says_what_the_app_must_be() {
        check(&[("if-match", "\"7\"")], Ok(Expected::Revision("7".to_owned())));
        check(&[("if-match", "*")], Ok(Expected::Present));
        check(&[("if-none-match", "*")], Ok(Expected::Absent));
        check(&[("if-match", "7")], Err(400));
        check(&[("if-none-match", "\"7\"")], Err(400));
        check(&[("if-match", "*"), ("if-none-match", "*")], Err(400));
        check(&[], Err(428));
    }

    #[test]
    fn a_rotation_needs_no_body_and_knows_no_other_member() {
        let rotation =
            |text: &str| Body(text.into()).rotation().map_err(|rejection| rejection.answer().status().as_u16());
        for (text, expected_place, expected_oldest) in [
            ("", Place::First, Oldest::Stays),
            ("{}", Place::First, Oldest::Stays),
            (r#"{"place":"last","drop_oldest":true}"#, Place::Last, Oldest::Goes),
        ] {
            let Ok(Change::Rotate { place, oldest }) = rotation(text) else { panic!("{text}") };
            assert_eq!((place, oldest), (expected_place, expected_oldest), "{text}");
        }
        for text in [r#"{"place":"middle"}"#, r#"{"secret":"s"}"#, "["] {
            assert_eq!(rotation(text).err(), Some(400), "{text}");
        }
    }
}

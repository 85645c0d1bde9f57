//! How answers look: JSON without a charset, because SDKs compare the whole `Content-Type`.

use actix_web::{
    HttpResponse, HttpResponseBuilder,
    body::MessageBody,
    http::header::{CONTENT_TYPE, HeaderValue},
    web::Bytes,
};
use serde::Serialize;

/// 200 with `{}`: the answer to whatever succeeded and has nothing to tell.
pub fn empty() -> HttpResponse {
    HttpResponse::Ok().insert_header(json_type()).body("{}")
}

/// 200 with `value`.
pub fn json(value: &impl Serialize) -> HttpResponse {
    json_with(HttpResponse::Ok(), value)
}

/// 200 with JSON that is written already.
pub fn text(json: impl MessageBody + 'static) -> HttpResponse {
    HttpResponse::Ok().insert_header(json_type()).body(json)
}

/// `value` as the text of an answer.
pub fn text_of(value: &impl Serialize) -> Bytes {
    serde_json::to_vec(value).expect("answers are maps with string keys, lists and numbers").into()
}

/// `value` with the status and headers that `response` has already.
pub fn json_with(mut response: HttpResponseBuilder, value: &impl Serialize) -> HttpResponse {
    let text = serde_json::to_string(value).expect("answers are maps with string keys, lists and numbers");
    response.insert_header(json_type()).body(text)
}

/// The bytes of an answer for a connection that ends with it.
pub fn closing_bytes(answer: HttpResponse) -> Vec<u8> {
    let (head, body) = answer.into_parts();
    let body = body.try_into_bytes().unwrap_or_default();
    let mut bytes = format!("HTTP/1.1 {}\r\n", head.status()).into_bytes();
    for (name, value) in head.headers() {
        bytes.extend([name.as_str().as_bytes(), b": ", value.as_bytes(), b"\r\n"].concat());
    }
    bytes.extend(format!("content-length: {}\r\nconnection: close\r\n\r\n", body.len()).into_bytes());
    bytes.extend(body);
    bytes
}

fn json_type() -> (actix_web::http::header::HeaderName, HeaderValue) {
    (CONTENT_TYPE, HeaderValue::from_static("application/json"))
}

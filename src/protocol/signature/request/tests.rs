//! Requests as the SDKs sign them, and as nobody should.

use super::*;
use crate::protocol::{Secret, signature::hex_hmac::tests::vector_key};

const NOW: Duration = Duration::from_secs(1_700_000_000);
const WINDOW: Duration = Duration::from_secs(600);

const EVENTS: &str = "/apps/app-id/events";
const CHANNELS: &str = "/apps/app-id/channels";
const BODY: &[u8] = br#"{"name":"order.shipped","channels":["orders"],"data":"{\"id\":7}"}"#;

const POST_QUERY: &str = "auth_key=app-key&auth_timestamp=1700000000&auth_version=1.0\
    &body_md5=803d8dd518c3eb3a0fda385852592101\
    &auth_signature=f704d0561ba4df2c361f8cfdf3c7877e0e40ee45bb2895a2bd88ff75640468da";
const GET_QUERY: &str = "auth_key=app-key&auth_timestamp=1700000000&auth_version=1.0\
    &filter_by_prefix=presence-&info=user_count\
    &auth_signature=fd5a1b38d92aee2b7913a8cf43136cffab888ee5a097536910d6239f08eb68a2";

fn post(query: &str) -> Result<(), RequestAuthError> {
    verify("POST", &[EVENTS], query, BODY)
}

fn get(query: &str) -> Result<(), RequestAuthError> {
    verify("GET", &[CHANNELS], query, b"")
}

fn verify(method: &str, paths: &[&str], query: &str, body: &[u8]) -> Result<(), RequestAuthError> {
    verify_request(&[vector_key()], &SignedRequest { method, paths, query }, NOW, WINDOW)?.verify(body)
}

/// The query `signed`, with a true signature over the text that the client signed.
fn query_signed_over(query: &str, text: &str) -> String {
    format!("{query}&auth_signature={}", hex_hmac(&vector_key().secret, text.as_bytes()))
}

const AUTH: &str = "auth_key=app-key&auth_timestamp=1700000000&auth_version=1.0";

#[test]
fn the_vectors_are_verified() {
    assert_eq!(post(POST_QUERY), Ok(()));
    assert_eq!(get(GET_QUERY), Ok(()));
}

#[test]
fn the_python_get_with_the_md5_of_an_empty_body_is_verified() {
    let query = "auth_key=app-key&auth_timestamp=1700000000&auth_version=1.0\
        &body_md5=d41d8cd98f00b204e9800998ecf8427e&info=subscription_count\
        &auth_signature=5f459d60fbd82802d3420f8e6a6010ed0d9adef497a7fe8e0af844f49d63ecc9";
    assert_eq!(verify("GET", &["/apps/app-id/channels/orders"], query, b""), Ok(()));
}

#[test]
fn the_vectors_are_signed() {
    assert_eq!(sign_request(&vector_key(), "POST", EVENTS, &[], BODY, NOW), POST_QUERY);
    let params = [("filter_by_prefix", "presence-"), ("info", "user_count")];
    assert_eq!(
        sign_request(&vector_key(), "GET", CHANNELS, &params, b"", NOW),
        "filter_by_prefix=presence-&info=user_count&auth_key=app-key&auth_timestamp=1700000000&auth_version=1.0\
        &auth_signature=fd5a1b38d92aee2b7913a8cf43136cffab888ee5a097536910d6239f08eb68a2"
    );
}

#[test]
fn the_order_of_the_parameters_and_the_case_of_their_keys_do_not_matter() {
    let (auth, signature) = GET_QUERY.rsplit_once('&').unwrap();
    let mut reversed: Vec<&str> = auth.split('&').rev().collect();
    reversed.insert(0, signature);
    assert_eq!(get(&reversed.join("&")), Ok(()));
    assert_eq!(get(&GET_QUERY.replace("info=", "INFO=").replace("auth_key=", "Auth_Key=")), Ok(()));
}

#[test]
fn encoded_and_unencoded_values_are_the_same_to_the_signature() {
    let text = format!("GET\n{CHANNELS}\n{AUTH}&info=user_count,subscription_count");
    for info in ["info=user_count%2Csubscription_count", "info=user_count,subscription_count"] {
        assert_eq!(get(&query_signed_over(&format!("{AUTH}&{info}"), &text)), Ok(()), "{info}");
    }
}

#[test]
fn an_array_parameter_is_signed_pair_by_pair() {
    let text = format!("GET\n{CHANNELS}\n{AUTH}&k[]=b&k[]=a");
    assert_eq!(get(&query_signed_over(&format!("{AUTH}&k%5B%5D=b&k[]=a"), &text)), Ok(()));
}

#[test]
fn a_plus_may_have_been_signed_as_itself_or_as_a_blank() {
    let query = format!("{AUTH}&filter_by_prefix=a+b%2Bc");
    for signed in ["a+b+c", "a b+c"] {
        let text = format!("GET\n{CHANNELS}\n{AUTH}&filter_by_prefix={signed}");
        assert_eq!(get(&query_signed_over(&query, &text)), Ok(()), "{signed}");
    }
}

#[test]
fn any_of_the_candidate_paths_may_have_been_signed() {
    let paths = ["/ws/apps/app-id/users/a%40b", "/ws/apps/app-id/users/a@b", "/apps/app-id/users/a@b"];
    for path in paths {
        let query = sign_request(&vector_key(), "POST", path, &[], b"{}", NOW);
        assert_eq!(verify("POST", &paths, &query, b"{}"), Ok(()), "{path}");
    }
    let query = sign_request(&vector_key(), "POST", "/apps/app-id/users/a%40b", &[], b"{}", NOW);
    assert_eq!(verify("POST", &paths, &query, b"{}"), Err(RequestAuthError::Mismatch));
}

#[test]
fn each_key_of_a_rotation_is_verified_with_its_own_secret() {
    let old = AppKey { key: "old".to_owned(), secret: Secret::new("old-secret") };
    let keys = [vector_key(), old.clone()];
    let verify = |query: &str| {
        let request = SignedRequest { method: "GET", paths: &[CHANNELS], query };
        verify_request(&keys, &request, NOW, WINDOW).map(drop)
    };
    let query = sign_request(&old, "GET", CHANNELS, &[], b"", NOW);
    assert_eq!(verify(&query), Ok(()));
    assert_eq!(verify(GET_QUERY), Ok(()));
    assert_eq!(verify(&query.replace("auth_key=old", "auth_key=app-key")), Err(RequestAuthError::Mismatch));
}

#[test]
fn whatever_was_signed_may_not_change() {
    for (method, path, query) in [
        ("HEAD", CHANNELS, GET_QUERY.to_owned()),
        ("get", CHANNELS, GET_QUERY.to_owned()),
        ("GET", "/apps/app-id/channels/", GET_QUERY.to_owned()),
        ("GET", CHANNELS, GET_QUERY.replace("user_count", "cache")),
        ("GET", CHANNELS, GET_QUERY.replace("&info=user_count", "")),
        ("GET", CHANNELS, format!("{GET_QUERY}&extra")),
        ("GET", CHANNELS, GET_QUERY.replace("1700000000", "1700000001")),
        ("GET", CHANNELS, GET_QUERY.replace("fd5a1b", "fd5a1c")),
    ] {
        assert_eq!(verify(method, &[path], &query, b""), Err(RequestAuthError::Mismatch), "{method} {path} {query}");
    }
    assert_eq!(verify("GET", &[], GET_QUERY, b""), Err(RequestAuthError::Mismatch));
}

#[test]
fn the_timestamp_must_be_less_than_the_window_away() {
    let at = |timestamp: u64, window: Duration| {
        let query = sign_request(&vector_key(), "GET", CHANNELS, &[], b"", Duration::from_secs(timestamp));
        let request = SignedRequest { method: "GET", paths: &[CHANNELS], query: &query };
        verify_request(&[vector_key()], &request, NOW, window).map(drop)
    };
    assert_eq!(at(1_700_000_000 - 599, WINDOW), Ok(()));
    assert_eq!(at(1_700_000_000 + 599, WINDOW), Ok(()));
    let expired = Err(RequestAuthError::Expired { distance: WINDOW, window: WINDOW });
    assert_eq!(at(1_700_000_000 - 600, WINDOW), expired);
    assert_eq!(at(1_700_000_000 + 600, WINDOW), expired);
    assert_eq!(at(0, Duration::ZERO), Ok(()));
    assert_eq!(at(u64::MAX, Duration::ZERO), Ok(()));
    assert!(matches!(at(u64::MAX, WINDOW), Err(RequestAuthError::Expired { .. })));
}

#[test]
fn the_body_must_be_the_one_that_was_hashed() {
    assert_eq!(verify("POST", &[EVENTS], POST_QUERY, b"{}"), Err(RequestAuthError::BodyChanged));
    assert_eq!(verify("POST", &[EVENTS], POST_QUERY, b""), Err(RequestAuthError::BodyChanged));
    assert_eq!(verify("GET", &[CHANNELS], GET_QUERY, b"{}"), Err(RequestAuthError::BodyNotSigned));
}

#[test]
fn every_parameter_of_the_signature_is_required_and_single() {
    for name in ["auth_key", "auth_version", "auth_timestamp", "auth_signature"] {
        let renamed = POST_QUERY.replace(&format!("{name}="), &format!("x{name}="));
        assert_eq!(post(&renamed), Err(RequestAuthError::Missing(name)));
    }
    for name in ["auth_key", "auth_version", "auth_timestamp", "auth_signature", "body_md5"] {
        let pair = POST_QUERY.split('&').find(|pair| pair.starts_with(name)).unwrap();
        assert_eq!(post(&format!("{POST_QUERY}&{pair}")), Err(RequestAuthError::Repeated(name)));
        let disguised = pair.replacen(name, &name.replace('_', "%5F").to_uppercase(), 1);
        assert_eq!(post(&format!("{disguised}&{POST_QUERY}")), Err(RequestAuthError::Repeated(name)));
    }
    assert_eq!(post(""), Err(RequestAuthError::Missing("auth_key")));
}

#[test]
fn each_wrong_part_is_named() {
    for (from, to, refusal) in [
        ("app-key", "app-kézz", RequestAuthError::UnknownKey { characters: 8 }),
        ("=1.0", "=1", RequestAuthError::Version),
        ("=1.0", "=1.0%20", RequestAuthError::Version),
        ("=1700000000", "=now", RequestAuthError::Timestamp),
        ("=1700000000", "=-1", RequestAuthError::Timestamp),
        ("=1700000000", "=%ff", RequestAuthError::Timestamp),
        ("=1700000000", "=99999999999999999999", RequestAuthError::Timestamp),
        ("=f704d0", "=F704D0", RequestAuthError::NotHex),
        ("=f704d0", "=", RequestAuthError::NotHex),
    ] {
        assert_eq!(post(&POST_QUERY.replace(from, to)), Err(refusal), "{to}");
    }
}

#[test]
fn the_text_names_limit_value_and_setting_and_never_a_signature() {
    let expired = RequestAuthError::Expired { distance: Duration::from_secs(700), window: WINDOW };
    assert_eq!(
        expired.to_string(),
        "auth_timestamp is 700 s away from the server's clock, the limit is 600 s (GAUNG_SIGNATURE_SECONDS)"
    );
    assert_eq!(
        post(&POST_QUERY.replace("=f704d0", "=f704d1")).unwrap_err().to_string(),
        "invalid auth_signature: it is for another method, path or query, or made with another secret"
    );
}

/// Numbers that look random and are the same in every run (Knuth's MMIX generator).
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % limit
    }

    fn text(&mut self) -> String {
        const PIECES: [&str; 20] = [
            "a",
            "Z",
            "0",
            "%",
            "%41",
            "%2B",
            "+",
            " ",
            "&",
            "=",
            "[]",
            ",",
            "#",
            "/",
            "é",
            "\u{1f980}",
            "\0",
            "\n",
            "\"",
            "_",
        ];
        let length = self.below(6);
        (0..length).map(|_| PIECES[self.below(PIECES.len())]).collect()
    }
}

#[test]
fn whatever_is_signed_is_verified_and_nothing_else_is() {
    let mut dice = Dice(1);
    for round in 0..2_000 {
        let pairs: Vec<(String, String)> = (0..dice.below(6)).map(|_| (dice.text(), dice.text())).collect();
        let params: Vec<(&str, &str)> = pairs.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
        let body = dice.text();
        let query = sign_request(&vector_key(), "POST", EVENTS, &params, body.as_bytes(), NOW);
        assert_eq!(verify("POST", &[EVENTS], &query, body.as_bytes()), Ok(()), "round {round}: {query}");

        let changed = format!("{body}x");
        let refusal = if body.is_empty() { RequestAuthError::BodyNotSigned } else { RequestAuthError::BodyChanged };
        assert_eq!(verify("POST", &[EVENTS], &query, changed.as_bytes()), Err(refusal), "round {round}: {query}");

        let added = format!("{}={}&{query}", encode(&dice.text()), encode(&dice.text()));
        assert_eq!(
            verify("POST", &[EVENTS], &added, body.as_bytes()),
            Err(RequestAuthError::Mismatch),
            "round {round}: {added}"
        );
    }
}

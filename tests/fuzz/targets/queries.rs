//! Signed requests: nobody without the secret makes one, and whatever is signed verifies as it was signed.
#![no_main]

use std::time::Duration;

use gaung::protocol::{
    AppKey, Secret,
    signature::{SignedRequest, sign_request, verify_request},
};
use libfuzzer_sys::fuzz_target;

const NOW: Duration = Duration::from_secs(1_700_000_000);
const RESERVED: [&str; 5] = ["auth_key", "auth_timestamp", "auth_version", "auth_signature", "body_md5"];

fuzz_target!(|input: (&str, &str, &str, &str, &[u8])| {
    let (path, query, name, value, body) = input;
    let key = AppKey { key: "key".to_owned(), secret: Secret::new("a secret that no input has") };
    let verify = |query: &str| {
        let request = SignedRequest { method: "POST", paths: &[path], query };
        verify_request(std::slice::from_ref(&key), &request, NOW, Duration::from_secs(600))
    };
    assert!(verify(query).is_err());
    if name.is_empty() || RESERVED.iter().any(|reserved| reserved.eq_ignore_ascii_case(name)) {
        return;
    }
    let signed = sign_request(&key, "POST", path, &[(name, value)], body, NOW);
    let of_body = verify(&signed).unwrap_or_else(|error| panic!("{error} of {signed}"));
    assert_eq!(of_body.verify(body), Ok(()));
    assert!(of_body.verify(&[body, b"x"].concat()).is_err());
    assert!(verify(&format!("{signed}&{name}=more")).is_err());
});

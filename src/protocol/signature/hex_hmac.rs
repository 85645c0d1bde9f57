//! HMAC-SHA256 in hex, and the key that it is made with: what all signatures have in common. Pure.

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use crate::protocol::{AppKey, Secret};

/// The signature of `bytes`, as webhooks carry it: 64 lower-case hex digits.
pub fn hex_hmac(secret: &Secret, bytes: &[u8]) -> String {
    hex::encode(hmac(secret, &[bytes]).finalize().into_bytes())
}

fn hmac(secret: &Secret, parts: &[&[u8]]) -> Hmac<Sha256> {
    let mut hmac = Hmac::<Sha256>::new_from_slice(secret.expose().as_bytes()).expect("HMAC takes a key of any length");
    for part in parts {
        hmac.update(part);
    }
    hmac
}

/// Whether `signature` is the hex of the HMAC of `parts`, joined. Takes the same time wherever the digits differ.
pub(super) fn is_signed(secret: &Secret, parts: &[&[u8]], signature: &[u8; 32]) -> bool {
    hmac(secret, parts).verify_slice(signature).is_ok()
}

/// The bytes of a signature: exactly 64 digits, lower-case as every client sends them.
pub(super) fn decode_signature(digits: &[u8]) -> Option<[u8; 32]> {
    let mut signature = [0; 32];
    let canonical = !digits.iter().any(u8::is_ascii_uppercase);
    (canonical && hex::decode_to_slice(digits, &mut signature).is_ok()).then_some(signature)
}

pub(super) fn find_key<'a>(keys: &'a [AppKey], name: &[u8]) -> Option<&'a AppKey> {
    keys.iter().find(|pair| pair.key.as_bytes() == name)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// The credentials of every vector in protocol.md §2.
    pub(in crate::protocol::signature) fn vector_key() -> AppKey {
        AppKey { key: "app-key".to_owned(), secret: Secret::new("app-secret") }
    }

    #[test]
    fn a_webhook_body_has_the_signature_of_the_vector() {
        let body = r#"{"time_ms":1700000000000,"events":[{"name":"channel_occupied","channel":"orders"}]}"#;
        assert_eq!(
            hex_hmac(&vector_key().secret, body.as_bytes()),
            "c1b112fcc5fc333a8453bb4b62c1a43094f2126d3c3f4ed442a92f5cda54f8e4"
        );
    }

    #[test]
    fn only_64_lower_case_hex_digits_are_a_signature() {
        assert_eq!(decode_signature("0f".repeat(32).as_bytes()), Some([0x0f; 32]));
        for digits in ["0F".repeat(32), "0f".repeat(31), "0f".repeat(33), "0g".repeat(32), String::new()] {
            assert_eq!(decode_signature(digits.as_bytes()), None, "{digits}");
        }
    }
}

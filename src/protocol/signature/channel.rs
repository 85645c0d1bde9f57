//! Signatures that an application gives to its clients: for one channel (protocol.md §2.1, §2.2) or for signing in (§2.3).

use crate::protocol::{AppKey, ChannelName, SocketId};

use super::hex_hmac::{decode_signature, find_key, hex_hmac, is_signed};

/// Which part of `auth` is wrong. Says nothing about the signature that would be right.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AuthError {
    #[error("Invalid auth: it must be an app key, a colon and a signature")]
    Malformed,
    #[error("Invalid key in auth: it is not a key of this app")]
    UnknownKey,
    #[error("Invalid signature in auth: it must be 64 lower-case hex digits")]
    NotHex,
    #[error("Invalid signature in auth: it is for another socket, channel or content, or made with another secret")]
    Mismatch,
}

/// Checks `auth` of a subscription. `channel_data` is the exact string received; whenever there is one it is part of
/// what was signed, on private channels too. A [`ChannelName`] has no colon, so that no name can pass for another text.
pub fn verify_channel(
    keys: &[AppKey],
    auth: &str,
    socket: SocketId,
    channel: &ChannelName,
    channel_data: Option<&str>,
) -> Result<(), AuthError> {
    verify(keys, auth, &channel_text(socket, channel.as_str(), channel_data))
}

/// Checks `auth` of a sign-in. `user_data` is the exact string received.
pub fn verify_user(keys: &[AppKey], auth: &str, socket: SocketId, user_data: &str) -> Result<(), AuthError> {
    verify(keys, auth, &user_text(socket, user_data))
}

/// `auth` for a subscription, as an application's own endpoint would answer it. The channel's name is taken as it is.
pub fn sign_channel(key: &AppKey, socket: SocketId, channel: &str, channel_data: Option<&str>) -> String {
    sign(key, &channel_text(socket, channel, channel_data))
}

/// `auth` for a sign-in, as an application's own endpoint would answer it.
pub fn sign_user(key: &AppKey, socket: SocketId, user_data: &str) -> String {
    sign(key, &user_text(socket, user_data))
}

fn channel_text(socket: SocketId, channel: &str, channel_data: Option<&str>) -> String {
    match channel_data {
        Some(channel_data) => format!("{socket}:{channel}:{channel_data}"),
        None => format!("{socket}:{channel}"),
    }
}

fn user_text(socket: SocketId, user_data: &str) -> String {
    format!("{socket}::user::{user_data}")
}

fn sign(key: &AppKey, text: &str) -> String {
    format!("{}:{}", key.key, hex_hmac(&key.secret, text.as_bytes()))
}

fn verify(keys: &[AppKey], auth: &str, text: &str) -> Result<(), AuthError> {
    let (key, digits) = auth.split_once(':').ok_or(AuthError::Malformed)?;
    let key = find_key(keys, key.as_bytes()).ok_or(AuthError::UnknownKey)?;
    let signature = decode_signature(digits.as_bytes()).ok_or(AuthError::NotHex)?;
    if is_signed(&key.secret, &[text.as_bytes()], &signature) { Ok(()) } else { Err(AuthError::Mismatch) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::{Secret, signature::hex_hmac::tests::vector_key};

    const PRIVATE: &str = "app-key:2d1e5109f17c93a347d0a52f060df3a517761ce1ddcd7bce2998c4f1925a7cab";
    const PRESENCE: &str = "app-key:7eae5778a7edfe839d7a03f042293004e8cc0798fcf98a63b02be7f19f8bef86";
    const MEMBER: &str = r#"{"user_id":"42","user_info":{"name":"Ada"}}"#;
    const SIGN_IN: &str = "app-key:8bd8ab8063d4d7570f5da6d77411321851d24f02b44c0c82389a56ade13454c1";
    const USER: &str = r#"{"id":"42","watchlist":["7","9"]}"#;

    fn socket() -> SocketId {
        "1234.5678".parse().unwrap()
    }

    fn verify_named(auth: &str, channel: &str, channel_data: Option<&str>) -> Result<(), AuthError> {
        let channel = ChannelName::parse(channel, 200).unwrap();
        verify_channel(&[vector_key()], auth, socket(), &channel, channel_data)
    }

    #[test]
    fn the_vectors_are_signed() {
        assert_eq!(sign_channel(&vector_key(), socket(), "private-orders", None), PRIVATE);
        assert_eq!(sign_channel(&vector_key(), socket(), "presence-room", Some(MEMBER)), PRESENCE);
        assert_eq!(sign_user(&vector_key(), socket(), USER), SIGN_IN);
    }

    #[test]
    fn the_vectors_are_verified() {
        assert_eq!(verify_named(PRIVATE, "private-orders", None), Ok(()));
        assert_eq!(verify_named(PRESENCE, "presence-room", Some(MEMBER)), Ok(()));
        assert_eq!(verify_user(&[vector_key()], SIGN_IN, socket(), USER), Ok(()));
    }

    #[test]
    fn channel_data_on_a_private_channel_is_part_of_what_was_signed() {
        let auth = sign_channel(&vector_key(), socket(), "private-orders", Some("{}"));
        assert_eq!(verify_named(&auth, "private-orders", Some("{}")), Ok(()));
        assert_eq!(verify_named(&auth, "private-orders", None), Err(AuthError::Mismatch));
        assert_eq!(verify_named(PRIVATE, "private-orders", Some("{}")), Err(AuthError::Mismatch));
    }

    #[test]
    fn a_signature_is_for_one_socket_one_channel_and_one_content() {
        let other: SocketId = "1234.5679".parse().unwrap();
        let channel = ChannelName::parse("private-orders", 200).unwrap();
        assert_eq!(verify_channel(&[vector_key()], PRIVATE, other, &channel, None), Err(AuthError::Mismatch));
        assert_eq!(verify_named(PRIVATE, "private-order", None), Err(AuthError::Mismatch));
        assert_eq!(
            verify_named(PRESENCE, "presence-room", Some(&MEMBER.replace("42", "43"))),
            Err(AuthError::Mismatch)
        );
        assert_eq!(verify_named(PRESENCE, "presence-room", None), Err(AuthError::Mismatch));
        assert_eq!(verify_user(&[vector_key()], SIGN_IN, socket(), "{}"), Err(AuthError::Mismatch));
        assert_eq!(verify_user(&[vector_key()], SIGN_IN, other, USER), Err(AuthError::Mismatch));
    }

    #[test]
    fn the_key_part_must_be_a_key_of_the_app() {
        let auth = PRIVATE.replace("app-key", "other-key");
        assert_eq!(verify_named(&auth, "private-orders", None), Err(AuthError::UnknownKey));
    }

    #[test]
    fn each_key_of_a_rotation_is_verified_with_its_own_secret() {
        let old = AppKey { key: "old".to_owned(), secret: Secret::new("old-secret") };
        let channel = ChannelName::parse("private-orders", 200).unwrap();
        let verify = |auth: &str| verify_channel(&[vector_key(), old.clone()], auth, socket(), &channel, None);
        assert_eq!(verify(&sign_channel(&old, socket(), "private-orders", None)), Ok(()));
        assert_eq!(verify(PRIVATE), Ok(()));
        assert_eq!(verify(&PRIVATE.replace("app-key", "old")), Err(AuthError::Mismatch));
    }

    #[test]
    fn anything_but_a_key_and_64_lower_case_digits_is_refused() {
        for (auth, refusal) in [
            ("", AuthError::Malformed),
            ("app-key", AuthError::Malformed),
            (":", AuthError::UnknownKey),
            (&PRIVATE["app-key".len()..], AuthError::UnknownKey),
            ("app-key:", AuthError::NotHex),
            (&PRIVATE[..PRIVATE.len() - 1], AuthError::NotHex),
            (&format!("{PRIVATE}0"), AuthError::NotHex),
            (&PRIVATE.replace("2d1e", "2D1E"), AuthError::NotHex),
            (&PRIVATE.replace("2d1e", "2d1g"), AuthError::NotHex),
            (&PRIVATE.replace("2d1e", "2d1f"), AuthError::Mismatch),
        ] {
            assert_eq!(verify_named(auth, "private-orders", None), Err(refusal), "{auth:?}");
        }
    }
}

//! How apps are sealed where others could read them: encrypted and authenticated, each to its cluster, its id and the record
//! that it follows, so that none can be put in another's place. Pure.
//!
//! A sealed record: the version 1 (one byte), the place of the record before it (8 bytes), a nonce (12), the sealed text.

use std::fmt;

use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, Nonce, UnboundKey};

/// The bytes of a key.
pub const KEY_BYTES: usize = 32;

/// The bytes of a nonce, which are drawn for each record.
pub(super) const NONCE_BYTES: usize = 12;

const VERSION: u8 = 1;
const HEAD_BYTES: usize = 1 + 8 + NONCE_BYTES;

/// A key, and whose records it seals.
pub struct Seal {
    key: LessSafeKey,
    /// The cluster: a record of another one is none of ours.
    realm: String,
}

/// Why a record cannot be opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum Unsealed {
    #[error("it is no sealed app, or one of a newer release")]
    Form,
    #[error("it was sealed with another GAUNG_APPS_STORE_KEY, for another app or cluster, or was changed")]
    Seal,
}

impl Seal {
    pub fn new(key: &[u8; KEY_BYTES], realm: impl Into<String>) -> Self {
        let key = UnboundKey::new(&CHACHA20_POLY1305, key).expect("the key has the bytes of this cipher");
        Self { key: LessSafeKey::new(key), realm: realm.into() }
    }

    /// Seals what is kept of an app behind the record at this place. No nonce may be used twice.
    pub(super) fn close(&self, app: &str, after: u64, text: &[u8], nonce: [u8; NONCE_BYTES]) -> Vec<u8> {
        let mut sealed = text.to_vec();
        let context = Aad::from(self.context(app, after));
        let nonce_once = Nonce::assume_unique_for_key(nonce);
        self.key.seal_in_place_append_tag(nonce_once, context, &mut sealed).expect("an app is far shorter than 64 GiB");
        [&[VERSION][..], &after.to_be_bytes(), &nonce, &sealed].concat()
    }

    /// The place of the record that it follows, and what is kept of the app.
    pub(super) fn open(&self, app: &str, record: &[u8]) -> Result<(u64, Vec<u8>), Unsealed> {
        let (head, sealed) = record.split_at_checked(HEAD_BYTES).ok_or(Unsealed::Form)?;
        let [VERSION, rest @ ..] = head else { return Err(Unsealed::Form) };
        let (after, nonce) = rest.split_at(8);
        let after = u64::from_be_bytes(after.try_into().map_err(|_| Unsealed::Form)?);
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| Unsealed::Form)?;
        let mut text = sealed.to_vec();
        let context = Aad::from(self.context(app, after));
        let opened = self.key.open_in_place(nonce, context, &mut text).map_err(|_| Unsealed::Seal)?;
        Ok((after, opened.to_vec()))
    }

    /// Lengths first, so that no two contexts look alike.
    fn context(&self, app: &str, after: u64) -> Vec<u8> {
        let length = |text: &str| (text.len() as u64).to_be_bytes();
        [
            b"gaung app",
            &length(&self.realm)[..],
            self.realm.as_bytes(),
            &length(app),
            app.as_bytes(),
            &after.to_be_bytes(),
        ]
        .concat()
    }
}

/// Shows no key.
impl fmt::Debug for Seal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Seal({})", self.realm)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seal(key: u8, realm: &str) -> Seal {
        Seal::new(&[key; KEY_BYTES], realm)
    }

    #[test]
    fn what_was_sealed_is_opened_with_what_it_was_sealed_to() {
        let sealed = seal(1, "main").close("shop", 7, b"the text", [9; NONCE_BYTES]);
        assert_eq!(seal(1, "main").open("shop", &sealed), Ok((7, b"the text".to_vec())));
        assert!(!sealed.windows(4).any(|part| part == b"text"));
    }

    #[test]
    fn another_key_cluster_app_or_place_does_not_open_it() {
        let sealed = seal(1, "main").close("shop", 7, b"the text", [9; NONCE_BYTES]);
        for (other, app) in [(seal(2, "main"), "shop"), (seal(1, "mai"), "shop"), (seal(1, "main"), "blog")] {
            assert_eq!(other.open(app, &sealed), Err(Unsealed::Seal), "{other:?} {app}");
        }
        for byte in 1..sealed.len() {
            let mut changed = sealed.clone();
            changed[byte] ^= 1;
            assert_eq!(seal(1, "main").open("shop", &changed), Err(Unsealed::Seal), "byte {byte}");
        }
    }

    #[test]
    fn what_is_no_sealed_record_is_refused() {
        let mut newer = seal(1, "main").close("shop", 7, b"the text", [9; NONCE_BYTES]);
        newer[0] = 2;
        for record in [&b""[..], b"{}", &[1; HEAD_BYTES - 1], &newer] {
            assert_eq!(seal(1, "main").open("shop", record), Err(Unsealed::Form));
        }
        assert_eq!(seal(1, "main").open("shop", &[1; HEAD_BYTES]), Err(Unsealed::Seal));
    }
}

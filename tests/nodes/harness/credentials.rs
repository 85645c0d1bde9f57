//! An operator of NATS of the test's own, with an account and a user who has a credentials file.

use std::{fs, path::PathBuf};

use nkeys::KeyPair;
use serde_json::{Value, json};

use super::new_folder;

/// What the nats-server and the user need to know each other.
pub struct Credentials {
    /// The user's file: a JWT and the seed of its key.
    pub file: PathBuf,
    /// Lines of a nats-server's configuration: the operator's JWT and the account's.
    pub nats_lines: String,
}

impl Credentials {
    pub fn make() -> Self {
        let (operator, account, user) = (KeyPair::new_operator(), KeyPair::new_account(), KeyPair::new_user());
        let limits = json!({"subs": -1, "data": -1, "payload": -1, "imports": -1, "exports": -1, "conn": -1,
                            "leaf": -1, "wildcards": true});
        let operator_jwt = jwt(&operator, &operator, json!({"type": "operator", "version": 2}));
        let account_jwt = jwt(&operator, &account, json!({"type": "account", "version": 2, "limits": limits}));
        let user_claims = json!({"type": "user", "version": 2, "subs": -1, "data": -1, "payload": -1});
        let user_jwt = jwt(&account, &user, user_claims);
        let preload = format!("{{ {}: {account_jwt} }}", account.public_key());
        let nats_lines = format!("operator: {operator_jwt}\nresolver: MEMORY\nresolver_preload: {preload}\n");
        let file = new_folder("credentials").join("user.creds");
        let seed = user.seed().expect("the key was made here");
        fs::write(&file, file_text(&user_jwt, &seed)).expect("the folder is writable");
        Self { file, nats_lines }
    }
}

impl Drop for Credentials {
    fn drop(&mut self) {
        let _ = self.file.parent().map(fs::remove_dir_all);
    }
}

fn file_text(jwt: &str, seed: &str) -> String {
    format!(
        "-----BEGIN NATS USER JWT-----\n{jwt}\n------END NATS USER JWT------\n\n\
         -----BEGIN USER NKEY SEED-----\n{seed}\n------END USER NKEY SEED------\n"
    )
}

/// What the issuer claims of the subject, signed.
fn jwt(issuer: &KeyPair, subject: &KeyPair, claims: Value) -> String {
    let header = json!({"typ": "JWT", "alg": "ed25519-nkey"});
    let claims = json!({"jti": "test", "iat": 1_700_000_000, "iss": issuer.public_key(), "name": "test",
                        "sub": subject.public_key(), "nats": claims});
    let signed = format!("{}.{}", base64(header.to_string().as_bytes()), base64(claims.to_string().as_bytes()));
    let signature = issuer.sign(signed.as_bytes()).expect("the key was made here");
    format!("{signed}.{}", base64(&signature))
}

/// The URL-safe form without padding.
fn base64(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let letters = |chunk: &[u8]| {
        let bits = (0..3).fold(0, |bits, index| bits << 8 | u32::from(chunk.get(index).copied().unwrap_or(0)));
        let letter = |index: usize| char::from(LETTERS[(bits >> (18 - 6 * index)) as usize % 64]);
        (0..=chunk.len()).map(letter).collect::<String>()
    };
    bytes.chunks(3).map(letters).collect()
}

#[test]
fn base64_is_that_of_urls() {
    for (bytes, text) in [("", ""), ("f", "Zg"), ("fo", "Zm8"), ("foo", "Zm9v"), ("foo?>", "Zm9vPz4")] {
        assert_eq!(base64(bytes.as_bytes()), text);
    }
}

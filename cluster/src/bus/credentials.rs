//! Credentials files as NATS tools write them: a user's JWT and its seed, each between lines of dashes. Read anew for
//! each connection, so that a file that was replaced needs no restart. No error shows a part of it.

use std::{io, path::Path};

use async_nats::{Auth, AuthError};
use nkeys::KeyPair;

/// Answers a server's nonce as the user of the file.
pub(super) async fn sign(path: &Path, nonce: &[u8]) -> Result<Auth, AuthError> {
    let refuse = |reason: &str| AuthError::new(format!("{}: {reason}", path.display()));
    let read = tokio::fs::read_to_string(path).await;
    let text = read.map_err(|error: io::Error| refuse(&format!("cannot be read: {error}")))?;
    let jwt = block(&text, "NATS USER JWT").ok_or_else(|| refuse("has no NATS USER JWT"))?;
    let seed = block(&text, "USER NKEY SEED").ok_or_else(|| refuse("has no USER NKEY SEED"))?;
    let key = KeyPair::from_seed(seed).map_err(|_| refuse("its USER NKEY SEED is not one"))?;
    let mut auth = Auth::new();
    auth.jwt = Some(jwt.to_owned());
    auth.signature = Some(key.sign(nonce).map_err(|_| refuse("its USER NKEY SEED cannot sign"))?);
    Ok(auth)
}

/// The line below `-----BEGIN <name>-----`.
fn block<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let mut lines = text.lines().map(str::trim);
    lines.find(|line| line.trim_matches('-').strip_prefix("BEGIN ") == Some(name))?;
    lines.next().filter(|line| !line.is_empty() && !line.starts_with('-'))
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = "-----BEGIN NATS USER JWT-----\r\neyJ0.eyJq.sig\r\n------END NATS USER JWT------\r\n\r\n\
                        *** IMPORTANT ***\r\n\r\n-----BEGIN USER NKEY SEED-----\r\nSUAB\r\n------END USER NKEY SEED------\r\n";

    #[test]
    fn both_blocks_of_a_file_are_found() {
        assert_eq!(block(FILE, "NATS USER JWT"), Some("eyJ0.eyJq.sig"));
        assert_eq!(block(FILE, "USER NKEY SEED"), Some("SUAB"));
    }

    #[test]
    fn what_is_not_there_is_not_found() {
        for text in ["", "eyJ0", "-----BEGIN NATS USER JWT-----", "-----BEGIN NATS USER JWT-----\n------END------"] {
            assert_eq!(block(text, "NATS USER JWT"), None, "{text:?}");
        }
    }
}

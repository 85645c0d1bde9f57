//! Where apps are kept that change while the nodes run: a file, or NATS.

use std::path::PathBuf;

use base64::{Engine, engine::general_purpose};
use serde::Deserialize;

use super::{Problems, Rule, Variable, environment::Environment};
use crate::protocol::Secret;

/// What a node needs to keep its apps in NATS.
#[derive(Debug, Clone)]
pub struct AppsStoreConfig {
    /// `GAUNG_APPS_STORE_KEY`: what they are sealed with; it obeys its rule.
    pub key: Secret,
    /// `GAUNG_APPS_STORE_REPLICAS` (1): how many NATS servers keep them, where this node makes the stream.
    pub replicas: usize,
    /// `GAUNG_APPS_CACHE`: the file with the last known ones.
    pub cache: Option<PathBuf>,
}

/// What nobody sets whose apps are not to be in NATS.
const OF_NATS: [&str; 2] = ["GAUNG_APPS_STORE_KEY", "GAUNG_APPS_CACHE"];

#[derive(Deserialize)]
#[serde(default)]
struct Form {
    apps_store_key: Option<Secret>,
    apps_store_replicas: usize,
    apps_cache: Option<PathBuf>,
}

impl Default for Form {
    fn default() -> Self {
        Self { apps_store_key: None, apps_store_replicas: 1, apps_cache: None }
    }
}

impl AppsStoreConfig {
    /// The bytes of the key.
    pub fn key_bytes(&self) -> [u8; 32] {
        key(self.key.expose()).expect("the key obeys its rule")
    }
}

pub(super) fn is_wanted(environment: &Environment) -> bool {
    environment.get("GAUNG_APPS_STORE").is_some_and(|given| given.value == "nats")
}

/// What is needed, or a problem for each thing that is missing or says otherwise.
pub(super) fn read(environment: &Environment, problems: &mut Problems) -> Option<AppsStoreConfig> {
    if environment.foreign("GAUNG_NATS_URL").is_none() {
        problems.add("GAUNG_NATS_URL is not set; GAUNG_APPS_STORE=nats needs it");
    }
    if environment.foreign("GAUNG_APPS_STORE_KEY").is_none() {
        problems.add(
            "GAUNG_APPS_STORE_KEY is not set; GAUNG_APPS_STORE=nats needs it to seal the apps: 32 random bytes, as of openssl \
             rand -hex 32, the same on all nodes",
        );
    }
    for name in environment.names().filter(|name| name.starts_with("GAUNG_APP_") || *name == "GAUNG_APPS_FILE") {
        problems
            .add(format!("{name} cannot be combined with GAUNG_APPS_STORE=nats; add the app there, and unset it here"));
    }
    let form: Form = environment.read("GAUNG_", problems)?;
    Some(AppsStoreConfig { key: form.apps_store_key?, replicas: form.apps_store_replicas, cache: form.apps_cache })
}

/// Who sets these meant the apps to be in NATS.
pub(super) fn unwanted(environment: &Environment, problems: &mut Problems) {
    for name in OF_NATS.into_iter().filter(|name| environment.get(name).is_some()) {
        problems.add(format!("{name} is set but GAUNG_APPS_STORE is not nats"));
    }
}

/// The bytes of a key: 64 hexadecimal digits, or base64 of either alphabet.
pub(super) fn key(text: &str) -> Option<[u8; 32]> {
    let bytes = hex::decode(text).ok().filter(|bytes| bytes.len() == 32).or_else(|| {
        let bare = text.trim_end_matches('=');
        let standard = general_purpose::STANDARD_NO_PAD.decode(bare);
        standard.or_else(|_| general_purpose::URL_SAFE_NO_PAD.decode(bare)).ok()
    });
    bytes?.try_into().ok()
}

pub(super) fn variables() -> Vec<Variable> {
    vec![
        Variable::new(
            "GAUNG_APPS_STORE",
            "file",
            Rule::Choice(&["file", "nats"]),
            "where apps are kept that change while the server runs: GAUNG_APPS_FILE, or JetStream for all nodes of a cluster",
        ),
        Variable::new("GAUNG_APPS_STORE_KEY", "", Rule::SealKey, "key that apps in NATS are sealed with"),
        Variable::new(
            "GAUNG_APPS_STORE_REPLICAS",
            1,
            Rule::Number(1..=5),
            "replicas of their stream if the node creates it; an existing stream stays as it is",
        ),
        Variable::new(
            "GAUNG_APPS_CACHE",
            "",
            Rule::Path,
            "file in which a node keeps the last known apps of NATS, sealed, for a start without it",
        ),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{
        AppsSource,
        tests::{good, refused},
    };

    const HEX: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";
    const NATS: [(&str, &str); 2] = [("GAUNG_APPS_STORE", "nats"), ("GAUNG_NATS_URL", "nats://127.0.0.1")];

    #[test]
    fn a_key_is_hexadecimal_or_base64() {
        let bytes: [u8; 32] = std::array::from_fn(|index| index as u8);
        for text in [HEX, "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=", "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8"]
        {
            assert_eq!(key(text), Some(bytes), "{text}");
        }
        for text in ["", "00", &HEX[2..], "AAECAwQ=", "?"] {
            assert_eq!(key(text), None, "{text}");
        }
    }

    #[test]
    fn apps_in_nats_have_a_key_and_nothing_of_their_own_here() {
        let loaded = good(&[&NATS[..], &[("GAUNG_APPS_STORE_KEY", HEX), ("GAUNG_HOST", "0.0.0.0")]].concat());
        let AppsSource::Nats(config) = &loaded.apps else { panic!("{:?}", loaded.apps) };
        assert_eq!((config.key_bytes()[31], config.replicas, &config.cache), (31, 1, &None));
        refused(
            &[("GAUNG_APPS_STORE", "nats"), ("GAUNG_APP_ID", "1")],
            &[
                "GAUNG_NATS_URL is not set; GAUNG_APPS_STORE=nats needs it",
                "GAUNG_APPS_STORE_KEY is not set; GAUNG_APPS_STORE=nats needs it to seal the apps: 32 random bytes, as of \
                 openssl rand -hex 32, the same on all nodes",
                "GAUNG_APP_ID cannot be combined with GAUNG_APPS_STORE=nats; add the app there, and unset it here",
            ],
        );
        refused(
            &[&NATS[..], &[("GAUNG_APPS_STORE_KEY", "s3cret")]].concat(),
            &["GAUNG_APPS_STORE_KEY is \"********\"; it must be 32 bytes, as 64 hexadecimal digits or in base64"],
        );
        refused(&[("GAUNG_APPS_CACHE", "/cache")], &["GAUNG_APPS_CACHE is set but GAUNG_APPS_STORE is not nats"]);
    }
}

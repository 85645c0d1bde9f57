//! Somebody who signs tokens with a private key, made by openssl for one test, and publishes the other half.

use std::{
    io::Write,
    process::{Command, Stdio},
};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use serde_json::{Value, json};

/// A pair of keys.
pub struct Signer {
    algorithm: Algorithm,
    private: EncodingKey,
    /// The private key, in PEM.
    pub private_pem: String,
    /// The public key, in PEM.
    pub pem: String,
    /// Its members that say what it is, as a JWK.
    members: Value,
}

impl Signer {
    pub fn rs256() -> Self {
        Self::rsa(2_048)
    }

    /// An RSA key with so many bits.
    pub fn rsa(bits: u32) -> Self {
        let pem = openssl(&["genpkey", "-algorithm", "RSA", "-pkeyopt", &format!("rsa_keygen_bits:{bits}")], b"");
        let private = EncodingKey::from_rsa_der(&openssl(&["rsa", "-traditional", "-outform", "DER"], &pem));
        let modulus = text(openssl(&["rsa", "-noout", "-modulus"], &pem));
        let modulus = hex::decode(modulus.trim().trim_start_matches("Modulus=")).expect("it is hexadecimal");
        let members = json!({"kty": "RSA", "n": base64(&modulus), "e": "AQAB"});
        Self::new(Algorithm::RS256, private, pem, members)
    }

    pub fn es256() -> Self {
        let pem = openssl(&["genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"], b"");
        let private = EncodingKey::from_ec_der(&openssl(&["pkcs8", "-topk8", "-nocrypt", "-outform", "DER"], &pem));
        let public = openssl(&["pkey", "-pubout", "-outform", "DER"], &pem);
        let (x, y) = public[public.len() - 64..].split_at(32);
        let members = json!({"kty": "EC", "crv": "P-256", "x": base64(x), "y": base64(y)});
        Self::new(Algorithm::ES256, private, pem, members)
    }

    pub fn ed25519() -> Self {
        let pem = openssl(&["genpkey", "-algorithm", "ED25519"], b"");
        let private = EncodingKey::from_ed_der(&openssl(&["pkcs8", "-topk8", "-nocrypt", "-outform", "DER"], &pem));
        let public = openssl(&["pkey", "-pubout", "-outform", "DER"], &pem);
        let members = json!({"kty": "OKP", "crv": "Ed25519", "x": base64(&public[public.len() - 32..])});
        Self::new(Algorithm::EdDSA, private, pem, members)
    }

    fn new(algorithm: Algorithm, private: EncodingKey, pem: Vec<u8>, members: Value) -> Self {
        let public = text(openssl(&["pkey", "-pubout"], &pem));
        Self { algorithm, private, private_pem: text(pem), pem: public, members }
    }

    /// The public key as a JWK with this id, and with other members besides or instead.
    pub fn jwk(&self, id: &str, others: Value) -> Value {
        let mut jwk = self.members.clone();
        jwk["kid"] = id.into();
        for (name, value) in others.as_object().expect("members of an object") {
            jwk[name] = value.clone();
        }
        jwk
    }

    /// A token that names this key, or none.
    pub fn token(&self, id: Option<&str>, claims: &Value) -> String {
        let header = Header { kid: id.map(str::to_owned), ..Header::new(self.algorithm) };
        encode(&header, claims, &self.private).expect("claims are JSON")
    }
}

/// A token with any header, signed by HMAC-SHA256 with this secret.
pub fn with_header(header: &Value, claims: &Value, secret: &str) -> String {
    let message = format!("{}.{}", base64(header.to_string().as_bytes()), base64(claims.to_string().as_bytes()));
    let key = EncodingKey::from_secret(secret.as_bytes());
    let signature = jsonwebtoken::crypto::sign(message.as_bytes(), &key, Algorithm::HS256).expect("HMAC takes any key");
    format!("{message}.{signature}")
}

pub fn base64(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// What openssl makes of the input.
fn openssl(arguments: &[&str], input: &[u8]) -> Vec<u8> {
    let mut command = Command::new("openssl");
    let pipes = command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut running = pipes.spawn().expect("the openssl command is installed");
    running.stdin.take().expect("it is piped").write_all(input).expect("openssl reads");
    let output = running.wait_with_output().expect("openssl ends");
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

fn text(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).expect("PEM is text")
}

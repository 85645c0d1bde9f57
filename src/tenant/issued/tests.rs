//! Tokens and keys of the standards' examples, and such as openssl makes.

use super::*;
use crate::{protocol::Secret, tenant::PublicKey};
use serde_json::json;

#[path = "../../../tests/common/signer.rs"]
mod signer;

use signer::{Signer, base64, with_header};

const NOW: Duration = Duration::from_secs(1_700_000_000);

/// The payload of RFC 7515 appendix A.2 and A.3.
const JOE: &str = "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ";

fn rules(algorithms: &str) -> TokenRules {
    TokenRules { algorithms: TokenAlgorithms::parse(algorithms).unwrap(), ..TokenRules::default() }
}

fn keys(jwks: &[Value], rules: &TokenRules) -> KeySet {
    KeySet::from_jwks(json!({"keys": jwks}).to_string().as_bytes(), &rules.algorithms).unwrap()
}

fn verify(rules: &TokenRules, keys: &KeySet, token: &str) -> Result<AccessToken, TokenError> {
    let secret = AppKey { key: "key".to_owned(), secret: Secret::new("secret") };
    rules.verify(token, &[secret], keys, NOW)
}

/// For tenant 7, for another minute.
fn claims(others: Value) -> Value {
    let mut claims = json!({"tenant_id": "7", "exp": NOW.as_secs() + 60});
    for (name, value) in others.as_object().unwrap() {
        claims[name] = value.clone();
    }
    claims
}

fn changed(token: &str) -> String {
    let (message, signature) = token.rsplit_once('.').unwrap();
    let first = if signature.starts_with('A') { "B" } else { "A" };
    format!("{message}.{first}{}", &signature[1..])
}

/// The token's issuer becomes the tenant, because the example has no other claim that could be one.
fn check_example(algorithm: &str, jwk: &Value, token: &str) {
    let mut rules = rules(algorithm);
    rules.claims.tenant = "iss".to_owned();
    let keys = keys(std::slice::from_ref(jwk), &rules);
    let before_its_end = Duration::from_secs(1_300_819_379);
    let verified =
        |token: &str| rules.verify(token, &[], &keys, before_its_end).map(|token| token.tenant_id.to_string());
    assert_eq!(verified(token), Ok("joe".to_owned()));
    assert_eq!(verified(&changed(token)), Err(TokenError::IssuersSignature));
    assert_eq!(rules.verify(token, &[], &keys, NOW), Err(TokenError::Expired));
}

#[test]
fn the_rsa_example_of_rfc_7515_is_verified() {
    let modulus = "ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZ\
                   S-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2\
                   R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcD\
                   TW9gb54h4FRWyuXpoQ";
    let signature = "cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9uJdbF9CU\
                     Ar7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_d\
                     O--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0ig\
                     cN_IoypGlUPQGe77Rw";
    let jwk = json!({"kty": "RSA", "n": modulus, "e": "AQAB"});
    check_example("RS256", &jwk, &format!("eyJhbGciOiJSUzI1NiJ9.{JOE}.{signature}"));
}

#[test]
fn the_elliptic_example_of_rfc_7515_is_verified() {
    let (x, y) = ("f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU", "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0");
    let signature = "DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q";
    let jwk = json!({"kty": "EC", "crv": "P-256", "x": x, "y": y});
    check_example("ES256", &jwk, &format!("eyJhbGciOiJFUzI1NiJ9.{JOE}.{signature}"));
}

#[test]
fn the_edwards_example_of_rfc_8037_is_verified_though_its_payload_is_no_json() {
    let rules = rules("EdDSA");
    let jwk = json!({"kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"});
    let keys = keys(&[jwk], &rules);
    let token = "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc.\
                 hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg";
    assert_eq!(verify(&rules, &keys, token), Err(TokenError::NotAToken));
    assert_eq!(verify(&rules, &keys, &changed(token)), Err(TokenError::IssuersSignature));
}

#[test]
fn each_kind_of_key_verifies_what_its_other_half_has_signed_from_a_jwk_and_from_pem() {
    for (name, signer) in [("RS256", Signer::rs256()), ("ES256", Signer::es256()), ("EdDSA", Signer::ed25519())] {
        let rules = rules(name);
        let (named, nameless) = (signer.token(Some("k"), &claims(json!({}))), signer.token(None, &claims(json!({}))));
        let pem = KeySet::from_pem(signer.pem.as_bytes(), &rules.algorithms).unwrap();
        for keys in [keys(&[signer.jwk("k", json!({"alg": name, "use": "sig"}))], &rules), pem] {
            assert_eq!(verify(&rules, &keys, &named).unwrap().tenant_id.as_str(), "7", "{name}");
            assert!(verify(&rules, &keys, &nameless).is_ok(), "{name}");
            assert_eq!(verify(&rules, &keys, &changed(&nameless)), Err(TokenError::IssuersSignature), "{name}");
        }
    }
}

#[test]
fn a_public_key_is_nobodys_secret() {
    let signer = Signer::rs256();
    let claims = claims(json!({}));
    for algorithms in ["RS256", "RS256,HS256"] {
        let rules = rules(algorithms);
        let keys = keys(&[signer.jwk("k", json!({}))], &rules);
        let modulus = signer.jwk("k", json!({}))["n"].as_str().unwrap().to_owned();
        for secret in [signer.pem.clone(), signer.pem.trim().to_owned(), modulus] {
            for kid in [json!({"alg": "HS256"}), json!({"alg": "HS256", "kid": "k"})] {
                let refused = verify(&rules, &keys, &with_header(&kid, &claims, &secret)).unwrap_err();
                let expected = if algorithms == "RS256" {
                    TokenError::Algorithm(rules.algorithms.clone())
                } else {
                    TokenError::Signature
                };
                assert_eq!(refused, expected);
                let as_rsa = json!({"alg": "RS256", "kid": "k"});
                let refused = verify(&rules, &keys, &with_header(&as_rsa, &claims, &secret));
                assert_eq!(refused, Err(TokenError::IssuersSignature));
            }
        }
    }
}

#[test]
fn what_is_not_configured_is_refused_whatever_the_token_says() {
    let (rsa, edwards) = (Signer::rs256(), Signer::ed25519());
    let rules = rules("RS256");
    let keys = keys(&[rsa.jwk("k", json!({})), edwards.jwk("e", json!({}))], &rules);
    let claims = claims(json!({}));
    let refused = |token: &str| verify(&rules, &keys, token).unwrap_err();
    let algorithm = TokenError::Algorithm(rules.algorithms.clone());
    assert_eq!(refused(&edwards.token(Some("e"), &claims)), algorithm);
    assert_eq!(refused(&with_header(&json!({"alg": "HS256"}), &claims, "secret")), algorithm);
    for name in ["none", "None", "RS512", "PS256", "rs256", ""] {
        assert_eq!(refused(&with_header(&json!({"alg": name, "kid": "k"}), &claims, "")), algorithm, "{name}");
        let header = base64(json!({"alg": name}).to_string().as_bytes());
        assert_eq!(refused(&format!("{header}.{}.", base64(claims.to_string().as_bytes()))), algorithm, "{name}");
    }
}

#[test]
fn the_apps_own_tokens_stay_as_they_are_beside_those_of_an_issuer() {
    let mut rules = rules("HS256,ES256");
    rules.issuer = Some("https://issuer".to_owned());
    rules.audiences = vec!["gaung".to_owned()];
    rules.claims.tenant = "org".to_owned();
    let own = with_header(&json!({"alg": "HS256"}), &claims(json!({})), "secret");
    assert!(verify(&rules, &KeySet::default(), &own).is_ok());
    let forged = with_header(&json!({"alg": "HS256"}), &claims(json!({})), "other");
    assert_eq!(verify(&rules, &KeySet::default(), &forged), Err(TokenError::Signature));
}

#[test]
fn the_key_that_a_token_names_is_the_only_one_that_is_tried() {
    let (one, other) = (Signer::ed25519(), Signer::ed25519());
    let rules = rules("EdDSA");
    let both = keys(&[one.jwk("1", json!({})), other.jwk("2", json!({}))], &rules);
    let token = |signer: &Signer, id| signer.token(id, &claims(json!({})));
    for (signer, id, expected) in [
        (&one, Some("1"), Ok(())),
        (&other, Some("2"), Ok(())),
        (&one, None, Ok(())),
        (&other, None, Ok(())),
        (&one, Some("2"), Err(TokenError::IssuersSignature)),
        (&one, Some("3"), Err(TokenError::UnknownKey)),
    ] {
        assert_eq!(verify(&rules, &both, &token(signer, id)).map(drop), expected, "{id:?}");
    }
    assert_eq!(verify(&rules, &KeySet::default(), &token(&one, None)), Err(TokenError::UnknownKey));
    let beside_a_file = KeySet::from_pem(one.pem.as_bytes(), &rules.algorithms).unwrap();
    assert_eq!(verify(&rules, &beside_a_file, &token(&other, Some("2"))), Err(TokenError::UnknownKey));
    assert_eq!(verify(&rules, &beside_a_file, &token(&other, None)), Err(TokenError::IssuersSignature));
}

#[test]
fn a_key_in_the_token_itself_is_not_looked_at() {
    let (ours, theirs) = (Signer::ed25519(), Signer::ed25519());
    let rules = rules("EdDSA");
    let keys = keys(&[ours.jwk("k", json!({}))], &rules);
    let token = theirs.token(Some("k"), &claims(json!({})));
    assert_eq!(verify(&rules, &keys, &token), Err(TokenError::IssuersSignature));
    let header = json!({"alg": "EdDSA", "kid": "k", "jwk": theirs.jwk("k", json!({})), "jku": "https://evil.example"});
    let refused = verify(&rules, &keys, &with_header(&header, &claims(json!({})), "x")).unwrap_err();
    assert!(matches!(refused, TokenError::IssuersSignature | TokenError::NotAToken), "{refused}");
    let header = json!({"alg": "EdDSA", "kid": "k", "crit": ["b64"], "b64": false});
    assert_eq!(verify(&rules, &keys, &with_header(&header, &json!({}), "x")), Err(TokenError::Critical));
}

#[test]
fn issuer_audience_and_times_are_checked() {
    let signer = Signer::es256();
    let mut rules = rules("ES256");
    rules.issuer = Some("https://issuer/".to_owned());
    rules.audiences = vec!["gaung".to_owned(), "other".to_owned()];
    let keys = keys(&[signer.jwk("k", json!({}))], &rules);
    let check = |others: Value, expected: Result<(), TokenError>| {
        let mut all = claims(json!({"iss": "https://issuer/", "aud": "gaung"}));
        for (name, value) in others.as_object().unwrap() {
            all[name] = value.clone();
        }
        assert_eq!(verify(&rules, &keys, &signer.token(Some("k"), &all)).map(drop), expected, "{others}");
    };
    check(json!({}), Ok(()));
    check(json!({"aud": ["account", "other"]}), Ok(()));
    for audience in [json!("gaun"), json!([]), json!(["account"]), json!(null), json!(7), json!({"gaung": 1})] {
        check(json!({"aud": audience}), Err(TokenError::Audience));
    }
    for issuer in [json!("https://issuer"), json!("https://ISSUER/"), json!(null), json!(["https://issuer/"])] {
        check(json!({"iss": issuer}), Err(TokenError::Issuer));
    }
    let now = NOW.as_secs();
    check(json!({"exp": now - 29}), Ok(()));
    check(json!({"exp": now - 30}), Err(TokenError::Expired));
    check(json!({"nbf": now + 31}), Err(TokenError::NotYet));
}

#[test]
fn claims_may_have_the_issuers_names() {
    let signer = Signer::ed25519();
    let mut rules = rules("EdDSA");
    rules.claims = ClaimNames {
        tenant: "https://example.com/tenant_id".to_owned(),
        user: "sub".to_owned(),
        channels: "https://example.com/channels".to_owned(),
    };
    let keys = keys(&[signer.jwk("k", json!({}))], &rules);
    let exp = NOW.as_secs() + 60;
    let (tenant, channels) = ("https://example.com/tenant_id", "https://example.com/channels");
    let token = signer.token(None, &json!({tenant: 42, "sub": "auth0|ada", channels: ["private-*.42"], "exp": exp}));
    let verified = verify(&rules, &keys, &token).unwrap();
    assert_eq!((verified.tenant_id.as_str(), verified.user_id.as_deref()), ("42", Some("auth0|ada")));
    assert_eq!(verified.channels.len(), 1);
    let token = signer.token(None, &claims(json!({})));
    assert_eq!(verify(&rules, &keys, &token), Err(TokenError::Missing(tenant.to_owned())));
}

#[test]
fn a_jwk_that_is_not_for_signatures_of_its_kind_is_of_no_use() {
    let signer = Signer::rs256();
    let check = |others: Value, expected: Result<(), &str>| {
        let read = PublicKey::from_jwk(&signer.jwk("k", others.clone()));
        assert_eq!(read.map(drop).map_err(|error| error.to_string()), expected.map_err(str::to_owned), "{others}");
    };
    check(json!({"use": "sig", "key_ops": ["verify"], "alg": "RS256", "x5c": ["…"], "kid": null}), Ok(()));
    check(json!({"use": "enc"}), Err("it is not for signatures"));
    check(json!({"key_ops": ["encrypt"]}), Err("it is not for signatures"));
    check(json!({"alg": "RSA-OAEP"}), Err("it is for another algorithm than RS256"));
    check(json!({"alg": "PS256"}), Err("it is for another algorithm than RS256"));
    for kty in ["oct", "rsa", "EC", "OKP"] {
        check(json!({"kty": kty, "k": "c2VjcmV0"}), Err("it is no RSA, P-256 or Ed25519 key"));
    }
    for (n, e) in [(json!(null), "AQAB"), (json!("a+b"), "AQAB"), (json!(7), "AQAB")] {
        check(json!({"n": n, "e": e}), Err("it is malformed"));
    }
    check(json!({"e": "AQ"}), Err("it is malformed"));
    check(json!({"e": ""}), Err("it is malformed"));
    check(json!({"n": base64(&[0xff; 255])}), Err("it has 2040 bits; an RSA key needs 2048 to 8192"));
    check(json!({"n": base64(&[0xff; 1_025])}), Err("it has 8200 bits; an RSA key needs 2048 to 8192"));
    for x in [json!("AAAA"), json!(null)] {
        let edwards = json!({"kty": "OKP", "crv": "Ed25519", "x": x});
        assert_eq!(PublicKey::from_jwk(&edwards).unwrap_err().to_string(), "it is malformed");
        let elliptic = json!({"kty": "EC", "crv": "P-256", "x": x, "y": x});
        assert_eq!(PublicKey::from_jwk(&elliptic).unwrap_err().to_string(), "it is malformed");
    }
}

#[test]
fn a_set_has_what_can_be_used_of_it_and_says_if_that_is_nothing() {
    let (rsa, edwards) = (Signer::rs256(), Signer::ed25519());
    let read = |keys: Value, algorithms: &str| {
        let algorithms = TokenAlgorithms::parse(algorithms).unwrap();
        let set = KeySet::from_jwks(json!({"keys": keys}).to_string().as_bytes(), &algorithms);
        set.map(|set| set.ids().join(",")).map_err(|error| error.to_string())
    };
    let all = json!([rsa.jwk("r", json!({})), edwards.jwk("e", json!({})), rsa.jwk("x", json!({"use": "enc"})), 7, {}]);
    assert_eq!(read(all.clone(), "RS256,EdDSA"), Ok("r,e".to_owned()));
    assert_eq!(read(all.clone(), "HS256,EdDSA"), Ok("e".to_owned()));
    let none = "it has no key for ES256 (GAUNG_TENANT_TOKEN_ALGORITHMS) among 5; of one: it is not for signatures";
    assert_eq!(read(all, "ES256"), Err(none.to_owned()));
    let none = "it has no key for ES256 (GAUNG_TENANT_TOKEN_ALGORITHMS) among 0";
    assert_eq!(read(json!([]), "ES256"), Err(none.to_owned()));
    let many = vec![edwards.jwk("e", json!({})); 65];
    assert_eq!(read(json!(many), "EdDSA"), Err("it has 65 keys, the limit is 64".to_owned()));
    for text in ["", "[]", "{}", "{\"keys\":{}}", "<html>", "\u{0}"] {
        let read = KeySet::from_jwks(text.as_bytes(), &TokenAlgorithms::default());
        assert_eq!(read.unwrap_err().to_string(), "it is no JWK set", "{text}");
    }
}

#[test]
fn keys_in_pem_must_all_be_of_use() {
    let (rsa, edwards) = (Signer::rs256(), Signer::ed25519());
    let read = |pem: &str, algorithms: &str| {
        let read = KeySet::from_pem(pem.as_bytes(), &TokenAlgorithms::parse(algorithms).unwrap());
        read.map(|keys| keys.len()).map_err(|error| error.to_string())
    };
    let both = format!("{}{}", rsa.pem, edwards.pem);
    assert_eq!(read(&both, "RS256,EdDSA"), Ok(2));
    assert_eq!(read(&rsa.pem.replace('\n', "\\n"), "RS256"), Ok(1));
    let none = "it has no key for RS256 (GAUNG_TENANT_TOKEN_ALGORITHMS) among 2";
    assert_eq!(read(&both, "RS256"), Err(none.to_owned()));
    let weak = "key 2 of 2 cannot be used: it has 1024 bits; an RSA key needs 2048 to 8192";
    assert_eq!(read(&format!("{}{}", rsa.pem, Signer::rsa(1_024).pem), "RS256"), Err(weak.to_owned()));
    for text in ["", "rubbish", &rsa.private_pem, "-----BEGIN PUBLIC KEY-----\nAAAA"] {
        assert_eq!(read(text, "RS256"), Err("it holds no public key in PEM (BEGIN PUBLIC KEY)".to_owned()));
    }
    let cut = "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n";
    assert_eq!(read(cut, "RS256"), Err("key 1 of 1 cannot be used: it is malformed".to_owned()));
}

//! One row per observation: the kind of problem, and what its sentences must say.

use super::*;

fn address() -> SocketAddr {
    "10.0.0.1:443".parse().unwrap()
}

fn check(finding: &Finding, problem: &str, words: &[&str]) {
    let told = format!("{} {}", finding.text, finding.advice);
    assert_eq!(finding.problem, problem, "{told}");
    for sentence in [&finding.text, &finding.advice] {
        assert!(sentence.ends_with('.') && !sentence.ends_with(".."), "{sentence:?} is a sentence");
    }
    for word in words {
        assert!(told.contains(word), "{word} in {told}");
    }
}

fn greeting(code: u16, text: &str) -> Message {
    let text = format!(r#"{{"event":"pusher:error","data":{{"code":{code},"message":"{text}"}}}}"#);
    serde_json::from_str(&text).unwrap()
}

#[test]
fn ports_tell_why_they_cannot_be_reached() {
    let of = |kind: io::ErrorKind| of_port(address(), &kind.into());
    check(&of(io::ErrorKind::ConnectionRefused), "nothing_listens", &["10.0.0.1:443", "GAUNG_PORT", "GAUNG_HOST"]);
    check(&of(io::ErrorKind::TimedOut), "no_way", &["firewall"]);
    check(&of(io::ErrorKind::HostUnreachable), "no_way", &["unreachable"]);
}

#[test]
fn each_fault_of_tls_has_its_advice() {
    let of = |error: TlsError| of_tls("a.test", address(), &error);
    let certificate = |error| of(TlsError::InvalidCertificate(error));
    check(&of(TlsError::InvalidMessage(rustls::InvalidMessage::InvalidContentType)), "tls_on_plain", &["http://"]);
    check(&certificate(CertificateError::UnknownIssuer), "certificate", &["--ca", "a.test"]);
    check(&certificate(CertificateError::NotValidForName), "certificate", &["not valid for the name a.test"]);
    check(&certificate(CertificateError::Expired), "certificate", &["expired", "Renew"]);
    check(&certificate(CertificateError::NotValidYet), "certificate", &["clock"]);
    check(&certificate(CertificateError::Revoked), "certificate", &["not accepted"]);
    check(&of(TlsError::PeerSentOversizedRecord), "tls_cut", &["10.0.0.1:443"]);
}

#[test]
fn clocks_may_differ_by_a_minute() {
    for ahead in [None, Some(0), Some(60), Some(-60)] {
        assert!(of_clock(ahead).is_ok(), "{ahead:?}");
    }
    check(&of_clock(Some(61)).unwrap_err(), "clock", &["61 s before"]);
    check(&of_clock(Some(-7_200)).unwrap_err(), "clock", &["7200 s behind", "GAUNG_SIGNATURE_SECONDS"]);
}

#[test]
fn a_server_that_wants_no_traffic_is_not_ready() {
    assert!(of_readiness(200, "OK").is_ok());
    assert!(of_readiness(404, "").is_ok(), "the path may not be forwarded");
    check(&of_readiness(500, r#"{"error":"this node is full","code":500}"#).unwrap_err(), "not_ready", &["is full."]);
    check(&of_admin(503, "waiting").unwrap_err(), "not_ready", &["503 waiting"]);
}

#[test]
fn what_a_proxy_answers_to_an_upgrade_tells_what_it_did() {
    for (status, problem, word) in [
        (200, "upgrade_dropped", "proxy_set_header Upgrade"),
        (400, "upgrade_dropped", "Connection"),
        (426, "upgrade_dropped", "plain request"),
        (404, "path_unknown", "GAUNG_PATH_PREFIX"),
        (301, "redirected", "https://"),
        (403, "forbidden", "login"),
        (502, "gateway", "no server behind"),
        (500, "upgrade_refused", "500"),
    ] {
        check(&of_upgrade(status, "http://a.test/x"), problem, &[word]);
    }
}

#[test]
fn refusals_of_the_server_are_told_with_their_settings() {
    let of = |code, text: &str, origin| of_greeting(&greeting(code, text), "key-of-18-letters!", origin).unwrap_err();
    check(&of(4001, "no", None), "key_unknown", &["18 characters", "REVERB_APP_KEY"]);
    check(&of(4003, "no", None), "app_disabled", &["enabled"]);
    check(&of(4004, "no", None), "over_quota", &["GAUNG_APP_MAX_CONNECTIONS"]);
    check(&of(4100, "over quota on all nodes", None), "over_quota", &["max_connections"]);
    check(&of(4100, "Over capacity", None), "over_capacity", &["GAUNG_MAX_CONNECTIONS"]);
    check(&of(4100, Close::OverAddressLimit.text(), None), "over_address_limit", &["GAUNG_TRUSTED_PROXIES"]);
    for close in [Close::OverConnectionRate, Close::OverAddressRate] {
        check(&of(4100, close.text(), None), "over_connection_rate", &["GAUNG_MAX_CONNECTION_RATE"]);
    }
    check(&of(4009, "no", None), "origin_refused", &["--origin"]);
    check(&of(4009, "no", Some("https://b.test")), "origin_refused", &["https://b.test", "GAUNG_APP_ALLOWED_ORIGINS"]);
    check(&of(4007, "old", None), "refused", &["old (4007)"]);
    let welcome = serde_json::from_str(r#"{"event":"pusher:connection_established","data":"{}"}"#).unwrap();
    assert!(of_greeting(&welcome, "key", None).is_ok());
}

#[test]
fn a_key_is_never_told() {
    let finding = of_greeting(&greeting(4001, "no"), "a-secret-by-mistake", None).unwrap_err();
    assert!(!format!("{finding:?}").contains("mistake"));
}

#[test]
fn refusals_of_the_api_are_told_with_what_to_compare() {
    let of = |status, error: &str| of_api(status, &format!(r#"{{"error":"{error}"}}"#), "shop").unwrap_err();
    check(&of(401, "auth_timestamp is 900 s away"), "clock", &["900 s", "time server"]);
    check(&of(401, "unknown auth_key"), "key_unknown", &["key and id"]);
    check(&of(401, "invalid auth_signature"), "secret_wrong", &["REVERB_APP_SECRET"]);
    check(&of(403, "disabled"), "app_disabled", &["enabled"]);
    check(&of(404, "unknown app id"), "app_unknown", &["here shop"]);
    check(&of(404, "nothing here"), "path_unknown", &["/apps"]);
    check(&of(429, "too many"), "over_rate", &["events_per_second"]);
    check(&of(429, "of this address (GAUNG_MAX_CONNECTIONS_PER_IP)"), "over_address_limit", &["GAUNG_TRUSTED_PROXIES"]);
    check(&of(503, "all (GAUNG_MAX_HTTP_CONNECTIONS)"), "over_http_limit", &["more nodes"]);
    check(&of(502, ""), "gateway", &["proxy"]);
    check(&of(418, "teapot"), "api_refused", &["teapot"]);
    assert!(of_api(200, "{}", "shop").is_ok());
}

#[test]
fn an_answer_that_is_a_page_is_told_in_its_first_hundred_characters() {
    assert_eq!(reason(r#"{"error":"no"}"#), "no");
    assert_eq!(reason(&"é".repeat(200)), "é".repeat(100));
}

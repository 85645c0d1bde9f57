//! `gaung doctor` against a server that works, and against everything that may be wrong with one.

use serde_json::Value;

use crate::{
    common::process::{Process, run, serve, spawn},
    fake::{answer, collector, hang_up, page, proxy},
    tls::Folder,
};

const APP: [(&str, &str); 3] =
    [("GAUNG_APP_ID", "gaung"), ("GAUNG_APP_KEY", "gaung-key"), ("GAUNG_APP_SECRET", "gaung-secret")];

/// A server whose one app has these settings too.
fn serve_app(settings: &[(&str, &str)]) -> (Process, String) {
    let server = serve(&[&APP[..], settings].concat());
    let url = server.address("public");
    (server, url)
}

/// The app with one variable changed.
fn app_with(name: &str, value: &'static str) -> Vec<(&'static str, &'static str)> {
    APP.into_iter().map(|(known, before)| (known, if known == name { value } else { before })).collect()
}

/// The steps that fail and why; the exit code must agree, and nothing secret be told.
fn examine(arguments: &[&str], variables: &[(&str, &str)]) -> (Vec<String>, Value) {
    let (code, stdout, stderr) = run(&[&["doctor", "--json"], arguments].concat(), variables);
    let report: Value = serde_json::from_str(&stdout).unwrap_or_else(|error| panic!("{error}: {stdout}{stderr}"));
    let steps = report["steps"].as_array().expect("a list of steps");
    let failed = steps.iter().filter(|step| step["ok"] == false);
    let failed: Vec<_> = failed
        .map(|step| format!("{} {}", step["step"].as_str().expect("a name"), step["problem"].as_str().expect("a kind")))
        .collect();
    assert_eq!(report["ok"], failed.is_empty(), "{report}");
    assert_eq!(code, Some(i32::from(!failed.is_empty())), "{stdout}{stderr}");
    assert!(!stdout.contains("secret-of-mine") && !stderr.contains("secret-of-mine"), "{stdout}{stderr}");
    (failed, report)
}

fn check(arguments: &[&str], variables: &[(&str, &str)], expected: &[&str]) {
    let (failed, report) = examine(arguments, variables);
    assert_eq!(failed, expected, "{report}");
}

#[test]
fn a_server_that_works_passes_every_step_each_in_a_line() {
    let server = serve(&[]);
    let (code, stdout, stderr) = run(&["doctor", &server.address("public"), "--admin", &server.address("admin")], &[]);
    assert_eq!((code, stderr.as_str()), (Some(0), ""), "{stdout}");
    let steps: Vec<_> = stdout.lines().map(|line| line.split_whitespace().take(2).collect::<Vec<_>>()).collect();
    let names = [
        "name",
        "port",
        "http",
        "clock",
        "ready",
        "socket",
        "app",
        "signature",
        "streaming",
        "polling",
        "api",
        "event",
    ];
    assert_eq!(steps, names.map(|name| ["ok", name].to_vec()), "{stdout}");
}

#[test]
fn a_step_that_fails_is_a_line_with_what_to_do_and_the_exit_code_is_1() {
    let (code, stdout, stderr) = run(&["doctor", "http://127.0.0.1:1"], &[]);
    assert_eq!((code, stderr.as_str()), (Some(1), "gaung: 1 step failed\n"));
    let last = stdout.lines().last().expect("a line");
    assert!(last.starts_with("failed  port       Nothing listens at 127.0.0.1:1. Start the server"), "{stdout}");
}

#[test]
fn an_address_that_leads_nowhere_is_told() {
    check(&["http://no-such-host.invalid"], &[], &["name name_unknown"]);
    check(&["ws://127.0.0.1:1"], &[], &["port nothing_listens"]);
    check(&[&hang_up()], &[], &["http no_http"]);
}

#[test]
fn tls_of_a_plain_port_and_plain_of_a_tls_port_are_told() {
    let (_plain, url) = serve_app(&[]);
    check(&[&url.replace("http://", "wss://")], &[], &["tls tls_on_plain"]);
    let folder = Folder::new("doctor");
    let (cert, key) = (folder.cert().display().to_string(), folder.key().display().to_string());
    let (_tls, url) = serve_app(&[("GAUNG_TLS_CERT", &cert), ("GAUNG_TLS_KEY", &key)]);
    check(&[&url.replace("https://", "http://")], &APP, &["http plain_on_tls"]);
    check(&[&url], &APP, &["tls certificate"]);
    check(&[&url, "--ca", &cert], &APP, &[]);
    check(&[&hang_up().replace("http://", "https://")], &APP, &["tls tls_cut"]);
}

#[test]
fn a_proxy_that_drops_the_upgrade_is_told() {
    let (_server, url) = serve_app(&[]);
    let stripped = proxy(&url, |head| head.replace("upgrade: websocket\r\n", ""), |head| head);
    let (failed, report) = examine(&[&stripped], &APP);
    assert_eq!(failed, ["socket upgrade_dropped"], "{report}");
    assert!(report.to_string().contains("426"), "{report}");
}

#[test]
fn what_is_between_client_and_server_may_pass_some_transports_and_not_others() {
    let (_server, url) = serve_app(&[]);
    let lost = proxy(&url, |head| head.replace("xhr_send", "xhr_gone"), |head| head);
    check(&[&lost], &APP, &["streaming transport_send", "polling transport_send"]);
    let unrouted = proxy(&url, |head| head.replace("/pusher/app/", "/nowhere/"), |head| head);
    check(&[&unrouted], &APP, &["streaming transport_path_unknown", "polling transport_path_unknown"]);
    check(&[&collector(&url, "xhr_streaming")], &APP, &["streaming transport_held"]);
    let (_off, url) = serve_app(&[("GAUNG_APP_HTTP_TRANSPORTS", "false")]);
    check(&[&url], &APP, &[]);
}

#[test]
fn what_answers_in_the_servers_place_is_told_by_its_status() {
    for (fake, upgrade, transport, api) in [
        (answer(|_| page("200 OK", "<html>")), "socket upgrade_dropped", "transport_refused", ""),
        (answer(|_| page("400 Bad Request", "no")), "socket upgrade_dropped", "transport_refused", "api api_refused"),
        (
            answer(|_| page("404 Not Found", "<html>")),
            "socket path_unknown",
            "transport_path_unknown",
            "api path_unknown",
        ),
        (
            answer(|_| page("426 Upgrade Required", "")),
            "socket upgrade_dropped",
            "transport_refused",
            "api api_refused",
        ),
        (answer(|_| page("301 Moved Permanently", "")), "socket redirected", "transport_refused", "api api_refused"),
    ] {
        let transports = ["streaming", "polling"].map(|step| format!("{step} {transport}"));
        let expected = [upgrade, &transports[0], &transports[1], api];
        let expected: Vec<_> = expected.into_iter().filter(|step| !step.is_empty()).collect();
        check(&[&fake], &[], &expected);
    }
    check(&[&answer(|_| page("502 Bad Gateway", ""))], &[], &["http gateway"]);
}

#[test]
fn a_wrong_path_prefix_is_told_with_the_right_one() {
    let (_server, url) = serve_app(&[("GAUNG_PATH_PREFIX", "/realtime")]);
    for wrong in [url.clone(), format!("{url}/realtime/app"), format!("{url}/elsewhere")] {
        let (failed, report) = examine(&[&wrong], &APP);
        assert_eq!(failed[0], "socket wrong_prefix", "{wrong}: {report}");
        assert!(report.to_string().contains("Sockets are served under /realtime, not at"), "{report}");
    }
    check(&[&format!("{url}/realtime")], &APP, &[]);
    let (_server, url) = serve_app(&[("GAUNG_PATH_PREFIX", "/of-its-own")]);
    let (failed, report) = examine(&[&url], &APP);
    assert_eq!(failed[0], "socket path_unknown", "{report}");
    let known = [&APP[..], &[("GAUNG_PATH_PREFIX", "/of-its-own")]].concat();
    let (failed, report) = examine(&[&url], &known);
    assert_eq!(failed[0], "socket wrong_prefix", "{report}");
}

#[test]
fn wrong_credentials_are_told_each_by_what_it_breaks() {
    let (_server, url) = serve_app(&[]);
    let url = url.as_str();
    let secret = app_with("GAUNG_APP_SECRET", "secret-of-mine");
    check(&[url], &secret, &["signature secret_wrong", "api secret_wrong"]);
    let id = app_with("GAUNG_APP_ID", "another");
    check(&[url], &id, &["api app_unknown"]);
    let key = app_with("GAUNG_APP_KEY", "secret-of-mine");
    let (failed, report) = examine(&[url], &key);
    assert_eq!(failed, ["app key_unknown", "api key_unknown"]);
    assert!(report.to_string().contains("14 characters"), "{report}");
}

#[test]
fn an_origin_that_is_refused_is_told() {
    let (_server, url) = serve_app(&[("GAUNG_APP_ALLOWED_ORIGINS", "*.example.com")]);
    check(&[&url], &APP, &["app origin_refused"]);
    check(&[&url, "--origin", "https://evil.test"], &APP, &["app origin_refused"]);
    check(&[&url, "--origin", "https://shop.example.com"], &APP, &[]);
}

#[test]
fn an_app_that_is_switched_off_or_full_is_told() {
    let (_off, url) = serve_app(&[("GAUNG_APP_ENABLED", "false")]);
    check(&[&url], &APP, &["app app_disabled", "api app_disabled"]);
    let (_full, url) = serve_app(&[("GAUNG_APP_MAX_CONNECTIONS", "1")]);
    let seated = spawn(&["subscribe", "--url", &url, "c"], &APP);
    seated.wait_for("subscription", || seated.stderr().contains("subscription_succeeded"));
    check(&[&url], &APP, &["app over_quota"]);
}

#[test]
fn a_server_that_is_not_ready_is_told_by_either_port() {
    let (server, url) = serve_app(&[("GAUNG_NATS_URL", "nats://127.0.0.1:1")]);
    for arguments in [&[url.as_str()][..], &[&url, "--admin", &server.address("admin")]] {
        let (failed, report) = examine(arguments, &APP);
        assert_eq!(failed[0], "ready not_ready", "{report}");
    }
    let (_server, url) = serve_app(&[]);
    check(&[&url, "--admin", "http://127.0.0.1:1"], &APP, &["ready not_ready"]);
}

#[test]
fn a_clock_that_is_wrong_is_told_by_the_date() {
    let (_server, url) = serve_app(&[]);
    let late = proxy(
        &url,
        |head| head,
        |head| {
            let lines = head.split("\r\n").map(|line| match line.split_once(": ") {
                Some((name, _)) if name.eq_ignore_ascii_case("date") => "date: Sun, 06 Nov 1994 08:49:37 GMT",
                _ => line,
            });
            lines.collect::<Vec<_>>().join("\r\n")
        },
    );
    let (failed, report) = examine(&[&late], &APP);
    assert_eq!(failed, ["clock clock"], "{report}");
    assert!(report.to_string().contains("s behind this machine's"), "{report}");
}

#[test]
fn what_cannot_be_examined_ends_with_exit_code_2() {
    for arguments in [&["sockets.test"][..], &["http://a.test", "--url", "http://a.test"], &["http://"]] {
        let (code, stdout, stderr) = run(&[&["doctor"], arguments].concat(), &[]);
        assert_eq!((code, stdout.as_str()), (Some(2), ""), "{arguments:?} {stderr}");
    }
}

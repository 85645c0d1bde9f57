//! `gaung roundtrip` against one server, or what should have been one.

use std::{fs, net::TcpListener};

use crate::common::process::{run, serve};

/// The credentials of the development app, with another secret.
const WRONG: [(&str, &str); 3] =
    [("GAUNG_APP_ID", "gaung"), ("GAUNG_APP_KEY", "gaung-key"), ("GAUNG_APP_SECRET", "wrong")];

/// Fails unless the command ends with 1, prints nothing else and says this.
fn check_failure(arguments: &[&str], variables: &[(&str, &str)], expected: &[&str]) {
    let (code, _, stderr) = run(&[&["roundtrip"], arguments].concat(), variables);
    assert_eq!(code, Some(1), "{stderr}");
    assert_eq!(stderr.lines().count(), 1, "{stderr}");
    for expected in expected {
        assert!(stderr.contains(expected), "{expected} in {stderr}");
    }
}

#[test]
fn a_server_that_works_is_told_of_with_times_and_exit_code_0() {
    let server = serve(&[]);
    let (public, admin) = (server.address("public"), server.address("admin"));
    let (code, stdout, stderr) = run(&["roundtrip", "--url", &public, "--admin", &admin, "--times", "3"], &[]);
    assert_eq!((code, stderr.as_str()), (Some(0), ""));
    let lines: Vec<_> = stdout.lines().collect();
    let [ready, events, times] = lines[..] else { panic!("three lines: {stdout}") };
    assert_eq!(ready, format!("{admin} is ready"));
    assert!(events.starts_with("3 events on private-gaung-roundtrip-"), "{stdout}");
    assert!(events.ends_with(": both sockets heard each, in order"), "{stdout}");
    assert!(times.starts_with("from node to socket: median ") && times.contains("no benchmark"), "{stdout}");
}

#[test]
fn an_address_of_sockets_will_do_and_each_run_has_a_channel_of_its_own() {
    let server = serve(&[]);
    let url = server.address("public").replace("http://", "ws://");
    let channel = || {
        let (code, stdout, stderr) = run(&["roundtrip", "--url", &url], &[]);
        assert_eq!(code, Some(0), "{stderr}");
        assert!(stdout.starts_with("10 events on "), "{stdout}");
        stdout.lines().next().map(str::to_owned)
    };
    assert_ne!(channel(), channel());
}

#[test]
fn an_app_with_allowed_origins_hears_from_a_page_of_one_of_them() {
    let app = [("GAUNG_APP_ID", "gaung"), ("GAUNG_APP_KEY", "gaung-key"), ("GAUNG_APP_SECRET", "gaung-secret")];
    let server = serve(&[&app[..], &[("GAUNG_APP_ALLOWED_ORIGINS", "*.example.com")]].concat());
    let url = server.address("public");
    check_failure(&["--url", &url], &[], &["the first socket: ", "Origin not allowed (allowed_origins)"]);
    let (code, _, stderr) = run(&["roundtrip", "--url", &url, "--origin", "https://shop.example.com"], &[]);
    assert_eq!(code, Some(0), "{stderr}");
}

/// One that takes nobody, one for pages of one origin alone, and one for all.
const SEVERAL: &str = r#"{"apps":[
    {"id":"off","key":"off-key","secret":"change-me","enabled":false},
    {"id":"shop","key":"shop-key","secret":"change-me","allowed_origins":["shop.example.com"]},
    {"id":"blog","key":"blog-key","secret":"change-me-too"}
]}"#;

#[test]
fn of_several_apps_it_takes_one_that_sockets_from_everywhere_may_join_unless_told_which() {
    let file = std::env::temp_dir().join(format!("gaung-roundtrip-{}.json", std::process::id()));
    fs::write(&file, SEVERAL).unwrap();
    let apps = [("GAUNG_APPS_FILE", file.to_str().unwrap())];
    let server = serve(&apps);
    let url = server.address("public");
    let (code, _, stderr) = run(&["roundtrip", "--url", &url], &apps);
    assert_eq!(code, Some(0), "{stderr}");
    check_failure(&["--url", &url, "--app", "shop"], &apps, &["Origin not allowed (allowed_origins)"]);
    let (code, _, stderr) = run(&["roundtrip", "--url", &url, "--app", "blog"], &apps);
    assert_eq!(code, Some(0), "{stderr}");
    fs::remove_file(file).unwrap();
}

#[test]
fn a_wrong_secret_is_told_by_the_first_socket() {
    let server = serve(&[]);
    check_failure(&["--url", &server.address("public")], &WRONG, &["gaung: the first socket: ", "signature"]);
}

#[test]
fn an_unknown_key_is_told_by_the_first_socket() {
    let server = serve(&[]);
    let app = [("GAUNG_APP_ID", "gaung"), ("GAUNG_APP_KEY", "unknown"), ("GAUNG_APP_SECRET", "gaung-secret")];
    check_failure(
        &["--url", &server.address("public")],
        &app,
        &["gaung: the first socket: Application does not exist; its key has 7 characters (4001)"],
    );
}

#[test]
fn events_that_are_refused_are_told_with_the_servers_reason() {
    let server = serve(&[("GAUNG_APP_ID", "gaung"), ("GAUNG_APP_KEY", "gaung-key"), ("GAUNG_APP_SECRET", "s")]);
    let other = [("GAUNG_APP_ID", "another"), ("GAUNG_APP_KEY", "gaung-key"), ("GAUNG_APP_SECRET", "s")];
    check_failure(
        &["--url", &server.address("public")],
        &other,
        &["gaung: the event was refused: 404 ", "unknown app id (7 characters)"],
    );
}

#[test]
fn a_server_that_is_not_ready_is_told_with_what_it_waits_for() {
    let server = serve(&[("GAUNG_NATS_URL", "nats://127.0.0.1:1")]);
    let (public, admin) = (server.address("public"), server.address("admin"));
    check_failure(
        &["--url", &public, "--admin", &admin],
        &[],
        &[&format!("gaung: the server at {admin} is not ready: 503 "), "waiting for NATS"],
    );
}

#[test]
fn an_address_where_nobody_is_is_told() {
    check_failure(
        &["--url", "http://127.0.0.1:1"],
        &[],
        &["gaung: the first socket: cannot open a socket at http://127.0.0.1:1: "],
    );
    check_failure(
        &["--url", "http://127.0.0.1:1", "--admin", "http://127.0.0.1:2/"],
        &[],
        &["gaung: http://127.0.0.1:2/readyz does not answer: "],
    );
}

#[test]
fn a_server_that_takes_connections_and_says_nothing_is_given_up_in_time() {
    let silent = TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
    let url = format!("http://{}", silent.local_addr().expect("it is bound"));
    check_failure(
        &["--url", &url, "--timeout", "1"],
        &[],
        &["gaung: the first socket: was not greeted within 1 s; look at the log and /readyz"],
    );
}

#[test]
fn what_cannot_be_asked_for_ends_with_exit_code_2() {
    for arguments in [&["--times", "0"][..], &["--timeout", "0"], &["--url", "sockets.test"], &["--ca", "/missing"]] {
        let (code, stdout, stderr) = run(&[&["roundtrip"], arguments].concat(), &[]);
        assert_eq!((code, stdout.as_str()), (Some(2), ""), "{stderr}");
        assert!(!stderr.is_empty(), "{arguments:?}");
    }
}

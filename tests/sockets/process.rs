//! The program as a process: what it prints, how it ends, and what its commands do.

use std::os::{
    linux::net::SocketAddrExt,
    unix::net::{SocketAddr, UnixDatagram},
};

use crate::{
    common::process::{Process, run, serve, spawn},
    harness::{Client, PATIENCE},
    raw::UPGRADE,
};

#[test]
fn a_server_without_any_configuration_prints_where_it_is_and_what_to_paste() {
    let server = serve(&[]);
    let stdout = server.stdout();
    let port = server.address("public").replace("http://127.0.0.1:", "");
    assert!(port.parse::<u16>().is_ok_and(|port| port > 0), "{stdout}");
    assert!(server.address("admin").starts_with("http://127.0.0.1:"), "{stdout}");
    for expected in
        ["app     gaung\n", "REVERB_APP_SECRET=gaung-secret\n", &format!("REVERB_PORT={port}\n"), "new Echo({"]
    {
        assert!(stdout.contains(expected), "{expected} in {stdout}");
    }
}

#[test]
fn all_problems_of_the_configuration_are_told_at_once_with_exit_code_2() {
    let (code, stdout, stderr) = run(&[], &[("GAUNG_PROT", "1"), ("GAUNG_HTTP_THREADS", "0")]);
    assert_eq!((code, stdout.as_str()), (Some(2), ""));
    assert_eq!(
        stderr,
        "gaung: GAUNG_HTTP_THREADS is \"0\"; it must be a whole number from 1 to 512\n\
         gaung: GAUNG_PROT is unknown; did you mean GAUNG_PORT?\n"
    );
}

#[test]
fn a_server_for_everybody_needs_an_app() {
    let (code, _, stderr) = run(&[], &[("GAUNG_HOST", "0.0.0.0"), ("GAUNG_PORT", "0")]);
    assert_eq!(code, Some(2));
    assert!(stderr.starts_with("gaung: GAUNG_HOST is 0.0.0.0 but no app is configured; set GAUNG_APP_ID,"), "{stderr}");
}

#[test]
fn a_port_that_is_taken_is_named_with_its_settings() {
    let server = serve(&[]);
    let port = server.address("public").replace("http://127.0.0.1:", "");
    let (code, _, stderr) = run(&[], &[("GAUNG_PORT", &port), ("GAUNG_ADMIN_PORT", "0")]);
    assert_eq!(code, Some(1));
    assert!(stderr.contains(&format!("cannot listen on 127.0.0.1:{port} (GAUNG_HOST, GAUNG_PORT)")), "{stderr}");
}

#[test]
fn sigterm_and_sigint_end_a_server_with_exit_code_0() {
    for signal in ["-TERM", "-INT"] {
        let mut server = serve(&[]);
        server.signal(signal);
        assert_eq!(server.exit_code(), Some(0), "{signal}");
    }
}

#[actix::test]
async fn a_second_signal_ends_a_long_drain_at_once() {
    let mut server = serve(&[("GAUNG_DRAIN_SECONDS", "300")]);
    let mut clients = [server.connect("/app/gaung-key").await, server.connect("/app/gaung-key").await];
    for client in &mut clients {
        client.expect("pusher:connection_established").await;
    }
    let admin = server.address("admin");
    let health = || run(&["health", "--url", &admin], &[]).0;
    assert_eq!(health(), Some(0));
    server.signal("-TERM");
    server.wait_for("drain", || health() == Some(1));
    assert!(server.is_running());
    server.signal("-TERM");
    assert_eq!(server.exit_code(), Some(130));
}

/// A server whose load balancers may take five minutes, with a client.
async fn serve_slow_to_leave() -> (Process, Client) {
    let server = serve(&[("GAUNG_DRAIN_LAG_SECONDS", "300"), ("GAUNG_DRAIN_SECONDS", "0")]);
    let client = server.connect("/app/gaung-key").await.greeted().await;
    (server, client)
}

#[actix::test]
async fn after_sigterm_load_balancers_have_time_and_a_second_signal_takes_it_away() {
    let (mut server, mut client) = serve_slow_to_leave().await;
    let admin = server.address("admin");
    server.signal("-TERM");
    server.wait_for("lag", || run(&["health", "--url", &admin], &[]).0 == Some(1));
    assert_eq!(run(&["health", "--live", "--url", &admin], &[]), (Some(0), "ok\n".to_owned(), String::new()));
    client.expect_silence().await;
    let _late = server.connect("/app/gaung-key").await.greeted().await;
    server.signal("-TERM");
    assert_eq!(server.exit_code(), Some(130));
}

#[actix::test]
async fn after_sigint_no_load_balancer_is_waited_for() {
    let (mut server, mut client) = serve_slow_to_leave().await;
    server.signal("-INT");
    assert_eq!(client.expect_close().await.0, 4200);
    assert_eq!(server.exit_code(), Some(0));
}

#[test]
fn health_says_by_its_exit_code_whether_a_server_is_ready() {
    let mut server = serve(&[]);
    let admin = server.address("admin");
    let port = admin.replace("http://127.0.0.1:", "");
    let (code, stdout, _) = run(&["health"], &[("GAUNG_ADMIN_PORT", &port)]);
    assert_eq!(code, Some(0));
    assert!(stdout.starts_with(r#"{"ready":true"#), "{stdout}");
    server.signal("-TERM");
    assert_eq!(server.exit_code(), Some(0));
    let (code, _, stderr) = run(&["health", "--url", &admin], &[]);
    assert_eq!(code, Some(1));
    assert!(stderr.contains("does not answer"), "{stderr}");
}

#[test]
fn peers_prints_the_nodes_as_a_table_or_as_the_admin_port_tells_them() {
    let server = serve(&[]);
    let admin = server.address("admin");
    let version = env!("CARGO_PKG_VERSION");
    let (code, stdout, _) = run(&["peers", "--admin", &admin], &[]);
    let lines: Vec<Vec<_>> = stdout.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(code, Some(0));
    assert_eq!(lines[0], ["NODE", "VERSION", "STAGE", "READINESS", "AGE", "SESSIONS", "PAGES", "HANDOVERS"]);
    assert_eq!(lines[1], ["-", version, "live", "ready", "-", "0", "0", "0", "this", "node"]);
    assert_eq!(lines.len(), 2, "{stdout}");
    let (code, stdout, _) = run(&["peers", "--json"], &[("GAUNG_ADMIN_PORT", &admin.replace("http://127.0.0.1:", ""))]);
    assert_eq!(code, Some(0));
    assert!(stdout.starts_with(r#"[{"node":null,"this":true,"#), "{stdout}");
}

#[test]
fn peers_says_that_an_admin_port_does_not_answer() {
    let (code, stdout, stderr) = run(&["peers", "--admin", "http://127.0.0.1:1"], &[]);
    assert_eq!((code, stdout.as_str()), (Some(1), ""));
    assert!(stderr.starts_with("gaung: http://127.0.0.1:1/peers does not answer: "), "{stderr}");
}

#[test]
fn check_masks_what_logs_in_to_nats() {
    let cluster = [("GAUNG_NATS_URL", "nats://me:s3cret@nats.example,tls://127.0.0.1:1")];
    let (code, stdout, stderr) = run(&["check"], &cluster);
    assert_eq!(code, Some(0), "{stderr}");
    let shown = "\nGAUNG_NATS_URL=nats://********@nats.example,tls://127.0.0.1:1  # environment\n";
    assert!(stdout.contains(shown) && !stdout.contains("s3cret"), "{stdout}");
    let (code, stdout, stderr) = run(&["check"], &[("GAUNG_NATS_TOKEN", "s3cret")]);
    assert_eq!((code, stdout.as_str()), (Some(2), ""));
    assert_eq!(stderr, "gaung: GAUNG_NATS_TOKEN is set but GAUNG_NATS_URL is not; without it the node is alone\n");
}

#[test]
fn check_prints_what_is_in_force_and_masks_secrets() {
    let app = [("GAUNG_APP_ID", "1"), ("GAUNG_APP_KEY", "the-key"), ("GAUNG_APP_SECRET", "the-sensitive-secret")];
    let (code, stdout, stderr) = run(&["check"], &[&app[..], &[("REVERB_SERVER_PORT", "7001")]].concat());
    assert_eq!((code, stderr.as_str()), (Some(0), ""));
    for expected in ["GAUNG_APP_KEY=the-key  # environment\n", "GAUNG_PORT=7001  # REVERB_SERVER_PORT\n"] {
        assert!(stdout.contains(expected), "{expected} in {stdout}");
    }
    assert!(stdout.contains("GAUNG_APP_SECRET=********  # environment\n"), "{stdout}");
    assert!(!stdout.contains("sensitive"), "{stdout}");
}

#[test]
fn an_event_that_is_triggered_is_printed_by_subscribe_with_its_latency() {
    let server = serve(&[]);
    let url = server.address("public");
    let mut subscriber = spawn(&["subscribe", "--count", "1", "--url", &url, "products.42"], &[]);
    subscriber.wait_for("subscription", || subscriber.stderr().contains("pusher_internal:subscription_succeeded"));
    let (code, stdout, stderr) =
        run(&["trigger", "--url", &url, "products.42", "product.updated", r#"{"productId":"7"}"#], &[]);
    assert_eq!((code, stderr.as_str()), (Some(0), ""));
    assert!(stdout.starts_with("200 {} "), "{stdout}");
    assert_eq!(subscriber.exit_code(), Some(0));
    let line = subscriber.stdout();
    assert!(line.contains(r#"  products.42  product.updated  {"productId":"7"}  "#), "{line}");
    assert!(line.ends_with(" ms\n"), "{line}");
}

#[test]
fn a_trigger_that_is_refused_says_why() {
    let server = serve(&[]);
    let wrong = [("GAUNG_APP_ID", "gaung"), ("GAUNG_APP_KEY", "gaung-key"), ("GAUNG_APP_SECRET", "wrong")];
    let (code, _, stderr) = run(&["trigger", "--url", &server.address("public"), "c", "e", "{}"], &wrong);
    assert_eq!(code, Some(1));
    assert!(stderr.starts_with("gaung: the event was refused: 401 "), "{stderr}");
}

#[test]
fn a_client_that_sends_half_a_handshake_does_not_hold_up_the_end() {
    use std::io::Write;
    let mut server = serve(&[]);
    let address = server.address("public").replace("http://", "");
    let mut socket = std::net::TcpStream::connect(address).expect("the server accepts");
    socket.write_all(&UPGRADE.as_bytes()[..40]).expect("the server reads");
    server.signal("-TERM");
    assert_eq!(server.exit_code(), Some(0));
}

#[test]
fn a_line_of_a_json_log_is_one_flat_object() {
    let server = serve(&[("GAUNG_LOG_FORMAT", "json")]);
    let log = server.stderr();
    let line = log.lines().find(|line| line.contains("descriptor limit")).expect("the server has said so");
    let line: serde_json::Map<String, serde_json::Value> = serde_json::from_str(line).expect("the line is an object");
    let names: Vec<_> = line.keys().map(String::as_str).collect();
    assert_eq!(names, ["descriptors", "level", "message", "target", "timestamp"]);
    assert!(line["descriptors"].is_u64() && line["level"] == "INFO", "{line:?}");
}

/// What systemd was told next.
fn told(systemd: &UnixDatagram) -> String {
    let mut buffer = [0; 64];
    let length = systemd.recv(&mut buffer).expect("systemd is told within the time-out");
    String::from_utf8_lossy(&buffer[..length]).into_owned()
}

#[test]
fn systemd_is_told_when_the_server_is_ready_and_when_it_goes() {
    let folder = std::env::temp_dir().join(format!("gaung-systemd-{}", std::process::id()));
    let path = folder.to_str().expect("the path is text");
    let name = format!("gaung-systemd-{}", std::process::id());
    let hidden = SocketAddr::from_abstract_name(&name).expect("the name is short");
    let visible = UnixDatagram::bind(&folder).expect("the path is free");
    let hidden = UnixDatagram::bind_addr(&hidden).expect("the name is free");
    for (systemd, socket) in [(visible, path), (hidden, &format!("@{name}"))] {
        systemd.set_read_timeout(Some(PATIENCE)).expect("it can be set");
        let mut server = serve(&[("NOTIFY_SOCKET", socket)]);
        assert_eq!(told(&systemd), "READY=1");
        server.signal("-TERM");
        assert_eq!(told(&systemd), "STOPPING=1");
        assert_eq!(server.exit_code(), Some(0));
    }
    std::fs::remove_file(folder).expect("the socket is still there");
}

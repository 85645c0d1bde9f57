//! `gaung channels`, `gaung users` and `gaung events` against a real server.

use serde_json::{Value, json};

use crate::common::process::{Process, run, serve, spawn};

/// A subscriber of these channels that hears of them already.
fn subscribed(url: &str, user: &str, channels: &[&str]) -> Process {
    let subscriber = spawn(&[&["subscribe", "--url", url, "--user", user], channels].concat(), &[]);
    subscriber.wait_for("subscriptions", || {
        subscriber.stderr().matches("pusher_internal:subscription_succeeded").count() == channels.len()
    });
    subscriber
}

fn stdout(arguments: &[&str]) -> String {
    let (code, stdout, stderr) = run(arguments, &[]);
    assert_eq!((code, stderr.as_str()), (Some(0), ""), "{arguments:?}");
    stdout
}

fn object(arguments: &[&str]) -> Value {
    serde_json::from_str(&stdout(arguments)).expect("the output is JSON")
}

#[test]
fn channels_are_listed_with_their_subscriptions_and_those_of_presence_with_their_users() {
    let server = serve(&[]);
    let url = server.address("public");
    let _tabs = [subscribed(&url, "7", &["orders", "presence-room"]), subscribed(&url, "7", &["presence-room"])];
    assert_eq!(
        stdout(&["channels", "--url", &url]),
        "CHANNEL        SUBSCRIPTIONS  USERS\norders         1              -\npresence-room  2              1\n"
    );
    assert_eq!(
        stdout(&["channels", "--url", &url, "--prefix", "ord"]),
        "CHANNEL  SUBSCRIPTIONS  USERS\norders   1              -\n"
    );
    assert_eq!(
        object(&["channels", "--url", &url, "--json"]),
        json!({"channels": {
            "orders": {"subscription_count": 1},
            "presence-room": {"subscription_count": 2, "user_count": 1},
        }})
    );
}

#[test]
fn nobodys_server_has_no_channels() {
    let server = serve(&[]);
    let url = server.address("public");
    assert_eq!(stdout(&["channels", "--url", &url]), "CHANNEL  SUBSCRIPTIONS  USERS\n");
    assert_eq!(object(&["channels", "--url", &url, "--json"]), json!({"channels": {}}));
}

#[test]
fn users_of_a_presence_channel_are_listed_each_once() {
    let server = serve(&[]);
    let url = server.address("public");
    let _tabs = ["7", "7", "42"].map(|user| subscribed(&url, user, &["presence-room"]));
    let listed = stdout(&["users", "--url", &url, "presence-room"]);
    let mut lines: Vec<_> = listed.lines().collect();
    lines[1..].sort_unstable();
    assert_eq!(lines, ["USER", "42", "7"]);
    let told = stdout(&["users", "--url", &url, "presence-room", "--info"]);
    assert!(told.lines().any(|line| line == r#"42    {"name":"42"}"#), "{told}");
    let users = object(&["users", "--url", &url, "presence-room", "--json"]);
    assert_eq!(users["users"].as_array().map(Vec::len), Some(2), "{users}");
    assert!(users["users"][0]["id"].is_string() && users["users"][0].get("user_info").is_none(), "{users}");
}

/// The id, name and payload of each event, and what is said of them all.
fn events(url: &str, arguments: &[&str]) -> (Vec<String>, String) {
    let (code, stdout, stderr) = run(&[&["events", "--url", url, "orders"], arguments].concat(), &[]);
    assert_eq!(code, Some(0), "{stderr}");
    (stdout.lines().map(str::to_owned).collect(), stderr.trim().to_owned())
}

#[test]
fn what_a_channel_keeps_is_printed_an_event_a_line_and_whether_it_is_whole() {
    let server = serve(&[]);
    let url = server.address("public");
    assert_eq!(events(&url, &[]), (vec![], "position none".to_owned()));
    let _tab = subscribed(&url, "7", &["orders"]);
    for name in ["paid", "sent", "gone"] {
        stdout(&["trigger", "--url", &url, "orders", name, "{}"]);
    }
    let (all, end) = events(&url, &[]);
    let ids: Vec<_> = all.iter().map(|line| line.split("  ").next().unwrap_or_default()).collect();
    let lines = [("paid", ids[0]), ("sent", ids[1]), ("gone", ids[2])].map(|(name, id)| format!("{id}  {name}  {{}}"));
    assert_eq!(all, lines);
    assert_eq!(end, format!("position {}", ids[2]));
    let (rest, end) = events(&url, &["--since", ids[0], "--limit", "1"]);
    assert_eq!((rest, end), (vec![all[1].clone()], format!("complete  position {}", ids[1])));
    let (_, end) = events(&url, &["--since", "000000-1"]);
    assert!(end.starts_with("incomplete: events may be missing  position "), "{end}");
    let (json, _) = events(&url, &["--limit", "1", "--json"]);
    let event: Value = serde_json::from_str(&json[0]).expect("the line is JSON");
    assert_eq!((&event["id"], &event["event"], &event["data"]), (&json!(ids[0]), &json!("paid"), &json!("{}")));
    assert!(event["accepted_at_us"].is_u64(), "{event}");
}

#[test]
fn what_the_api_refuses_is_told_with_its_reason_and_exit_code_1() {
    let server = serve(&[]);
    let url = server.address("public");
    let (code, stdout, stderr) = run(&["users", "--url", &url, "orders"], &[]);
    assert_eq!((code, stdout.as_str()), (Some(1), ""));
    assert!(stderr.starts_with("gaung: the request was refused: 400 "), "{stderr}");
    assert!(stderr.contains("does not start with presence-"), "{stderr}");
    let wrong = [("GAUNG_APP_ID", "gaung"), ("GAUNG_APP_KEY", "gaung-key"), ("GAUNG_APP_SECRET", "wrong")];
    let (code, _, stderr) = run(&["channels", "--url", &url], &wrong);
    assert_eq!(code, Some(1));
    assert!(stderr.starts_with("gaung: the request was refused: 401 "), "{stderr}");
}

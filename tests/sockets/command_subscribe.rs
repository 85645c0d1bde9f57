//! `gaung subscribe` that comes back after its connection is lost: what it missed, and whether that was everything.

use serde_json::Value;

use crate::{
    common::process::{Process, run, serve, spawn},
    relay::Relay,
};

const ID: &str = "3f0c7a52-8f8e-4a5e-9d0e-2f4b6f1a9c1d";

/// A development server that was not restarted lately, as far as pages are concerned.
fn start() -> (Process, Relay) {
    let server = serve(&[("GAUNG_PAGE_DOUBT_SECONDS", "0")]);
    let relay = Relay::start(&server.address("public"));
    (server, relay)
}

/// A subscriber behind the relay, which has subscribed.
fn subscribe(relay: &Relay, arguments: &[&str]) -> Process {
    let url = format!("http://{}", relay.address);
    let subscriber = spawn(&[&["subscribe", "products.42", "--json", "--url", &url], arguments].concat(), &[]);
    subscriber.wait_for("subscription", || subscriber.stderr().contains("subscription_succeeded"));
    subscriber
}

fn publish(server: &Process, names: &[&str]) {
    for name in names {
        let url = server.address("public");
        let (code, _, stderr) = run(&["trigger", "products.42", name, "{}", "--url", &url], &[]);
        assert_eq!(code, Some(0), "{stderr}");
    }
}

/// Cuts the subscriber, and lets it come back once these events are published.
fn cut(relay: &Relay, server: &Process, subscriber: &Process, names: &[&str]) {
    let held = relay.hold();
    relay.cut();
    subscriber.wait_for("loss", || subscriber.stderr().contains("; connecting again\n"));
    publish(server, names);
    drop(held);
}

/// The events that it printed, in order.
fn events(subscriber: &Process) -> Vec<Value> {
    subscriber.stdout().lines().map(|line| serde_json::from_str(line).expect("an object")).collect()
}

fn names(subscriber: &Process) -> Vec<String> {
    events(subscriber).iter().map(|event| event["event"].as_str().unwrap_or_default().to_owned()).collect()
}

fn is_resumed(subscriber: &Process, how: &str) -> bool {
    subscriber.stderr().lines().any(|line| line.ends_with(&format!("pusher:resumed  {how}")))
}

#[test]
fn a_subscriber_with_a_resume_id_comes_back_and_prints_what_it_missed() {
    let (server, relay) = start();
    let mut subscriber = subscribe(&relay, &["--resume", ID, "--count", "3"]);
    cut(&relay, &server, &subscriber, &["b", "c"]);
    subscriber.wait_for("end of the replay", || is_resumed(&subscriber, r#"{"complete":true,"replayed":2}"#));
    publish(&server, &["d"]);
    assert_eq!(subscriber.exit_code(), Some(0));
    assert_eq!(names(&subscriber), ["b", "c", "d"]);
    assert!(!subscriber.stderr().contains(ID), "{}", subscriber.stderr());
}

#[test]
fn a_subscriber_with_a_position_begins_after_it_and_prints_nothing_twice() {
    let (server, relay) = start();
    let mut first = subscribe(&relay, &["--count", "1"]);
    publish(&server, &["a"]);
    assert_eq!(first.exit_code(), Some(0));
    let position = events(&first)[0]["id"].as_str().expect("an id").to_owned();
    publish(&server, &["b"]);
    let mut subscriber = subscribe(&relay, &["--since", &position, "--count", "3"]);
    subscriber.wait_for("replay", || is_resumed(&subscriber, r#"{"complete":true,"replayed":1}"#));
    cut(&relay, &server, &subscriber, &["c", "d"]);
    assert_eq!(subscriber.exit_code(), Some(0));
    assert_eq!(names(&subscriber), ["b", "c", "d"]);
}

#[test]
fn a_subscriber_is_told_that_something_may_be_missing() {
    let (_server, relay) = start();
    let subscriber = subscribe(&relay, &["--since", "000000-1"]);
    subscriber.wait_for("word", || is_resumed(&subscriber, r#"{"complete":false,"replayed":0}"#));
}

#[test]
fn a_subscriber_whose_id_another_one_takes_stays_away() {
    let (_server, relay) = start();
    let mut older = subscribe(&relay, &["--resume", ID]);
    let _newer = subscribe(&relay, &["--resume", ID]);
    assert_eq!(older.exit_code(), Some(1));
    assert!(older.stderr().contains("The page has opened a newer socket"), "{}", older.stderr());
}

#[test]
fn a_subscriber_without_either_ends_with_its_connection() {
    let (_server, relay) = start();
    let mut subscriber = subscribe(&relay, &[]);
    relay.cut();
    assert_eq!(subscriber.exit_code(), Some(1));
}

#[test]
fn wrong_ids_and_positions_are_refused_and_the_id_is_not_shown() {
    for (arguments, problem) in [
        (&["a", "--resume", "too-short"][..], "the resume id has 9 characters; it must have 16 to 64"),
        (&["a", "--since", "17"], "since must be the ids of events"),
        (&["a", "b", "--since", "k3x09a-17"], "--since is the position of one channel; 2 are given"),
    ] {
        let (code, _, stderr) = run(&[&["subscribe"], arguments].concat(), &[]);
        assert_eq!(code, Some(2), "{stderr}");
        assert!(stderr.contains(problem) && !stderr.contains("too-short"), "{stderr}");
    }
}

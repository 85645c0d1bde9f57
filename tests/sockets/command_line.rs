//! What all commands have in common: help, completions, exit codes, and JSON for programs.

use serde_json::{Value, json};

use crate::common::process::{run, serve, spawn};

fn object(arguments: &[&str], variables: &[(&str, &str)], code: i32) -> Value {
    let (actual, stdout, stderr) = run(arguments, variables);
    assert_eq!(actual, Some(code), "{arguments:?} {stdout}{stderr}");
    serde_json::from_str(&stdout).unwrap_or_else(|error| panic!("{error}: {stdout}"))
}

#[test]
fn help_groups_the_commands_and_tells_the_exit_codes() {
    let (code, stdout, _) = run(&["--help"], &[]);
    assert_eq!(code, Some(0));
    for line in ["Look at a running server:", "Test a deployment:", "Exit codes:"] {
        assert!(stdout.lines().any(|told| told == line), "{line} in {stdout}");
    }
    let (code, stdout, _) = run(&["help", "doctor"], &[]);
    assert_eq!(code, Some(0));
    assert!(stdout.contains("Examples:\n  gaung doctor wss://ws.example.com\n"), "{stdout}");
    assert!(stdout.contains("Exit codes:\n  0  done\n"), "{stdout}");
}

#[test]
fn completions_know_every_command() {
    for shell in ["bash", "zsh", "fish"] {
        let (code, script, stderr) = run(&["completions", shell], &[]);
        assert_eq!((code, stderr.as_str()), (Some(0), ""), "{shell}");
        for word in ["doctor", "roundtrip", "completions", "prefix"] {
            assert!(script.contains(word), "{word} for {shell}");
        }
    }
    assert_eq!(run(&["completions", "cobol"], &[]).0, Some(2));
}

#[test]
fn wrong_arguments_and_addresses_end_every_command_with_exit_code_2() {
    for arguments in [
        &["nonsense"][..],
        &["channels", "--url", "sockets.test"],
        &["users"],
        &["trigger", "--url", "http://", "c", "e", "d"],
        &["roundtrip", "--url", "http://"],
        &["roundtrip", "--admin", "127.0.0.1:9601"],
        &["peers", "--admin", "127.0.0.1:9601"],
        &["health", "--url", "127.0.0.1:9601"],
        &["subscribe"],
        &["sign"],
    ] {
        let (code, stdout, stderr) = run(arguments, &[]);
        assert_eq!((code, stdout.as_str()), (Some(2), ""), "{arguments:?} {stderr}");
    }
}

#[test]
fn check_tells_programs_the_settings_or_the_problems() {
    let app = [("GAUNG_APP_ID", "1"), ("GAUNG_APP_KEY", "the-key"), ("GAUNG_APP_SECRET", "the-sensitive-secret")];
    let report = object(&["check", "--json"], &[&app[..], &[("REVERB_SERVER_PORT", "7001")]].concat(), 0);
    assert_eq!((&report["ok"], &report["apps"]), (&json!(true), &json!([])));
    let settings = report["settings"].as_array().expect("a list");
    for expected in [
        json!({"variable": "GAUNG_PORT", "value": "7001", "source": "REVERB_SERVER_PORT"}),
        json!({"variable": "GAUNG_APP_SECRET", "value": "********", "source": "environment"}),
    ] {
        assert!(settings.contains(&expected), "{expected} in {report}");
    }
    assert!(!report.to_string().contains("sensitive"), "{report}");
    let report = object(&["check", "--json"], &[("GAUNG_PROT", "1")], 2);
    assert_eq!(report, json!({"ok": false, "problems": ["GAUNG_PROT is unknown; did you mean GAUNG_PORT?"]}));
}

#[test]
fn health_tells_programs_the_answer_whatever_it_is() {
    let server = serve(&[]);
    let admin = server.address("admin");
    let report = object(&["health", "--json", "--url", &admin], &[], 0);
    assert_eq!(
        (&report["ok"], &report["status"], &report["answer"]["ready"]),
        (&json!(true), &json!(200), &json!(true))
    );
    let live = object(&["health", "--json", "--live", "--url", &admin], &[], 0);
    assert_eq!(live, json!({"ok": true, "status": 200, "answer": "ok"}));
    let waiting = serve(&[("GAUNG_NATS_URL", "nats://127.0.0.1:1")]);
    let report = object(&["health", "--json", "--url", &waiting.address("admin")], &[], 1);
    assert_eq!(
        (&report["ok"], &report["status"], &report["answer"]["ready"]),
        (&json!(false), &json!(503), &json!(false))
    );
}

#[test]
fn events_roundtrips_and_triggers_are_objects_for_programs() {
    let server = serve(&[]);
    let url = server.address("public");
    let mut subscriber = spawn(&["subscribe", "--json", "--count", "1", "--url", &url, "products.42"], &[]);
    subscriber.wait_for("subscription", || subscriber.stderr().contains("pusher_internal:subscription_succeeded"));
    let trigger = ["trigger", "--json", "--url", &url, "products.42", "product.updated", "{\"id\":7}"];
    let triggered = object(&[&trigger[..], &["--info", "subscription_count"]].concat(), &[], 0);
    assert_eq!(triggered["status"], 200);
    assert_eq!(triggered["answer"], json!({"channels": {"products.42": {"subscription_count": 1}}}));
    assert!(triggered["milliseconds"].is_f64(), "{triggered}");
    assert_eq!(subscriber.exit_code(), Some(0));
    let event: Value = serde_json::from_str(&subscriber.stdout()).expect("one object");
    assert_eq!((&event["channel"], &event["event"]), (&json!("products.42"), &json!("product.updated")));
    assert_eq!(event["data"], "{\"id\":7}");
    assert!(event["time_ms"].is_u64() && event["latency_ms"].is_f64(), "{event}");
    let roundtrip = object(&["roundtrip", "--json", "--times", "3", "--url", &url], &[], 0);
    assert_eq!(roundtrip["events"], 3);
    assert!(roundtrip["median_ms"].is_f64() && roundtrip["longest_ms"].is_f64(), "{roundtrip}");
}

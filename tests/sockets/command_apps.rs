//! `gaung apps` against a running server.

use std::fs;

use serde_json::{Value, json};

use crate::{
    apps_api::TOKEN,
    apps_file::{AppsFile, app},
    common::process::{Process, run, serve},
};

/// A server whose apps can be changed, and what the command needs to know of it.
struct Served {
    server: Process,
    file: AppsFile,
    admin: String,
}

impl Served {
    fn start() -> Self {
        let file = AppsFile::new(&json!([app("app", json!({}))]));
        let path = file.path().to_str().expect("the path is text").to_owned();
        let server = serve(&[("GAUNG_APPS_FILE", &path), ("GAUNG_ADMIN_TOKEN", TOKEN)]);
        let admin = server.address("admin");
        Self { server, file, admin }
    }

    fn run(&self, arguments: &[&str]) -> (Option<i32>, String, String) {
        let arguments = [&["apps"], arguments, &["--admin", &self.admin]].concat();
        run(&arguments, &[("GAUNG_ADMIN_TOKEN", TOKEN)])
    }

    fn done(&self, arguments: &[&str]) -> String {
        let (code, stdout, stderr) = self.run(arguments);
        assert_eq!((code, stderr.as_str()), (Some(0), ""), "{arguments:?} {stdout}");
        stdout
    }

    fn json(&self, arguments: &[&str]) -> Value {
        serde_json::from_str(&self.done(&[arguments, &["--json"]].concat())).expect("it prints JSON")
    }
}

#[test]
fn apps_are_added_changed_rotated_switched_and_removed() {
    let served = Served::start();
    let added = served.done(&["add", "shop", "max_connections=5", "history=a=1s:1"]);
    assert!(added.starts_with("app       shop\nenabled   yes\n"), "{added}");
    assert!(added.contains("\nsecret    "), "{added}");
    let shown = served.done(&["list"]);
    assert!(shown.starts_with("APP   ENABLED  KEYS  "), "{shown}");
    assert!(shown.contains("history=a=1s:1 max_connections=5"), "{shown}");
    let set = served.json(&["set", "shop", "max_connections=", "client_events=true"]);
    assert_eq!(set["settings"], json!({"client_events": true, "history": "a=1s:1"}));
    let rotated = served.json(&["rotate", "shop", "--last"]);
    let keys = rotated["keys"].as_array().unwrap().clone();
    assert_eq!(keys[1], rotated["key"]);
    let dropped = served.json(&["drop-key", "shop", keys[0].as_str().unwrap()]);
    assert_eq!(dropped["keys"], json!([keys[1]]));
    assert_eq!(served.json(&["disable", "shop"])["enabled"], false);
    assert_eq!(served.json(&["enable", "shop"])["enabled"], true);
    let revision = served.json(&["show", "shop"])["revision"].as_str().unwrap().to_owned();
    served.done(&["set", "shop", "max_connections=9"]);
    let (code, stdout, stderr) = served.run(&["remove", "shop", "--revision", &revision]);
    assert_eq!((code, stdout.as_str()), (Some(1), ""));
    assert!(stderr.contains("answers 412: app \"shop\" has been changed since"), "{stderr}");
    assert_eq!(served.done(&["remove", "shop"]), "");
    assert_eq!(served.json(&["list"])["apps"].as_array().map(Vec::len), Some(1));
}

#[test]
fn an_app_of_a_file_brings_its_own_credentials() {
    let served = Served::start();
    let own = served.file.path().with_file_name("own.json");
    fs::write(&own, r#"{"key": "own-key", "secret": "own-secret", "client_events": true}"#).unwrap();
    let added = served.json(&["add", "own", "--file", own.to_str().unwrap(), "max_connections=3"]);
    assert_eq!((&added["keys"], &added["secret"]), (&json!(["own-key"]), &json!(null)));
    assert_eq!(added["settings"], json!({"client_events": true, "max_connections": 3}));
    assert!(fs::read_to_string(served.file.path()).unwrap().contains("own-secret"));
}

#[test]
fn what_is_refused_is_told_with_exit_code_1() {
    let served = Served::start();
    let (code, stdout, stderr) = served.run(&["set", "app", "max_event_channels=0"]);
    assert_eq!((code, stdout.as_str()), (Some(1), ""));
    assert!(stderr.contains("max_event_channels is \"0\"; it must be a whole number from 1 to 10000"), "{stderr}");
    let (code, _, stderr) = run(&["apps", "list", "--admin", &served.admin], &[]);
    assert_eq!(code, Some(1));
    assert!(stderr.contains("answers 401:") && stderr.contains("GAUNG_ADMIN_TOKEN"), "{stderr}");
    assert_eq!(served.run(&["set", "app", "nonsense"]).0, Some(2));
}

#[test]
fn each_change_is_one_line_of_the_log_without_a_secret() {
    let served = Served::start();
    let secret = served.json(&["rotate", "app"])["secret"].as_str().unwrap().to_owned();
    served.run(&["set", "app", "max_event_channels=0"]);
    let log = format!("{}{}", served.server.stdout(), served.server.stderr());
    let line = |text: &str| log.lines().find(|line| line.contains(text)).unwrap_or_else(|| panic!("{text} in {log}"));
    let made = line("app changed by the admin API");
    let fields = "by=\"cli\" from=\"127.0.0.1\" change=\"rotate\" app=\"app\" revision=\"";
    assert!(made.contains(fields), "{made}");
    assert!(line("change of an app not made").contains("outcome=\"refused\""), "{log}");
    assert!(!log.contains(&secret) && !log.contains("app-secret"), "{log}");
}

#[test]
fn apps_of_another_server_are_imported_and_none_that_is_there_is_overwritten() {
    let served = Served::start();
    let rows = served.file.path().with_file_name("rows.json");
    let text = r#"[{"id":"app","key":"theirs","secret":"s"},{"id":"7","key":"k7","secret":"s7","max_connections":5,"created_at":1},
        {"id":"8","key":"k8","secret":"s8","max_event_channels_at_once":0}]"#;
    fs::write(&rows, text).unwrap();
    let import = |more: &[&str]| served.run(&[&["import", rows.to_str().unwrap(), "--from", "soketi"], more].concat());
    let (code, stdout, stderr) = import(&["--dry-run"]);
    let told = "APP  OUTCOME\napp  is there already (--overwrite replaces it)\n7    would be added\n8    failed\n";
    assert_eq!((code, stdout.as_str()), (Some(1), told), "{stderr}");
    assert!(stderr.contains("app 7: not taken over: created_at is no setting here"), "{stderr}");
    assert!(stderr.contains("maxEventChannelsAtOnce is max_event_channels \"0\""), "{stderr}");
    assert_eq!(served.json(&["list"])["apps"].as_array().map(Vec::len), Some(1));
    assert_eq!(import(&[]).0, Some(1));
    let apps = served.json(&["list"]);
    assert_eq!((&apps["apps"][0]["keys"], &apps["apps"][1]["id"]), (&json!(["k7"]), &json!("app")));
    assert_eq!(apps["apps"][1]["keys"], json!(["app-key"]));
    import(&["--overwrite"]);
    assert_eq!(served.json(&["show", "app"])["keys"], json!(["theirs"]));
}

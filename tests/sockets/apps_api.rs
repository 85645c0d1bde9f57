//! Apps that are changed over the admin port of a real node, and kept in its apps file.

use std::{
    fs,
    os::unix::fs::{PermissionsExt, symlink},
    sync::Arc,
};

use awc::{
    ClientRequest,
    http::{Method, header},
};
use gaung::{config::Config, protocol::Secret};
use serde_json::{Value, json};

use crate::{
    apps_file::{AppsFile, app, expect_close, start_configured},
    harness::{TestNode, start_configured as start_fixed},
};

pub const TOKEN: &str = "open sesame";

/// An answer about apps.
struct Answer {
    status: u16,
    etag: Option<String>,
    body: Value,
}

fn with_token(config: &mut Config) {
    config.admin.token = Some(Secret::new(TOKEN));
}

async fn start(apps: Value) -> (TestNode, AppsFile) {
    start_configured(apps, with_token).await
}

async fn ask(
    node: &TestNode,
    (method, path): (Method, &str),
    headers: &[(header::HeaderName, &str)],
    body: Option<Value>,
) -> Answer {
    let request = awc::Client::default().request(method, format!("http://{}{path}", node.node.admin));
    let request = headers.iter().cloned().fold(request, ClientRequest::insert_header);
    let mut answer = match body {
        Some(body) => request.send_json(&body).await,
        None => request.send().await,
    }
    .expect("the admin port answers");
    let text = answer.body().await.expect("the answer has a body");
    let etag = answer.headers().get(header::ETAG).map(|tag| tag.to_str().expect("an ETag is text").to_owned());
    Answer { status: answer.status().as_u16(), etag, body: serde_json::from_slice(&text).unwrap_or_default() }
}

async fn change(node: &TestNode, what: (Method, &str), condition: &str, body: Option<Value>) -> Answer {
    let condition = if condition == "new" { (header::IF_NONE_MATCH, "*") } else { (header::IF_MATCH, condition) };
    ask(node, what, &[(header::AUTHORIZATION, &format!("Bearer {TOKEN}")), condition], body).await
}

async fn get(node: &TestNode, path: &str) -> Answer {
    ask(node, (Method::GET, path), &[(header::AUTHORIZATION, &format!("Bearer {TOKEN}"))], None).await
}

impl Answer {
    fn error(&self) -> &str {
        self.body["error"].as_str().unwrap_or_default()
    }

    fn etag(&self) -> &str {
        self.etag.as_deref().expect("the answer has an ETag")
    }
}

fn kept(file: &AppsFile) -> Value {
    serde_json::from_str(&fs::read_to_string(file.path()).expect("the file is there")).expect("the file is JSON")
}

#[actix::test]
async fn an_added_app_is_in_force_when_it_is_answered_and_its_secret_is_told_once() {
    let (node, file) = start(json!([app("app", json!({}))])).await;
    let mut old = node.connect_to("app-key").await;
    let made = change(&node, (Method::PUT, "/apps/shop"), "new", Some(json!({"max_connections": 7}))).await;
    assert_eq!((made.status, &made.body["settings"]), (201, &json!({"max_connections": 7})), "{}", made.body);
    let (key, secret) = (made.body["key"].as_str().unwrap(), made.body["secret"].as_str().unwrap());
    assert_eq!((key.len(), secret.len()), (20, 64));
    node.connect_to(key).await.subscribe("c").await;
    let shown = get(&node, "/apps/shop").await;
    assert_eq!((shown.status, shown.etag(), &shown.body["keys"]), (200, made.etag(), &json!([key])));
    let all = get(&node, "/apps").await.body.to_string();
    assert!(all.contains(key) && !all.contains(secret) && !all.contains("app-secret"), "{all}");
    assert_eq!(kept(&file)[1]["secret"], secret);
    old.expect_silence().await;
}

#[actix::test]
async fn one_setting_is_changed_and_everything_else_stays_as_it_is_written() {
    let (node, file) = start(json!([app("app", json!({}))])).await;
    file.write("{ \"apps\": [\n  {\"id\": \"app\",  \"key\":\"app-key\", \"secret\":\"s\"},\n  {\"id\": \"b\", \"key\": \"b-key\", \"secret\": \"t\"}\n] }\n");
    let mut client = node.connect_to("app-key").await;
    let changed = change(&node, (Method::PATCH, "/apps/b"), "*", Some(json!({"client_events": true}))).await;
    assert_eq!(changed.status, 200, "{}", changed.body);
    let text = fs::read_to_string(file.path()).unwrap();
    assert!(
        text.starts_with("{ \"apps\": [\n  {\"id\": \"app\",  \"key\":\"app-key\", \"secret\":\"s\"},\n  {\n"),
        "{text}"
    );
    assert!(node.node.registry.by_id("b").unwrap().settings().client_events);
    client.expect_silence().await;
}

#[actix::test]
async fn a_disabled_app_closes_its_sockets_with_4003_and_a_removed_one_with_4001() {
    let (node, _file) = start(json!([app("app", json!({})), app("b", json!({}))])).await;
    let (mut first, mut second) = (node.connect_to("app-key").await, node.connect_to("b-key").await);
    let off = change(&node, (Method::PATCH, "/apps/app"), "*", Some(json!({"enabled": false}))).await;
    assert_eq!((off.status, &off.body["enabled"]), (200, &json!(false)));
    expect_close(&mut first, 4003).await;
    assert_eq!(change(&node, (Method::DELETE, "/apps/b"), "*", None).await.status, 204);
    expect_close(&mut second, 4001).await;
    let last = change(&node, (Method::DELETE, "/apps/app"), "*", None).await;
    assert_eq!((last.status, last.error()), (422, "it lists no app; disable apps with enabled: false"));
}

#[actix::test]
async fn keys_are_rotated_without_a_gap() {
    let (node, _file) = start(json!([app("app", json!({}))])).await;
    let mut open = node.connect_to("app-key").await;
    let rotated = change(&node, (Method::POST, "/apps/app/keys"), "*", Some(json!({}))).await;
    let new = rotated.body["key"].as_str().unwrap().to_owned();
    assert_eq!((rotated.status, &rotated.body["keys"]), (200, &json!([new, "app-key"])));
    node.connect_to(&new).await;
    node.connect_to("app-key").await;
    let dropped = change(&node, (Method::DELETE, "/apps/app/keys/app-key"), rotated.etag(), None).await;
    assert_eq!((dropped.status, &dropped.body["keys"]), (200, &json!([new])));
    assert_eq!(node.open("/app/app-key").await.expect_close().await.0, 4001);
    node.connect_to(&new).await;
    open.expect_silence().await;
    let only = change(&node, (Method::DELETE, &format!("/apps/app/keys/{new}")), "*", None).await;
    assert_eq!(
        (only.status, only.error()),
        (422, &*format!("{new} is the only key; rotate first, or disable the app"))
    );
}

#[actix::test]
async fn of_two_changes_of_one_state_the_second_is_refused_and_so_is_one_behind_an_editor() {
    let (node, file) = start(json!([app("app", json!({}))])).await;
    let seen = get(&node, "/apps/app").await;
    let set = |number: u64| Some(json!({"max_connections": number}));
    assert_eq!(change(&node, (Method::PATCH, "/apps/app"), seen.etag(), set(1)).await.status, 200);
    let late = change(&node, (Method::PATCH, "/apps/app"), seen.etag(), set(2)).await;
    assert_eq!(late.status, 412);
    assert!(late.error().contains("has been changed since"), "{}", late.error());
    let seen = get(&node, "/apps/app").await;
    file.write(&json!([app("app", json!({"max_connections": 3}))]).to_string());
    assert_eq!(change(&node, (Method::PATCH, "/apps/app"), seen.etag(), set(4)).await.status, 412);
    assert_eq!(kept(&file)[0]["max_connections"], 3);
    assert_eq!(change(&node, (Method::PUT, "/apps/app"), "new", Some(json!({}))).await.status, 412);
    assert_eq!(change(&node, (Method::PATCH, "/apps/none"), "*", set(1)).await.status, 404);
    let changes = |outcome| node.node.metrics.app_changes.with_label_values(&[outcome]).get();
    assert_eq!((changes("applied"), changes("conflict"), changes("refused")), (1, 3, 1));
}

#[actix::test]
async fn what_would_not_be_sound_is_refused_with_setting_value_and_limit() {
    let (node, file) = start(json!([app("app", json!({}))])).await;
    let before = fs::read_to_string(file.path()).unwrap();
    for (settings, problem) in [
        (json!({"max_event_channels": 0}), "max_event_channels is \"0\"; it must be a whole number from 1 to 10000"),
        (json!({"max_conections": 1}), "max_conections is unknown; did you mean max_connections?"),
    ] {
        let refused = change(&node, (Method::PATCH, "/apps/app"), "*", Some(settings)).await;
        assert_eq!(
            (refused.status, &refused.body["problems"]),
            (422, &json!([format!("apps[0] (id app): {problem}")]))
        );
    }
    let taken = json!({"key": "app-key", "secret": "s3cret"});
    let refused = change(&node, (Method::PUT, "/apps/b"), "new", Some(taken)).await;
    assert_eq!(refused.error(), "apps[1] (id b): key app-key is already a key of app app; keys must be distinct");
    assert_eq!(fs::read_to_string(file.path()).unwrap(), before);
}

#[actix::test]
async fn a_change_needs_the_token_a_condition_and_json_and_none_of_another_page() {
    let (node, _file) = start(json!([app("app", json!({}))])).await;
    let (bearer, any) = (format!("Bearer {TOKEN}"), (header::IF_MATCH, "*"));
    let (right, patch) = ((header::AUTHORIZATION, bearer.as_str()), (Method::PATCH, "/apps/app"));
    let body = || Some(json!({"client_events": true}));
    for (headers, status) in [
        (&[any.clone()][..], 401),
        (&[(header::AUTHORIZATION, "Bearer wrong"), any.clone()], 401),
        (std::slice::from_ref(&right), 428),
        (&[right.clone(), any.clone(), (header::ORIGIN, "https://evil.example")], 403),
        (&[right.clone(), any.clone()], 200),
    ] {
        assert_eq!(ask(&node, patch.clone(), headers, body()).await.status, status, "{headers:?}");
    }
    let kind = (header::CONTENT_TYPE, "text/plain");
    let rotate = (Method::POST, "/apps/app/keys");
    assert_eq!(ask(&node, rotate, &[right, any, kind], None).await.status, 415);
    assert_eq!(ask(&node, (Method::GET, "/apps"), &[], None).await.status, 401);
    assert_eq!(get(&node, "/openapi.json").await.body["openapi"], "3.1.0");
}

#[actix::test]
async fn without_a_token_or_a_file_nothing_is_changed_and_the_answer_says_what_to_set() {
    let (node, _file) = start_configured(json!([app("app", json!({}))]), |_| {}).await;
    assert_eq!(get(&node, "/apps/app").await.body["keys"], json!(["app-key"]));
    let refused = change(&node, (Method::DELETE, "/apps/app"), "*", None).await;
    assert_eq!(refused.status, 403);
    assert!(refused.error().contains("set GAUNG_ADMIN_TOKEN"), "{}", refused.error());
    let fixed = start_fixed(with_token, |settings| settings.max_subscriptions = 7).await;
    let shown = get(&fixed, "/apps/app-id").await.body;
    assert_eq!((&shown["settings"], &shown["revision"]), (&json!({"max_subscriptions": "7"}), &json!(null)));
    let refused = change(&fixed, (Method::DELETE, "/apps/app-id"), "*", None).await;
    assert_eq!(refused.status, 409);
    assert!(refused.error().contains("set GAUNG_APPS_FILE"), "{}", refused.error());
}

#[actix::test]
async fn a_file_that_may_not_be_written_or_is_a_link_or_broken_is_left_alone() {
    let (node, file) = start(json!([app("app", json!({}))])).await;
    let off = || change(&node, (Method::PATCH, "/apps/app"), "*", Some(json!({"enabled": false})));
    fs::set_permissions(file.path(), fs::Permissions::from_mode(0o444)).unwrap();
    let refused = off().await;
    assert_eq!(refused.status, 409);
    assert!(refused.error().ends_with("may not be written; change its rights"), "{}", refused.error());
    let source = file.path().with_file_name("source.json");
    fs::rename(file.path(), &source).unwrap();
    symlink(&source, file.path()).unwrap();
    let refused = off().await;
    assert_eq!(refused.status, 409);
    assert!(refused.error().contains("is a symbolic link, as of a Kubernetes ConfigMap"), "{}", refused.error());
    fs::remove_file(file.path()).unwrap();
    file.write("[{");
    let refused = off().await;
    assert_eq!(refused.status, 409);
    assert!(refused.error().contains("is broken; repair it first: it is not JSON"), "{}", refused.error());
    assert_eq!(fs::read_to_string(file.path()).unwrap(), "[{");
}

#[actix::test]
async fn many_changes_at_once_are_all_kept() {
    let (node, file) = start(json!([app("app", json!({}))])).await;
    let node = Arc::new(node);
    let changes = (0..12).map(|number| {
        let node = node.clone();
        async move {
            let path = format!("/apps/app-{number}");
            change(&node, (Method::PUT, &path), "new", Some(json!({"max_connections": number + 1}))).await.status
        }
    });
    let statuses = futures_util::future::join_all(changes).await;
    assert_eq!(statuses, [201; 12]);
    assert_eq!(kept(&file).as_array().map(Vec::len), Some(13));
}

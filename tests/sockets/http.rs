//! The trigger API: who may ask, what is answered, what is refused and in which words (protocol.md §3).

use std::time::{Duration, SystemTime};

use gaung::{
    config::{AppSettings, Config},
    protocol::{AppKey, Secret, signature::sign_request},
};
use serde_json::{Value, json};

use crate::harness::{self, TestNode};

/// A back end with its app's credentials.
pub struct BackEnd {
    pub node: TestNode,
    pub key: AppKey,
}

/// What came back.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub body: String,
    headers: awc::http::header::HeaderMap,
}

/// A node whose only app is `app-id`, as the vectors of protocol.md §2 have it.
pub async fn back_end(config: impl FnOnce(&mut Config), settings: impl FnOnce(&mut AppSettings)) -> BackEnd {
    let mut app = AppSettings::new("app-key", "app-secret");
    settings(&mut app);
    let node = harness::start_with(config, vec![("app-id".to_owned(), app)]).await;
    BackEnd { node, key: AppKey { key: "app-key".to_owned(), secret: Secret::new("app-secret") } }
}

/// The same with all defaults.
pub async fn default_back_end() -> BackEnd {
    back_end(|_| {}, |_| {}).await
}

fn now() -> Duration {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap()
}

/// `{"name":…,"data":"{}","channel":…}`
pub fn event(name: &str, channel: &str) -> String {
    json!({ "name": name, "data": "{}", "channel": channel }).to_string()
}

impl BackEnd {
    /// The path with the query that signs it.
    pub fn signed(&self, method: &str, path: &str, params: &[(&str, &str)], body: &str) -> String {
        format!("{path}?{}", sign_request(&self.key, method, path, params, body.as_bytes(), now()))
    }

    /// A request that is sent as it stands.
    pub async fn send(&self, method: &str, path: &str, body: &str) -> Answer {
        let request = awc::Client::new().request(method.parse().unwrap(), self.node.url(path));
        let mut response = request.send_body(body.to_owned()).await.expect("the node answers");
        Answer {
            status: response.status().as_u16(),
            headers: response.headers().clone(),
            body: String::from_utf8(response.body().await.unwrap().to_vec()).unwrap(),
        }
    }

    pub async fn get(&self, path: &str, params: &[(&str, &str)]) -> Answer {
        self.send("GET", &self.signed("GET", path, params, ""), "").await
    }

    pub async fn post(&self, path: &str, body: &str) -> Answer {
        self.send("POST", &self.signed("POST", path, &[], body), body).await
    }
}

impl Answer {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    #[track_caller]
    pub fn expect(&self, status: u16, body: &Value) {
        let actual: Value = serde_json::from_str(&self.body).unwrap_or_else(|_| self.body.as_str().into());
        assert_eq!((self.status, &actual), (status, body));
        assert_eq!(self.header("content-type"), Some("application/json"));
    }

    #[track_caller]
    pub fn expect_refusal(&self, status: u16, words: &str) {
        let refusal: Value = serde_json::from_str(&self.body).unwrap_or_else(|_| panic!("not JSON: {}", self.body));
        assert_eq!((self.status, &refusal["code"]), (status, &json!(status)), "{refusal}");
        assert!(refusal["error"].as_str().is_some_and(|text| text.contains(words)), "{refusal} has no {words:?}");
        assert_eq!(self.header("content-type"), Some("application/json"));
    }
}

#[actix_web::test]
async fn a_trigger_is_answered_with_an_empty_object() {
    let back_end = default_back_end().await;
    let answer = back_end.post("/apps/app-id/events", &event("order.shipped", "orders")).await;
    answer.expect(200, &json!({}));
    assert_eq!(answer.body, "{}");
}

#[actix_web::test]
async fn a_trigger_that_asks_for_counts_gets_them_for_idle_channels_too() {
    let back_end = default_back_end().await;
    let info = "user_count,subscription_count";
    let body = json!({ "name": "e", "data": "d", "channels": ["presence-a", "b"], "info": info });
    let counts =
        json!({ "presence-a": { "user_count": 0, "subscription_count": 0 }, "b": { "subscription_count": 0 } });
    let answer = back_end.post("/apps/app-id/events", &body.to_string()).await;
    answer.expect(200, &json!({ "channels": counts }));
}

#[actix_web::test]
async fn a_batch_answers_one_entry_per_event_if_one_of_them_asked() {
    let back_end = default_back_end().await;
    let quiet = json!({ "name": "e", "data": "d", "channel": "a" });
    let curious = json!({ "name": "e", "data": "d", "channel": "b", "info": "subscription_count" });
    let post =
        async |batch: Value| back_end.post("/apps/app-id/batch_events", &json!({ "batch": batch }).to_string()).await;
    post(json!([quiet, quiet])).await.expect(200, &json!({}));
    post(json!([quiet, curious])).await.expect(200, &json!({ "batch": [{}, { "subscription_count": 0 }] }));
}

#[actix_web::test]
async fn questions_about_nobody_have_empty_answers_and_not_404() {
    let back_end = default_back_end().await;
    let check = async |path: &str, params: &[(&str, &str)], expected: Value| {
        back_end.get(&format!("/apps/app-id{path}"), params).await.expect(200, &expected);
    };
    check("/channels", &[], json!({ "channels": {} })).await;
    check("/channels", &[("filter_by_prefix", "presence-"), ("info", "user_count")], json!({ "channels": {} })).await;
    check("/channels/orders", &[], json!({ "occupied": false })).await;
    check(
        "/channels/presence-cache-a",
        &[("info", "user_count,subscription_count,cache")],
        json!({ "occupied": false, "user_count": 0, "subscription_count": 0, "cache": null }),
    )
    .await;
    check("/channels/presence-a/users", &[], json!({ "users": [] })).await;
    check("/connections", &[], json!({ "connections": 0 })).await;
}

#[actix_web::test]
async fn terminating_a_user_without_sockets_succeeds_with_any_body() {
    let back_end = default_back_end().await;
    back_end.post("/apps/app-id/users/42/terminate_connections", "{}").await.expect(200, &json!({}));
    back_end.post("/apps/app-id/users/a%2Fb/terminate_connections", "").await.expect(200, &json!({}));
    // As the Python SDK asks: without the app.
    back_end.post("/users/42/terminate_connections", "{}").await.expect(200, &json!({}));
}

#[actix_web::test]
async fn the_python_form_of_terminate_needs_a_known_key() {
    let back_end = default_back_end().await;
    back_end.send("POST", "/users/42/terminate_connections", "{}").await.expect_refusal(401, "auth_key is missing");
    let unknown = back_end.send("POST", "/users/42/terminate_connections?auth_key=other", "{}").await;
    unknown.expect_refusal(401, "unknown auth_key");
}

#[actix_web::test]
async fn what_makes_no_sense_is_refused() {
    let back_end = default_back_end().await;
    let check = async |path: &str, params: &[(&str, &str)], words: &str| {
        back_end.get(&format!("/apps/app-id{path}"), params).await.expect_refusal(400, words);
    };
    check("/channels", &[("info", "user_count")], "filter_by_prefix").await;
    check("/channels", &[("info", "user_count"), ("filter_by_prefix", "private-")], "starts with presence-").await;
    check("/channels/orders/users", &[], "orders has no users").await;
    check("/channels/a%20b", &[], "the channel name contains ' '").await;
    back_end.post("/apps/app-id/events", "{").await.expect_refusal(400, "invalid request body");
    back_end.post("/apps/app-id/events", &event("pusher:ping", "a")).await.expect_refusal(400, "is reserved");
}

#[actix_web::test]
async fn a_request_is_refused_for_the_first_of_these_reasons() {
    let back_end = back_end(|config| config.limits.max_body_bytes = 1_000, |app| app.enabled = false).await;
    let large = "x".repeat(1_001);
    back_end.send("POST", "/apps/other/events", &large).await.expect_refusal(404, "unknown app id (5 characters)");
    back_end
        .send("POST", "/apps/app-id/events", &large)
        .await
        .expect_refusal(413, "limit is 1000 (GAUNG_MAX_BODY_BYTES)");
    back_end.send("POST", "/apps/app-id/events", "{").await.expect_refusal(401, "auth_key is missing");
    back_end.post("/apps/app-id/events", "{").await.expect_refusal(403, "the app is disabled");
}

#[actix_web::test]
async fn a_request_that_was_changed_after_signing_is_refused() {
    let back_end = default_back_end().await;
    let body = event("e", "a");
    let signed = back_end.signed("POST", "/apps/app-id/events", &[], &body);
    back_end.send("POST", &signed, &event("e", "b")).await.expect_refusal(401, "body_md5");
    back_end
        .send("POST", &signed.replace("/events", "/batch_events"), &body)
        .await
        .expect_refusal(401, "auth_signature");
    back_end.send("POST", &signed, &body).await.expect(200, &json!({}));
}

#[actix_web::test]
async fn an_event_that_is_too_large_is_refused_before_the_rate_and_that_before_the_rest() {
    let back_end = back_end(|_| {}, |app| (app.max_event_bytes, app.events_per_second) = (10, Some(2))).await;
    let post = async |body: Value| back_end.post("/apps/app-id/events", &body.to_string()).await;
    let large = json!({ "name": "e", "data": "x".repeat(11), "channels": ["a", "b", "c"] });
    let often = json!({ "name": "", "data": "x", "channels": ["a", "b", "c"] });
    let nameless = json!({ "name": "", "data": "x", "channels": ["a"] });
    post(large)
        .await
        .expect_refusal(413, "content of this event has 11 bytes, the limit is 10 (app setting max_event_bytes)");
    post(nameless).await.expect_refusal(400, "the event name is empty");
    post(often).await.expect_refusal(429, "this request counts 3");
}

#[actix_web::test]
async fn a_batch_is_published_as_a_whole_or_not_at_all() {
    let back_end = back_end(|_| {}, |app| app.max_batch_events = 2).await;
    let post =
        async |batch: Value| back_end.post("/apps/app-id/batch_events", &json!({ "batch": batch }).to_string()).await;
    let event = json!({ "name": "e", "data": "d", "channel": "a" });
    post(json!([event, event, event])).await.expect_refusal(400, "Batch too large: it has 3 events, the limit is 2");
    post(json!([event, { "name": "e", "data": "d" }])).await.expect_refusal(400, "no channel");
    let both = json!({ "name": "e", "data": "d", "channels": ["a", "b"], "info": "subscription_count" });
    post(json!([event, both])).await.expect_refusal(400, "exactly one channel");
}

#[actix_web::test]
async fn a_rate_is_refused_with_the_time_to_wait_and_what_is_left() {
    let back_end = back_end(|_| {}, |app| (app.events_per_second, app.reads_per_second) = (Some(3), Some(1))).await;
    let channels = |names: Value| json!({ "name": "e", "data": "d", "channels": names }).to_string();
    back_end.post("/apps/app-id/events", &channels(json!(["a", "b"]))).await.expect(200, &json!({}));
    let refused = back_end.post("/apps/app-id/events", &channels(json!(["a", "b"]))).await;
    refused.expect_refusal(429, "limit is 3 a second (app setting events_per_second)");
    assert_eq!(refused.header("retry-after"), Some("1"));
    assert_eq!(refused.header("x-ratelimit-limit"), Some("3"));
    assert_eq!(refused.header("x-ratelimit-remaining"), Some("1"));
    back_end.get("/apps/app-id/channels", &[]).await.expect(200, &json!({ "channels": {} }));
    let refused = back_end.get("/apps/app-id/channels", &[]).await;
    refused.expect_refusal(429, "limit is 1 a second (app setting reads_per_second)");
    assert_eq!(refused.header("x-ratelimit-remaining"), Some("0"));
}

#[actix_web::test]
async fn with_a_path_prefix_both_paths_are_served_and_either_may_be_signed() {
    let back_end = back_end(|config| config.server.path_prefix = "/socket".to_owned(), |_| {}).await;
    let body = event("e", "a");
    let long = back_end.signed("POST", "/socket/apps/app-id/events", &[], &body);
    let short = back_end.signed("POST", "/apps/app-id/events", &[], &body);
    for path in [&long, &short, &long.replace("/socket", ""), &format!("/socket{short}")] {
        back_end.send("POST", path, &body).await.expect(200, &json!({}));
    }
    back_end.send("GET", "/socket/up", "").await.expect(200, &json!({ "health": "OK" }));
    assert_eq!(back_end.send("GET", "/socket/app/app-key", "").await.status, 426);
    assert_eq!(back_end.send("GET", "/app/app-key", "").await.status, 404);
}

#[actix_web::test]
async fn a_path_may_be_signed_raw_or_decoded() {
    let back_end = default_back_end().await;
    let signed = back_end.signed("GET", "/apps/app-id/channels/a@b=c,d;e", &[], "");
    let encoded = signed.replacen("a@b=c,d;e", "a%40b%3Dc%2Cd%3Be", 1);
    back_end.send("GET", &signed, "").await.expect(200, &json!({ "occupied": false }));
    back_end.send("GET", &encoded, "").await.expect(200, &json!({ "occupied": false }));
    let signed = back_end.signed("GET", "/apps/app-id/channels/a%40b", &[], "");
    back_end.send("GET", &signed, "").await.expect(200, &json!({ "occupied": false }));
}

#[actix_web::test]
async fn unknown_paths_are_404_and_wrong_methods_405() {
    let back_end = default_back_end().await;
    for path in ["/apps", "/apps/app-id", "/apps/app-id/events/", "/apps//events", "/accept", "/app", "/app/a/b"] {
        back_end.send("GET", path, "").await.expect_refusal(404, "nothing is served");
    }
    for (method, path, allowed) in [
        ("GET", "/apps/app-id/events", "POST"),
        ("PUT", "/apps/app-id/batch_events", "POST"),
        ("POST", "/apps/app-id/channels", "GET"),
        ("DELETE", "/up", "GET, HEAD"),
        ("POST", "/app/app-key", "GET"),
    ] {
        let answer = back_end.send(method, path, "").await;
        answer.expect_refusal(405, allowed);
        assert_eq!(answer.header("allow"), Some(allowed));
    }
}

#[actix_web::test]
async fn probes_answer_get_and_head() {
    let back_end = default_back_end().await;
    back_end.send("GET", "/up", "").await.expect(200, &json!({ "health": "OK" }));
    for path in ["/", "/ready"] {
        let answer = back_end.send("GET", path, "").await;
        assert_eq!((answer.status, answer.body.as_str()), (200, "OK"), "{path}");
    }
    for path in ["/", "/ready", "/up"] {
        let answer = back_end.send("HEAD", path, "").await;
        assert_eq!((answer.status, answer.body.as_str()), (200, ""), "{path}");
    }
}

#[actix::test]
async fn what_a_user_is_to_lose_must_be_understood() {
    let node = harness::start(|_| {}).await;
    let many: Vec<_> = (0..101).map(|number| format!("private-{number}")).collect();
    for (body, told) in [
        (json!({}), "missing field `channels`"),
        (json!({"channels": []}), "it has 0 channels, allowed are 1 to 100"),
        (json!({"channels": many}), "it has 101 channels, allowed are 1 to 100"),
        (json!({"channels": ["private a"]}), "a channel pattern contains ' '"),
    ] {
        let (status, answer) = node.post("/users/1/unsubscribe", &body).await;
        let error = answer["error"].as_str().expect("a text");
        assert!(status == 400 && error.contains(told) && error.contains("private-orders.*"), "{status} {error}");
    }
    assert_eq!(node.post("/users/1/unsubscribe", &json!({"channels": ["private-*"]})).await, (200, json!({})));
}
